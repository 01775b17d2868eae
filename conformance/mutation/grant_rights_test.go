package mutation_test

import (
	"context"
	"slices"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
	"github.com/umaas/umaas/umaas/uma"
)

// gives answers with an RPT for all that a ticket asks where the server had asked the owner.
func gives(when func(b *book, a ask, ex *mutation.Exchange) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "request_submitted" && when(b, a, ex) {
				b.invent(ex, a.perms)
			}
		})
	})
}

// registeredWith tells how many scopes the one resource of an ask was registered with.
func (b *book) registeredWith(a ask, scopes int) bool {
	return len(a.perms) == 1 && b.scopes[a.perms[0].ResourceID] == scopes
}

// permits changes policies as they are set.
func permits(change func(q *conformance.HookRequest)) mutation.Mutation {
	return mutation.Mutation{Hooks: hooked(func(q *conformance.HookRequest) bool {
		if q.Action == "permit" {
			change(q)
		}
		return false
	})}
}

// shows changes the permissions that an introspection tells.
func shows(change func(r rpt, list []any) []any) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			ex.Edit(func(m map[string]any) {
				if list, ok := m["permissions"].([]any); ok {
					m["permissions"] = change(r, list)
				}
			})
		})
	})
}

// scopesOf are the scopes of a told permission.
func scopesOf(v any) []any {
	p, _ := v.(map[string]any)
	list, _ := p["resource_scopes"].([]any)
	return list
}

func withScopes(v any, scopes []any) any {
	p, _ := v.(map[string]any)
	p["resource_scopes"] = scopes
	return p
}

const requestedScope = "crop" // what C1 is registered for

var assessmentFaults = map[string]mutation.Mutation{
	"grant.assessment.all": shows(func(r rpt, list []any) []any {
		if len(list) == 1 && len(scopesOf(list[0])) == 3 {
			withScopes(list[0], scopesOf(list[0])[:2])
		}
		return list
	}),
	"grant.assessment.ticket-bounds": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if r.one(1) && b.registeredWith(r.ask, 4) {
				claimActive(ex, []uma.Permission{{ResourceID: r.perms[0].ResourceID, Scopes: []string{"view", "print", "add", "crop"}}})
			}
		})
	}),
	"grant.assessment.partial": permits(func(q *conformance.HookRequest) {
		if slices.Equal(q.Scopes, []string{"view"}) {
			q.Scopes = []string{"view", "print"}
		}
	}),
	"grant.assessment.several-resources": shows(func(r rpt, list []any) []any {
		if len(list) == 3 {
			for i := range list {
				withScopes(list[i], []any{"view", "print", "add"})
			}
		}
		return list
	}),
	"grant.assessment.unshared-companion": gives(func(_ *book, a ask, _ *mutation.Exchange) bool {
		return len(a.perms) == 2 && len(a.perms[0].Scopes) == 2 && len(a.perms[1].Scopes) == 2
	}),
	"grant.assessment.default-deny": gives(func(b *book, a ask, _ *mutation.Exchange) bool { return b.registeredWith(a, 1) }),
	"grant.assessment.other-party": {Hooks: func(h conformance.Hooks) conformance.Hooks {
		return everybody{h}
	}},
	"grant.assessment.other-resource": gives(func(b *book, a ask, _ *mutation.Exchange) bool { return b.registeredWith(a, 3) && a.one(1) }),
	"grant.assessment.requested-scope": booked(func(b *book) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			if ex.Form.Get("scope") == requestedScope && b.registeredWith(b.asks[ex.Form.Get("ticket")], 2) {
				ex.Form.Del("scope")
			}
			return false
		})
	}),
	"grant.assessment.scope-stays-with-its-resource": shows(func(_ rpt, list []any) []any {
		if len(list) == 2 && (slices.Contains(scopesOf(list[0]), any(requestedScope)) || slices.Contains(scopesOf(list[1]), any(requestedScope))) {
			withScopes(list[0], []any{"view", requestedScope})
			withScopes(list[1], []any{"view", requestedScope})
		}
		return list
	}),
	"grant.assessment.scope-not-registered": booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "invalid_scope" && ex.Form.Get("scope") == requestedScope {
				b.invent(ex, []uma.Permission{{ResourceID: a.perms[0].ResourceID, Scopes: []string{"view", requestedScope}}})
			}
		})
	}),
	"grant.assessment.latest-scope": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if r.one(1) && b.registeredWith(r.ask, 3) {
				claimActive(ex, []uma.Permission{{ResourceID: r.perms[0].ResourceID, Scopes: []string{"view", "add", requestedScope}}})
			}
		})
	}),
	"grant.assessment.album": gives(func(_ *book, a ask, ex *mutation.Exchange) bool {
		return len(a.perms) == 3 && ex.Form.Get("scope") == requestedScope
	}),
}

// everybody lets Dave have what Bob is given, where that is three scopes.
type everybody struct{ conformance.Hooks }

// Hook implements conformance.Hooks.
func (e everybody) Hook(ctx context.Context, q conformance.HookRequest) (conformance.HookAnswer, error) {
	a, err := e.Hooks.Hook(ctx, q)
	if err != nil || q.Action != "permit" || q.Party != "bob" || len(q.Scopes) != 3 {
		return a, err
	}
	s, ok := e.Hooks.(*ours.Server)
	if !ok {
		return a, nil
	}
	q.Party, q.PartySub = "dave", s.Profile().People["dave"].Sub
	_, err = e.Hooks.Hook(ctx, q)
	return a, err
}

var successFaults = map[string]mutation.Mutation{
	"grant.success.shape": replyOf("success", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "token_type") })
	}),
	"grant.success.expires-in":      member("success", "expires_in", -1),
	"grant.success.no-store":        storable("success"),
	"grant.success.no-scope":        member("success", "scope", "view"),
	"grant.success.no-ticket":       member("success", "ticket", "another"),
	"grant.success.rpt-unguessable": repeats(func(a ask) bool { return a.one(2) }),
	"grant.success.one-party":       repeats(func(a ask) bool { return a.one(3) }),
	"grant.success.one-resource-server": twice("federated.inactive.other-rs", booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if asker := bearerOf(ex); b.holders[asker] != b.holders[r.pat] {
				claimActive(ex, r.perms)
			}
		})
	})),
	"grant.success.one-owner": twice("federated.inactive.other-owner", booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if asker := bearerOf(ex); asker != r.pat && b.holders[asker] == b.holders[r.pat] {
				claimActive(ex, r.perms)
			}
		})
	})),
}

// twice is a fault that both Recommendations forbid in words of their own.
func twice(other string, m mutation.Mutation) mutation.Mutation {
	m.Also = []string{other}
	m.Why = "introspection is the one window on whose an RPT is; Grant §1.3 and FedAuthz §5.1 with RFC 7662 §4 both say who may look through it"
	return m
}

// repeats gives the RPT of an earlier equal ask again.
func repeats(equal func(a ask) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		first := map[string]string{}
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) != "success" || !equal(a) {
				return
			}
			id := a.perms[0].ResourceID
			if first[id] == "" {
				first[id] = ex.Text("access_token")
				return
			}
			ex.Edit(func(m map[string]any) { m["access_token"] = first[id] })
		})
	})
}
