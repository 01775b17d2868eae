package gateway_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/gateway"
	"github.com/umaas/umaas/resourceserver/rstest"
)

// A FHIR server behind its patients' control. Here the upstream is a handler in this process and a fake stands for the
// authorization server.
func Example() {
	upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"resourceType":"Observation","id":"o1","subject":{"reference":"Patient/p1"}}`)
	})
	as := rstest.New()
	g, err := gateway.New(gateway.Config{
		Issuers: []string{as.Issuer},
		Enforcer: resourceserver.EnforcerConfig{
			Base: "https://hospital.example/fhir", Upstream: &gateway.InProcess{Handler: upstream, BaseURL: "http://upstream/r4"},
			Verifier: as, Ticketer: as, Relations: as, Recorder: as, Pages: as, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, patient := range []string{"p1", "p2"} {
		r := httptest.NewRequest(http.MethodGet, "/fhir/Observation/o1", nil)
		r.Header.Set("Authorization", "Bearer "+as.Give(resourceserver.Grant{Permissions: []resourceserver.Permitted{as.RecordOf(patient, "patient/Observation.rs")}}))
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		fmt.Println(patient, w.Code)
	}
	// Output:
	// p1 200
	// p2 401
}
