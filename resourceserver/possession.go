package resourceserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// PossessionConfig is what a Possession needs.
type PossessionConfig struct {
	Origin       string           // of the protected addresses as the outside sees them: scheme://host[:port]
	Certificates pop.Certificates // whose Client-Cert header counts; the zero value: nobody's
	Nonces       *pop.Nonces      // nil: DPoP proofs need no nonce
	Now          func() time.Time
}

// Possession checks that whoever presents a key-bound token holds its key, each time it is presented (RFC 9449 §7, RFC 8705
// §3): what is remembered of a token never stands for a proof. A bound token does not count as a bearer token, and a bearer
// token does not count by the scheme DPoP.
//
// A proof is good once: it is remembered in this process until it is too old to be taken. Gateways that share one address
// each remember their own.
type Possession struct {
	cfg     PossessionConfig
	replays replays
}

// NewPossession checks cfg.
func NewPossession(cfg PossessionConfig) (*Possession, error) {
	u, err := url.Parse(cfg.Origin)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.EscapedPath(), "/") != "" || u.RawQuery != "" || cfg.Now == nil {
		return nil, errors.New("possession: Origin (scheme and host) and Now are required")
	}
	cfg.Origin = u.Scheme + "://" + u.Host
	return &Possession{cfg: cfg, replays: replays{limit: maxReplays}}, nil
}

// possessionAt is the default: proofs for addresses of a base, no proxies, no nonces.
func possessionAt(base string, now func() time.Time) (*Possession, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("possession: %w", err)
	}
	return NewPossession(PossessionConfig{Origin: u.Scheme + "://" + u.Host, Now: now})
}

// presented is a token with all that came with it; token is "" where no header held one.
type presented struct {
	sent   bool // there was an Authorization header, readable or not
	dpop   bool // the scheme
	token  string
	proofs []string
	method string
	target string // path, escaped
	http   *http.Request
}

