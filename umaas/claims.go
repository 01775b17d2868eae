package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/keys"
)

// Claims pushing (Grant §3.3.1). A claim token goes this way; every step may end in need_info, none in a fault of the server:
//
//	may this client push? ─► format registered? ─► signed by whom does it say? ─► trusted for this format? ─► keys of that
//	issuer (cache, else one fetch) ─► signature holds ─► the format reads the claims ─► revocation list, where it names one
//	│ the store transaction begins: the ticket is spent
//	└─► trusted still? ─► replay mark ─► account of (issuer, subject) ─► same party as before? ─► assessment
//
// The registry verifies signatures, not the formats: a format that takes unsigned claims cannot be written (SEC-12, SEC-13).

// Format is one kind of claim token (claim_token_format). Library users add their own as Deps.Formats. Read sees only what an
// issuer signed whom the operator trusts for Use.
type Format interface {
	// URI is the value of claim_token_format.
	URI() string
	// Use is what an issuer must be trusted for.
	Use() IssuerUse
	// Types are the accepted typ header values, "" for a token without one (RFC 8725 §3.11).
	Types() []string
	// Read judges the verified claims: audience, life, binding. Its error is a reason, for the log alone.
	Read(m Members, to Recipient) (Statement, error)
}

// Enveloped is a Format whose token is not itself a compact JWS. The pushed value is then base64url (Grant §3.3.1, G-028), and
// Open takes the compact JWS out of the decoded bytes. What is not in the JWS is not believed.
type Enveloped interface {
	Open(decoded []byte) (jws string, err error)
}

// Recipient is whom a claim token reached, and when.
type Recipient struct {
	Now     time.Time
	Self    string // this server's issuer identifier
	Issuer  TrustedIssuer
	Own     bool // the token is this server's own
	Client  ClientID
	Holding []string // RFC 7638 thumbprints of the keys the client proved to hold in this request
}

// Statement is what a claim token says.
type Statement struct {
	Subject  string // the requesting party at the issuer; "": the token is about no party, but about what its bearer may do
	Name     string
	Claims   []Claim // Issuer is filled in by the registry
	AuthTime time.Time
	AMR      []string
	ACR      string
	ID       string    // single use: the jti; "": the token may come again from the same client
	Until    time.Time // the token's own end
	Bounds   *Bounds   // nil: none
	Status   *StatusRef
}

// StatusRef points into a revocation list.
type StatusRef struct {
	URL   string
	Index uint64
}

// IssuerKeys finds the public keys of a trusted issuer. A kid that the known set lacks is reason to look again, now and then.
// umaas/outbound has the one for the network; nil reaches nobody: only issuers whose keys stand in their record count then.
type IssuerKeys interface {
	KeySet(ctx context.Context, issuer, uri, kid string) ([]byte, error)
}

// Statuses reads revocation lists; nil reaches none, so that a token which names one is refused.
type Statuses interface {
	Revoked(ctx context.Context, url string, index uint64) (bool, error)
}

// PushRule says which clients may push claims (SEC-22, Grant §5.7). The zero value is the strict one.
type PushRule string

// The rules. Public clients never push: nobody answers for what they bring.
const (
	PushMarked       PushRule = ""             // clients an administrator marked (Client.PushClaims)
	PushConfidential PushRule = "confidential" // those, and every confidential client an administrator registered
)

// mayPush reports whether a client's claim tokens are looked at.
func (s *Service) mayPush(c Client) bool {
	return !c.Public() && (c.PushClaims || s.Push == PushConfidential && !c.Dynamic)
}

// Reasons of refused claim tokens, for audit and log.
const (
	ReasonClaimClient    = "claim_client"
	ReasonClaimFormat    = "claim_format"
	ReasonClaimIssuer    = "claim_issuer"
	ReasonClaimSignature = "claim_signature"
	ReasonClaimContent   = "claim_content"
	ReasonClaimStatus    = "claim_status"
	ReasonClaimReplay    = "claim_replay"
	ReasonClaimParty     = "claim_party"
	ReasonClaimBounds    = "claim_bounds"
)

// maxClaimToken bounds what is looked at; maxStated what one token may state.
const (
	maxClaimToken = 16 << 10
	maxStated     = 64
	maxClaimValue = 1024
)

// pushed is a claim token whose signature holds, not yet accepted.
type pushed struct {
	Statement
	format Format
	issuer string
	own    bool
	digest string // names the token in replay marks; the token itself is not kept
}

