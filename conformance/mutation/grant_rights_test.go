package mutation_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

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

// sentAlong finds the RPT that was sent along for another, with whether it is another client's.
func (b *book) sentAlong(r rpt) (old rpt, foreign, ok bool) {
	old, ok = b.rpts[r.sent]
	return old, ok && old.client != r.client, ok && !r.upgraded
}

// adds tells permissions of the RPT that was sent along, although nothing was upgraded.
func adds(when func(b *book, old rpt, foreign bool) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if old, foreign, ok := b.sentAlong(r); ok && when(b, old, foreign) {
				claimActive(ex, append(slices.Clone(r.perms), old.perms...))
			}
		})
	})
}

var upgradeFaults = map[string]mutation.Mutation{
	"grant.upgrade.flag-when-included": replyOf("success", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "upgraded") })
	}),
	"grant.upgrade.included-when-flagged": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if r.upgraded {
				claimActive(ex, r.perms)
			}
		})
	}),
	"grant.upgrade.old-revoked": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			for _, later := range b.rpts {
				if later.sent == r.value && later.upgraded {
					claimActive(ex, r.perms)
				}
			}
		})
	}),
	"grant.upgrade.consistent": booked(func(b *book) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			if b.rpts[ex.Form.Get("rpt")].upgraded {
				ex.Form.Del("rpt")
			}
			return false
		})
	}),
	"grant.upgrade.not-without-rpt": replyOf("success", func(ex *mutation.Exchange) {
		if !ex.Form.Has("rpt") {
			ex.Edit(func(m map[string]any) { m["upgraded"] = true })
		}
	}),
	"grant.upgrade.old-kept": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			for _, other := range b.rpts {
				if other.one(1) && r.one(1) && other.perms[0].ResourceID == r.perms[0].ResourceID && other.perms[0].Scopes[0] != r.perms[0].Scopes[0] {
					ex.SetJSON(map[string]any{"active": false})
				}
			}
		})
	}),
	"grant.upgrade.foreign-client": adds(func(_ *book, _ rpt, foreign bool) bool { return foreign }),
	"grant.upgrade.foreign-stays-active": booked(func(b *book) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			for _, later := range b.rpts {
				if later.sent == r.value && later.client != r.client {
					ex.SetJSON(map[string]any{"active": false})
				}
			}
		})
	}),
	"grant.upgrade.foreign-party": adds(func(b *book, old rpt, foreign bool) bool { return !foreign && !b.revoked[old.value] }),
	"grant.upgrade.garbage": request(func(ex *mutation.Exchange) bool {
		return ex.Form.Get("rpt") == "garbage" && refuse(ex, http.StatusInternalServerError, "server_error")
	}),
	"grant.upgrade.revoked-not-revived": adds(func(b *book, old rpt, _ bool) bool { return b.revoked[old.value] }),
}

// isRefresh looks at refreshes of RPTs' grants.
func (b *book) isRefresh(ex *mutation.Exchange) (rpt, bool) {
	r, ok := b.refresh[ex.Form.Get("refresh_token")]
	return r, ok && ex.Form.Get("grant_type") == uma.GrantTypeRefreshToken
}

// onRefresh changes answers to refreshes.
func onRefresh(change func(b *book, ex *mutation.Exchange, r rpt)) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return mutation.After(atToken, func(ex *mutation.Exchange) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if r, ok := b.isRefresh(ex); ok {
				change(b, ex, r)
			}
		})
	})
}

var refreshFaults = map[string]mutation.Mutation{
	"grant.refresh.works": onRefresh(func(_ *book, ex *mutation.Exchange, _ rpt) { refuse(ex, http.StatusBadRequest, "invalid_grant") }),
	"grant.refresh.no-more": shows(func(r rpt, list []any) []any {
		if r.refreshed && len(list) == 1 && len(scopesOf(list[0])) == 2 {
			withScopes(list[0], scopesOf(list[0])[:1])
		}
		return list
	}),
	"grant.refresh.no-assessment": shows(func(r rpt, list []any) []any {
		if r.refreshed && r.one(1) && len(list) == 1 {
			withScopes(list[0], []any{"view", "print"})
		}
		return list
	}),
	"grant.refresh.scope": booked(func(b *book) wrapper {
		wide := map[string]bool{}
		return mutation.Chain(
			mutation.After(atToken, func(ex *mutation.Exchange) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if _, ok := b.isRefresh(ex); ok && strings.Contains(ex.Form.Get("scope"), " ") {
					wide[ex.Text("access_token")] = true
				}
			}),
			b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
				if wide[r.value] {
					claimActive(ex, []uma.Permission{{ResourceID: r.perms[0].ResourceID, Scopes: []string{"view", "umaas-conformance-no-such-scope"}}})
				}
			}),
		)
	}),
	"grant.refresh.foreign-client": onRefresh(func(b *book, ex *mutation.Exchange, r rpt) {
		if clientOf(ex) != r.client {
			b.invent(ex, r.perms)
		}
	}),
	"grant.withdrawal.refresh": onRefresh(func(b *book, ex *mutation.Exchange, r rpt) {
		if clientOf(ex) == r.client && outcome(ex) == "invalid_grant" && !b.revoked[ex.Form.Get("refresh_token")] {
			b.invent(ex, r.perms)
		}
	}),
}

