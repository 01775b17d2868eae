package resourceserver

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
)

// This file is what the adapter must remember, as contracts in its own words. Package resourceserver/state keeps it over a
// key-value engine. Every method is one decision and atomic; "not kept" covers expired; values are copies.

// ErrNotKept says that nothing is kept under this key, or that it has expired.
var ErrNotKept = errors.New("not kept")

// ErrBusy says that another process is just doing the same work.
var ErrBusy = errors.New("busy: the same work is being done elsewhere")

// ErrTaken says that an account is another person's already.
var ErrTaken = errors.New("the account is another person's")

// Owner says under whose protection API token something is registered: a user's at her issuer, or, with User "", the one of
// this resource server itself, which stands for the custodian organization.
type Owner struct {
	Issuer string
	User   string
}

// Custodian reports whether the owner is the organization that runs this resource server.
func (o Owner) Custodian() bool { return o.User == "" }

// User is a person who signed in here through an authorization server.
type User struct {
	Key      string // UserKey(Issuer, Subject)
	Issuer   string
	Subject  string
	Name     string
	FHIRUser string // Type/id at this server, "" none or not believed
	Created  time.Time
	Seen     time.Time // last sign-in
}

// Patient is the logical id of the user's own record, "" where she is no patient here.
func (u User) Patient() string {
	if id, ok := cutReference(u.FHIRUser, "Patient"); ok {
		return id
	}
	return ""
}

// UserKey names a person at this server: 128 bits of a hash over issuer and subject, so that equal subjects of two issuers
// stay two people (SEC-112).
func UserKey(issuer, subject string) string {
	sum := sha256.Sum256([]byte("umaas user\x00" + issuer + "\x00" + subject))
	return base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])
}

// PAT is a stored protection API token. It is secret: the store encrypts it.
type PAT struct {
	Owner   Owner
	Access  string
	Refresh string
	Expires time.Time // of Access; zero: ended
	Dead    bool      // the owner withdrew it, or its refresh was refused: she must sign in again
	Updated time.Time
}

// Registration is a resource set at its authorization server.
type Registration struct {
	Set
	Owner       Owner
	Fingerprint string // SHA-256 of the description last sent
	Updated     time.Time
}

// Relation is one row of the administered table "who may see whom" (decisions 2).
type Relation struct {
	Subject string    // a User.Key, or the FHIR resource she is: Practitioner/7, RelatedPerson/3, Patient/9
	Patient string    // logical id
	Kind    string    // "parent", "representative", "practitioner", …: shown to the user
	Label   string    // the user's own words, "Daughter"; "" none
	Scopes  string    // SMART scopes she holds by it, for example "patient/*.rs"; none refuses everything
	Holder  bool      // holds record(p) in the patient's place while the patient has not claimed it
	Until   time.Time // zero: until removed
}

// ContextURL is what an opaque context URL means (flows.md A2). Only the hash of its handle is kept.
type ContextURL struct {
	Hash    [32]byte
	Level   Level  // LevelPatient or LevelUser
	User    string // User.Key
	Patient string
	Issuer  string
	Client  string // bound to this client, "" none (decisions 9)
	Label   string // the owner's own words
	Created time.Time
	Used    time.Time // zero: never; kept to the hour
}

// App is a client known to the resolver (flows.md A3.1).
type App struct {
	ClientID     string
	Name         string
	RedirectURIs []string // exact strings
	Checked      bool     // an administrator vouches for it
}

// Job is reconciliation that is due for an owner.
type Job struct {
	Owner    Owner
	Verify   bool // compare with what the authorization server really has
	Attempts int
	Due      time.Time
	Revision int // counts PutJob, so that work done on an older order does not end a newer one
}

// SpooledEvents are access events of one owner that wait for delivery. Key grows with time.
type SpooledEvents struct {
	Key    []byte
	Owner  Owner
	Events []Event
}

// PATs keeps protection API tokens.
type PATs interface {
	PAT(ctx context.Context, o Owner) (PAT, error)
	PutPAT(ctx context.Context, p PAT) error
	DropPAT(ctx context.Context, o Owner) error
	// LeaseRefresh lets one process at a time renew a PAT whose refresh token rotates. It fails with ErrBusy while another
	// lease runs; PutPAT ends a lease.
	LeaseRefresh(ctx context.Context, o Owner, until time.Time) (PAT, error)
}

// Users keeps people.
type Users interface {
	User(ctx context.Context, key string) (User, error)
	PutUser(ctx context.Context, u User) error
	// Users lists keys in order, after one of them.
	Users(ctx context.Context, after string, limit int) ([]User, error)
	// UsersByFHIRUser lists the keys of people who are this FHIR resource here.
	UsersByFHIRUser(ctx context.Context, reference string) ([]string, error)
}

