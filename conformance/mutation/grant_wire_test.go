package mutation_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/umaas/uma"
)

// document changes the discovery document.
func document(change func(m map[string]any)) mutation.Mutation {
	return mutation.Mutation{Handler: mutation.EditJSON(mutation.At(http.MethodGet, uma.WellKnownUMA), http.StatusOK, change)}
}

// request changes forms at the token endpoint, or answers them.
func request(act func(ex *mutation.Exchange) bool) mutation.Mutation {
	return mutation.Mutation{Handler: mutation.Before(atToken, act)}
}

// reply changes answers of the token endpoint to tickets.
func reply(change func(ex *mutation.Exchange)) mutation.Mutation {
	return mutation.Mutation{Handler: mutation.After(atToken, func(ex *mutation.Exchange) {
		if ex.Form.Get("grant_type") == uma.GrantTypeTicket {
			change(ex)
		}
	})}
}

// replyOf changes answers with one error code, or "success".
func replyOf(kind string, change func(ex *mutation.Exchange)) mutation.Mutation {
	return reply(func(ex *mutation.Exchange) {
		if outcome(ex) == kind {
			change(ex)
		}
	})
}

// member sets a member of answers of one kind.
func member(kind, name string, value any) mutation.Mutation {
	return replyOf(kind, func(ex *mutation.Exchange) { ex.Edit(func(m map[string]any) { m[name] = value }) })
}

// storable lets answers of one kind be stored.
func storable(kind string) mutation.Mutation {
	return replyOf(kind, func(ex *mutation.Exchange) { ex.Header.Del("Cache-Control") })
}

const nobodysTicket = "00000000-f9b9-11e0-bd6f-0021cc6004de"

var discoveryFaults = map[string]mutation.Mutation{
	"grant.discovery.published": {Handler: mutation.After(mutation.At(http.MethodGet, uma.WellKnownUMA), func(ex *mutation.Exchange) {
		ex.Header.Set("Content-Type", "text/plain")
	})},
	"grant.discovery.oauth-metadata": document(func(m map[string]any) { delete(m, "response_types_supported") }),
	"grant.discovery.issuer":         document(func(m map[string]any) { m["issuer"] = "http://127.0.0.1:9/" }),
	"grant.discovery.claims-endpoint": booked(func(b *book) wrapper {
		reads := 0 // the first one is the suite's own: it has to find the endpoint
		return mutation.After(mutation.At(http.MethodGet, uma.WellKnownUMA), func(ex *mutation.Exchange) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if reads++; reads > 1 {
				ex.Edit(func(m map[string]any) { m["claims_interaction_endpoint"] = "http://127.0.0.1:9/claims#here" })
			}
		})
	}),
	"grant.discovery.profiles": document(func(m map[string]any) {
		known, _ := m["uma_profiles_supported"].([]any)
		m["uma_profiles_supported"] = append(known, "no uri at all")
	}),
	"grant.discovery.transport": document(func(m map[string]any) { m["userinfo_endpoint"] = "http://as.example/userinfo" }),
}

// registers changes a registration's metadata on the way in, when it matches.
func registers(matches func(raw []byte) bool, change func(ex *mutation.Exchange, next http.Handler)) mutation.Mutation {
	return mutation.Mutation{Handler: mutation.Around(atRegister, func(ex *mutation.Exchange, next http.Handler) {
		if matches(ex.Sent) {
			change(ex, next)
			return
		}
		ex.Serve(next)
	})}
}

func holds(part string) func([]byte) bool {
	return func(raw []byte) bool { return bytes.Contains(raw, []byte(part)) }
}

// reads replaces text of a registration and goes on.
func reads(old, replacement string) func(ex *mutation.Exchange, next http.Handler) {
	return func(ex *mutation.Exchange, next http.Handler) {
		ex.Sent = bytes.ReplaceAll(ex.Sent, []byte(old), []byte(replacement))
		ex.Serve(next)
	}
}

func refuses(ex *mutation.Exchange, _ http.Handler) {
	refuse(ex, http.StatusBadRequest, "invalid_client_metadata")
}

var registrationFaults = map[string]mutation.Mutation{
	"grant.registration.echoes-claims-redirect-uris": registers(holds("claims?x=1"), func(ex *mutation.Exchange, next http.Handler) {
		ex.Serve(next)
		ex.Edit(func(m map[string]any) { delete(m, "claims_redirect_uris") })
	}),
	"grant.registration.registered-uri-works": {Handler: mutation.Around(atClaims, func(ex *mutation.Exchange, next http.Handler) {
		if ex.Serve(next); ex.Status < 400 && ex.Request.URL.Query().Get("claims_redirect_uri") == "https://client.example/claims" {
			page(ex, http.StatusBadRequest, "this address is not registered")
		}
	})},
	"grant.registration.optional": registers(func(raw []byte) bool {
		return !bytes.Contains(raw, []byte("claims_redirect_uris")) && !bytes.Contains(raw, []byte(`"none"`))
	}, refuses),
	"grant.registration.fragment-refused": registers(holds("#part"), reads("#part", "")),
	"grant.registration.relative-refused": registers(holds(`["/claims"]`), reads(`["/claims"]`, `["https://client.example/claims"]`)),
	"grant.registration.unknown-members":  registers(holds("x_umaas_conformance"), refuses),
	"grant.registration.grant-types": registers(holds(`"grant_types":["authorization_code"]`), func(ex *mutation.Exchange, next http.Handler) {
		ex.Sent = bytes.ReplaceAll(ex.Sent, []byte(`"grant_types":["authorization_code"]`), []byte(`"grant_types":["authorization_code","`+uma.GrantTypeTicket+`"]`))
		ex.Serve(next)
		ex.Edit(func(m map[string]any) { m["grant_types"] = []string{uma.GrantTypeAuthorizationCode} })
	}),
}

