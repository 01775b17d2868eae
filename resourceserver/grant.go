package resourceserver

import (
	"context"
	"errors"
	"time"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Level says what a resource set covers (flows.md A1).
type Level string

// The three kinds of resource set.
const (
	LevelRecord  Level = "record"  // record(p): owned by the patient, her representative, or the custodian until claimed
	LevelPatient Level = "patient" // access(u,p): owned by user u
	LevelUser    Level = "user"    // access(u,*): owned by user u
)

// Set is what one registered resource set means at this resource server. The zero value means nothing and grants nothing.
type Set struct {
	Issuer     string // authorization server it is registered at
	ResourceID string // its id there
	Level      Level
	User       string // key of the owning user, "" while the custodian holds it
	Patient    string // logical id, for levels record and patient
}

// custodial reports whether the set is a record that no person holds yet: the organization that keeps the record speaks for it,
// and no relation of a person bounds it (decisions 2).
func (s Set) custodial() bool { return s.Level == LevelRecord && s.User == "" }

// TokenKind selects the envelope of a refusal: 401 with a ticket for RPTs, 403 for tokens of the OAuth door (decisions 5).
type TokenKind string

// The token kinds.
const (
	KindRPT   TokenKind = "rpt"
	KindOAuth TokenKind = "oauth"
)

// Grant is a verified token: what this client may do for this requesting party now. Whatever door the token came through,
// it becomes this one value, and one judge enforces it.
type Grant struct {
	Issuer      string
	JTI         string
	Kind        TokenKind
	ClientID    string
	Sub         string // requesting party at Issuer, "" for a client acting for itself
	Permissions []Permitted
	Expires     time.Time
	Confirm     uma.Confirmation // the key the token is bound to; zero: a bearer token

	tags   []string  // what it rests on, as the issuer's feed names it
	proved time.Time // as of when the issuer's word is known to be true
}

// Permitted is one permission of a grant, joined with what its set means here.
type Permitted struct {
	Set         Set
	Scopes      []string // registered one-letter scopes
	Constraints []uma.Constraint
	Expires     time.Time // zero: the grant's
}

// ErrInactive says that a token is unknown, expired, revoked, or meant for somebody else.
var ErrInactive = errors.New("token is not active")

// ErrUnreachable says that the authorization server did not answer in time (R8 of the response table).
var ErrUnreachable = errors.New("authorization server unreachable")

// TokenVerifier turns a token into a Grant. Whether the presenter holds the key in Grant.Confirm is checked by the caller, each
// time (Possession). Errors: ErrInactive, ErrUnreachable.
type TokenVerifier interface {
	Verify(ctx context.Context, token string) (Grant, error)
}

// Challenge is a permission ticket with the place to take it (Grant §3.2.1).
type Challenge struct {
	Realm  string
	ASURI  string
	Ticket string
}

// Ticketer asks the owner's authorization server for a permission ticket. An empty patient, or one that is unknown or has
// no set, gets the decoy's ticket, which looks and behaves alike (decisions 6). Error: ErrUnreachable.
type Ticketer interface {
	Ticket(ctx context.Context, patient string, asked []scopes.Scope) (Challenge, error)
	// TicketFor asks about sets the caller already holds in a token, to cure a lack of scopes there.
	TicketFor(ctx context.Context, set Set, asked []scopes.Scope) (Challenge, error)
}

// Relations tells who may see whom now, by this server's own rules (GW-50). An absent relation refuses.
type Relations interface {
	// MaySee reports user's own standing right to patient's record: the scopes she holds by it.
	MaySee(ctx context.Context, user, patient string) (scopes.Set, bool, error)
	// Patients lists the patients user may see, in order of id.
	Patients(ctx context.Context, user string) ([]string, error)
}

// Recorder takes access events. Record returns once the event is durable in the local spool; delivery to the owner's
// authorization server follows in batches.
type Recorder interface {
	Record(ctx context.Context, events []Event) error
}

// Event is one access with the set it rested on; Set.Issuer and Set.User choose where it is reported.
type Event struct {
	Set     Set
	Patient string
	uma.AccessEvent
}
