package mutation_test

import (
	"net/http"
	"slices"

	"github.com/umaas/umaas/conformance/mutation"
)

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
