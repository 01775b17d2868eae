package clientduty

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// World is what a client has around it: a protected resource and its authorization server, at one origin.
type World struct {
	Origin string

	server *http.Server
	done   chan struct{}

	mu       sync.Mutex
	serial   int
	gathered map[string]bool // tickets that are good for an RPT
	rpts     map[string]bool
	tokens   []url.Values // requests at the token endpoint
	given    []string     // tickets of challenges
	needs    []string     // tickets of need_info
	issued   []string     // RPTs
	leaks    []string     // addresses with an RPT in them
	pctLeaks []string     // addresses with a PCT in them
	repeat   bool         // need_info gives the presented ticket back
}

// Play starts a world that listens at address. Close ends it.
func Play(ctx context.Context, address string) (*World, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the suite cannot play the client's world: %w", err)
	}
	w := &World{Origin: "http://" + listener.Addr().String(), done: make(chan struct{}), gathered: map[string]bool{}, rpts: map[string]bool{}}
	w.server = &http.Server{Handler: w.routes(), ReadHeaderTimeout: 5 * time.Second}
	go func() { defer close(w.done); _ = w.server.Serve(listener) }()
	return w, nil
}

// Close ends the world.
func (w *World) Close() error {
	err := w.server.Close()
	<-w.done
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// Resource is the protected address. Whatever lies below it is protected the same way.
func (w *World) Resource() string { return w.Origin + "/uma-context/conformance" }

func (w *World) routes() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{uma.WellKnownUMA, uma.WellKnownOAuth} {
		mux.HandleFunc("GET "+path, w.metadata)
	}
	mux.HandleFunc("POST /token", w.token)
	mux.HandleFunc("/", w.resource)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		for rpt := range w.rpts {
			if strings.Contains(r.URL.RawQuery, rpt) || strings.Contains(r.URL.Path, rpt) {
				w.leaks = append(w.leaks, r.URL.Path)
			}
			if pct := pctOf(rpt); strings.Contains(r.URL.RawQuery, pct) || strings.Contains(r.URL.Path, pct) {
				w.pctLeaks = append(w.pctLeaks, r.URL.Path)
			}
		}
		w.mu.Unlock()
		mux.ServeHTTP(rw, r)
	})
}

func write(rw http.ResponseWriter, status int, body any) {
	rw.Header().Set("Content-Type", "application/json")
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(body) // the client may have gone
}

func (w *World) metadata(rw http.ResponseWriter, _ *http.Request) {
	write(rw, http.StatusOK, uma.Metadata{
		Issuer: w.Origin, TokenEndpoint: w.Origin + "/token", ClaimsInteractionEndpoint: w.Origin + "/claims", PermissionEndpoint: w.Origin + "/permission",
		ResourceRegistrationEndpoint: w.Origin + "/resources/", ResponseTypesSupported: []string{"code"}, GrantTypesSupported: []string{uma.GrantTypeTicket},
	})
}

func (w *World) next(kind string) string {
	w.serial++
	return kind + "-" + strconv.Itoa(w.serial) + "-" + strings.Repeat("q", 24)
}

// resource gives access to an RPT and a ticket to everybody else (Grant §3.2).
func (w *World) resource(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if w.rpts[token] {
		write(rw, http.StatusOK, map[string]string{"fhir_base": w.Origin + "/fhir", "level": "patient", "patient": "p1"})
		return
	}
	ticket := w.next("challenge")
	w.given = append(w.given, ticket)
	rw.Header().Set("WWW-Authenticate", `UMA realm="conformance", as_uri="`+w.Origin+`", ticket="`+ticket+`"`)
	write(rw, http.StatusUnauthorized, map[string]string{"as_uri": w.Origin, "ticket": ticket})
}

// token answers a ticket that comes from claims interaction with an RPT, and every other one with need_info.
func (w *World) token(rw http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(rw, r.Body, 1<<20)
	_ = r.ParseForm() // an unread form has no ticket
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens = append(w.tokens, maps.Clone(r.PostForm))
	ticket := r.PostForm.Get("ticket")
	if w.gathered[ticket] {
		delete(w.gathered, ticket)
		rpt := w.next("rpt")
		w.rpts[rpt] = true
		w.issued = append(w.issued, rpt)
		write(rw, http.StatusOK, uma.TokenResponse{AccessToken: rpt, TokenType: "Bearer", ExpiresIn: 600, PCT: pctOf(rpt)})
		return
	}
	again := w.next("need")
	if w.repeat {
		again = ticket
	}
	w.needs = append(w.needs, again)
	write(rw, http.StatusForbidden, map[string]any{"error": "need_info", "ticket": again, "redirect_user": w.Origin + "/claims?kept=1"})
}

// gather makes the ticket that claims interaction sends back.
func (w *World) gather() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ticket := w.next("gathered")
	w.gathered[ticket] = true
	return ticket
}

func (w *World) setRepeat(repeat bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repeat = repeat
}

// seen is a copy of what the world saw.
type seen struct {
	tokens        []url.Values
	given, needs  []string
	issued, leaks []string
	pctLeaks      []string
}

func (w *World) seen() seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return seen{slices.Clone(w.tokens), slices.Clone(w.given), slices.Clone(w.needs), slices.Clone(w.issued), slices.Clone(w.leaks), slices.Clone(w.pctLeaks)}
}
