package resolver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

const whoGuards = "Who guards my record"

// find looks up the second server and returns the page that says what will happen.
func (b *browser) find() page {
	b.s.t.Helper()
	p := b.get("/guard")
	p.is(200, whoGuards)
	return b.post("/guard", url.Values{"token": {p.token("/guard")}, "address": {b.s.second.Issuer()}})
}

func (b *browser) guardedAt(want *asclienttest.Server) {
	b.s.t.Helper()
	reg, err := b.s.state.RecordOf(b.s.t.Context(), "john")
	if err != nil || reg.Owner.Issuer != want.Issuer() {
		b.s.t.Errorf("guarded at %q, %v; want %q", reg.Owner.Issuer, err, want.Issuer())
	}
}

// TestWhoGuards is the whole way over these pages: look, name another server, read what will happen, consent there, go back.
func TestWhoGuards(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	if p := b.portal(john); !strings.Contains(p.Body, `href="/guard"`) {
		t.Error("the portal does not lead there")
	}
	check := b.find()
	host := strings.TrimPrefix(s.second.Issuer(), "http://")
	check.is(200, "Let "+host+" guard your record?")
	if csp := check.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' "+s.second.Issuer()+";") {
		t.Errorf("its form could not lead there: %s", csp)
	}
	b.guardedAt(s.as)
	kept := b.post(check.path(), url.Values{"token": {check.token(check.path())}, "answer": {"keep"}})
	if kept.is(200, whoGuards); !strings.Contains(kept.text(), "Nothing was changed.") {
		t.Error(kept.text())
	}
	s.second.SignInNext(asclienttest.Person{Sub: "j", Name: "John"})
	moved := b.post(check.path(), url.Values{"token": {check.token(check.path())}, "answer": {"go"}})
	if moved.is(200, whoGuards); !strings.Contains(moved.text(), "You chose this server.") {
		t.Error(moved.text())
	}
	b.guardedAt(s.second)
	if again := b.post(check.path(), url.Values{"token": {check.token(check.path())}, "answer": {"go"}}); again.Status != http.StatusUnprocessableEntity || !strings.Contains(again.text(), "too old or was already used") {
		t.Errorf("%d %s", again.Status, again.text())
	}
	s.second.RevokePATs("j", true)
	broken := b.get("/guard")
	if !strings.Contains(broken.text(), "no longer lets us ask it") || !strings.Contains(b.get("/connect").text(), "Nobody gets in.") {
		t.Error(broken.text())
	}
	renew := b.post("/guard/renew", url.Values{"token": {broken.token("/guard/renew")}})
	renew.is(200, "Give "+host+" your permission again?")
	done := b.post(renew.path(), url.Values{"token": {renew.token(renew.path())}, "answer": {"go"}})
	if done.is(200, whoGuards); strings.Contains(done.text(), "no longer lets us") {
		t.Error(done.text())
	}
	back := b.post("/guard/return", url.Values{"token": {done.token("/guard/return")}})
	if back.is(200, whoGuards); !strings.Contains(back.text(), "guarded where it was before") {
		t.Error(back.text())
	}
	b.guardedAt(s.as)
}