// ignores answers revocations that match as done, and does nothing.
func ignores(matches func(b *book, ex *mutation.Exchange) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.before(atRevoke, func(ex *mutation.Exchange) bool {
			if !matches(b, ex) {
				return false
			}
			ex.Status = http.StatusOK
			return true
		})
	})
}

// asOwner lets whoever asks revoke an RPT with the credentials of its own client.
func asOwner(matches func(ex *mutation.Exchange, r rpt) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.before(atRevoke, func(ex *mutation.Exchange) bool {
			if r, ok := b.rpts[ex.Form.Get("token")]; ok && matches(ex, r) {
				ex.Request.Header.Set("Authorization", r.auth)
				ex.Form.Del("client_id")
			}
			return false
		})
	})
}

var revocationFaults = map[string]mutation.Mutation{
	"grant.revocation.rpt": ignores(func(b *book, ex *mutation.Exchange) bool {
		_, known := b.rpts[ex.Form.Get("token")]
		return known && ex.Form.Get("token_type_hint") == "access_token"
	}),
	"grant.revocation.wrong-hint": ignores(func(b *book, ex *mutation.Exchange) bool {
		_, known := b.rpts[ex.Form.Get("token")]
		return known && ex.Form.Get("token_type_hint") == uma.HintPCT
	}),
	"grant.revocation.refresh-token": ignores(func(b *book, ex *mutation.Exchange) bool {
		_, known := b.refresh[ex.Form.Get("token")]
		return known
	}),
	"grant.revocation.foreign-client": asOwner(func(ex *mutation.Exchange, r rpt) bool { return clientOf(ex) != r.client }),
	"grant.revocation.authenticated":  asOwner(func(ex *mutation.Exchange, _ rpt) bool { return bareID(ex) }),
	"grant.revocation.hint-pct": {Handler: mutation.Before(atRevoke, func(ex *mutation.Exchange) bool {
		return ex.Form.Get("token") == "umaas-conformance-no-such-pct" && refuse(ex, http.StatusBadRequest, "unsupported_token_type")
	})},
}

// withdrawn are the resources whose policies were taken back.
type withdrawn struct {
	mu   sync.Mutex
	seen map[string]int // scopes of the policy, by resource
}

func (w *withdrawn) note(q *conformance.HookRequest) bool {
	if q.Action == "revoke" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen[q.ResourceID] = len(q.Scopes)
	}
	return false
}

func (w *withdrawn) has(a ask) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.seen[a.perms[0].ResourceID]
	return ok
}

// other tells whether a policy of so many scopes on another resource was taken back.
func (w *withdrawn) other(a ask, scopes int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, n := range w.seen {
		if id != a.perms[0].ResourceID && n == scopes {
			return true
		}
	}
	return false
}

// afterWithdrawal is a fault that knows what was taken back.
func afterWithdrawal(fault func(b *book, w *withdrawn) wrapper) mutation.Mutation {
	var w *withdrawn
	return mutation.Mutation{
		Handler: func(next http.Handler) http.Handler {
			w = &withdrawn{seen: map[string]int{}}
			return booked(func(b *book) wrapper { return fault(b, w) }).Handler(next)
		},
		Hooks: hooked(func(q *conformance.HookRequest) bool { return w.note(q) }),
	}
}

var withdrawalFaults = map[string]mutation.Mutation{
	"grant.withdrawal.rpt": afterWithdrawal(func(b *book, w *withdrawn) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if len(r.perms) == 1 && !r.refreshed && bearerOf(ex) == r.pat && w.has(r.ask) && !b.revoked[r.value] {
				claimActive(ex, r.perms)
			}
		})
	}),
	"grant.withdrawal.new-request": afterWithdrawal(func(b *book, w *withdrawn) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "request_submitted" && len(a.perms) == 1 && w.has(a) {
				b.invent(ex, a.perms)
			}
		})
	}),
	"grant.withdrawal.others-stay": afterWithdrawal(func(b *book, w *withdrawn) wrapper {
		return b.onIntrospection(func(ex *mutation.Exchange, r rpt) {
			if r.one(4) && w.other(r.ask, 4) {
				claimActive(ex, nil)
			}
		})
	}),
}

// replays takes a second presentation of a ticket for the first.
func replays(when func(b *book, a ask, ex *mutation.Exchange) bool, answer func(b *book, a ask, ex *mutation.Exchange)) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "invalid_grant" && when(b, a, ex) {
				answer(b, a, ex)
			}
		})
	})
}

