package mutation_test

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/conformance/mutation"
)

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
