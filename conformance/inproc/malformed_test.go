package inproc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// shape is how a door words a refusal.
type shape int

const (
	oauthJSON shape = iota // {"error": …} (RFC 6749 §5.2)
	outcome                // FHIR OperationOutcome
	page                   // HTML for people
	either                 // JSON or a page: what the address serves depends on who asks
)

// route is one address of the product with the credentials that open it.
type route struct {
	method, target string
	shape          shape
	auth           string // Authorization header, "" none
}

// routes is every door of the three servers.
func (w *world) routes(t *testing.T, g granted) []route {
	t.Helper()
	as, rs, f := w.World.Issuer, w.World.RS, w.World.FHIRBase
	pat, rpt := "Bearer "+w.pat(t, w.World.Server), "Bearer "+g.RPT
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(url.QueryEscape(w.World.App.ClientID), url.QueryEscape(w.World.App.ClientSecret))
	basic := r.Header.Get("Authorization")
	return []route{
		{"GET", as + uma.WellKnownUMA, oauthJSON, ""}, {"GET", as + uma.WellKnownOAuth, oauthJSON, ""}, {"GET", as + uma.WellKnownOpenID, oauthJSON, ""},
		{"GET", as + "/jwks", oauthJSON, ""}, {"POST", as + "/token", oauthJSON, basic}, {"POST", as + "/introspect", oauthJSON, pat},
		{"POST", as + "/revoke", oauthJSON, basic}, {"POST", as + "/register", oauthJSON, ""}, {"GET", as + "/userinfo", oauthJSON, rpt},
		{"POST", as + "/resource_set/", oauthJSON, pat}, {"GET", as + "/resource_set/", oauthJSON, pat}, {"GET", as + "/resource_set/none", oauthJSON, pat},
		{"PUT", as + "/resource_set/none", oauthJSON, pat}, {"DELETE", as + "/resource_set/none", oauthJSON, pat}, {"POST", as + "/permission", oauthJSON, pat},
		{"POST", as + "/access-events", oauthJSON, pat}, {"POST", as + "/grants/consume", oauthJSON, pat},
		{"GET", as + "/authorize", page, ""}, {"POST", as + "/authorize", page, ""}, {"GET", as + "/claims", page, ""},
		{"GET", as + "/login", page, ""}, {"POST", as + "/login", page, ""}, {"POST", as + "/logout", page, ""}, {"GET", as + "/flow/x", page, ""},
		{"POST", as + "/flow/x/consent", page, ""}, {"POST", as + "/flow/x/details", page, ""}, {"POST", as + "/flow/x/protect", page, ""},
		{"POST", as + "/flow/x/step-up", page, ""}, {"POST", as + "/flow/x/terms", page, ""}, {"POST", as + "/flow/x/send", page, ""},
		{"POST", as + "/signin/away", page, ""}, {"GET", as + "/signin/back/x", page, ""}, {"POST", as + "/me/sign-in/unlink", page, ""},
		{"GET", as + "/me/remembered", page, ""}, {"POST", as + "/me/remembered/x/forget", page, ""},
		{"POST", as + "/flow/x/cancel", page, ""}, {"GET", as + "/me/requests/x", page, ""}, {"POST", as + "/me/requests/x", page, ""},
		{"GET", as + "/me/sharing/x/stop", page, ""}, {"POST", as + "/me/share", page, ""}, {"GET", as + "/no/such/address", either, ""},
		{"GET", rs + "/.well-known/oauth-protected-resource", outcome, ""}, {"GET", f + "/.well-known/smart-configuration", outcome, ""}, {"GET", f + "/metadata", outcome, ""},
		{"POST", g.Link + "/authorize", oauthJSON, ""}, {"GET", g.Link, oauthJSON, rpt}, {"POST", rs + "/uma-context/none/authorize", oauthJSON, ""},
		{"POST", rs + "/uma/preview", oauthJSON, ""},
		{"GET", f + "/AllergyIntolerance", outcome, rpt}, {"GET", f + "/AllergyIntolerance/none", outcome, rpt}, {"POST", f + "/AllergyIntolerance/_search", outcome, rpt},
		{"POST", f + "/Immunization", outcome, rpt}, {"PUT", f + "/Immunization/none", outcome, rpt}, {"PATCH", f + "/Immunization/none", outcome, rpt},
		{"DELETE", f + "/Immunization/none", outcome, rpt}, {"POST", f, outcome, rpt}, {"GET", f + "/Patient/maria/$everything", outcome, rpt},
		{"GET", f + "/Nonsense/1", outcome, rpt}, {"GET", f + "/AllergyIntolerance/none/_history/1", outcome, rpt},
		{"GET", rs + "/resolve-uma-context/user", page, ""}, {"GET", rs + "/resolve-uma-context/patient", page, ""}, {"GET", rs + "/resolve/x", page, ""},
		{"POST", rs + "/resolve/x", page, ""}, {"POST", rs + "/resolve/x/signin", page, ""}, {"GET", rs + "/signin/callback", page, ""},
		{"POST", rs + "/signout", page, ""}, {"POST", rs + "/connect", page, ""}, {"POST", rs + "/connect/remove", page, ""},
	}
}

