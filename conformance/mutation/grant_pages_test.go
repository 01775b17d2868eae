package mutation_test

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
)

// arrival changes answers of the claims interaction endpoint.
func arrival(change func(ex *mutation.Exchange, q url.Values)) mutation.Mutation {
	return mutation.Mutation{Handler: mutation.After(atClaims, func(ex *mutation.Exchange) { change(ex, ex.Request.URL.Query()) })}
}

// outward tells that a redirect leaves the server.
func outward(ex *mutation.Exchange) bool {
	to := ex.Header.Get("Location")
	return strings.HasPrefix(to, "http") && !strings.HasPrefix(to, ours.Issuer)
}

// careless redirects to claims redirect URIs that the server refused and somebody takes for good.
func careless(takes func(uri string) bool) mutation.Mutation {
	return arrival(func(ex *mutation.Exchange, q url.Values) {
		if uri := q.Get("claims_redirect_uri"); ex.Status >= 400 && uri != "" && takes(uri) {
			sendTo(ex, uri+"?error=invalid_request")
		}
	})
}

var arrivalFaults = map[string]mutation.Mutation{
	"grant.interaction.client-missing": arrival(func(ex *mutation.Exchange, q url.Values) {
		if !q.Has("client_id") {
			sendTo(ex, q.Get("claims_redirect_uri")+"?error=invalid_request")
		}
	}),
	"grant.interaction.client-unknown": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("client_id") == "umaas-conformance-nobody" {
			sendTo(ex, q.Get("claims_redirect_uri")+"?error=unauthorized_client")
		}
	}),
	"grant.interaction.person-informed": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("client_id") == "umaas-conformance-nobody" {
			ex.Status = http.StatusOK
		}
	}),
	"grant.interaction.ticket-missing": arrival(func(ex *mutation.Exchange, q url.Values) {
		if !q.Has("ticket") {
			page(ex, http.StatusBadRequest, "the ticket is missing")
		}
	}),
	"grant.interaction.ticket-unknown": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("ticket") == nobodysTicket {
			page(ex, http.StatusBadRequest, "the ticket is unknown")
		}
	}),
	"grant.interaction.error-state": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("ticket") == nobodysTicket {
			sendTo(ex, plain(ex.Header.Get("Location"))+"?error=invalid_request")
		}
	}),
	"grant.interaction.foreign-ticket": booked(func(b *book) wrapper {
		return mutation.After(atClaims, func(ex *mutation.Exchange) {
			q := ex.Request.URL.Query()
			b.mu.Lock()
			defer b.mu.Unlock()
			if a := b.asks[q.Get("ticket")]; a.client != "" && a.client != q.Get("client_id") {
				sendTo(ex, q.Get("claims_redirect_uri")+"?ticket=another&state="+url.QueryEscape(q.Get("state")))
			}
		})
	}),
	"grant.claims-redirect-uri.exact": careless(func(uri string) bool { return strings.HasSuffix(uri, "/claims/") }),
	"grant.claims-redirect-uri.every-registered": arrival(func(ex *mutation.Exchange, q url.Values) {
		if strings.Contains(q.Get("claims_redirect_uri"), "?kept=1&empty=") && ex.Status < 400 {
			page(ex, http.StatusBadRequest, "this address is not registered")
		}
	}),
	"grant.claims-redirect-uri.required-with-several": arrival(func(ex *mutation.Exchange, q url.Values) {
		if !q.Has("claims_redirect_uri") && ex.Status >= 400 {
			sendTo(ex, "https://conformance.example/c1/claims?error=invalid_request")
		}
	}),
	"grant.claims-redirect-uri.optional-with-one": arrival(func(ex *mutation.Exchange, q url.Values) {
		if !q.Has("claims_redirect_uri") {
			page(ex, http.StatusBadRequest, "an address to go back to is missing")
		}
	}),
	"grant.claims-redirect-uri.none-registered": careless(func(uri string) bool { return uri == "https://client.example/claims" }),
	"grant.claims-redirect-uri.public-none-registered": {Handler: mutation.Chain(
		registers(func(raw []byte) bool {
			return !bytes.Contains(raw, []byte("claims_redirect_uris")) && bytes.Contains(raw, []byte(`"none"`))
		}, func(ex *mutation.Exchange, _ http.Handler) {
			ex.Status = http.StatusCreated
			ex.SetJSON(map[string]any{"client_id": "public-without-address", "token_endpoint_auth_method": "none"})
		}).Handler,
		arrival(func(ex *mutation.Exchange, q url.Values) {
			if q.Get("client_id") == "public-without-address" {
				sendTo(ex, q.Get("claims_redirect_uri")+"?error=invalid_request")
			}
		}).Handler,
	)},
	"grant.claims-redirect-uri.not-redirect-uri": careless(func(uri string) bool { return strings.HasSuffix(uri, "/callback") }),
	"grant.claims-redirect-uri.fragment": arrival(func(ex *mutation.Exchange, q url.Values) {
		if uri, _, ok := strings.Cut(q.Get("claims_redirect_uri"), "#part"); ok {
			sendTo(ex, uri+"?error=invalid_request")
		}
	}),
	"grant.claims-redirect-uri.relative": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("claims_redirect_uri") == "//attacker.example/claims" {
			sendTo(ex, "//attacker.example/claims")
		}
	}),
	"grant.claims-redirect-uri.query-kept": {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) { q.Del("kept") })},
	"grant.tickets.token-then-claims": booked(func(b *book) wrapper {
		return b.revisits(func(ticket string) bool { return b.counts[ticket] > 0 })
	}),
	"grant.tickets.claims-twice": booked(func(b *book) wrapper {
		return b.revisits(func(ticket string) bool { return b.answers[ticket] == "claims" })
	}),
}

