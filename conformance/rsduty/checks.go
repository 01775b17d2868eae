package rsduty

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
)

type check = conformance.Check

const (
	must   = conformance.LevelMust
	should = conformance.LevelShould
)

// registering checks what the resource server registers and asks, FedAuthz §3.1, §4.1.
func registering() []check {
	return []check{
		{
			ID: "rs.registration.scopes", Level: must, Covers: []string{"F-027"}, Run: registeredScopes,
			Title: "Every description has resource_scopes, an array of strings",
		},
		{
			ID: "rs.permission.known", Level: must, Covers: []string{"F-055"}, Run: knownResource,
			Title: "Permission requests name resources that are registered",
		},
		{
			ID: "rs.permission.scopes", Level: must, Covers: []string{"F-056", "F-057"}, Run: registeredScopesAsked,
			Title: "Permission requests have resource_scopes, and only scopes that are registered for the resource",
		},
		{
			ID: "rs.permission.reasonable", Level: should, Covers: []string{"G-019", "F-051"}, Run: reasonable,
			Title: "A permission request asks for less than everything the resource has",
		},
		{
			ID: "rs.permission.pat", Level: must, Covers: []string{"F-010"}, Run: patInHeader,
			Title: "The PAT goes into the Authorization header and into no address",
		},
	}
}

func registeredScopes(t *conformance.T) {
	for id, r := range play(t).Resources() {
		list, isArray := r.Raw["resource_scopes"].([]any)
		if !isArray || len(list) != len(r.Scopes) {
			t.Errorf("resource %s: resource_scopes is %v", id, r.Raw["resource_scopes"])
		}
	}
}

func knownResource(t *conformance.T) {
	s := play(t)
	all := s.Resources()
	for _, p := range s.need(t) {
		if id, _ := p["resource_id"].(string); all[id].ID == "" {
			t.Errorf("permission was asked for %v, which is not registered", p["resource_id"])
		}
	}
}

func registeredScopesAsked(t *conformance.T) {
	s := play(t)
	all := s.Resources()
	for _, p := range s.need(t) {
		id, _ := p["resource_id"].(string)
		list, isArray := p["resource_scopes"].([]any)
		if !isArray {
			t.Errorf("resource_scopes is %v, want an array", p["resource_scopes"])
		}
		for _, one := range list {
			scope, _ := one.(string)
			if r, ok := all[id]; ok && !slices.Contains(r.Scopes, scope) {
				t.Errorf("the scope %v was asked for, which is not registered for the resource", one)
			}
		}
	}
}

func reasonable(t *conformance.T) {
	s := play(t)
	all := s.Resources()
	for _, p := range s.need(t) {
		id, _ := p["resource_id"].(string)
		list, _ := p["resource_scopes"].([]any)
		if n := len(all[id].Scopes); n > 1 && len(list) >= n {
			t.Errorf("a GET of one address asks for all %d scopes of the resource", n)
		}
	}
}