var requestFaults = map[string]mutation.Mutation{
	"grant.rpt-request.ticket-missing": reply(func(ex *mutation.Exchange) {
		if !ex.Form.Has("ticket") && !ex.Form.Has("Ticket") {
			refuse(ex, http.StatusBadRequest, "invalid_grant")
		}
	}),
	"grant.rpt-request.parameter-case": request(func(ex *mutation.Exchange) bool {
		if v := ex.Form.Get("Ticket"); v != "" {
			ex.Form.Set("ticket", v)
		}
		return false
	}),
	"grant.rpt-request.value-case": request(func(ex *mutation.Exchange) bool {
		ex.Form.Set("grant_type", strings.ToLower(ex.Form.Get("grant_type")))
		return false
	}),
	"grant.rpt-request.grant-type": {Handler: mutation.EditJSON(atToken, http.StatusBadRequest, func(m map[string]any) {
		if m["error"] == "unsupported_grant_type" {
			m["error"] = "invalid_request"
		}
	})},
	"grant.rpt-request.repeated-parameter": request(func(ex *mutation.Exchange) bool {
		if v := ex.Form["ticket"]; len(v) > 1 {
			ex.Form["ticket"] = v[:1]
		}
		return false
	}),
	"grant.rpt-request.post-only": {Handler: mutation.Around(mutation.At(http.MethodGet, "/token"), func(ex *mutation.Exchange, next http.Handler) {
		r := ex.Request
		ex.Sent = []byte(r.URL.RawQuery)
		r.Method, r.URL.RawQuery, r.RequestURI = http.MethodPost, "", r.URL.Path
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ex.Serve(next)
	})},
	"grant.rpt-request.unknown-parameter": request(func(ex *mutation.Exchange) bool {
		return ex.Form.Has("x_umaas_conformance") && refuse(ex, http.StatusBadRequest, "invalid_request")
	}),
	"grant.rpt-request.claim-token-alone":  request(loses("claim_token", "claim_token_format")),
	"grant.rpt-request.claim-format-alone": request(loses("claim_token_format", "claim_token")),
	"grant.rpt-request.claim-token-garbage": request(func(ex *mutation.Exchange) bool {
		return strings.Contains(ex.Form.Get("claim_token"), "%") && refuse(ex, http.StatusInternalServerError, "server_error")
	}),
	"grant.rpt-request.claim-format-unknown": booked(func(b *book) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			if ex.Form.Get("claim_token_format") != "urn:example:claim-token-format:none" {
				return false
			}
			b.invent(ex, nil)
			return true
		})
	}),
}

// loses drops a parameter that came without another.
func loses(name, without string) func(ex *mutation.Exchange) bool {
	return func(ex *mutation.Exchange) bool {
		if ex.Form.Has(name) && !ex.Form.Has(without) {
			ex.Form.Del(name)
		}
		return false
	}
}

// bareID is a request with client_id alone.
func bareID(ex *mutation.Exchange) bool {
	return ex.Form.Has("client_id") && !ex.Form.Has("client_secret") && ex.Request.Header.Get("Authorization") == ""
}

var clientFaults = map[string]mutation.Mutation{
	"grant.client.public": request(func(ex *mutation.Exchange) bool {
		return bareID(ex) && refuse(ex, http.StatusUnauthorized, "invalid_client")
	}),
	"grant.client.unknown": reply(func(ex *mutation.Exchange) {
		if clientOf(ex) == "umaas-conformance-nobody" {
			refuse(ex, http.StatusBadRequest, "invalid_request")
		}
	}),
	"grant.client.wrong-secret": reply(func(ex *mutation.Exchange) {
		if outcome(ex) == "invalid_client" && ex.Request.Header.Get("Authorization") != "" && clientOf(ex) != "umaas-conformance-nobody" {
			refuse(ex, http.StatusUnauthorized, "invalid_grant")
		}
	}),
	"grant.client.secret-missing": reply(func(ex *mutation.Exchange) {
		if outcome(ex) == "invalid_client" && bareID(ex) {
			needMore(ex)
		}
	}),
	"grant.client.none": reply(func(ex *mutation.Exchange) {
		if clientOf(ex) == "" {
			needMore(ex)
		}
	}),
}

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
