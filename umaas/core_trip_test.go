package umaas_test

import (
	"errors"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

// FuzzTakeTrip: with a trip under way, no state but its own is taken, and no other browser's cookie opens it.
func FuzzTakeTrip(f *testing.F) {
	w := newWorld(f, memkv.New(memkv.Options{}))
	w.put(func(tx umaas.Tx) error {
		return tx.PutTrustedIssuer(umaas.TrustedIssuer{
			Issuer: "https://h.example", Name: "H", Uses: []umaas.IssuerUse{umaas.UseSignIn}, ClientID: "us", JWKS: []byte("{}"),
			Endpoints: umaas.IssuerEndpoints{Authorization: "https://h.example/a", Token: "https://h.example/t"},
		})
	})
	trip, err := w.StartTrip(f.Context(), umaas.TripRequest{Issuer: umaas.IssuerID("https://h.example")}, "")
	w.must(err)
	for _, s := range []string{"", "~", trip.State + "A", trip.State[:len(trip.State)-1], trip.Browser, "a.b~c", "\xff~\x00"} {
		f.Add(s, trip.Browser)
		f.Add(trip.State, s)
	}
	f.Fuzz(func(t *testing.T, state, browser string) {
		if state == trip.State && browser == trip.Browser {
			t.Skip()
		}
		if back, err := w.TakeTrip(t.Context(), state, umaas.Browser(browser)); !errors.Is(err, umaas.ErrFlowGone) && !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Fatalf("%q, %q: %+v %v", state, browser, back, err)
		}
	})
}
