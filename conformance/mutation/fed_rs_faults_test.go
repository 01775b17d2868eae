package mutation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/rsduty"
	"github.com/umaas/umaas/umaas/uma"
)

// fedFault is one way in which a resource server misbehaves.
type fedFault struct {
	fault func(a *rsduty.Authority) fedHandler
	also  []string
	why   string
}

func fedAll(*http.Request) bool { return true }

func fedTokenless(r *http.Request) bool {
	return r.Header.Get("Authorization") == "" && !r.URL.Query().Has("access_token")
}

func fedWithToken(r *http.Request) bool { return r.Header.Get("Authorization") != "" }

// fedOpen gives access where it was refused.
func fedOpen(ex *mutation.Exchange) {
	ex.Status, ex.Header, ex.Body = http.StatusOK, http.Header{"Content-Type": {"application/fhir+json"}}, []byte(`{"resourceType":"Bundle"}`)
}

// fedCall is a call of the resource server to the authority, with a PAT it has just got.
func fedCall(a *rsduty.Authority, method, path string, body any) []byte {
	send := func(method, target, kind, token string, body []byte) []byte {
		req, err := http.NewRequestWithContext(context.Background(), method, target, bytes.NewReader(body))
		if err != nil {
			return nil
		}
		req.Header.Set("Content-Type", kind)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil
		}
		defer func() { _ = res.Body.Close() }()
		raw, _ := io.ReadAll(res.Body) // the authority is in this process
		return raw
	}
	var got uma.TokenResponse
	if json.Unmarshal(send(http.MethodPost, a.Issuer+"/token", "application/x-www-form-urlencoded", "", []byte("grant_type=client_credentials")), &got) != nil {
		return nil
	}
	return send(method, a.Issuer+path, "application/json", got.AccessToken, fedEncoded(body))
}

// fedLast is the resource that was asked about last.
func fedLast(a *rsduty.Authority) rsduty.Registered {
	all := a.Requests()
	if len(all) == 0 {
		return rsduty.Registered{}
	}
	id, _ := all[len(all)-1].Permissions[0]["resource_id"].(string)
	return a.Resources()[id]
}

// fedAsksMore makes a further permission request after each request without a token.
func fedAsksMore(more func(r rsduty.Registered) map[string]any) fedFault {
	return fedFault{fault: func(a *rsduty.Authority) fedHandler {
		return mutation.After(fedTokenless, func(*mutation.Exchange) {
			if r := fedLast(a); r.ID != "" {
				fedCall(a, http.MethodPost, "/permission", more(r))
			}
		})
	}}
}

// fedOnce does something once, before the first request.
func fedOnce(act func(a *rsduty.Authority)) fedFault {
	return fedFault{fault: func(a *rsduty.Authority) fedHandler {
		var once sync.Once
		return mutation.Before(fedAll, func(*mutation.Exchange) bool {
			once.Do(func() { act(a) })
			return false
		})
	}}
}

// fedRedescribes changes the description of whatever was asked about.
func fedRedescribes(change func(m map[string]any)) fedFault {
	return fedFault{fault: func(a *rsduty.Authority) fedHandler {
		return mutation.After(fedTokenless, func(*mutation.Exchange) {
			r := fedLast(a)
			m := map[string]any{}
			for name, v := range r.Raw {
				m[name] = v
			}
			if change(m); r.ID != "" {
				fedCall(a, http.MethodPut, "/resources/"+r.ID, m)
			}
		})
	}}
}

// fedTakes opens where the token's worth is wrong in one way.
func fedTakes(wrong func(worth map[string]any, needed rsduty.Registered) bool) fedFault {
	return fedFault{fault: func(a *rsduty.Authority) fedHandler {
		return mutation.After(fedWithToken, func(ex *mutation.Exchange) {
			worth := a.Worth(fedBearerOf(ex.Request))
			if ex.Status == http.StatusUnauthorized && worth != nil && wrong(worth, fedLast(a)) {
				fedOpen(ex)
			}
		})
	}}
}

// fedAnyPermission tells that one of a token's permissions is of a kind.
func fedAnyPermission(worth map[string]any, kind func(p map[string]any) bool) bool {
	list, _ := worth["permissions"].([]map[string]any)
	for _, p := range list {
		if kind(p) {
			return true
		}
	}
	return false
}

func fedUnix(v any) int64 { n, _ := v.(int64); return n }

// fedAnswers changes the answers to requests that match.
func fedAnswers(match func(*http.Request) bool, change func(ex *mutation.Exchange)) fedFault {
	return fedFault{fault: func(*rsduty.Authority) fedHandler { return mutation.After(match, change) }}
}

func fedHeaders(ex *mutation.Exchange, change func(line string) string) {
	lines := ex.Header.Values("WWW-Authenticate")
	ex.Header.Del("WWW-Authenticate")
	for _, line := range lines {
		if line = change(line); line != "" {
			ex.Header.Add("WWW-Authenticate", line)
		}
	}
}

func fedAlso(f fedFault, why string, also ...string) fedFault {
	f.also, f.why = also, why
	return f
}

