package grant

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// claimsRedirectURIs checks where a requesting party may be sent, Grant §3.3.2.
func claimsRedirectURIs() []check {
	needs := []need{conformance.NeedGather}
	own := []need{conformance.NeedGather, conformance.NeedDynamicRegistration}
	return []check{
		{
			ID: "grant.claims-redirect-uri.exact", Level: must, Covers: []string{"G-051", "G-060"}, Needs: needs, Run: exactMatch,
			Title: "An address that differs from every registered one by anything at all is never redirected to",
		},
		{
			ID: "grant.claims-redirect-uri.every-registered", Level: must, Covers: []string{"G-051"}, Needs: needs, Run: everyRegistered,
			Title: "Every registered claims redirect URI can be used",
		},
		{
			ID: "grant.claims-redirect-uri.required-with-several", Level: must, Covers: []string{"G-042", "G-060"}, Needs: needs, Run: requiredWithSeveral,
			Title: "A client with several registered URIs has to name one",
		},
		{
			ID: "grant.claims-redirect-uri.optional-with-one", Level: must, Covers: []string{"G-043"}, Run: optionalWithOne,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "A client with one registered URI need not name it",
		},
		{
			ID: "grant.claims-redirect-uri.none-registered", Level: should, Covers: []string{"G-042", "G-048"}, Needs: own, Run: noneRegistered,
			Title: "A confidential client without registered URIs cannot name one at will",
		},
		{
			ID: "grant.claims-redirect-uri.public-none-registered", Level: must, Covers: []string{"G-049"}, Needs: own, Run: publicNoneRegistered,
			Title: "A public client without registered URIs is not registered, or cannot name one",
		},
		{
			ID: "grant.claims-redirect-uri.not-redirect-uri", Level: must, Covers: []string{"G-050"}, Needs: needs, Run: notRedirectURI,
			Title: "A redirect_uri of the authorization code grant is no claims redirect URI",
		},
		{
			ID: "grant.claims-redirect-uri.fragment", Level: must, Covers: []string{"G-046"}, Needs: needs, Run: fragmentAtEndpoint,
			Title: "A registered URI with a fragment added is not redirected to",
		},
		{
			ID: "grant.claims-redirect-uri.relative", Level: must, Covers: []string{"G-044"}, Needs: needs, Run: relativeAtEndpoint,
			Title: "A relative claims redirect URI is not redirected to",
		},
		{
			ID: "grant.claims-redirect-uri.query-kept", Level: must, Covers: []string{"G-045"}, Needs: needs, Run: queryKept,
			Title: "The query of a claims redirect URI is kept when parameters are added",
		},
	}
}

