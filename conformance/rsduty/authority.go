package rsduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Registered is one resource as the resource server described it.
type Registered struct {
	ID     string
	Scopes []string
	Raw    map[string]any
}

// Asked is one permission request.
type Asked struct {
	Bearer      bool // with the PAT in the header, and nowhere else
	Permissions []map[string]any
	Ticket      string // "" refused
}

// Authority is an authorization server as far as a resource server can see one: discovery, registration, client
// credentials, the protection API. What tokens are worth is set by the checks. It is safe for concurrent use.
type Authority struct {
	Issuer string

	server *http.Server
	done   chan struct{}

	mu        sync.Mutex
	serial    int
	clients   map[string]string
	pats      map[string]bool
	resources map[string]Registered
	asked     []Asked
	misused   []string // protection API calls whose PAT was not in the header alone
	worth     map[string]map[string]any
	down      bool
	settled   bool
}

// Play starts an authority that listens at address, "127.0.0.1:port". Close ends it.
func Play(ctx context.Context, address string) (*Authority, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the suite cannot play the authorization server: %w", err)
	}
	a := &Authority{
		Issuer: "http://" + listener.Addr().String(), done: make(chan struct{}), clients: map[string]string{}, pats: map[string]bool{},
		resources: map[string]Registered{}, worth: map[string]map[string]any{},
	}
	a.server = &http.Server{Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second}
	go func() { defer close(a.done); _ = a.server.Serve(listener) }()
	return a, nil
}

// Close ends the authority.
func (a *Authority) Close() error {
	err := a.server.Close()
	<-a.done
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Requests are the permission requests so far.
func (a *Authority) Requests() []Asked {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// Resources are the registered ones by id.
func (a *Authority) Resources() map[string]Registered {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.resources)
}

// Worth is the introspection object of a token; nil for one that is not active.
func (a *Authority) Worth(token string) map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.worth[token]
}

func (a *Authority) routes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{uma.WellKnownUMA, uma.WellKnownOAuth, uma.WellKnownOpenID} {
		mux.HandleFunc("GET "+path, a.metadata)
	}
	mux.HandleFunc("GET /jwks", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, map[string]any{"keys": []any{}}) })
	mux.HandleFunc("POST /register", a.register)
	mux.HandleFunc("POST /token", a.token)
	mux.HandleFunc("POST /resources/{$}", a.protected(a.create))
	mux.HandleFunc("GET /resources/{$}", a.protected(a.list))
	mux.HandleFunc("GET /resources/{id}", a.protected(a.read))
	mux.HandleFunc("PUT /resources/{id}", a.protected(a.update))
	mux.HandleFunc("DELETE /resources/{id}", a.protected(a.remove))
	mux.HandleFunc("POST /permission", a.protected(a.permission))
	mux.HandleFunc("POST /introspect", a.protected(a.introspect))
	return mux
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the resource server may have gone
}

func refuse(w http.ResponseWriter, status int, code string) {
	write(w, status, map[string]string{"error": code})
}

func (a *Authority) metadata(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, uma.Metadata{
		Issuer: a.Issuer, AuthorizationEndpoint: a.Issuer + "/authorize", TokenEndpoint: a.Issuer + "/token", RegistrationEndpoint: a.Issuer + "/register",
		IntrospectionEndpoint: a.Issuer + "/introspect", JWKSURI: a.Issuer + "/jwks", PermissionEndpoint: a.Issuer + "/permission",
		ResourceRegistrationEndpoint: a.Issuer + "/resources/", ResponseTypesSupported: []string{"code"},
		GrantTypesSupported:               []string{uma.GrantTypeTicket, uma.GrantTypeClientCredentials, uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken},
		TokenEndpointAuthMethodsSupported: []string{"client_secret_basic", "client_secret_post"},
		CodeChallengeMethodsSupported:     []string{"S256"}, AuthorizationResponseIssParameterSupported: true,
	})
}

func (a *Authority) next(prefix string) string {
	a.serial++
	return prefix + "-" + strconv.Itoa(a.serial) + "-" + strings.Repeat("x", 24)
}

