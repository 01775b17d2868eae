package store

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/fhir"
)

// clock gives a time that moves one second with each look.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Second)
	return c.at
}

const testBase = "https://rs.example/fhir"

// server is a Store behind its real handler.
type server struct {
	t testing.TB
	s *Store
	h http.Handler
}

func newServer(t testing.TB, change ...func(*Options)) *server {
	t.Helper()
	o := Options{
		Path: filepath.Join(t.TempDir(), "fhir.db"), Base: testBase, NoSync: true, UpdateAsCreate: true,
		Now: (&clock{at: time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)}).Now,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &server{t: t, s: s, h: s.Handler()}
}

type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do sends one request; header pairs follow the body. A body that starts with { or [ is sent as FHIR JSON unless told otherwise.
func (s *server) do(method, target, body string, header ...string) answer {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1/"+strings.TrimPrefix(strings.TrimPrefix(target, testBase), "/"), strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", mediaFHIR)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	res := w.Result()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{s.t, res.StatusCode, res.Header, b}
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	return a
}

// refused checks status, issue code, and that the answer is an OperationOutcome in FHIR JSON.
func (a answer) refused(status int, code string) answer {
	a.t.Helper()
	a.want(status)
	m := a.json()
	issue, _ := m["issue"].([]any)
	if m["resourceType"] != "OperationOutcome" || len(issue) == 0 {
		a.t.Fatalf("not an OperationOutcome: %s", a.body)
	}
	if got := issue[0].(map[string]any)["code"]; got != code {
		a.t.Fatalf("issue code %v, want %s: %s", got, code, a.body)
	}
	if got := a.header.Get("Content-Type"); got != mediaFHIR+"; charset=utf-8" {
		a.t.Fatalf("Content-Type %q", got)
	}
	return a
}

func (a answer) json() map[string]any {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		a.t.Fatalf("not JSON: %v: %q", err, a.body)
	}
	return m
}

type testBundle struct {
	ResourceType string
	Type         string
	Total        *int
	Link         []struct{ Relation, URL string }
	Entry        []struct {
		FullURL  string
		Resource map[string]any
		Search   *struct{ Mode string }
		Request  *struct{ Method, URL string }
		Response *struct {
			Status, Location, Etag string
			Outcome                map[string]any
		}
	}
}

func (a answer) bundle() testBundle {
	a.t.Helper()
	var b testBundle
	if err := json.Unmarshal(a.body, &b); err != nil || b.ResourceType != "Bundle" {
		a.t.Fatalf("not a Bundle: %v: %s", err, a.body)
	}
	return b
}

func (b testBundle) next() string {
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

// ids lists Type/id of the entries with this search mode ("" for all), in order.
func (b testBundle) ids(mode string) []string {
	out := []string{}
	for _, e := range b.Entry {
		if mode == "" || e.Search != nil && e.Search.Mode == mode {
			out = append(out, e.Resource["resourceType"].(string)+"/"+e.Resource["id"].(string))
		}
	}
	return out
}

// all follows next links to the end.
func (s *server) all(target string) []string {
	s.t.Helper()
	out := []string{}
	for i := 0; target != "" && i < 1000; i++ {
		b := s.do("GET", target, "").want(200).bundle()
		out = append(out, b.ids("match")...)
		target = b.next()
	}
	return out
}

func (s *server) put(resources ...string) {
	s.t.Helper()
	for _, raw := range resources {
		r, err := fhir.Parse([]byte(raw))
		if err != nil {
			s.t.Fatal(err)
		}
		s.do("PUT", r.Type()+"/"+r.ID(), raw).want(201)
	}
}

// testdata gives a folder of shared test data, or ends the test where it is not there.
func testdata(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("UMAAS_TESTDATA")
	if root == "" {
		dir, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
				break
			}
			dir = filepath.Dir(dir)
		}
		root = filepath.Join(dir, "..", "shared", "testdata")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("UMAAS_TEST_REQUIRE") == "all" {
			t.Fatalf("test data %s is missing: set UMAAS_TESTDATA", name)
		}
		t.Skipf("test data %s is not here (set UMAAS_TESTDATA)", name)
	}
	return path
}

func form(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(pairs[i]) + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}
