package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// fake answers like a core with one PAT, "good", and counts what reached it.
type fake struct {
	mu        sync.Mutex
	calls     []string
	described uma.ResourceDescription
	asked     []uma.Permission
	challenge string
	request   umaas.TokenRequest
	events    []uma.AccessEvent
	browser   umaas.Browser
	query     url.Values
	err       error // returned by Token, Register, StartClaims and StartAuthorization
	started   umaas.Started
}

func (f *fake) call(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
}

func (f *fake) Metadata() uma.Metadata {
	return uma.Metadata{
		Issuer: "https://as.example/a", TokenEndpoint: "https://as.example/a/token",
		ResponseTypesSupported: []string{"code"}, GrantTypesSupported: []string{uma.GrantTypeTicket},
	}
}
func (f *fake) JWKS() []byte { return []byte(`{"keys":[]}`) }
func (f *fake) Register(_ context.Context, _ umaas.ClientMetadata, _ string) (umaas.ClientInformation, error) {
	f.call("Register")
	return umaas.ClientInformation{}, f.err
}
func (f *fake) Token(_ context.Context, r umaas.TokenRequest) (uma.TokenResponse, error) {
	f.call("Token")
	f.request = r
	if f.err != nil {
		return uma.TokenResponse{}, f.err
	}
	return uma.TokenResponse{AccessToken: "h.s", TokenType: "Bearer", ExpiresIn: 300}, nil
}
func (f *fake) Revoke(_ context.Context, r umaas.TokenRequest) error {
	f.call("Revoke")
	f.request = r
	return f.err
}
func (f *fake) StatusList(context.Context, uint64) ([]byte, error) {
	f.call("StatusList")
	return nil, umaas.ErrNotFound
}
func (f *fake) PresentUserInfo(_ context.Context, p umaas.Presentation) (map[string]any, error) {
	f.call("UserInfo")
	if p.Token != "good" {
		return nil, uma.ErrInvalidToken
	}
	return map[string]any{"sub": "u1"}, nil
}
func (f *fake) PresentPAT(_ context.Context, p umaas.Presentation) (umaas.PAT, error) {
	switch p.Token {
	case "good":
		return umaas.PAT{Owner: "u1", RS: "rs"}, nil
	case "plain":
		e := uma.ErrInsufficientScope.With("the token is not a PAT")
		e.Scope = uma.ScopeProtection
		return umaas.PAT{}, e
	}
	return umaas.PAT{}, uma.ErrInvalidToken
}
func (f *fake) RequestPermission(_ context.Context, _ umaas.PAT, p []uma.Permission, challenge, _ string) (string, error) {
	f.call("RequestPermission")
	f.asked, f.challenge = p, challenge
	return "t.1", nil
}
func (f *fake) Introspect(_ context.Context, _ umaas.PAT, token string) (uma.Introspection, error) {
	f.call("Introspect")
	if token != "rpt" {
		return uma.Introspection{}, nil
	}
	return uma.Introspection{Active: true, Exp: 5, Permissions: []uma.Permission{{ResourceID: "r1", Scopes: []string{"patient/Observation.r"}}}}, nil
}
func (f *fake) ConsumeGrant(context.Context, umaas.PAT, string) error {
	f.call("ConsumeGrant")
	return nil
}
func (f *fake) Feed(_ context.Context, _ umaas.PAT, r uma.FeedRequest) (uma.Feed, error) {
	f.call("Feed")
	return uma.Feed{Sets: []string{}, After: r.After}, nil
}

func (f *fake) RecordAccess(_ context.Context, _ umaas.PAT, e []uma.AccessEvent) error {
	f.call("RecordAccess")
	f.events = e
	return nil
}
func (f *fake) CreateResource(_ context.Context, _ umaas.PAT, d uma.ResourceDescription, _ string) (umaas.ResourceID, error) {
	f.call("CreateResource")
	f.described = d
	return "r1", nil
}
func (f *fake) ReadResource(_ context.Context, _ umaas.PAT, id umaas.ResourceID) (uma.ResourceDescription, error) {
	f.call("ReadResource")
	if id != "r1" {
		return uma.ResourceDescription{}, umaas.ErrNotFound
	}
	return f.described, nil
}
func (f *fake) UpdateResource(_ context.Context, _ umaas.PAT, _ umaas.ResourceID, d uma.ResourceDescription, _ string) error {
	f.call("UpdateResource")
	f.described = d
	return nil
}
func (f *fake) DeleteResource(context.Context, umaas.PAT, umaas.ResourceID, string) error {
	f.call("DeleteResource")
	return nil
}
func (f *fake) ListResources(context.Context, umaas.PAT) ([]umaas.ResourceID, error) {
	f.call("ListResources")
	return nil, nil
}
func (f *fake) StartClaims(_ context.Context, q url.Values, b umaas.Browser, _ string) (umaas.Started, error) {
	f.call("StartClaims")
	f.query, f.browser = q, b
	return f.started, f.err
}
func (f *fake) StartAuthorization(_ context.Context, q url.Values, b umaas.Browser, _ string) (umaas.Started, error) {
	f.call("StartAuthorization")
	f.query, f.browser = q, b
	return f.started, f.err
}

// fakePages draws the plainest page.
type fakePages struct{}

func (fakePages) Mount(r gin.IRouter) {
	r.GET("/login", func(c *gin.Context) { c.String(http.StatusOK, "login") })
}
func (fakePages) ErrorPage(c *gin.Context, err error) {
	var e *uma.Error
	if !errors.As(err, &e) {
		e = uma.ErrServer
	}
	c.Data(e.Status, "text/html; charset=utf-8", []byte("<h1>page</h1>"))
}

// zeros is injected randomness: request ids are exact.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

const zeroID = "AAAAAAAAAAAAAAAAAAAAAAAA"

func server(t testing.TB, f *fake, change func(*Config)) http.Handler {
	t.Helper()
	gin.SetMode(gin.ReleaseMode)
	c := Config{
		Service: f, Pages: fakePages{}, Issuer: "https://as.example/a", BrowserCookie: "__Host-b",
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) }, Random: zeros{}, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

type call struct {
	method, path, body, kind string
	header                   map[string]string
}

func (c call) do(h http.Handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
	switch c.kind {
	case "form":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	case "json":
		r.Header.Set("Content-Type", "application/json")
	case "":
	default:
		r.Header.Set("Content-Type", c.kind)
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var withPAT = map[string]string{"Authorization": "Bearer good"}
