package mutation_test

import (
	"net/http"
	"strings"
	"sync"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/umaas/uma"
)

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
