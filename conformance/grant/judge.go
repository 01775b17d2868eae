package grant

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// Short names for what every table holds.
type (
	check    = conformance.Check
	exchange = conformance.Exchange
	need     = conformance.Need
)

const (
	must   = conformance.LevelMust
	should = conformance.LevelShould
	may    = conformance.LevelMay
)

// The error codes of the token endpoint that come before any assessment (RFC 6749 §5.2, Grant §3.3.6).
var protocolErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
}

// Decisions of an assessment. access_denied is none of Grant §3.3.6, but servers use it for one, and that has a check of
// its own.
var decisions = []string{uma.ErrNeedInfo.Code, uma.ErrRequestDenied.Code, uma.ErrRequestSubmitted.Code, uma.ErrAccessDenied.Code}

// assessed tells that a token request got as far as the authorization assessment, whatever it decided.
func assessed(x *exchange) bool {
	return x.Text("access_token") != "" || slices.Contains(decisions, x.OAuthError())
}

// told is an answer in one line.
func told(x *exchange) string {
	switch {
	case x.Err != nil:
		return "no answer: " + x.Err.Error()
	case x.OAuthError() != "":
		return "error " + x.OAuthError()
	case x.Text("access_token") != "":
		return "an access token"
	default:
		return http.StatusText(x.Status)
	}
}

// wantError judges status and code of a refusal.
func wantError(t *conformance.T, x *exchange, status int, codes ...string) {
	if x.Status != status || !slices.Contains(codes, x.OAuthError()) {
		t.Errorf("%s: want status %d with error %s, got %d (%s)", x.Label, status, strings.Join(codes, " or "), x.Status, told(x))
	}
}

// wantRefusal judges that a bad request got neither a token nor a fault of the server.
func wantRefusal(t *conformance.T, x *exchange, what string) {
	switch {
	case x.Text("access_token") != "":
		t.Errorf("%s was answered with an access token", what)
	case x.Err != nil || x.Status >= 500:
		t.Errorf("%s made the server fail: %d %s", what, x.Status, told(x))
	case x.Status < 400:
		t.Errorf("%s was not refused: status %d", what, x.Status)
	}
}

// fresh is a resource of Alice's at RS1 that nobody may see, and a ticket for its first scope.
func fresh(t *conformance.T) (conformance.Resource, string) {
	r := t.Resource(conformance.Alice, conformance.RS1)
	return r, t.Ticket(conformance.Alice, conformance.RS1, r.Permission(r.Scopes[0]))
}

// shared is a resource of Alice's at RS1 that Bob may see in full, and a ticket for its first scope.
func shared(t *conformance.T) (conformance.Resource, string) {
	r, ticket := fresh(t)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Bob})
	return r, ticket
}

// asked is a ticket for all scopes of resources of Alice's at RS1.
func asked(t *conformance.T, resources ...conformance.Resource) string {
	perms := make([]uma.Permission, 0, len(resources))
	for _, r := range resources {
		perms = append(perms, r.Permission())
	}
	return t.Ticket(conformance.Alice, conformance.RS1, perms...)
}

// c1 is the client most checks use.
func c1(t *conformance.T) conformance.Client { return t.Client(conformance.C1) }

// firstNeedInfo presents a fresh ticket with nobody known behind it. Servers that let the client itself be the requesting
// party answer otherwise; then need_info cannot be observed this way.
func firstNeedInfo(t *conformance.T, c conformance.Client) (ticket string, x *exchange) {
	_, ticket = fresh(t)
	x = t.Redeem(c, ticket, nil)
	if x.OAuthError() != uma.ErrNeedInfo.Code {
		t.Blockf("a ticket presented with nobody known behind it was not answered with need_info (%s)", told(x))
	}
	return ticket, x
}

// firstSubmitted lets Bob ask without a policy until the server says request_submitted.
func firstSubmitted(t *conformance.T) (conformance.Resource, *exchange) {
	r, ticket := fresh(t)
	x := t.Obtain(c1(t), ticket, conformance.Bob, nil)
	if x.OAuthError() != uma.ErrRequestSubmitted.Code {
		t.Blockf("a request that no policy answers did not lead to request_submitted (%s)", told(x))
	}
	return r, x
}

// token is the RPT of a success; anything else could not be examined.
func token(t *conformance.T, x *exchange) string {
	rpt := x.Text("access_token")
	if rpt == "" {
		t.Blockf("no RPT was issued (%s)", told(x))
	}
	return rpt
}

// grantedTo carries a ticket to an RPT for Bob.
func grantedTo(t *conformance.T, c conformance.Client, ticket string, extra url.Values) (string, *exchange) {
	x := t.Obtain(c, ticket, conformance.Bob, extra)
	return token(t, x), x
}

// alicePAT is Alice's protection token at RS1.
func alicePAT(t *conformance.T) string { return t.PAT(conformance.Alice, conformance.RS1) }

// beyond lists what permissions hold over a bound, as "resource: scope", sorted.
func beyond(permissions, bound map[string][]string) []string {
	var over []string
	for _, id := range slices.Sorted(maps.Keys(permissions)) {
		if _, named := bound[id]; !named {
			over = append(over, id+": not asked for or not given")
			continue
		}
		for _, s := range permissions[id] {
			if !slices.Contains(bound[id], s) {
				over = append(over, id+": "+s)
			}
		}
	}
	return over
}

// wantPermissions judges that an RPT has exactly these permissions.
func wantPermissions(t *conformance.T, got, want map[string][]string) {
	for _, over := range beyond(got, want) {
		t.Errorf("the RPT has more than it should: %s", over)
	}
	for _, missing := range beyond(want, got) {
		t.Errorf("the RPT lacks what it should have: %s", missing)
	}
}