func (a *Authority) register(w http.ResponseWriter, r *http.Request) {
	m := map[string]any{}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m) != nil {
		refuse(w, http.StatusBadRequest, "invalid_client_metadata")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := a.next("client")
	a.clients[id] = a.next("secret")
	m["client_id"], m["client_secret"], m["client_secret_expires_at"] = id, a.clients[id], 0
	write(w, http.StatusCreated, m)
}

// token gives a PAT to any client by client credentials: the authority has no owners to ask.
func (a *Authority) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
	_ = r.ParseForm() // an unread form has no grant_type
	if r.PostForm.Get("grant_type") != uma.GrantTypeClientCredentials {
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	pat := a.next("pat")
	a.pats[pat] = true
	write(w, http.StatusOK, uma.TokenResponse{AccessToken: pat, TokenType: "Bearer", ExpiresIn: 3600, Scope: "uma_protection"})
}

// protected asks for a PAT in the header (RFC 6750 §2.1) and notes where else one was sent.
func (a *Authority) protected(next func(http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, pat, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		a.mu.Lock()
		defer a.mu.Unlock()
		if r.URL.Query().Has("access_token") {
			a.misused = append(a.misused, r.Method+" "+r.URL.Path)
		}
		if !strings.EqualFold(scheme, "Bearer") || !a.pats[pat] {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, "invalid_token")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		next(w, r)
	}
}

func (a *Authority) described(w http.ResponseWriter, r *http.Request, id string) bool {
	raw := map[string]any{}
	if json.NewDecoder(r.Body).Decode(&raw) != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return false
	}
	list, _ := raw["resource_scopes"].([]any)
	var scopes []string
	for _, one := range list {
		if s, ok := one.(string); ok {
			scopes = append(scopes, s)
		}
	}
	a.resources[id] = Registered{ID: id, Scopes: scopes, Raw: raw}
	return true
}

func (a *Authority) create(w http.ResponseWriter, r *http.Request) {
	id := a.next("resource")
	if !a.described(w, r, id) {
		return
	}
	w.Header().Set("Location", a.Issuer+"/resources/"+id)
	write(w, http.StatusCreated, map[string]string{"_id": id})
}

func (a *Authority) list(w http.ResponseWriter, _ *http.Request) {
	ids := []string{}
	for id := range a.resources {
		ids = append(ids, id)
	}
	write(w, http.StatusOK, ids)
}

func (a *Authority) known(w http.ResponseWriter, r *http.Request) (Registered, bool) {
	one, ok := a.resources[r.PathValue("id")]
	if !ok {
		refuse(w, http.StatusNotFound, "not_found")
	}
	return one, ok
}

func (a *Authority) read(w http.ResponseWriter, r *http.Request) {
	if one, ok := a.known(w, r); ok {
		body := map[string]any{"_id": one.ID}
		for name, v := range one.Raw {
			body[name] = v
		}
		write(w, http.StatusOK, body)
	}
}

func (a *Authority) update(w http.ResponseWriter, r *http.Request) {
	if one, ok := a.known(w, r); ok && a.described(w, r, one.ID) {
		write(w, http.StatusOK, map[string]string{"_id": one.ID})
	}
}

func (a *Authority) remove(w http.ResponseWriter, r *http.Request) {
	if one, ok := a.known(w, r); ok {
		delete(a.resources, one.ID)
		w.WriteHeader(http.StatusNoContent)
	}
}

// permission gives a ticket for whatever is asked: what is asked is for the checks to judge.
func (a *Authority) permission(w http.ResponseWriter, r *http.Request) {
	if a.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var raw json.RawMessage
	var list []map[string]any
	if json.NewDecoder(r.Body).Decode(&raw) != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	if json.Unmarshal(raw, &list) != nil {
		list = make([]map[string]any, 1)
		if json.Unmarshal(raw, &list[0]) != nil {
			refuse(w, http.StatusBadRequest, "invalid_request")
			return
		}
	}
	ticket := a.next("ticket")
	a.asked = append(a.asked, Asked{Bearer: true, Permissions: list, Ticket: ticket})
	write(w, http.StatusCreated, uma.PermissionTicket{Ticket: ticket})
}

func (a *Authority) introspect(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // an unread form has no token
	if worth, ok := a.worth[r.PostForm.Get("token")]; ok {
		write(w, http.StatusOK, worth)
		return
	}
	write(w, http.StatusOK, map[string]bool{"active": false})
}
