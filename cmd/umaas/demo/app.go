package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// App is an UMA client as any app developer would write it: it knows its SMART scopes ahead of time, takes a context URL,
// asks once, and carries the process on until it has an RPT. Each exchange is told to Log, secrets cut.
type App struct {
	ClientID  string
	Secret    string
	ClaimsURI string // registered claims redirect URI
	HTTP      *http.Client
	Key       *pop.Key // nil: bearer tokens; otherwise every RPT is bound to it (RFC 9449)
	Log       func(Exchange)
	// Elsewhere are registrations of the same app at other authorization servers, by issuer. The app learns which one to
	// ask from as_uri (Grant §3.2.1).
	Elsewhere map[string]AppIdentity
}

// at is the app as one authorization server knows it.
func (a *App) at(issuer string) *App {
	id, ok := a.Elsewhere[issuer]
	if !ok {
		return a
	}
	there := *a
	there.ClientID, there.Secret = id.ClientID, id.ClientSecret
	if id.ClaimsRedirectURI != "" {
		there.ClaimsURI = id.ClaimsRedirectURI
	}
	return &there
}

// Exchange is one HTTP request and its answer, for the app's developers' view and the narrated walk.
type Exchange struct {
	Method, URL string
	Status      int
	Answer      string
}

// Process is where an authorization process stands: at its first ticket, or with exactly one of RPT, Redirect and Waiting.
// An answer that ends it is a *uma.Error.
type Process struct {
	AS       string
	Ticket   string // the newest one; each answer replaces it
	RPT      string
	Redirect string // send the person here
	Waiting  bool
	Interval int
}

var challenge = regexp.MustCompile(`(realm|as_uri|ticket)="([^"]*)"`)

// Ask posts the scopes to a context URL and returns the first ticket (flows.md A2).
func (a *App) Ask(ctx context.Context, contextURL, scope string) (Process, error) {
	res, body, err := a.do(ctx, http.MethodPost, contextURL+"/authorize?scope="+url.QueryEscape(scope), nil, "")
	if err != nil {
		return Process{}, err
	}
	return ticketFrom(res, body)
}

// ticketFrom reads `WWW-Authenticate: UMA realm, as_uri, ticket` (Grant §3.2.1).
func ticketFrom(res reply, body []byte) (Process, error) {
	if res.StatusCode != http.StatusUnauthorized {
		return Process{}, fmt.Errorf("no ticket: %d %s", res.StatusCode, short(body))
	}
	var p Process
	for _, header := range res.Header.Values("WWW-Authenticate") {
		if !strings.HasPrefix(header, "UMA ") {
			continue
		}
		for _, m := range challenge.FindAllStringSubmatch(header, -1) {
			switch m[1] {
			case "as_uri":
				p.AS = m[2]
			case "ticket":
				p.Ticket = m[2]
			}
		}
	}
	if p.AS == "" || p.Ticket == "" {
		return Process{}, fmt.Errorf("no ticket in the challenge: %q", res.Header.Values("WWW-Authenticate"))
	}
	return p, nil
}

// Redeem presents the ticket at the token endpoint (Grant §3.3.1) and tells what comes next.
func (a *App) Redeem(ctx context.Context, p Process) (Process, error) {
	a = a.at(p.AS)
	meta, err := a.discover(ctx, p.AS)
	if err != nil {
		return Process{}, err
	}
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {p.Ticket}}
	res, body, err := a.do(ctx, http.MethodPost, meta.TokenEndpoint, strings.NewReader(form.Encode()), "")
	if err != nil {
		return Process{}, err
	}
	if res.StatusCode == http.StatusOK {
		var t uma.TokenResponse
		if err := json.Unmarshal(body, &t); err != nil {
			return Process{}, fmt.Errorf("token response: %w", err)
		}
		if a.Key != nil && t.TokenType != uma.TokenTypeDPoP {
			return Process{}, fmt.Errorf("the RPT is a %s token, not bound to the key of this app", t.TokenType) // RFC 9449 §5
		}
		return Process{AS: p.AS, RPT: t.AccessToken}, nil
	}
	var e uma.Error
	if err := json.Unmarshal(body, &e); err != nil {
		return Process{}, fmt.Errorf("token endpoint: %d %s", res.StatusCode, short(body))
	}
	if e.Ticket != "" && e.Ticket == p.Ticket { // Grant §5.5: a client notices a ticket that was not replaced
		return Process{}, errors.New("the authorization server gave the presented ticket back")
	}
	switch e.Code {
	case "need_info":
		to, err := url.Parse(e.RedirectUser)
		if err != nil || e.RedirectUser == "" {
			return Process{}, errors.New("need_info without redirect_user")
		}
		q := to.Query() // the URI's own query is kept (Grant §2)
		q.Set("client_id", a.ClientID)
		q.Set("ticket", e.Ticket)
		q.Set("claims_redirect_uri", a.ClaimsURI)
		to.RawQuery = q.Encode()
		return Process{AS: p.AS, Ticket: e.Ticket, Redirect: to.String()}, nil
	case "request_submitted":
		return Process{AS: p.AS, Ticket: e.Ticket, Waiting: true, Interval: e.Interval}, nil
	}
	return Process{}, &e // invalid_grant, request_denied, …: the process has ended
}

