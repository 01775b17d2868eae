package resolver_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/resolver/client"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
)

// portal signs a person in at /connect.
func (b *browser) portal(p asclienttest.Person) page {
	b.s.t.Helper()
	b.s.as.SignInNext(p)
	first := b.get("/connect")
	first.is(200, "Connect links")
	return b.post("/signin", url.Values{"token": {first.token("/signin")}})
}

var linkText = regexp.MustCompile(`<code>([^<]+)</code>`)

// A pasted URL works as a resolved one (S004-12, S004-22): how it is found does not matter.
func TestS004_12_22_PastedLink(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.portal(john)
	p.is(200, "Connect links")
	if !strings.Contains(p.text(), "You have no links.") {
		t.Error(p.text())
	}
	made := b.post("/connect", url.Values{"token": {p.token("/connect")}, "about": {"record:john"}, "label": {"For my <phone>"}})
	made.is(200, "Your new link")
	m := linkText.FindStringSubmatch(made.Body)
	if m == nil || !strings.Contains(made.Body, `<path d="M`) || strings.Contains(made.path(), strings.TrimPrefix(m[1], s.base+"/uma-context/")) {
		t.Fatal(made.Body)
	}
	u, err := client.Pasted(" "+m[1]+"\n", s.base)
	if err != nil {
		t.Fatal(err)
	}
	ticket, err := client.Ask(t.Context(), http.DefaultClient, u, "AllergyIntolerance.read", "")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.as.Ticket(ticket.Ticket); got.Owner != "sub-john" || len(got.Permissions[0].Constraints) != 0 {
		t.Errorf("%+v", got)
	}
	list := b.get("/connect")
	if !strings.Contains(list.text(), "For my <phone> My own record · any app Made ") || !strings.Contains(list.text(), "last used") || strings.Contains(list.Body, u) {
		t.Error(list.text())
	}
	_, row, _ := strings.Cut(list.Body, `name="link" value="`)
	id, _, _ := strings.Cut(row, `"`)
	gone := b.post("/connect/remove", url.Values{"token": {list.token("/connect/remove")}, "link": {id}})
	if gone.Status != 200 || !strings.Contains(gone.text(), "You have no links.") {
		t.Error(gone.text())
	}
	if _, err := client.Ask(t.Context(), http.DefaultClient, u, "AllergyIntolerance.read", ""); err == nil || !strings.Contains(err.Error(), "not_found") {
		t.Errorf("a removed link answers %v", err)
	}
}

func TestLinksAreOnesOwn(t *testing.T) {
	s := newSite(t)
	a, b := s.browser(), s.browser()
	p := a.portal(john)
	made := a.post("/connect", url.Values{"token": {p.token("/connect")}, "about": {"everything"}})
	made.is(200, "Your new link")
	id := regexp.MustCompile(`name="link" value="([0-9a-f]{64})"`).FindStringSubmatch(a.get("/connect").Body)[1]
	q := b.portal(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	if !strings.Contains(q.text(), "You have no links.") {
		t.Error(q.text())
	}
	b.get(made.path()).is(404, "Page not found")
	b.post("/connect/remove", url.Values{"token": {q.token("/connect")}, "link": {id}})
	if got := a.get("/connect"); !strings.Contains(got.Body, id) {
		t.Error("somebody else removed the link")
	}
	b.post("/connect", url.Values{"token": {q.token("/connect")}, "about": {"record:john"}}).is(404, "Page not found")
	if again := a.get(made.path()); again.Status != 200 {
		t.Errorf("the owner within five minutes: %d", again.Status)
	}
	s.clock.forward(5 * time.Minute)
	a.get(made.path()).is(404, "Page not found")
}

func TestConnectForm(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.portal(john)
	token := p.token("/connect")
	for name, c := range map[string]struct {
		form   url.Values
		status int
		says   string
	}{
		"nothing chosen": {url.Values{"token": {token}}, 422, "Choose what the link is about."},
		"empty record":   {url.Values{"token": {token}, "about": {"record:"}}, 422, "Choose what the link is about."},
		"long name":      {url.Values{"token": {token}, "about": {"everything"}, "label": {strings.Repeat("x", 81)}}, 422, "Choose a shorter name."},
		"no token":       {url.Values{"about": {"everything"}}, 400, "This form is out of date."},
		"extra field":    {url.Values{"token": {token}, "about": {"everything"}, "user": {"x"}}, 400, "This form is out of date."},
	} {
		if got := b.post("/connect", c.form); got.Status != c.status || !strings.Contains(got.text(), c.says) {
			t.Errorf("%s: %d %s", name, got.Status, got.text())
		}
	}
}

func TestSignOut(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.portal(john)
	if got := b.post("/signout", url.Values{"token": {"x"}}); got.Status != 400 {
		t.Errorf("%d", got.Status)
	}
	out := b.post("/signout", url.Values{"token": {p.token("/signout")}})
	out.is(200, "Connect links")
	if !strings.HasSuffix(out.path(), "/signin") {
		t.Error(out.URL)
	}
	if got := b.post("/connect", url.Values{"token": {p.token("/connect")}, "about": {"everything"}}); got.Status != 400 {
		t.Errorf("after sign-out a form works: %d", got.Status)
	}
}

func TestStyleSheetIsServedForEver(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	p := b.get("/signin")
	m := regexp.MustCompile(`href="(/resolver-static/[0-9a-f]{16}\.css)"`).FindStringSubmatch(p.Body)
	if m == nil {
		t.Fatal(p.Body)
	}
	css := b.get(m[1])
	if css.Status != 200 || css.Header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(css.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("%d %v", css.Status, css.Header)
	}
	if got := b.get("/resolver-static/x.css"); got.Status != 404 {
		t.Errorf("%d", got.Status)
	}
}

func TestClientRefusesForgedReturns(t *testing.T) {
	const server, state = "https://hospital.example", "s"
	good := url.Values{"state": {"s"}, "iss": {server}, "resolved": {server + "/uma-context/abc"}}
	with := func(name string, values ...string) url.Values {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q[name] = values
		return q
	}
	if u, err := client.Return(good, server, state); err != nil || u != server+"/uma-context/abc" {
		t.Fatal(u, err)
	}
	for name, q := range map[string]url.Values{
		"state": with("state", "x"), "no state": with("state"), "issuer": with("iss", "https://evil.example"), "no issuer": with("iss"),
		"two": with("resolved", "a", "b"), "elsewhere": with("resolved", "https://evil.example/uma-context/abc"), "error": with("error", "access_denied"),
		"path": with("resolved", server+"/uma-context/a/../b"), "query": with("resolved", server+"/uma-context/a?x"), "prefix": with("resolved", server+".evil.example/uma-context/a"),
	} {
		if u, err := client.Return(q, server, state); err == nil {
			t.Errorf("%s: took %q", name, u)
		}
	}
	if to := client.ResolveURL(server+"/", client.Patient, "https://app.example/?a=b", "s&s"); to != server+"/resolve-uma-context/patient?redirect_uri=https%3A%2F%2Fapp.example%2F%3Fa%3Db&state=s%26s" {
		t.Error(to)
	}
}