// Sets keeps what is registered where.
type Sets interface {
	// SetByID joins a resource id of a token with its meaning. ErrNotKept grants nothing.
	SetByID(ctx context.Context, issuer, resourceID string) (Set, error)
	// Registration finds an owner's set by meaning.
	Registration(ctx context.Context, o Owner, level Level, patient string) (Registration, error)
	// Registrations lists an owner's sets in order of (level, patient), after a cursor it returned, "" at the start and end.
	Registrations(ctx context.Context, o Owner, after string, limit int) (page []Registration, next string, err error)
	// RecordOf finds record(p), whoever holds it. There is one at most.
	RecordOf(ctx context.Context, patient string) (Registration, error)
	// PutRegistration stores a set. Where it is record(p) and another owner held that, the other's mapping ends in the same
	// step and its set is due for removal; but the custodian never displaces a person: ErrTaken.
	PutRegistration(ctx context.Context, r Registration) error
	// EndRegistration ends a mapping at once, so that tokens on it grant nothing, and makes the set due for removal.
	EndRegistration(ctx context.Context, r Registration) error
	// Removals lists sets of an owner that are still to be deleted at the authorization server.
	Removals(ctx context.Context, o Owner, limit int) ([]string, error)
	RemovalDone(ctx context.Context, o Owner, resourceID string) error
	// BeginWork writes the intent to change an owner's sets before the first request. ErrBusy while another one runs; left
	// is true where an earlier one ended without EndWork, so that sets may exist which are not kept.
	BeginWork(ctx context.Context, o Owner, now, until time.Time) (left bool, err error)
	EndWork(ctx context.Context, o Owner) error
}

// Jobs is the queue of reconciliation, one entry per owner.
type Jobs interface {
	// PutJob adds a job or brings the owner's existing one forward; Verify stays set once it is.
	PutJob(ctx context.Context, j Job) error
	DueJobs(ctx context.Context, now time.Time, limit int) ([]Job, error)
	// RetryJob replaces the owner's job and JobDone ends it, each only if it was not put again meanwhile (Revision).
	RetryJob(ctx context.Context, j Job) error
	JobDone(ctx context.Context, j Job) error
}

// RelationTable keeps the administered relations.
type RelationTable interface {
	PutRelation(ctx context.Context, r Relation) error
	DropRelation(ctx context.Context, subject, patient string) error
	Relation(ctx context.Context, subject, patient string) (Relation, error)
	RelationsBySubject(ctx context.Context, subject, after string, limit int) ([]Relation, error)
	RelationsByPatient(ctx context.Context, patient, after string, limit int) ([]Relation, error)
}

// ContextURLTable keeps context URLs.
type ContextURLTable interface {
	PutContextURL(ctx context.Context, c ContextURL) error
	ContextURL(ctx context.Context, hash [32]byte) (ContextURL, error)
	TouchContextURL(ctx context.Context, hash [32]byte, used time.Time) error
	DropContextURL(ctx context.Context, user string, hash [32]byte) error
	ContextURLs(ctx context.Context, user string, limit int) ([]ContextURL, error)
}

// Apps is the resolver's registry.
type Apps interface {
	PutApp(ctx context.Context, a App) error
	DropApp(ctx context.Context, clientID string) error
	App(ctx context.Context, clientID string) (App, error)
	Apps(ctx context.Context, after string, limit int) ([]App, error)
	// AppsByRedirect lists the client ids that registered exactly this redirect URI.
	AppsByRedirect(ctx context.Context, redirectURI string) ([]string, error)
}

// Spool keeps access events until they are delivered.
type Spool interface {
	// AppendEvents returns once all are durable.
	AppendEvents(ctx context.Context, batches []SpooledEvents) error
	// SpooledEvents lists what waits for an issuer, oldest first, after a key.
	SpooledEvents(ctx context.Context, issuer string, after []byte, limit int) ([]SpooledEvents, error)
	EventsDelivered(ctx context.Context, keys [][]byte) error
	// SpoolIssuers lists the authorization servers for which something waits.
	SpoolIssuers(ctx context.Context) ([]string, error)
}

// Handles keeps short-lived values behind unguessable handles that show nothing. Kinds are apart from each other.
type Handles interface {
	// Keep stores value as JSON and returns a new handle, good until expires.
	Keep(ctx context.Context, kind string, value any, expires time.Time) (handle string, err error)
	// Look reads what a handle stands for; Take does so once and ends it: of parallel calls one succeeds.
	Look(ctx context.Context, kind, handle string, into any) error
	Take(ctx context.Context, kind, handle string, into any) error
	// Change replaces the value behind a living handle; its expiry stays.
	Change(ctx context.Context, kind, handle string, value any) error
}

// State is everything the adapter remembers.
type State interface {
	asclient.CredentialStore
	PATs
	Users
	Sets
	Jobs
	RelationTable
	ContextURLTable
	Apps
	Spool
	Handles
	Guards
	IssuerTable
}

// cutReference splits Type/id and returns the id if the type is the one asked for and the id has R4's form.
func cutReference(reference, resourceType string) (id string, ok bool) {
	if len(reference) <= len(resourceType)+1 || reference[:len(resourceType)] != resourceType || reference[len(resourceType)] != '/' {
		return "", false
	}
	id = reference[len(resourceType)+1:]
	return id, validLogicalID(id)
}

// validLogicalID is R4's id type: 1 to 64 of A–Z a–z 0–9 - and .
func validLogicalID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '.' {
			return false
		}
	}
	return true
}
