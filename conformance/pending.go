package conformance

import (
	"context"
	"net/http"
	"net/url"

	"github.com/umaas/umaas/umaas/uma"
)

// Env is what all checks of a run share.
type Env struct {
	Issuer   string
	Metadata uma.Metadata
	Raw      map[string]any // the discovery document as it came
	Profile  Profile
}

// Missing says in words why the server or the profile lacks a capability, or "".
func (e *Env) Missing(n Need) string { return "not built yet" }

// Scopes are n different scope names that resources of the suite are registered with.
func (e *Env) Scopes(n int) []string { return []string{"view", "print", "add", "crop"}[:n] }

// Party tells the ways a requesting party is made known: "gather", "claim_token", "client".
func (e *Env) PartyMode() string { return "gather" }

// Callback is the path of a client that nobody listens at.
func (e *Env) Callback(client, path string) string { return "" }

// Hook asks the profile's hook.
func (e *Env) Hook(ctx context.Context, q HookRequest) (HookAnswer, error) { return HookAnswer{}, nil }

func (e *Env) send(ctx context.Context, req *http.Request, x *Exchange) {}
func (e *Env) client(t *T, name string) Client                          { return Client{} }
func (t *T) person(name string) Person                                  { return Person{} }
func (e *Env) register(t *T, members map[string]any) (Client, *Exchange) {
	return Client{}, nil
}
func (e *Env) pat(t *T, owner, rs string, fresh bool) string                      { return "" }
func (e *Env) resource(t *T, owner, rs string, scopes []string) Resource          { return Resource{} }
func (e *Env) ticket(t *T, owner, rs string, perms []uma.Permission) string       { return "" }
func (e *Env) permit(t *T, p PolicySpec) Policy                                   { return Policy{} }
func (e *Env) revoke(t *T, p Policy)                                              {}
func (e *Env) answer(t *T, owner string, say Answer, r Resource, scopes []string) {}
func (e *Env) gather(t *T, c Client, ticket, party string, o GatherOptions) Gathered {
	return Gathered{}
}
func (e *Env) obtain(t *T, c Client, ticket, party string, extra url.Values) *Exchange {
	return nil
}
func (e *Env) grant(t *T, c Client, owner, rs, party string, scopes []string) Granted {
	return Granted{}
}
func (e *Env) introspect(t *T, pat, token string) map[string]any { return nil }
func (e *Env) signedIn(t *T, person string) *Browser             { return nil }
func newBrowser(t *T) *Browser                                   { return nil }
func (e *Env) provider(t *T) *Provider                           { return nil }
func permissionsOf(m map[string]any) map[string][]string         { return nil }
func shorten(x *Exchange) *Exchange                              { return x }

// Challenge is one WWW-Authenticate challenge.
type Challenge struct {
	Scheme string
	Params map[string]string
}

func parseChallenges(h string) []Challenge { return nil }

// Open goes to an address and follows redirects inside the server.
func (b *Browser) Open(target string) *Page { return nil }

// Submit posts a form of the page: fields are set over what the form has; press names a button ("" presses none or the first).
func (b *Browser) Submit(f Form, fields url.Values, press string) *Page { return nil }

// SignIn fills in login forms as the profile describes until no login form is shown any more.
func (b *Browser) SignIn(p Person) *Page { return nil }

// Cookies are the cookies the browser would send to the server.
func (b *Browser) Cookies() []*http.Cookie { return nil }

// Provider is an OpenID provider of the suite's own.
type Provider struct{ Issuer string }

// IDToken signs an ID token for a person; claims are merged over the usual ones, nil removes one.
func (p *Provider) IDToken(t *T, person string, audience string, claims map[string]any) string {
	return ""
}

// Forge signs with another key ("key"), no algorithm ("none") or a symmetric one ("hmac").
func (p *Provider) Forge(t *T, how, person, audience string, claims map[string]any) string { return "" }
