package fhirview_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/policy"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// drawer keeps signing keys in memory.
type drawer struct{ raw []byte }

func (d *drawer) Load(context.Context) ([]byte, error) { return d.raw, nil }
func (d *drawer) Swap(_ context.Context, _, fresh []byte) error {
	d.raw = fresh
	return nil
}

var ring = sync.OnceValues(func() (*keys.Ring, error) {
	return keys.Open(context.Background(), keys.Options{Storage: &drawer{}, Now: time.Now, Random: rand.Reader})
})

const issuer = "https://as.example"

// world is one owner with records at two resource servers, and a second owner.
type world struct {
	t            testing.TB
	core         *umaas.Service
	view         fhirview.View
	alice, bob   umaas.AccountID
	app          umaas.ClientID
	hospital     umaas.ClientID
	lab          umaas.ClientID
	record, labs umaas.ResourceID
	foreign      umaas.ResourceID
}

var recordScopes = []string{
	"patient/Observation.r", "patient/Observation.s", "patient/Observation.c", "patient/Condition.r", "patient/Condition.u", "patient/Condition.d",
	"patient/Patient.r", "user/Patient.r", "sens/ETH", "conf/R", "btg",
}

func newWorld(t testing.TB) *world {
	t.Helper()
	st, err := store.New(t.Context(), memkv.New(memkv.Options{}), store.Options{})
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	signing, err := ring()
	must(t, err)
	w := &world{t: t}
	w.core, err = umaas.New(t.Context(), umaas.Deps{
		Issuer: issuer, Store: st, Keys: signing, Scopes: policy.SMART{}, Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
		Limits: umaas.DefaultLimits(),
	})
	must(t, err)
	w.view = fhirview.View{Core: w.core, Issuer: issuer, Now: time.Now}
	w.alice, w.bob = w.person("alice", "Patient/p1"), w.person("bob", "")
	w.hospital, w.lab = w.client("Hospital", uma.ScopeProtection), w.client("Laboratory", uma.ScopeProtection)
	w.app = w.client("App")
	w.record = w.set(w.alice, w.hospital, recordScopes...)
	w.labs = w.set(w.alice, w.lab, "patient/Observation.r", "patient/DiagnosticReport.r")
	w.foreign = w.set(w.bob, w.hospital, recordScopes...)
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) person(login, fhirUser string) umaas.AccountID {
	a, err := w.core.PutAccount(w.t.Context(), umaas.Account{Login: login, Name: login, FHIRUser: fhirUser}, "")
	must(w.t, err)
	return a.ID
}

func (w *world) client(name string, scopes ...string) umaas.ClientID {
	c, _, err := w.core.AddClient(w.t.Context(), umaas.Client{
		Name: name, AuthMethod: umaas.AuthSecretBasic, Scopes: scopes, GrantTypes: []string{uma.GrantTypeClientCredentials},
	}, "")
	must(w.t, err)
	return c.ID
}

func (w *world) set(owner umaas.AccountID, rs umaas.ClientID, scopes ...string) umaas.ResourceID {
	id, err := w.core.CreateResource(w.t.Context(), umaas.PAT{Owner: owner, RS: rs}, uma.ResourceDescription{Name: "Record", Scopes: scopes}, "")
	must(w.t, err)
	return id
}

func (w *world) acting() umaas.Acting { return w.core.Acting(w.alice, w.alice) }

// read imports with check and returns the one policy it means.
func (w *world) read(text string) (umaas.Policy, error) {
	_, views, err := w.view.Import(context.Background(), w.acting(), []byte(text), true, "")
	if err != nil {
		return umaas.Policy{}, err
	}
	if len(views) != 1 {
		return umaas.Policy{}, errors.New("more than one")
	}
	return views[0].Policy, nil
}

// minimal is a Consent other systems could write, with the names of this world put in.
func (w *world) minimal(replace ...string) string {
	text := `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/p1"},
"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]},
"provision":{"period":{"end":"2090-01-01T00:00:00Z"},"provision":[PERMIT]}}`
	permit := `{"type":"permit","actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"IRCP"}]},"reference":{"identifier":{"system":"urn:ietf:rfc:3986","value":"mailto:dora@example.org"}}}],` +
		`"action":[{"coding":[{"system":"http://hl7.org/fhir/restful-interaction","code":"read"}]}],"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],` +
		`"data":[{"meaning":"instance","reference":{"identifier":{"system":"` + issuer + `/resource/` + string(w.hospital) + `","value":"` + string(w.record) + `"}}}]}`
	text = strings.Replace(text, "PERMIT", permit, 1)
	return strings.NewReplacer(replace...).Replace(text)
}
