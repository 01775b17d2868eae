package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// records writes a small folder of FHIR: a bundle whose entries refer to each other, a single resource, lines.
func records(t *testing.T, patient string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"1-allergies.json": fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
 {"fullUrl":"urn:uuid:11111111-1111-4111-8111-111111111111","resource":{"resourceType":"AllergyIntolerance","id":"a1","patient":{"reference":"Patient/%[1]s"},"code":{"text":"Peanut"}},"request":{"method":"PUT","url":"AllergyIntolerance/a1"}},
 {"fullUrl":"urn:uuid:22222222-2222-4222-8222-222222222222","resource":{"resourceType":"AllergyIntolerance","id":"a2","patient":{"reference":"Patient/%[1]s"},"code":{"text":"Pollen"}},"request":{"method":"PUT","url":"AllergyIntolerance/a2"}}]}`, patient),
		"2-patient.json": fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":"Sample","given":["Pat"]}],"birthDate":"1980-01-01"}`, patient),
		"3-more.ndjson": fmt.Sprintf(`{"resourceType":"AllergyIntolerance","id":"a3","patient":{"reference":"Patient/%[1]s"},"code":{"text":"Wasp"}}
{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/%[1]s"},"code":{"text":"Asthma"}}
`, patient),
	} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestFHIRLoad(t *testing.T) {
	p := ports(t, 1)[0]
	file := written(t, "c.yaml", fmt.Sprintf("name: Store\ndata: %s\nroles: [fhir]\nfhir: {listen: '127.0.0.1:%s', authorization: 'Bearer only-the-gateway'}\n", filepath.Join(t.TempDir(), "new"), p))
	dir := records(t, "pat")
	if out := must(t, "", "fhir", "load", dir, "--config", file); !strings.Contains(out, "3 files: 5 created") {
		t.Errorf("first time: %s", out)
	}
	if out := must(t, "", "fhir", "load", dir, "--config", file); strings.Contains(out, "5 created") {
		t.Errorf("second time: %s", out)
	}
	check(t, os.WriteFile(filepath.Join(dir, "4-bad.json"), []byte(`{"resourceType":"Patient","id":`), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "5-good.json"), []byte(`{"resourceType":"Patient","id":"late"}`), 0o600))
	s := cli(t, "", "fhir", "load", dir, "--config", file)
	if s.err == nil || !strings.Contains(s.err.Error(), "1 warning") || !strings.Contains(s.errs, "4-bad.json") || !strings.Contains(s.out, "1 created") {
		t.Errorf("a bad file: %v\n%s%s", s.err, s.out, s.errs)
	}
	refused(t, "no such file", "", "fhir", "load", "/nowhere", "--config", file)
}
