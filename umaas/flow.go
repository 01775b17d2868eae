package umaas

import (
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// FlowKind is the door an interactive flow came through. Both lead to the same pages and the same policies.
type FlowKind string

// The doors with a person before them.
const (
	FlowClaims    FlowKind = "claims"    // claims interaction endpoint (Grant §3.3.2)
	FlowAuthorize FlowKind = "authorize" // authorization endpoint (RFC 6749 §4.1.1)
	FlowSignIn    FlowKind = "sign-in"   // this server's own pages: a sign-in at a trusted issuer that leads to no app
)

// Flow is one interactive process in one browser. The first request with protocol parameters stores them here and binds
// them to the browser; every later step reads them from here, never from the browser (PS-04, SEC-71).
type Flow struct {
	Key         Key
	Secret      SecretHash // the flow's handle is in the address bar, its browser binding in a cookie
	Browser     SecretHash
	Kind        FlowKind
	Client      ClientID
	RedirectURI string // validated
	State       string
	HasState    bool    // state is echoed iff it was sent (Grant §3.3.3)
	Ticket      *Ticket // claims: the process as taken from the presented ticket
	Authorize   *AuthorizeParams
	Answered    []FlowStep // gathering: the steps that are done, in order
	Trip        *Trip      // under way to a trusted issuer to sign in there
	Account     AccountID  // whoever signed in first; a later change of person ends the flow (SEC-24)
	Expires     time.Time
}

// AuthorizeParams is a validated authorization request.
type AuthorizeParams struct {
	Scope     []string
	Nonce     string
	Challenge string // S256
	Resource  []string
	MaxAge    int // seconds, -1 absent
	Prompt    string
	RS        ClientID // the resource server named by resource or aud, "" none
	JKT       string   // dpop_jkt: the DPoP key the code is for (RFC 9449 §10), "" none
}

// Browser is the value of the browser-binding cookie, "" at the first visit.
type Browser string

// FlowStep is the page a flow is at.
type FlowStep string

// The steps. Each is entered only when the one before is done.
const (
	StepSignIn  FlowStep = "sign-in"
	StepConsent FlowStep = "consent" // the owner herself: what may the app do with her record
	StepStepUp  FlowStep = "step-up" // another party: a policy asks for another sign-in
	StepGather  FlowStep = "gather"  // another party: why she asks, what she says about herself
	StepTerms   FlowStep = "terms"   // another party: what the owner wants agreed to
	StepConfirm FlowStep = "confirm" // another party: what the owner will be told; remember it?
	StepProtect FlowStep = "protect" // a resource server asks for its PAT
	StepBack    FlowStep = "back"    // nothing to ask: go to Redirect
)

// FlowView is all a page needs to show a step.
type FlowView struct {
	ID       string
	Step     FlowStep
	Kind     FlowKind
	App      AppView
	Person   *Account       // signed in
	Digest   string         // of what is shown; an answer must carry it (SEC-47)
	Records  []RecordView   // consent: the sets in question with the lines to tick
	Told     string         // gather, confirm: the literal sentence the owner will read
	Purposes []string       // gather: purpose codes to choose from
	Mine     GatherAnswer   // gather, confirm: what she has answered so far
	StepUp   StepUpView     // step-up
	Terms    []TermsView    // terms
	Urgent   bool           // gather: an emergency may be declared
	Issuers  []SignInIssuer // sign-in: where else she may sign in
	Offline  bool           // authorize: offline_access was asked
	Identity []string       // authorize: identity scopes asked
	Redirect string         // the validated way back, at every step: a page names its origin in form-action
	Expires  time.Time

	permissions []uma.Permission // gathering: what is asked, for the digest alone
}

// AppView is an app as a person should see it.
type AppView struct {
	ID        ClientID
	Name      string
	Host      string // of the validated redirect URI
	URI       string
	PolicyURI string
	TOSURI    string
	Dynamic   bool
	Since     time.Time
	CheckedBy string
	CheckedAt time.Time
}

// RecordView is one resource set with what is asked of it.
type RecordView struct {
	Resource Resource
	Label    string
	Items    []Item
}

// ConsentAnswer is what the form posts: item ids per resource, an end, and the digest of what was shown.
type ConsentAnswer struct {
	Digest string
	Items  []string  // Item.ID
	Until  time.Time // zero: until stopped
}

// GatherAnswer is the requesting party's questionnaire. All of it is her own word.
type GatherAnswer struct {
	Digest    string
	Purpose   string // one of the codes shown, "" none
	Note      string // ≤ 280 characters
	Role      string // what she is to the person, ≤ 80 characters
	Org       string // where she works, ≤ 80 characters
	Emergency bool   // she declares one; only where the page offers it
}

// StepUpView says which sign-in is asked for and where she can have it. Neither a password nor an issuer: nowhere here.
type StepUpView struct {
	ACR      string
	Password bool // by signing in again here
	Issuers  []SignInIssuer
}

// TermsView is one text to agree to.
type TermsView struct {
	ID   string
	Text string
}

// TermsAnswer names the texts she agrees to; those left out she declines.
type TermsAnswer struct {
	Digest string
	Agreed []string // TermsView.ID
}

// ConfirmAnswer sends the details.
type ConfirmAnswer struct {
	Digest   string
	Remember bool // she wants a PCT for this app (Grant §3.3.3, §6.2); off unless she says so
}

// SignInIssuer is a trusted issuer at which people may sign in.
type SignInIssuer struct {
	ID     string // for forms and addresses
	Name   string
	Origin string // of its sign-in page, which a form has to be allowed to lead to (PS-02)
}

// Trip is a sign-in at a trusted issuer under way (OpenID Connect Core §3.1). What makes it this browser's (nonce, PKCE
// verifier) is derived from the browser's cookie and stored nowhere.
type Trip struct {
	State   SecretHash // of the random part of state; one answer is taken
	Issuer  string
	Link    AccountID // the account the identity is to be linked to, "" a sign-in
	MaxAge  int       // seconds asked for with max_age, -1 none
	ACR     string    // class of sign-in it is for, "" any
	To      string    // page of ours to go to afterwards, where no flow waits
	Started time.Time
}

// Redirect is where a flow sends the browser: a validated URI with the answer's parameters added to its kept query.
type Redirect struct {
	URI   string
	Query url.Values
}

// PermissionsView pairs permissions with words, for the owner's pages.
type PermissionsView struct {
	Permission uma.Permission
	Items      []Item
}
