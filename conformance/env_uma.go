package conformance

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas/uma"
)

// resource registers a resource (FedAuthz §3.2.1) and deregisters it when the check ends.
func (e *Env) resource(t *T, owner, rs string, scopes []string) Resource {
	if e.Metadata.ResourceRegistrationEndpoint == "" {
		t.Skipf("the server has no resource_registration_endpoint")
	}
	if len(scopes) == 0 {
		scopes = e.Scopes(2)
	}
	r := Resource{Owner: owner, RS: rs, Scopes: slices.Clone(scopes), Name: e.Fresh("conformance ")}
	pat := e.pat(t, owner, rs, false)
	description := map[string]any{"name": r.Name, "resource_scopes": scopes, "type": "https://conformance.invalid/resource"}
	merge(description, e.Profile.Fixtures.Resource)
	x := t.PostJSON(e.Metadata.ResourceRegistrationEndpoint, description, pat)
	if r.ID = x.Text("_id"); x.Status != http.StatusCreated || r.ID == "" {
		t.Blockf("a resource could not be registered: %s", told(x))
	}
	t.Cleanup(func() { t.Delete(ResourceURL(e.Metadata.ResourceRegistrationEndpoint, r.ID), pat) })
	return r
}

// ResourceURL is the address of one description: the registration endpoint, a slash, the id (FedAuthz §3.2).
func ResourceURL(endpoint, id string) string {
	return strings.TrimSuffix(endpoint, "/") + "/" + url.PathEscape(id)
}

// ticket asks for a permission ticket (FedAuthz §4.1).
func (e *Env) ticket(t *T, owner, rs string, perms []uma.Permission) string {
	if e.Metadata.PermissionEndpoint == "" {
		t.Skipf("the server has no permission_endpoint")
	}
	var body any = perms
	if len(perms) == 1 && e.Profile.Fixtures.PermissionRequest != "array" {
		body = perms[0]
	}
	x := t.PostJSON(e.Metadata.PermissionEndpoint, body, e.pat(t, owner, rs, false))
	ticket := x.Text("ticket")
	if x.Status != http.StatusCreated || ticket == "" {
		t.Blockf("no permission ticket: %s", told(x))
	}
	return ticket
}

// gather takes a requesting party through claims interaction (Grant §3.3.2, §3.3.3).
func (e *Env) gather(t *T, c Client, ticket, party string, o GatherOptions) Gathered {
	if why := e.Missing(NeedGather); why != "" {
		t.Skipf("needs %s: %s", NeedGather.Words(), why)
	}
	who := t.person(party)
	g := Gathered{Browser: o.Browser, State: o.State}
	byHook := e.Profile.Hooks.Gather != nil && o.Browser == nil && o.OnStep == nil
	if g.Browser == nil {
		g.Browser = e.browserOf(t, who)
	}
	switch o.State {
	case "":
		g.State = e.Fresh("state ~/+&=%-")
	case NoState:
		g.State = ""
	}
	o.State = g.State
	if byHook {
		return e.gatherByHook(t, c, ticket, who, o)
	}
	g.Browser.Open(t.ClaimsURL(c, ticket, o))
	purposes := []string{"gather"}
	if o.Cancel {
		purposes = []string{"cancel"}
	} else if o.PCT {
		purposes = append(purposes, "pct")
	}
	g.Browser.onStep = o.OnStep
	g.Page = g.Browser.Drive(who, purposes...)
	g.Browser.onStep = nil
	if g.Redirect = g.Page.Left; g.Redirect != nil {
		g.Ticket = g.Redirect.Query().Get("ticket")
		if !o.Cancel && o.Browser == nil {
			e.remember(who, g.Browser)
		}
	}
	return g
}

// gatherByHook leaves the pages to the profile's hook.
func (e *Env) gatherByHook(t *T, c Client, ticket string, who Person, o GatherOptions) Gathered {
	start := t.ClaimsURL(c, ticket, o)
	a, err := e.hooks.Hook(t.ctx, HookRequest{
		Action: "gather", Issuer: e.Issuer, URL: start, Party: who.Login, PartySub: who.Sub, PartyPassword: who.Password, Client: c.ID,
		Cancel: o.Cancel, PCT: o.PCT,
	})
	must(t, hookError(err, NeedGather))
	g := Gathered{State: o.State, Page: &Page{Text: "the hook gather named no redirect", URL: &url.URL{}, Exchange: &Exchange{}}}
	if a.Redirect == "" {
		return g
	}
	if g.Redirect, err = url.Parse(a.Redirect); err != nil {
		t.Blockf("the profile's hook gather: redirect is no address: %v", err)
	}
	g.Ticket, g.Page.Left = g.Redirect.Query().Get("ticket"), g.Redirect
	t.Logf("the requesting party was taken through the pages by the profile's hook")
	return g
}

// ClaimsURL is the request of Grant §3.3.2 as Gather sends it. o.State is sent as it stands; "" sends none.
func (t *T) ClaimsURL(c Client, ticket string, o GatherOptions) string {
	e, state := t.env, o.State
	if state == NoState {
		state = ""
	}
	start := o.Start
	if start == "" {
		if start = e.Metadata.ClaimsInteractionEndpoint; start == "" {
			t.Skipf("the server has no claims_interaction_endpoint, and no redirect_user was given")
		}
	}
	q := url.Values{}
	set := func(name, value string) {
		if u, err := url.Parse(start); err == nil && u.Query().Has(name) && o.Start != "" {
			return // redirect_user may bring it along (Grant §3.3.6)
		}
		q.Set(name, value)
	}
	set("client_id", c.ID)
	set("ticket", ticket)
	switch {
	case o.RedirectURI == NoRedirectURI:
	case o.RedirectURI != "":
		q.Set("claims_redirect_uri", o.RedirectURI)
	case len(c.ClaimsRedirectURIs) > 0:
		set("claims_redirect_uri", c.ClaimsRedirectURIs[0])
	}
	if state != "" {
		q.Set("state", state)
	}
	maps.Copy(q, o.Extra)
	if len(q) == 0 {
		return start
	}
	return withQuery(start, q)
}

