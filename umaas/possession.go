package umaas

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Binding is what this server knows of key-bound tokens. The zero value offers DPoP without nonces and no mutual TLS.
type Binding struct {
	// Nonces says whose DPoP proofs must hold a nonce of this server (RFC 9449 §8).
	Nonces NoncePolicy
	// MTLSBase is the issuer as clients reach it over the listener that asks for certificates (RFC 8705 §5): an absolute URL
	// that takes the place of Issuer in mtls_endpoint_aliases. "": mutual TLS is not offered, and no certificate counts.
	MTLSBase string
	// ClientCAs sign the certificates of clients registered for tls_client_auth (RFC 8705 §2.1); nil: not offered.
	ClientCAs *x509.CertPool
}

// NoncePolicy says whose DPoP proofs need a nonce.
type NoncePolicy string

// The policies.
const (
	NoncesOff    NoncePolicy = ""       // proofs are bound to a minute and used once; nothing more is asked
	NoncesPublic NoncePolicy = "public" // apps that cannot authenticate: in a browser, proofs could be made ahead of time
	NoncesAll    NoncePolicy = "all"
)

// Presented is what a request shows beside its parameters.
type Presented struct {
	DPoP         []string            // values of the header DPoP
	Certificates []*x509.Certificate // of the connection, leaf first; nil without
}

// Presentation is an access token as it was presented to this server: by which scheme, for which request, with what.
type Presentation struct {
	Scheme string // "bearer" or "dpop", lower case
	Token  string
	Method string
	Path   string // of the request, escaped, as the server saw it
	Presented
}

// possession is what a token request proved to hold: at most one key. Grants are bound to it.
type possession struct {
	Confirmation
	proof *pop.Proof // nil without DPoP
}

// confirms reports whether a presenter may use what is bound to c: anybody what is bound to nothing, otherwise the holder of
// that very key (RFC 7800 §3, SEC-33). It is the check for tickets, persisted claims tokens and RPTs alike.
func (c Confirmation) confirms(presented Confirmation) bool {
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	return !c.Bound() || same(c.JKT, presented.JKT) && same(c.X5T, presented.X5T)
}

// tokenType is the token_type of tokens bound so (RFC 9449 §5; RFC 8705 §3 leaves Bearer).
func (c Confirmation) tokenType() string {
	if c.JKT != "" {
		return uma.TokenTypeDPoP
	}
	return uma.TokenTypeBearer
}

// cnf is the claim (RFC 9449 §6, RFC 8705 §3.1), nil for a bearer token.
func (c Confirmation) cnf() *uma.Confirmation {
	if !c.Bound() {
		return nil
	}
	return &uma.Confirmation{JKT: c.JKT, X5T: c.X5T}
}

// spend takes the proof's single use (RFC 9449 §11.1), in the transaction it stands for: a replayed proof must not burn what
// else the request brings (SEC-10).
func (p possession) spend(tx Tx, now time.Time) error {
	if p.proof == nil {
		return nil
	}
	return spendProof(tx, *p.proof, now)
}

func spendProof(tx Tx, p pop.Proof, now time.Time) error {
	err := tx.Spend("dpop:"+p.JKT, p.JTI, now, p.End)
	if errors.Is(err, ErrExists) {
		return uma.ErrInvalidDPoPProof.With("the proof was used before: make a new one for each request")
	}
	if err != nil {
		return fmt.Errorf("spend proof: %w", err)
	}
	return nil
}

// possess finds out what the authenticated client holds, after its authentication and before anything is read (SEC-10). A
// client that registered for bound tokens gets no others: without its proof it is refused here, whatever the grant (SEC-33).
func (s *Service) possess(c Client, r TokenRequest) (possession, error) {
	raw, err := pop.FromHeader(r.DPoP)
	if err != nil {
		return possession{}, s.proofRefused(err)
	}
	switch {
	case c.TLSBound && raw != "":
		return possession{}, uma.ErrInvalidDPoPProof.With("this client's tokens are bound to its certificate: send no DPoP proof")
	case c.TLSBound && len(r.Certificates) == 0:
		return possession{}, uma.ErrInvalidRequest.With("this client's tokens are bound to its certificate: use the endpoints of mtls_endpoint_aliases")
	case c.TLSBound:
		return possession{Confirmation: Confirmation{X5T: pop.CertificateThumbprint(r.Certificates[0].Raw)}}, nil
	case c.DPoPBound && raw == "": // RFC 9449 §5.2
		return possession{}, uma.ErrInvalidDPoPProof.With("this client registered dpop_bound_access_tokens: send a DPoP proof with every token request")
	case raw == "":
		return possession{}, nil
	}
	proof, err := pop.Verify(raw, pop.Want{
		Method: "POST", URLs: s.addresses(s.Issuer + pathToken), Now: s.Now(), Nonces: s.noncesFor(c),
	})
	if err != nil {
		return possession{}, s.proofRefused(err)
	}
	return possession{Confirmation: Confirmation{JKT: proof.JKT}, proof: &proof}, nil
}

// noncesFor says whether a client's proofs need a nonce, nil for no.
func (s *Service) noncesFor(c Client) *pop.Nonces {
	if s.Binding.Nonces == NoncesAll || s.Binding.Nonces == NoncesPublic && c.Public() {
		return s.nonces
	}
	return nil
}

