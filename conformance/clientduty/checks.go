package clientduty

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

const worldKey = "clientduty.world"

// Use gives the checks of a run a world that plays already; the caller closes it.
func Use(ctx context.Context, env *conformance.Env, w *World) error {
	_, err := env.Shared(ctx, worldKey, func(context.Context) (any, func() error, error) {
		return w, func() error { return nil }, nil
	})
	return err
}

func world(t *conformance.T) *World {
	value, err := t.Env().Shared(t.Context(), worldKey, func(ctx context.Context) (any, func() error, error) {
		w, err := Play(context.WithoutCancel(ctx), t.Env().Profile.Harness.Listen)
		if err != nil {
			return nil, nil, err
		}
		return w, w.Close, nil
	})
	if err != nil {
		t.Blockf("%v", err)
	}
	w, ok := value.(*World)
	if !ok {
		t.Blockf("the world is a %T", value)
	}
	return w
}

// visit is one browser's way through the client: its cookies, what the world saw of it, and all that the browser was shown.
type visit struct {
	*World
	before  seen
	cookies map[string]string
	shown   []string
	to      *url.URL // where the client sent the browser for claims interaction
}

// send is the browser: it keeps cookies and follows no redirect.
func (v *visit) send(t *conformance.T, method, target, form string) *conformance.Exchange {
	h := http.Header{"Accept": {"text/html"}}
	if form != "" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range v.cookies {
		h.Add("Cookie", name+"="+value)
	}
	x := t.Request(method, target, []byte(form), h)
	if x.Status == 0 {
		t.Blockf("the client does not answer: %v", x.Err)
	}
	for _, c := range (&http.Response{Header: x.Header}).Cookies() {
		v.cookies[c.Name] = c.Value
	}
	v.shown = append(v.shown, x.Header.Get("Location"), string(x.Body))
	return x
}

// start begins a process and follows the client until it sends the browser to claims interaction, or stops.
func start(t *conformance.T) *visit {
	v := &visit{World: world(t), cookies: map[string]string{}}
	v.before = v.seen()
	how := t.Env().Profile.Harness
	form := strings.ReplaceAll(how.Form, "{{resource}}", url.QueryEscape(v.Resource()))
	x := v.send(t, http.MethodPost, how.Start, form)
	for range 5 {
		to := x.Location()
		if x.Status/100 != 3 || to == nil {
			return v
		}
		if strings.HasPrefix(to.String(), v.Origin+"/claims") {
			v.to = to
			return v
		}
		x = v.send(t, http.MethodGet, to.String(), "")
	}
	return v
}

// sent is start where the client must have sent the browser on.
func sent(t *conformance.T) *visit {
	v := start(t)
	if v.to == nil {
		t.Blockf("the client did not send the browser to the claims interaction endpoint")
	}
	return v
}

// back returns from claims interaction with a ticket and these parameters, and gives the ticket.
func (v *visit) back(t *conformance.T, change func(q url.Values)) (ticket string) {
	to, err := url.Parse(v.to.Query().Get("claims_redirect_uri"))
	if err != nil || to.Host == "" {
		t.Blockf("claims_redirect_uri is %q", v.to.Query().Get("claims_redirect_uri"))
	}
	ticket = v.gather()
	q := to.Query()
	q.Set("ticket", ticket)
	if state := v.to.Query().Get("state"); state != "" {
		q.Set("state", state)
	}
	change(q)
	to.RawQuery = q.Encode()
	x := v.send(t, http.MethodGet, to.String(), "")
	for range 5 {
		next := x.Location()
		if x.Status/100 != 3 || next == nil {
			break
		}
		x = v.send(t, http.MethodGet, next.String(), "")
	}
	return ticket
}

func same(url.Values) {}

// requests are the token requests of this visit.
func (v *visit) requests() []url.Values { return v.seen().tokens[len(v.before.tokens):] }

func presented(list []url.Values, ticket string) bool {
	return slices.ContainsFunc(list, func(f url.Values) bool { return f.Get("ticket") == ticket })
}

// asked are token requests, of which there must be some.
func asked(t *conformance.T, v *visit) []url.Values {
	list := v.requests()
	if len(list) == 0 {
		t.Blockf("the client asked for no token")
	}
	return list
}

