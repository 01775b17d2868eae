package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// issued is a token with its end.
type issued struct {
	token string
	good  time.Time
}

// pat is an owner's protection token (FedAuthz §1.3), got as the profile says.
func (e *Env) pat(t *T, owner, rs string, fresh bool) string {
	who := t.person(owner)
	client := e.client(t, rs)
	get := func() (string, time.Time, error) {
		p, err := e.getPAT(t, who, client)
		e.mu.Lock()
		defer e.mu.Unlock()
		e.pats[p.token] = rs
		return p.token, p.good, err
	}
	if fresh {
		token, _, err := get()
		must(t, err)
		return token
	}
	return shared(t, "pat "+owner+" "+rs, get)
}

func (e *Env) getPAT(t *T, who Person, c Client) (issued, error) {
	if e.Profile.PAT.How == "hook" {
		a, err := e.hooks.Hook(t.ctx, HookRequest{
			Action: "pat", Issuer: e.Issuer, Owner: who.Login, OwnerName: who.Name, OwnerSub: who.Sub, Password: who.Password, RS: c.ID, RSSecret: c.Secret,
		})
		if err != nil {
			return issued{}, fmt.Errorf("no PAT for %s at %s: %w", who.Name, c.Name, err)
		}
		return issued{token: a.Token}, nil
	}
	x, err := e.askPAT(t, who, c)
	if err != nil {
		return issued{}, err
	}
	out, err := e.tokenOf(x)
	if err != nil {
		return issued{}, fmt.Errorf("no PAT for %s at %s: %w", who.Name, c.Name, err)
	}
	return out, nil
}

// PATAnswer is the token endpoint's answer with a fresh PAT of an owner for a resource server.
func (t *T) PATAnswer(owner, rs string) *Exchange {
	if t.env.Profile.PAT.How == "hook" {
		t.Skipf("protection tokens come from the profile's hook, and the answer they came in is not seen")
	}
	x, err := t.env.askPAT(t, t.person(owner), t.env.client(t, rs))
	must(t, err)
	return x
}

// askPAT is the token endpoint's answer to a request for a PAT.
func (e *Env) askPAT(t *T, who Person, c Client) (*Exchange, error) {
	how := e.Profile.PAT
	switch how.How {
	case "client_credentials":
		if how.Owner != who.Name {
			return nil, lacking{fmt.Sprintf("the profile has protection tokens for %q alone (pat.owner)", how.Owner)}
		}
		return t.Token(c, e.extra(url.Values{"grant_type": {uma.GrantTypeClientCredentials}, "scope": {how.Scope}})), nil
	case "password":
		return t.Token(c, e.extra(url.Values{"grant_type": {"password"}, "username": {who.Login}, "password": {who.Password}, "scope": {how.Scope}})), nil
	default:
		x, err := e.authorize(t, who, c, how.Scope, "pat")
		if err != nil {
			return nil, fmt.Errorf("no PAT for %s at %s: %w", who.Name, c.Name, err)
		}
		return x, nil
	}
}

func (e *Env) extra(form url.Values) url.Values {
	for name, value := range e.Profile.PAT.Extra {
		form.Set(name, value)
	}
	return form
}

func (e *Env) tokenOf(x *Exchange) (issued, error) {
	token := x.Text("access_token")
	if x.Status != http.StatusOK || token == "" {
		return issued{}, fmt.Errorf("the token endpoint answered %s", told(x))
	}
	out := issued{token: token}
	if o, err := x.object(); err == nil {
		if seconds, ok := o["expires_in"].(float64); ok && seconds > 0 {
			out.good = e.now().Add(time.Duration(seconds*0.8) * time.Second)
		}
	}
	return out, nil
}

// AuthorizationCode takes a person through the authorization code flow with PKCE and gives the token endpoint's answer.
func (t *T) AuthorizationCode(person string, c Client, scope string) *Exchange {
	x, err := t.env.authorize(t, t.person(person), c, scope, "code")
	must(t, err)
	return x
}

func (e *Env) authorize(t *T, who Person, c Client, scope, purpose string) (*Exchange, error) {
	switch {
	case e.Missing(NeedAuthorizationCode) != "":
		return nil, lacking{e.Missing(NeedAuthorizationCode)}
	case len(c.RedirectURIs) == 0:
		return nil, lacking{"client " + c.Name + " has no redirect URI"}
	}
	state, verifier := e.Fresh("s-"), e.Fresh("v-")+e.Fresh("")+e.Fresh("")
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"response_type": {"code"}, "client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	if scope != "" {
		q.Set("scope", scope)
	}
	b := e.browserOf(t, who)
	b.Open(withQuery(e.Metadata.AuthorizationEndpoint, e.extra(q)))
	p := b.Drive(who, purpose)
	if p.Left == nil {
		return nil, fmt.Errorf("the authorization pages came to a stop at %s", stopped(p))
	}
	e.remember(who, b)
	back := p.Left.Query()
	switch {
	case back.Get("error") != "":
		return nil, fmt.Errorf("the authorization endpoint sent the error %s: %s", back.Get("error"), back.Get("error_description"))
	case back.Get("code") == "":
		return nil, errors.New("the authorization endpoint sent no code")
	case back.Get("state") != state:
		return nil, errors.New("the authorization endpoint sent another state than it got")
	}
	return t.Token(c, url.Values{
		"grant_type": {uma.GrantTypeAuthorizationCode}, "code": {back.Get("code")}, "redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {verifier},
	}), nil
}

// stopped describes a page that no step of the profile fits.
func stopped(p *Page) string {
	text := p.Text
	if len(text) > 160 {
		text = text[:160] + "…"
	}
	return fmt.Sprintf("%s (status %d, %q); does a step of the profile's pages fit it? It says: %s", shortURL(p.URL.String()), p.Exchange.Status, p.Title, text)
}

func withQuery(endpoint string, q url.Values) string {
	sep := "?"
	if u, err := url.Parse(endpoint); err == nil && u.RawQuery != "" {
		sep = "&"
	}
	return endpoint + sep + q.Encode()
}

// browserOf is a browser of a person: signed in already where she was seen before in this run.
func (e *Env) browserOf(t *T, who Person) *Browser {
	e.mu.Lock()
	defer e.mu.Unlock()
	if j, ok := e.sessions[who.Name]; ok {
		return &Browser{t: t, jar: j.copy()}
	}
	return newBrowser(t)
}

// Remember keeps a browser in which a person is signed in for later checks; the first one of each person stays.
func (e *Env) Remember(who Person, b *Browser) { e.remember(who, b) }

// remember keeps a signed-in browser of a person for later checks. The first one stays: a check may do things to its own.
func (e *Env) remember(who Person, b *Browser) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.sessions[who.Name]; !ok {
		e.sessions[who.Name] = b.jar.copy()
	}
}

// signedIn signs a person in at the profile's home page, where it names one.
func (e *Env) signedIn(t *T, person string) *Browser {
	who := t.person(person)
	b := e.browserOf(t, who)
	if e.Profile.Home == "" {
		return b
	}
	b.Open(fill(e.Profile.Home, e.values(who)))
	b.Drive(who, "home")
	e.remember(who, b)
	return b
}
