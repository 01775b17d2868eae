package mutation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance/mutation"
)

// described changes descriptions on their way in; nil refuses them.
func fedDescribed(match func(*http.Request) bool, change func(m map[string]any) map[string]any) fedHandler {
	return mutation.Before(match, func(ex *mutation.Exchange) bool {
		m := fedObject(ex.Sent)
		if m == nil || bytes.Count(ex.Sent, []byte(`"resource_scopes"`)) > 1 {
			return false
		}
		if m = change(m); m == nil {
			fedRefuse(ex, http.StatusBadRequest, "invalid_request")
			return true
		}
		ex.Sent = fedEncoded(m)
		return false
	})
}

func fedEncoded(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return raw
}

func fedStatus(match func(*http.Request) bool, from, to int) fedHandler {
	return mutation.After(match, func(ex *mutation.Exchange) {
		if ex.Status == from {
			ex.Status = to
		}
	})
}

func fedIdBegins(method, prefix string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && strings.HasPrefix(fedItemID(r), prefix) }
}

// answer answers requests that match without asking the server.
func fedAnswer(match func(*http.Request) bool, code int, err string) fedHandler {
	return mutation.Before(match, func(ex *mutation.Exchange) bool {
		fedRefuse(ex, code, err)
		return true
	})
}

func fedRecode(match func(*http.Request) bool, status int) fedHandler {
	return mutation.EditJSON(match, status, func(m map[string]any) { m["error"] = "something_else" })
}

var fedWellTyped = map[string]bool{"name": true, "type": true, "icon_uri": true, "description": true}

