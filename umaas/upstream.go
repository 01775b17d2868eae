package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"
)

// Sign-in at a trusted OpenID provider (H-03), the part that needs the store. The network part is signin.Upstream:
//
//	page ─ StartTrip ─▶ {state, nonce, PKCE} ─▶ issuer ─▶ back ─ TakeTrip (state is spent) ─▶ code for ID token ─ FinishTrip ─▶ session
//
// One trip is bound to one browser: state names the flow that waits, which only its browser opens, and nonce and verifier are
// derived from that browser's cookie. An identity leads to the one account that has it, or to a new one without login; it is
// never joined to an account by name or address (SEC-20).

// ErrUntrusted: the issuer is unknown, disabled or not trusted for sign-in, now.
var ErrUntrusted = errors.New("the issuer is not trusted for sign-in")

// ErrNotFresh: the issuer did not confirm the sign-in that was asked for.
var ErrNotFresh = errors.New("the issuer did not confirm a sign-in as fresh or as strong as asked for")

// claimSignIn marks a party, a session or a grant that rests on a sign-in at an issuer; it ends with the trust (SEC-17,
// SEC-38). No policy can name it.
const claimSignIn = "urn:umaas:sign-in"

const mostIssuers = 100

// TripRequest asks for a sign-in at an issuer: for a flow that waits, or alone, or to link the identity to the account of
// Session.
type TripRequest struct {
	Issuer  string // SignInIssuer.ID
	Flow    string // id of the flow that waits, "" none
	To      string // page of ours to go to, where no flow waits
	Session *Session
	Link    bool
}

// TripStart is what the network part needs to send the browser away.
type TripStart struct {
	Issuer    TrustedIssuer
	ID        string // SignInIssuer.ID
	State     string
	Nonce     string
	Verifier  string // PKCE
	Browser   string // value for the browser-binding cookie
	MaxAge    int    // seconds, -1 none
	Login     bool   // prompt=login
	ACRValues []string
}

// TripBack is a trip whose answer has come.
type TripBack struct {
	Issuer   TrustedIssuer
	ID       string
	Secret   string // client secret at the issuer, "" none
	Nonce    string
	Verifier string
	Flow     string // id of the flow that waits, "" none
	To       string
	trip     Trip
}

// UpstreamWord is what a verified ID token says. AuthTime is zero where it does not tell.
type UpstreamWord struct {
	Subject  string
	Name     string
	ACR      string
	AMR      []string
	AuthTime time.Time
	IssuedAt time.Time
	Payload  []byte // the whole payload, JSON
}

// IssuerID names an issuer in addresses and forms.
func IssuerID(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// signsIn: trusted for sign-in, with all that takes.
func (i TrustedIssuer) signsIn() bool {
	return i.Trusts(UseSignIn) && i.ClientID != "" && i.Endpoints.Authorization != "" && i.Endpoints.Token != "" && (i.JWKSURI != "" || len(i.JWKS) > 0)
}

// SignInIssuers lists where people may sign in beside here.
func (s *Service) SignInIssuers(ctx context.Context) ([]SignInIssuer, error) {
	var out []SignInIssuer
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		out, err = signInIssuers(r, func(TrustedIssuer) bool { return true })
		return err
	})
	return out, err
}

func signInIssuers(r IssuerReader, wanted func(TrustedIssuer) bool) ([]SignInIssuer, error) {
	list, err := r.TrustedIssuers("", mostIssuers)
	if err != nil {
		return nil, fmt.Errorf("list issuers: %w", err)
	}
	var out []SignInIssuer
	for _, i := range list {
		if i.signsIn() && wanted(i) {
			out = append(out, SignInIssuer{ID: IssuerID(i.Issuer), Name: cleanText(i.Name), Origin: originOf(i.Endpoints.Authorization)})
		}
	}
	return out, nil
}

func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func issuerByID(r IssuerReader, id string) (TrustedIssuer, error) {
	list, err := r.TrustedIssuers("", mostIssuers)
	if err != nil {
		return TrustedIssuer{}, fmt.Errorf("list issuers: %w", err)
	}
	for _, i := range list {
		if i.signsIn() && IssuerID(i.Issuer) == id {
			return i, nil
		}
	}
	return TrustedIssuer{}, ErrUntrusted
}