// input is something no honest client sends.
type input struct {
	name, media, body, query string
	header                   http.Header
}

const (
	formMedia = "application/x-www-form-urlencoded"
	jsonMedia = "application/json"
	fhirMedia = "application/fhir+json"
)

func inputs() []input {
	large := strings.Repeat("a", 3<<20)
	deep := strings.Repeat("[", 100_000)
	return []input{
		{name: "nothing"},
		{name: "no media type", body: "x"},
		{name: "broken JSON", media: jsonMedia, body: `{"a":`},
		{name: "deep JSON", media: jsonMedia, body: deep},
		{name: "duplicate members", media: jsonMedia, body: `{"resource_scopes":["a"],"resource_scopes":["b"],"resource_id":"x","resource_id":"y"}`},
		{name: "JSON of another kind", media: jsonMedia, body: `[[],{},"x",1e999,null]`},
		{name: "broken FHIR", media: fhirMedia, body: `{"resourceType":"Immunization","resourceType":"Patient","id":"../../x"}`},
		{name: "XML", media: "application/fhir+xml", body: `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><id value="&e;"/></Patient>`},
		{name: "large JSON", media: jsonMedia, body: `{"a":"` + large + `"}`},
		{name: "large form", media: formMedia, body: "a=" + large},
		{name: "duplicate parameters", media: formMedia, body: "grant_type=a&grant_type=b&scope=a&scope=b&ticket=a&ticket=b&token=a&token=b"},
		{name: "not text", media: formMedia, body: "ticket=%00%ff%fe&scope=%80&login=%00&token=%c3%28"},
		{name: "wrong percent signs", media: formMedia, body: "ticket=%zz&%=1;%"},
		{name: "many parameters", media: formMedia, body: strings.Repeat("a=b&", 20_000)},
		{name: "broken query", query: "%zz=%00&scope=%ff&scope=b&redirect_uri=%5c%5cevil&client_id=a&client_id=b"},
		{name: "long query", query: "scope=" + strings.Repeat("patient/Patient.r%20", 1500)},
		{name: "script", media: formMedia, body: "login=" + url.QueryEscape(`<script>alert(1)</script>`), query: "state=" + url.QueryEscape(`"><script>alert(1)</script>`)},
		{name: "odd headers", header: http.Header{"Accept": {"application/xml;q=,,,"}, "If-Match": {`W/"`}, "Prefer": {"return=;;"}, "If-None-Exist": {"%%%"}, "X-Provenance": {"{"}, "Cookie": {"umaas_session=%00; =; x"}}},
		{name: "two credentials", header: http.Header{"Authorization": {"Bearer a", "Bearer b"}}},
		{name: "odd credentials", header: http.Header{"Authorization": {"Bearer  ,,, é=\""}}},
	}
}

