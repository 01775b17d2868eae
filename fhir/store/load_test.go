package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t testing.TB, s *server, dir string) Report {
	t.Helper()
	r, err := s.s.Load(context.Background(), dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLoadSynthea(t *testing.T) {
	s := newServer(t)
	var last Progress
	r, err := s.s.Load(context.Background(), testdata(t, "nimbus-juvenile-10"), func(p Progress) { last = p })
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if len(r.Warnings) > 0 || len(r.Dangling) > 0 {
		t.Errorf("warnings %v, dangling %v", r.Warnings, r.Dangling)
	}
	if r.ByType["Patient"] != 10 || r.ByType["Encounter"] != 139 || r.ByType["Immunization"] != 242 {
		t.Errorf("by type %v", r.ByType)
	}
	if last.FilesDone != 12 || last.Resources != r.Created {
		t.Errorf("last progress %+v", last)
	}
	again := load(t, s, testdata(t, "nimbus-juvenile-10"))
	if again.Created != 0 || again.Updated != 0 || again.Unchanged != r.Created {
		t.Errorf("a second run wrote: %+v", again)
	}
	const bibi = "475d72ca-91c7-7211-97e3-f000af33fc04"
	found := s.all("Immunization?patient=" + bibi)
	if len(found) != 18 {
		t.Errorf("%d immunizations, want 18", len(found))
	}
	body := string(s.do("GET", found[0], "").want(200).body)
	if strings.Contains(body, "urn:uuid") || !strings.Contains(body, `"reference":"Patient/`+bibi+`"`) {
		t.Errorf("references not rewritten: %s", body)
	}
}

func TestLoadMicrosoft(t *testing.T) {
	s := newServer(t)
	r := load(t, s, testdata(t, "microsoft-smart"))
	t.Logf("%+v", r)
	if len(r.Warnings) > 0 {
		t.Errorf("warnings: %v", r.Warnings)
	}
	if r.ByType["Patient"] != 6 {
		t.Errorf("by type: %v", r.ByType)
	}
}

func TestLoadConditionalReferencesAcrossFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// "a" sorts first but needs "z".
	write("a.json", `{"resourceType":"Bundle","type":"transaction","entry":[
		{"fullUrl":"urn:uuid:e1","resource":{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},
		 "subject":{"reference":"urn:uuid:p1"},"participant":[{"individual":{"reference":"Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|999"}}]},
		 "request":{"method":"POST","url":"Encounter"}},
		{"fullUrl":"urn:uuid:p1","resource":{"resourceType":"Patient","id":"p1"},"request":{"method":"POST","url":"Patient"}}]}`)
	write("z.json", `{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"urn:uuid:d1","resource":{"resourceType":"Practitioner",
		"id":"d1","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"999"}]},"request":{"method":"POST","url":"Practitioner"}}]}`)
	write("m.ndjson", "{\"resourceType\":\"Observation\",\"id\":\"o1\",\"status\":\"final\",\"code\":{\"text\":\"x\"},\"subject\":{\"reference\":\"Patient/p1\"}}\n\n"+
		"{\"resourceType\":\"Observation\",\"id\":\"o2\",\"status\":\"final\",\"code\":{\"text\":\"x\"},\"subject\":{\"reference\":\"Patient/absent\"}}\n")
	write("zz.json", `{"resourceType":"Bundle","type":"collection","entry":[
		{"fullUrl":"urn:uuid:d1","resource":{"resourceType":"Practitioner","id":"d1"}},
		{"resource":{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient?identifier=nobody"}}},
		{"resource":{"resourceType":"Nonsense","id":"c1"}},
		{"request":{"method":"DELETE","url":"Patient/p1"},"resource":{"resourceType":"Patient","id":"p1"}}]}`)
	write("broken.json", `{"resourceType":`)
	write("ignored.txt", `{`)
	s := newServer(t)
	r := load(t, s, dir)
	enc := s.do("GET", "Encounter/e1", "").want(200)
	for _, want := range []string{`"reference":"Practitioner/d1"`, `"reference":"Patient/p1"`} {
		if !strings.Contains(string(enc.body), want) {
			t.Errorf("no %s in %s", want, enc.body)
		}
	}
	if r.Duplicates != 1 || r.Created != 6 || r.Files != 5 {
		t.Errorf("report %+v", r)
	}
	if len(r.Dangling) != 1 || r.Dangling[0] != "Patient/absent" {
		t.Errorf("dangling %v", r.Dangling)
	}
	var text []string
	for _, w := range r.Warnings {
		text = append(text, w.String())
	}
	for _, want := range []string{"broken.json", "Patient?identifier=nobody", "no resource of FHIR R4", "request DELETE"} {
		if !strings.Contains(strings.Join(text, "\n"), want) {
			t.Errorf("no warning about %s in %q", want, text)
		}
	}
	if len(r.Warnings) != 4 {
		t.Errorf("%d warnings: %q", len(r.Warnings), text)
	}
}