// TestWhoGuards_FormsAreGuarded: no step without the form that was shown, in the session it was shown to (PS-03), and none by a
// link from elsewhere.
func TestWhoGuards_FormsAreGuarded(t *testing.T) {
	s := newSite(t)
	b, other := s.browser(), s.browser()
	b.portal(john)
	p := other.portal(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	check := b.find()
	foreign := other.get("/guard")
	for _, c := range []struct {
		name, to string
		form     url.Values
		header   []string
		status   int
	}{
		{"no token", "/guard", url.Values{"address": {s.second.Issuer()}}, nil, 400},
		{"another person's token", "/guard", url.Values{"token": {foreign.token("/guard")}, "address": {s.second.Issuer()}}, nil, 400},
		{"another form's token", check.path(), url.Values{"token": {p.token("/connect")}, "answer": {"go"}}, nil, 400},
		{"no token at the step", check.path(), url.Values{"answer": {"go"}}, nil, 400},
		{"unknown step", "/guard/check/x", url.Values{"token": {check.token(check.path())}, "answer": {"go"}}, nil, 400},
		{"unknown field", "/guard", url.Values{"token": {b.get("/guard").token("/guard")}, "x": {"1"}}, nil, 400},
		{"twice", "/guard", url.Values{"token": {b.get("/guard").token("/guard")}, "address": {"a", "b"}}, nil, 400},
		{"from elsewhere", check.path(), url.Values{"token": {check.token(check.path())}, "answer": {"go"}}, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"return without token", "/guard/return", url.Values{}, nil, 400},
		{"renew without token", "/guard/renew", url.Values{}, nil, 400},
		{"people without token", "/guard/people", url.Values{"person": {"x"}, "patient": {"john"}, "answer": {"let"}}, nil, 400},
		{"a stranger let in", "/guard/people", url.Values{"token": {b.get("/guard").token("/guard")}, "person": {"x"}, "patient": {"john"}, "answer": {"let"}}, nil, 404},
		{"another's record", "/guard/people", url.Values{"token": {b.get("/guard").token("/guard")}, "person": {"x"}, "patient": {"mary"}, "answer": {"let"}}, nil, 404},
	} {
		if got := b.post(c.to, c.form, c.header...); got.Status != c.status {
			t.Errorf("%s: %d %s", c.name, got.Status, got.text())
		}
	}
	if got := other.get(check.path()); got.Status != http.StatusUnprocessableEntity || strings.Contains(got.text(), "We found this server") {
		t.Errorf("another person's step: %d %s", got.Status, got.text())
	}
	nobody := s.browser()
	for _, to := range []string{"/guard", check.path(), rs.GuardPath(s.second.Issuer()) + "?state=x&code=y"} {
		if got := nobody.get(to); got.path() != "/signin" {
			t.Errorf("%s of nobody: %d at %s", to, got.Status, got.path())
		}
	}
	for _, q := range []string{"?state=x&code=y", "?state=x&state=y", "?%zz", ""} {
		if got := b.get(rs.GuardPath(s.second.Issuer()) + q); got.Status < 400 || got.Status >= 500 {
			t.Errorf("%q: %d %s", q, got.Status, got.text())
		}
	}
	if got := b.get("/guard?now=<script>"); got.Status != 200 || strings.Contains(got.Body, "<script>") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	b.guardedAt(s.as)
}

// TestWhoGuards_Hostile: what a person types and what a server says is shown as text or not at all.
func TestWhoGuards_Hostile(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	b.portal(john)
	for typed, want := range map[string]string{
		`"><script>alert(1)</script>`: "Write an address such as", "alice@127.0.0.1:1": "does not answer right now", s.as.Issuer(): "guards your record already",
		s.base: "We found no server there", "http://10.0.0.1": "Write an address such as", "https://10.0.0.1": "cannot trust",
	} {
		p := b.get("/guard")
		got := b.post("/guard", url.Values{"token": {p.token("/guard")}, "address": {typed}})
		if got.Status < 400 || !strings.Contains(got.text(), want) || strings.Contains(got.Body, "<script>") {
			t.Errorf("%q: %d %s", typed, got.Status, got.text())
		}
	}
	stranger := s.browser() // signed in, but no patient here
	stranger.portal(asclienttest.Person{Sub: "sub-x", Name: "<b>X</b>"})
	if p := stranger.get("/guard"); p.Status != 200 || !strings.Contains(p.text(), "No record of your own is linked to you here.") || strings.Contains(p.Body, "<b>X</b>") {
		t.Errorf("%d %s", p.Status, p.Body)
	}
	if p := stranger.get("/connect"); strings.Contains(p.Body, `href="/guard"`) {
		t.Error("offered to somebody without a record")
	}
}
