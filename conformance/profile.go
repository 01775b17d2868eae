package conformance

import (
	"fmt"
	"time"
)

// Duration is a time.Duration that a profile writes as "90s".
type Duration time.Duration

// Duration is the value.
func (d Duration) Duration() time.Duration { return time.Duration(d) }

// UnmarshalText reads "90s", "2m".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration like 90s or 2m", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// Profile says what the specifications leave open about one server: who can sign in, which clients exist, how a PAT is
// got, how pages are filled in, how an owner's policy is set, and what the server does not offer. Values in {{…}} are
// filled in where they are used; docs/conformance/README.md lists them all.
type Profile struct {
	Server    string     `yaml:"server" validate:"required,max=120"` // name and version, for reports
	Issuer    string     `yaml:"issuer" validate:"required,url"`
	TLS       TLS        `yaml:"tls"`
	MaxWait   Duration   `yaml:"max_wait"`                            // checks that would wait longer are skipped; zero: 5s
	Timeout   Duration   `yaml:"timeout"`                             // of one request; zero: 20s
	Pace      int        `yaml:"pace" validate:"omitempty,min=1"`     // requests a second at most; zero: no limit
	Scopes    []string   `yaml:"scopes" validate:"omitempty,unique"`  // at least four names; none: view, print, add, crop
	Sends     Headers    `yaml:"headers" validate:"omitempty,max=20"` // added to every request, for test systems behind a gate
	People    People     `yaml:"people" validate:"omitempty,dive"`    // alice, carol, bob, dave
	Clients   Clients    `yaml:"clients"`                             // C1, C2, P1, RS1, RS2
	PAT       PATHow     `yaml:"pat"`                                 // how an owner's protection token is got
	Party     PartyHow   `yaml:"party"`                               // how a requesting party is made known
	Pages     []Step     `yaml:"pages" validate:"omitempty,dive"`     // what to do with the forms of the server's pages, first match wins
	Home      string     `yaml:"home"`                                // a page that asks a person to sign in; "" where none is needed
	Hooks     HookSet    `yaml:"hooks"`                               // policies, approvals
	Push      PushHow    `yaml:"claim_push"`                          // the suite's own OpenID provider
	Fixtures  FixtureHow `yaml:"fixtures"`                            // ways around what a server does not do, for the suite's own use
	Lifetimes Lives      `yaml:"lifetimes"`                           // what is known of the server's lifetimes
	Offers    []Need     `yaml:"offers" validate:"omitempty,unique"`  // what cannot be read in the discovery document
	Absent    Absences   `yaml:"absent"`                              // need: why the server has no such thing
	RS        RSHow      `yaml:"resource_server"`                     // a resource server to examine
	Harness   HarnHow    `yaml:"client_harness"`                      // a client to examine
}

// TLS is trust beyond the system's.
type TLS struct {
	Insecure bool   `yaml:"insecure"` // accept any certificate; loopback issuers only
	CAFile   string `yaml:"ca_file"`
}

// Headers are names and values.
type Headers map[string]string

// People are the persons by fixture name.
type People map[string]PersonHow

// Absences are reasons by need.
type Absences map[Need]string

// PersonHow is how a person signs in.
type PersonHow struct {
	Login    string `yaml:"login" validate:"required"`
	Password string `yaml:"password"`
	Sub      string `yaml:"sub"`   // what tokens and hooks call the person, where the server tells
	Email    string `yaml:"email"` // for claims the suite's provider asserts
}

// Clients says where clients come from.
type Clients struct {
	Dynamic      bool                 `yaml:"dynamic"` // register those that are not given below
	Initial      string               `yaml:"initial_access_token"`
	Metadata     map[string]any       `yaml:"metadata"`    // members added to every registration
	RSMetadata   map[string]any       `yaml:"rs_metadata"` // members added to registrations of resource servers
	Given        map[string]ClientHow `yaml:"given" validate:"omitempty,dive"`
	Method       string               `yaml:"method" validate:"omitempty,oneof=client_secret_basic client_secret_post private_key_jwt"` // of those that register; "": client_secret_basic
	Signing      string               `yaml:"signing" validate:"omitempty,oneof=ES256 RS256"`                                           // with private_key_jwt; "": ES256
	CallbackHost string               `yaml:"callback"`                                                                                 // origin of redirect URIs; "": https://conformance.invalid
}

// ClientHow is a client that exists already.
type ClientHow struct {
	ID              string   `yaml:"id" validate:"required"`
	Secret          string   `yaml:"secret"`
	Method          string   `yaml:"method" validate:"omitempty,oneof=client_secret_basic client_secret_post private_key_jwt none"`
	KeyFile         string   `yaml:"key_file"` // the private key, a JWK or PEM
	Key             *Key     `yaml:"-"`        // in place of KeyFile
	RedirectURIs    []string `yaml:"redirect_uris"`
	ClaimsRedirects []string `yaml:"claims_redirect_uris"`
	Scopes          []string `yaml:"scopes"`
}

// PATHow is how an owner's PAT is got.
type PATHow struct {
	How   string            `yaml:"how" validate:"omitempty,oneof=authorization_code client_credentials password hook"`
	Scope string            `yaml:"scope"` // "": uma_protection
	Extra map[string]string `yaml:"extra"` // further parameters of the authorization or token request
	Owner string            `yaml:"owner"` // client_credentials: the one owner such a token stands for
}

// PartyHow is how the server learns who the requesting party is.
type PartyHow struct {
	How      string `yaml:"how" validate:"omitempty,oneof=gather claim_token client none"`
	Format   string `yaml:"format"`                                        // claim_token_format
	From     string `yaml:"from" validate:"omitempty,oneof=hook provider"` // claim_token: where it comes from
	ClientIs string `yaml:"client_is" validate:"omitempty,oneof=bob dave"` // client: whom the client stands for
}

