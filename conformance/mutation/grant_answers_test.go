package mutation_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/umaas/uma"
)

// invent answers with an RPT that never was: introspected, it has these permissions. The lock is held.
func (b *book) invent(ex *mutation.Exchange, perms []uma.Permission) {
	b.made++
	value := fmt.Sprintf("invented-%d-%p", b.made, b)
	b.fakes[value] = perms
	ex.Status, ex.Body = http.StatusOK, nil
	ex.Header = http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	ex.SetJSON(map[string]any{"access_token": value, "token_type": "Bearer", "expires_in": 300})
}

// inventions answers introspections of invented RPTs.
func (b *book) inventions(next http.Handler) http.Handler {
	return mutation.Around(atIntrospect, func(ex *mutation.Exchange, next http.Handler) {
		b.mu.Lock()
		perms, ok := b.fakes[ex.Form.Get("token")]
		b.mu.Unlock()
		if ok {
			claimActive(ex, perms)
			return
		}
		ex.Serve(next)
	})(next)
}

// claimActive makes an introspection's answer say that a token is good for permissions.
func claimActive(ex *mutation.Exchange, perms []uma.Permission) {
	ex.Status, ex.Header = http.StatusOK, http.Header{"Content-Type": {"application/json"}}
	ex.SetJSON(map[string]any{"active": true, "permissions": perms, "token_type": "Bearer"})
}

// onTicket changes answers to presentations of tickets.
func (b *book) onTicket(change func(ex *mutation.Exchange, a ask)) wrapper {
	return mutation.After(atToken, func(ex *mutation.Exchange) {
		if ex.Form.Get("grant_type") != uma.GrantTypeTicket {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		change(ex, b.asks[ex.Form.Get("ticket")])
	})
}

// onIntrospection changes what is told of RPTs that the server issued.
func (b *book) onIntrospection(change func(ex *mutation.Exchange, r rpt)) wrapper {
	return mutation.After(atIntrospect, func(ex *mutation.Exchange) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if r, ok := b.rpts[ex.Form.Get("token")]; ok {
			change(ex, r)
		}
	})
}

// before looks at forms at an endpoint, and may answer in the server's place.
func (b *book) before(at func(*http.Request) bool, act func(ex *mutation.Exchange) bool) wrapper {
	return mutation.Before(at, func(ex *mutation.Exchange) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return act(ex)
	})
}

// refuse is an error answer.
func refuse(ex *mutation.Exchange, status int, code string) bool {
	ex.Status, ex.Body = status, nil
	ex.Header = http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
	ex.SetJSON(map[string]any{"error": code})
	return true
}

// needMore is an answer need_info that leads nowhere.
func needMore(ex *mutation.Exchange) {
	refuse(ex, http.StatusForbidden, "need_info")
	ex.Edit(func(m map[string]any) { m["ticket"], m["redirect_user"] = "leads-nowhere", "http://127.0.0.1:9/claims" })
}

// sendTo redirects a browser.
func sendTo(ex *mutation.Exchange, target string) {
	ex.Status, ex.Body, ex.Header = http.StatusFound, nil, http.Header{"Location": {target}}
}

// page shows a page.
func page(ex *mutation.Exchange, status int, text string) {
	ex.Status, ex.Body = status, []byte("<!doctype html><title>Page</title><p>"+text)
	ex.Header = http.Header{"Content-Type": {"text/html"}, "X-Frame-Options": {"DENY"}, "Referrer-Policy": {"no-referrer"}}
}

// back changes the redirect that ends an interaction with a new ticket.
func back(change func(ex *mutation.Exchange, u *url.URL, q url.Values)) wrapper {
	return mutation.After(atPages, func(ex *mutation.Exchange) {
		u, err := url.Parse(ex.Header.Get("Location"))
		if err != nil || !u.Query().Has("ticket") {
			return
		}
		q := u.Query()
		change(ex, u, q)
		u.RawQuery = q.Encode()
		ex.Header.Set("Location", u.String())
	})
}

// hook is a fault in how people's decisions are taken.
type hook struct {
	conformance.Hooks
	change func(q *conformance.HookRequest) (lost bool)
}

// Hook implements conformance.Hooks.
func (h hook) Hook(ctx context.Context, q conformance.HookRequest) (conformance.HookAnswer, error) {
	if h.change(&q) {
		return conformance.HookAnswer{}, nil
	}
	return h.Hooks.Hook(ctx, q)
}

// hooked changes decisions before they are taken; a lost one is never taken.
func hooked(change func(q *conformance.HookRequest) (lost bool)) func(conformance.Hooks) conformance.Hooks {
	return func(h conformance.Hooks) conformance.Hooks { return hook{h, change} }
}
