package grant

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// forgery checks the defence of the claims interaction endpoint against other sites and other people, Grant §5.1.
func forgery() []check {
	needs := []need{conformance.NeedGather}
	return []check{
		{
			ID: "grant.forgery.cross-site", Level: must, Covers: []string{"G-108"}, Needs: needs, Run: crossSite,
			Title: "A form posted by another site, in the requesting party's browser, without what only the page knows, is refused",
		},
		{
			ID: "grant.forgery.other-browser", Level: must, Covers: []string{"G-108"}, Needs: needs, Run: otherBrowser,
			Title: "A form posted from a browser that never saw the page is refused",
		},
		{
			ID: "grant.forgery.other-person", Level: must, Covers: []string{"G-108", "G-109"}, Needs: needs, Run: otherPerson,
			Title: "The form of one requesting party posted in the browser of another is refused",
		},
		{
			ID: "grant.forgery.get", Level: must, Covers: []string{"G-108"}, Needs: needs, Run: formByGet,
			Title: "The form is not accepted as a link",
		},
		{
			ID: "grant.forgery.silent", Level: must, Covers: []string{"G-109"}, Needs: needs, Run: silent,
			Title: "Whoever is signed in already is shown a page before a client gets a ticket back",
		},
		{
			ID: "grant.forgery.names-client", Level: should, Covers: []string{"G-109"}, Run: namesClient,
			Needs: []need{conformance.NeedGather, conformance.NeedDynamicRegistration},
			Title: "The page names the client that asks",
		},
		{
			ID: "grant.forgery.framing", Level: should, Covers: []string{"G-107", "G-109"}, Needs: needs, Run: framing,
			Title: "The pages cannot be shown inside another site's page",
		},
	}
}

// form is what Bob's browser is about to post at the claims interaction pages.
type form struct {
	browser *conformance.Browser // with the cookies of this moment
	action  string
	hidden  url.Values // what only the page knows
	chosen  url.Values // what a person fills in, and the button
}

// atEachForm takes Bob through an interaction and lets forge act before each form is sent. Sign-in forms are left alone: who
// forges one signs in as himself.
func atEachForm(t *conformance.T, forge func(f form)) {
	_, ticket := fresh(t)
	seen := 0
	g := t.Gather(c1(t), ticket, conformance.Bob, conformance.GatherOptions{
		Browser: t.SignIn(conformance.Bob),
		OnStep: func(b *conformance.Browser, shown conformance.Form, fields url.Values) {
			if shown.Method != http.MethodPost || slices.ContainsFunc(shown.Inputs, func(i conformance.Input) bool { return i.Kind == "password" }) {
				return
			}
			seen++
			f := form{browser: b.Copy(), action: shown.Action, hidden: url.Values{}, chosen: url.Values{}}
			for name, values := range fields {
				_, onPage := shown.Fields[name]
				if onPage && !slices.ContainsFunc(shown.Inputs, func(i conformance.Input) bool { return i.Name == name }) {
					f.hidden[name] = values
					continue
				}
				f.chosen[name] = values
			}
			forge(f)
		},
	})
	if seen == 0 && g.Redirect != nil {
		t.Skipf("the interaction has no form that could be forged")
	}
	if seen == 0 {
		t.Blockf("the interaction could not be examined: %s", g.Told())
	}
}

// all is the whole form as the browser would post it.
func (f form) all() url.Values {
	out := url.Values{}
	for _, part := range []url.Values{f.hidden, f.chosen} {
		for name, values := range part {
			out[name] = values
		}
	}
	return out
}

// wantNoTicket posts a forged form in a copy of a browser, as coming from an origin, follows where the server leads the
// browser, and judges that the client was brought no ticket. A page that comes instead is left alone: each later form of the
// interaction is forged by itself, and a refusal may well show the genuine form once more.
func (f form) wantNoTicket(t *conformance.T, fields url.Values, b *conformance.Browser, origin, what string) {
	if p := b.Copy().PostFrom(origin, f.action, fields); p.Left != nil && p.Left.Query().Get("ticket") != "" {
		t.Errorf("%s was accepted: the browser is sent on with a ticket", what)
	}
}

