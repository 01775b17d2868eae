package conformance

import (
	"context"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// The names of the fixtures. A profile gives each the credentials it has at the server under test; absent ones make the
// checks that need them skip.
const (
	Alice = "alice" // a resource owner
	Carol = "carol" // another resource owner
	Bob   = "bob"   // a requesting party
	Dave  = "dave"  // another requesting party
	C1    = "C1"    // a confidential client
	C2    = "C2"    // another confidential client
	P1    = "P1"    // a public client
	RS1   = "RS1"   // a resource server
	RS2   = "RS2"   // another resource server
)

// Person is somebody who can sign in at the server under test.
type Person struct {
	Name     string // "alice"
	Login    string
	Password string
	Sub      string // what the server calls her in tokens and hooks, where the profile knows it
	Email    string
}

// Client is a registered client and how it authenticates.
type Client struct {
	Name               string // "C1"
	ID                 string
	Secret             string
	Method             string // "client_secret_basic", "client_secret_post", "private_key_jwt", "none"
	RedirectURIs       []string
	ClaimsRedirectURIs []string
	Scopes             []string // what it is registered for, where known
	RegistrationToken  string   // RFC 7592, where the server gave one
	RegistrationURI    string

	asserted Auth // by a new assertion each time, with private_key_jwt
}

// Auth is the client's own authentication.
func (c Client) Auth() Auth {
	switch c.Method {
	case methodKey:
		return c.asserted
	case "client_secret_post":
		return FormSecret(c.ID, c.Secret)
	case "none":
		return FormID(c.ID)
	default:
		return Basic(c.ID, c.Secret)
	}
}

// Public tells that the client has no secret.
func (c Client) Public() bool { return c.Method == "none" }

// RS is a resource server at the server under test: a client that holds PATs.
type RS struct {
	Name   string // "RS1"
	Client Client
}

// Resource is a registered resource.
type Resource struct {
	ID     string
	Owner  string // "alice"
	RS     string // "RS1"
	Scopes []string
	Name   string
}

// Permission asks for scopes of the resource; none means all it was registered with.
func (r Resource) Permission(scopes ...string) uma.Permission {
	if len(scopes) == 0 {
		scopes = r.Scopes
	}
	return uma.Permission{ResourceID: r.ID, Scopes: scopes}
}

// PolicySpec is an owner's rule: this party (through this client, where one is named) may have these scopes.
type PolicySpec struct {
	Resource Resource
	Scopes   []string      // none: all of the resource
	Party    string        // "bob"; "" with a Client: whoever uses the client
	Client   string        // "C1"; "": any client
	For      time.Duration // how long it holds; 0: without end
}

// Policy is a policy that was set; Revoke takes it back.
type Policy struct {
	PolicySpec
	ID string // as the policy hook named it
}

// Answer is what an owner says to an open request.
type Answer string

// The answers.
const (
	Approve Answer = "approve"
	Deny    Answer = "deny"
)

// GatherOptions say how a requesting party behaves at the claims interaction endpoint.
type GatherOptions struct {
	State       string     // "" sends a fresh one; NoState sends none
	RedirectURI string     // "" sends the client's first claims redirect URI; NoRedirectURI sends none
	Cancel      bool       // she declines
	PCT         bool       // she lets the server remember her claims
	Extra       url.Values // further query parameters
	Browser     *Browser   // a browser that is signed in already; nil: a fresh one
	// OnStep is called before each form of the claims pages is sent, sign-in included, with all that would be sent. It may
	// send forged copies first.
	OnStep func(b *Browser, f Form, fields url.Values)
	Start  string // the address to begin with; "" builds it from the metadata or redirect_user
}

// Values of GatherOptions that leave the parameter out.
const (
	NoState       = "\x00none"
	NoRedirectURI = "\x00none"
)

// Gathered is how claims interaction ended.
type Gathered struct {
	Ticket   string   // "" when none came back
	Redirect *url.URL // where the browser was sent at the end; nil when it stayed at the server
	State    string   // what was sent
	Page     *Page    // the last page that was shown
	Browser  *Browser
}

// Hooks act at the server under test for what the specifications leave open. A profile names a command or HTTP requests;
// a test in the same process gives functions.
type Hooks interface {
	// Hook does one thing and returns what is to be known of it. ErrNoHook: the profile has no way to do it.
	Hook(ctx context.Context, q HookRequest) (HookAnswer, error)
}

// HookRequest is what a policy or approval hook is told; a command gets it as JSON on standard input.
type HookRequest struct {
	Action        string   `json:"action"` // "permit", "revoke", "approve", "deny", "pat", "claim-token", "gather"
	Issuer        string   `json:"issuer"`
	Owner         string   `json:"owner,omitempty"` // login
	OwnerName     string   `json:"owner_name,omitempty"`
	OwnerSub      string   `json:"owner_sub,omitempty"`
	Password      string   `json:"password,omitempty"`
	PAT           string   `json:"pat,omitempty"` // of the owner at the resource server
	RS            string   `json:"rs,omitempty"`  // client_id
	RSSecret      string   `json:"rs_secret,omitempty"`
	ResourceID    string   `json:"resource_id,omitempty"`
	ResourceName  string   `json:"resource_name,omitempty"`
	Scopes        []string `json:"scopes,omitempty"`
	Party         string   `json:"party,omitempty"` // login
	PartySub      string   `json:"party_sub,omitempty"`
	PartyPassword string   `json:"party_password,omitempty"`
	Client        string   `json:"client,omitempty"` // client_id
	ClientSecret  string   `json:"client_secret,omitempty"`
	Seconds       int      `json:"seconds,omitempty"`
	ID            string   `json:"id,omitempty"`     // the policy to revoke
	URL           string   `json:"url,omitempty"`    // where to send the requesting party
	Cancel        bool     `json:"cancel,omitempty"` // she declines
	PCT           bool     `json:"pct,omitempty"`    // she lets her claims be kept
}

// HookAnswer is what a hook says; a command prints it as JSON.
type HookAnswer struct {
	ID    string `json:"id,omitempty"`
	Token string `json:"token,omitempty"`

	// Redirect is where the server sent the requesting party back to, with its query; "" when it did not.
	Redirect string `json:"redirect,omitempty"`
	Error    string `json:"error,omitempty"`
}
