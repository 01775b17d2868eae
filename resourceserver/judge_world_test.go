package resourceserver_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/fhir/store"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/resourceserver/rstest"
)

const (
	publicBase   = "https://hospital.example/fhir"
	upstreamBase = "http://upstream.internal/r4"
)

// judged is an enforcer before the embedded FHIR server with the records of two patients and what lies between them.
type judged struct {
	t     *testing.T
	as    *rstest.AS
	up    *counting
	store *store.Store
	h     http.Handler
	now   time.Time
}

// counting counts and can disturb what goes upstream.
type counting struct {
	rs.Upstream
	mu    sync.Mutex
	calls []rs.UpstreamRequest
	alter func(r rs.UpstreamRequest, resp *rs.UpstreamResponse)
}

func (c *counting) Do(ctx context.Context, r rs.UpstreamRequest) (rs.UpstreamResponse, error) {
	c.mu.Lock()
	c.calls = append(c.calls, r)
	alter := c.alter
	c.mu.Unlock()
	resp, err := c.Upstream.Do(ctx, r)
	if err == nil && alter != nil {
		alter(r, &resp)
	}
	return resp, err
}

func (c *counting) take() []rs.UpstreamRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

// records are the fixtures: everything of the patients one and two, and what is shared.
var records = []string{
	`{"resourceType":"Patient","id":"p1","name":[{"family":"One"}],"gender":"female"}`,
	`{"resourceType":"Patient","id":"p2","name":[{"family":"Two"}],"gender":"male"}`,
	`{"resourceType":"Practitioner","id":"dr","name":[{"family":"Doc"}]}`,
	`{"resourceType":"Organization","id":"org","name":"Clinic"}`,
	`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Encounter","id":"e2","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/p2"}}`,
	`{"resourceType":"Observation","id":"lab1","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"text":"Na"},"subject":{"reference":"Patient/p1"},"performer":[{"reference":"Practitioner/dr"}],"encounter":{"reference":"Encounter/e1"},"effectiveDateTime":"2024-03-01","valueQuantity":{"value":140.50}}`,
	`{"resourceType":"Observation","id":"vit1","status":"final","category":[{"coding":[{"code":"vital-signs"}]}],"code":{"text":"HR"},"subject":{"reference":"Patient/p1"},"effectiveDateTime":"2025-03-01"}`,
	`{"resourceType":"Observation","id":"lab2","status":"final","category":[{"coding":[{"code":"laboratory"}]}],"code":{"text":"Na"},"subject":{"reference":"Patient/p2"},"effectiveDateTime":"2024-03-01"}`,
	`{"resourceType":"Observation","id":"perf1","status":"final","code":{"text":"self"},"performer":[{"reference":"Patient/p1"}]}`,
	`{"resourceType":"Observation","id":"about2by1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p2"},"performer":[{"reference":"Patient/p1"}]}`,
	`{"resourceType":"Observation","id":"focus1","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p2"},"focus":[{"reference":"Patient/p1"}]}`,
	`{"resourceType":"Observation","id":"secret1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Observation","id":"hiv1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Observation","id":"cont1","status":"final","contained":[{"resourceType":"Practitioner","id":"c","name":[{"family":"Inside"}]}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Inside</div>"},"code":{"text":"x"},"subject":{"reference":"Patient/p1"},"performer":[{"reference":"#c","display":"somebody"}]}`,
	`{"resourceType":"Observation","id":"cont12","status":"final","contained":[{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p2"}}],"code":{"text":"x"},"subject":{"reference":"Patient/p1"},"hasMember":[{"reference":"#c"}]}`,
	`{"resourceType":"AllergyIntolerance","id":"a1","patient":{"reference":"Patient/p1"},"recorder":{"reference":"Practitioner/dr"},"code":{"text":"nuts"}}`,
	`{"resourceType":"AllergyIntolerance","id":"a2","patient":{"reference":"Patient/p2"},"code":{"text":"cats"}}`,
	`{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"},"onsetDateTime":"2024-06-01"}`,
	`{"resourceType":"Condition","id":"c2","subject":{"reference":"Patient/p2"}}`,
	`{"resourceType":"Device","id":"d1","patient":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Device","id":"d2","patient":{"reference":"Patient/p2"}}`,
	`{"resourceType":"Device","id":"d0"}`,
	`{"resourceType":"Group","id":"g12","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}},{"entity":{"reference":"Patient/p2"}}]}`,
	`{"resourceType":"Group","id":"g1","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p1"}}]}`,
	`{"resourceType":"List","id":"l1","status":"current","mode":"working","subject":{"reference":"Patient/p1"},"entry":[{"item":{"reference":"Observation/lab1"}}]}`,
	`{"resourceType":"List","id":"l12","status":"current","mode":"working","subject":{"reference":"Patient/p1"},"entry":[{"item":{"reference":"Observation/lab1"}},{"item":{"reference":"Observation/lab2"}}]}`,
	`{"resourceType":"Appointment","id":"ap12","status":"booked","participant":[{"actor":{"reference":"Patient/p1"},"status":"accepted"},{"actor":{"reference":"Patient/p2"},"status":"accepted"},{"actor":{"reference":"Practitioner/dr"},"status":"accepted"}]}`,
	`{"resourceType":"Provenance","id":"pr12","target":[{"reference":"Observation/lab1"},{"reference":"Observation/lab2"}],"recorded":"2024-03-01T00:00:00Z","agent":[{"who":{"reference":"Practitioner/dr"}}]}`,
	`{"resourceType":"Person","id":"pe1","link":[{"target":{"reference":"Patient/p1"}}]}`,
	`{"resourceType":"Person","id":"pe12","link":[{"target":{"reference":"Patient/p1"}},{"target":{"reference":"Patient/p2"}}]}`,
	`{"resourceType":"Task","id":"t1","status":"draft","intent":"order","for":{"reference":"Patient/p1"}}`,
	`{"resourceType":"Immunization","id":"im1","status":"completed","vaccineCode":{"text":"flu"},"patient":{"reference":"Patient/p1"},"occurrenceDateTime":"2025-10-01"}`,
	`{"resourceType":"Schedule","id":"s1","actor":[{"reference":"Patient/p1"}]}`,
	`{"resourceType":"Slot","id":"sl1","schedule":{"reference":"Schedule/s1"},"status":"free","start":"2025-01-01T10:00:00Z","end":"2025-01-01T11:00:00Z"}`,
	`{"resourceType":"Contract","id":"k1","status":"executed"}`,
	`{"resourceType":"Location","id":"loc","name":"Ward"}`,
}