// ownOrigin is the origin of the server's pages.
func ownOrigin(t *conformance.T) string {
	u, err := url.Parse(t.Env().Issuer)
	if err != nil {
		t.Blockf("the issuer is no URL: %v", err)
	}
	return u.Scheme + "://" + u.Host
}

func crossSite(t *conformance.T) {
	atEachForm(t, func(f form) {
		if len(f.hidden) == 0 {
			t.Errorf("the form at %s holds nothing that only the page knows", f.action)
		}
		f.wantNoTicket(t, f.chosen, f.browser, "https://attacker.example", "a form of another site")
	})
}

func otherBrowser(t *conformance.T) {
	atEachForm(t, func(f form) {
		f.wantNoTicket(t, f.all(), t.NewBrowser(), ownOrigin(t), "a form from a browser without cookies")
	})
}

func otherPerson(t *conformance.T) {
	dave := t.SignIn(conformance.Dave)
	atEachForm(t, func(f form) {
		f.wantNoTicket(t, f.all(), dave, ownOrigin(t), "Bob's form in Dave's browser")
	})
}

func formByGet(t *conformance.T) {
	atEachForm(t, func(f form) {
		u, err := url.Parse(f.action)
		if err != nil {
			t.Blockf("the form's action is no URL: %v", err)
		}
		q := u.Query()
		for name, values := range f.all() {
			q[name] = values
		}
		u.RawQuery = q.Encode()
		p := f.browser.Open(u.String())
		if p.Left != nil && p.Left.Query().Get("ticket") != "" {
			t.Errorf("the form was accepted as a link")
		}
	})
}

func silent(t *conformance.T) {
	_, ticket := fresh(t)
	p := t.SignIn(conformance.Bob).Open(claimsRequest(t, c1(t), ticket, nil))
	if p.Left != nil && p.Left.Query().Get("ticket") != "" {
		t.Errorf("a visit was enough: the browser was sent back with a new ticket and no page was shown")
	}
}

func namesClient(t *conformance.T) {
	const name = "Kestrel Reader"
	c, x := t.Register(map[string]any{"client_name": name})
	if x.Status != http.StatusCreated || len(c.ClaimsRedirectURIs) == 0 {
		t.Blockf("the client was not registered (%s)", x.Told())
	}
	_, ticket := fresh(t)
	p := t.SignIn(conformance.Bob).Open(claimsRequest(t, c, ticket, nil))
	if p.Left != nil {
		t.Blockf("no page was shown")
	}
	if !strings.Contains(p.Text, name) {
		t.Errorf("the page does not name the client %q", name)
	}
}

// framing: Content Security Policy or X-Frame-Options (RFC 6749 §10.13, RFC 9700 §4.16).
func framing(t *conformance.T) {
	_, first := fresh(t)
	_, second := fresh(t)
	for what, p := range map[string]*conformance.Page{
		"the page before sign-in": t.NewBrowser().Open(claimsRequest(t, c1(t), first, nil)),
		"the page after sign-in":  t.SignIn(conformance.Bob).Open(claimsRequest(t, c1(t), second, nil)),
	} {
		if p.Left == nil && !unframed(p.Exchange.Header) {
			t.Errorf("%s has neither frame-ancestors nor X-Frame-Options", what)
		}
	}
}

func unframed(h http.Header) bool {
	switch strings.ToUpper(h.Get("X-Frame-Options")) {
	case "DENY", "SAMEORIGIN":
		return true
	}
	for _, policy := range h.Values("Content-Security-Policy") {
		for _, directive := range strings.Split(policy, ";") {
			words := strings.Fields(directive)
			if len(words) >= 2 && strings.EqualFold(words[0], "frame-ancestors") && !slices.Contains(words[1:], "*") {
				return true
			}
		}
	}
	return false
}
