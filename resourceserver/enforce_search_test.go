package resourceserver_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

func TestSEC_77_80_Search(t *testing.T) {
	j := newJudged(t)
	j.as.Relate("u12", "p1", "patient/*.rs")
	j.as.Relate("u12", "p2", "patient/Observation.rs")
	obs := j.rpt("patient/Observation.rs")
	both := j.user("u12", "user/*.rs")
	ownObs := []string{"Observation/lab1", "Observation/vit1", "Observation/perf1", "Observation/cont1"}
	for _, c := range []struct {
		name, path, token string
		rows              []string
	}{
		{"whole type", "/Observation", obs, ownObs},
		{"named patient", "/Observation?patient=p1", obs, []string{"Observation/lab1", "Observation/vit1", "Observation/cont1"}},
		{"reference form", "/Observation?subject=Patient/p1&category=laboratory", obs, []string{"Observation/lab1"}},
		{"own base", "/Observation?subject=" + publicBase + "/Patient/p1&category=laboratory", obs, []string{"Observation/lab1"}},
		{"compartment", "/Patient/p1/Observation?category=laboratory", obs, []string{"Observation/lab1"}},
		{"GW-13 or-list", "/Observation?patient=p1,p2&category=laboratory", obs, []string{"Observation/lab1"}},
		{"by id of another", "/Observation?_id=lab2", obs, nil},
		{"shared type", "/Practitioner", j.rpt("patient/Practitioner.rs"), []string{"Practitioner/dr"}},
		{"devices", "/Device", j.rpt("patient/Device.rs"), []string{"Device/d0", "Device/d1"}},
		{"patients", "/Patient", j.rpt("patient/Patient.rs"), []string{"Patient/p1"}},
		{"GW-50 two patients", "/Observation?category=laboratory", both, []string{"Observation/lab1", "Observation/lab2"}},
		{"GW-50 relation by type", "/Condition", both, []string{"Condition/c1"}},
		{"GW-08 include", "/Observation?_id=lab1&_include=Observation:encounter", j.rpt("patient/Observation.rs", "patient/Encounter.r"), []string{"Observation/lab1", "Encounter/e1"}},
		{"GW-08 include without scope", "/Observation?_id=lab1&_include=Observation:encounter", obs, []string{"Observation/lab1"}},
		{"GW-08 include wildcard", "/Observation?_id=lab1&_include=Observation:*", j.rpt("patient/Observation.rs", "patient/Encounter.r", "patient/Practitioner.r"), []string{"Observation/lab1", "Encounter/e1", "Practitioner/dr"}},
		{"GW-08 modifier does not slip by", "/Observation?_id=lab1&_include:iterate=Observation:encounter", obs, []string{"Observation/lab1"}},
		{"GW-08 revinclude", "/Encounter?_id=e1&_revinclude=Observation:encounter", j.rpt("patient/Observation.rs", "patient/Encounter.rs"), []string{"Observation/lab1", "Encounter/e1"}},
		{"GW-12 unknown parameter is dropped", "/Observation?nonsense=1&category=laboratory", obs, []string{"Observation/lab1"}},
		{"pushed constraint", "/Observation", j.with([]string{"patient/Observation.s"}, uma.Constraint{Type: "query", Value: "category=vital-signs"}), []string{"Observation/vit1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j.t = t
			r := j.get(c.path, c.token)
			j.wantRows(r, c.rows...)
			if _, ok := r.json["total"]; ok {
				t.Error("GW-10: a total was told")
			}
		})
	}
}

func TestGW_12_PostSearch(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.rs")
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	r := j.do("POST", "/Observation/_search", token, "category=laboratory", form...)
	j.wantRows(r, "Observation/lab1")
	if strings.Contains(fmt.Sprint(r.json["link"]), "category") {
		t.Error("a parameter of a form stands in a link")
	}
	j.wantRows(j.do("POST", "/Observation/_search?category=laboratory", token, "_id=vit1", form...))
	j.wantRows(j.do("POST", "/Patient/p1/Observation/_search", token, "category=laboratory", form...), "Observation/lab1")
	j.want(j.do("POST", "/Observation/_search", token, "patient=p2", form...), 401, "login")
	j.want(j.do("POST", "/Observation/_search", token, "{}"), 415, "not-supported")
	j.want(j.do("GET", "/Observation?nonsense=1", token, "", "Prefer", "handling=strict"), 400, "not-supported")
	j.wantRows(j.do("GET", "/Observation?category=laboratory", token, "", "X-HTTP-Method-Override", "DELETE"), "Observation/lab1")
}

