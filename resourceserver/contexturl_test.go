package resourceserver_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/uma"
)

var challengeHeader = regexp.MustCompile(`^UMA realm="fhir", as_uri="([^"]+)", ticket="([^"]+)"$`)

// ticketOf reads a challenge and checks that header and JSON copy say the same.
func ticketOf(t *testing.T, w *world, rec *httptest.ResponseRecorder) asclienttest.Ticket {
	t.Helper()
	m := challengeHeader.FindStringSubmatch(rec.Header().Get("WWW-Authenticate"))
	if rec.Code != 401 || m == nil || rec.Header().Get("Cache-Control") != "no-store" || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, headers %v, %s", rec.Code, rec.Header(), rec.Body)
	}
	var body map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || body["as_uri"] != m[1] || body["ticket"] != m[2] || len(body) != 3 {
		t.Fatalf("JSON copy %s differs from %v", rec.Body, m)
	}
	for _, as := range append([]*asclienttest.Server{w.as}, w.more...) {
		if ticket, ok := as.Ticket(m[2]); ok {
			if as.Issuer() != m[1] {
				t.Fatalf("as_uri %q, but the ticket is of %q", m[1], as.Issuer())
			}
			return ticket
		}
	}
	t.Fatal("the ticket is nobody's")
	return asclienttest.Ticket{}
}

func golden(t *testing.T, got any, want string) {
	t.Helper()
	raw, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != want {
		t.Errorf("\n got %s\nwant %s", raw, want)
	}
}

// readyWorld has John, who sees his own record and his daughter's.
func readyWorld(t *testing.T, change ...func(*world)) (*world, string) {
	w := newWorld(t, change...)
	w.custodian()
	w.relate(daughter)
	return w, w.signInAs(john)
}

// The request of the seed, word for word, with our handle.
func TestS004_15_16_18_AskAsInTheSeed(t *testing.T) {
	w, key := readyWorld(t)
	for _, c := range []struct{ patient, level, prefix string }{{"abigail", "patient", "patient/"}, {"", "user", "user/"}} {
		u := w.mint(key, c.patient, "")
		rec := w.do("POST", u+"/authorize?scope=AllergyIntolerance.read%20Immunization.write", "")
		ticket := ticketOf(t, w, rec)
		id, _ := find(t, w, "sub-john", c.level, c.patient)
		p := c.prefix
		golden(t, ticket.Permissions, `[{"resource_id":"`+id+`","resource_scopes":["`+p+`AllergyIntolerance.r","`+p+`AllergyIntolerance.s","`+
			p+`Immunization.c","`+p+`Immunization.u","`+p+`Immunization.d"]}]`)
		if ticket.Owner != "sub-john" {
			t.Errorf("asked of %q", ticket.Owner)
		}
		var body struct{ Scope string }
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil || body.Scope != p+"AllergyIntolerance.rs "+p+"Immunization.cud" {
			t.Errorf("scope %q", body.Scope)
		}
	}
}

// S004-03: the permission request is exactly what the text says; S004-13, 14: short and full form, v1 and v2.
func TestS004_03_13_14_Expansion(t *testing.T) {
	w, key := readyWorld(t)
	u := w.mint(key, "abigail", "")
	id, _ := find(t, w, "sub-john", "patient", "abigail")
	head := `{"resource_id":"` + id + `","resource_scopes":[`
	for scope, want := range map[string]string{
		"":                              `[` + head + `]}]`, // A2.3: zero scopes are legal
		"AllergyIntolerance.read":       `[` + head + `"patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}]`,
		"patient/AllergyIntolerance.rs": `[` + head + `"patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}]`,
		"AllergyIntolerance.r AllergyIntolerance.s":    `[` + head + `"patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}]`,
		"AllergyIntolerance.r AllergyIntolerance.read": `[` + head + `"patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}]`,
		"Immunization.*":                                            `[` + head + `"patient/Immunization.c","patient/Immunization.r","patient/Immunization.u","patient/Immunization.d","patient/Immunization.s"]}]`,
		"Observation.rs?category=laboratory":                        `[` + head + `"patient/Observation.r","patient/Observation.s"],"constraints":[{"type":"query","value":"category=laboratory"}]}]`,
		"Observation.r?category=laboratory Observation.s Patient.r": `[` + head + `"patient/Observation.r"],"constraints":[{"type":"query","value":"category=laboratory"}]},` + head + `"patient/Observation.s","patient/Patient.r"]}]`,
		"*.r": `[` + head + `"patient/AllergyIntolerance.r","patient/Immunization.r","patient/Observation.r","patient/Patient.r"]}]`,
	} {
		rec := w.do("POST", u+"/authorize", "scope="+strings.NewReplacer(" ", "+", "?", "%3F", "=", "%3D").Replace(scope))
		golden(t, ticketOf(t, w, rec).Permissions, want)
	}
}

