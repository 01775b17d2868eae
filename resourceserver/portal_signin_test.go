package resourceserver_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

func code(err error) string {
	var e *rs.SignInError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestSignInIsBoundAndWorksOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.as.SignInNext(john)
	start := func() url.Values {
		to, err := w.signIn.Start(ctx, "", "browser", "/connect", "")
		if err != nil {
			t.Fatal(err)
		}
		return w.authorize(to)
	}
	change := func(q url.Values, name string, values ...string) url.Values { q[name] = values; return q }
	for _, c := range []struct {
		name    string
		q       url.Values
		browser string
		want    string
	}{
		{"another browser (SEC-04)", start(), "other", "login_required"},
		{"no browser cookie", start(), "", "login_required"},
		{"unknown state", change(start(), "state", "x"), "browser", "login_required"},
		{"no state", change(start(), "state"), "browser", "login_required"},
		{"SEC-63 code twice", change(start(), "code", "a", "b"), "browser", "invalid_request"},
		{"RFC 9207 other issuer", change(start(), "iss", "https://evil.example"), "browser", "server_error"},
		{"RFC 9207 no issuer", change(start(), "iss"), "browser", "server_error"},
		{"wrong code", change(start(), "code", "x"), "browser", "server_error"},
		{"said no", change(start(), "error", "access_denied"), "browser", "access_denied"},
		{"strange error", change(start(), "error", "<script>"), "browser", "server_error"},
	} {
		if cookie, _, err := w.signIn.Finish(ctx, c.q, c.browser); code(err) != c.want || cookie != "" {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	q := start()
	cookie, to, err := w.signIn.Finish(ctx, q, "browser")
	if err != nil || to != "/connect" {
		t.Fatal(to, err)
	}
	if u, err := w.signIn.Session(ctx, cookie); err != nil || u.Name != "John Smith" || u.Patient() != "john" {
		t.Errorf("%+v %v", u, err)
	}
	if _, _, err := w.signIn.Finish(ctx, q, "browser"); code(err) != "login_required" {
		t.Errorf("second use: %v", err)
	}
	if err := w.signIn.End(ctx, cookie); err != nil {
		t.Fatal(err)
	}
	if _, err := w.signIn.Session(ctx, cookie); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("after sign-out: %v", err)
	}
	if err := w.signIn.End(ctx, cookie); err != nil {
		t.Errorf("signing out twice: %v", err)
	}
	late := start()
	w.clock.forward(10 * time.Minute)
	if _, _, err := w.signIn.Finish(ctx, late, "browser"); code(err) != "login_required" {
		t.Errorf("too late: %v", err)
	}
}

// An issuer that may not say who somebody is at this server cannot make her a patient; an administrator can, and that stays.
func TestAnotherIssuerDoesNotSayWhoSomebodyIs(t *testing.T) {
	var second *asclienttest.Server
	w := newWorld(t, func(w *world) {
		second = asclienttest.New(w.clock.now)
		t.Cleanup(second.HTTP.Close)
		w.more = append(w.more, second)
	})
	w.custodian()
	signIn := func() string {
		t.Helper()
		second.SignInNext(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/john"})
		to, err := w.signIn.Start(t.Context(), second.Issuer(), "browser", "/connect", "")
		if err != nil {
			t.Fatal(err)
		}
		cookie, _, err := w.signIn.Finish(t.Context(), w.authorize(to), "browser")
		if err != nil {
			t.Fatal(err)
		}
		u, err := w.signIn.Session(t.Context(), cookie)
		if err != nil {
			t.Fatal(err)
		}
		return u.Key
	}
	patient := func(key string) string {
		u, err := w.state.User(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return u.Patient()
	}
	key := signIn()
	if got := patient(key); got != "" {
		t.Fatalf("she is believed to be %q", got)
	}
	if err := w.signIn.Link(t.Context(), key, "Patient/mary"); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if again := signIn(); again != key || patient(key) != "mary" {
		t.Errorf("after signing in again she is %q", patient(key))
	}
	ch, err := w.desk.Ticket(t.Context(), "mary", nil)
	if err != nil || ch.ASURI != second.Issuer() {
		t.Errorf("her record is asked for at %q, %v", ch.ASURI, err)
	}
	if err := w.signIn.Link(t.Context(), key, "Observation/1"); err == nil {
		t.Error("linked to an Observation")
	}
	if _, err := w.signIn.Start(t.Context(), "https://evil.example", "browser", "/connect", ""); code(err) != "invalid_request" {
		t.Errorf("unknown issuer: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	w := newWorld(t)
	cookie, _, err := w.trySignIn(john)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.forward(8*time.Hour - time.Second)
	if _, err := w.signIn.Session(t.Context(), cookie); err != nil {
		t.Fatal(err)
	}
	w.clock.forward(time.Second)
	if _, err := w.signIn.Session(t.Context(), cookie); !errors.Is(err, rs.ErrNotKept) {
		t.Errorf("%v", err)
	}
}

func TestSignInWithoutAuthorizationServer(t *testing.T) {
	w := newWorld(t)
	w.as.Down(true)
	if _, err := w.signIn.Start(t.Context(), "", "browser", "/connect", ""); code(err) != "temporarily_unavailable" {
		t.Errorf("%v", err)
	}
}

func TestSignInGoesNowhereElse(t *testing.T) {
	w := newWorld(t)
	for _, to := range []string{"", "connect", "//evil.example", "https://evil.example"} { // SEC-101
		if _, err := w.signIn.Start(t.Context(), "", "browser", to, ""); code(err) != "server_error" {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestEqualSubjectsOfTwoIssuersAreTwoPeople(t *testing.T) {
	if rs.UserKey("https://a.example", "x") == rs.UserKey("https://b.example", "x") || rs.UserKey("https://a", "bc") == rs.UserKey("https://ab", "c") {
		t.Error("SEC-112")
	}
}

func TestAppRegistry(t *testing.T) {
	w := newWorld(t)
	for _, uri := range []string{
		"", "app", "/back", "http://app.example/", "https:///x", "https://u:p@app.example/", "https://app.example/#f", "https://app.example/#",
		"https://*.app.example/", "https://app.example\\@evil.example/", "javascript:alert(1)", "data:text/html,x", "https://app.example/ x",
		"https://app.example/ü", "https://app.example/?state=1", "myapp:/cb", "ftp://app.example/",
	} {
		if rs.CheckApp(rs.App{ClientID: "a", Name: "A", RedirectURIs: []string{uri}}) == nil {
			t.Errorf("took %q", uri)
		}
	}
	apps := []rs.App{
		{ClientID: "flu", Name: "Flu Clinic", RedirectURIs: []string{"https://app.example/back", "https://app.example/shared"}},
		{ClientID: "two", Name: "Two", RedirectURIs: []string{"https://app.example/shared", "http://127.0.0.1/cb", "http://[::1]/cb", "org.example.app:/cb"}},
	}
	for _, a := range apps {
		if err := rs.CheckApp(a); err != nil {
			t.Fatal(err)
		}
		if err := w.state.PutApp(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ uri, client, want string }{
		{"https://app.example/back", "", "flu"}, {"https://app.example/back", "flu", "flu"}, {"https://app.example/back", "two", ""},
		{"https://app.example/shared", "", ""}, {"https://app.example/shared", "two", "two"}, {"https://app.example/shared", "none", ""},
		{"http://127.0.0.1:4711/cb", "", "two"}, {"http://[::1]:4711/cb", "two", "two"}, {"http://127.0.0.1:4711/other", "", ""},
		{"http://localhost:4711/cb", "", ""}, {"org.example.app:/cb", "", "two"},
	} {
		a, err := rs.AppFor(t.Context(), w.state, c.uri, c.client)
		if a.ClientID != c.want || (c.want == "") != errors.Is(err, rs.ErrUnknownApp) {
			t.Errorf("%s of %q: %q, %v", c.uri, c.client, a.ClientID, err)
		}
	}
	apps[0].RedirectURIs = apps[0].RedirectURIs[1:]
	if err := w.state.PutApp(t.Context(), apps[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := rs.AppFor(t.Context(), w.state, "https://app.example/back", ""); !errors.Is(err, rs.ErrUnknownApp) {
		t.Errorf("a dropped address still works: %v", err)
	}
}