// TestSEC_89_GW_09_Indirect: every way to ask about other rows is refused before the upstream is touched.
func TestSEC_89_GW_09_Indirect(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/*.rs")
	j.up.take()
	for _, path := range []string{
		"/Observation?subject.name=Two", "/Observation?subject:Patient.name=Two", "/Patient?_has:Observation:patient:code=x", "/Observation?_filter=x",
		"/Observation?_text=x", "/Observation?_content=x", "/Observation?_list=l1", "/Observation?_query=x", "/Observation?_sort=subject.name", "/Patient/p1/_history?_list=x",
	} {
		j.want(j.get(path, token), 403, "forbidden")
	}
	for _, path := range []string{"/?_type=Observation", "/_search"} {
		if r := j.get(path, token); r.StatusCode != 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	for _, path := range []string{"/Patient/$everything", "/$export", "/Patient/$export", "/Group/g1/$export", "/Patient/p1/$graphql", "/Observation/$lastn", "/Patient/$match", "/Observation/lab1/$meta"} {
		j.want(j.get(path, token), 404, "not-supported")
	}
	for _, path := range []string{"/Observation?subject=https://elsewhere.example/Patient/p1", "/Observation?patient=Patient/p1/x/y", "/Observation?patient=", "/Observation?patient=p1,%20x"} {
		j.want(j.get(path, token), 400, "value")
	}
	if n := len(j.up.take()); n != 0 {
		t.Errorf("%d upstream calls", n)
	}
}

// TestSEC_91_GW_11_Paging: pages are filled with visible rows, continue without loss, and their handles work for one caller only.
func TestSEC_91_GW_11_Paging(t *testing.T) {
	j := newJudged(t)
	var more []*fhir.Resource
	for i := range 60 {
		r, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Condition","id":"x%02d","subject":{"reference":"Patient/p%d"}}`, i, 1+i%2))
		if err != nil {
			t.Fatal(err)
		}
		more = append(more, r)
	}
	if err := j.store.Put(t.Context(), more...); err != nil {
		t.Fatal(err)
	}
	// Without narrowing the upstream's pages hold many rows of the other patient.
	j.up.Upstream = unnarrowed{j.up.Upstream}
	token := j.rpt("patient/Condition.rs")
	seen := map[string]int{}
	r := j.get("/Condition?_count=7", token)
	pages := 0
	for first := true; ; first = false {
		pages++
		if len(r.ids()) > 7 || first && len(r.ids()) != 7 {
			t.Fatalf("page of %d rows", len(r.ids()))
		}
		for _, id := range r.ids() {
			seen[id]++
		}
		next := r.next()
		if next == "" || pages > 20 {
			break
		}
		if strings.Contains(next, "?") || !strings.HasPrefix(next, "/_page/") {
			t.Fatalf("the link shows more than a handle: %s", next)
		}
		if first {
			other := j.as.Give(rs.Grant{ClientID: "other", Sub: "user-1", Permissions: []rs.Permitted{j.as.RecordOf("p1", "patient/Condition.rs")}})
			foreign, unknown := j.get(next, other), j.get("/_page/nobody", other)
			j.want(foreign, 401, "login")
			if foreign.body != unknown.body {
				t.Error("another caller's handle can be told from an unknown one")
			}
			j.want(j.get(next, j.rpt("patient/Observation.rs")), 401, "login") // judged anew
		}
		r = j.get(next, token)
		j.want(r, 200, "")
	}
	if len(seen) != 31 {
		t.Errorf("%d rows over %d pages, want 31", len(seen), pages)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	for _, path := range []string{"/Condition?_summary=count", "/Condition?_count=0"} {
		r := j.get(path, token)
		j.wantRows(r)
		if fmt.Sprint(r.json["total"]) != "31" {
			t.Errorf("GW-10: counted %v", r.json["total"])
		}
	}
	j.as.Expire()
	j.want(j.get("/_page/handle1", token), 401, "login")
}

// unnarrowed is an upstream that ignores compartments and patient parameters, as a lenient one might.
type unnarrowed struct{ rs.Upstream }

func (unnarrowed) Compartments() bool { return false }

func TestGW_04_LenientUpstream(t *testing.T) {
	j := newJudged(t)
	j.up.alter = func(r rs.UpstreamRequest, resp *rs.UpstreamResponse) {
		// Whatever was asked, everything of the type comes back, with a total and a link elsewhere.
		if strings.Contains(r.Path, "Observation") && r.Method == http.MethodGet && r.Query != "" && r.Query != "_count=1000" {
			all, err := j.up.Upstream.Do(t.Context(), rs.UpstreamRequest{Method: "GET", Path: "Observation", Query: "_count=1000"})
			if err != nil {
				t.Error(err)
			}
			resp.Body = []byte(strings.Replace(string(all.Body), `"link":[`, `"total":99,"link":[{"relation":"next","url":"https://evil.example/r4/Observation?x=1"},`, 1))
		}
	}
	token := j.with([]string{"patient/Observation.s"}, uma.Constraint{Type: "query", Value: "category=laboratory"})
	r := j.get("/Observation", token)
	j.wantRows(r, "Observation/lab1")
	if r.next() != "" || strings.Contains(r.body, "evil") || strings.Contains(r.body, "99") {
		t.Errorf("words of the upstream came through: %s", r.body)
	}
}

func TestSEC_99_GW_45_UpstreamWordsStay(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.cruds")
	for _, status := range []int{500, 503, 302, 401, 403} {
		j.up.alter = func(_ rs.UpstreamRequest, resp *rs.UpstreamResponse) {
			*resp = rs.UpstreamResponse{Status: status, Body: []byte(`{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Patient/p2 SECRET"}]}`), Location: "https://evil.example/"}
		}
		for _, path := range []string{"/Observation/lab1", "/Observation", "/Observation/lab1/_history/1"} {
			r := j.get(path, token)
			j.want(r, 503, "transient")
			if strings.Contains(r.body, "SECRET") || r.Header.Get("Location") != "" {
				t.Errorf("%d: %s", status, r.body)
			}
		}
	}
	j.up.alter = func(_ rs.UpstreamRequest, resp *rs.UpstreamResponse) { resp.Body = []byte("<html>") }
	j.want(j.get("/Observation/lab1", token), 503, "transient")
	j.up.alter = func(_ rs.UpstreamRequest, resp *rs.UpstreamResponse) {
		resp.Body = []byte(strings.Replace(string(resp.Body), `"id":"lab1"`, `"id":"lab9"`, 1))
	}
	j.want(j.get("/Observation/lab1", token), 503, "transient")
}

func TestGW_40_AbsoluteReferencesOfTheUpstream(t *testing.T) {
	j := newJudged(t)
	j.up.alter = func(_ rs.UpstreamRequest, resp *rs.UpstreamResponse) {
		resp.Body = []byte(strings.ReplaceAll(string(resp.Body), `"Patient/p`, `"`+upstreamBase+`/Patient/p`))
	}
	token := j.rpt("patient/Observation.rs")
	r := j.get("/Observation/lab1", token)
	j.want(r, 200, "")
	if !strings.Contains(r.body, `"Patient/p1"`) || strings.Contains(r.body, "upstream.internal") || !strings.Contains(r.body, "140.50") {
		t.Error(r.body)
	}
	j.want(j.get("/Observation/lab2", token), 401, "login")
}

func TestProjection(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.rs")
	r := j.get("/Observation?_id=lab1&_elements=code", token)
	j.wantRows(r, "Observation/lab1")
	if strings.Contains(r.body, "valueQuantity") || !strings.Contains(r.body, "SUBSETTED") || !strings.Contains(r.body, `"Na"`) {
		t.Error(r.body)
	}
	for _, call := range j.up.take() {
		if strings.Contains(call.Query, "_elements") || strings.Contains(call.Query, "_summary") {
			t.Errorf("GW-43: sent upstream: %s", call.Query)
		}
	}
	j.want(j.get("/Observation?_format=xml", token), 406, "not-supported")
}

func TestGW_44_ConditionalRead(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.r")
	r := j.get("/Observation/lab1", token)
	etag := r.Header.Get("ETag")
	if etag == "" || r.Header.Get("Last-Modified") == "" {
		t.Fatalf("headers %v", r.Header)
	}
	j.want(j.do("GET", "/Observation/lab1", token, "", "If-None-Match", etag), 304, "")
	j.want(j.do("GET", "/Observation/lab2", token, "", "If-None-Match", etag), 401, "login")
	if r := j.do("HEAD", "/Observation/lab1", token, ""); r.StatusCode != 200 || r.body != "" {
		t.Errorf("HEAD: %d %q", r.StatusCode, r.body)
	}
}

func TestGW_15_History(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.cruds")
	moved := func(subject string) string {
		return `{"resourceType":"Observation","id":"vit1","status":"final","code":{"text":"HR"},"subject":{"reference":"Patient/` + subject + `"}}`
	}
	put := func(text string) {
		t.Helper()
		r, err := fhir.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := j.store.Put(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	put(moved("p2")) // corrected: it was never p1's
	for _, path := range []string{"/Observation/vit1", "/Observation/vit1/_history/1", "/Observation/vit1/_history/2", "/Observation/vit1/_history"} {
		j.want(j.get(path, token), 401, "login")
	}
	put(moved("p1")) // and back: the version in between stays hidden
	j.want(j.get("/Observation/vit1/_history/1", token), 200, "")
	j.want(j.get("/Observation/vit1/_history/2", token), 401, "login")
	if n := len(j.get("/Observation/vit1/_history", token).json["entry"].([]any)); n != 2 {
		t.Errorf("%d versions shown, want 2", n)
	}
	j.want(j.do("DELETE", "/Observation/vit1", token, ""), 204, "")
	j.want(j.get("/Observation/vit1", token), 401, "login")
	r := j.get("/Observation/vit1/_history", token)
	if n := len(r.json["entry"].([]any)); n != 3 || !strings.Contains(r.body, `"DELETE"`) {
		t.Errorf("after deletion %d versions: %s", n, r.body)
	}
	r = j.get("/Observation/_history", token)
	j.want(r, 200, "")
	if strings.Contains(r.body, "Patient/p2") || !strings.Contains(r.body, "lab1") {
		t.Errorf("type history: %s", r.body)
	}
	r = j.get("/_history", token)
	if strings.Contains(r.body, "Condition") || strings.Contains(r.body, "Patient/p2") || !strings.Contains(r.body, "lab1") {
		t.Errorf("system history: %s", r.body)
	}
	j.want(j.get("/Observation/_history?patient=p1", token), 400, "not-supported")
}

func TestSEC_82_84_GW_16_Everything(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.r", "patient/Patient.r", "patient/AllergyIntolerance.s")
	j.wantRows(j.get("/Patient/p1/$everything", token), "Patient/p1", "Observation/lab1", "Observation/vit1", "Observation/perf1", "Observation/cont1")
	j.want(j.get("/Patient/p2/$everything", token), 401, "login")
	j.want(j.get("/Patient/p2/$everything", j.oauth("patient/Patient.r")), 404, "not-found")
	j.want(j.get("/Patient/zzz/$everything", j.oauth("patient/Patient.r")), 404, "not-found")
}

func TestAccessEvents(t *testing.T) {
	j := newJudged(t)
	token := j.rpt("patient/Observation.rs", "patient/Practitioner.r")
	check := func(what string, want ...string) {
		t.Helper()
		var got []string
		for _, e := range j.as.Events() {
			got = append(got, fmt.Sprintf("%s %s %s %s %s %d %s", e.Set.ResourceID, e.Patient, e.Interaction, strings.Join(e.Types, "+"), e.Outcome, e.Count, e.Reason))
			if e.ID == "" || e.Time == "" || e.JTI == "" || e.ClientID != "app" || e.RequestID == "" {
				t.Errorf("%s: incomplete event %+v", what, e)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\ngot  %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	j.get("/Observation/lab1", token)
	want := []string{"record-p1 p1 read Observation success 1 "}
	check("read", want...)
	j.get("/Observation?category=laboratory", token)
	want = append(want, "record-p1 p1 search-type Observation success 1 ")
	check("search", want...)
	j.get("/Observation?category=nothing", token)
	want = append(want, "record-p1 p1 search-type Observation success 0 ")
	check("nothing found", want...)
	j.get("/Observation/lab2", token)
	want = append(want, "record-p1 p1 read Observation refused 0 context")
	check("refused", want...)
	j.get("/Observation/lab1", "")
	check("without token", want...)
}
