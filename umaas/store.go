package umaas

import (
	"context"
	"errors"
	"time"
)

// ErrNotFound is returned for what is absent or expired; there is no difference.
var ErrNotFound = errors.New("not found")

// ErrExists is returned when a unique value (login, verified address, identity) is taken.
var ErrExists = errors.New("already exists")

// Store keeps everything the server knows. The function given to Update may run more than once and has no other effects
// (no network, no clock); a nil error commits all of its writes durably before Update returns, an error none. Reads inside
// see the writes of the same transaction. Two servers on one store are correct: nothing above it keeps authoritative state.
type Store interface {
	View(ctx context.Context, fn func(Reader) error) error
	Update(ctx context.Context, fn func(Tx) error) error
	Close() error
}

// Reader is the reading half of a transaction: a sum of small interfaces, one per step of the protocol. `now` arguments
// make expiry explicit: an expired record is ErrNotFound.
type Reader interface {
	AccountReader
	ClientReader
	ResourceReader
	TicketReader
	PolicyReader
	RequestReader
	GrantReader
	SessionReader
	AuditReader
	SettingReader
	IssuerReader
	PCTReader
	InvitationReader
	DelegationReader
	FeedReader
}

// Tx is a writing transaction.
type Tx interface {
	Reader
	AccountWriter
	ClientWriter
	ResourceWriter
	TicketWriter
	PolicyWriter
	RequestWriter
	GrantWriter
	SessionWriter
	AuditWriter
	SettingWriter
	IssuerWriter
	PCTWriter
	InvitationWriter
	DelegationWriter
	FeedWriter
}

// AccountReader finds accounts.
type AccountReader interface {
	Account(id AccountID) (Account, error)
	AccountByLogin(login string) (Account, error)
	AccountByEmail(email string) (Account, error) // verified addresses only
	AccountByIdentity(id Identity) (Account, error)
	Accounts(after AccountID, limit int) ([]Account, error)
}

// AccountWriter keeps accounts; PutAccount keeps login, verified address and identities unique (ErrExists).
type AccountWriter interface {
	PutAccount(a Account) error
	DeleteAccount(id AccountID) error
}

// ClientReader finds clients.
type ClientReader interface {
	Client(id ClientID) (Client, error)
	Clients(after ClientID, limit int) ([]Client, error)
}

// ClientWriter keeps clients.
type ClientWriter interface {
	PutClient(c Client) error
	DeleteClient(id ClientID) error
}

// ResourceReader finds registered resources under (owner, resource server).
type ResourceReader interface {
	Resource(owner AccountID, rs ClientID, id ResourceID) (Resource, error)
	Resources(owner AccountID, rs ClientID, after ResourceID, limit int) ([]Resource, error)
	// OwnerResources lists over all resource servers, ordered by (rs, id); the cursor is the last one seen.
	OwnerResources(owner AccountID, afterRS ClientID, afterID ResourceID, limit int) ([]Resource, error)
	// ResourceOwner finds whose a resource of one resource server is (introspection and derived_from know no owner).
	ResourceOwner(rs ClientID, id ResourceID) (AccountID, error)
}

// ResourceWriter keeps resources.
type ResourceWriter interface {
	PutResource(r Resource) error
	DeleteResource(owner AccountID, rs ClientID, id ResourceID) error
}

// TicketReader finds tickets and interactive flows.
type TicketReader interface {
	Ticket(key Key, now time.Time) (Ticket, error)
	Flow(key Key, now time.Time) (Flow, error)
}

// TicketWriter keeps them. DeleteTicket of an absent ticket is ErrNotFound: the atomic gate of single use.
type TicketWriter interface {
	PutTicket(t Ticket) error
	DeleteTicket(key Key) error
	PutFlow(f Flow) error
	DeleteFlow(key Key) error
}

// PolicyReader finds policies. PoliciesFor costs what it returns, however many policies the owner has: it looks up exactly
// the given parties on one resource, revoked policies left out.
type PolicyReader interface {
	Policy(owner AccountID, id PolicyID) (Policy, error)
	Policies(owner AccountID, after PolicyID, limit int) ([]Policy, error)
	PoliciesFor(owner AccountID, rs ClientID, id ResourceID, parties []Who) ([]Policy, error)
}

// PolicyWriter keeps policies and their index; a revoked policy stays for the history, out of the index.
type PolicyWriter interface {
	PutPolicy(p Policy) error
}

// RequestReader finds requests in an owner's inbox, newest first, and those a party made.
type RequestReader interface {
	Request(owner AccountID, key Key) (Request, error)
	Requests(owner AccountID, before Key, limit int) ([]Request, error)
	// OpenRequest finds the waiting request, or the denied one still in its silent time, of the same party and client
	// on the same set of resources.
	OpenRequest(owner AccountID, party AccountID, client ClientID, resources []ResourceID, now time.Time) (Request, error)
	RequestsBy(party AccountID, before Key, limit int) ([]Request, error)
}

// RequestWriter keeps requests.
type RequestWriter interface {
	PutRequest(r Request) error
}

// GrantReader finds grants, tokens and codes.
type GrantReader interface {
	Grant(key Key, now time.Time) (Grant, error)
	Token(key Key, now time.Time) (Token, error)
	Code(key Key, now time.Time) (Code, error)
	// PartyGrants lists a party's grants other than RPTs, newest first.
	PartyGrants(party AccountID, before Key, limit int) ([]Grant, error)
}

// GrantWriter keeps them.
type GrantWriter interface {
	PutGrant(g Grant) error
	PutToken(t Token) error
	DeleteToken(key Key) error
	PutCode(c Code) error
}

// SessionReader finds sessions.
type SessionReader interface {
	Session(key Key, now time.Time) (Session, error)
}

// SessionWriter keeps sessions.
type SessionWriter interface {
	PutSession(s Session) error
	DeleteSession(key Key) error
}

// AuditReader pages an owner's history, newest first; owner "" is the server's own stream.
type AuditReader interface {
	Audit(owner AccountID, before Key, limit int) ([]AuditEvent, error)
	// SeenEvent reports whether an access event's id was taken before (idempotence).
	SeenEvent(rs ClientID, id string) (bool, error)
}

// AuditWriter appends.
type AuditWriter interface {
	AppendAudit(e AuditEvent) error
	MarkEvent(rs ClientID, id string, expires time.Time) error
}

// SettingReader reads small named values: signing keys, the handle key, trusted issuers, used assertion ids.
type SettingReader interface {
	Setting(name string) ([]byte, error)
	// Used reports whether a single-use identifier (assertion jti) was spent.
	Used(space, id string, now time.Time) (bool, error)
}

// SettingWriter keeps them.
type SettingWriter interface {
	PutSetting(name string, value []byte) error
	// Spend marks a single-use identifier until expires; ErrExists if it was spent before.
	Spend(space, id string, now, expires time.Time) error
}