func TestS004_16_WrongScopesAreNamed(t *testing.T) {
	w, key := readyWorld(t)
	patient, user := w.mint(key, "abigail", ""), w.mint(key, "", "")
	for _, c := range []struct{ url, scope, bad string }{
		{patient, "user/Patient.r", "user/Patient.r"},
		{user, "patient/Patient.r", "patient/Patient.r"},
		{patient, "system/Patient.r", "system/Patient.r"},
		{patient, "Patient.r nonsense Patient.dus", "nonsense Patient.dus"},
		{patient, "observation.r", "observation.r"},
		{patient, "Medication.r", "Medication.r"}, // not served here
		{patient, "Patient.read?x=y", "Patient.read?x=y"},
		{patient, "openid", "openid"},
		{patient, `Pa"ti\ent.r`, "Pa?ti?ent.r"},
		{patient, "Grüße.r", "Gr??e.r"},
	} {
		before := w.as.Calls("POST /permission")
		rec := w.do("POST", c.url+"/authorize", "scope="+strings.NewReplacer(" ", "+", "?", "%3F", "=", "%3D").Replace(c.scope))
		want := `{"error":"invalid_scope","error_description":"not a scope this context URL can be asked for: ` + c.bad + `"}` + "\n"
		if rec.Code != 400 || rec.Body.String() != want {
			t.Errorf("%q: %d %s want %s", c.scope, rec.Code, rec.Body, want)
		}
		if w.as.Calls("POST /permission") != before {
			t.Errorf("%q: a permission was asked for", c.scope)
		}
	}
}

