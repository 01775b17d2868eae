package config

import (
	"strings"
	"testing"
)

// TestSEC_13_IssuersOfTheFile: what could make an unsigned, symmetrically signed or misplaced token count is a mistake of the
// file, told with its place.
func TestSEC_13_IssuersOfTheFile(t *testing.T) {
	good := TrustedIssuer{Issuer: "https://i.example", Uses: []string{"id-token"}, JWKSURI: "https://i.example/jwks"}
	for _, c := range []struct {
		name  string
		spoil func(*AS)
		want  string // a whole line, "" accepted
	}{
		{"good", func(*AS) {}, ""},
		{"asymmetric", func(a *AS) { a.TrustedIssuers[0].Algorithms = []string{"ES256", "PS384"} }, ""},
		{"on this machine", func(a *AS) { a.TrustedIssuers[0].JWKSURI = "http://localhost:1/jwks" }, ""},
		{"no algorithm", func(a *AS) { a.TrustedIssuers[0].Algorithms = []string{"none"} }, "as.trusted_issuers[0].algorithms[0]: want one of ES256 ES384 RS256 RS384 PS256 PS384"},
		{"symmetric", func(a *AS) { a.TrustedIssuers[0].Algorithms = []string{"ES256", "HS256"} }, "as.trusted_issuers[0].algorithms[1]: want one of ES256 ES384 RS256 RS384 PS256 PS384"},
		{"no keys", func(a *AS) { a.TrustedIssuers[0].JWKSURI = "" }, "as.trusted_issuers[0]: give jwks_uri (`umaas issuer scan` finds it) or jwks; unsigned tokens are never taken"},
		{"keys twice", func(a *AS) { a.TrustedIssuers[0].JWKS = "{}" }, "as.trusted_issuers[0]: give jwks_uri (`umaas issuer scan` finds it) or jwks; unsigned tokens are never taken"},
		{"plain keys", func(a *AS) { a.TrustedIssuers[0].JWKSURI = "http://i.example/jwks" }, "as.trusted_issuers[0].jwks_uri: want an https address (http on loopback alone)"},
		{"plain issuer", func(a *AS) { a.TrustedIssuers[0].Issuer = "http://i.example" }, "as.trusted_issuers[0].issuer: want an https address (http on loopback alone)"},
		{"no use", func(a *AS) { a.TrustedIssuers[0].Uses = nil }, "as.trusted_issuers[0].uses: required"},
		{"twice", func(a *AS) { a.TrustedIssuers = append(a.TrustedIssuers, good) }, "as.trusted_issuers[1].issuer: named twice"},
		{"anybody may push", func(a *AS) { a.Claims.Push = "all" }, "as.claims.push: want one of clients confidential"},
		{"confidential clients push", func(a *AS) { a.Claims.Push = "confidential" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := Load(file(t, whole), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			cfg.AS.TrustedIssuers = []TrustedIssuer{good}
			c.spoil(&cfg.AS)
			err = cfg.Check()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error()+"\n", "\n"+c.want+"\n")) {
				t.Errorf("want the line %q in:\n%v", c.want, err)
			}
		})
	}
}