// deviations are addresses that a careless comparison takes for the registered one.
func deviations(registered string) map[string]string {
	u, err := url.Parse(registered)
	if err != nil {
		return nil
	}
	edit := func(change func(v *url.URL)) string {
		v := *u
		change(&v)
		return v.String()
	}
	folder, last := u.Path[:strings.LastIndex(u.Path, "/")+1], u.Path[strings.LastIndex(u.Path, "/")+1:]
	out := map[string]string{
		"with a slash at the end":            edit(func(v *url.URL) { v.Path += "/" }),
		"with a segment more":                edit(func(v *url.URL) { v.Path += "/more" }),
		"with a segment less":                edit(func(v *url.URL) { v.Path = folder }),
		"with a query added":                 edit(func(v *url.URL) { v.RawQuery = "added=1" }),
		"with an empty query":                registered + "?",
		"with its scheme in capitals":        strings.ToUpper(u.Scheme) + registered[len(u.Scheme):],
		"with its host in capitals":          edit(func(v *url.URL) { v.Host = strings.ToUpper(v.Host) }),
		"with its path in capitals":          edit(func(v *url.URL) { v.Path = strings.ToUpper(v.Path) }),
		"with another scheme":                edit(func(v *url.URL) { v.Scheme = otherScheme(v.Scheme) }),
		"with another port":                  edit(func(v *url.URL) { v.Host = v.Hostname() + ":8444" }),
		"with a subdomain":                   edit(func(v *url.URL) { v.Host = "www." + v.Host }),
		"with a longer host":                 edit(func(v *url.URL) { v.Host += ".attacker.example" }),
		"with user information":              edit(func(v *url.URL) { v.User = url.User("attacker") }),
		"with the host as user information":  u.Scheme + "://" + u.Host + "@attacker.example" + u.Path,
		"with a dot segment":                 u.Scheme + "://" + u.Host + folder + "./" + last,
		"with a step up":                     u.Scheme + "://" + u.Host + folder + "x/../" + last,
		"with an encoded step up":            u.Scheme + "://" + u.Host + folder + "x/%2e%2e/" + last,
		"with an encoded letter":             u.Scheme + "://" + u.Host + folder + encodedLetter(last),
		"with a doubled slash":               u.Scheme + "://" + u.Host + folder + "/" + last,
		"with a backslash":                   u.Scheme + "://" + u.Host + `\@attacker.example` + u.Path,
		"of another host with the same path": edit(func(v *url.URL) { v.Host = "attacker.example" }),
		"that holds the registered one":      "https://attacker.example/?" + registered,
		"with a space at the end":            registered + " ",
		"with a script":                      "javascript:location='" + registered + "'",
	}
	if u.Port() == "" && u.Scheme == "https" {
		out["with its default port"] = edit(func(v *url.URL) { v.Host += ":443" })
	}
	return out
}

func otherScheme(s string) string {
	if s == "https" {
		return "http"
	}
	return "https"
}

func encodedLetter(segment string) string {
	if segment == "" {
		return "%61"
	}
	const digits = "0123456789abcdef"
	c := segment[0]
	return "%" + string(digits[c>>4]) + string(digits[c&15]) + segment[1:]
}

func exactMatch(t *conformance.T) {
	c := c1(t)
	registered := withoutQuery(t, c)
	browser := t.SignIn(conformance.Bob)
	for why, target := range deviations(registered) {
		if slices.Contains(c.ClaimsRedirectURIs, target) {
			continue
		}
		_, ticket := fresh(t)
		browser.Open(claimsRequest(t, c, ticket, url.Values{"claims_redirect_uri": {target}}))
		wantNotSent(t, browser.Drive(t.Party(conformance.Bob), "gather"), target, why)
	}
}

// withoutQuery is a registered claims redirect URI that has no query.
func withoutQuery(t *conformance.T, c conformance.Client) string {
	for _, s := range c.ClaimsRedirectURIs {
		if !strings.Contains(s, "?") {
			return s
		}
	}
	t.Skipf("the client %s has no claims redirect URI without a query", c.Name)
	return ""
}

func everyRegistered(t *conformance.T) {
	c := c1(t)
	for _, target := range c.ClaimsRedirectURIs {
		_, ticket := fresh(t)
		g := t.Gather(c, ticket, conformance.Bob, conformance.GatherOptions{RedirectURI: target})
		if want, err := url.Parse(target); g.Redirect == nil || err != nil || bare(g.Redirect) != bare(want) {
			t.Errorf("registered is %s, the requesting party was not sent there (%s)", target, g.Told())
		}
	}
}

func requiredWithSeveral(t *conformance.T) {
	c := c1(t)
	if len(c.ClaimsRedirectURIs) < 2 {
		t.Skipf("the client C1 has only %d claims redirect URIs", len(c.ClaimsRedirectURIs))
	}
	_, ticket := fresh(t)
	p := visits(t, claimsRequest(t, c, ticket, url.Values{"claims_redirect_uri": nil}))
	wantNotSent(t, p, c.ClaimsRedirectURIs[0], "without claims_redirect_uri")
}

