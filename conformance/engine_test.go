package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/conformance"
)

// server is a small server under test; environ examines it.
func server(t *testing.T, h http.HandlerFunc) (*httptest.Server, conformance.Profile) {
	t.Helper()
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/uma2-configuration" {
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":"%s/token","grant_types_supported":7}`, s.URL, s.URL)
			return
		}
		h(w, r)
	}))
	t.Cleanup(s.Close)
	p, err := conformance.ParseProfile([]byte("server: x\nissuer: "+s.URL+"\npeople: {alice: {login: al, password: pw}, bob: {login: bo, password: pw}}"), environment(nil))
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func environ(t *testing.T, p conformance.Profile, o conformance.Options) *conformance.Env {
	t.Helper()
	env, err := conformance.NewEnv(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

func nothing(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func one(id string, run func(*conformance.T)) conformance.Check {
	return conformance.Check{ID: "x.y." + id, Title: id, Covers: []string{"G-001"}, Level: conformance.LevelMust, Run: run}
}

// What a check does decides its verdict; whatever happens inside, the run goes on.
func TestVerdicts(t *testing.T) {
	_, p := server(t, nothing)
	env := environ(t, p, conformance.Options{})
	var order []string
	checks := []conformance.Check{
		one("pass", func(t *conformance.T) { t.Logf("fine") }),
		one("fail", func(t *conformance.T) { t.Errorf("a"); t.Fatalf("b"); t.Errorf("never") }),
		one("skip", func(t *conformance.T) { t.Skipf("because") }),
		one("fail-then-skip", func(t *conformance.T) { t.Errorf("a"); t.Skipf("b") }),
		one("blocked", func(t *conformance.T) { t.Blockf("no ticket") }),
		one("panic", func(*conformance.T) { panic("broken") }),
		one("slow", func(t *conformance.T) { <-t.Context().Done() }),
		one("needs", func(*conformance.T) { t.Error("ran") }),
		one("wait", func(t *conformance.T) { t.Wait(time.Hour, "the end") }),
		one("cleanup", func(t *conformance.T) {
			t.Cleanup(func() { order = append(order, "first"); t.Errorf("in a cleanup") })
			t.Cleanup(func() { order = append(order, "last"); panic("in a cleanup") })
			t.Fatalf("x")
		}),
		one("person", func(t *conformance.T) { t.Party(conformance.Dave) }),
		one("nobody", func(t *conformance.T) { t.Client(conformance.C1) }),
	}
	checks[7].Needs = []conformance.Need{conformance.NeedPCT}
	run := conformance.Execute(t.Context(), env, checks, conformance.RunOptions{Timeout: 300 * time.Millisecond})
	got := map[string]string{}
	for _, r := range run.Results {
		got[strings.TrimPrefix(r.Check.ID, "x.y.")] = string(r.Verdict) + ": " + strings.Join(r.Messages, "|")
	}
	for id, want := range map[string]string{
		"pass": "pass: ", "fail": "fail: a|b", "skip": "skip: because", "fail-then-skip": "fail: a|b", "blocked": "blocked: could not be examined: no ticket",
		"panic": "fail: the check itself broke: broken", "slow": "fail: the check took longer than 300ms", "needs": "skip: needs persisted claims tokens",
		"wait": "skip: would wait 1h0m0s for the end", "cleanup": "fail: x", "person": "skip: the profile names nobody as dave", "nobody": "skip: the profile gives no client C1",
	} {
		if !strings.HasPrefix(got[id], want) {
			t.Errorf("%s: %q, want %q", id, got[id], want)
		}
	}
	if !slices.Equal(order, []string{"last", "first"}) {
		t.Errorf("cleanups ran as %v", order)
	}
	if c := run.Count(nil); c.Total() != len(checks) || run.Passed() {
		t.Errorf("%+v", c)
	}
}

// What a check tells of an answer holds no secret of it.
func TestMessagesHoldNoSecrets(t *testing.T) {
	const secret, pat = "abcdefghijklmnopqrstuvwxyz", "pat-pat-pat-pat-pat"
	_, p := server(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"list":[{"ticket":"` + secret + `"}]}`))
	})
	env := environ(t, p, conformance.Options{})
	run := conformance.Execute(t.Context(), env, []conformance.Check{one("tells", func(t *conformance.T) {
		x := t.PostForm(env.Issuer, url.Values{"client_secret": {secret + secret}}, conformance.Bearer(pat))
		t.Logf("sent %s with %s", secret+secret, pat)
		t.Errorf("got %s", x.Body)
	})}, conformance.RunOptions{})
	said := strings.Join(append(run.Results[0].Messages, run.Results[0].Log...), " ")
	if strings.Contains(said, secret) || strings.Contains(said, pat) || !strings.Contains(said, conformance.Short(secret)) {
		t.Errorf("%s", said)
	}
}

// A run that leaves a MUST unexamined does not pass; recommendations and skips do no harm.
func TestPassed(t *testing.T) {
	for _, c := range []struct {
		level   conformance.Level
		verdict conformance.Verdict
		want    bool
	}{
		{conformance.LevelMust, conformance.Pass, true}, {conformance.LevelMust, conformance.Skip, true}, {conformance.LevelMust, conformance.Fail, false},
		{conformance.LevelMust, conformance.Blocked, false}, {conformance.LevelMust, "", false}, {conformance.LevelShould, conformance.Fail, true},
	} {
		run := conformance.Run{Results: []conformance.Result{{Check: conformance.Check{Level: c.level}, Verdict: c.verdict}}}
		if run.Passed() != c.want {
			t.Errorf("%s %q: %v", c.level, c.verdict, run.Passed())
		}
	}
}

// Serial checks run alone, the others side by side, and no more than allowed.
func TestSerialRunsAlone(t *testing.T) {
	_, p := server(t, nothing)
	env := environ(t, p, conformance.Options{})
	var now, most atomic.Int64
	var checks []conformance.Check
	for i := range 12 {
		c := one(fmt.Sprintf("n%d", i), func(t *conformance.T) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			time.Sleep(5 * time.Millisecond)
			if t.Check().Serial && now.Load() != 1 {
				t.Errorf("%d at a time", now.Load())
			}
		})
		c.Serial = i%3 == 0
		checks = append(checks, c)
	}
	run := conformance.Execute(t.Context(), env, checks, conformance.RunOptions{Parallel: 3})
	if c := run.Count(nil); c.Pass != 12 || most.Load() < 2 || most.Load() > 3 {
		t.Errorf("%+v, at most %d at a time", c, most.Load())
	}
}

// A run that is stopped says so of what did not run.
func TestStopped(t *testing.T) {
	_, p := server(t, nothing)
	env := environ(t, p, conformance.Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	first := one("first", func(*conformance.T) { cancel(errors.New("enough")) })
	run := conformance.Execute(ctx, env, []conformance.Check{first, one("second", func(*conformance.T) {})}, conformance.RunOptions{Parallel: 1})
	if r := run.Results[1]; r.Verdict != conformance.Skip || !strings.Contains(r.Messages[0], "enough") {
		t.Errorf("%s %v", r.Verdict, r.Messages)
	}
}

// A server that cannot be examined is told from one that fails.
func TestUnreachable(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"status":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"no JSON":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"null":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("null")) },
		"no token": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"issuer":"x"}`)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
	} {
		s := httptest.NewServer(h)
		if _, err := conformance.NewEnv(t.Context(), conformance.Profile{Issuer: s.URL}, conformance.Options{}); !errors.Is(err, conformance.ErrUnreachable) {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	if _, err := conformance.NewEnv(t.Context(), conformance.Profile{Issuer: "http://127.0.0.1:1"}, conformance.Options{}); !errors.Is(err, conformance.ErrUnreachable) {
		t.Error(err)
	}
}

// A fixture that fails is tried once, and every check that needs it says why; a race asks once.
func TestFixturesAreMadeOnce(t *testing.T) {
	var made atomic.Int64
	_, p := server(t, func(w http.ResponseWriter, _ *http.Request) {
		made.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":"unauthorized_client","error_description":"not you"}`))
	})
	p.PAT.How = "password"
	p.Clients.Given = map[string]conformance.ClientHow{"RS1": {ID: "rs", Secret: "s"}}
	env := environ(t, p, conformance.Options{})
	var checks []conformance.Check
	for i := range 8 {
		checks = append(checks, one(fmt.Sprintf("n%d", i), func(t *conformance.T) { t.PAT(conformance.Alice, conformance.RS1) }))
	}
	run := conformance.Execute(t.Context(), env, checks, conformance.RunOptions{Parallel: 8})
	for _, r := range run.Results {
		if r.Verdict != conformance.Blocked || !strings.Contains(strings.Join(r.Messages, ""), "unauthorized_client: not you") {
			t.Errorf("%s %v", r.Verdict, r.Messages)
		}
	}
	if made.Load() != 1 {
		t.Errorf("asked %d times", made.Load())
	}
}

// Hooks over HTTP: templates, lists, what is kept of one answer for the next call.
func TestHTTPHooks(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s, p := server(t, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		mu.Lock()
		got = append(got, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(body))
		mu.Unlock()
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		_, _ = w.Write([]byte(`{"list":[{"n":"7"}],"id":42}`))
	})
	p.Hooks.Permit = &conformance.HookHow{HTTP: []conformance.HookCall{
		{URL: "{{issuer}}/find", Form: map[string]string{"who": "{{party}}"}, Basic: "{{rs}}:{{rs_secret}}", Keep: map[string]string{"n": "list.0.n"}},
		{URL: "{{issuer}}/policy/{{n}}", Method: http.MethodPut, Bearer: "{{pat}}", JSON: map[string]any{"scopes": "{{scopes}}", "deep": []any{"{{party_sub}}", true}}, Keep: map[string]string{"id": "id"}},
	}}
	p.Hooks.Revoke = &conformance.HookHow{HTTP: []conformance.HookCall{{URL: s.URL + "/fails"}}}
	p.Hooks.ClaimToken = &conformance.HookHow{Command: []string{"sh", "-c", `cat >/dev/null; echo '{"token":"tok"}'`}}
	p.Hooks.Deny = &conformance.HookHow{Command: []string{"sh", "-c", `echo "went wrong" >&2; exit 3`}}
	p.Hooks.Approve = &conformance.HookHow{Command: []string{"sh", "-c", `echo '{"error":"no such request"}'`}}
	env := environ(t, p, conformance.Options{})
	q := conformance.HookRequest{Action: "permit", Issuer: s.URL, Party: "b o", PartySub: "sub", RS: "rs", RSSecret: "x", PAT: "pat", Scopes: []string{"view", "print"}}
	a, err := env.Hook(t.Context(), q)
	if err != nil || a.ID != "42" {
		t.Fatalf("%+v %v", a, err)
	}
	want := []string{"POST /find Basic cnM6eA== who=b+o", `PUT /policy/7 Bearer pat {"deep":["sub",true],"scopes":["view","print"]}`}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for action, want := range map[string]string{"revoke": "status 418", "deny": "went wrong", "approve": "no such request", "pat": "no hook"} {
		q.Action = action
		if _, err := env.Hook(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", action, err)
		}
	}
	p.Hooks.Gather = &conformance.HookHow{Command: []string{"sh", "-c", `sed 's/.*"url":"\([^"]*\)".*/{"redirect":"https:\/\/c.example\/?ticket=t2\&from=\1"}/'`}}
	p.Party.How = "gather"
	p.Clients.Given = map[string]conformance.ClientHow{"C1": {ID: "c1"}}
	gathering := environ(t, p, conformance.Options{})
	run := conformance.Execute(t.Context(), gathering, []conformance.Check{one("gather", func(t *conformance.T) {
		g := t.Gather(t.Client(conformance.C1), "t1", conformance.Bob, conformance.GatherOptions{Start: s.URL + "/claims", State: "st"})
		if g.Ticket != "t2" || !strings.HasPrefix(g.Redirect.Query().Get("from"), s.URL+"/claims") {
			t.Errorf("%s", g.Told())
		}
	})}, conformance.RunOptions{})
	if r := run.Results[0]; r.Verdict != conformance.Pass {
		t.Errorf("%s %v", r.Verdict, r.Messages)
	}
	q.Action = "claim-token"
	if a, err := env.Hook(t.Context(), q); err != nil || a.Token != "tok" {
		t.Errorf("%+v %v", a, err)
	}
}

// Selecting checks: ids, beginnings, patterns, statements; what matches nothing is told.
func TestSelect(t *testing.T) {
	a, b := one("a-b", nil), one("c", nil)
	b.Covers = []string{"F-009"}
	for pattern, want := range map[string]int{"x": 2, "x.y": 2, "x.y.c": 1, "x.*.c": 1, "f-009": 1, "x.y.a": 0, "G-1": 0, "": 0} {
		got, err := conformance.Select([]conformance.Check{a, b}, []string{pattern})
		if len(got) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", pattern, len(got), err)
		}
	}
	if got, err := conformance.Select([]conformance.Check{a, b}, nil); len(got) != 2 || err != nil {
		t.Errorf("%v %v", got, err)
	}
	bad := []conformance.Check{{ID: "X"}, a, a, {ID: "a.b.c", Title: "x", Covers: []string{"G-1"}, Run: func(*conformance.T) {}, Level: "PERHAPS"}}
	if errs := conformance.Validate(bad); len(errs) != 7 {
		t.Errorf("%d mistakes: %v", len(errs), errs)
	}
}

// The provider's good token is what it says; every forgery differs in the one way its name says.
func TestProvider(t *testing.T) {
	provider, err := conformance.NewProvider(t.Context(), "127.0.0.1:0", "", time.Now, strings.NewReader(strings.Repeat("random bytes that are not ", 4000)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := provider.Close(); err != nil {
			t.Error(err)
		}
	}()
	res, err := http.Get(provider.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Issuer, JWKSURI string }
	if err := errors.Join(json.NewDecoder(res.Body).Decode(&d), res.Body.Close()); err != nil || d.Issuer != provider.Issuer {
		t.Errorf("%+v %v", d, err)
	}
	_, p := server(t, nothing)
	env := environ(t, p, conformance.Options{Provider: provider})
	run := conformance.Execute(t.Context(), env, []conformance.Check{one("sign", func(ct *conformance.T) {
		who := ct.Party(conformance.Bob)
		for how, good := range map[string]bool{"": true, conformance.ForgeKey: false, conformance.ForgeNone: false, conformance.ForgeHMAC: false, conformance.ForgeBody: false} {
			raw := ct.Provider().Sign(ct, how, provider.Claims(who, "me", map[string]any{"email": nil, "x": 1}))
			claims, err := verified(raw, provider.JWKS())
			if (err == nil) != good {
				ct.Errorf("%q: %v", how, err)
			}
			if good && (claims["sub"] != "bo" || claims["x"] != 1.0 || claims["email"] != nil) {
				ct.Errorf("%v", claims)
			}
		}
	})}, conformance.RunOptions{})
	if r := run.Results[0]; r.Verdict != conformance.Pass {
		t.Error(r.Messages)
	}
}

// Exchanges: what they tell, and what the answers' shapes are when they are not what they should be.
func TestExchange(t *testing.T) {
	x := &conformance.Exchange{
		Status: 401, Body: []byte(`{"error":"invalid_token","n":1}`), Request: conformance.Message{URL: "https://as.example/a/b"},
		Header: http.Header{"Location": {"../c?d=e"}, "Content-Type": {"Application/JSON; charset=utf-8"}, "Www-Authenticate": {`Bearer realm="a, b", error="x", UMA ticket="t\"q"`, "Basic"}},
	}
	if x.OAuthError() != "invalid_token" || x.Text("n") != "" || x.MediaType() != "application/json" || x.Location().String() != "https://as.example/c?d=e" {
		t.Errorf("%+v", x)
	}
	got := x.Challenges()
	if len(got) != 3 || got[0].Params["realm"] != "a, b" || got[1].Scheme != "UMA" || got[1].Params["ticket"] != `t"q` || got[2].Scheme != "Basic" {
		t.Errorf("%+v", got)
	}
	none := &conformance.Exchange{Err: errors.New("gone")}
	if none.OAuthError() != "" || none.Location() != nil || none.Challenges() != nil || none.Told() != "no answer: gone" {
		t.Errorf("%+v", none)
	}
	form := url.Values{}
	h := http.Header{}
	conformance.Basic("a:b", "c d")(h, form)
	if h.Get("Authorization") != "Basic YSUzQWI6Yytk" {
		t.Error(h)
	}
}
