package asclienttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Person signs in at the next authorization request.
type Person struct {
	Sub      string
	Name     string
	FHIRUser string
	Refuses  bool // answers access_denied
}

// Resource is a registered set with its owner: a Person's Sub, or CustodianOwner.
type Resource struct {
	Owner       string
	Description uma.ResourceDescription
	Raw         json.RawMessage
}

// CustodianOwner owns what was registered with a client-credentials PAT.
const CustodianOwner = "organization"

// Ticket is one permission request that was answered.
type Ticket struct {
	Owner       string
	Permissions []uma.Permission
	Challenge   string
	Raw         json.RawMessage
}

// Server is the fake. Fields are changed through Set, read through Get.
type Server struct {
	HTTP *httptest.Server

	mu       sync.Mutex
	now      func() time.Time
	key      *ecdsa.PrivateKey
	keyID    string
	down     bool // answers 503
	lost     map[string]bool
	next     Person
	serial   int
	clients  map[string]string // id → secret
	codes    map[string]code
	access   map[string]access
	refresh  map[string]string // token → owner; "" used
	res      map[string]Resource
	tickets  map[string]Ticket
	tokens   map[string]uma.Introspection
	events   map[string]uma.AccessEvent
	reports  []Report
	consumed map[string]bool
	calls    map[string]int
	meta     func(*uma.Metadata)
	changes  [][]string // what the feed tells
	forged   bool
}

// Report is one delivery of access events.
type Report struct {
	Owner  string
	Events []uma.AccessEvent
}

type code struct {
	person                             Person
	client, challenge, nonce, redirect string
	scope                              string
}

type access struct {
	owner  string
	client string
	until  time.Time
}

// New starts a fake on 127.0.0.1. Close it with HTTP.Close.
func New(now func() time.Time) *Server {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	s := &Server{
		now: now, key: key, keyID: "k1", lost: map[string]bool{}, clients: map[string]string{"rs": "rs-secret"}, codes: map[string]code{},
		access: map[string]access{}, refresh: map[string]string{}, res: map[string]Resource{}, tickets: map[string]Ticket{},
		tokens: map[string]uma.Introspection{}, events: map[string]uma.AccessEvent{}, consumed: map[string]bool{}, calls: map[string]int{},
	}
	s.HTTP = httptest.NewServer(s.handler())
	return s
}

// Issuer is the fake's identifier.
func (s *Server) Issuer() string { return s.HTTP.URL }

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/uma2-configuration", s.metadata)
	mux.HandleFunc("GET /jwks", s.jwks)
	mux.HandleFunc("POST /register", s.register)
	mux.HandleFunc("GET /authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /resource_set/", s.create)
	mux.HandleFunc("GET /resource_set/{$}", s.list)
	mux.HandleFunc("GET /resource_set/{id}", s.read)
	mux.HandleFunc("PUT /resource_set/{id}", s.update)
	mux.HandleFunc("DELETE /resource_set/{id}", s.remove)
	mux.HandleFunc("POST /permission", s.permission)
	mux.HandleFunc("POST /introspect", s.introspect)
	mux.HandleFunc("POST /access-events", s.report)
	mux.HandleFunc("POST /events", s.feed)
	mux.HandleFunc("POST /grants/consume", s.consume)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		name := r.Method + " " + r.URL.Path
		if strings.HasPrefix(r.URL.Path, "/resource_set/") && r.URL.Path != "/resource_set/" {
			name = r.Method + " /resource_set/{id}"
		}
		s.calls[name]++
		down, broken := s.down, s.lost[name]
		s.mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if broken { // the work is done, the answer is lost
			mux.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	})
}

func (s *Server) id(prefix string) string {
	s.serial++
	return prefix + strconv.Itoa(s.serial) + "-" + strings.Repeat("x", 20)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code, description string) {
	write(w, status, map[string]string{"error": code, "error_description": description})
}

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	u := s.HTTP.URL
	m := uma.Metadata{
		Issuer: u, AuthorizationEndpoint: u + "/authorize", TokenEndpoint: u + "/token", RegistrationEndpoint: u + "/register",
		IntrospectionEndpoint: u + "/introspect", JWKSURI: u + "/jwks", PermissionEndpoint: u + "/permission",
		ResourceRegistrationEndpoint: u + "/resource_set/", AccessEventsEndpoint: u + "/access-events", GrantConsumptionEndpoint: u + "/grants/consume",
		EventFeedEndpoint:                          u + "/events",
		AuthorizationResponseIssParameterSupported: true,
	}
	s.mu.Lock()
	if s.meta != nil {
		s.meta(&m)
	}
	s.mu.Unlock()
	write(w, http.StatusOK, m)
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	write(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": s.keyID, "x": b64(point[1:33]), "y": b64(point[33:]),
	}}})
}

// pat answers whose PAT a request carries.
func (s *Server) pat(w http.ResponseWriter, r *http.Request) (access, bool) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	a, known := s.access[token]
	if !ok || !known || !s.now().Before(a.until) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		refuse(w, http.StatusUnauthorized, "invalid_token", "no such token")
		return access{}, false
	}
	return a, true
}

// String helps failing tests.
func (r Resource) String() string { return fmt.Sprintf("%s: %s", r.Owner, r.Raw) }
