package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// Auth puts a client's authentication on a form request: into the header or into the form. A nil Auth sends none.
type Auth func(h http.Header, form url.Values)

// Basic is HTTP Basic with the form encoding of RFC 6749 §2.3.1.
func Basic(id, secret string) Auth {
	return func(h http.Header, _ url.Values) {
		pair := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

// FormSecret sends client_id and client_secret in the form (client_secret_post).
func FormSecret(id, secret string) Auth {
	return func(_ http.Header, form url.Values) {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
	}
}

// FormID sends client_id alone: a public client.
func FormID(id string) Auth {
	return func(_ http.Header, form url.Values) { form.Set("client_id", id) }
}

// Bearer sends a bearer token in the header (RFC 6750 §2.1).
func Bearer(token string) Auth {
	return func(h http.Header, _ url.Values) { h.Set("Authorization", "Bearer "+token) }
}

// Exchange is one request and its answer. Where no answer came, Status is 0 and Err says why.
type Exchange struct {
	Label   string
	Request Message // as sent
	Status  int
	Header  http.Header
	Body    []byte // at most 1 MiB
	Err     error
}

// Message is the sent half of an exchange.
type Message struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
}

// JSON is the body as one JSON object; anything else fails the check and stops it.
func (x *Exchange) JSON(t *T) map[string]any {
	out, err := x.object()
	if err != nil {
		t.Fatalf("%s: the body is no JSON object (status %d): %v", x.Label, x.Status, err)
	}
	return out
}

// Decode reads the body into a value of the caller's; a body of another shape fails the check and stops it.
func (x *Exchange) Decode(t *T, into any) {
	if err := json.Unmarshal(x.Body, into); err != nil {
		t.Fatalf("%s: the body has another shape (status %d): %v", x.Label, x.Status, err)
	}
}

func (x *Exchange) object() (map[string]any, error) {
	var out map[string]any
	if err := json.Unmarshal(x.Body, &out); err != nil {
		return nil, err
	}
	if out == nil {
		return nil, errNoObject
	}
	return out, nil
}

// OAuthError is the member error of a JSON body, or "".
func (x *Exchange) OAuthError() string { return x.Text("error") }

// Text is a string member of a JSON body, or "". It never fails.
func (x *Exchange) Text(member string) string {
	out, err := x.object()
	if err != nil {
		return ""
	}
	s, _ := out[member].(string)
	return s
}

// Location is the Location header made absolute, or nil.
func (x *Exchange) Location() *url.URL {
	raw := x.Header.Get("Location")
	if raw == "" {
		return nil
	}
	base, err := url.Parse(x.Request.URL)
	if err != nil {
		return nil
	}
	u, err := base.Parse(raw)
	if err != nil {
		return nil
	}
	return u
}

// MediaType is the type of the body without parameters, lower case.
func (x *Exchange) MediaType() string {
	kind, _, _ := strings.Cut(x.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// Challenges are the WWW-Authenticate headers of the answer.
func (x *Exchange) Challenges() []Challenge {
	var out []Challenge
	for _, h := range x.Header.Values("WWW-Authenticate") {
		out = append(out, parseChallenges(h)...)
	}
	return out
}
