package mutation_test

import (
	"bytes"
	"net/http"
	"strings"

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
