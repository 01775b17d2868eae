package server

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_33_HEARTForm: the signed form of HEART carries the key too (RFC 9449 §6.1), and the gateway takes the token with a proof
// of that key alone; the profile's form is no way around the binding.
func TestSEC_33_HEARTForm(t *testing.T) {
	as, issuer, base := heartDeployment(t)
	_, record := registered(t, as)
	key, err := pop.NewKey(rand.Reader)
	must(t, err)
	other, err := pop.NewKey(rand.Reader)
	must(t, err)
	rpt := heartRPT(t, as, issuer, record, func(r *http.Request) {
		proof, err := key.Prove(pop.Statement{Method: http.MethodPost, URL: issuer + "/token", Now: time.Now()})
		must(t, err)
		r.Header.Set("DPoP", proof)
	})
	parts := strings.Split(rpt.AccessToken, ".")
	if len(parts) != 3 || rpt.TokenType != "DPoP" {
		t.Fatalf("%+v", rpt)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	must(t, err)
	var claims struct{ Cnf uma.Confirmation }
	must(t, json.Unmarshal(payload, &claims))
	if claims.Cnf != (uma.Confirmation{JKT: key.Thumbprint()}) {
		t.Errorf("the token says %s", payload)
	}
	const address = FHIRPath + "/Patient/ada"
	for _, c := range []struct {
		name, scheme string
		key          *pop.Key
		token        string
		want         int
	}{
		{"without a proof", "Bearer", nil, "", 401},
		{"scheme without a proof", "DPoP", nil, "", 401},
		{"as bearer with the proof", "Bearer", key, rpt.AccessToken, 401},
		{"another key", "DPoP", other, rpt.AccessToken, 401},
		{"another token's proof", "DPoP", key, "x.y.z", 401},
		{"its key", "DPoP", key, rpt.AccessToken, 200},
		{"without a proof, once it is remembered", "Bearer", nil, "", 401},
		{"another key, once it is remembered", "DPoP", other, rpt.AccessToken, 401},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+address, nil)
		must(t, err)
		req.Header.Set("Authorization", c.scheme+" "+rpt.AccessToken)
		if c.key != nil {
			proof, err := c.key.Prove(pop.Statement{Method: http.MethodGet, URL: base + address, Token: c.token, Now: time.Now()})
			must(t, err)
			req.Header.Set("DPoP", proof)
		}
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != c.want {
			t.Errorf("%s: %d, want %d: %q", c.name, res.StatusCode, c.want, res.Header["Www-Authenticate"])
		}
	}
}