// present reads exactly one Authorization header of scheme Bearer or DPoP (RFC 6750 §2.1, RFC 9449 §7.1).
func present(r *http.Request) presented {
	headers := r.Header.Values("Authorization")
	p := presented{sent: len(headers) > 0, method: r.Method, target: r.URL.EscapedPath(), proofs: r.Header.Values(pop.Header), http: r}
	if len(headers) != 1 {
		return p
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	p.dpop = strings.EqualFold(scheme, uma.TokenTypeDPoP)
	if !ok || !p.dpop && !strings.EqualFold(scheme, uma.TokenTypeBearer) || token == "" || len(token) > maxToken || strings.ContainsAny(token, " ,\t") {
		return p
	}
	p.token = token
	return p
}

// unproven says why a token does not count as it was presented: the error of a challenge (RFC 9449 §7.1).
type unproven struct {
	code  string // invalid_token, invalid_dpop_proof or use_dpop_nonce
	text  string
	dpop  bool // answer by the scheme DPoP
	nonce string
}

func (u *unproven) Error() string { return u.code + ": " + u.text }

const (
	codeToken = "invalid_token"
	codeProof = "invalid_dpop_proof"
	codeNonce = "use_dpop_nonce"
)

// check compares a token's binding with what came with it. A nil Possession knows no address a proof could be for: it lets
// unbound bearer tokens through and nothing else. The error is *unproven, or ErrUnreachable where no proof can be remembered.
func (p *Possession) check(pr presented, g Grant) error {
	bound := g.Confirm
	switch {
	case bound.Unknown:
		return &unproven{code: codeToken, text: "the token is bound in a way that is not known here", dpop: pr.dpop}
	case bound.JKT == "" && pr.dpop:
		return &unproven{code: codeToken, text: "the token is not bound to a key: send it as Bearer", dpop: true}
	case bound.JKT != "" && (!pr.dpop || p == nil):
		return &unproven{code: codeToken, text: "the token is bound to a key: send it as Authorization: DPoP, with a proof", dpop: true}
	}
	if bound.X5T != "" {
		if err := p.certificate(pr, bound.X5T); err != nil {
			return err
		}
	}
	if bound.JKT != "" {
		return p.proof(pr, bound.JKT)
	}
	return nil
}

func (p *Possession) certificate(pr presented, want string) error {
	var chain []*x509.Certificate
	var err error
	if p != nil {
		chain, err = p.cfg.Certificates.Of(pr.http)
	}
	if err != nil || len(chain) == 0 || subtle.ConstantTimeCompare([]byte(pop.CertificateThumbprint(chain[0].Raw)), []byte(want)) != 1 {
		return &unproven{code: codeToken, text: "the token is bound to a client certificate, which this connection does not show", dpop: pr.dpop} // RFC 8705 §3
	}
	return nil
}

func (p *Possession) proof(pr presented, want string) error {
	raw, err := pop.FromHeader(pr.proofs)
	if err == nil && raw == "" {
		err = fmt.Errorf("%w: the header DPoP is missing", pop.ErrProof)
	}
	now := p.cfg.Now()
	var got pop.Proof
	if err == nil {
		got, err = pop.Verify(raw, pop.Want{Method: pr.method, URLs: []string{p.cfg.Origin + pr.target}, Token: pr.token, Now: now, Nonces: p.cfg.Nonces})
	}
	switch {
	case errors.Is(err, pop.ErrNonce):
		return &unproven{code: codeNonce, text: "make a new proof with the nonce in the header DPoP-Nonce", dpop: true, nonce: p.cfg.Nonces.At(now)}
	case err != nil:
		return &unproven{code: codeProof, text: err.Error(), dpop: true}
	case subtle.ConstantTimeCompare([]byte(got.JKT), []byte(want)) != 1:
		return &unproven{code: codeToken, text: "the proof is made with another key than the token is bound to", dpop: true}
	}
	fresh, full := p.replays.first(got.JKT, got.JTI, now)
	switch {
	case full:
		return fmt.Errorf("%w: too many proofs at once to remember", ErrUnreachable)
	case !fresh:
		return &unproven{code: codeProof, text: "the proof was used before: make a new one for each request", dpop: true}
	}
	return nil
}

// dpopChallenge is the value of RFC 9449 §7.1.
func dpopChallenge(realm string, u *unproven) string {
	return "DPoP realm=" + quoted(realm) + ", algs=" + quoted(strings.Join(pop.Algorithms(), " ")) +
		", error=" + quoted(u.code) + ", error_description=" + quoted(u.text)
}

// challenges is what WWW-Authenticate says of an unproven token.
func (u *unproven) challenges(realm, metadata string) []string {
	if u.dpop {
		return []string{dpopChallenge(realm, u)}
	}
	return []string{bearerChallenge(realm, u.code, nil, metadata)}
}

// replays remembers used proofs in two generations, each as long as a proof can be presented again. Where there is no room
// it refuses: to forget would be to let a proof through twice. Only proofs that hold for a live token come here, so it takes
// real tokens to fill it.
type replays struct {
	mu         sync.Mutex
	young, old map[[16]byte]struct{}
	since      time.Time
	limit      int
}

const (
	maxReplays = 1 << 19        // per generation
	replayLife = 2 * pop.Window // iat may lie a window ahead, and counts for a window after
)

// first reports whether a proof is seen for the first time; full, that it cannot be remembered.
func (r *replays) first(jkt, jti string, now time.Time) (fresh, full bool) {
	sum := sha256.Sum256([]byte(jkt + " " + jti))
	id := [16]byte(sum[:16])
	r.mu.Lock()
	defer r.mu.Unlock()
	switch age := now.Sub(r.since); {
	case r.young == nil || age >= 2*replayLife:
		r.young, r.old, r.since = map[[16]byte]struct{}{}, nil, now
	case age >= replayLife:
		r.young, r.old, r.since = map[[16]byte]struct{}{}, r.young, now
	}
	if _, seen := r.young[id]; seen {
		return false, false
	}
	if _, seen := r.old[id]; seen {
		return false, false
	}
	if len(r.young) >= r.limit {
		return false, true
	}
	r.young[id] = struct{}{}
	return true, false
}