// revisits meets browsers with used tickets at the claims interaction endpoint as if nothing was.
func (b *book) revisits(used func(ticket string) bool) wrapper {
	return mutation.Around(atClaims, func(ex *mutation.Exchange, next http.Handler) {
		b.mu.Lock()
		ticket := ex.Request.URL.Query().Get("ticket")
		again := ticket != "" && used(ticket)
		b.mu.Unlock()
		if ex.Serve(next); again && outward(ex) {
			page(ex, http.StatusOK, "please sign in")
		}
	})
}

var returnFaults = map[string]mutation.Mutation{
	"grant.redirect-back.ticket":       {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) { q.Del("ticket") })},
	"grant.redirect-back.ticket-works": {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) { q.Set("ticket", "leads-nowhere") })},
	"grant.redirect-back.ticket-rotates": booked(func(b *book) wrapper {
		return back(func(ex *mutation.Exchange, _ *url.URL, q url.Values) {
			b.mu.Lock()
			defer b.mu.Unlock()
			q.Set("ticket", b.flows[flowOf(ex.Request.URL.Path)])
		})
	}),
	"grant.redirect-back.state": {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) {
		if q.Has("state") {
			q.Set("state", strings.ReplaceAll(q.Get("state"), "€", "?"))
		}
	})},
	"grant.redirect-back.no-state": {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) {
		if !q.Has("state") {
			q.Set("state", "")
		}
	})},
	"grant.redirect-back.nothing-gathered": {Handler: back(func(_ *mutation.Exchange, _ *url.URL, q url.Values) {
		q.Set("who", "bob@conformance.example")
	})},
	"grant.redirect-back.declined": {Handler: mutation.After(atPages, func(ex *mutation.Exchange) {
		if to := ex.Header.Get("Location"); strings.Contains(to, "access_denied") {
			ex.Header.Set("Location", strings.Replace(to, "access_denied", "server_error", 1))
		}
	})},
	"grant.redirect-back.referrer": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("state") == "s-1" && ex.Request.Header.Get("Cookie") == "" && ex.Status < 400 && !outward(ex) {
			page(ex, http.StatusOK, "please sign in")
			ex.Header.Del("Referrer-Policy")
		}
	}),
	"grant.forgery.cross-site":    booked(func(b *book) wrapper { return b.forgiving(fromAttacker) }),
	"grant.forgery.other-browser": booked(func(b *book) wrapper { return b.forgiving(fromNobody) }),
	"grant.forgery.other-person":  booked(func(b *book) wrapper { return b.forgiving(b.fromSomebodyElse) }),
	"grant.forgery.get": booked(func(b *book) wrapper {
		return b.forgiving(func(r *http.Request) bool { return r.Method == http.MethodGet && r.URL.Query().Has("digest") })
	}),
	"grant.forgery.silent": arrival(func(ex *mutation.Exchange, q url.Values) {
		if q.Get("state") == "s-1" && sessionIn(ex.Request.Header.Get("Cookie")) != "" && ex.Status < 400 && !outward(ex) {
			sendTo(ex, q.Get("claims_redirect_uri")+"?ticket=another&state=s-1")
		}
	}),
	"grant.forgery.names-client": {Handler: mutation.After(atPages, func(ex *mutation.Exchange) {
		ex.Body = bytes.ReplaceAll(ex.Body, []byte("Kestrel Reader"), []byte("An app"))
	})},
	"grant.forgery.framing": {Handler: mutation.After(atPages, func(ex *mutation.Exchange) {
		ex.Header.Del("X-Frame-Options")
		ex.Header.Set("Content-Security-Policy", strings.ReplaceAll(ex.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", "frame-ancestors *"))
	})},
}

// sessionIn is the cookie of the sign-in.
func sessionIn(header string) string {
	for _, pair := range strings.Split(header, "; ") {
		if name, value, _ := strings.Cut(pair, "="); strings.Contains(name, "session") && !strings.HasSuffix(name, "-form") {
			return value
		}
	}
	return ""
}

// forgiving takes a form that a bad sign stands on for the genuine one: it remembers the page that the right browser saw
// and mends whatever is missing or wrong in what was posted.
func (b *book) forgiving(bad func(*http.Request) bool) wrapper {
	return mutation.Around(atPages, func(ex *mutation.Exchange, next http.Handler) {
		r, id := ex.Request, flowOf(ex.Request.URL.Path)
		b.mu.Lock()
		mend, cookie, hidden := bad(r), b.sessions[id], b.hidden[r.URL.Path]
		b.mu.Unlock()
		if mend && cookie != "" {
			form := ex.Form
			if r.Method == http.MethodGet {
				form, r.Method, r.URL.RawQuery = r.URL.Query(), http.MethodPost, ""
				r.RequestURI = r.URL.Path
			}
			for name, values := range hidden {
				form[name] = values
			}
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Origin", ours.Issuer)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			ex.SetForm(form)
		}
		ex.Serve(next)
		if r.Method == http.MethodGet && ex.Status == http.StatusOK {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.sessions[id] = r.Header.Get("Cookie")
			maps.Copy(b.hidden, hiddenIn(ex.Body))
		}
	})
}

// hiddenIn are the hidden inputs of a page's forms, by the path they go to.
func hiddenIn(body []byte) map[string]url.Values {
	out := map[string]url.Values{}
	root, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return out
	}
	at := ""
	for n := range root.Descendants() {
		a := map[string]string{}
		for _, one := range n.Attr {
			a[one.Key] = one.Val
		}
		switch {
		case n.Data == "form":
			u, err := url.Parse(a["action"])
			if err != nil {
				continue
			}
			at = u.Path
			out[at] = url.Values{}
		case n.Data == "input" && a["type"] == "hidden" && at != "":
			out[at].Set(a["name"], a["value"])
		}
	}
	return out
}

// shortLived ends tickets that wait for an owner before the interval is over.
func shortLived() mutation.Mutation {
	var clock *ours.Clock
	born := map[string]time.Time{}
	m := booked(func(b *book) wrapper {
		return mutation.Chain(
			b.before(atToken, func(ex *mutation.Exchange) bool {
				at, known := born[ex.Form.Get("ticket")]
				return known && clock.Now().Sub(at) >= time.Second && refuse(ex, http.StatusBadRequest, "invalid_grant")
			}),
			b.onTicket(func(ex *mutation.Exchange, _ ask) {
				if outcome(ex) == "request_submitted" {
					born[ex.Text("ticket")] = clock.Now()
				}
			}),
		)
	})
	return with(m, func(h conformance.Hooks) conformance.Hooks {
		if s, ok := h.(*ours.Server); ok {
			clock = s.Clock
		}
		return h
	})
}