func TestS004_17_OwnersWithDifferentAuthorizationServers(t *testing.T) {
	var second *asclienttest.Server
	w, key := readyWorld(t, func(w *world) {
		second = asclienttest.New(w.clock.now)
		t.Cleanup(second.HTTP.Close)
		w.more = append(w.more, second)
	})
	// Mary keeps her record at a server of her own choice: the administrator linked her account there.
	ctx := t.Context()
	mary := rs.User{Key: rs.UserKey(second.Issuer(), "sub-mary"), Issuer: second.Issuer(), Subject: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"}
	if err := w.state.PutUser(ctx, mary); err != nil {
		t.Fatal(err)
	}
	client := w.clients[second.Issuer()]
	second.SignInNext(asclienttest.Person{Sub: "sub-mary", Name: "Mary"})
	if err := keepPAT(t, w, client, mary.Key); err != nil {
		t.Fatal(err)
	}
	if err := w.registrar.Reconcile(ctx, mary.Key); err != nil {
		t.Fatal(err)
	}
	a := ticketOf(t, w, w.do("POST", w.mint(key, "john", "")+"/authorize?scope=Patient.r", ""))
	b := ticketOf(t, w, w.do("POST", w.mint(mary.Key, "mary", "")+"/authorize?scope=Patient.r", ""))
	if a.Owner != "sub-john" || b.Owner != "sub-mary" {
		t.Errorf("asked of %q and %q", a.Owner, b.Owner)
	}
	ch, err := w.desk.Ticket(ctx, "mary", nil)
	if err != nil || ch.ASURI != second.Issuer() {
		t.Errorf("record(mary) is asked for at %q, %v", ch.ASURI, err)
	}
}

func TestS004_10_MappingSurvivesRestart(t *testing.T) {
	path := t.TempDir() + "/state.db"
	engine, err := boltkv.Open(path, boltkv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w, key := readyWorld(t, func(w *world) { w.engine = engine })
	u := w.mint(key, "abigail", "")
	first := ticketOf(t, w, w.do("POST", u+"/authorize?scope=Patient.r", ""))
	if err := engine.Close(); err != nil {
		t.Fatal(err)
	}
	if w.engine, err = boltkv.Open(path, boltkv.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.engine.Close() })
	w.boot()
	second := ticketOf(t, w, w.do("POST", u+"/authorize?scope=Patient.r", ""))
	if first.Permissions[0].ResourceID != second.Permissions[0].ResourceID {
		t.Errorf("before %v, after %v", first, second)
	}
}

func TestS004_11_ManyURLsOneSetAndNoIdTold(t *testing.T) {
	w, key := readyWorld(t)
	ids := map[string]bool{}
	for range 20 {
		u := w.mint(key, "abigail", "")
		rec := w.do("POST", u+"/authorize?scope=Patient.r", "")
		ticket := ticketOf(t, w, rec)
		ids[ticket.Permissions[0].ResourceID] = true
		for id := range ids {
			if strings.Contains(u+rec.Body.String()+fmt.Sprint(rec.Header()), id) {
				t.Fatal("the client learns the resource id")
			}
		}
	}
	if len(ids) != 1 {
		t.Errorf("%d sets behind the URLs of one meaning", len(ids))
	}
}

// S004-28: 10,000 resolutions all differ and share no prefix; S004-23: the handle tells nothing.
func TestS004_23_28_HandlesAreRandom(t *testing.T) {
	w, key := readyWorld(t)
	seen := map[string]bool{}
	first := map[byte]int{}
	const n = 10_000
	for range n {
		h, ok := strings.CutPrefix(w.mint(key, "abigail", ""), base+"/uma-context/")
		if !ok || !regexp.MustCompile(`^[a-z2-7]{32}$`).MatchString(h) || seen[h] {
			t.Fatalf("handle %q", h)
		}
		seen[h] = true
		first[h[0]]++
	}
	var entropy float64
	for _, c := range first {
		p := float64(c) / n
		entropy -= p * math.Log2(p)
	}
	if entropy < 4.9 { // of 5 bits
		t.Errorf("the first character has %.2f bits", entropy)
	}
}

func TestS004_08_09_ParentSeesChildByHerOwnRightOnly(t *testing.T) {
	w, key := readyWorld(t)
	child := w.mint(key, "abigail", "")
	if _, err := w.contexts.Mint(t.Context(), key, "mary", "", ""); err == nil {
		t.Error("a URL for somebody else's record was made")
	}
	if rec := w.do("POST", child+"/authorize?scope=Patient.r", ""); rec.Code != 401 {
		t.Fatalf("control: %d", rec.Code)
	}
	if err := w.relations.Drop(t.Context(), "Patient/john", "abigail"); err != nil {
		t.Fatal(err)
	}
	if rec := w.do("POST", child+"/authorize?scope=Patient.r", ""); rec.Code != 404 {
		t.Errorf("after the relation ended: %d %s", rec.Code, rec.Body)
	}
}

const unknownContext = `{"error":"not_found","error_description":"no such context"}` + "\n"

// One 404, same bytes: unknown, malformed, expired unused, expired idle, withdrawn, foreign client.
func TestA2_OneAnswerForWhateverIsNoContext(t *testing.T) {
	w, key := readyWorld(t)
	unused, idle, withdrawn := w.mint(key, "john", ""), w.mint(key, "john", ""), w.mint(key, "john", "")
	ticketOf(t, w, w.do("POST", idle+"/authorize", ""))
	hash := sha256.Sum256([]byte(strings.TrimPrefix(withdrawn, base+"/uma-context/")))
	if err := w.state.DropContextURL(t.Context(), "somebody-else", hash); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("a stranger withdraws: %v", err)
	}
	ticketOf(t, w, w.do("POST", withdrawn+"/authorize", ""))
	if err := w.state.DropContextURL(t.Context(), key, hash); err != nil {
		t.Fatal(err)
	}
	w.clock.forward(24 * time.Hour)
	ticketOf(t, w, w.do("POST", idle+"/authorize", ""))
	fresh, bound := w.mint(key, "john", ""), w.mint(key, "john", "app-1")
	ticketOf(t, w, w.do("POST", fresh+"/authorize", ""))
	w.clock.forward(30 * 24 * time.Hour)
	foreign := w.mint(key, "john", "app-1")
	ticketOf(t, w, w.do("POST", foreign+"/authorize", "client_id=app-1"))
	for name, c := range map[string]struct{ url, body string }{
		"unknown": {base + "/uma-context/" + strings.Repeat("a", 32), ""}, "malformed": {base + "/uma-context/%2e%2e", ""}, "empty": {base + "/uma-context/", ""},
		"unused": {unused, ""}, "idle": {idle, ""}, "withdrawn": {withdrawn, ""}, "bound unused": {bound, ""}, "foreign": {foreign, "client_id=app-2"},
	} {
		for _, scope := range []string{"", "scope=Patient.r"} {
			rec := w.do("POST", c.url+"/authorize", strings.Trim(c.body+"&"+scope, "&"))
			if rec.Code != 404 || rec.Body.String() != unknownContext || rec.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %d %s %v", name, rec.Code, rec.Body, rec.Header())
			}
		}
		if c.body != "" {
			continue
		}
		if rec := w.do("GET", c.url, ""); rec.Code != 404 || rec.Body.String() != unknownContext {
			t.Errorf("GET %s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

func TestA2_UseKeepsAlive(t *testing.T) {
	w, key := readyWorld(t)
	u := w.mint(key, "john", "")
	for range 12 {
		if rec := w.do("POST", u+"/authorize", ""); rec.Code != 401 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		w.clock.forward(23 * time.Hour)
	}
}

func TestA2_ErrorTable(t *testing.T) {
	w, key := readyWorld(t)
	u := w.mint(key, "john", "")
	challenge := strings.Repeat("A", 43)
	for _, c := range []struct {
		name, method, query, body string
		header                    []string
		status                    int
		want                      string
	}{
		{"GET", "GET", "/authorize?scope=Patient.r", "", nil, 405, `{"error":"unsupported_method_type","error_description":"ask by POST"}`},
		{"PUT", "PUT", "/authorize", "", nil, 405, `{"error":"unsupported_method_type","error_description":"ask by POST"}`},
		{"POST on the context", "POST", "", "", nil, 405, `{"error":"unsupported_method_type","error_description":"read the launch context by GET"}`},
		{"SEC-63 in query", "POST", "/authorize?scope=Patient.r&scope=Patient.r", "", nil, 400, `{"error":"invalid_request","error_description":"the parameter scope is repeated"}`},
		{"SEC-63 in body", "POST", "/authorize", "scope=Patient.r&scope=", nil, 400, `{"error":"invalid_request","error_description":"the parameter scope is repeated"}`},
		{"SEC-63 in both", "POST", "/authorize?scope=Patient.r", "scope=Patient.r", nil, 400, `{"error":"invalid_request","error_description":"the parameter scope is repeated"}`},
		{"GW-47 token in query", "POST", "/authorize?access_token=x", "", nil, 400, `{"error":"invalid_request","error_description":"a token never travels in a query or form (GW-47)"}`},
		{"GW-47 token in query of GET", "GET", "?access_token=x", "", nil, 400, `{"error":"invalid_request","error_description":"a token never travels in a query or form (GW-47)"}`},
		{"JSON", "POST", "/authorize", "{}", []string{"Content-Type", "application/json"}, 400, `{"error":"invalid_request","error_description":"a body must be application/x-www-form-urlencoded"}`},
		{"bad percent", "POST", "/authorize", "scope=%zz", nil, 400, `{"error":"invalid_request","error_description":"the body is malformed"}`},
		{"plain challenge", "POST", "/authorize?code_challenge=" + challenge + "&code_challenge_method=plain", "", nil, 400, `{"error":"invalid_request","error_description":"code_challenge_method must be S256 and comes with code_challenge"}`},
		{"short challenge", "POST", "/authorize?code_challenge=abc", "", nil, 400, `{"error":"invalid_request","error_description":"code_challenge must be 43 characters of base64url, the SHA-256 of the verifier"}`},
		{"long scope", "POST", "/authorize", "scope=" + strings.Repeat("a", 8193), nil, 400, `{"error":"invalid_scope","error_description":"scope is longer than 8192 bytes"}`},
		{"huge body", "POST", "/authorize", "x=" + strings.Repeat("a", 17<<10), nil, 400, `{"error":"invalid_request","error_description":"the body is too large or was cut short"}`},
	} {
		rec := w.do(c.method, u+c.query, c.body, c.header...)
		if rec.Code != c.status || rec.Body.String() != c.want+"\n" || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s\nwant %d %s", c.name, rec.Code, rec.Body, c.status, c.want)
		}
		if c.status == 405 && rec.Header().Get("Allow") == "" {
			t.Errorf("%s: no Allow", c.name)
		}
	}
	w.as.Down(true)
	rec := w.do("POST", u+"/authorize?scope=Patient.r", "")
	if rec.Code != 403 || rec.Header().Get("Warning") != `199 - "UMA Authorization Server Unreachable"` || rec.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("authorization server down: %d %v", rec.Code, rec.Header())
	}
}

func TestA2_FloodIsSlowedDown(t *testing.T) {
	w, _ := readyWorld(t)
	limiter := rs.NewAddressLimiter(1, 3, w.clock.now)
	contexts, err := rs.NewContextURLs(rs.ContextURLConfig{
		State: w.state, Registrar: w.registrar, Desk: w.desk, Verifier: w.verifier, Relations: w.relations, Base: base, FHIRBase: fhirBase,
		Types: types, Now: w.clock.now, Random: strings.NewReader(""), Limiter: limiter,
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(from string) int {
		r := httptest.NewRequestWithContext(t.Context(), "POST", base+"/uma-context/x/authorize", nil)
		r.RemoteAddr = from
		rec := httptest.NewRecorder()
		contexts.Handler().ServeHTTP(rec, r)
		if rec.Code == 429 && rec.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return rec.Code
	}
	var got []int
	for range 4 {
		got = append(got, ask("192.0.2.1:1000"))
	}
	got = append(got, ask("192.0.2.2:1000"), ask("[2001:db8::1]:1"), ask("[2001:db8::2]:1"), ask("[2001:db8::3]:1"), ask("[2001:db8::4]:1"))
	if want := []int{404, 404, 404, 429, 404, 404, 404, 404, 429}; !slices.Equal(got, want) {
		t.Errorf("got %v want %v", got, want)
	}
	w.clock.forward(2 * time.Second)
	if c := ask("192.0.2.1:1000"); c != 404 {
		t.Errorf("after a pause: %d", c)
	}
}

func TestSEC_03_ClientAndChallengeTravelIntoTheTicket(t *testing.T) {
	w, key := readyWorld(t)
	challenge := strings.Repeat("A", 43)
	ticket := ticketOf(t, w, w.do("POST", w.mint(key, "john", "app-1")+"/authorize?scope=Patient.r&code_challenge="+challenge+"&code_challenge_method=S256", ""))
	if ticket.Challenge != challenge {
		t.Errorf("challenge %q", ticket.Challenge)
	}
	golden(t, ticket.Permissions[0].Constraints, `[{"type":"client","value":"app-1"}]`) // decisions 9
}

// F-075: an owner who took this server's token back looks like one who does not answer.
func TestWithdrawnOwnerLooksLikeADecoy(t *testing.T) {
	w, key := readyWorld(t)
	u := w.mint(key, "john", "app-1")
	before := ticketOf(t, w, w.do("POST", u+"/authorize?scope=Patient.r", ""))
	w.as.RevokePATs("sub-john", true)
	w.clock.forward(time.Hour)
	after := ticketOf(t, w, w.do("POST", u+"/authorize?scope=Patient.r", ""))
	if before.Owner != "sub-john" || after.Owner != asclienttest.CustodianOwner {
		t.Errorf("asked of %q and %q", before.Owner, after.Owner)
	}
	before.Permissions[0].ResourceID, after.Permissions[0].ResourceID = "", ""
	if fmt.Sprint(before.Permissions) != fmt.Sprint(after.Permissions) {
		t.Errorf("decoy asks differently: %v, %v", before.Permissions, after.Permissions)
	}
}

func TestA2_5_LaunchContextOnlyAfterAuthorization(t *testing.T) {
	w, key := readyWorld(t)
	patient, user, bound := w.mint(key, "abigail", ""), w.mint(key, "", ""), w.mint(key, "abigail", "app-1")
	child, _ := find(t, w, "sub-john", "patient", "abigail")
	all, _ := find(t, w, "sub-john", "user", "")
	until := w.clock.now().Add(5 * time.Minute).Unix()
	grant := func(token, client, set string, scopes ...string) {
		w.as.PutToken(token, uma.Introspection{Active: true, ClientID: client, Sub: "x", Exp: until, JTI: token, Kind: "rpt",
			Permissions: []uma.Permission{{ResourceID: set, Scopes: scopes}}})
	}
	grant("child", "app-1", child, "patient/Patient.r")
	grant("child-other-app", "app-2", child, "patient/Patient.r")
	grant("user", "app-1", all, "user/Patient.r")
	grant("empty", "app-1", child)
	for _, c := range []struct {
		name, url, token string
		status           int
		want             string
	}{
		{"patient", patient, "child", 200, `{"fhir_base":"` + fhirBase + `","level":"patient","patient":"abigail","need_patient_banner":true}` + "\n"},
		{"user", user, "user", 200, `{"fhir_base":"` + fhirBase + `","level":"user","need_patient_banner":false}` + "\n"},
		{"bound, its app", bound, "child", 200, `{"fhir_base":"` + fhirBase + `","level":"patient","patient":"abigail","need_patient_banner":true}` + "\n"},
		{"bound, another app", bound, "child-other-app", 404, unknownContext},
		{"no token", patient, "", 401, ""},
		{"unknown token", patient, "who", 401, ""},
		{"other set", patient, "user", 401, ""},
		{"other set", user, "child", 401, ""},
		{"no scope", patient, "empty", 401, ""},
	} {
		var header []string
		if c.token != "" {
			header = []string{"Authorization", "Bearer " + c.token}
		}
		rec := w.do("GET", c.url, "", header...)
		if rec.Code != c.status || c.want != "" && rec.Body.String() != c.want {
			t.Errorf("%s: %d %s", c.name, rec.Code, rec.Body)
			continue
		}
		if c.status == 401 {
			if p := ticketOf(t, w, rec).Permissions; len(p) != 1 || len(p[0].Scopes) != 0 {
				t.Errorf("%s: ticket for %v, want zero scopes", c.name, p)
			}
			if strings.Contains(rec.Body.String(), "abigail") {
				t.Errorf("%s: tells the patient", c.name)
			}
		}
	}
}
