package resourceserver_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

// TestVisibility reads each fixture by itself: positive control and negative in one table, over rights.
func TestVisibility(t *testing.T) {
	j := newJudged(t)
	j.as.Relate("u1", "p1", "patient/*.rs")
	all := j.rpt("patient/*.rs", "patient/Provenance.rs", "patient/Task.rs", "patient/Contract.rs")
	user := j.user("u1", "user/*.rs", "user/Provenance.rs", "user/Contract.rs")
	onlyObs := j.rpt("patient/Observation.rs")
	for _, c := range []struct {
		rule, path string
		token      string
		ok         bool
	}{
		{"own record", "/Patient/p1", all, true},
		{"GW-21 another patient", "/Patient/p2", all, false},
		{"subject", "/Observation/lab1", all, true},
		{"another's subject", "/Observation/lab2", all, false},
		{"GW-20 participant without subject", "/Observation/perf1", all, true},
		{"GW-20 participant of another's record", "/Observation/about2by1", all, false},
		{"GW-19 focus is no membership", "/Observation/focus1", all, false},
		{"two actors", "/Appointment/ap12", all, true},
		{"GW-22 own device", "/Device/d1", all, true},
		{"GW-22 unassigned device", "/Device/d0", all, true},
		{"GW-22 another's device", "/Device/d2", all, false},
		{"LB-15 group of me", "/Group/g1", all, true},
		{"LB-15 group of others", "/Group/g12", all, false},
		{"LB-15 list", "/List/l1", all, true},
		{"LB-15 list with a hidden entry", "/List/l12", all, false},
		{"LB-15 list whose entries' type is not granted", "/List/l1", j.rpt("patient/List.rs"), false},
		{"GW-21 person", "/Person/pe1", all, true},
		{"GW-21 person of two", "/Person/pe12", all, false},
		{"directory", "/Practitioner/dr", all, true},
		{"directory without scope", "/Practitioner/dr", onlyObs, false},
		{"Task has no patient in R4", "/Task/t1", all, false},
		{"slot as its schedule", "/Slot/sl1", all, true},
		{"ownerless under patient/", "/Contract/k1", all, false},
		{"ownerless under user/", "/Contract/k1", user, true},
		{"LB-02 restricted above N", "/Observation/secret1", all, false},
		{"LB-02 restricted with conf/R", "/Observation/secret1", j.with([]string{"patient/Observation.r", "conf/R"}), true},
		{"LB-03 sensitive", "/Observation/hiv1", all, false},
		{"LB-03 sensitive with sens/HIV", "/Observation/hiv1", j.with([]string{"patient/Observation.r", "sens/HIV"}), true},
		{"GW-25 contained of another patient", "/Observation/cont12", all, false},
		{"GW-25 contained", "/Observation/cont1", all, true},
		{"LB-14 provenance over two", "/Provenance/pr12", all, true},
		{"LB-14 provenance needs its own scope", "/Provenance/pr12", j.rpt("patient/Observation.rs"), false},
		{"GW-50 user sees p1", "/Observation/lab1", user, true},
		{"GW-50 user does not see p2", "/Observation/lab2", user, false},
		{"GW-50 user sees only through her own right", "/Observation/lab2", j.user("nobody", "user/*.rs"), false},
		{"letter s does not read", "/Observation/lab1", j.rpt("patient/Observation.s"), false},
		{"absent", "/Observation/none", all, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			j.t = t
			r := j.get(c.path, c.token)
			if c.ok {
				j.want(r, http.StatusOK, "")
			} else {
				j.want(r, http.StatusUnauthorized, "login")
			}
		})
	}
}

// with gives a token with exact registered scopes and constraints on p1's record.
func (j *judged) with(scopes []string, constraints ...uma.Constraint) string {
	p := j.as.RecordOf("p1")
	p.Scopes, p.Constraints = scopes, constraints
	return j.as.Give(rs.Grant{ClientID: "app", Sub: "user-1", Permissions: []rs.Permitted{p}})
}

func TestRedaction(t *testing.T) {
	j := newJudged(t)
	r := j.get("/Observation/cont1", j.rpt("patient/Observation.rs"))
	j.want(r, 200, "")
	if strings.Contains(r.body, "Inside") || !strings.Contains(r.body, "SUBSETTED") || !strings.Contains(r.body, `"display":"somebody"`) || strings.Contains(r.body, `#c`) {
		t.Errorf("GW-25: %s", r.body)
	}
	if r := j.get("/Observation?_id=cont1", j.rpt("patient/Observation.rs")); len(r.ids()) != 1 || strings.Contains(r.body, "Inside") {
		t.Errorf("GW-25 in a search: %s", r.body)
	}
	r = j.get("/Observation/cont1", j.rpt("patient/Observation.rs", "patient/Practitioner.r"))
	if !strings.Contains(r.body, "Inside") || strings.Contains(r.body, "SUBSETTED") {
		t.Errorf("GW-25 positive: %s", r.body)
	}
	r = j.get("/Provenance/pr12", j.rpt("patient/Observation.rs", "patient/Provenance.r"))
	j.want(r, 200, "")
	if strings.Contains(r.body, "lab2") || !strings.Contains(r.body, "lab1") || !strings.Contains(r.body, "SUBSETTED") {
		t.Errorf("LB-14: %s", r.body)
	}
}

