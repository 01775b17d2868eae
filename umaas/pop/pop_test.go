package pop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

var b64 = base64.RawURLEncoding

// The examples of RFC 9449, figures 2, 4 and 13.
const (
	exampleHead   = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	exampleToken  = exampleHead + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	exampleAccess = exampleHead + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	exampleJKT    = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	exampleRPT    = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
)

func TestRFC9449Examples(t *testing.T) {
	for name, c := range map[string]struct {
		proof string
		want  pop.Want
	}{
		"token endpoint": {exampleToken, pop.Want{Method: "POST", URLs: []string{"https://server.example.com/token"}, Now: time.Unix(1562262616, 0)}},
		"resource":       {exampleAccess, pop.Want{Method: "GET", URLs: []string{"https://resource.example.org/protectedresource"}, Token: exampleRPT, Now: time.Unix(1562262618, 0)}},
	} {
		p, err := pop.Verify(c.proof, c.want)
		if err != nil || p.JKT != exampleJKT {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

const tokenURL = "https://as.example/token"

// signer makes proofs that may be wrong in any way.
type signer struct {
	alg  string
	jwk  map[string]any
	sign func(input []byte) []byte
}

func ec(t testing.TB, curve elliptic.Curve, name, alg string) signer {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	half := len(point) / 2
	return signer{alg, map[string]any{"kty": "EC", "crv": name, "x": b64.EncodeToString(point[1 : 1+half]), "y": b64.EncodeToString(point[1+half:])}, func(in []byte) []byte {
		var digest []byte
		if s := sha512.Sum384(in); alg == "ES384" {
			digest = s[:]
		} else {
			s := sha256.Sum256(in)
			digest = s[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 2*half)
		r.FillBytes(out[:half])
		s.FillBytes(out[half:])
		return out
	}}
}

func rsaKey(t testing.TB, bits int, alg string) signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return signer{alg, map[string]any{"kty": "RSA", "n": b64.EncodeToString(k.N.Bytes()), "e": b64.EncodeToString(big.NewInt(int64(k.E)).Bytes())}, func(in []byte) []byte {
		sum := sha256.Sum256(in)
		var sig []byte
		if alg == "PS256" {
			sig, err = rsa.SignPSS(rand.Reader, k, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 32})
		} else {
			sig, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
		}
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}}
}

func ed(t testing.TB) signer {
	pub, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{"EdDSA", map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64.EncodeToString(pub)}, func(in []byte) []byte { return ed25519.Sign(k, in) }}
}

type object = map[string]any

func (s signer) proof(t testing.TB, change func(head, claims object)) string {
	t.Helper()
	head := object{"typ": "dpop+jwt", "alg": s.alg, "jwk": s.jwk}
	claims := object{"jti": "j1", "htm": "POST", "htu": tokenURL, "iat": now.Unix()}
	if change != nil {
		change(head, claims)
	}
	encode := func(o object) string {
		raw, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return b64.EncodeToString(raw)
	}
	input := encode(head) + "." + encode(claims)
	return input + "." + b64.EncodeToString(s.sign([]byte(input)))
}

func atToken() pop.Want { return pop.Want{Method: "POST", URLs: []string{tokenURL}, Now: now} }

func TestEveryAlgorithm(t *testing.T) {
	signers := []signer{ec(t, elliptic.P256(), "P-256", "ES256"), ec(t, elliptic.P384(), "P-384", "ES384"), ed(t), rsaKey(t, 2048, "PS256"), rsaKey(t, 2048, "RS256")}
	seen := map[string]bool{}
	for i, s := range signers {
		p, err := pop.Verify(s.proof(t, nil), atToken())
		if err != nil || !pop.IsThumbprint(p.JKT) || seen[p.JKT] || p.JTI != "j1" || !p.Time.Equal(now) || !p.End.Equal(now.Add(time.Minute)) {
			t.Errorf("%s: %+v, %v", s.alg, p, err)
		}
		seen[p.JKT] = true
		if pop.Algorithms()[i] != s.alg {
			t.Errorf("algorithm %d is %s", i, pop.Algorithms()[i])
		}
		broken := []byte(s.proof(t, nil))
		broken[len(broken)-20] ^= 1
		if _, err := pop.Verify(string(broken), atToken()); !errors.Is(err, pop.ErrProof) {
			t.Errorf("%s with a flipped bit: %v", s.alg, err)
		}
		for _, other := range signers {
			if other.alg == s.alg || other.jwk["kty"] == "RSA" && s.jwk["kty"] == "RSA" {
				continue
			}
			if _, err := pop.Verify(s.proof(t, func(h, _ object) { h["alg"] = other.alg }), atToken()); !errors.Is(err, pop.ErrProof) {
				t.Errorf("%s named %s: %v", s.alg, other.alg, err)
			}
		}
	}
}

// TestSEC_108_ProofRefused: the checks of RFC 9449 §4.3, each by itself, with what the client is told.
func TestSEC_108_ProofRefused(t *testing.T) {
	s := ec(t, elliptic.P256(), "P-256", "ES256")
	other := ec(t, elliptic.P256(), "P-256", "ES256")
	jwk := func(change object) func(h, c object) {
		return func(h, _ object) {
			k := object{}
			for n, v := range s.jwk {
				k[n] = v
			}
			for n, v := range change {
				k[n] = v
			}
			h["jwk"] = k
		}
	}
	small := rsaKey(t, 1024, "RS256")
	for name, c := range map[string]struct {
		raw  string
		says string
	}{
		"not a JWT":            {"abc", "not a compact signed JWT"},
		"two parts":            {"e30.e30", "not a compact signed JWT"},
		"array":                {b64.EncodeToString([]byte("[]")) + ".e30.", "not a compact signed JWT"},
		"too long":             {strings.Repeat("a", 5000), "longer than 4 kB"},
		"typ":                  {s.proof(t, func(h, _ object) { h["typ"] = "JWT" }), "typ must be dpop+jwt"},
		"alg none":             {s.proof(t, func(h, _ object) { h["alg"] = "none" }), "alg must be one of ES256, ES384, EdDSA, PS256, RS256"},
		"alg symmetric":        {s.proof(t, func(h, _ object) { h["alg"] = "HS256" }), "alg must be one of ES256, ES384, EdDSA, PS256, RS256"},
		"crit":                 {s.proof(t, func(h, _ object) { h["crit"] = []string{"x"} }), "critical header members are not understood"},
		"no jwk":               {s.proof(t, func(h, _ object) { delete(h, "jwk") }), "the jwk is no key for ES256"},
		"private jwk":          {s.proof(t, jwk(object{"d": "AAAA"})), "the jwk must hold the public key alone"},
		"symmetric jwk":        {s.proof(t, jwk(object{"k": "AAAA"})), "the jwk must hold the public key alone"},
		"off the curve":        {s.proof(t, jwk(object{"x": b64.EncodeToString(make([]byte, 32))})), "the jwk is no key for ES256"},
		"short coordinate":     {s.proof(t, jwk(object{"x": b64.EncodeToString(make([]byte, 31))})), "the jwk is no key for ES256"},
		"small RSA":            {small.proof(t, nil), "the jwk is no key for RS256"},
		"another's signature":  {signer{s.alg, s.jwk, other.sign}.proof(t, nil), "the signature does not verify with the jwk"},
		"no jti":               {s.proof(t, func(_, c object) { delete(c, "jti") }), "jti must have 1 to 128 bytes"},
		"long jti":             {s.proof(t, func(_, c object) { c["jti"] = strings.Repeat("j", 129) }), "jti must have 1 to 128 bytes"},
		"htm":                  {s.proof(t, func(_, c object) { c["htm"] = "GET" }), "htm is not the method of the request"},
		"htm case":             {s.proof(t, func(_, c object) { c["htm"] = "post" }), "htm is not the method of the request"},
		"htu path":             {s.proof(t, func(_, c object) { c["htu"] = tokenURL + "/" }), "htu is not the address of the request"},
		"htu host":             {s.proof(t, func(_, c object) { c["htu"] = "https://as.example.org/token" }), "htu is not the address of the request"},
		"htu scheme":           {s.proof(t, func(_, c object) { c["htu"] = "http://as.example/token" }), "htu is not the address of the request"},
		"htu user information": {s.proof(t, func(_, c object) { c["htu"] = "https://u@as.example/token" }), "htu is not the address of the request"},
		"no htu":               {s.proof(t, func(_, c object) { delete(c, "htu") }), "htu is not the address of the request"},
		"no iat":               {s.proof(t, func(_, c object) { delete(c, "iat") }), "iat is missing"},
		"old":                  {s.proof(t, func(_, c object) { c["iat"] = now.Unix() - 60 }), "iat is not within a minute of now: make a new proof for each request, and check the clock"},
		"ahead":                {s.proof(t, func(_, c object) { c["iat"] = now.Unix() + 61 }), "iat is not within a minute of now: make a new proof for each request, and check the clock"},
		"huge iat":             {s.proof(t, func(_, c object) { c["iat"] = 1e300 }), "iat is not a time"},
		"ath at a token":       {s.proof(t, func(_, c object) { c["ath"] = "" }), "ath has no place in a token request"},
	} {
		_, err := pop.Verify(c.raw, atToken())
		if !errors.Is(err, pop.ErrProof) || errors.Is(err, pop.ErrNonce) || err.Error() != "DPoP proof not accepted: "+c.says {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := pop.Verify(s.proof(t, nil), pop.Want{}); !errors.Is(err, pop.ErrProof) {
		t.Error("the zero Want took a proof")
	}
}

func TestAccessTokenHash(t *testing.T) {
	s := ec(t, elliptic.P256(), "P-256", "ES256")
	want := atToken()
	want.Token = "h.s"
	for ath, ok := range map[string]bool{pop.TokenHash("h.s"): true, pop.TokenHash("h.t"): false, "": false} {
		_, err := pop.Verify(s.proof(t, func(_, c object) { c["ath"] = ath }), want)
		if (err == nil) != ok {
			t.Errorf("ath %q: %v", ath, err)
		}
	}
	if _, err := pop.Verify(s.proof(t, nil), want); err == nil {
		t.Error("a proof without ath was taken with a token")
	}
}

// TestTarget: RFC 9449 §4.3 asks for normalisation before htu is compared.
func TestTarget(t *testing.T) {
	for in, want := range map[string]string{
		"HTTPS://AS.Example:443/token":                    "https://as.example/token",
		"https://as.example/token?x=1#y":                  "https://as.example/token",
		"https://as.example":                              "https://as.example/",
		"http://[::1]:80/a":                               "http://[::1]/a",
		"http://localhost:8080/a/./b/../c":                "http://localhost:8080/a/c",
		"https://as.example/%7euser/%2f/%c3%a4":           "https://as.example/~user/%2F/%C3%A4",
		"https://as.example//a":                           "https://as.example//a",
		"https://as.example/a/..":                         "https://as.example/",
		"https://as.example/..":                           "https://as.example/",
		"https://u:p@as.example/":                         "",
		"ftp://as.example/":                               "",
		"https:/as.example/":                              "",
		"https://as.example/ä":                            "",
		"https://as.example/%zz":                          "",
		"//as.example/":                                   "",
		"https://as.example/" + strings.Repeat("a", 3000): "",
	} {
		if got, ok := pop.Target(in); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

func TestNonces(t *testing.T) {
	s := ec(t, elliptic.P256(), "P-256", "ES256")
	n, same, other := pop.NewNonces(make([]byte, 32)), pop.NewNonces(make([]byte, 32)), pop.NewNonces([]byte(strings.Repeat("x", 32)))
	for name, c := range map[string]struct {
		nonce string
		ok    bool
	}{
		"now": {n.At(now), true}, "another server with the same key": {same.At(now), true}, "one before": {n.At(now.Add(-2 * time.Minute)), true},
		"two before": {n.At(now.Add(-4 * time.Minute)), false}, "next": {n.At(now.Add(2 * time.Minute)), false},
		"foreign": {other.At(now), false}, "none": {"", false},
	} {
		want := atToken()
		want.Nonces = n
		_, err := pop.Verify(s.proof(t, func(_, cl object) { cl["nonce"] = c.nonce }), want)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, pop.ErrNonce) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFromHeader(t *testing.T) {
	for name, c := range map[string]struct {
		values []string
		want   string
		ok     bool
	}{
		"none": {nil, "", true}, "one": {[]string{"a.b.c"}, "a.b.c", true}, "two": {[]string{"a.b.c", "a.b.c"}, "", false},
		"joined": {[]string{"a.b.c, a.b.c"}, "", false}, "empty": {[]string{""}, "", false},
	} {
		got, err := pop.FromHeader(c.values)
		if got != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, pop.ErrProof) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestKeyProves(t *testing.T) {
	k, err := pop.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := k.Prove(pop.Statement{Method: "GET", URL: "https://rs.example/fhir/Patient?x=1", Token: "h.s", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pop.Verify(a, pop.Want{Method: "GET", URLs: []string{"https://rs.example/fhir/Patient"}, Token: "h.s", Now: now})
	if err != nil || p.JKT != k.Thumbprint() {
		t.Fatalf("%+v, %v", p, err)
	}
	b, err := k.Prove(pop.Statement{Method: "GET", URL: "https://rs.example/fhir/Patient", Token: "h.s", Now: now})
	if err != nil || a == b {
		t.Fatalf("the same proof twice, %v", err)
	}
	if _, err := k.Prove(pop.Statement{Method: "GET", URL: "mailto:x", Now: now}); err == nil {
		t.Error("a proof for no address")
	}
	private, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if _, err := pop.KeyOf(private, rand.Reader); err == nil {
		t.Error("a P-384 key was taken")
	}
}
