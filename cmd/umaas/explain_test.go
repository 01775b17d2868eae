package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
)

const vaccination = `{"resourceType":"Immunization","status":"completed","patient":{"reference":"Patient/%s"},"vaccineCode":{"text":"Influenza"},"occurrenceDateTime":"2026-01-01"}`

// TestExplain asks why, for every way a request can go, and holds the gateway's explanation against what an app really gets.
func TestExplain(t *testing.T) {
	file, w := hospital(t)
	running(t, file)
	who := w.People[0]
	rpt, launch, app := share(t, w, who, demo.Scopes, "See your allergies", "Add to your vaccinations")
	other := w.People[1].Patient
	body := written(t, "body.json", fmt.Sprintf(vaccination, launch.Patient))
	foreign := written(t, "foreign.json", fmt.Sprintf(vaccination, other))
	for _, c := range []struct {
		name, request, body string
		write               bool // permitted, and stopped before the FHIR server
		status              int  // else
		steps               []string
		verdict             string
	}{
		{"read", "GET AllergyIntolerance?patient=" + launch.Patient, "", false, 200, []string{"✓ token: rpt of client", "✓ permission on the record of Patient/" + launch.Patient, "✓ FHIR server: GET AllergyIntolerance?"}, "permitted: 200, "},
		{"absolute", "get " + launch.FHIRBase + "/AllergyIntolerance?patient=" + launch.Patient, "", false, 200, []string{"✓ FHIR server"}, "permitted"},
		{"other type", "GET Condition?patient=" + launch.Patient, "", false, 401, []string{"✗ ticket: refused; the app would get a ticket to ask for patient/Condition.s on the record of Patient/" + launch.Patient}, "refused with 401"},
		{"other patient", "GET AllergyIntolerance?patient=" + other, "", false, 401, []string{"✗ ticket: refused; the app would get a ticket to ask the owner of Patient/" + other}, "refused with 401"},
		{"unknown route", "GET Nonsense/1", "", false, 404, nil, "refused with 404: There is no such endpoint."},
		{"write", "POST Immunization", body, true, 0, []string{"✓ FHIR server: would be sent POST Immunization"}, "permitted: the FHIR server would be asked to write now"},
		{"write to another's record", "POST Immunization", foreign, false, 401, []string{"✗ ticket: refused; the app would get a ticket to ask the owner of Patient/" + other}, "refused with 401"},
		{"delete", "DELETE AllergyIntolerance/1", "", false, 401, []string{"✗ ticket"}, "refused with 401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"explain", "--config", file, "--request", c.request}
			if c.body != "" {
				args = append(args, "--body", c.body)
			}
			out := must(t, rpt+"\n", args...)
			for _, want := range append(c.steps, "Authorization server: the token is active. Grant of", "✓ grant: not withdrawn", "→ "+c.verdict) {
				if !strings.Contains(out, want) {
					t.Errorf("not told: %s\n%s", want, out)
				}
			}
			if strings.Contains(out, rpt) {
				t.Error("the token is printed")
			}
			x := mustJSON[explained](t, rpt+"\n", args...)
			if x.Request == nil || x.Token == nil || x.Request.Status != c.status {
				t.Fatalf("%+v", x.Request)
			}
			if c.write {
				return
			}
			method, target, _ := strings.Cut(c.request, " ")
			if !strings.Contains(target, "://") {
				target = launch.FHIRBase + "/" + target
			}
			var resource any
			if c.body == foreign {
				resource = json.RawMessage(fmt.Sprintf(vaccination, other))
			}
			if status, raw := asks(t, app, strings.ToUpper(method), target, rpt, resource); status != c.status {
				t.Errorf("an app really gets %d, explained was %d: %s", status, c.status, raw)
			}
		})
	}
	refused(t, "not below this gateway's FHIR base", rpt+"\n", "explain", "--config", file, "--request", "GET https://elsewhere.example/Patient/1")
	refused(t, "want a method and a URL", rpt+"\n", "explain", "--config", file, "--request", "GET")
	if s := cli(t, "unknown.token\n", "explain", "--config", file, "--request", "GET Patient/1"); s.err == nil || !strings.Contains(s.err.Error(), "did not issue such a token") || !strings.Contains(s.out, "✗ token: not active for this gateway") {
		t.Errorf("unknown token: %v\n%s", s.err, s.out)
	}

	ps := mustJSON[[]server.PolicyView](t, "", "policy", "list", who.Login, "--config", file)
	if len(ps) != 1 || !ps[0].Revoked.IsZero() || !strings.Contains(strings.Join(ps[0].What, ";"), "llergies") {
		t.Fatalf("policies: %+v", ps)
	}
	refused(t, "has no policy", "", "policy", "stop", w.People[1].Login, string(ps[0].ID), "--config", file)
	must(t, "", "policy", "stop", who.Login, string(ps[0].ID), "--config", file)
	status := http.StatusOK
	for i := 0; i < 100 && status == http.StatusOK; i++ { // an introspection may be remembered for 500 ms
		time.Sleep(20 * time.Millisecond)
		status, _ = asks(t, app, http.MethodGet, launch.FHIRBase+"/AllergyIntolerance?patient="+launch.Patient, rpt, nil)
	}
	out := must(t, rpt+"\n", "explain", "--config", file, "--request", "GET AllergyIntolerance?patient="+launch.Patient)
	for _, want := range []string{"the token is not active", "✗ ", "✗ token: not active for this gateway", "→ refused with 401"} {
		if !strings.Contains(out, want) {
			t.Errorf("after the share was stopped, not told: %s\n%s", want, out)
		}
	}
	if out := must(t, "", "policy", "list", who.Login, "--config", file); !strings.Contains(out, string(ps[0].ID)) {
		t.Errorf("a stopped policy is not listed:\n%s", out)
	}
}
