package asclient

import (
	"encoding/base64"
	"testing"
)

// No bytes make the token readers panic, and none of them opens without the key.
func FuzzTokens(f *testing.F) {
	b64 := base64.RawURLEncoding.EncodeToString
	header := b64([]byte(`{"alg":"dir","enc":"A256GCM"}`))
	for _, seed := range []string{
		"", "a.b.c", "a.b.c.d.e", header + ".." + b64(make([]byte, 12)) + "." + b64([]byte("x")) + "." + b64(make([]byte, 16)),
		b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(`{"iss":"https://as.example"}`)) + "." + b64(make([]byte, 64)), "eyJ.eyJ.x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if plain, err := openJWE(raw, [32]byte{1}); err == nil {
			t.Fatalf("opened %q", plain)
		}
		if issuer, ok := UnverifiedIssuer(raw); ok == (issuer == "") {
			t.Fatalf("issuer %q, %t", issuer, ok)
		}
	})
}
