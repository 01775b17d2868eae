package mutation_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
	"github.com/umaas/umaas/conformance/rsduty"
	fhirstore "github.com/umaas/umaas/fhir/store"
)

const fedHospital = "http://127.0.0.1:8"

// fedHospitalAt is our own resource server: gateway, embedded FHIR server with one patient, registrar; its issuer is the
// authority that the suite plays.
func fedHospitalAt(t *testing.T, a *rsduty.Authority) (_ http.Handler, address string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	folder := t.TempDir()
	store, err := fhirstore.Open(fhirstore.Options{
		Path: filepath.Join(folder, server.FHIRFile), Base: fedHospital + server.FHIRPath, Now: time.Now, NoSync: true, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	patient := fedPost(t, store.Handler(), "Patient", `{"resourceType":"Patient","name":[{"family":"Smith"}],"birthDate":"1980-01-01"}`)
	fedPost(t, store.Handler(), "Patient", `{"resourceType":"Patient","name":[{"family":"Jones"}],"birthDate":"1981-01-01"}`)
	fedPost(t, store.Handler(), "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"Pulse"},"subject":{"reference":"`+patient+`"}}`)
	r, err := server.NewRS(t.Context(), server.RSConfig{
		Base: fedHospital, Name: "Hospital", Data: folder, NoSync: true, Issuer: a.Issuer, Embedded: store, Now: time.Now, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), store.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r.Handler, fedHospital + server.FHIRPath + "/Observation?patient=" + url.QueryEscape(patient)
}

// fedPost stores a resource and gives its "Type/id".
func fedPost(t *testing.T, store http.Handler, kind, body string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, fedHospital+"/"+kind, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/fhir+json")
	w := httptest.NewRecorder()
	store.ServeHTTP(w, r)
	parts := strings.Split(strings.TrimPrefix(w.Header().Get("Location"), fedHospital+server.FHIRPath+"/"), "/")
	if w.Code != http.StatusCreated || len(parts) < 2 {
		t.Fatalf("POST %s: %d %s", kind, w.Code, w.Body)
	}
	return parts[0] + "/" + parts[1]
}

// fedRoute sends what goes to the hospital to it, and the rest to the authorization server.
type fedRoute struct{ hospital, rest http.RoundTripper }

func (r fedRoute) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasPrefix(req.URL.String(), fedHospital+"/") {
		return r.hospital.RoundTrip(req)
	}
	return r.rest.RoundTrip(req)
}

// fedScene is one hospital with its authority, for all mutants in turn.
type fedScene struct {
	authority *rsduty.Authority
	hospital  http.Handler
	address   string // the protected address
	as        *ours.Server
}

func newFedScene(t *testing.T) *fedScene {
	t.Helper()
	a, err := rsduty.Play(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	as, err := ours.Start(t.Context(), ours.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = as.Close() })
	hospital, address := fedHospitalAt(t, a)
	return &fedScene{authority: a, hospital: hospital, address: address, as: as}
}

func (s *fedScene) run(t *testing.T, mutant fedHandler, wait time.Duration, checks []conformance.Check) conformance.Run {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	hospital := s.hospital
	if mutant != nil {
		hospital = mutant(hospital)
	}
	p := s.as.Profile()
	p.RS = conformance.RSHow{Listen: strings.TrimPrefix(s.authority.Issuer, "http://"), Resource: s.address}
	p.Offers = append(p.Offers, conformance.NeedHEART)
	p.MaxWait = conformance.Duration(wait)
	o := s.as.Options(nil)
	o.Transport, o.Sleep = fedRoute{ours.Transport(hospital), o.Transport}, nil
	env, err := conformance.NewEnv(ctx, p, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = env.Close() }()
	if err := rsduty.Use(ctx, env, s.authority); err != nil {
		t.Fatal(err)
	}
	return conformance.Execute(ctx, env, checks, conformance.RunOptions{Timeout: 40 * time.Second})
}

// Our resource server does its duties (G-018…G-021, G-096…G-098, F-010, F-027, F-055…F-057).
func TestResourceServerDuties(t *testing.T) {
	for _, r := range newFedScene(t).run(t, nil, 5*time.Second, rsduty.Checks()).Results {
		if r.Verdict != conformance.Pass {
			t.Errorf("%s: %s %v", r.Check.ID, r.Verdict, r.Messages)
		}
	}
}

// Every check of the suite sees its fault, and no other check does.
func TestResourceServerMutations(t *testing.T) {
	for _, c := range rsduty.Checks() {
		m, ok := fedHospitals[c.ID]
		if !ok {
			t.Errorf("no mutation makes %s fail", c.ID)
			continue
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			s, wait := newFedScene(t), time.Millisecond
			if c.ID == "rs.token.withdrawn" {
				wait = 5 * time.Second
			}
			if err := mutation.Judge(s.run(t, m.fault(s.authority), wait, rsduty.Checks()), c.ID, mutation.Mutation{Also: m.also, Why: m.why}); err != nil {
				t.Error(err)
			}
		})
	}
}