// FinishTrip signs in whoever the issuer vouches for, or links the identity to the account the trip began with: the value of
// a new session's cookie, "" after linking. Errors: ErrUntrusted, ErrNotFresh, ErrExists (linking: the identity is another
// account's), ErrNotFound (the account is closed), ErrOtherPerson.
func (s *Service) FinishTrip(ctx context.Context, t TripBack, w UpstreamWord, sess *Session) (string, error) {
	now := s.Now()
	signed, err := t.session(w, now)
	if err != nil {
		return "", err
	}
	value, key, secret, err := s.handles.New(now)
	if err != nil {
		return "", err
	}
	signed.Key, signed.Secret, signed.Created, signed.Expires = key, secret, now, now.Add(s.Limits.Session)
	err = s.Store.Update(ctx, func(tx Tx) error {
		i, err := tx.TrustedIssuer(t.Issuer.Issuer) // looked up at every use (SEC-17)
		if gone, err := absent(err); err != nil {
			return fmt.Errorf("read issuer: %w", err)
		} else if gone || !i.signsIn() {
			return ErrUntrusted
		}
		if t.trip.Link != "" {
			return s.link(tx, t, signed.Upstream, sess, now)
		}
		a, err := s.accountOfIdentity(tx, signed.Upstream, w.Name, i, now)
		if err != nil {
			return err
		}
		session := signed
		session.Account = a.ID
		if err := tx.PutSession(session); err != nil {
			return fmt.Errorf("store session: %w", err)
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: a.ID, Type: "signed-in", Outcome: OutcomeSuccess, Actor: a.ID})
	})
	if err != nil || t.trip.Link != "" {
		return "", err
	}
	return value, nil
}

// issuerSkew is how far another server's clock may be off.
const issuerSkew = time.Minute

// session is a sign-in as the issuer told it. max_age and acr are judged here: a server that was asked for them may ignore
// the asking (OpenID Connect Core §3.1.2.1, §5.5.1.1).
func (t TripBack) session(w UpstreamWord, now time.Time) (Session, error) {
	if w.Subject == "" || len(w.Subject) > 255 {
		return Session{}, ErrUntrusted
	}
	at := w.AuthTime
	if t.trip.MaxAge >= 0 {
		oldest := t.trip.Started.Add(-time.Duration(t.trip.MaxAge) * time.Second)
		if at.IsZero() || at.Before(oldest.Add(-issuerSkew)) {
			return Session{}, ErrNotFresh
		}
		if at.Before(oldest) {
			at = oldest
		}
	}
	if at.IsZero() {
		at = w.IssuedAt
	}
	if at.After(now) {
		at = now
	}
	acr := acrFrom(t.Issuer, w.ACR)
	if !reachesACR(acr, t.trip.ACR) {
		return Session{}, ErrNotFresh
	}
	identity := Identity{Issuer: t.Issuer.Issuer, Subject: w.Subject}
	claims := append(statedClaims(t.Issuer, w.Payload), Claim{Issuer: identity.Issuer, Name: claimSignIn, Value: identity.Subject})
	return Session{AuthTime: at, AMR: w.AMR, ACR: acr, Upstream: identity, Claims: claims}, nil
}

// accountOfIdentity finds the account of an identity, or makes one without login (SEC-20: never by name or address).
func (s *Service) accountOfIdentity(tx Tx, id Identity, name string, i TrustedIssuer, now time.Time) (Account, error) {
	a, err := tx.AccountByIdentity(id)
	if gone, err := absent(err); err != nil {
		return Account{}, fmt.Errorf("read account: %w", err)
	} else if !gone {
		if a.Disabled {
			return Account{}, ErrNotFound
		}
		return a, nil
	}
	fresh, err := s.newID(accountPrefix)
	if err != nil {
		return Account{}, err
	}
	a = Account{ID: AccountID(fresh), Kind: KindPerson, Name: cleanText(name), Identities: []Identity{id}, Created: now}
	if runes := []rune(a.Name); len(runes) > 200 {
		a.Name = string(runes[:200])
	}
	if a.Name == "" {
		a.Name = "Someone known to " + cleanText(i.Name)
	}
	if err := tx.PutAccount(a); err != nil {
		return Account{}, fmt.Errorf("store account: %w", err)
	}
	return a, s.tell(tx, now, AuditEvent{Type: EventAccountMade, Owner: a.ID, Actor: a.ID})
}

// upstreamStands: a session that rests on an issuer's word ends with the trust, and with the link (SEC-17).
func upstreamStands(r IssuerReader, sess Session, a Account) error {
	if sess.Upstream == (Identity{}) {
		return nil
	}
	if !slices.Contains(a.Identities, sess.Upstream) {
		return ErrNotFound
	}
	i, err := r.TrustedIssuer(sess.Upstream.Issuer)
	if _, err := absent(err); err != nil {
		return fmt.Errorf("read issuer: %w", err)
	}
	if !i.Trusts(UseSignIn) { // absent: the zero issuer, trusted for nothing
		return ErrNotFound
	}
	return nil
}