func optionalWithOne(t *conformance.T) {
	c := t.Client(conformance.C2)
	if len(c.ClaimsRedirectURIs) != 1 {
		t.Skipf("the client C2 has %d claims redirect URIs: one is needed", len(c.ClaimsRedirectURIs))
	}
	_, ticket := fresh(t)
	g := t.Gather(c, ticket, conformance.Bob, conformance.GatherOptions{RedirectURI: conformance.NoRedirectURI})
	if g.Redirect == nil || bare(g.Redirect) != c.ClaimsRedirectURIs[0] {
		t.Errorf("the requesting party was not sent to the one registered URI (%s)", g.Told())
	}
}

func noneRegistered(t *conformance.T) {
	c, x := t.Register(map[string]any{"claims_redirect_uris": nil})
	if x.Status != http.StatusCreated {
		t.Skipf("the server registers no client without claims_redirect_uris (%s)", x.Told())
	}
	wantCannotName(t, c)
}

func publicNoneRegistered(t *conformance.T) {
	c, x := t.Register(map[string]any{"claims_redirect_uris": nil, "token_endpoint_auth_method": "none"})
	if x.Status != http.StatusCreated {
		t.Logf("the registration was refused: %s", x.Told())
		return
	}
	wantCannotName(t, c)
}

func wantCannotName(t *conformance.T, c conformance.Client) {
	_, ticket := fresh(t)
	p := visits(t, claimsRequest(t, c, ticket, url.Values{"claims_redirect_uri": {callbackA}}))
	wantNotSent(t, p, callbackA, "a client that registered none names a claims redirect URI")
}

func notRedirectURI(t *conformance.T) {
	c := c1(t)
	at := slices.IndexFunc(c.RedirectURIs, func(s string) bool { return !slices.Contains(c.ClaimsRedirectURIs, s) })
	if at < 0 {
		t.Skipf("the client C1 has no redirect URI that is not a claims redirect URI, too")
	}
	_, ticket := fresh(t)
	p := visits(t, claimsRequest(t, c, ticket, url.Values{"claims_redirect_uri": {c.RedirectURIs[at]}}))
	wantNotSent(t, p, c.RedirectURIs[at], "with a redirect_uri of the authorization code grant")
}

func fragmentAtEndpoint(t *conformance.T) {
	target := withoutQuery(t, c1(t)) + "#part"
	_, ticket := fresh(t)
	wantNotSent(t, visits(t, claimsRequest(t, c1(t), ticket, url.Values{"claims_redirect_uri": {target}})), target, "with a fragment")
}

func relativeAtEndpoint(t *conformance.T) {
	for _, target := range []string{"/claims", "claims", "//attacker.example/claims", "?x=1"} {
		_, ticket := fresh(t)
		p := visits(t, claimsRequest(t, c1(t), ticket, url.Values{"claims_redirect_uri": {target}}))
		wantNotSent(t, p, "https://attacker.example", "with the relative URI "+target)
		if p.Left == nil && p.Exchange.Status < 400 {
			t.Errorf("with the relative URI %s: want a refusal, got status %d", target, p.Exchange.Status)
		}
	}
}

func queryKept(t *conformance.T) {
	c := c1(t)
	at := slices.IndexFunc(c.ClaimsRedirectURIs, func(s string) bool { return strings.Contains(s, "?") })
	if at < 0 {
		t.Skipf("the client C1 has no claims redirect URI with a query")
	}
	registered, err := url.Parse(c.ClaimsRedirectURIs[at])
	if err != nil {
		t.Blockf("C1 has a claims redirect URI that is none: %v", err)
	}
	_, ticket := fresh(t)
	g := t.Gather(c, ticket, conformance.Bob, conformance.GatherOptions{RedirectURI: c.ClaimsRedirectURIs[at]})
	if g.Redirect == nil {
		t.Blockf("the requesting party was not sent back (%s)", g.Told())
	}
	got := g.Redirect.Query()
	for name, values := range registered.Query() {
		if !slices.Equal(got[name], values) {
			t.Errorf("the query had %s=%q, in the redirect it is %q", name, values, got[name])
		}
	}
}