func newJudged(t *testing.T) *judged {
	t.Helper()
	j := &judged{t: t, as: rstest.New(), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	s, err := store.Open(store.Options{Path: filepath.Join(t.TempDir(), "fhir.db"), Base: upstreamBase, Now: func() time.Time { return j.now }, NoSync: true, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	j.store = s
	var list []*fhir.Resource
	for _, text := range records {
		r, err := fhir.Parse([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		list = append(list, r)
	}
	if err := s.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	j.up = &counting{Upstream: &gateway.InProcess{Handler: s.Handler(), BaseURL: upstreamBase, HasCompartments: true}}
	j.h = j.enforcer(nil)
	return j
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// loud logs faults into the test's own output.
func loud(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
}

func (j *judged) enforcer(change func(*rs.EnforcerConfig)) *rs.Enforcer {
	j.t.Helper()
	c := rs.EnforcerConfig{
		Base: publicBase, ResourceMetadata: "https://hospital.example/.well-known/oauth-protected-resource/fhir", Upstream: j.up, Verifier: j.as,
		Ticketer: j.as, Relations: j.as, Recorder: j.as, Pages: j.as, Spender: j.as, Now: func() time.Time { return j.now }, Logger: loud(j.t),
	}
	if change != nil {
		change(&c)
	}
	e, err := rs.NewEnforcer(c)
	if err != nil {
		j.t.Fatal(err)
	}
	return e
}

// rpt gives a token on p1's record.
func (j *judged) rpt(smart ...string) string {
	return j.as.Give(rs.Grant{ClientID: "app", Sub: "user-1", Permissions: []rs.Permitted{j.as.RecordOf("p1", smart...)}})
}

// oauth gives the same through the other door.
func (j *judged) oauth(smart ...string) string {
	return j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Sub: "user-1", Permissions: []rs.Permitted{j.as.RecordOf("p1", smart...)}})
}

// user gives a token on everything user u may see.
func (j *judged) user(u string, smart ...string) string {
	set := rs.Set{Issuer: j.as.Issuer, ResourceID: "access-" + u, Level: rs.LevelUser, User: u}
	return j.as.Give(rs.Grant{ClientID: "app", Sub: u, Permissions: []rs.Permitted{j.as.Permission(set, smart...)}})
}

type reply struct {
	*http.Response
	body string
	json map[string]any
}

func (j *judged) do(method, path, token, body string, headers ...string) reply {
	j.t.Helper()
	r := httptest.NewRequestWithContext(j.t.Context(), method, publicBase+path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	j.h.ServeHTTP(w, r)
	resp := w.Result()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		j.t.Fatal(err)
	}
	out := reply{Response: resp, body: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out.json); err != nil {
			j.t.Fatalf("%s %s: body is no JSON: %v\n%s", method, path, err, raw)
		}
	}
	return out
}

func (j *judged) get(path, token string) reply { j.t.Helper(); return j.do("GET", path, token, "") }

// issue is the code of an OperationOutcome.
func (r reply) issue() string {
	issues, _ := r.json["issue"].([]any)
	if len(issues) == 0 {
		return ""
	}
	first, _ := issues[0].(map[string]any)
	code, _ := first["code"].(string)
	return code
}

// ids lists Type/id of a Bundle's rows, sorted.
func (r reply) ids() []string {
	seen := map[string]bool{}
	entries, _ := r.json["entry"].([]any)
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		res, _ := entry["resource"].(map[string]any)
		typ, _ := res["resourceType"].(string)
		id, _ := res["id"].(string)
		if typ != "OperationOutcome" && typ != "" {
			seen[typ+"/"+id] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (r reply) next() string {
	links, _ := r.json["link"].([]any)
	for _, l := range links {
		link, _ := l.(map[string]any)
		if link["relation"] == "next" {
			url, _ := link["url"].(string)
			return strings.TrimPrefix(url, publicBase)
		}
	}
	return ""
}

func (j *judged) want(r reply, status int, issue string) {
	j.t.Helper()
	if r.StatusCode != status || issue != "" && r.issue() != issue {
		j.t.Fatalf("got %d %s, want %d %s\n%s", r.StatusCode, r.issue(), status, issue, r.body)
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		j.t.Errorf("Cache-Control %q", got)
	}
	if r.Header.Get("X-Request-Id") == "" {
		j.t.Error("no request id")
	}
}

func (j *judged) wantRows(r reply, want ...string) {
	j.t.Helper()
	if r.StatusCode != 200 {
		j.t.Fatalf("status %d\n%s", r.StatusCode, r.body)
	}
	slices.Sort(want)
	if got := r.ids(); !slices.Equal(got, want) {
		j.t.Fatalf("rows %v, want %v", got, want)
	}
}
