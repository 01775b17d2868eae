package mutation_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/clientduty"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
)

const fedClinic = "http://127.0.0.1:7"

// fedApp is one way in which a client misbehaves: in what it answers browsers, or in what it sends to servers.
type fedApp struct {
	answers fedHandler
	sends   func(w *clientduty.World, r *http.Request, form url.Values) // form nil: no form
	also    []string
	why     string
}

// fedOutgoing changes the requests of the client.
type fedOutgoing struct {
	world *clientduty.World
	sends func(w *clientduty.World, r *http.Request, form url.Values)
}

func (o fedOutgoing) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.sends == nil {
		return http.DefaultTransport.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	var form url.Values
	if strings.HasSuffix(r.URL.Path, "/token") {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, _ = url.ParseQuery(string(raw)) // the client wrote it
	}
	o.sends(o.world, r, form)
	if form != nil {
		raw := []byte(form.Encode())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
	}
	return http.DefaultTransport.RoundTrip(r)
}

// fedRunClient examines the Flu Clinic, our app, with a fault.
func fedRunClient(t *testing.T, as *ours.Server, f fedApp) conformance.Run {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	w, err := clientduty.Play(ctx, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	app := demo.App{
		ClientID: "flu-clinic", Secret: "secret of the clinic", ClaimsURI: fedClinic + "/claims",
		HTTP: &http.Client{Timeout: 10 * time.Second, Transport: fedOutgoing{w, f.sends}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	clinic, err := demo.NewClinic(app, fedClinic, w.Origin, w.Origin, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h := clinic.Handler()
	if f.answers != nil {
		h = f.answers(h)
	}
	p := as.Profile()
	p.Harness = conformance.HarnHow{Listen: strings.TrimPrefix(w.Origin, "http://"), Start: fedClinic + "/link", Form: "link={{resource}}"}
	o := as.Options(nil)
	o.Transport = fedClinicRoute{ours.Transport(h), o.Transport}
	env, err := conformance.NewEnv(ctx, p, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	if err := clientduty.Use(ctx, env, w); err != nil {
		t.Fatal(err)
	}
	return conformance.Execute(ctx, env, clientduty.Checks(), conformance.RunOptions{Timeout: 20 * time.Second})
}

type fedClinicRoute struct{ clinic, rest http.RoundTripper }

func (r fedClinicRoute) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.URL.String(), fedClinic+"/") {
		return r.clinic.RoundTrip(req)
	}
	return r.rest.RoundTrip(req)
}

func fedServer(t *testing.T) *ours.Server {
	t.Helper()
	as, err := ours.Start(t.Context(), ours.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = as.Close() })
	return as
}

// Our app does a client's duties (G-023…G-027, G-110…G-116, G-125).
func TestClientDuties(t *testing.T) {
	for _, r := range fedRunClient(t, fedServer(t), fedApp{}).Results {
		if r.Verdict != conformance.Pass {
			t.Errorf("%s: %s %v", r.Check.ID, r.Verdict, r.Messages)
		}
	}
}

// Every check of the suite sees its fault, and no other check does.
func TestClientMutations(t *testing.T) {
	as := fedServer(t)
	for _, c := range clientduty.Checks() {
		f, ok := fedApps[c.ID]
		if !ok {
			t.Errorf("no mutation makes %s fail", c.ID)
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			if err := mutation.Judge(fedRunClient(t, as, f), c.ID, mutation.Mutation{Also: f.also, Why: f.why}); err != nil {
				t.Error(err)
			}
		})
	}
}

// fedToClaims edits the address to which the client sends browsers.
func fedToClaims(change func(q url.Values)) fedHandler {
	return mutation.After(fedAll, func(ex *mutation.Exchange) {
		to, err := url.Parse(ex.Header.Get("Location"))
		if err != nil || to.Path != "/claims" || !to.Query().Has("claims_redirect_uri") {
			return
		}
		q := to.Query()
		change(q)
		to.RawQuery = q.Encode()
		ex.Header.Set("Location", to.String())
	})
}

// fedOwnState remembers the state of each browser, so that a fault may put the right one in place.
func fedOwnState(use func(q url.Values, cookie, right string) string) fedHandler {
	states := map[string]string{} // by cookie; checks run one by one
	last := ""
	return mutation.Around(fedAll, func(ex *mutation.Exchange, next http.Handler) {
		q := ex.Request.URL.Query()
		if ex.Request.URL.Path == "/claims" {
			cookie := ex.Request.Header.Get("Cookie")
			if use(q, cookie, "") != "" {
				if cookie == "" {
					cookie = last
					ex.Request.Header.Set("Cookie", cookie)
				}
				q.Set("state", states[cookie])
				ex.Request.URL.RawQuery = q.Encode()
			}
		}
		ex.Serve(next)
		if to, err := url.Parse(ex.Header.Get("Location")); err == nil && to.Path == "/claims" {
			for _, c := range (&http.Response{Header: ex.Header}).Cookies() {
				last = c.Name + "=" + c.Value
				states[last] = to.Query().Get("state")
			}
		}
	})
}

var fedApps = map[string]fedApp{
	"client.request.grant-type": {sends: func(_ *clientduty.World, _ *http.Request, form url.Values) {
		if form != nil {
			form.Set("grant_type", "authorization_code")
		}
	}},
	"client.request.first-ticket": {sends: func(_ *clientduty.World, _ *http.Request, form url.Values) {
		if form != nil && strings.HasPrefix(form.Get("ticket"), "challenge-") {
			form.Set("ticket", "an-old-one")
		}
	}, also: []string{"client.ticket.rotated"}, why: "who presents another ticket than it holds cannot compare"},
	"client.request.interaction-ticket": {answers: fedToClaims(func(q url.Values) { q.Set("ticket", "an-old-one") })},
	"client.request.newest-ticket": {sends: func(_ *clientduty.World, _ *http.Request, form url.Values) {
		if form != nil && strings.HasPrefix(form.Get("ticket"), "gathered-") {
			form.Set("ticket", "an-old-one")
		}
	}},
	"client.request.claim-token": {sends: func(_ *clientduty.World, _ *http.Request, form url.Values) {
		if form != nil {
			form.Set("claim_token", "x")
		}
	}},
	"client.interaction.client-id":    {answers: fedToClaims(func(q url.Values) { q.Del("client_id") })},
	"client.interaction.redirect-uri": {answers: fedToClaims(func(q url.Values) { q.Set("claims_redirect_uri", q.Get("claims_redirect_uri")+"#there") })},
	"client.interaction.unknown-parameter": {answers: mutation.Before(fedAll, func(ex *mutation.Exchange) bool {
		if !ex.Request.URL.Query().Has("conformance_unknown") {
			return false
		}
		ex.Status = http.StatusBadRequest
		return true
	})},
	"client.pct.person":        fedPCT(true),
	"client.pct.secret":        fedPCT(false),
	"client.state.sent":        {answers: fedToClaims(func(q url.Values) { q.Del("state") })},
	"client.state.unguessable": {answers: fedToClaims(func(q url.Values) { q.Set("state", q.Get("state")[:8]) })},
	"client.state.compared": {answers: fedOwnState(func(q url.Values, cookie, _ string) string {
		if cookie != "" && strings.HasPrefix(q.Get("state"), "other-state-") {
			return "right"
		}
		return ""
	})},
	"client.state.missing": {answers: fedOwnState(func(q url.Values, cookie, _ string) string {
		if cookie != "" && !q.Has("state") {
			return "right"
		}
		return ""
	})},
	"client.state.browser": {answers: fedOwnState(func(_ url.Values, cookie, _ string) string {
		if cookie == "" {
			return "right"
		}
		return ""
	})},
	"client.state.clear": {answers: fedToClaims(func(q url.Values) { q.Set("state", q.Get("state")+q.Get("ticket")) })},
	"client.ticket.rotated": {answers: mutation.Around(fedAll, func(ex *mutation.Exchange, next http.Handler) {
		ex.Serve(next)
		if ex.Request.URL.Path != "/link" || ex.Header.Get("Location") != "/" {
			return
		}
		origin, _, _ := strings.Cut(strings.TrimPrefix(string(ex.Sent), "link="), "%2Fuma-context")
		origin, _ = url.QueryUnescape(origin) // the suite wrote it
		ex.Header.Set("Location", origin+"/claims?claims_redirect_uri="+url.QueryEscape(fedClinic+"/claims")+"&ticket=unchanged&state=s")
	})},
	"client.rpt.header": {sends: func(_ *clientduty.World, r *http.Request, form url.Values) {
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && form == nil {
			r.URL.RawQuery = url.Values{"access_token": {token}}.Encode()
		}
	}},
	"client.rpt.secret": func() fedApp {
		var mu sync.Mutex
		rpt := ""
		return fedApp{
			sends: func(_ *clientduty.World, r *http.Request, _ url.Values) {
				mu.Lock()
				defer mu.Unlock()
				if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
					rpt = token
				}
			},
			answers: mutation.After(fedAll, func(ex *mutation.Exchange) {
				mu.Lock()
				defer mu.Unlock()
				ex.Body = append(ex.Body, []byte("<!-- "+rpt+" -->")...)
			}),
		}
	}(),
}

// fedPCT remembers the PCT that came with an RPT, which the world names alike, and sends it in whatever process comes next, or
// shows it.
func fedPCT(send bool) fedApp {
	var mu sync.Mutex
	pct := ""
	return fedApp{
		sends: func(_ *clientduty.World, r *http.Request, form url.Values) {
			mu.Lock()
			defer mu.Unlock()
			if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer rpt"); ok {
				pct = "pct" + token
			}
			if send && form != nil && pct != "" {
				form.Set("pct", pct)
			}
		},
		answers: mutation.After(fedAll, func(ex *mutation.Exchange) {
			mu.Lock()
			defer mu.Unlock()
			if !send {
				ex.Body = append(ex.Body, []byte("<!-- "+pct+" -->")...)
			}
		}),
	}
}