var fedHospitals = map[string]fedFault{
	"rs.registration.scopes": fedOnce(func(a *rsduty.Authority) {
		fedCall(a, http.MethodPost, "/resources/", map[string]any{"name": "no scopes"})
	}),
	"rs.permission.known": fedAsksMore(func(rsduty.Registered) map[string]any {
		return map[string]any{"resource_id": "unregistered", "resource_scopes": []string{"view"}}
	}),
	"rs.permission.scopes": fedAsksMore(func(r rsduty.Registered) map[string]any {
		return map[string]any{"resource_id": r.ID, "resource_scopes": []string{"unregistered"}}
	}),
	"rs.permission.reasonable": fedAsksMore(func(r rsduty.Registered) map[string]any {
		return map[string]any{"resource_id": r.ID, "resource_scopes": r.Scopes}
	}),
	"rs.permission.pat": fedOnce(func(a *rsduty.Authority) { fedCall(a, http.MethodGet, "/resources/?access_token=pat", nil) }),
	"rs.tokenless.refused": fedAlso(fedAnswers(fedTokenless, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusUnauthorized {
			ex.Status = http.StatusOK
		}
	}), "an answer that gives access is no 401", "rs.tokenless.status"),
	"rs.tokenless.asks": fedAlso(fedFault{fault: func(a *rsduty.Authority) fedHandler {
		var mu sync.Mutex
		var kept *mutation.Exchange
		return func(next http.Handler) http.Handler {
			return mutation.Around(fedTokenless, func(ex *mutation.Exchange, next http.Handler) {
				mu.Lock()
				defer mu.Unlock()
				if kept == nil || len(a.Requests()) < 3 {
					ex.Serve(next)
					kept = &mutation.Exchange{Status: ex.Status, Header: ex.Header.Clone(), Body: ex.Body}
					return
				}
				ex.Status, ex.Header, ex.Body = kept.Status, kept.Header.Clone(), kept.Body
			})(next)
		}
	}}, "who does not ask has no new ticket, and does not notice that nobody answers", "rs.tokenless.ticket", "rs.unreachable.refused", "rs.unreachable.warning"),
	"rs.tokenless.status": fedAnswers(fedTokenless, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusUnauthorized {
			ex.Status = http.StatusForbidden
		}
	}),
	"rs.tokenless.as-uri": fedAnswers(fedTokenless, func(ex *mutation.Exchange) {
		fedHeaders(ex, func(line string) string {
			return strings.Replace(line, `as_uri="`, `as_uri="https://other.invalid/`, 1)
		})
	}),
	"rs.tokenless.ticket": fedAnswers(fedTokenless, func(ex *mutation.Exchange) {
		fedHeaders(ex, func(line string) string { return strings.Replace(line, `ticket="`, `ticket="old-`, 1) })
	}),
	"rs.unreachable.refused": fedAnswers(fedTokenless, func(ex *mutation.Exchange) {
		if ex.Header.Get("Warning") != "" {
			ex.Status = http.StatusOK
		}
	}),
	"rs.unreachable.warning": fedAnswers(fedTokenless, func(ex *mutation.Exchange) { ex.Header.Del("Warning") }),
	"rs.token.access": fedAnswers(fedWithToken, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusOK {
			ex.Status = http.StatusForbidden
		}
	}),
	"rs.token.unknown": fedAnswers(fedWithToken, func(ex *mutation.Exchange) {
		if strings.HasPrefix(fedBearerOf(ex.Request), "unknown") {
			fedOpen(ex)
		}
	}),
	"rs.token.expired": fedTakes(func(w map[string]any, _ rsduty.Registered) bool { return fedUnix(w["exp"]) < time.Now().Unix() }),
	"rs.token.other-resource": fedTakes(func(w map[string]any, needed rsduty.Registered) bool {
		return fedAnyPermission(w, func(p map[string]any) bool { return p["resource_id"] != needed.ID })
	}),
	"rs.token.no-scopes": fedTakes(func(w map[string]any, _ rsduty.Registered) bool {
		return fedAnyPermission(w, func(p map[string]any) bool { list, _ := p["resource_scopes"].([]string); return len(list) == 0 })
	}),
	"rs.token.no-permissions": fedTakes(func(w map[string]any, _ rsduty.Registered) bool {
		list, ok := w["permissions"].([]map[string]any)
		return ok && len(list) == 0
	}),
	"rs.token.permission-expired": fedTakes(func(w map[string]any, _ rsduty.Registered) bool {
		return fedAnyPermission(w, func(p map[string]any) bool { return p["exp"] != nil && fedUnix(p["exp"]) < time.Now().Unix() })
	}),
	"rs.token.permission-early": fedTakes(func(w map[string]any, _ rsduty.Registered) bool {
		return fedAnyPermission(w, func(p map[string]any) bool { return fedUnix(p["nbf"]) > time.Now().Unix() })
	}),
	"rs.token.withdrawn": {fault: func(*rsduty.Authority) fedHandler {
		var good sync.Map
		return mutation.After(fedWithToken, func(ex *mutation.Exchange) {
			token := fedBearerOf(ex.Request)
			if ex.Status == http.StatusOK {
				good.Store(token, true)
			} else if _, was := good.Load(token); was {
				fedOpen(ex)
			}
		})
	}},
	"rs.token.query": {fault: func(*rsduty.Authority) fedHandler {
		return mutation.Before(fedAll, func(ex *mutation.Exchange) bool {
			q := ex.Request.URL.Query()
			if token := q.Get("access_token"); token != "" {
				q.Del("access_token")
				ex.Request.URL.RawQuery = q.Encode()
				ex.Request.Header.Set("Authorization", "Bearer "+token)
			}
			return false
		})
	}},
	"rs.token.new-ticket": fedAnswers(fedWithToken, func(ex *mutation.Exchange) {
		fedHeaders(ex, func(line string) string {
			if strings.HasPrefix(line, "UMA ") {
				return ""
			}
			return line
		})
	}),
	"rs.heart.type": fedRedescribes(func(m map[string]any) { m["type"] = "https://hospital.example/record" }),
	"rs.heart.scopes": fedAlso(fedRedescribes(func(m map[string]any) { m["resource_scopes"] = []string{"view"} }),
		"what is asked for and what gives access is registered", "rs.permission.scopes", "rs.token.access"),
}