func grantType(t *conformance.T) {
	for _, f := range asked(t, start(t)) {
		if got := f.Get("grant_type"); got != uma.GrantTypeTicket {
			t.Errorf("grant_type is %q", got)
		}
	}
}

func firstTicket(t *conformance.T) {
	v := start(t)
	if got := asked(t, v)[0].Get("ticket"); !slices.Contains(v.seen().given[len(v.before.given):], got) {
		t.Errorf("the first ticket presented is none of this process's challenges")
	}
}

func interactionTicket(t *conformance.T) {
	v := sent(t)
	needs := v.seen().needs
	if got := v.to.Query().Get("ticket"); len(needs) == 0 || got != needs[len(needs)-1] {
		t.Errorf("the browser was sent with another ticket than the newest")
	}
}

func newestTicket(t *conformance.T) {
	v := sent(t)
	before := len(v.requests())
	ticket := v.back(t, same)
	list := v.requests()
	if len(list) == before {
		t.Blockf("the client presented no ticket after claims interaction")
	}
	if list[len(list)-1].Get("ticket") != ticket {
		t.Errorf("the ticket that came back was not the next one to be presented")
	}
}

func claimTokenPair(t *conformance.T) {
	for _, f := range asked(t, start(t)) {
		if f.Has("claim_token") != f.Has("claim_token_format") {
			t.Errorf("a token request has one of claim_token and claim_token_format alone")
		}
	}
}

func state(v *visit) string { return v.to.Query().Get("state") }

func stateSent(t *conformance.T) {
	if state(sent(t)) == "" {
		t.Errorf("there is no state")
	}
}

// withState is sent where there must be a state to look at.
func withState(t *conformance.T) *visit {
	v := sent(t)
	if state(v) == "" {
		t.Blockf("there is no state")
	}
	return v
}

func stateUnguessable(t *conformance.T) {
	known := map[string]bool{}
	for range 5 {
		s := state(withState(t))
		if known[s] {
			t.Errorf("a state was used twice")
		}
		if known[s] = true; len(s) < 16 {
			t.Errorf("a state of %d characters can be guessed", len(s))
		}
	}
}

func stateCompared(t *conformance.T) {
	v := withState(t)
	ticket := v.back(t, func(q url.Values) { q.Set("state", t.Env().Fresh("other-state-")) })
	if presented(v.requests(), ticket) {
		t.Errorf("the ticket was presented although another state came with it")
	}
}

func stateMissing(t *conformance.T) {
	v := withState(t)
	ticket := v.back(t, func(q url.Values) { q.Del("state") })
	if presented(v.requests(), ticket) {
		t.Errorf("the ticket was presented although no state came with it")
	}
}

func otherBrowser(t *conformance.T) {
	v := withState(t)
	v.cookies = map[string]string{}
	if ticket := v.back(t, same); presented(v.requests(), ticket) {
		t.Errorf("the ticket was presented for a browser that had begun nothing")
	}
}

func stateClear(t *conformance.T) {
	v := withState(t)
	s := state(v)
	for what, secret := range map[string]string{"the ticket": v.to.Query().Get("ticket"), "the resource": v.Resource(), "the client": v.to.Query().Get("client_id")} {
		if len(secret) > 3 && strings.Contains(s, secret) {
			t.Errorf("state holds %s", what)
		}
	}
}

func sameTicket(t *conformance.T) {
	w := world(t)
	w.setRepeat(true)
	defer w.setRepeat(false)
	if v := start(t); v.to != nil {
		t.Errorf("need_info gave the presented ticket back, and the client went on with it")
	}
}

// whole is a process that ends with an RPT.
func whole(t *conformance.T) *visit {
	v := sent(t)
	v.back(t, same)
	if len(v.seen().issued) == len(v.before.issued) {
		t.Blockf("the process did not come to an RPT")
	}
	return v
}

func rptInHeader(t *conformance.T) {
	v := whole(t)
	for _, address := range v.seen().leaks[len(v.before.leaks):] {
		t.Errorf("the RPT was in the address of a request for %s", address)
	}
}

func rptSecret(t *conformance.T) {
	v := whole(t)
	for _, rpt := range v.seen().issued[len(v.before.issued):] {
		for _, text := range v.shown {
			if strings.Contains(text, rpt) {
				t.Errorf("the browser was given the RPT")
			}
		}
	}
}
