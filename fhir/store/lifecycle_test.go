package store

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/fhir"
)

// A change that fails after its first write is rolled back alone; the others of its group are stored.
func TestGroupSurvivesOneBrokenWriter(t *testing.T) {
	s := newServer(t)
	hold := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.s.commit.do(context.Background(), func(*txn) error { <-hold; return nil }); err != nil {
			t.Error(err)
		}
	})
	p, err := s.s.prepare([]byte(patientB))
	if err != nil {
		t.Fatal(err)
	}
	broken := func(boom bool) func() {
		return func() {
			err := s.s.commit.do(context.Background(), func(tx *txn) error {
				if _, err := tx.put(p, "broken", methodPut); err != nil {
					return err
				}
				if boom {
					panic("boom")
				}
				return fmt.Errorf("half way")
			})
			if err == nil {
				t.Error("no error")
			}
		}
	}
	wg.Go(broken(true))
	for i := range 10 {
		wg.Go(func() {
			id := fmt.Sprintf("g%d", i)
			if a := s.do("PUT", "Patient/"+id, strings.Replace(patientA, `"id":"a"`, `"id":"`+id+`"`, 1)); a.status != 201 {
				t.Errorf("%d: %s", a.status, a.body)
			}
		})
	}
	wg.Go(broken(false))
	close(hold)
	wg.Wait()
	if got := s.all("Patient"); len(got) != 10 {
		t.Errorf("stored %v", got)
	}
}

func TestReopenKeepsDataAndRebuildsIndex(t *testing.T) {
	s := newServer(t)
	s.put(patientA, observation("o", "a", "718-7", 1, "2020-01-01"))
	next := s.do("GET", "Patient/_history?_count=1", "").want(200).bundle()
	path := s.s.opts.Path
	if err := s.s.Close(); err != nil {
		t.Fatal(err)
	}
	setMeta(t, path, "index", "of an older program")
	s2 := newServer(t, func(o *Options) { o.Path = path })
	if got := s2.all("Observation?patient=a&code=718-7"); len(got) != 1 {
		t.Errorf("after rebuild: %v", got)
	}
	if next.next() != "" {
		s2.do("GET", next.next(), "").want(200)
	}
	if r, err := s2.s.Read("Patient", "a"); err != nil || r.ID() != "a" {
		t.Errorf("Read: %v", err)
	}
	if _, err := s2.s.Read("Patient", "zz"); err == nil {
		t.Error("Read of nothing gave no error")
	}
	if err := s2.s.Close(); err != nil {
		t.Fatal(err)
	}
	setMeta(t, path, "schema", "99")
	if _, err := Open(Options{Path: path, Base: testBase}); err == nil || !strings.Contains(err.Error(), `schema "99"`) {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := s2.s.db.Begin(false); err == nil {
		t.Error("the file is still open")
	}
}

func TestClosedStoreRefusesWrites(t *testing.T) {
	s := newServer(t)
	if err := s.s.Close(); err != nil {
		t.Fatal(err)
	}
	s.do("POST", "Patient", patientA).refused(http.StatusServiceUnavailable, "transient")
}

func TestPutAndPatients(t *testing.T) {
	s := newServer(t)
	var all []*fhir.Resource
	for i := range 250 {
		r, err := fhir.Parse([]byte(fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	for range 2 {
		if err := s.s.Put(context.Background(), all...); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for r, err := range s.s.Patients(context.Background()) {
		if err != nil || r.ID() != fmt.Sprintf("p%d", n) || r.VersionID() != "1" {
			t.Fatalf("%d: %v %v", n, r, err)
		}
		n++
	}
	if n != 250 {
		t.Errorf("%d patients", n)
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.s.Put(context.Background(), r); err == nil {
		t.Error("a resource without id was stored")
	}
}

func TestCapabilityStatement(t *testing.T) {
	s := newServer(t)
	m := s.do("GET", "metadata", "").want(200).json()
	rest := m["rest"].([]any)[0].(map[string]any)
	if m["resourceType"] != "CapabilityStatement" || m["fhirVersion"] != "4.0.1" || len(rest["resource"].([]any)) != 144 {
		t.Errorf("%v, %d resources", m["fhirVersion"], len(rest["resource"].([]any)))
	}
	// Every parameter promised is one the server takes.
	for _, r := range rest["resource"].([]any) {
		typ := r.(map[string]any)["type"].(string)
		for _, p := range r.(map[string]any)["searchParam"].([]any) {
			name := p.(map[string]any)["name"].(string)
			if _, err := fhir.ParseQuery(typ, []fhir.Pair{{Name: name + ":missing", Value: "true"}}); err != nil {
				t.Errorf("%s?%s: %v", typ, name, err)
			}
		}
	}
	s.do("GET", "metadata?mode=terminology", "").refused(400, "not-supported")
}