var fedRegistration = map[string]mutation.Mutation{
	"federated.description.scopes-required": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		for name := range m {
			if strings.EqualFold(name, "resource_scopes") {
				return m
			}
		}
		m["resource_scopes"] = []string{"view"}
		return m
	})},
	"federated.description.scopes-array": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		if v, there := m["resource_scopes"]; there {
			if list, ok := v.([]any); !ok || len(fedStrs(v)) != len(list) {
				m["resource_scopes"] = []string{"view"}
			}
		}
		return m
	})},
	"federated.description.minimal": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		if _, scopes := m["resource_scopes"]; scopes && len(m) == 1 {
			return nil
		}
		return m
	})},
	"federated.description.values": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		for name := range fedWellTyped {
			if _, text := m[name].(string); !text {
				delete(m, name)
			}
		}
		return m
	})},
	"federated.description.case": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		if v, there := m["Resource_Scopes"]; there {
			delete(m, "Resource_Scopes")
			m["resource_scopes"] = v
		}
		return m
	})},
	"federated.description.unknown-members": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		if _, there := m["https://conformance.invalid/member"]; there {
			return nil
		}
		return m
	})},
	"federated.description.scope-text": {Handler: fedDescribed(fedCreation, func(m map[string]any) map[string]any {
		scopes := fedStrs(m["resource_scopes"])
		for i := range scopes {
			scopes[i] = strings.ToLower(scopes[i])
		}
		if list, ok := m["resource_scopes"].([]any); ok && len(list) == len(scopes) {
			m["resource_scopes"] = scopes
		}
		return m
	})},
	"federated.description.languages": {Handler: fedDrop(fedItem(http.MethodGet), 0, "name#fr")},
	"federated.description.not-fetched": {Handler: mutation.After(fedCreation, func(ex *mutation.Exchange) {
		icon, _ := fedObject(ex.Sent)["icon_uri"].(string)
		if !strings.HasPrefix(icon, "http://127.0.0.1:") {
			return
		}
		req, err := http.NewRequestWithContext(context.WithoutCancel(ex.Request.Context()), http.MethodGet, icon, nil)
		if err != nil {
			return
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
		}
	})},
	"federated.registration.address": {Handler: mutation.Chain(
		mutation.EditJSON(fedDiscovery, 0, func(m map[string]any) {
			u, _ := m["resource_registration_endpoint"].(string)
			m["resource_registration_endpoint"] = strings.TrimSuffix(u, "/")
		}),
		fedAnswer(func(r *http.Request) bool { return fedCreation(r) || fedListing(r) }, http.StatusNotFound, "not_found"),
		mutation.Before(mutation.At("", "/resource_set"), func(ex *mutation.Exchange) bool {
			ex.Request.URL.Path += "/"
			return false
		}))},
	"federated.registration.create-status":   {Handler: fedStatus(fedCreation, http.StatusCreated, http.StatusOK)},
	"federated.registration.create-location": {Handler: mutation.After(fedCreation, func(ex *mutation.Exchange) { ex.Header.Del("Location") })},
	"federated.registration.create-id":       {Handler: fedDrop(fedCreation, http.StatusCreated, "_id")},
	"federated.registration.distinct": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedCreation, func(ex *mutation.Exchange) {
			if fedObject(ex.Sent)["type"] != "https://conformance.invalid/same" || ex.Status != http.StatusCreated {
				return
			}
			l.see(func() {
				if l.hidden["first"] == nil {
					l.hidden["first"] = ex.JSON()
				}
				ex.SetJSON(l.hidden["first"])
			})
		})
	})},
	"federated.registration.same-name": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Before(fedCreation, func(ex *mutation.Exchange) (taken bool) {
			name, _ := fedObject(ex.Sent)["name"].(string)
			l.see(func() {
				for id, m := range l.made {
					if _, gone := l.deleted[id]; !gone && name != "" && m.body["name"] == name {
						taken = true
					}
				}
			})
			if taken {
				fedRefuse(ex, http.StatusConflict, "conflict")
			}
			return taken
		})
	})},
	"federated.registration.read-status":      {Handler: fedStatus(fedItem(http.MethodGet), http.StatusOK, http.StatusNonAuthoritativeInfo)},
	"federated.registration.read-description": {Handler: fedDrop(fedItem(http.MethodGet), 0, "icon_uri")},
	"federated.registration.read-id":          {Handler: fedDrop(fedItem(http.MethodGet), 0, "_id")},
	"federated.registration.list": {Handler: mutation.After(fedListing, func(ex *mutation.Exchange) {
		var ids []string
		if json.Unmarshal(ex.Body, &ids) == nil && ex.Status == http.StatusOK {
			out := []any{}
			for _, id := range ids {
				out = append(out, map[string]any{"_id": id})
			}
			ex.SetJSON(out)
		}
	})},
	"federated.registration.list-complete": {Handler: mutation.After(fedListing, func(ex *mutation.Exchange) {
		var ids []string
		if json.Unmarshal(ex.Body, &ids) == nil && len(ids) > 1 {
			ex.SetJSON(ids[:1])
		}
	})},
	"federated.registration.policy-uri": {Handler: mutation.EditJSON(fedCreation, http.StatusCreated, func(m map[string]any) {
		m["user_access_policy_uri"] = "policy 7"
	})},
	"federated.refusal.unknown-read":   {Handler: fedAnswer(fedIdBegins(http.MethodGet, "none"), http.StatusBadRequest, "invalid_request")},
	"federated.refusal.unknown-update": {Handler: fedAnswer(fedIdBegins(http.MethodPut, "none"), http.StatusBadRequest, "invalid_request")},
	"federated.refusal.unknown-delete": {Handler: fedAnswer(fedIdBegins(http.MethodDelete, "none"), http.StatusNoContent, "")},
	"federated.refusal.method":         {Handler: fedAnswer(fedItem(http.MethodPatch), http.StatusBadRequest, "invalid_request")},
	"federated.refusal.malformed": {Handler: mutation.Before(fedCreation, func(ex *mutation.Exchange) bool {
		if fedObject(ex.Sent) == nil {
			ex.Sent = []byte(`{"resource_scopes":["view"]}`)
		}
		return false
	})},
	"federated.refusal.repeated": {Handler: mutation.Before(fedCreation, func(ex *mutation.Exchange) bool {
		if bytes.Count(ex.Sent, []byte(`"resource_scopes"`)) == 2 {
			ex.Sent = fedEncoded(fedObject(ex.Sent))
		}
		return false
	})},
	"federated.refusal.code-not-found": {Handler: fedRecode(fedItem(http.MethodGet), http.StatusNotFound)},
	"federated.refusal.code-method":    {Handler: fedRecode(fedItem(http.MethodPatch), http.StatusMethodNotAllowed)},
	"federated.refusal.code-invalid":   {Handler: fedRecode(fedCreation, http.StatusBadRequest)},
	"federated.delete.status":          {Handler: fedStatus(fedItem(http.MethodDelete), http.StatusNoContent, http.StatusAccepted)},
	"federated.delete.gone": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedItem(http.MethodGet), func(ex *mutation.Exchange) {
			if id := fedItemID(ex.Request); l.gone(id) && ex.Status == http.StatusNotFound {
				ex.Status = http.StatusOK
				ex.SetJSON(map[string]any{"_id": id, "resource_scopes": []string{}})
			}
		})
	})},
	"federated.delete.twice": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedItem(http.MethodDelete), func(ex *mutation.Exchange) {
			if l.gone(fedItemID(ex.Request)) && ex.Status == http.StatusNotFound {
				ex.Status, ex.Body = http.StatusNoContent, nil
			}
		})
	})},
	"federated.delete.unlisted": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedListing, func(ex *mutation.Exchange) {
			var ids []string
			if json.Unmarshal(ex.Body, &ids) != nil {
				return
			}
			l.see(func() {
				for id := range l.deleted {
					if l.made[id].pat == fedBearerOf(ex.Request) && !slices.Contains(ids, id) {
						ids = append(ids, id)
					}
				}
			})
			ex.SetJSON(ids)
		})
	})},
	"federated.delete.no-tickets": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedAsking, func(ex *mutation.Exchange) {
			if id, _ := fedObject(ex.Sent)["resource_id"].(string); l.gone(id) && ex.Status == http.StatusBadRequest {
				fedFakeTicket(ex)
			}
		})
	})},
	"federated.delete.leaves-rpt": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedIntrospected, func(ex *mutation.Exchange) { l.keepPermissions(ex) })
	})},
	"federated.delete.open-ticket": {Handler: fedStateful(fedLazyDeletion)},
}

