package conformance

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

// Level is how strongly the Recommendation demands what a check verifies (RFC 2119).
type Level string

// The three levels. Only a failed LevelMust makes a run fail.
const (
	LevelMust   Level = "MUST"
	LevelShould Level = "SHOULD"
	LevelMay    Level = "MAY"
)

// Subject is the role that a check examines. The zero value is the authorization server.
type Subject string

// The subjects. Checks of SubjectRS and SubjectClient run when the profile names such an endpoint.
const (
	SubjectAS     Subject = ""
	SubjectRS     Subject = "rs"
	SubjectClient Subject = "client"
)

// Need is a capability a check cannot do without. Env.Missing says why one is absent; the check is then skipped with that
// reason and never counted against the server.
type Need string

// The capabilities.
const (
	NeedDynamicRegistration Need = "dynamic registration"    // RFC 7591 at registration_endpoint
	NeedAuthorizationCode   Need = "authorization code"      // a PAT or token through the authorization endpoint's pages
	NeedPolicy              Need = "policies"                // the profile can set and withdraw an owner's policy
	NeedApproval            Need = "approvals"               // the profile can answer an owner's open requests
	NeedBrowser             Need = "form driving"            // login pages are plain HTML forms the suite can drive
	NeedGather              Need = "claims interaction"      // claims_interaction_endpoint, and its pages can be driven
	NeedParty               Need = "requesting party"        // some way to tell the server who the requesting party is
	NeedSecondRS            Need = "second resource server"  // two resource servers with their own credentials
	NeedSecondClient        Need = "second client"           // two confidential clients
	NeedPublicClient        Need = "public client"           // a client without a secret
	NeedPCT                 Need = "persisted claims tokens" // the server issues PCTs
	NeedClaimPush           Need = "pushed claims"           // the server accepts the suite's own OpenID provider
	NeedRefresh             Need = "refresh tokens"          // the server issues refresh tokens with an RPT
	NeedRevocation          Need = "revocation"              // revocation_endpoint
	NeedIntrospection       Need = "introspection"           // introspection_endpoint
	NeedSubmitted           Need = "request_submitted"       // the server asks an owner out of band
	NeedUpgrade             Need = "RPT upgrade"             // the server upgrades RPTs
	NeedScopeParam          Need = "requested scopes"        // pre-registered scopes at the token endpoint
	NeedDPoP                Need = "DPoP"                    // RFC 9449
	NeedPKCE                Need = "PKCE on tickets"         // an extension
	NeedCORS                Need = "CORS"                    // browser-based clients are served
	NeedHEART               Need = "HEART profile"           // the profile says the server claims HEART UMA2
	NeedRS                  Need = "resource server"         // the profile names a protected resource
	NeedClient              Need = "client harness"          // the profile names a client to drive
)

// Check is one question asked of a server. Its verdict is what Run does to t: nothing (pass), Errorf/Fatalf (fail) or
// Skipf.
type Check struct {
	ID      string   // suite.section.what, lower case with hyphens: "grant.need-info.ticket-rotates"
	Title   string   // what is demanded, in our words, one line
	Covers  []string // ids of the register: "G-042"
	Level   Level    // LevelMust only if a covered statement is absolute for the subject
	Subject Subject
	Needs   []Need
	Serial  bool // must not run beside others
	Run     func(t *T)
}

// Suite is the first part of the id: "grant".
func (c Check) Suite() string { suite, _, _ := strings.Cut(c.ID, "."); return suite }

// Section is the first two parts of the id: "grant.need-info".
func (c Check) Section() string {
	parts := strings.SplitN(c.ID, ".", 3)
	if len(parts) < 2 {
		return c.ID
	}
	return parts[0] + "." + parts[1]
}

var checkID = regexp.MustCompile(`^[a-z]+(\.[a-z0-9]+(-[a-z0-9]+)*){2}$`)

// Validate tells every mistake in a set of checks: ids that are malformed or used twice, missing parts, unknown levels.
func Validate(checks []Check) []error {
	var errs []error
	seen := map[string]bool{}
	for _, c := range checks {
		if !checkID.MatchString(c.ID) {
			errs = append(errs, fmt.Errorf("check %q: an id has the form suite.section.what", c.ID))
		}
		if seen[c.ID] {
			errs = append(errs, fmt.Errorf("check %q: the id is used twice", c.ID))
		}
		seen[c.ID] = true
		if c.Title == "" || c.Run == nil || len(c.Covers) == 0 {
			errs = append(errs, fmt.Errorf("check %q: a check has a title, a function and at least one covered statement", c.ID))
		}
		if c.Level != LevelMust && c.Level != LevelShould && c.Level != LevelMay {
			errs = append(errs, fmt.Errorf("check %q: unknown level %q", c.ID, c.Level))
		}
	}
	return errs
}

// Select keeps the checks that one of the patterns matches: an id, a prefix of an id that ends before a dot, a pattern
// with * and ?, or the id of a covered statement ("G-042"). No pattern keeps all. A pattern that matches nothing is an
// error, so that a typing mistake does not look like a pass.
func Select(checks []Check, patterns []string) ([]Check, error) {
	if len(patterns) == 0 {
		return checks, nil
	}
	keep := make([]bool, len(checks))
	for _, p := range patterns {
		found := false
		for i, c := range checks {
			if matches(c, p) {
				keep[i], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("no check matches %q; --list shows all", p)
		}
	}
	var out []Check
	for i, c := range checks {
		if keep[i] {
			out = append(out, c)
		}
	}
	return out, nil
}

func matches(c Check, pattern string) bool {
	if c.ID == pattern || strings.HasPrefix(c.ID, pattern+".") {
		return true
	}
	if ok, err := path.Match(pattern, c.ID); err == nil && ok {
		return true
	}
	for _, id := range c.Covers {
		if strings.EqualFold(id, pattern) {
			return true
		}
	}
	return false
}
