package rsduty

import (
	"net/http"
	"slices"
	"strings"

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
