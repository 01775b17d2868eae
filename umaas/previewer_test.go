package umaas_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// TestPreviewer: a question goes out signed for exactly the set's preview address, with the URLs its server answers for.
func TestPreviewer(t *testing.T) {
	w := oauthInMemory(t)
	rs := w.resourceServer()
	var uri, request string
	var origins []string
	call := func(_ context.Context, u string, o []string, r string) (map[string]int, error) {
		uri, origins, request = u, o, r
		return map[string]int{"AllergyIntolerance": 3}, nil
	}
	p, err := umaas.NewPreviewer(oauthIssuer, w.store, w.ring, w.now, call)
	w.must(err)
	set := umaas.Resource{ID: "r1", RS: rs.ClientID, Description: uma.ResourceDescription{PreviewURI: "https://rs.example/uma/preview"}}
	counts, err := p.Preview(t.Context(), set, []uma.Permission{{ResourceID: "r1", Scopes: []string{"patient/Allergy.r"}}})
	w.must(err)
	if counts["AllergyIntolerance"] != 3 || uri != set.Description.PreviewURI || len(origins) != 1 || origins[0] != rsURL {
		t.Errorf("%v to %s with %v", counts, uri, origins)
	}
	if _, err := w.ring.Verify(request, keys.ES256, umaas.PreviewType); err != nil {
		t.Error(err)
	}
	c := claimsOf(t, request)
	if c["iss"] != oauthIssuer || c["aud"] != uri || c["resource_id"] != "r1" || c["iat"] != float64(w.now().Unix()) || c["permissions"] == nil {
		t.Errorf("claims %v", c)
	}
	set.Description.PreviewURI = ""
	if _, err := p.Preview(t.Context(), set, nil); !errors.Is(err, umaas.ErrNotFound) {
		t.Errorf("no preview_uri: %v", err)
	}
	set.Description.PreviewURI = uri
	w.must(w.s.SetClientDisabled(t.Context(), rs.ClientID, true, ""))
	if _, err := p.Preview(t.Context(), set, nil); err == nil {
		t.Error("a disabled server is asked")
	}
}

// TestKeysInTheStore: services on one store share their keys, and see each other's rotation.
func TestKeysInTheStore(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		open := func() *keys.Ring {
			r, err := keys.Open(t.Context(), keys.Options{Storage: umaas.KeyStorage(w.store), Now: w.now, Random: rand.Reader, Seal: make([]byte, 32)})
			w.must(err)
			return r
		}
		a, b := open(), open()
		w.must(a.Rotate(t.Context()))
		raw, err := a.Sign(keys.ES256, "JWT", []byte(`{}`))
		w.must(err)
		w.pass(5 * time.Second)
		if _, err := b.Verify(raw, keys.ES256, "JWT"); err != nil {
			t.Errorf("the other service: %v", err)
		}
		if string(a.JWKS()) != string(b.JWKS()) {
			t.Error("key sets differ")
		}
	})
}