// obtain carries a ticket to its final answer.
func (e *Env) obtain(t *T, c Client, ticket, party string, extra url.Values) *Exchange {
	switch e.Profile.Party.How {
	case "gather":
		return e.obtainByPages(t, c, ticket, party, extra)
	case "claim_token":
		form := url.Values{"claim_token": {e.claimToken(t, party, c)}, "claim_token_format": {e.Profile.Party.Format}}
		maps.Copy(form, extra)
		return t.Redeem(c, ticket, form)
	case "client":
		if party != e.Profile.Party.ClientIs {
			t.Skipf("clients stand for %s alone at this server (party.client_is)", e.Profile.Party.ClientIs)
		}
		return t.Redeem(c, ticket, extra)
	default:
		t.Skipf("needs %s: %s", NeedParty.Words(), e.Missing(NeedParty))
		return nil
	}
}

func (e *Env) obtainByPages(t *T, c Client, ticket, party string, extra url.Values) *Exchange {
	x := t.Redeem(c, ticket, extra)
	if x.OAuthError() != "need_info" {
		return x
	}
	again := x.Text("ticket")
	if again == "" {
		t.Blockf("need_info without a ticket")
	}
	g := e.gather(t, c, again, party, GatherOptions{Start: x.Text("redirect_user")})
	if g.Ticket == "" {
		t.Blockf("claims interaction gave no ticket: %s", g.Told())
	}
	return t.Redeem(c, g.Ticket, extra)
}

// Told says how claims interaction ended.
func (g Gathered) Told() string {
	if g.Redirect != nil {
		q := g.Redirect.Query()
		if q.Get("error") != "" {
			return "sent back with the error " + q.Get("error")
		}
		return "sent back to " + shortURL(g.Redirect.String())
	}
	return "stopped at " + stopped(g.Page)
}

func (e *Env) claimToken(t *T, party string, c Client) string {
	who := t.person(party)
	if e.Profile.Party.From == "provider" {
		return e.provider(t).IDToken(t, who, e.audience(c), nil)
	}
	a, err := e.hooks.Hook(t.ctx, HookRequest{
		Action: "claim-token", Issuer: e.Issuer, Party: who.Login, PartySub: who.Sub, PartyPassword: who.Password, Client: c.ID, ClientSecret: c.Secret,
	})
	must(t, hookError(err, NeedParty))
	return a.Token
}

// audience is what the server under test wants as audience of pushed ID tokens.
func (e *Env) audience(c Client) string {
	if e.Profile.Push.Audience == "" {
		return e.Issuer
	}
	return fill(e.Profile.Push.Audience, map[string]string{"issuer": e.Issuer, "client": c.ID})
}

// grant makes a grant from nothing.
func (e *Env) grant(t *T, c Client, owner, rs, party string, scopes []string) Granted {
	g := Granted{PAT: e.pat(t, owner, rs, false), Resource: e.resource(t, owner, rs, scopes)}
	g.Policy = e.permit(t, PolicySpec{Resource: g.Resource, Party: party})
	g.Ticket = e.ticket(t, owner, rs, []uma.Permission{g.Resource.Permission()})
	g.Answer = e.obtain(t, c, g.Ticket, party, nil)
	g.RPT, g.Refresh = g.Answer.Text("access_token"), g.Answer.Text("refresh_token")
	if g.Answer.Status != http.StatusOK || g.RPT == "" {
		t.Blockf("a policy lets %s have all of the resource, and yet no RPT came: %s", party, told(g.Answer))
	}
	return g
}

func (e *Env) introspect(t *T, pat, token string) map[string]any {
	if why := e.Missing(NeedIntrospection); why != "" {
		t.Skipf("needs %s: %s", NeedIntrospection.Words(), why)
	}
	auth, form := Bearer(pat), url.Values{"token": {token}}
	if e.Profile.Fixtures.Introspection == "client" {
		auth = e.client(t, e.holder(pat)).Auth()
	}
	if hint := e.Profile.Fixtures.IntrospectionHint; hint != "" {
		form.Set("token_type_hint", hint)
	}
	x := t.PostForm(e.Metadata.IntrospectionEndpoint, form, auth)
	if x.Status != http.StatusOK {
		t.Blockf("introspection answered %s", told(x))
	}
	return x.JSON(t)
}

// holder is the resource server that a shared PAT was got for; RS1 for one of a check's own.
func (e *Env) holder(pat string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if rs, ok := e.pats[pat]; ok {
		return rs
	}
	return RS1
}

func permissionsOf(m map[string]any) map[string][]string {
	out := map[string][]string{}
	list, _ := m["permissions"].([]any)
	for _, one := range list {
		p, _ := one.(map[string]any)
		id, _ := p["resource_id"].(string)
		scopes := texts(p["resource_scopes"])
		if len(scopes) == 0 {
			scopes = texts(p["scopes"])
		}
		for _, s := range scopes {
			if !slices.Contains(out[id], s) {
				out[id] = append(out[id], s)
			}
		}
		if _, ok := out[id]; !ok {
			out[id] = nil
		}
		slices.Sort(out[id])
	}
	return out
}

func (e *Env) provider(t *T) *Provider {
	if e.provided == nil {
		t.Skipf("needs %s: %s", NeedClaimPush.Words(), e.Missing(NeedClaimPush))
	}
	return e.provided
}