func (l *fedLedger) gone(id string) (yes bool) {
	l.see(func() { _, yes = l.deleted[id] })
	return yes
}

// keepPermissions gives deleted resources back to the tokens that had them.
func (l *fedLedger) keepPermissions(ex *mutation.Exchange) {
	token := ex.Form.Get("token")
	o := ex.JSON()
	if o == nil {
		return
	}
	list, _ := o["permissions"].([]any)
	l.see(func() {
		had := l.hidden[token]
		for id, p := range had {
			if _, gone := l.deleted[id]; gone {
				list = append(list, p)
				o["active"], o["permissions"] = true, list
			}
		}
		if o["active"] != true || had != nil {
			return
		}
		l.hidden[token] = map[string]any{}
		for _, one := range list {
			if p, ok := one.(map[string]any); ok {
				if id, ok := p["resource_id"].(string); ok {
					l.hidden[token][id] = p
				}
			}
		}
	})
	ex.SetJSON(o)
}

// lazyDeletion hides deleted resources everywhere but from tickets that are open already.
func fedLazyDeletion(l *fedLedger) fedHandler {
	deletion := mutation.Before(fedItem(http.MethodDelete), func(ex *mutation.Exchange) bool {
		id := fedItemID(ex.Request)
		known := false
		l.see(func() {
			_, known = l.made[id]
			known = known && l.made[id].pat == fedBearerOf(ex.Request) && !l.revoked[fedBearerOf(ex.Request)]
			if known {
				if _, gone := l.deleted[id]; gone {
					fedRefuse(ex, http.StatusNotFound, "not_found")
					return
				}
				l.clock++
				l.deleted[id] = l.clock
				ex.Status = http.StatusNoContent
			}
		})
		return known
	})
	hidden := mutation.Before(fedItem(http.MethodGet), func(ex *mutation.Exchange) bool {
		if !l.gone(fedItemID(ex.Request)) {
			return false
		}
		fedRefuse(ex, http.StatusNotFound, "not_found")
		return true
	})
	noTicket := mutation.Before(fedAsking, func(ex *mutation.Exchange) bool {
		if id, _ := fedObject(ex.Sent)["resource_id"].(string); !l.gone(id) {
			return false
		}
		fedRefuse(ex, http.StatusBadRequest, "invalid_resource_id")
		return true
	})
	unlisted := mutation.After(fedListing, func(ex *mutation.Exchange) {
		var ids []string
		if json.Unmarshal(ex.Body, &ids) == nil {
			ex.SetJSON(slices.DeleteFunc(ids, l.gone))
		}
	})
	filter := mutation.After(fedIntrospected, func(ex *mutation.Exchange) {
		token := ex.Form.Get("token")
		ex.Edit(func(m map[string]any) {
			list, ok := m["permissions"].([]any)
			if !ok {
				return
			}
			l.see(func() {
				m["permissions"] = slices.DeleteFunc(list, func(one any) bool {
					p, _ := one.(map[string]any)
					id, _ := p["resource_id"].(string)
					when, gone := l.deleted[id]
					return gone && l.issued[token] < when
				})
			})
		})
	})
	return mutation.Chain(deletion, hidden, noTicket, unlisted, filter)
}
