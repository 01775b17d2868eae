package resourceserver_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/rstest"
)

// An API that is not FHIR behind its owners' control. In production Verifier, Ticketer, Relations and Recorder are this
// package's own, over the protection API of an authorization server; here a fake stands for all of them.
func ExampleProtect() {
	as := rstest.New()
	albums := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		granted, _ := resourceserver.GrantedFrom(r.Context())
		_, _ = fmt.Fprintf(w, "the album of %s", granted.Patient)
	})
	protected := resourceserver.Protect(albums, resourceserver.Config{
		Classifier: resourceserver.APIClassifierFunc(func(r *http.Request) (resourceserver.Request, error) {
			owner, ok := strings.CutPrefix(r.URL.Path, "/albums/")
			if !ok || r.Method != http.MethodGet {
				return resourceserver.Request{}, errors.New("not offered")
			}
			return resourceserver.Request{Patient: owner, Scopes: []string{"view"}, Interaction: "read"}, nil
		}),
		Verifier: as, Ticketer: as, Relations: as, Recorder: as, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})

	ask := func(token string) {
		r := httptest.NewRequest(http.MethodGet, "/albums/alice", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			fmt.Println(w.Code, w.Body)
			return
		}
		fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	}
	ask("")
	record := resourceserver.Set{Issuer: as.Issuer, ResourceID: "r1", Level: resourceserver.LevelRecord, User: "u1", Patient: "alice"}
	ask(as.Give(resourceserver.Grant{Permissions: []resourceserver.Permitted{{Set: record, Scopes: []string{"view"}}}}))
	// Output:
	// 401 UMA realm="fhir", as_uri="https://as.example", ticket="ticket-000001"
	// 200 the album of alice
}

// Tokens that are bound to an app's key (RFC 9449): Possession knows the address of the API, which each proof must name.
func ExampleProtect_bound() {
	as := rstest.New()
	protected := resourceserver.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "the album") }), resourceserver.Config{
		Classifier: resourceserver.APIClassifierFunc(func(*http.Request) (resourceserver.Request, error) {
			return resourceserver.Request{Patient: "alice", Scopes: []string{"view"}, Interaction: "read"}, nil
		}),
		Verifier: as, Ticketer: as, Relations: as, Recorder: as, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Possession: rstest.Possession(time.Now), // in production: resourceserver.NewPossession with the API's own origin
	})
	record := resourceserver.Set{Issuer: as.Issuer, ResourceID: "r1", Level: resourceserver.LevelRecord, User: "u1", Patient: "alice"}
	token, key := as.GiveBound(resourceserver.Grant{Permissions: []resourceserver.Permitted{{Set: record, Scopes: []string{"view"}}}})

	r := httptest.NewRequest(http.MethodGet, "/albums/alice", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	copied := httptest.NewRecorder()
	protected.ServeHTTP(copied, r)
	fmt.Println("a copied token:", copied.Code)

	r = httptest.NewRequest(http.MethodGet, "/albums/alice", nil)
	rstest.Present(r, token, key, time.Now())
	own := httptest.NewRecorder()
	protected.ServeHTTP(own, r)
	fmt.Println("with its key:", own.Code, own.Body)
	// Output:
	// a copied token: 401
	// with its key: 200 the album
}