// verifyPushed does all of a pushed token's work that needs no transaction: reason is why it counts for nothing, "" where it
// may count; err is a fault of the server.
func (s *Service) verifyPushed(ctx context.Context, c VerifiedClient, format, token string, now time.Time) (p *pushed, reason string, err error) {
	if !s.mayPush(c.Client) {
		return nil, ReasonClaimClient, nil // G-130
	}
	f := s.format(format)
	if f == nil || len(token) > maxClaimToken {
		return nil, ReasonClaimFormat, nil
	}
	raw, err := compact(f, token)
	if err != nil {
		return nil, ReasonClaimFormat, nil //nolint:nilerr // a client's mistake
	}
	sealed, err := keys.Peek(raw)
	if err != nil || !hasType(f.Types(), sealed.Type) {
		return nil, ReasonClaimFormat, nil //nolint:nilerr // a client's mistake
	}
	to := Recipient{Now: now, Self: s.Issuer, Client: c.ID, Holding: c.holding()}
	members, reason, err := s.verified(ctx, f, raw, sealed, c.Client, &to)
	if err != nil || reason != "" {
		return nil, reason, err
	}
	st, err := f.Read(members, to)
	if err != nil {
		s.Logger.InfoContext(ctx, "claim token refused", "format", f.URI(), "issuer", to.Issuer.Issuer, "client", string(c.ID), "reason", err.Error())
		return nil, ReasonClaimContent, nil
	}
	if st.Status != nil {
		// Unreachable is revoked (flows.md F2): a list that can be kept away would end nothing.
		if revoked, err := s.revoked(ctx, *st.Status); err != nil || revoked {
			return nil, ReasonClaimStatus, nil //nolint:nilerr // the list is somebody else's
		}
	}
	// What was signed names the token: the same can carry another signature that holds just as well.
	sum := sha256.Sum256([]byte(raw[:strings.LastIndexByte(raw, '.')]))
	return &pushed{Statement: st, format: f, issuer: to.Issuer.Issuer, own: to.Own, digest: base64.RawURLEncoding.EncodeToString(sum[:])}, "", nil
}

// verified looks the issuer up and checks the signature. Nothing is fetched before the operator's list named the issuer, and
// then from the address that stands there (SEC-16).
func (s *Service) verified(ctx context.Context, f Format, raw string, sealed keys.Sealed, c Client, to *Recipient) (Members, string, error) {
	unproved, err := keys.Members(sealed.Payload)
	if err != nil {
		return nil, ReasonClaimFormat, nil //nolint:nilerr // a client's mistake
	}
	name := Members(unproved).text("iss")
	var v keys.Verified
	if name == s.Issuer && f.Use() == UseIDToken {
		to.Own, to.Issuer = true, TrustedIssuer{Issuer: s.Issuer, Name: s.Issuer, Uses: []IssuerUse{UseIDToken}, ClientAudience: true}
		alg := keys.RS256
		if c.IDTokenAlg == string(keys.ES256) {
			alg = keys.ES256
		}
		v, err = s.Keys.Verify(raw, alg, "JWT")
	} else {
		to.Issuer, err = s.TrustedIssuer(ctx, name)
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && !to.Issuer.Trusts(f.Use()):
			return nil, ReasonClaimIssuer, nil
		case err != nil:
			return nil, "", err
		}
		var set []byte
		if set, err = s.issuerKeys(ctx, to.Issuer, sealed.KeyID); err == nil {
			v, err = keys.VerifyIssuer(set, raw, to.Issuer.algorithms())
		}
	}
	if err != nil {
		s.Logger.InfoContext(ctx, "claim token not verified", "issuer", to.Issuer.Issuer, "client", string(c.ID), "err", err)
		return nil, ReasonClaimSignature, nil
	}
	proved, err := keys.Members(v.Payload)
	if err != nil {
		return nil, ReasonClaimFormat, nil //nolint:nilerr // a client's mistake
	}
	return proved, "", nil
}

func (s *Service) issuerKeys(ctx context.Context, i TrustedIssuer, kid string) ([]byte, error) {
	switch {
	case len(i.JWKS) > 0:
		return i.JWKS, nil
	case i.JWKSURI == "" || s.IssuerKeys == nil:
		return nil, errors.New("no way to the keys of the issuer is configured")
	default:
		return s.IssuerKeys.KeySet(ctx, i.Issuer, i.JWKSURI, kid)
	}
}

func (s *Service) revoked(ctx context.Context, at StatusRef) (bool, error) {
	if s.Statuses == nil {
		return true, nil
	}
	return s.Statuses.Revoked(ctx, at.URL, at.Index)
}

// compact is the JWS of a pushed value (G-028).
func compact(f Format, token string) (string, error) {
	e, ok := f.(Enveloped)
	if !ok {
		return token, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(token, "="))
	if err != nil {
		return "", fmt.Errorf("claim_token is not base64url: %w", err)
	}
	return e.Open(raw)
}

// hasType compares typ as media types are: without case, and with or without "application/" (RFC 7515 §4.1.9).
func hasType(accepted []string, typ string) bool {
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	for _, a := range accepted {
		if strings.ToLower(a) == typ {
			return true
		}
	}
	return false
}

// formats are the claim token formats of this server, its own first.
func (s *Service) formats() []Format {
	return append([]Format{idTokenFormat{}, jwtFormat{}, permissionTicketFormat{}}, s.Formats...)
}

func (s *Service) format(uri string) Format {
	for _, f := range s.formats() {
		if f.URI() == uri {
			return f
		}
	}
	return nil
}

// FormatURIs names the formats, for discovery (Grant §2, G-038).
func (s *Service) formatURIs() []string {
	var out []string
	for _, f := range s.formats() {
		out = append(out, f.URI())
	}
	return out
}

// checkFormats refuses a registry in which a format could not be told from another.
func checkFormats(list []Format) error {
	seen := map[string]bool{idTokenURI: true, jwtURI: true, permissionTicketURI: true}
	for _, f := range list {
		switch {
		case f == nil || f.URI() == "" || len(f.Types()) == 0:
			return errors.New("claim token format: a URI and the typ values of its signed tokens are required; there are no unsigned formats")
		case f.Use() == "" || f.Use() == UseSignIn:
			return errors.New("claim token format: say what an issuer must be trusted for")
		case seen[f.URI()]:
			return fmt.Errorf("claim token format %s is registered twice", f.URI())
		}
		seen[f.URI()] = true
	}
	return nil
}