func patInHeader(t *conformance.T) {
	s := play(t)
	s.need(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.misused {
		t.Errorf("%s had a token in its address", call)
	}
}

// tokenless checks the answer to a request without a token, Grant §3.2.
func tokenless() []check {
	return []check{
		{
			ID: "rs.tokenless.refused", Level: must, Covers: []string{"G-098", "G-018"}, Run: tokenlessRefused,
			Title: "Without a token there is no access",
		},
		{
			ID: "rs.tokenless.asks", Level: must, Covers: []string{"G-018"}, Run: tokenlessAsks,
			Title: "A request without a token makes the resource server ask for a ticket of its own",
		},
		{
			ID: "rs.tokenless.status", Level: must, Covers: []string{"G-020"}, Run: tokenlessStatus,
			Title: "The answer is 401 with WWW-Authenticate: UMA",
		},
		{
			ID: "rs.tokenless.as-uri", Level: must, Covers: []string{"G-020"}, Run: tokenlessASURI,
			Title: "as_uri is the issuer of the authorization server",
		},
		{
			ID: "rs.tokenless.ticket", Level: must, Covers: []string{"G-018", "G-020"}, Run: tokenlessTicket,
			Title: "ticket is the one the authorization server has just given",
		},
		{
			ID: "rs.unreachable.refused", Level: must, Covers: []string{"G-098", "G-021"}, Run: unreachableRefused,
			Title: "Without an authorization server there is no access and no ticket",
		},
		{
			ID: "rs.unreachable.warning", Level: should, Covers: []string{"G-021"}, Run: unreachableWarning,
			Title: "The answer then warns: 199 UMA Authorization Server Unreachable",
		},
	}
}

func granted(x *conformance.Exchange) bool { return x.Status/100 == 2 }

func tokenlessRefused(t *conformance.T) {
	s := play(t)
	if x := s.get(t, ""); granted(x) || x.Status/100 == 3 {
		t.Errorf("the answer without a token is %d", x.Status)
	}
}

func tokenlessAsks(t *conformance.T) {
	s := play(t)
	before := s.count()
	s.get(t, "")
	if s.count() == before {
		t.Errorf("no permission was asked for")
	}
}

func tokenlessStatus(t *conformance.T) {
	x := play(t).get(t, "")
	if _, there := challenge(x); x.Status != http.StatusUnauthorized || !there {
		t.Errorf("want 401 with WWW-Authenticate: UMA, got %d with %q", x.Status, x.Header.Values("WWW-Authenticate"))
	}
}

// challenged is the challenge where its parts are what the check is about.
func challenged(t *conformance.T, s *scene) conformance.Challenge {
	c, there := challenge(s.get(t, ""))
	if !there {
		t.Blockf("there is no UMA challenge")
	}
	return c
}

func tokenlessASURI(t *conformance.T) {
	s := play(t)
	if c := challenged(t, s); c.Params["as_uri"] != s.Issuer {
		t.Errorf("as_uri is %q, the issuer is %q", c.Params["as_uri"], s.Issuer)
	}
}

func tokenlessTicket(t *conformance.T) {
	s := play(t)
	before := s.count()
	c := challenged(t, s)
	if !slices.ContainsFunc(s.since(before), func(a Asked) bool { return a.Ticket == c.Params["ticket"] }) {
		t.Errorf("the ticket is none that was given for this request")
	}
}

func unreachable(t *conformance.T) *conformance.Exchange {
	s := play(t)
	s.setDown(true)
	defer s.setDown(false)
	return s.get(t, "")
}

func unreachableRefused(t *conformance.T) {
	x := unreachable(t)
	if granted(x) {
		t.Errorf("the answer is %d", x.Status)
	}
	if c, there := challenge(x); there && c.Params["ticket"] != "" {
		t.Errorf("a ticket came along although none was given")
	}
}

func unreachableWarning(t *conformance.T) {
	x := unreachable(t)
	if w := x.Header.Get("Warning"); !strings.HasPrefix(w, "199 ") || !strings.Contains(w, "UMA Authorization Server Unreachable") {
		t.Errorf("Warning is %q", w)
	}
}

// tokens checks requests that bring a token, Grant §3.4, §3.5, FedAuthz §5.
func tokens() []check {
	return []check{
		{
			ID: "rs.token.access", Level: must, Covers: []string{"G-096", "F-060"}, Run: goodToken,
			Title: "An RPT with the permission gives access, as a bearer token in the header",
		},
		{
			ID: "rs.token.unknown", Level: must, Covers: []string{"G-098"}, Run: unknownToken,
			Title: "A token that is not active gives no access",
		},
		{
			ID: "rs.token.expired", Level: must, Covers: []string{"G-098"}, Run: expiredToken,
			Title: "An expired token gives no access, even where introspection calls it active",
		},
		{
			ID: "rs.token.other-resource", Level: must, Covers: []string{"G-098", "F-067"}, Run: otherResource,
			Title: "A permission for another resource gives no access",
		},
		{
			ID: "rs.token.no-scopes", Level: must, Covers: []string{"G-098", "F-068"}, Run: withoutScopes,
			Title: "A permission without scopes gives no access",
		},
		{
			ID: "rs.token.no-permissions", Level: must, Covers: []string{"G-098", "F-066"}, Run: withoutPermissions,
			Title: "A token without permissions gives no access",
		},
		{
			ID: "rs.token.permission-expired", Level: must, Covers: []string{"G-098", "F-069"}, Run: expiredPermission,
			Title: "An expired permission gives no access, though the token lives",
		},
		{
			ID: "rs.token.permission-early", Level: must, Covers: []string{"G-098", "F-069"}, Run: earlyPermission,
			Title: "A permission that does not hold yet gives no access",
		},
		{
			ID: "rs.token.withdrawn", Level: should, Covers: []string{"G-098", "F-060"}, Run: withdrawnToken,
			Title: "A token that was withdrawn gives no access two seconds later",
		},
		{
			ID: "rs.token.query", Level: should, Covers: []string{"G-096"}, Run: tokenInQuery,
			Title: "A token in the address gives no access",
		},
		{
			ID: "rs.token.new-ticket", Level: must, Covers: []string{"G-097"}, Run: newTicket,
			Title: "A token that is not enough is answered like none: 401 with a new ticket",
		},
	}
}

func goodToken(t *conformance.T) {
	s := play(t)
	if x := s.get(t, s.give(s.everything(t), nil)); !granted(x) {
		t.Errorf("access was refused: %d", x.Status)
	}
}

// opens judges a token that must not open the address; one that should is tried first, so that the refusal means something.
func opens(t *conformance.T, s *scene, token, what string) {
	if x := s.get(t, s.give(s.everything(t), nil)); !granted(x) {
		t.Blockf("a good token is refused, too: %d", x.Status)
	}
	if x := s.get(t, token); granted(x) {
		t.Errorf("%s gave access", what)
	}
}

func unknownToken(t *conformance.T) {
	opens(t, play(t), t.Env().Fresh("unknown"), "an unknown token")
}

func expiredToken(t *conformance.T) {
	s := play(t)
	opens(t, s, s.give(s.everything(t), map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), "a token that expired an hour ago")
}

func otherResource(t *conformance.T) {
	s := play(t)
	needed := s.everything(t)
	other := t.Env().Fresh("other")
	for id := range s.Resources() {
		if !slices.ContainsFunc(needed, func(p map[string]any) bool { return p["resource_id"] == id }) {
			other = id
		}
	}
	opens(t, s, s.give(each(needed, func(p map[string]any) { p["resource_id"] = other }), nil), "a permission for another resource")
}

func withoutScopes(t *conformance.T) {
	s := play(t)
	opens(t, s, s.give(each(s.everything(t), func(p map[string]any) { p["resource_scopes"] = []string{} }), nil), "a permission without scopes")
}

func withoutPermissions(t *conformance.T) {
	s := play(t)
	opens(t, s, s.give([]map[string]any{}, nil), "a token without permissions")
}

func expiredPermission(t *conformance.T) {
	s := play(t)
	opens(t, s, s.give(each(s.everything(t), func(p map[string]any) { p["exp"] = time.Now().Add(-time.Hour).Unix() }), nil), "an expired permission")
}

func earlyPermission(t *conformance.T) {
	s := play(t)
	opens(t, s, s.give(each(s.everything(t), func(p map[string]any) { p["nbf"] = time.Now().Add(time.Hour).Unix() }), nil), "a permission of tomorrow")
}

func withdrawnToken(t *conformance.T) {
	s := play(t)
	token := s.give(s.everything(t), nil)
	if x := s.get(t, token); !granted(x) {
		t.Blockf("a good token is refused: %d", x.Status)
	}
	s.withdraw(token)
	t.Wait(2100*time.Millisecond, "the resource server's memory of an introspection")
	if x := s.get(t, token); granted(x) {
		t.Errorf("a token that was withdrawn two seconds ago gave access")
	}
}

func tokenInQuery(t *conformance.T) {
	s := play(t)
	token := s.give(s.everything(t), nil)
	mark := "?"
	if strings.Contains(s.target, "?") {
		mark = "&"
	}
	if x := s.ask(t, s.target+mark+url.Values{"access_token": {token}}.Encode(), ""); granted(x) {
		t.Errorf("a token in the address gave access (RFC 9700 §4.3.2)")
	}
}

func newTicket(t *conformance.T) {
	s := play(t)
	for what, token := range map[string]string{
		"an unknown token":              t.Env().Fresh("nobody"),
		"a permission for other scopes": s.give(each(s.everything(t), func(p map[string]any) { p["resource_scopes"] = []string{"urn:conformance:none"} }), nil),
	} {
		before := s.count()
		x := s.get(t, token)
		c, there := challenge(x)
		if x.Status != http.StatusUnauthorized || !there || !slices.ContainsFunc(s.since(before), func(a Asked) bool { return a.Ticket == c.Params["ticket"] }) {
			t.Errorf("%s: want 401 with a ticket that was given for it, got %d", what, x.Status)
		}
	}
}

// heart checks what HEART's FHIR profile adds for resource servers, FHIR-UMA2 §2.
func heart() []check {
	needs := []conformance.Need{conformance.NeedHEART}
	return []check{
		{
			ID: "rs.heart.type", Level: must, Covers: []string{"H-14"}, Needs: needs, Run: heartTypes,
			Title: "The type of a description is HL7's address of the resource or compartment",
		},
		{
			ID: "rs.heart.scopes", Level: must, Covers: []string{"H-15"}, Needs: needs, Run: heartScopes,
			Title: "A description has at least one FHIR access scope",
		},
	}
}

// asked are the resources that a request for the protected address leads to.
func asked(t *conformance.T) []Registered {
	s := play(t)
	all := s.Resources()
	var out []Registered
	for _, p := range s.need(t) {
		id, _ := p["resource_id"].(string)
		if r, ok := all[id]; ok {
			out = append(out, r)
		}
	}
	if len(out) == 0 {
		t.Blockf("the permission request names no registered resource")
	}
	return out
}

func heartTypes(t *conformance.T) {
	for _, r := range asked(t) {
		kind, _ := r.Raw["type"].(string)
		name, ok := strings.CutPrefix(kind, "http://www.hl7.org/fhir/")
		if !ok || !strings.HasSuffix(name, ".html") {
			t.Errorf("resource %s: type is %q", r.ID, kind)
		}
	}
}

func heartScopes(t *conformance.T) {
	for _, r := range asked(t) {
		if !slices.ContainsFunc(r.Scopes, func(s string) bool {
			context, rest, slash := strings.Cut(s, "/")
			return slash && (context == "patient" || context == "user") && strings.Contains(rest, ".")
		}) {
			t.Errorf("resource %s: none of %q is a FHIR access scope", r.ID, r.Scopes)
		}
	}
}