func TestConstraints(t *testing.T) {
	j := newJudged(t)
	q := func(kind, value string) uma.Constraint { return uma.Constraint{Type: kind, Value: value} }
	obs := []string{"patient/Observation.r", "patient/Observation.s"}
	lab, vit := "Observation/lab1", "Observation/vit1"
	for _, c := range []struct {
		name        string
		constraints []uma.Constraint
		rows        []string
		refused     bool
	}{
		{"none", nil, []string{lab, vit, "Observation/perf1", "Observation/cont1"}, false},
		{"GW-05 category", []uma.Constraint{q("query", "category=laboratory")}, []string{lab}, false},
		{"GW-04 unknown parameter grants nothing", []uma.Constraint{q("query", "nonsense=1")}, nil, true},
		{"GW-04 chain grants nothing", []uma.Constraint{q("query", "subject.name=x")}, nil, true},
		{"period", []uma.Constraint{q("period", "2024-01-01/2024-12-31")}, []string{lab}, false},
		{"open period", []uma.Constraint{q("period", "2025-01-01/")}, []string{vit}, false},
		{"both", []uma.Constraint{q("period", "2025-01-01/"), q("query", "category=laboratory")}, nil, false},
		{"broken period", []uma.Constraint{q("period", "yesterday")}, nil, true},
		{"unknown type refuses", []uma.Constraint{q("moon-phase", "full")}, nil, true},
		{"other client", []uma.Constraint{q("client", "other")}, nil, true},
		{"this client", []uma.Constraint{q("client", "app"), q("query", "category=vital-signs")}, []string{vit}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j.t = t
			r := j.get("/Observation", j.with(obs, c.constraints...))
			if c.refused {
				j.want(r, http.StatusUnauthorized, "login")
				return
			}
			j.wantRows(r, c.rows...)
		})
	}
}

func TestGW_07_UnionOfEntries(t *testing.T) {
	j := newJudged(t)
	entry := func(category string, scopes ...string) rs.Permitted {
		p := j.as.RecordOf("p1")
		p.Scopes = scopes
		if category != "" {
			p.Constraints = []uma.Constraint{{Type: "query", Value: "category=" + category}}
		}
		return p
	}
	both := j.as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{
		entry("laboratory", "patient/Observation.r", "patient/Observation.s"), entry("vital-signs", "patient/Observation.r", "patient/Observation.s"),
	}})
	j.wantRows(j.get("/Observation", both), "Observation/lab1", "Observation/vit1")
	// The letter and the condition must hold in one entry.
	mixed := j.as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{entry("", "patient/Observation.c"), entry("laboratory", "patient/Observation.r")}})
	j.want(j.get("/Observation/lab1", mixed), 200, "")
	j.want(j.get("/Observation/vit1", mixed), 401, "login")
	j.want(j.do("POST", "/Observation", mixed, `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`), 201, "")
}

