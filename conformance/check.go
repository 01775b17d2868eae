package conformance

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
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

// The capabilities. Their values stand in profiles (absent, offers); Words says them to people.
const (
	NeedDynamicRegistration Need = "dynamic-registration" // RFC 7591 at registration_endpoint
	NeedAuthorizationCode   Need = "authorization-code"   // tokens through the authorization endpoint's pages
	NeedPolicy              Need = "policy"               // the profile can set and withdraw an owner's policy
	NeedApproval            Need = "approval"             // the profile can answer an owner's open requests
	NeedBrowser             Need = "browser"              // pages are plain HTML forms the suite can drive
	NeedGather              Need = "gather"               // claims interaction, with pages that can be driven
	NeedParty               Need = "party"                // some way to tell the server who the requesting party is
	NeedSecondRS            Need = "second-rs"            // two resource servers with their own credentials
	NeedSecondClient        Need = "second-client"        // two confidential clients
	NeedPublicClient        Need = "public-client"        // a client without a secret
	NeedPCT                 Need = "pct"                  // the server issues PCTs
	NeedClaimPush           Need = "claim-push"           // the server accepts the suite's own OpenID provider
	NeedRefresh             Need = "refresh"              // refresh tokens come with an RPT
	NeedRevocation          Need = "revocation"           // revocation_endpoint
	NeedIntrospection       Need = "introspection"        // introspection_endpoint
	NeedSubmitted           Need = "submitted"            // the server asks an owner out of band
	NeedUpgrade             Need = "upgrade"              // the server upgrades RPTs
	NeedScopeParam          Need = "scope-param"          // C1 is pre-registered for a scope to ask at the token endpoint
	NeedDPoP                Need = "dpop"                 // RFC 9449
	NeedPKCE                Need = "ticket-pkce"          // an extension of this project's server
	NeedCORS                Need = "cors"                 // programs in browsers are served
	NeedHEART               Need = "heart"                // the server claims HEART UMA2
	NeedRS                  Need = "rs"                   // the profile names a resource server to examine
	NeedClient              Need = "client"               // the profile names a client to examine
)

var needWords = map[Need]string{
	NeedDynamicRegistration: "dynamic client registration", NeedAuthorizationCode: "the authorization code flow",
	NeedPolicy: "a way to set an owner's policies", NeedApproval: "a way to answer an owner's open requests",
	NeedBrowser: "pages made of plain forms", NeedGather: "interactive claims gathering",
	NeedParty: "a way to tell who the requesting party is", NeedSecondRS: "a second resource server",
	NeedSecondClient: "a second confidential client", NeedPublicClient: "a public client", NeedPCT: "persisted claims tokens",
	NeedClaimPush: "claims pushed from the suite's own OpenID provider", NeedRefresh: "refresh tokens", NeedRevocation: "token revocation",
	NeedIntrospection: "token introspection", NeedSubmitted: "asking the owner (request_submitted)", NeedUpgrade: "RPT upgrading",
	NeedScopeParam: "a client pre-registered for a scope", NeedDPoP: "DPoP", NeedPKCE: "PKCE on tickets", NeedCORS: "CORS",
	NeedHEART: "the HEART profile", NeedRS: "a resource server to examine", NeedClient: "a client to examine",
}

// Needs are all needs, in alphabetical order.
func Needs() []Need { return slices.Sorted(maps.Keys(needWords)) }

// Words says a need to a person.
func (n Need) Words() string {
	if w, ok := needWords[n]; ok {
		return w
	}
	return string(n)
}

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
