package outbound

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// IssuerMetadata is what an operator needs of an issuer's openid-configuration (OpenID Connect Discovery §3).
type IssuerMetadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
	Claims        []string `json:"claims_supported"`
	ACRs          []string `json:"acr_values_supported"`
}

// ScanIssuer reads an issuer's configuration document once, when an operator asks. The document must name exactly that issuer
// (Discovery §4.3): otherwise one server could describe another.
func (c *Client) ScanIssuer(ctx context.Context, issuer string) (IssuerMetadata, error) {
	raw, err := c.GetJSON(ctx, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	if err != nil {
		return IssuerMetadata{}, fmt.Errorf("scan %s: %w", issuer, err)
	}
	var m IssuerMetadata
	if err := json.Unmarshal(raw, &m); err != nil {
		return IssuerMetadata{}, fmt.Errorf("scan %s: %w: no configuration document: %w", issuer, ErrRefused, err)
	}
	if m.Issuer != issuer {
		return IssuerMetadata{}, fmt.Errorf("scan %s: %w: the document there speaks for issuer %q", issuer, ErrRefused, m.Issuer)
	}
	for _, address := range []string{m.JWKSURI, m.Authorization, m.Token, m.UserInfo} {
		if address == "" {
			continue
		}
		if _, err := c.check(address); err != nil {
			return IssuerMetadata{}, fmt.Errorf("scan %s: %q: %w", issuer, address, err)
		}
	}
	if m.JWKSURI == "" {
		return IssuerMetadata{}, fmt.Errorf("scan %s: %w", issuer, errors.New("the document has no jwks_uri"))
	}
	return m, nil
}
