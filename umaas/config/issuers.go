package config

import (
	"fmt"
	"net/url"
)

// Claims says how pushed claims are taken.
type Claims struct {
	// Push: clients (default) looks at claim tokens of clients that an administrator marked; confidential at those of every
	// confidential client an administrator registered. Public clients never push (SEC-22).
	Push string `yaml:"push" validate:"omitempty,oneof=clients confidential"`
}

// TrustedIssuer is one entry of trusted_issuers: somebody whose word counts here, and for what. What the file says wins over what
// `umaas issuer` set; an entry that leaves the file stays until `umaas issuer remove`.
type TrustedIssuer struct {
	Issuer         string   `yaml:"issuer" validate:"required,url"`
	Name           string   `yaml:"name" validate:"max=200"`
	Uses           []string `yaml:"uses" validate:"required,min=1,unique"`
	Claims         []string `yaml:"claims" validate:"unique"`
	EmailDomains   []string `yaml:"email_domains" validate:"unique"`
	Algorithms     []string `yaml:"algorithms" validate:"unique,dive,oneof=ES256 ES384 RS256 RS384 PS256 PS384"` // no unsigned token, and no shared secret (SEC-13, SEC-15)
	JWKSURI        string   `yaml:"jwks_uri" validate:"omitempty,url"`
	JWKS           string   `yaml:"jwks"` // JSON, in place of jwks_uri
	Audience       string   `yaml:"audience"`
	ClientAudience bool     `yaml:"shares_clients"`
	ACRs           []string `yaml:"acr_values" validate:"unique"`
	Disabled       bool     `yaml:"disabled"`
}

// issuerMistakes are what tags cannot say. The core says the rest when the server starts.
func (a AS) issuerMistakes() []error {
	var wrong []error
	seen := map[string]bool{}
	for i, t := range a.TrustedIssuers {
		at := fmt.Sprintf("as.trusted_issuers[%d]", i)
		if seen[t.Issuer] {
			wrong = append(wrong, fmt.Errorf("%s.issuer: named twice", at))
		}
		seen[t.Issuer] = true
		if (t.JWKSURI == "") == (t.JWKS == "") {
			wrong = append(wrong, fmt.Errorf("%s: give jwks_uri (`umaas issuer scan` finds it) or jwks; unsigned tokens are never taken", at))
		}
		for member, address := range map[string]string{"issuer": t.Issuer, "jwks_uri": t.JWKSURI} {
			if u, err := url.Parse(address); address != "" && (err != nil || u.Scheme != "https" && (u.Scheme != "http" || !local(u.Hostname()))) {
				wrong = append(wrong, fmt.Errorf("%s.%s: want an https address (http on loopback alone)", at, member))
			}
		}
	}
	return wrong
}
