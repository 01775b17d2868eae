package resourceserver_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

func observation(id, subject, category string, more ...string) string {
	text := `{"resourceType":"Observation"`
	if id != "" {
		text += `,"id":"` + id + `"`
	}
	text += `,"status":"final","category":[{"coding":[{"code":"` + category + `"}]}],"code":{"text":"x"},"subject":{"reference":"` + subject + `"}`
	return text + strings.Join(more, "") + `}`
}

// TestSEC_85_GW_06_Combinations: of old in/out × new in/out only in-in passes, for PUT and for PATCH.
func TestSEC_85_GW_06_Combinations(t *testing.T) {
	for _, c := range []struct {
		name, id, category string
		status             int
	}{
		{"in in", "lab1", "laboratory", 200}, {"in out", "lab1", "vital-signs", 403},
		{"out in", "vit1", "laboratory", 404}, {"out out", "vit1", "vital-signs", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJudged(t)
			p := j.as.RecordOf("p1")
			p.Scopes, p.Constraints = []string{"patient/Observation.u"}, []uma.Constraint{{Type: "query", Value: "category=laboratory"}}
			token := j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Permissions: []rs.Permitted{p}})
			patch := `[{"op":"replace","path":"/category/0/coding/0/code","value":"` + c.category + `"}]`
			j.want(j.do("PATCH", "/Observation/"+c.id, token, patch, "Content-Type", "application/json-patch+json"), c.status, "")
			j.want(j.do("PUT", "/Observation/"+c.id, token, observation(c.id, "Patient/p1", c.category)), c.status, "")
			wrote := 0
			for _, call := range j.up.take() {
				if call.Method != http.MethodGet {
					wrote++
					if call.Method != http.MethodPut || call.IfMatch == "" {
						t.Errorf("GW-49: %s without the judged version", call.Method)
					}
				}
			}
			if want := map[bool]int{true: 2, false: 0}[c.status == 200]; wrote != want {
				t.Errorf("%d writes, want %d", wrote, want)
			}
		})
	}
}

