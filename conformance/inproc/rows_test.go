package inproc

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// pushing registers an app that is marked to push claims, at a server that trusts an issuer of JWTs; both end with the test.
func (w *world) pushing(t *testing.T, issuer string) demo.AppIdentity {
	t.Helper()
	ctx, core := t.Context(), w.AS.Service
	app := w.foreign(t)
	check(t, core.SetPushClaims(ctx, umaas.ClientID(app.ClientID), true, ""))
	_, err := core.PutTrustedIssuer(ctx, umaas.TrustedIssuer{
		Issuer: issuer, Name: "Wallet", Uses: []umaas.IssuerUse{umaas.UseClaims}, JWKSURI: issuer + "/jwks",
	}, "")
	check(t, err)
	t.Cleanup(func() { check(t, core.RemoveTrustedIssuer(context.WithoutCancel(ctx), issuer, "")) })
	return app
}

// wantFormats holds required_claims against what the server takes: its own ID tokens, and JWTs of the wallet.
func wantFormats(t *testing.T, w *world, got []uma.RequiredClaim) {
	t.Helper()
	want := []uma.RequiredClaim{
		{ClaimTokenFormat: []string{"http://openid.net/specs/openid-connect-core-1_0.html#IDToken"}, Issuer: []string{w.World.Issuer}},
		{ClaimTokenFormat: []string{"urn:ietf:params:oauth:token-type:jwt"}, Issuer: []string{"https://wallet.example"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("required_claims %+v, want %+v", got, want)
	}
}

// TestDecisions18_PushersAreToldTheFormats: an app marked to push that brings a format nobody takes is told those that count, and
// goes on with a new ticket; one that is not marked is told the claims endpoint alone (SEC-13, SEC-22).
func TestDecisions18_PushersAreToldTheFormats(t *testing.T) {
	w := own(t, demo.Options{})
	marked, plain := w.pushing(t, "https://wallet.example"), w.foreign(t)
	for name, app := range map[string]demo.AppIdentity{"marked": marked, "not marked": plain} {
		ticket := challenged(t, send(t, http.MethodGet, w.World.FHIRBase+"/AllergyIntolerance?patient=grace", nil, http.NoBody))
		a := post(t, w.World.Issuer+"/token", app, url.Values{
			"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}, "claim_token": {"e30"}, "claim_token_format": {"https://www.w3.org/TR/vc-data-model/#json-ld"},
		})
		var n needInfo
		check(t, json.Unmarshal(a.Body, &n))
		if a.Status != http.StatusForbidden || n.Error != "need_info" || n.Ticket == "" || n.Ticket == ticket || n.RedirectUser != w.World.Issuer+"/claims" {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if name == "marked" {
			wantFormats(t, w, n.RequiredClaims)
		} else if n.RequiredClaims != nil {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}

// TestSEC_30_ViewCannotEdit: a person asked to let an app see and edit, and let it see. Through the gateway the RPT reads, and
// every way to write is refused and leaves the record as it was; with the tick for editing the same requests go through.
func TestSEC_30_ViewCannotEdit(t *testing.T) {
	w := own(t, demo.Options{})
	const asked = "AllergyIntolerance.cruds Immunization.cruds Patient.read"
	view := w.give(t, "ravi", asked, "See your allergies").RPT
	edit := w.give(t, "ravi", asked, "See your allergies", "Add to your allergies", "Change your allergies").RPT
	const id = "/AllergyIntolerance/ravi-allergy-1"
	before := get(t, w.World.FHIRBase+id, view)
	if before.Status != http.StatusOK || get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", view).Status != http.StatusOK {
		t.Fatalf("it cannot even read: %d %s", before.Status, before.Body)
	}
	created := `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/ravi"},"code":{"text":"Dust"}}`
	writes := []struct{ name, method, target, kind, body string }{
		{"update", http.MethodPut, id, "application/fhir+json", string(before.Body)},
		{"patch", http.MethodPatch, id, "application/json-patch+json", `[{"op":"test","path":"/resourceType","value":"AllergyIntolerance"},{"op":"replace","path":"/code","value":{"text":"Nothing"}}]`},
		{"create", http.MethodPost, "/AllergyIntolerance", "application/fhir+json", created},
		{"transaction", http.MethodPost, "", "application/fhir+json", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + created + `,"request":{"method":"POST","url":"AllergyIntolerance"}}]}`},
		{"delete", http.MethodDelete, id, "application/fhir+json", ""},
	}
	write := func(token string, n int) answer {
		c := writes[n]
		h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {c.kind}, "Accept": {"application/fhir+json"}}
		return send(t, c.method, strings.TrimSuffix(w.World.FHIRBase, "/")+c.target, h, strings.NewReader(c.body))
	}
	count := func() string {
		var b struct {
			Total json.Number `json:"total"`
		}
		check(t, json.Unmarshal(get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", view).Body, &b))
		return string(b.Total)
	}
	had := count()
	for n, c := range writes {
		if a := write(view, n); a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
			t.Errorf("%s with an RPT for seeing: %d %s", c.name, a.Status, a.Body)
		}
		if after := get(t, w.World.FHIRBase+id, view); string(after.Body) != string(before.Body) || count() != had {
			t.Fatalf("%s was refused and done: %s", c.name, after.Body)
		}
	}
	for n, c := range writes[:3] { // deleting was not ticked
		if a := write(edit, n); a.Status != http.StatusOK && a.Status != http.StatusCreated {
			t.Errorf("%s with an RPT for editing: %d %s, so the refusals show nothing", c.name, a.Status, a.Body)
		}
	}
}