// TestSEC_59_70_MalformedInputEverywhere sends every input to every address: each refusal has the shape of its door, says
// nothing of the server's inside, and nothing is a fault.
func TestSEC_59_70_MalformedInputEverywhere(t *testing.T) {
	w := common(t, "attacked")
	g := w.give(t, "maria", fluAsk, fluTicks...)
	for _, r := range w.routes(t, g) {
		for _, in := range inputs() {
			w.sendTo(t, r, in)
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
			other := r
			other.method = method
			w.sendTo(t, other, input{name: "method " + method})
		}
	}
	for _, fault := range w.Faults.taken() {
		t.Errorf("logged as an error: %.300s", fault)
	}
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=maria", g.RPT); a.Status != http.StatusOK {
		t.Errorf("after all that, the honest app: %d %s", a.Status, a.Body)
	}
}

var inside = regexp.MustCompile(`goroutine |runtime error|\.go:\d+|/root/|/tmp/|bbolt|<script>alert`)

// sendTo sends one input to one address. An address limiter that asks to wait is waited for: it is not what is tested.
func (w *world) sendTo(t *testing.T, r route, in input) {
	t.Helper()
	target := r.target
	if in.query != "" {
		target += "?" + in.query
	}
	h := http.Header{}
	for name, values := range in.header {
		h[name] = values
	}
	if in.media != "" {
		h.Set("Content-Type", in.media)
	}
	if r.auth != "" && h.Get("Authorization") == "" {
		h.Set("Authorization", r.auth)
	}
	if r.shape == page && h.Get("Accept") == "" {
		h.Set("Accept", "text/html")
	}
	var a answer
	for range 100 {
		req, err := http.NewRequestWithContext(t.Context(), r.method, target, strings.NewReader(in.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = h
		if a, err = exchange(req); err != nil {
			// A server may close before it has read a body it does not want; that is an answer too (RFC 9112 §9.6).
			if len(in.body) < 1<<20 {
				t.Errorf("%s %s, %s: %v", r.method, r.target, in.name, err)
			}
			return
		}
		if a.Status != http.StatusTooManyRequests {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.judge(t, r, in, a)
}

func (w *world) judge(t *testing.T, r route, in input, a answer) {
	t.Helper()
	where := r.method + " " + r.target + ", " + in.name
	if a.Status >= 500 && a.Status != http.StatusNotImplemented || a.Status == http.StatusTooManyRequests {
		t.Errorf("%s: %d %.200s", where, a.Status, a.Body)
	}
	if found := inside.Find(a.Body); found != nil {
		t.Errorf("%s: the answer holds %q: %.300s", where, found, a.Body)
	}
	if a.Status < 400 || r.method == http.MethodHead {
		return
	}
	media, body := a.Header.Get("Content-Type"), a.Body
	ok := false
	switch r.shape {
	case oauthJSON:
		ok = isOAuth(body) && strings.HasPrefix(media, "application/json")
	case outcome:
		ok = isOutcome(body) && strings.HasPrefix(media, fhirMedia)
	case page, either:
		ok = strings.HasPrefix(media, "text/html") && strings.Contains(string(body), "<h1") || isOAuth(body)
	}
	if !ok {
		t.Errorf("%s: %d with %q: %.300s", where, a.Status, media, body)
	}
}

var errorCode = regexp.MustCompile(`^[a-z_]+$`)

// isOAuth reports an OAuth error; the challenge of a context URL, which holds a ticket, is one too (flows.md A2.2).
func isOAuth(body []byte) bool {
	var e struct {
		Code   string `json:"error"`
		Ticket string `json:"ticket"`
	}
	return json.Unmarshal(body, &e) == nil && (errorCode.MatchString(e.Code) || e.Ticket != "")
}

func isOutcome(body []byte) bool {
	var o struct {
		Type  string `json:"resourceType"`
		Issue []struct{ Severity, Code string }
	}
	return json.Unmarshal(body, &o) == nil && o.Type == "OperationOutcome" && len(o.Issue) > 0 && o.Issue[0].Severity != "" && o.Issue[0].Code != ""
}
