package umaas

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas/uma"
)

// VerifiedClient is a client that proved who it is by its registered method (for a public client: that it named itself).
// Only authenticateClient makes one; held is set by possess, the next phase.
type VerifiedClient struct {
	Client
	assertionKey string // thumbprint of the key that signed its assertion, "" none
	held         possession
}

// authenticateClient finds out which client speaks and lets it prove so by its registered method alone (SEC-21, SEC-31,
// SEC-113). Every failure is the same invalid_client; more than one set of credentials is invalid_request (RFC 6749
// §2.3).
func (s *Service) authenticateClient(ctx context.Context, r TokenRequest, f form) (VerifiedClient, error) {
	given, err := s.presented(r, f)
	if err != nil {
		return VerifiedClient{}, err
	}
	var c Client
	err = s.Store.View(ctx, func(r Reader) error {
		var err error
		c, err = r.Client(given.id)
		return err
	})
	known := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return VerifiedClient{}, fmt.Errorf("read client: %w", err)
	}
	// An unknown client costs the same comparison and gets the same answer as a wrong secret.
	sum := sha256.Sum256([]byte(given.secret))
	secretFits := subtle.ConstantTimeCompare(c.SecretHash[:], sum[:]) == 1 && c.SecretHash != (SecretHash{})
	if given.method == AuthNone && c.AuthMethod.byCertificate() {
		given.method = c.AuthMethod // the credentials are in the connection (RFC 8705 §2)
	}
	if !known || c.Disabled || given.method != c.AuthMethod || !s.rules.allows(c.AuthMethod) {
		return VerifiedClient{}, uma.ErrInvalidClient
	}
	switch c.AuthMethod {
	case AuthNone:
		return VerifiedClient{Client: c}, nil
	case AuthSecretBasic, AuthSecretPost:
		if secretFits {
			return VerifiedClient{Client: c}, nil
		}
	case AuthPrivateKeyJWT:
		key, err := s.verifyAssertion(ctx, c, given.assertion)
		if err != nil {
			return VerifiedClient{}, err
		}
		return VerifiedClient{Client: c, assertionKey: key}, nil
	case AuthTLS, AuthTLSSelfSigned:
		if err := s.verifyCertificate(c, r.Certificates); err != nil {
			return VerifiedClient{}, uma.ErrInvalidClient.Because(err)
		}
		return VerifiedClient{Client: c}, nil
	}
	return VerifiedClient{}, uma.ErrInvalidClient
}

// credentials are what a request presented; method follows from their form, never from the client's wish.
type credentials struct {
	method    AuthMethod
	id        ClientID
	secret    string
	assertion string
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2

func (s *Service) presented(r TokenRequest, f form) (credentials, error) {
	hasAssertion := f.has("client_assertion") || f.has("client_assertion_type")
	sets := 0
	for _, has := range []bool{r.HasBasic, f.has("client_secret"), hasAssertion} {
		if has {
			sets++
		}
	}
	if sets > 1 {
		return credentials{}, uma.ErrInvalidRequest.With("authenticate the client in one way only")
	}
	id := ClientID(f.get("client_id"))
	switch {
	case r.HasBasic:
		if id != "" && id != ClientID(r.BasicID) {
			return credentials{}, uma.ErrInvalidRequest.With("client_id differs from the one in the Authorization header")
		}
		return credentials{method: AuthSecretBasic, id: ClientID(r.BasicID), secret: r.BasicSecret}, nil
	case hasAssertion:
		if f.get("client_assertion_type") != assertionType {
			return credentials{}, uma.ErrInvalidRequest.With("client_assertion_type: want " + assertionType)
		}
		assertion, err := f.need("client_assertion")
		if err != nil {
			return credentials{}, err
		}
		subject := assertionSubject(assertion)
		if subject == "" || id != "" && id != subject {
			return credentials{}, uma.ErrInvalidClient
		}
		return credentials{method: AuthPrivateKeyJWT, id: subject, assertion: assertion}, nil
	case id == "":
		return credentials{}, uma.ErrInvalidClient
	case f.has("client_secret"):
		return credentials{method: AuthSecretPost, id: id, secret: f.get("client_secret")}, nil
	}
	return credentials{method: AuthNone, id: id}, nil
}
