package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/fhir"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/uma"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heartDeployment runs both servers under the HEART profile.
func heartDeployment(t *testing.T) (as *AS, issuer, base string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	var rs *RS
	asDoor, issuer := door(t, "as", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { as.Handler.ServeHTTP(w, r) }))
	rsDoor, base := door(t, "rs", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rs.Handler.ServeHTTP(w, r) }))
	data := t.TempDir()
	records, err := fhirstore.Open(fhirstore.Options{Path: filepath.Join(data, FHIRFile), Base: base + FHIRPath, Now: time.Now, NoSync: true, Logger: log})
	must(t, err)
	patient, err := fhir.Parse([]byte(`{"resourceType":"Patient","id":"ada","name":[{"family":"Ada"}]}`))
	must(t, err)
	must(t, records.Put(t.Context(), patient))
	as, err = NewAS(t.Context(), ASConfig{Issuer: issuer, Name: "HEART", Data: data, NoSync: true, Cost: signin.DemoCost(), Profile: umaas.ProfileHEART, Now: time.Now, Logger: log})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, log, asDoor, rsDoor) }()
	rs, err = NewRS(t.Context(), RSConfig{Base: base, Name: "HEART", Data: data, NoSync: true, Issuer: issuer, HEART: true, Embedded: records, Now: time.Now, Logger: log})
	must(t, err)
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		for _, closing := range []func() error{rs.Close, as.Close, records.Close} {
			if err := closing(); err != nil {
				t.Error(err)
			}
		}
	})
	return as, issuer, base
}

// TestH_01_WholeDeployment runs both servers under the HEART profile: the gateway registers itself with a key and without a
// secret, holds a signed PAT, registers its sets with HEART's types, and takes a signed RPT whose aud names the record.
func TestH_01_WholeDeployment(t *testing.T) {
	as, issuer, base := heartDeployment(t)
	hospital, record := registered(t, as)
	if hospital.AuthMethod != umaas.AuthPrivateKeyJWT || hospital.SecretHash != (umaas.SecretHash{}) || !hospital.Dynamic {
		t.Fatalf("the gateway registered as %+v", hospital)
	}
	rpt := heartRPT(t, as, issuer, record)
	if strings.Count(rpt.AccessToken, ".") != 2 || rpt.TokenType != "Bearer" {
		t.Fatalf("%+v", rpt)
	}
	for token, want := range map[string]int{rpt.AccessToken: 200, rpt.AccessToken[:len(rpt.AccessToken)-8] + "AAAAAAAA": 401} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+FHIRPath+"/Patient/ada", nil)
		must(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		body, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != want {
			t.Errorf("%d, want %d: %s", res.StatusCode, want, body)
		}
	}
}

// registered waits until the gateway has registered itself and its record set.
func registered(t *testing.T, as *AS) (hospital umaas.Client, record umaas.Resource) {
	t.Helper()
	for range 400 {
		err := as.Store.View(t.Context(), func(r umaas.Reader) error {
			clients, err := r.Clients("", 10)
			if err != nil || len(clients) == 0 {
				return err
			}
			hospital = clients[0]
			sets, err := r.OwnerResources(hospital.Account, "", "", 10)
			for _, s := range sets {
				if s.Description.Type == "http://www.hl7.org/fhir/compartmentdefinition-patient.html" {
					record = s
				}
			}
			return err
		})
		must(t, err)
		if record.ID != "" {
			return hospital, record
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("nothing was registered: %+v", hospital)
	return hospital, record
}

// heartRPT lets bob, whom the hospital has allowed it, get an RPT with an app that has a key; change alters the token request.
func heartRPT(t *testing.T, as *AS, issuer string, record umaas.Resource, change ...func(*http.Request)) uma.TokenResponse {
	t.Helper()
	ctx := t.Context()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	set, err := asclient.ClientKeySet(base64.StdEncoding.EncodeToString(pkcs8))
	must(t, err)
	app, _, err := as.Service.AddClient(ctx, umaas.Client{
		Name: "App", AuthMethod: umaas.AuthPrivateKeyJWT, JWKS: set, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://app.example/cb"},
	}, "")
	must(t, err)
	bob, err := as.Service.PutAccount(ctx, umaas.Account{Login: "bob", Name: "Bob"}, "")
	must(t, err)
	_, session, err := as.Service.CreateSession(ctx, bob.ID, []string{"pwd"})
	must(t, err)
	must(t, as.Store.Update(ctx, func(tx umaas.Tx) error {
		return tx.PutPolicy(umaas.Policy{
			ID: "p1", Owner: record.Owner, Who: umaas.Who{Kind: umaas.WhoAccount, Account: bob.ID}, Origin: umaas.OriginShare, Created: time.Now().Add(-time.Minute),
			Rules: []umaas.Rule{{Resource: record.ID, RS: record.RS, Scopes: []string{"patient/Patient.r"}}},
		})
	}))
	ticket, err := as.Service.RequestPermission(ctx, umaas.PAT{Owner: record.Owner, RS: record.RS}, []uma.Permission{{ResourceID: string(record.ID), Scopes: []string{"patient/Patient.r"}}}, "", "")
	must(t, err)
	started, err := as.Service.StartClaims(ctx, url.Values{"client_id": {string(app.ID)}, "ticket": {ticket}}, "", "")
	must(t, err)
	view, err := as.Service.Flow(ctx, started.ID, umaas.Browser(started.Browser), &session)
	must(t, err)
	must(t, as.Service.AnswerGather(ctx, view.ID, umaas.Browser(started.Browser), session, umaas.GatherAnswer{Digest: view.Digest}))
	view, err = as.Service.Flow(ctx, started.ID, umaas.Browser(started.Browser), &session)
	must(t, err)
	back, err := as.Service.ConfirmGather(ctx, view.ID, umaas.Browser(started.Browser), session, umaas.ConfirmAnswer{Digest: view.Digest})
	must(t, err)

	payload, err := json.Marshal(map[string]any{"iss": app.ID, "sub": app.ID, "aud": issuer + "/token", "jti": "1", "exp": time.Now().Add(time.Minute).Unix()})
	must(t, err)
	assertion, err := jws.Sign(payload, jws.WithKey(jwa.ES256, private))
	must(t, err)
	form := url.Values{
		"grant_type": {uma.GrantTypeTicket}, "ticket": {back.Query.Get("ticket")}, "client_assertion": {string(assertion)},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range change {
		c(req)
	}
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(t, err)
	var rpt uma.TokenResponse
	if err := json.Unmarshal(raw, &rpt); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", res.StatusCode, raw)
	}
	return rpt
}