// Step says what to do with a page: the first step whose form is on the page is taken, over and over, until the browser
// leaves the server.
type Step struct {
	Name   string            `yaml:"name" validate:"required"`
	For    []string          `yaml:"for" validate:"omitempty,dive,oneof=pat code gather cancel pct home hook"` // none: any purpose
	Inputs []string          `yaml:"inputs"`                                                                   // the form has all of these
	Button string            `yaml:"button"`                                                                   // the form has this button: name=value, name, id or first words
	Text   string            `yaml:"text"`                                                                     // the page says this
	Link   string            `yaml:"link"`                                                                     // instead of a form: follow the first link that contains this
	Fill   map[string]string `yaml:"fill"`
	Tick   string            `yaml:"tick" validate:"omitempty,oneof=all none scopes"` // checkboxes; "": as they are
	Under  string            `yaml:"under"`                                           // tick only those under a heading that contains this
	Press  string            `yaml:"press"`                                           // "": the button above, or the first
}

// HookSet are the ways to act for people where no specification says how.
type HookSet struct {
	Permit     *HookHow `yaml:"permit"`
	Revoke     *HookHow `yaml:"revoke"`
	Approve    *HookHow `yaml:"approve"`
	Deny       *HookHow `yaml:"deny"`
	PAT        *HookHow `yaml:"pat"`
	ClaimToken *HookHow `yaml:"claim_token"`
	Gather     *HookHow `yaml:"gather"` // in place of pages: takes the requesting party through the pages at url
}

// HookHow is one hook: a command, or HTTP requests in a row, or pages to drive. Command gets a HookRequest as JSON on
// standard input and prints a HookAnswer.
type HookHow struct {
	Command []string   `yaml:"command" validate:"excluded_with=HTTP Open,omitempty,min=1"`
	HTTP    []HookCall `yaml:"http" validate:"excluded_with=Open,omitempty,min=1,dive"`
	Open    string     `yaml:"open"` // an address to open as the owner, then Pages are driven with the purpose "hook"
	Pages   []Step     `yaml:"pages" validate:"omitempty,dive"`
	IDAfter string     `yaml:"id_after"` // the answer's id is what follows this in the last page's address
	Done    string     `yaml:"done"`     // words on the page at which the work is done; "": when no step matches any more
}

// HookCall is one request of a hook. Strings may hold {{issuer}}, {{owner}}, {{owner_sub}}, {{password}}, {{pat}}, {{rs}},
// {{rs_secret}}, {{resource_id}}, {{resource_name}}, {{scopes}}, {{party}}, {{party_sub}}, {{party_password}}, {{client}},
// {{client_secret}}, {{seconds}}, {{id}}, and {{name}} for what an earlier call kept. A JSON string that is exactly
// "{{scopes}}" becomes the list.
type HookCall struct {
	Method string            `yaml:"method" validate:"omitempty,oneof=GET POST PUT PATCH DELETE"`
	URL    string            `yaml:"url" validate:"required"`
	Bearer string            `yaml:"bearer"`
	Basic  string            `yaml:"basic"` // "id:secret"
	Header map[string]string `yaml:"header"`
	Form   map[string]string `yaml:"form"`
	JSON   any               `yaml:"json"`
	Keep   map[string]string `yaml:"keep"` // name: JSON member of the answer, "a.b.0.c"; the names id and token are the hook's answer
}

// FixtureHow lets the suite's fixtures go around a server's deviation, so that it fails the one check that asks about it and
// does not block all others. Checks that ask about the thing itself pay no heed to it.
type FixtureHow struct {
	PermissionRequest string         `yaml:"permission_request" validate:"omitempty,oneof=array"` // send an array for one permission too
	Introspection     string         `yaml:"introspection" validate:"omitempty,oneof=client"`     // authenticate as the resource server's client, not by PAT
	IntrospectionHint string         `yaml:"introspection_hint"`                                  // token_type_hint of the fixtures
	Resource          map[string]any `yaml:"resource"`                                            // members added to each resource description; null removes one
}

// Describe puts the profile's members over a resource description of the fixtures; a null removes one.
func (f FixtureHow) Describe(description map[string]any) { merge(description, f.Resource) }

// PushHow says how the server trusts the suite's own OpenID provider.
type PushHow struct {
	Listen   string `yaml:"listen" validate:"omitempty,hostname_port"` // "127.0.0.1:9911"
	Issuer   string `yaml:"issuer" validate:"omitempty,url"`           // as the server knows it; "": http:// and Listen
	Format   string `yaml:"format"`                                    // "": the ID token format of OpenID Connect
	Audience string `yaml:"audience"`                                  // "{{issuer}}", "{{client}}"; "": the server's issuer
}

// Lives are lifetimes that are known of the server.
type Lives struct {
	Ticket Duration `yaml:"ticket"`
	RPT    Duration `yaml:"rpt"`
	Claims Duration `yaml:"claims"` // the page after redirect_user
}

// RSHow names a resource server to examine. Its checks reach it over HTTP, and its authorization server is played by the
// suite.
type RSHow struct {
	Listen   string `yaml:"listen" validate:"omitempty,hostname_port"` // where the suite plays the authorization server
	Resource string `yaml:"resource" validate:"omitempty,url"`         // a protected address
}

// HarnHow names a client to examine: a web app that begins a process when a form is posted to its start address. The suite
// plays the resource server, the authorization server and the browser around it.
type HarnHow struct {
	Listen string `yaml:"listen" validate:"omitempty,hostname_port"` // where the suite plays the resource and its authorization server
	Start  string `yaml:"start" validate:"omitempty,url"`            // posted to by the browser
	Form   string `yaml:"form"`                                      // the form; {{resource}} is the protected address
}
