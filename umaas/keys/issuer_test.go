package keys

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// keySet makes a set of public keys, with members set on each.
func keySet(t *testing.T, keys ...any) []byte {
	t.Helper()
	set := jwk.NewSet()
	for _, k := range keys {
		if ready, ok := k.(jwk.Key); ok {
			if err := set.AddKey(ready); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := set.AddKey(public(t, k, nil)); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func public(t *testing.T, private any, members map[string]any) jwk.Key {
	t.Helper()
	k, err := jwk.PublicRawKeyOf(private)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jwk.FromRaw(k)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range members {
		if err := out.Set(name, v); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestSEC_15_VerifyIssuer: the configured algorithm, with a key of its kind, strength and use, and with one key alone.
func TestSEC_15_VerifyIssuer(t *testing.T) {
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	p256, other, p384 := ec(elliptic.P256()), ec(elliptic.P256()), ec(elliptic.P384())
	strongRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	weakRSA, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(alg jwa.SignatureAlgorithm, key any, kid string) string {
		h := jws.NewHeaders()
		if kid != "" {
			if err := h.Set("kid", kid); err != nil {
				t.Fatal(err)
			}
		}
		raw, err := jws.Sign([]byte(`{"a":1}`), jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	both := []string{"ES256", "RS256"}
	for _, c := range []struct {
		name string
		set  []byte
		raw  string
		algs []string
		ok   bool
	}{
		{"one key", keySet(t, p256), sign(jwa.ES256, p256, ""), both, true},
		{"RSA", keySet(t, strongRSA, p256), sign(jwa.RS256, strongRSA, ""), both, true},
		{"P-384 where configured", keySet(t, p384), sign(jwa.ES384, p384, ""), []string{"ES384"}, true},
		{"P-384 where not", keySet(t, p384), sign(jwa.ES384, p384, ""), both, false},
		{"PSS where not", keySet(t, strongRSA), sign(jwa.PS256, strongRSA, ""), both, false},
		{"no algorithm at all", keySet(t, p256), sign(jwa.ES256, p256, ""), nil, false},
		{"none, if somebody configured it", keySet(t, p256), base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + ".e30.AAAA", []string{"none"}, false},
		{"HS256, if somebody configured it", keySet(t, p256), sign(jwa.HS256, []byte("secret"), ""), []string{"HS256"}, false},
		{"two keys, which?", keySet(t, p256, other), sign(jwa.ES256, p256, ""), both, false},
		{"two keys, by kid", keySet(t, public(t, p256, map[string]any{"kid": "a"}), public(t, other, map[string]any{"kid": "b"})), sign(jwa.ES256, p256, "a"), both, true},
		{"two keys, the other's kid", keySet(t, public(t, p256, map[string]any{"kid": "a"}), public(t, other, map[string]any{"kid": "b"})), sign(jwa.ES256, p256, "b"), both, false},
		{"unknown kid", keySet(t, public(t, p256, map[string]any{"kid": "a"})), sign(jwa.ES256, p256, "x"), both, false},
		{"a key for encryption", keySet(t, public(t, p256, map[string]any{"use": "enc"})), sign(jwa.ES256, p256, ""), both, false},
		{"a key for another algorithm", keySet(t, public(t, strongRSA, map[string]any{"alg": "RS512"})), sign(jwa.RS256, strongRSA, ""), both, false},
		{"a weak key", keySet(t, weakRSA), sign(jwa.RS256, weakRSA, ""), both, false},
		{"a key of an unknown kind beside", []byte(strings.Replace(string(keySet(t, p256)), `"keys":[`, `"keys":[{"kty":"new"},{"kty":"OKP","crv":"X448","x":"AA"},`, 1)), sign(jwa.ES256, p256, ""), both, true},
		{"no set", []byte(`x`), sign(jwa.ES256, p256, ""), both, false},
		{"an empty set", []byte(`{"keys":[]}`), sign(jwa.ES256, p256, ""), both, false},
	} {
		v, err := VerifyIssuer(c.set, c.raw, c.algs)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrUntrusted) || c.ok && string(v.Payload) != `{"a":1}` {
			t.Errorf("%s: %+v, %v", c.name, v, err)
		}
	}
	private, err := jwk.FromRaw(p256)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set  []byte
		want string
	}{
		"good":      {keySet(t, p256), ""},
		"private":   {keySet(t, private), "private or symmetric"},
		"weak":      {keySet(t, weakRSA), "no key in it can verify"},
		"enc":       {keySet(t, public(t, p256, map[string]any{"use": "enc"})), "no key in it can verify"},
		"symmetric": {[]byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`), "private or symmetric"},
		"text":      {[]byte(`x`), "not a JSON Web Key Set"},
	} {
		if err := CheckIssuerKeys(c.set); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
