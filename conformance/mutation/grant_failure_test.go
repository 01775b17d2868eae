package mutation_test

import (
	"net/http"
	"net/url"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
)

var failureFaults = map[string]mutation.Mutation{
	"grant.need-info.status":   replyOf("need_info", func(ex *mutation.Exchange) { ex.Status = http.StatusBadRequest }),
	"grant.need-info.no-store": storable("need_info"),
	"grant.need-info.ticket": replyOf("need_info", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "ticket") })
	}),
	"grant.need-info.ticket-rotates": replyOf("need_info", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { m["ticket"] = ex.Form.Get("ticket") })
	}),
	"grant.need-info.ticket-works": booked(func(b *book) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			return b.asks[ex.Form.Get("ticket")].from == "need_info" && refuse(ex, http.StatusBadRequest, "invalid_grant")
		})
	}),
	"grant.need-info.hints": replyOf("need_info", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "required_claims"); delete(m, "redirect_user") })
	}),
	"grant.need-info.required-claims": replyOf("need_info", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) {
			known, _ := m["required_claims"].([]any)
			m["required_claims"] = append(known, map[string]any{"claim_token_format": "a text", "friendly_name": 5})
		})
	}),
	"grant.need-info.redirect-user": member("need_info", "redirect_user", "http://127.0.0.1:9/claims#here"),
	"grant.need-info.redirect-user-works": {Handler: mutation.Chain(
		replyOf("need_info", func(ex *mutation.Exchange) {
			ex.Edit(func(m map[string]any) { m["redirect_user"] = "http://127.0.0.1:9/claims?id=1" })
		}).Handler,
		mutation.After(atClaims, func(ex *mutation.Exchange) {
			if ex.Request.URL.Query().Get("id") == "1" {
				page(ex, http.StatusNotFound, "there is nothing here")
			}
		}),
	)},
	"grant.errors.invalid-grant-ends": member("invalid_grant", "ticket", "another"),
	"grant.errors.invalid-scope":      member("invalid_scope", "error", "invalid_request"),
	"grant.errors.invalid-scope-ends": member("invalid_scope", "ticket", "another"),
	"grant.errors.no-store":           storable("invalid_grant"),
	"grant.errors.json":               replyOf("invalid_grant", func(ex *mutation.Exchange) { ex.Header.Set("Content-Type", "text/html") }),

	"grant.denied.code":      member("request_submitted", "error", "access_denied"),
	"grant.denied.status":    replyOf("request_denied", func(ex *mutation.Exchange) { ex.Status = http.StatusBadRequest }),
	"grant.denied.no-ticket": member("request_denied", "ticket", "another"),
	"grant.denied.by-owner":  member("request_denied", "error", "request_submitted"),

	"grant.submitted.status":   replyOf("request_submitted", func(ex *mutation.Exchange) { ex.Status = http.StatusBadRequest }),
	"grant.submitted.no-store": storable("request_submitted"),
	"grant.submitted.ticket": replyOf("request_submitted", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "ticket") })
	}),
	"grant.submitted.ticket-rotates": booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if a.from == "request_submitted" && outcome(ex) == "request_submitted" {
				ex.Edit(func(m map[string]any) { m["ticket"] = ex.Form.Get("ticket") })
			}
		})
	}),
	"grant.submitted.interval":          member("request_submitted", "interval", "5 seconds"),
	"grant.submitted.outlives-interval": shortLived(),
	"grant.submitted.approved": {Hooks: hooked(func(q *conformance.HookRequest) bool {
		return q.Action == "approve"
	})},
	"grant.submitted.approved-in-part": {Hooks: hooked(func(q *conformance.HookRequest) bool {
		if q.Action == "approve" {
			q.Scopes = []string{"view", "print", "add", "crop"}
		}
		return false
	})},
	"grant.privacy.owner-untold": booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "need_info" && len(a.perms) > 0 {
				ex.Edit(func(m map[string]any) { m["error_description"] = "more is needed for " + a.perms[0].ResourceID })
			}
		})
	}),
	"grant.privacy.cors": {Handler: mutation.After(atToken, func(ex *mutation.Exchange) {
		if origin := ex.Request.Header.Get("Origin"); origin != "" {
			ex.Header.Set("Access-Control-Allow-Origin", origin)
			ex.Header.Set("Access-Control-Allow-Credentials", "true")
		}
	})},
}

// plain is an address without query and fragment.
func plain(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	u.RawQuery, u.Fragment = "", ""
	return u.String()
}