func TestWriteRules(t *testing.T) {
	j := newJudged(t)
	scopes := []string{"patient/Observation.cruds", "patient/Immunization.c", "patient/Patient.cu", "patient/Practitioner.cu", "patient/Group.u", "patient/Provenance.u", "patient/Encounter.r", "patient/Appointment.c"}
	token := j.oauth(scopes...)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		issue                    string
	}{
		{"create", "POST", "/Observation", observation("", "Patient/p1", "laboratory"), 201, ""},
		{"create for another", "POST", "/Observation", observation("", "Patient/p2", "laboratory"), 403, "forbidden"},
		{"GW-20 create naming another as performer", "POST", "/Observation", observation("", "Patient/p1", "x", `,"performer":[{"reference":"Patient/p2"}]`), 403, "forbidden"},
		{"create without a subject", "POST", "/Observation", `{"resourceType":"Observation","status":"final"}`, 403, "forbidden"},
		{"create under our own base", "POST", "/Observation", observation("", publicBase+"/Patient/p1", "laboratory"), 201, ""},
		{"absolute reference to the upstream", "POST", "/Observation", observation("", upstreamBase+"/Patient/p2", "laboratory"), 403, "forbidden"},
		{"escaped reference to the upstream", "POST", "/Observation", observation("", strings.ReplaceAll(upstreamBase, "/", `\/`)+`\/Patient\/p2`, "laboratory"), 403, "forbidden"},
		{"foreign subject", "POST", "/Observation", observation("", "https://elsewhere.example/Patient/p1", "x"), 403, "forbidden"},
		{"conditional subject", "POST", "/Observation", observation("", "Patient?identifier=1", "x"), 403, "forbidden"},
		{"GW-28 conditional reference", "POST", "/Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"Encounter?identifier=1"}`), 412, "conflict"},
		{"GW-46 own encounter", "POST", "/Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"Encounter/e1"}`), 201, ""},
		{"GW-46 hidden encounter", "POST", "/Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"Encounter/e2"}`), 422, "invariant"},
		{"GW-46 shared type is exempt", "POST", "/Observation", observation("", "Patient/p1", "x", `,"performer":[{"reference":"Practitioner/unknown"}]`), 201, ""},
		{"GW-25 contained of another", "POST", "/Observation", observation("", "Patient/p1", "x", `,"contained":[{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p2"}}],"hasMember":[{"reference":"#c"}]`), 403, "forbidden"},
		{"GW-25 subsetted", "POST", "/Observation", observation("", "Patient/p1", "x", `,"meta":{"tag":[{"code":"SUBSETTED"}]}`), 422, "invariant"},
		{"GW-26 new patient", "POST", "/Patient", `{"resourceType":"Patient"}`, 403, "forbidden"},
		{"GW-26 new patient that claims to be me", "POST", "/Patient", `{"resourceType":"Patient","id":"p1"}`, 403, "forbidden"},
		{"GW-20 two subjects, one elsewhere", "POST", "/Appointment", `{"resourceType":"Appointment","status":"booked","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"},{"actor":{"reference":"https://elsewhere.example/Patient/x"},"status":"accepted"}]}`, 403, "forbidden"},
		{"GW-46 hidden encounter behind an escaped base", "POST", "/Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"`+strings.ReplaceAll(upstreamBase, "/", `\/`)+`\/Encounter\/e2"}`), 422, "invariant"},
		{"GW-46 hidden encounter in an update", "PUT", "/Observation/lab1", observation("lab1", "Patient/p1", "x", `,"encounter":{"reference":"Encounter/e2"}`), 422, "invariant"},
		{"GW-46 a reference that was there", "PUT", "/Observation/lab1", observation("lab1", "Patient/p1", "x", `,"encounter":{"reference":"Encounter/e1"}`), 200, ""},
		{"own patient", "PUT", "/Patient/p1", `{"resourceType":"Patient","id":"p1"}`, 200, ""},
		{"other patient", "PUT", "/Patient/p2", `{"resourceType":"Patient","id":"p2"}`, 404, "not-found"},
		{"(d) shared type", "POST", "/Practitioner", `{"resourceType":"Practitioner"}`, 403, "forbidden"},
		{"groups", "PUT", "/Group/g1", `{"resourceType":"Group","id":"g1","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}}]}`, 403, "forbidden"},
		{"LB-14 provenance", "PUT", "/Provenance/pr12", `{"resourceType":"Provenance","id":"pr12","target":[{"reference":"Observation/lab1"}],"recorded":"2024-03-01T00:00:00Z","agent":[{"who":{"reference":"Patient/p1"}}]}`, 403, "forbidden"},
		{"no scope", "POST", "/Condition", `{"resourceType":"Condition"}`, 403, "forbidden"},
		{"GW-30 update-as-create", "PUT", "/Observation/new", observation("new", "Patient/p1", "x"), 404, "not-found"},
		{"GW-29 overwrite hidden", "PUT", "/Observation/lab2", observation("lab2", "Patient/p1", "x"), 404, "not-found"},
		{"give away", "PUT", "/Observation/lab1", observation("lab1", "Patient/p2", "x"), 403, "forbidden"},
		{"GW-32 label added", "PUT", "/Observation/lab1", observation("lab1", "Patient/p1", "x", `,"meta":{"security":[{"system":"s","code":"c"}]}`), 403, "forbidden"},
		{"GW-32 tag added", "PUT", "/Observation/lab1", observation("lab1", "Patient/p1", "x", `,"meta":{"tag":[{"system":"s","code":"c"}]}`), 403, "forbidden"},
		{"GW-32 loosening label on create", "POST", "/Observation", observation("", "Patient/p1", "x", `,"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"L"}]}`), 403, "forbidden"},
		{"type in body", "PUT", "/Observation/lab1", `{"resourceType":"Condition","id":"lab1"}`, 400, "invalid"},
		{"id in body", "PUT", "/Observation/lab1", observation("vit1", "Patient/p1", "x"), 400, "invalid"},
		{"twice the same member", "POST", "/Observation", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"subject":{"reference":"Patient/p2"}}`, 400, "structure"},
		{"not JSON", "POST", "/Observation", `<Observation/>`, 400, "structure"},
		{"delete hidden", "DELETE", "/Observation/lab2", "", 404, "not-found"},
		{"delete own", "DELETE", "/Observation/vit1", "", 204, ""},
		{"delete again", "DELETE", "/Observation/vit1", "", 404, "not-found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j.t = t
			r := j.do(c.method, c.path, token, c.body)
			j.want(r, c.status, c.issue)
			if c.status == 201 && !strings.HasPrefix(r.Header.Get("Location"), publicBase+"/Observation/") {
				t.Errorf("Location %q", r.Header.Get("Location"))
			}
		})
	}
	j.t = t
	j.want(j.do("POST", "/Observation", token, "x", "Content-Type", "text/plain"), 415, "not-supported")
	j.want(j.do("PATCH", "/Observation/lab1", token, "[]"), 415, "not-supported")
	j.want(j.do("PUT", "/Observation/lab1", token, observation("lab1", "Patient/p1", "x"), "If-Match", `W/"99"`), 412, "conflict")
	j.want(j.do("PUT", "/Observation/lab2", token, observation("lab2", "Patient/p1", "x"), "If-Match", `W/"99"`), 404, "not-found")
}

func TestPrefer(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.c")
	body := observation("", "Patient/p1", "laboratory")
	if r := j.do("POST", "/Observation", token, body); r.json["resourceType"] != "Observation" || r.Header.Get("ETag") == "" {
		t.Errorf("representation: %s", r.body)
	}
	if r := j.do("POST", "/Observation", token, body, "Prefer", "return=minimal"); r.body != "" || r.Header.Get("Location") == "" {
		t.Errorf("minimal: %s", r.body)
	}
	if r := j.do("POST", "/Observation", token, body, "Prefer", "return=OperationOutcome"); r.json["resourceType"] != "OperationOutcome" {
		t.Errorf("outcome: %s", r.body)
	}
}

func TestGW_31_Patch(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Observation.ru")
	patch := func(text string) reply {
		return j.do("PATCH", "/Observation/lab1", token, text, "Content-Type", "application/json-patch+json")
	}
	r := patch(`[{"op":"test","path":"/status","value":"final"},{"op":"add","path":"/note","value":[{"text":"n"}]},{"op":"copy","from":"/note/0","path":"/note/-"},{"op":"move","from":"/effectiveDateTime","path":"/issued"},{"op":"replace","path":"/issued","value":"2024-01-01T00:00:00Z"},{"op":"remove","path":"/performer/0"},{"op":"remove","path":"/performer"}]`)
	j.want(r, 200, "")
	if !strings.Contains(r.body, "140.50") || strings.Count(r.body, `"text":"n"`) != 2 || strings.Contains(r.body, "performer") {
		t.Error(r.body)
	}
	for _, bad := range []string{
		`[{"op":"test","path":"/status","value":"amended"}]`, `[{"op":"remove","path":"/nothing"}]`, `[{"op":"replace","path":"/id","value":"z"}]`,
		`[{"op":"replace","path":"/resourceType","value":"Condition"}]`, `[{"op":"add","path":"/note/9","value":1}]`,
		`[{"op":"move","from":"/note","path":"/note/0"}]`, `[{"op":"replace","path":"","value":1}]`, `[{"op":"remove","path":""}]`,
	} {
		r := patch(bad)
		j.want(r, 422, "processing")
		if !strings.Contains(r.body, "The patch cannot be applied.") {
			t.Errorf("%s tells more than that it failed: %s", bad, r.body)
		}
	}
	before := len(j.as.Events())
	j.want(patch(`[{"op":"test","path":"/status","value":"amended"}]`), 422, "processing")
	if events := j.as.Events()[before:]; len(events) != 1 || events[0].Outcome != "refused" || events[0].Interaction != "patch" {
		t.Errorf("a failing test asks about the content and is told to the owner: %+v", events)
	}
	// Malformed whatever is stored: an operation that never applies does not tell whether the test before it held.
	for _, bad := range []string{`{}`, `[{"op":"spin","path":"/status"}]`, `[{"op":"add","path":"/x"}]`,
		`[{"op":"test","path":"/status","value":"final"},{"op":"spin","path":"/"}]`, `[{"op":"test","path":"/status","value":"no"},{"op":"spin","path":"/"}]`} {
		j.want(patch(bad), 400, "structure")
	}
	bomb := "[" + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"","path":"/x"},`, 100), ",") + "]"
	j.want(patch(bomb), 422, "processing")
	for _, subject := range []string{"Patient/p2", upstreamBase + "/Patient/p2", publicBase + "/Patient/p2"} {
		j.want(patch(`[{"op":"replace","path":"/subject/reference","value":"`+subject+`"}]`), 403, "forbidden")
	}
	j.want(patch(`[{"op":"add","path":"/meta/security","value":[{"system":"x","code":"y"}]}]`), 403, "forbidden")
}

func TestGW_27_28_Conditional(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Observation.cruds")
	lab, none := "category=laboratory", "category=nothing"
	body := observation("", "Patient/p1", "laboratory")
	r := j.do("POST", "/Observation", token, body, "If-None-Exist", lab)
	if j.want(r, 200, ""); r.json["id"] != "lab1" {
		t.Errorf("found %v", r.json["id"])
	}
	j.want(j.do("POST", "/Observation", token, body, "If-None-Exist", "_id=lab2"), 201, "") // hidden ones do not count
	j.want(j.do("POST", "/Observation", token, body, "If-None-Exist", lab), 412, "conflict")
	for _, call := range j.up.take() {
		if call.Method == http.MethodPost && strings.Contains(call.Query, "category") {
			t.Error("the criterion went upstream with the write")
		}
	}
	j.want(j.do("POST", "/Observation", token, body, "If-None-Exist", "nonsense=1"), 412, "not-supported")
	j.want(j.do("POST", "/Observation", j.oauth("patient/Observation.c"), body, "If-None-Exist", none), 403, "forbidden")
	j.want(j.do("PUT", "/Observation?_id=vit1", token, observation("", "Patient/p1", "vital-signs")), 200, "")
	j.want(j.do("PUT", "/Observation?_id=lab2", token, observation("", "Patient/p1", "x")), 412, "conflict")
	j.want(j.do("DELETE", "/Observation?"+none, token, ""), 412, "conflict")
	j.want(j.do("DELETE", "/Observation", token, ""), 412, "not-supported")
	j.want(j.do("DELETE", "/Observation?"+lab, token, ""), 412, "conflict") // two of mine by now
	j.want(j.do("DELETE", "/Observation?_id=lab1", token, ""), 204, "")
	j.want(j.do("DELETE", "/Observation?_id=lab2", token, ""), 412, "conflict")
	if _, err := j.store.Read("Observation", "lab2"); err != nil {
		t.Errorf("another's row: %v", err)
	}
}

// TestGW_49_Race: the stored version changes between judging and writing; the second judging refuses.
func TestGW_49_Race(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Observation.u")
	raced := false
	j.up.alter = func(r rs.UpstreamRequest, _ *rs.UpstreamResponse) {
		if r.Method == http.MethodGet && !raced {
			raced = true
			_, err := j.up.Upstream.Do(context.Background(), rs.UpstreamRequest{Method: "PUT", Path: "Observation/lab1", ContentType: "application/fhir+json", Body: []byte(observation("lab1", "Patient/p2", "x"))})
			if err != nil {
				t.Error(err)
			}
		}
	}
	j.want(j.do("PUT", "/Observation/lab1", token, observation("lab1", "Patient/p1", "x")), 404, "not-found")
	got, err := j.store.Read("Observation", "lab1")
	if err != nil || !strings.Contains(string(got.Raw()), "Patient/p2") {
		t.Errorf("the other's version was overwritten: %s %v", got.Raw(), err)
	}
}

func bundle(kind string, entries ...string) string {
	return `{"resourceType":"Bundle","type":"` + kind + `","entry":[` + strings.Join(entries, ",") + `]}`
}

func entry(method, url, resource string, more ...string) string {
	text := `{"request":{"method":"` + method + `","url":"` + url + `"}`
	if resource != "" {
		text += `,"resource":` + resource
	}
	return text + strings.Join(more, "") + `}`
}

func (r reply) statuses() string {
	var list []string
	entries, _ := r.json["entry"].([]any)
	for _, e := range entries {
		m, _ := e.(map[string]any)
		resp, _ := m["response"].(map[string]any)
		list = append(list, fmt.Sprint(resp["status"]))
	}
	return strings.Join(list, " ")
}

func TestGW_26_Batch(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Observation.cruds")
	r := j.do("POST", "", token, bundle("batch",
		entry("GET", "Observation/lab1", ""), entry("GET", "Observation/lab2", ""), entry("GET", "Observation?patient=p1&category=laboratory", ""),
		entry("POST", "Observation", observation("", "Patient/p1", "x")), entry("POST", "Observation", observation("", "Patient/p2", "x")),
		entry("GET", "Condition/c1", ""), entry("DELETE", "Observation/lab2", ""), entry("POST", "", `{"resourceType":"Bundle","type":"batch"}`),
		entry("GET", "https://elsewhere.example/Observation/lab1", ""), entry("GET", "Patient/p1/$graphql", ""), entry("GET", "AuditEvent", ""),
		entry("PATCH", "Observation/lab1", `{"resourceType":"Binary","contentType":"application/json-patch+json","data":"W3sib3AiOiJyZXBsYWNlIiwicGF0aCI6Ii9zdGF0dXMiLCJ2YWx1ZSI6ImFtZW5kZWQifV0="}`),
		entry("GET", publicBase+"/Observation/lab1", ""), entry("POST", "Observation/_search?category=laboratory", ""),
	))
	j.want(r, 200, "")
	if got, want := r.statuses(), "200 404 200 201 403 403 404 400 400 404 404 200 200 200"; got != want {
		t.Errorf("statuses\n%s, want\n%s", got, want)
	}
	if strings.Contains(r.body, "Patient/p2") {
		t.Errorf("another's data: %s", r.body)
	}
}

func TestSEC_97_GW_26_Transaction(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Observation.cruds", "patient/Encounter.crus")
	const urn = "urn:uuid:0b5a1f0e-0000-4000-8000-000000000001"
	enc := `{"resourceType":"Encounter","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"}}`
	good := bundle("transaction",
		entry("POST", "Encounter", enc, `,"fullUrl":"`+urn+`"`),
		entry("POST", "Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"`+urn+`"}`)),
		entry("PUT", "Observation/lab1", observation("lab1", "Patient/p1", "changed")),
		entry("GET", "Observation/lab1", ""), entry("DELETE", "Observation/vit1", ""),
	)
	r := j.do("POST", "", token, good)
	j.want(r, 200, "")
	if got := r.statuses(); got != "201 201 200 200 204" {
		t.Errorf("statuses %s: %s", got, r.body)
	}
	if !strings.Contains(r.body, `"changed"`) || !strings.Contains(r.body, publicBase+"/Encounter/") || strings.Contains(r.body, "upstream.internal") {
		t.Error(r.body)
	}
	for name, bad := range map[string]string{
		"another's row":    entry("DELETE", "Observation/lab2", ""),
		"absent row":       entry("DELETE", "Observation/zzz2", ""),
		"outside context":  entry("POST", "Observation", observation("", "Patient/p2", "x")),
		"no scope":         entry("POST", "Condition", `{"resourceType":"Condition","subject":{"reference":"Patient/p1"}}`),
		"unread GET":       entry("GET", "Condition/c1", ""),
		"patient creation": entry("POST", "Patient", `{"resourceType":"Patient"}`),
		"urn subject":      entry("POST", "Observation", observation("", urn, "x")),
	} {
		t.Run(name, func(t *testing.T) {
			j.t = t
			j.up.take()
			j.want(j.do("POST", "", token, bundle("transaction", entry("POST", "Encounter", enc), bad)), 403, "forbidden")
			for _, call := range j.up.take() {
				if call.Method != http.MethodGet {
					t.Errorf("%s %s went upstream", call.Method, call.Path)
				}
			}
		})
	}
	j.t = t
	j.want(j.do("POST", "", token, bundle("transaction", entry("POST", "Observation", observation("", "Patient/p1", "x", `,"encounter":{"reference":"urn:uuid:nobody"}`)))), 422, "")
	rpt := j.rpt("patient/Observation.c")
	before := len(j.as.Tickets())
	r = j.do("POST", "", rpt, bundle("transaction", entry("POST", "Observation", observation("", "Patient/p1", "x")), entry("POST", "Condition", `{"resourceType":"Condition"}`), entry("DELETE", "Observation/lab1", "")))
	if j.want(r, 401, "login"); len(j.as.Tickets())-before != 1 || !strings.Contains(r.Header.Get("WWW-Authenticate"), "ticket") {
		t.Errorf("%d tickets, %v", len(j.as.Tickets())-before, r.Header)
	}
	// A conditional create that exists stands in for its fullUrl.
	r = j.do("POST", "", token, bundle("transaction",
		entry("POST", "Encounter", enc, `,"fullUrl":"`+urn+`"`), entry("POST", "Observation", observation("", "Patient/p1", "linked", `,"encounter":{"reference":"`+urn+`"}`))))
	j.want(r, 200, "")
	existing := strings.Replace(entry("POST", "Encounter", enc, `,"fullUrl":"`+urn+`"`), `"url":"Encounter"`, `"url":"Encounter","ifNoneExist":"_id=e1"`, 1)
	r = j.do("POST", "", token, bundle("transaction", existing, entry("POST", "Observation", observation("", "Patient/p1", "found", `,"encounter":{"reference":"`+urn+`"}`))))
	if j.want(r, 200, ""); r.statuses() != "200 201" {
		t.Errorf("statuses %s", r.statuses())
	}
	if found := j.get("/Observation?category=found", token); !strings.Contains(found.body, `"Encounter/e1"`) {
		t.Errorf("the reference was not resolved: %s", found.body)
	}
}

type brokenRecorder struct{ after int }

func (b *brokenRecorder) Record(context.Context, []rs.Event) error {
	if b.after--; b.after < 0 {
		return errors.New("disk full")
	}
	return nil
}

// TestAU_02_NoRecordNoAnswer: without a record nothing is shown, and nothing is written.
func TestAU_02_NoRecordNoAnswer(t *testing.T) {
	j := newJudged(t)
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Recorder = &brokenRecorder{} })
	token := j.rpt("patient/Observation.cruds")
	r := j.get("/Observation/lab1", token)
	j.want(r, 503, "transient")
	if strings.Contains(r.body, "140") {
		t.Error("data was shown")
	}
	j.up.take()
	j.want(j.do("DELETE", "/Observation/lab1", token, ""), 503, "transient")
	for _, call := range j.up.take() {
		if call.Method != http.MethodGet {
			t.Errorf("%s went upstream unrecorded", call.Method)
		}
	}
	j = newJudged(t)
	token = j.rpt("patient/Observation.c")
	j.want(j.do("POST", "/Observation", token, observation("", "Patient/p1", "x")), 201, "")
	events := j.as.Events()
	if len(events) != 2 || events[0].Reason != "intent" || events[1].Reason != "" || events[0].RequestID != events[1].RequestID || events[1].Count != 1 {
		t.Errorf("intent and outcome: %+v", events)
	}
}

func TestCount(t *testing.T) {
	j := newJudged(t)
	e := j.h.(*rs.Enforcer)
	set := rs.Set{Issuer: j.as.Issuer, ResourceID: "r", Level: rs.LevelRecord, User: "user-p1", Patient: "p1"}
	j.as.Relate("user-p1", "p1", "patient/*.cruds")
	got, err := e.Count(t.Context(), set, []uma.Permission{
		{ResourceID: "r", Scopes: []string{"patient/Observation.r", "patient/Observation.s"}, Constraints: []uma.Constraint{{Type: "query", Value: "category=laboratory"}, {Type: "client", Value: "x"}}},
		{ResourceID: "r", Scopes: []string{"patient/AllergyIntolerance.r", "patient/Condition.c"}},
	})
	if err != nil || fmt.Sprint(got) != "map[AllergyIntolerance:1 Observation:1]" {
		t.Errorf("%v %v", got, err)
	}
}
