package conformance

import (
	"net/url"

	"github.com/umaas/umaas/umaas/uma"
)

// The fixtures. Each stops the check when it cannot be made: a skip where the profile has no such thing, a failure where
// the server refused what it should give.

// Owner is a resource owner: Alice or Carol.
func (t *T) Owner(name string) Person { return t.person(name) }

// Party is a requesting party: Bob or Dave.
func (t *T) Party(name string) Person { return t.person(name) }

// RS is a resource server: RS1 or RS2.
func (t *T) RS(name string) RS { return RS{Name: name, Client: t.env.client(t, name)} }

// Client is a client: C1, C2 or P1.
func (t *T) Client(name string) Client { return t.env.client(t, name) }

// Register registers a client of its own for the check (RFC 7591) and returns the raw answer too. members are merged
// over the suite's usual metadata; a nil value removes one.
func (t *T) Register(members map[string]any) (Client, *Exchange) { return t.env.register(t, members) }

// PAT is an owner's protection token at a resource server, shared by the run.
func (t *T) PAT(owner, rs string) string { return t.env.pat(t, owner, rs, false) }

// FreshPAT is one of the check's own, to be revoked or spent.
func (t *T) FreshPAT(owner, rs string) string { return t.env.pat(t, owner, rs, true) }

// Resource registers a fresh resource; no scopes means "view" and "print". It is deregistered when the check ends.
func (t *T) Resource(owner, rs string, scopes ...string) Resource {
	return t.env.resource(t, owner, rs, scopes)
}

// Ticket asks for a permission ticket with the owner's PAT at the resource server.
func (t *T) Ticket(owner, rs string, perms ...uma.Permission) string {
	return t.env.ticket(t, owner, rs, perms)
}

// Permit sets a policy; it is withdrawn when the check ends.
func (t *T) Permit(p PolicySpec) Policy { return t.env.permit(t, p) }

// Revoke withdraws a policy.
func (t *T) Revoke(p Policy) { t.env.revoke(t, p) }

// Answer answers the owner's open request for a resource: Approve gives these scopes (none: all that were asked).
func (t *T) Answer(owner string, say Answer, r Resource, scopes ...string) {
	t.env.answer(t, owner, say, r, scopes)
}

// Token sends a form to the token endpoint with the client's own authentication.
func (t *T) Token(c Client, form url.Values) *Exchange {
	return t.PostForm(t.env.Metadata.TokenEndpoint, form, c.Auth())
}

// Redeem presents a ticket at the token endpoint; extra adds or replaces parameters.
func (t *T) Redeem(c Client, ticket string, extra url.Values) *Exchange {
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}
	for name, values := range extra {
		form[name] = values
	}
	return t.Token(c, form)
}

// Gather takes a requesting party through the claims interaction endpoint and its pages.
func (t *T) Gather(c Client, ticket, party string, o GatherOptions) Gathered {
	return t.env.gather(t, c, ticket, party, o)
}

// Obtain carries a ticket to its final answer in whatever way the profile knows to tell the server who the requesting
// party is: interaction at the claims endpoint, a pushed claim token, or the client itself. extra goes with every token
// request. The final answer may be a refusal.
func (t *T) Obtain(c Client, ticket, party string, extra url.Values) *Exchange {
	return t.env.obtain(t, c, ticket, party, extra)
}

// Granted is a grant made from nothing: a resource, a policy, a ticket, an RPT.
type Granted struct {
	Resource Resource
	Policy   Policy
	Ticket   string // the first one
	RPT      string
	Refresh  string // "" when the server gave none
	PAT      string
	Answer   *Exchange // the success
}

// Grant lets party have scopes of a fresh resource of owner through client, and gets the RPT. Needs NeedPolicy and
// NeedParty. No scopes means all.
func (t *T) Grant(c Client, owner, rs, party string, scopes ...string) Granted {
	return t.env.grant(t, c, owner, rs, party, scopes)
}

// Introspect asks about a token with a PAT (FedAuthz §5.1); an answer other than 200 with JSON stops the check.
func (t *T) Introspect(pat, token string) map[string]any { return t.env.introspect(t, pat, token) }

// Active tells whether a token is active for the holder of the PAT.
func (t *T) Active(pat, token string) bool {
	active, _ := t.Introspect(pat, token)["active"].(bool)
	return active
}

// Permissions are the permissions of an introspected token: scopes by resource id, those of several elements together.
func (t *T) Permissions(pat, token string) map[string][]string {
	return permissionsOf(t.Introspect(pat, token))
}

// SignIn is a browser in which a person is signed in at the server under test.
func (t *T) SignIn(person string) *Browser { return t.env.signedIn(t, person) }

// NewBrowser is a browser without cookies.
func (t *T) NewBrowser() *Browser { return newBrowser(t) }

// Provider is the suite's own OpenID provider, which the server under test trusts (NeedClaimPush).
func (t *T) Provider() *Provider { return t.env.provider(t) }
