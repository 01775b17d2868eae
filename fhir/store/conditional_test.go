package store

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestConditionalInteractions(t *testing.T) {
	s := newServer(t)
	first := s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").want(201)
	id := first.json()["id"].(string)
	if again := s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").want(200); again.json()["id"] != id {
		t.Errorf("another resource: %s", again.body)
	}
	u := s.do("PUT", "Patient?identifier=urn:mrn|1", strings.Replace(patientA, `"id":"a",`, "", 1)).want(200)
	if u.json()["id"] != id || u.header.Get("ETag") != `W/"2"` {
		t.Errorf("conditional update: %s", u.body)
	}
	s.do("PUT", "Patient?identifier=urn:mrn|1", patientA).refused(400, "invalid")    // body names another id
	s.do("PUT", "Patient?identifier=urn:mrn|77", patientA).want(201)                 // update as create with the body's id
	s.do("PUT", "Patient?identifier=urn:mrn|77", patientA).refused(409, "duplicate") // exists, does not match
	s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").refused(412, "multiple-matches")
	s.do("PUT", "Patient?identifier=urn:mrn|1", patientA).refused(412, "multiple-matches")
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").refused(412, "multiple-matches")
	s.do("POST", "Patient", patientA, "If-None-Exist", "name.foo=1").refused(400, "not-supported")
	if n := s.do("PUT", "Patient?identifier=urn:mrn|9", `{"resourceType":"Patient"}`).want(201); n.json()["id"] == "" {
		t.Errorf("no id: %s", n.body)
	}
	patch := `[{"op":"replace","path":"/gender","value":"other"}]`
	s.do("PATCH", "Patient?identifier=urn:mrn|404", patch, "Content-Type", mediaPatch).refused(404, "not-found")
	s.do("DELETE", "Patient/a", "").want(204)
	if p := s.do("PATCH", "Patient?identifier=urn:mrn|1", patch, "Content-Type", mediaPatch).want(200); p.json()["gender"] != "other" {
		t.Errorf("conditional patch: %s", p.body)
	}
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").want(204)
	s.do("GET", "Patient/"+id, "").refused(410, "deleted")
	s.do("DELETE", "Patient?identifier=urn:mrn|1", "").want(204)
}

func TestConditionalReference(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	o := strings.Replace(observation("o", "a", "1", 1, "2020"), "Patient/a", "Patient?identifier=urn:mrn|1", 1)
	a := s.do("POST", "Observation", o).want(201)
	if ref := a.json()["subject"].(map[string]any)["reference"]; ref != "Patient/a" {
		t.Errorf("reference %v", ref)
	}
	s.do("POST", "Observation", strings.Replace(o, "mrn|1", "mrn|2", 1)).refused(412, "conflict")
	s.put(strings.Replace(patientA, `"id":"a"`, `"id":"twin"`, 1))
	s.do("POST", "Observation", o).refused(412, "conflict")
}

func TestAbsoluteReferencesToThisServerBecomeRelative(t *testing.T) {
	s := newServer(t)
	s.put(patientA, strings.Replace(observation("o", "a", "1", 1, "2020"), "Patient/a", testBase+"/Patient/a", 1))
	if got := s.all("Observation?patient=a"); !slices.Equal(got, []string{"Observation/o"}) {
		t.Errorf("found %v", got)
	}
}

func TestConcurrentConditionalCreateHasOneWinner(t *testing.T) {
	s := newServer(t)
	var wg sync.WaitGroup
	codes := make(chan int, 64)
	for range 64 {
		wg.Go(func() {
			codes <- s.do("POST", "Patient", patientA, "If-None-Exist", "identifier=urn:mrn|1").status
		})
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	if count[201] != 1 || count[200] != 63 {
		t.Errorf("answers %v", count)
	}
}

func TestConcurrentIfMatchHasOneWinner(t *testing.T) {
	s := newServer(t)
	s.put(patientA)
	var wg sync.WaitGroup
	codes := make(chan int, 64)
	for range 64 {
		wg.Go(func() { codes <- s.do("PUT", "Patient/a", patientA, "If-Match", `W/"1"`).status })
	}
	wg.Wait()
	close(codes)
	count := map[int]int{}
	for c := range codes {
		count[c]++
	}
	if count[200] != 1 || count[412] != 63 {
		t.Errorf("answers %v", count)
	}
}