// firstWas tells what the first presentation of the ticket led to.
func firstWas(kind string) func(b *book, a ask, ex *mutation.Exchange) bool {
	return func(b *book, _ ask, ex *mutation.Exchange) bool { return b.answers[ex.Form.Get("ticket")] == kind }
}

func moreNeeded(_ *book, _ ask, ex *mutation.Exchange) { needMore(ex) }

func inventedRPT(b *book, a ask, ex *mutation.Exchange) { b.invent(ex, a.perms) }

func errorCode(code string) func(_ *book, _ ask, ex *mutation.Exchange) {
	return func(_ *book, _ ask, ex *mutation.Exchange) { refuse(ex, http.StatusForbidden, code) }
}

var ticketFaults = map[string]mutation.Mutation{
	"grant.tickets.unknown": reply(func(ex *mutation.Exchange) {
		if ex.Form.Get("ticket") == nobodysTicket {
			ex.Edit(func(m map[string]any) { m["error"] = "invalid_request" })
		}
	}),
	"grant.tickets.garbage": request(func(ex *mutation.Exchange) bool {
		return len(ex.Form.Get("ticket")) == 5000 && refuse(ex, http.StatusInternalServerError, "server_error")
	}),
	"grant.tickets.expired": replays(func(b *book, a ask, ex *mutation.Exchange) bool {
		ticket := ex.Form.Get("ticket")
		return a.from == "permission" && b.counts[ticket] == 1 && b.answers[ticket] == "invalid_grant"
	}, moreNeeded),
	"grant.tickets.single-use": replays(firstWas("success"), func(b *book, _ ask, ex *mutation.Exchange) {
		ex.Status = http.StatusOK
		ex.SetJSON(map[string]any{"access_token": b.won[ex.Form.Get("ticket")], "token_type": "Bearer"})
	}),
	"grant.tickets.race": replays(func(b *book, a ask, ex *mutation.Exchange) bool {
		return a.from != "" && b.counts[ex.Form.Get("ticket")] > 2
	}, moreNeeded),
	"grant.tickets.race-success": replays(func(b *book, a ask, ex *mutation.Exchange) bool {
		return firstWas("success")(b, a, ex) && b.counts[ex.Form.Get("ticket")] > 2
	}, inventedRPT),
	"grant.tickets.dead-after-need-info": replays(func(b *book, a ask, ex *mutation.Exchange) bool {
		return firstWas("need_info")(b, a, ex) && a.one(1) && a.from == "permission"
	}, moreNeeded),
	"grant.tickets.dead-after-invalid-scope": replays(firstWas("invalid_scope"), moreNeeded),
	"grant.tickets.dead-after-denial":        replays(firstWas("request_denied"), errorCode("request_denied")),
	"grant.tickets.dead-after-submission": replays(func(b *book, a ask, ex *mutation.Exchange) bool {
		return firstWas("request_submitted")(b, a, ex) && a.from == "request_submitted"
	}, errorCode("request_submitted")),
	"grant.tickets.claims-then-token": replays(firstWas("claims"), moreNeeded),
	"grant.tickets.foreign-client": replays(func(_ *book, a ask, ex *mutation.Exchange) bool {
		return a.client != "" && a.client != clientOf(ex)
	}, moreNeeded),
	"grant.tickets.unguessable": booked(func(b *book) wrapper {
		return b.renamed(func(n int, _ ask, _ string) string { return fourDigits(n) })
	}),
	"grant.tickets.opaque": booked(func(b *book) wrapper {
		return b.renamed(func(_ int, a ask, real string) string {
			return real + "." + base64.RawURLEncoding.EncodeToString([]byte(a.perms[0].ResourceID))
		})
	}),
}

func fourDigits(n int) string { return fmt.Sprintf("ticket-number-%04d", n) }

// renamed gives tickets of the permission endpoint other values, which the server's own endpoints take in their place.
func (b *book) renamed(name func(n int, a ask, real string) string) wrapper {
	real := map[string]string{}
	return mutation.Chain(
		mutation.After(atPermission, func(ex *mutation.Exchange) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if ticket := ex.Text("ticket"); ticket != "" {
				alias := name(len(real), b.asks[ticket], ticket)
				real[alias] = ticket
				ex.Edit(func(m map[string]any) { m["ticket"] = alias })
			}
		}),
		b.before(atToken, func(ex *mutation.Exchange) bool {
			for i, t := range ex.Form["ticket"] {
				if known, ok := real[t]; ok {
					ex.Form["ticket"][i] = known
				}
			}
			return false
		}),
		b.before(atClaims, func(ex *mutation.Exchange) bool {
			q := ex.Request.URL.Query()
			if t, ok := real[q.Get("ticket")]; ok {
				q.Set("ticket", t)
				ex.Request.URL.RawQuery = q.Encode()
				ex.Request.RequestURI = ex.Request.URL.RequestURI()
			}
			return false
		}),
	)
}
