package conformance

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

func (t *T) person(name string) Person {
	how, ok := t.env.Profile.People[name]
	if !ok {
		t.Skipf("the profile names nobody as %s (people)", name)
	}
	p := Person{Name: name, Login: how.Login, Password: how.Password, Sub: how.Sub, Email: how.Email}
	if p.Email == "" {
		p.Email = name + "@conformance.example"
	}
	return p
}

// client is a client of the profile, or one that is registered at first use and shared by the run.
func (e *Env) client(t *T, name string) Client {
	return shared(t, "client "+name, func() (Client, time.Time, error) {
		c, err := e.findClient(t, name)
		return c, time.Time{}, err
	})
}

func (e *Env) findClient(t *T, name string) (Client, error) {
	if how, ok := e.Profile.Clients.Given[name]; ok {
		c := Client{
			Name: name, ID: how.ID, Secret: how.Secret, Method: how.Method, RedirectURIs: how.RedirectURIs,
			ClaimsRedirectURIs: how.ClaimsRedirects, Scopes: how.Scopes,
		}
		switch {
		case c.Method == "" && c.Secret == "":
			c.Method = "none"
		case c.Method == "":
			c.Method = "client_secret_basic"
		case c.Method == methodKey:
			k, err := e.givenKey(how)
			if err != nil {
				return Client{}, fmt.Errorf("the key of client %s: %w", name, err)
			}
			c = e.asserts(c, k)
		}
		return c, nil
	}
	if why, _ := e.lacksClient(name); why != "" {
		return Client{}, lacking{why}
	}
	c, x := e.registration(t, name, e.usual(name))
	if x.Status != http.StatusCreated && x.Status != http.StatusOK || c.ID == "" {
		return Client{}, fmt.Errorf("the suite's client %s could not be registered at %s: %s", name, e.Metadata.RegistrationEndpoint, told(x))
	}
	return c, nil
}

// usual is the metadata the suite registers its clients with (RFC 7591 §2, Grant §2). C1 has two claims redirect URIs, one
// of them with a query, and one scope it may ask for by itself; C2 and P1 have one URI and no scope.
func (e *Env) usual(name string) map[string]any {
	base := e.Profile.Clients.CallbackHost + "/" + strings.ToLower(name)
	m := map[string]any{
		"client_name": "Conformance " + name, "redirect_uris": []string{base + "/callback"}, "response_types": []string{"code"},
		"token_endpoint_auth_method": cmp.Or(e.Profile.Clients.Method, "client_secret_basic"),
	}
	switch name {
	case RS1, RS2:
		m["grant_types"] = []string{uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken}
		m["scope"] = e.Profile.PAT.Scope
	default:
		m["grant_types"] = []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken, uma.GrantTypeAuthorizationCode}
		m["claims_redirect_uris"] = []string{base + "/claims"}
	}
	switch name {
	case C1:
		m["claims_redirect_uris"] = []string{base + "/claims", base + "/claims?kept=1&empty="}
		m["scope"] = e.Profile.Scopes[3]
	case P1:
		m["token_endpoint_auth_method"] = "none"
	}
	more := e.Profile.Clients.Metadata
	if name == RS1 || name == RS2 {
		more = e.Profile.Clients.RSMetadata
	}
	merge(m, more)
	return m
}

func merge(into, from map[string]any) {
	for member, value := range from {
		if value == nil {
			delete(into, member)
			continue
		}
		into[member] = value
	}
}

// register is a check's own client: the usual metadata of C2 with the check's members over it.
func (e *Env) register(t *T, members map[string]any) (Client, *Exchange) {
	t.Require(NeedDynamicRegistration)
	m := e.usual(C2)
	m["client_name"] = "Conformance " + e.Fresh("")
	merge(m, members)
	return e.registration(t, "own", m)
}

func (e *Env) registration(t *T, name string, m map[string]any) (Client, *Exchange) {
	key, err := e.keyed(m)
	must(t, err)
	x := t.PostJSON(e.Metadata.RegistrationEndpoint, m, e.Profile.Clients.Initial)
	c := Client{
		Name: name, ID: x.Text("client_id"), Secret: x.Text("client_secret"), Method: x.Text("token_endpoint_auth_method"),
		RegistrationToken: x.Text("registration_access_token"), RegistrationURI: x.Text("registration_client_uri"),
		RedirectURIs: texts(m["redirect_uris"]), ClaimsRedirectURIs: texts(m["claims_redirect_uris"]),
	}
	if scope, _ := m["scope"].(string); scope != "" {
		c.Scopes = strings.Fields(scope)
	}
	if c.Method == "" {
		c.Method, _ = m["token_endpoint_auth_method"].(string)
	}
	if c.Method == methodKey && key == nil {
		t.Blockf("the server answered the registration with private_key_jwt, which was not asked for")
	}
	if key != nil {
		c = e.asserts(c, key)
	}
	return c, x
}

func texts(v any) []string {
	switch v := v.(type) {
	case []string:
		return slices.Clone(v)
	case []any:
		var out []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				out = append(out, s)
			}
		}
		return out
	default:
		return nil
	}
}

// told is an answer in one line, for messages.
func told(x *Exchange) string {
	if x.Err != nil {
		return fmt.Sprintf("no answer: %v", x.Err)
	}
	text := fmt.Sprintf("status %d", x.Status)
	if code := x.OAuthError(); code != "" {
		text += " " + code
	}
	if d := x.Text("error_description"); d != "" {
		text += ": " + d
	}
	return text
}

// Told is the answer in one line: status, error code, description.
func (x *Exchange) Told() string { return told(x) }