// nonceFor is the nonce to tell a client with a token response, "" where it needs none.
func (s *Service) nonceFor(c Client, held possession) string {
	if n := s.noncesFor(c); n != nil && held.proof != nil {
		return n.At(s.Now())
	}
	return ""
}

// proofRefused is the protocol's answer to a proof that does not hold.
func (s *Service) proofRefused(err error) error {
	if errors.Is(err, pop.ErrNonce) {
		refusal := uma.ErrUseDPoPNonce.With("make a new proof with the nonce in the header DPoP-Nonce")
		refusal.DPoPNonce = s.nonces.At(s.Now())
		return refusal
	}
	if errors.Is(err, pop.ErrProof) {
		return uma.ErrInvalidDPoPProof.With(err.Error())
	}
	return err
}

// addresses lists how an endpoint can be named: under the issuer, and under its mutual-TLS alias.
func (s *Service) addresses(endpoint string) []string {
	if s.Binding.MTLSBase == "" {
		return []string{endpoint}
	}
	return []string{endpoint, s.Binding.MTLSBase + strings.TrimPrefix(endpoint, s.Issuer)}
}

// PresentPAT verifies a PAT as it came with a request (F-005, F-034, SEC-50): 401 invalid_token for what is no live token here,
// 403 insufficient_scope for a live one without uma_protection, an RPT for example. A bound PAT counts with proof of its key
// alone, by the scheme it was issued for (RFC 9449 §7.1, RFC 8705 §3; FedAuthz §1.3).
func (s *Service) PresentPAT(ctx context.Context, p Presentation) (PAT, error) {
	g, err := s.heldGrant(ctx, p)
	if err != nil {
		return PAT{}, err
	}
	return patOf(g)
}

// PresentUserInfo is OpenID Connect Core §5.3 for a token as it came with a request: claims about the person who signed in, as far as
// the token's scopes go.
func (s *Service) PresentUserInfo(ctx context.Context, p Presentation) (map[string]any, error) {
	g, err := s.heldGrant(ctx, p)
	if err != nil {
		return nil, err
	}
	return s.userInfoOf(ctx, g)
}

// heldGrant finds the live grant behind a token whose presenter holds the key it is bound to.
func (s *Service) heldGrant(ctx context.Context, p Presentation) (Grant, error) {
	g, err := s.liveGrant(ctx, p.Token)
	if err != nil {
		return Grant{}, challenged(err, p.Scheme)
	}
	switch {
	case g.Confirm.JKT != "":
		err = s.holdsKey(ctx, g, p)
	case p.Scheme == schemeDPoP: // RFC 9449 §7.2: the scheme is for bound tokens
		err = challenged(uma.ErrInvalidToken.With("the token is not bound to a key: send it as Bearer"), schemeDPoP)
	case g.Confirm.X5T != "" && (len(p.Certificates) == 0 || pop.CertificateThumbprint(p.Certificates[0].Raw) != g.Confirm.X5T):
		err = uma.ErrInvalidToken.With("the token is bound to a client certificate, which this connection does not show") // RFC 8705 §3
	}
	if err != nil {
		return Grant{}, err
	}
	return g, nil
}

const schemeDPoP = "dpop"

// challenged answers in the scheme that was used.
func challenged(err error, scheme string) error {
	var refusal *uma.Error
	if scheme != schemeDPoP || !errors.As(err, &refusal) || refusal.Status != uma.ErrInvalidToken.Status {
		return err
	}
	out := *refusal
	out.Challenge = uma.TokenTypeDPoP
	return &out
}

// holdsKey judges the proof of a request with a DPoP-bound token.
func (s *Service) holdsKey(ctx context.Context, g Grant, p Presentation) error {
	refuse := func(err error) error {
		var e *uma.Error
		if !errors.As(err, &e) {
			return err
		}
		out := *e
		out.Status, out.Challenge = uma.ErrInvalidToken.Status, uma.TokenTypeDPoP // RFC 9449 §7.1
		return &out
	}
	if p.Scheme != schemeDPoP {
		return refuse(uma.ErrInvalidToken.With("the token is bound to a key: send it as Authorization: DPoP, with a proof"))
	}
	raw, err := pop.FromHeader(p.DPoP)
	if err == nil && raw == "" {
		err = fmt.Errorf("%w: the header DPoP is missing", pop.ErrProof)
	}
	if err != nil {
		return refuse(s.proofRefused(err))
	}
	origin, err := url.Parse(s.Issuer)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	c, err := s.Client(ctx, g.Client)
	if err != nil {
		return err
	}
	now := s.Now()
	proof, err := pop.Verify(raw, pop.Want{
		Method: p.Method, URLs: s.addresses(s.Issuer + strings.TrimPrefix(p.Path, origin.EscapedPath())), Token: p.Token, Now: now,
		Nonces: s.noncesFor(c),
	})
	if err != nil {
		return refuse(s.proofRefused(err))
	}
	if !g.Confirm.confirms(Confirmation{JKT: proof.JKT}) {
		return refuse(uma.ErrInvalidToken.With("the proof is made with another key than the token is bound to"))
	}
	err = s.Store.Update(ctx, func(tx Tx) error { return spendProof(tx, proof, now) })
	return refuse(err)
}
