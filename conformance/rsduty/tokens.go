package rsduty

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
)

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