func TestSEC_76_GW_36_MissingMeaningGrantsNothing(t *testing.T) {
	j := newJudged(t)
	for name, set := range map[string]rs.Set{
		"zero":                   {},
		"record without patient": {Level: rs.LevelRecord},
		"access without user":    {Level: rs.LevelPatient, Patient: "p1"},
		"access without patient": {Level: rs.LevelPatient, User: "u1"},
		"user without user":      {Level: rs.LevelUser},
		"unknown level":          {Level: "all", Patient: "p1", User: "u1"},
	} {
		t.Run(name, func(t *testing.T) {
			j.t = t
			token := j.as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{j.as.Permission(set, "patient/Observation.rs", "user/Observation.rs")}})
			j.up.take()
			j.want(j.get("/Observation/lab1", token), 401, "login")
			if n := len(j.up.take()); n != 0 {
				t.Errorf("%d upstream calls for a static refusal", n)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	j := newJudged(t)
	p := j.as.RecordOf("p1", "patient/Observation.rs")
	p.Expires = j.now.Add(time.Minute)
	token := j.as.Give(rs.Grant{ClientID: "app", Permissions: []rs.Permitted{p}, Expires: j.now.Add(time.Hour)})
	j.want(j.get("/Observation/lab1", token), 200, "")
	j.now = j.now.Add(time.Minute)
	j.want(j.get("/Observation/lab1", token), 401, "login")
	j.now = j.now.Add(time.Hour)
	r := j.get("/Observation/lab1", token)
	j.want(r, 401, "login")
	if !strings.Contains(strings.Join(r.Header.Values("WWW-Authenticate"), " "), "invalid_token") {
		t.Errorf("an expired grant is R1: %v", r.Header)
	}
}

// TestResponseTable walks GW-37: status, issue, challenge and calls per row and token kind.
func TestResponseTable(t *testing.T) {
	j := newJudged(t)
	rpt, oauth := j.rpt("patient/Observation.rs"), j.oauth("patient/Observation.rs")
	for _, c := range []struct {
		name, method, path, token, body string
		status                          int
		issue                           string
		challenge                       string // "", "uma", "bearer", "both"
		ticket                          string // patient asked, "-" none, "" decoy
		upstream                        bool
	}{
		{"R1 instance", "GET", "/Observation/lab1", "", "", 401, "login", "both", "", false},
		{"R1 patient", "GET", "/Patient/p1", "", "", 401, "login", "both", "p1", false},
		{"R1 search with patient", "GET", "/Observation?patient=p1", "", "", 401, "login", "both", "p1", false},
		{"R1 search without", "GET", "/Observation", "", "", 401, "login", "bearer", "-", false},
		{"R1 create", "POST", "/Observation", "", `{"resourceType":"Observation"}`, 401, "login", "bearer", "-", false},
		{"R1 bad token", "GET", "/Observation/lab1", "guess", "", 401, "login", "both", "", false},
		{"R2 rpt", "GET", "/Condition/c1", rpt, "", 401, "login", "uma", "p1", false},
		{"R2 oauth", "GET", "/Condition/c1", oauth, "", 403, "forbidden", "bearer", "-", false},
		{"R3 hidden rpt", "GET", "/Observation/lab2", rpt, "", 401, "login", "uma", "", true},
		{"R3 absent rpt", "GET", "/Observation/zzz2", rpt, "", 401, "login", "uma", "", true},
		{"R3 hidden oauth", "GET", "/Observation/lab2", oauth, "", 404, "not-found", "", "-", true},
		{"R3 absent oauth", "GET", "/Observation/zzz2", oauth, "", 404, "not-found", "", "-", true},
		{"R4 other patient rpt", "GET", "/Observation?patient=p2", rpt, "", 401, "login", "uma", "p2", false},
		{"R5 oauth", "POST", "/Observation", j.oauth("patient/Observation.c"), `{"resourceType":"Observation","subject":{"reference":"Patient/p2"}}`, 403, "forbidden", "", "-", false},
		{"R5 rpt curable", "POST", "/Observation", j.rpt("patient/Observation.c"), `{"resourceType":"Observation","subject":{"reference":"Patient/p2"}}`, 401, "login", "uma", "p2", false},
		{"R5 rpt incurable", "POST", "/Observation", j.rpt("patient/Observation.c"), `{"resourceType":"Observation","subject":{"reference":"Group/g1"}}`, 403, "forbidden", "", "-", false},
		{"R6 hidden", "POST", "/Observation", j.rpt("patient/Observation.c"), `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/e2"}}`, 422, "invariant", "", "-", true},
		{"R6 unknown", "POST", "/Observation", j.rpt("patient/Observation.c"), `{"resourceType":"Observation","subject":{"reference":"Patient/p1"},"encounter":{"reference":"Encounter/zz"}}`, 422, "invariant", "", "-", true},
		{"R7 route", "GET", "/nothing", rpt, "", 404, "not-found", "", "-", false},
		{"R7 method", "PUT", "/Observation/lab1/_history", rpt, "", 405, "not-supported", "", "-", false},
		{"R7 operation", "POST", "/$graphql", rpt, "", 404, "not-supported", "", "-", false},
		{"R7 audit events", "GET", "/AuditEvent", rpt, "", 404, "not-supported", "", "-", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j.t = t
			j.up.take()
			before := len(j.as.Tickets())
			r := j.do(c.method, c.path, c.token, c.body)
			if c.challenge == "uma" || c.issue != "login" || c.challenge == "both" || c.challenge == "bearer" {
				j.want(r, c.status, c.issue)
			}
			header := strings.Join(r.Header.Values("WWW-Authenticate"), " | ")
			hasUMA, hasBearer := strings.Contains(header, "UMA realm=\"fhir\", as_uri=\"https://as.example\", ticket=\""), strings.Contains(header, "Bearer ")
			if hasUMA != (c.challenge == "uma" || c.challenge == "both") || hasBearer != (c.challenge == "bearer" || c.challenge == "both") {
				t.Errorf("challenge %q", header)
			}
			tickets := j.as.Tickets()[before:]
			switch {
			case c.ticket == "-" && len(tickets) != 0:
				t.Errorf("asked for %v", tickets)
			case c.ticket != "-" && (len(tickets) != 1 || tickets[0].Patient != c.ticket):
				t.Errorf("asked for %+v, want one of %q", tickets, c.ticket)
			}
			if got := len(j.up.take()) > 0; got != c.upstream {
				t.Errorf("upstream touched: %v, want %v", got, c.upstream)
			}
		})
	}
	t.Run("R8", func(t *testing.T) {
		j.t = t
		j.as.SetDown(true)
		defer j.as.SetDown(false)
		for _, token := range []string{"", rpt} {
			r := j.get("/Observation/lab1", token)
			j.want(r, 403, "transient")
			if got := r.Header.Get("Warning"); got != `199 - "UMA Authorization Server Unreachable"` {
				t.Errorf("Warning %q", got)
			}
		}
	})
}

// TestIM_06_HiddenEqualsAbsent compares the whole answers, and the calls made for them.
func TestIM_06_HiddenEqualsAbsent(t *testing.T) {
	j := newJudged(t)
	j.as.Relate("u1", "p1", "patient/*.cruds")
	body := func(id string) string {
		return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`
	}
	scopes := []string{"patient/Observation.cruds"}
	for kind, token := range map[string]string{
		"rpt": j.rpt(scopes...), "oauth": j.oauth(scopes...), "narrowed": j.with([]string{"patient/Observation.r", "patient/Observation.u", "patient/Observation.d"}, uma.Constraint{Type: "query", Value: "category=laboratory"}),
		"user": j.user("u1", "user/Observation.cruds"), "none": "",
	} {
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/Observation/%s", ""}, {"GET", "/Observation/%s/_history/1", ""}, {"GET", "/Observation/%s/_history", ""},
			{"DELETE", "/Observation/%s", ""}, {"PUT", "/Observation/%s", "body"}, {"PATCH", "/Observation/%s", `[{"op":"test","path":"/status","value":"final"}]`},
			{"GET", "/Observation?_id=%s", ""},
		} {
			t.Run(kind+" "+c.method+" "+c.path, func(t *testing.T) {
				j.t = t
				run := func(id string) (reply, int, int) {
					j.up.take()
					tickets := len(j.as.Tickets())
					text, media := c.body, "application/fhir+json"
					if text == "body" {
						text = body(id)
					}
					if c.method == "PATCH" {
						media = "application/json-patch+json"
					}
					r := j.do(c.method, strings.ReplaceAll(c.path, "%s", id), token, text, "Content-Type", media, "X-Request-Id", "same")
					return r, len(j.up.take()), len(j.as.Tickets()) - tickets
				}
				hidden, up1, as1 := run("lab2")
				absent, up2, as2 := run("zzz2")
				if hidden.StatusCode != absent.StatusCode || strings.ReplaceAll(hidden.body, "lab2", "zzz2") != absent.body {
					t.Errorf("hidden %d %s\nabsent %d %s", hidden.StatusCode, hidden.body, absent.StatusCode, absent.body)
				}
				if up1 != up2 || as1 != as2 {
					t.Errorf("calls: hidden %d up %d as, absent %d up %d as", up1, as1, up2, as2)
				}
				for name := range hidden.Header {
					a, b := strings.Join(hidden.Header[name], ","), strings.Join(absent.Header[name], ",")
					if name == "Www-Authenticate" {
						a, _, _ = strings.Cut(a, "ticket=")
						b, _, _ = strings.Cut(b, "ticket=")
					}
					if a != b {
						t.Errorf("header %s: hidden %q, absent %q", name, a, b)
					}
				}
				if len(hidden.Header) != len(absent.Header) {
					t.Errorf("headers %v and %v", hidden.Header, absent.Header)
				}
			})
		}
	}
}

func TestOnceGrant(t *testing.T) {
	j := newJudged(t)
	token := j.with([]string{"patient/Observation.r"}, uma.Constraint{Type: "once"})
	j.want(j.get("/Condition/c1", token), 401, "login") // refused by scope: not spent
	j.want(j.get("/Observation/lab1", token), 200, "")
	j.want(j.get("/Observation/lab1", token), 401, "login")
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Spender = nil })
	j.want(j.get("/Observation/lab1", j.with([]string{"patient/Observation.r"}, uma.Constraint{Type: "once"})), 401, "login")
}

func TestGW_47_TokenNeverUpstream(t *testing.T) {
	j := newJudged(t)
	j.want(j.do("GET", "/Observation?access_token=abc&patient=p1", "", ""), 400, "security")
	j.want(j.do("GET", "/Observation/lab1?access_token=abc", j.rpt("patient/Observation.r"), ""), 400, "security")
	r := j.get("/Observation/lab1", j.rpt("patient/Observation.r"))
	j.want(r, 200, "")
	if !strings.Contains(r.body, "140.50") {
		t.Error("a decimal lost its precision")
	}
}