func (a *App) discover(ctx context.Context, issuer string) (uma.Metadata, error) {
	_, body, err := a.do(ctx, http.MethodGet, issuer+uma.WellKnownUMA, nil, "")
	if err != nil {
		return uma.Metadata{}, err
	}
	var m uma.Metadata
	if err := json.Unmarshal(body, &m); err != nil || m.Issuer != issuer {
		return uma.Metadata{}, fmt.Errorf("discovery at %s: not the document of this issuer", issuer)
	}
	return m, nil
}

// Launch is what a context URL tells once authorized (flows.md A2.5).
type Launch struct {
	FHIRBase string `json:"fhir_base"`
	Level    string `json:"level"`
	Patient  string `json:"patient"`
}

// Context reads the launch context with an RPT.
func (a *App) Context(ctx context.Context, contextURL, rpt string) (Launch, error) {
	res, body, err := a.do(ctx, http.MethodGet, contextURL, nil, rpt)
	if err != nil {
		return Launch{}, err
	}
	var l Launch
	if res.StatusCode != http.StatusOK {
		return Launch{}, fmt.Errorf("context: %d %s", res.StatusCode, short(body))
	}
	return l, json.Unmarshal(body, &l)
}

// FHIR sends one request with the RPT; a JSON body makes it a write.
func (a *App) FHIR(ctx context.Context, method, target, rpt string, resource any) (int, []byte, error) {
	var body io.Reader
	if resource != nil {
		raw, err := json.Marshal(resource)
		if err != nil {
			return 0, nil, fmt.Errorf("encode resource: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	res, answer, err := a.do(ctx, method, target, body, rpt)
	if err != nil {
		return 0, nil, err
	}
	return res.StatusCode, answer, nil
}

// Revoke tells the authorization server that the app is done (RFC 7009).
func (a *App) Revoke(ctx context.Context, issuer, rpt string) error {
	a = a.at(issuer)
	meta, err := a.discover(ctx, issuer)
	if err != nil {
		return err
	}
	res, _, err := a.do(ctx, http.MethodPost, meta.RevocationEndpoint, strings.NewReader(url.Values{"token": {rpt}}.Encode()), "")
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("revocation: %d", res.StatusCode)
	}
	return err
}

const answerLimit = 8 << 20

// reply is the head of an answer; its body has been read.
type reply struct {
	StatusCode int
	Header     http.Header
}

// do sends one request: with the RPT as bearer, or, for forms, with the client's own authentication.
func (a *App) do(ctx context.Context, method, target string, body io.Reader, rpt string) (reply, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return reply{}, nil, fmt.Errorf("request: %w", err)
	}
	switch {
	case rpt != "":
		req.Header.Set("Authorization", a.scheme()+" "+rpt)
		req.Header.Set("Accept", "application/fhir+json, application/json")
		if body != nil {
			req.Header.Set("Content-Type", "application/fhir+json")
		}
	case body != nil:
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(url.QueryEscape(a.ClientID), url.QueryEscape(a.Secret))
	}
	res, err := a.client().Do(req)
	if err != nil {
		return reply{}, nil, fmt.Errorf("%s %s: %w", method, hideQuery(target), err)
	}
	defer func() { _ = res.Body.Close() }() // read to the end below; closing has nothing to tell
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	if err != nil {
		return reply{}, nil, fmt.Errorf("read answer: %w", err)
	}
	got := reply{StatusCode: res.StatusCode, Header: res.Header}
	if a.Log != nil {
		a.Log(Exchange{Method: method, URL: target, Status: res.StatusCode, Answer: told(got, answer)})
	}
	return got, answer, nil
}

// scheme is how RPTs are sent.
func (a *App) scheme() string {
	if a.Key != nil {
		return uma.TokenTypeDPoP
	}
	return uma.TokenTypeBearer
}

// client adds a proof of the key to every request.
func (a *App) client() *http.Client {
	if a.Key == nil {
		return a.HTTP
	}
	c := *a.HTTP
	c.Transport = &pop.Transport{Key: a.Key, Base: a.HTTP.Transport}
	return &c
}

var secrets = regexp.MustCompile(`("?(?:access_token|refresh_token|ticket|pct)"?[=:]\s*")([^"]{6})[^"]*"`)

// told is an answer for display: bearer values keep six characters.
func told(res reply, body []byte) string {
	head := ""
	if w := res.Header.Get("WWW-Authenticate"); w != "" {
		head = "WWW-Authenticate: " + w + "\n"
	}
	return secrets.ReplaceAllString(head+short(body), `$1$2…"`)
}

func short(body []byte) string {
	const most = 700
	if len(body) > most {
		return string(body[:most]) + " …"
	}
	return string(body)
}

func hideQuery(target string) string {
	before, _, _ := strings.Cut(target, "?")
	return before
}
