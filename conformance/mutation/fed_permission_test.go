package mutation_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
)

var fedUpdates = map[string]mutation.Mutation{
	"federated.update.status": {Handler: fedStatus(fedItem(http.MethodPut), http.StatusOK, http.StatusAccepted)},
	"federated.update.id":     {Handler: fedDrop(fedItem(http.MethodPut), http.StatusOK, "_id")},
	"federated.update.replaces": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Before(fedItem(http.MethodPut), func(ex *mutation.Exchange) bool {
			m := fedObject(ex.Sent)
			if m == nil {
				return false
			}
			l.see(func() {
				for name, v := range l.made[fedItemID(ex.Request)].body {
					if _, there := m[name]; !there && fedWellTyped[name] {
						m[name] = v
					}
				}
			})
			ex.Sent = fedEncoded(m)
			return false
		})
	})},
	"federated.update.scope-removed": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedAsking, func(ex *mutation.Exchange) {
			if ex.Text("error") == "invalid_scope" && l.all(ex, func(m fedMade, scope string) bool { return slices.Contains(m.scopes, scope) }) {
				fedFakeTicket(ex)
			}
		})
	})},
	"federated.update.scope-added": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedAsking, func(ex *mutation.Exchange) {
			if ex.Status == http.StatusCreated && !fedIsArray(ex) && !l.all(ex, func(m fedMade, scope string) bool { return slices.Contains(m.scopes, scope) }) {
				fedRefuse(ex, http.StatusBadRequest, "invalid_scope")
			}
		})
	})},
	"federated.update.scope-leaves-rpt": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedEditAsked(fedIntrospected, func(ex *mutation.Exchange, m map[string]any) { l.keepScopes(ex.Form.Get("token"), m) })
	})},
	"federated.update.refused-changes-nothing": {Handler: mutation.Around(fedItem(http.MethodPut), func(ex *mutation.Exchange, next http.Handler) {
		ex.Serve(next)
		if ex.Status != http.StatusBadRequest {
			return
		}
		again := ex.Request.Clone(context.WithoutCancel(ex.Request.Context()))
		second := &mutation.Exchange{Request: again, Sent: []byte(`{"name":"changed","resource_scopes":["view"]}`), Header: http.Header{}}
		second.Serve(next)
	})},
}

// editAsked edits a JSON answer by what was asked.
func fedEditAsked(match func(*http.Request) bool, change func(ex *mutation.Exchange, m map[string]any)) fedHandler {
	return mutation.After(match, func(ex *mutation.Exchange) { ex.Edit(func(m map[string]any) { change(ex, m) }) })
}

// all judges every scope of a permission request for one resource by what the resource was made with.
func (l *fedLedger) all(ex *mutation.Exchange, good func(m fedMade, scope string) bool) (yes bool) {
	asked := fedObject(ex.Sent)
	id, _ := asked["resource_id"].(string)
	l.see(func() {
		m, known := l.made[id]
		_, gone := l.deleted[id]
		yes = known && !gone
		for _, scope := range fedStrs(asked["resource_scopes"]) {
			yes = yes && good(m, scope)
		}
	})
	return yes
}

// keepScopes gives a permission back the scopes it once had.
func (l *fedLedger) keepScopes(token string, m map[string]any) {
	list, _ := m["permissions"].([]any)
	l.see(func() {
		for _, one := range list {
			p, _ := one.(map[string]any)
			id, _ := p["resource_id"].(string)
			if had := l.scopes[token+" "+id]; had != nil {
				p["resource_scopes"] = had
			} else {
				l.scopes[token+" "+id] = fedStrs(p["resource_scopes"])
			}
		}
	})
}

// asked is a permission request read strictly; nil when it has another shape.
func fedAsked(raw []byte) []map[string]any {
	list := []map[string]any{}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		if json.Unmarshal(raw, &list) != nil {
			return nil
		}
	} else if m := fedObject(raw); m != nil {
		list = append(list, m)
	} else {
		return nil
	}
	for _, m := range list {
		if v, there := m["resource_id"]; there {
			if _, ok := v.(string); !ok {
				return nil
			}
		}
		if v, there := m["resource_scopes"]; there {
			if scopes, ok := v.([]any); !ok || len(fedStrs(v)) != len(scopes) {
				return nil
			}
		}
	}
	return list
}

func fedIsArray(ex *mutation.Exchange) bool {
	return bytes.HasPrefix(bytes.TrimSpace(ex.Sent), []byte("["))
}

// request changes permission requests for one resource on their way in.
func fedRequest(change func(m map[string]any)) fedHandler {
	return mutation.Before(fedAsking, func(ex *mutation.Exchange) bool {
		if list := fedAsked(ex.Sent); len(list) == 1 && !fedIsArray(ex) {
			change(list[0])
			ex.Sent = fedEncoded(list[0])
		}
		return false
	})
}

// granting answers permission requests that match, and that the server refused, with a ticket.
func fedGranting(match func(ex *mutation.Exchange) bool) fedHandler {
	return mutation.After(fedAsking, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusBadRequest && match(ex) {
			fedFakeTicket(ex)
		}
	})
}

// askedForeign matches a request for one resource of another PAT.
func fedAskedForeign(sameClient bool) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return fedGranting(func(ex *mutation.Exchange) bool {
			id, _ := fedObject(ex.Sent)["resource_id"].(string)
			_, yes := l.foreign(id, fedBearerOf(ex.Request), sameClient)
			return yes && ex.Text("error") == "invalid_resource_id"
		})
	})
}

// partly asks again for those permissions alone that can be had, when the whole request was refused.
func fedPartly(match func(ids []string) bool) fedHandler {
	return mutation.Around(fedAsking, func(ex *mutation.Exchange, next http.Handler) {
		ex.Serve(next)
		list := fedAsked(ex.Sent)
		var ids []string
		for _, m := range list {
			id, _ := m["resource_id"].(string)
			ids = append(ids, id)
		}
		if ex.Status != http.StatusBadRequest || len(list) < 2 || !match(ids) {
			return
		}
		for _, m := range list {
			ex.Sent = fedEncoded(m)
			if ex.Serve(next); ex.Status == http.StatusCreated {
				return
			}
		}
	})
}

func fedUnheardOf(id string) bool { return strings.HasPrefix(id, "none") }

var fedPermissions = map[string]mutation.Mutation{
	"federated.permission.status": {Handler: fedStatus(fedAsking, http.StatusCreated, http.StatusOK)},
	"federated.permission.object": {Handler: mutation.After(fedAsking, func(ex *mutation.Exchange) {
		if !fedIsArray(ex) && ex.Status == http.StatusCreated {
			fedRefuse(ex, http.StatusBadRequest, "invalid_request")
		}
	}), Profile: func(p *conformance.Profile) { p.Fixtures.PermissionRequest = "array" }},
	"federated.permission.ticket": {Handler: mutation.EditJSON(fedAsking, http.StatusCreated, func(m map[string]any) {
		m["permission_ticket"] = m["ticket"]
		delete(m, "ticket")
	})},
	"federated.permission.array": {Handler: mutation.Before(fedAsking, func(ex *mutation.Exchange) bool {
		if fedIsArray(ex) {
			fedRefuse(ex, http.StatusBadRequest, "invalid_request")
		}
		return fedIsArray(ex)
	})},
	"federated.permission.no-scopes": {Handler: mutation.Before(fedAsking, func(ex *mutation.Exchange) bool {
		v, there := fedObject(ex.Sent)["resource_scopes"].([]any)
		if there && len(v) == 0 {
			fedRefuse(ex, http.StatusBadRequest, "invalid_scope")
			return true
		}
		return false
	})},
	"federated.permission.distinct": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedEditAsked(fedAsking, func(ex *mutation.Exchange, m map[string]any) {
			mine := l.about(fedObject(ex.Sent))
			l.see(func() {
				if first := l.tickets[string(ex.Sent)]; mine && first != "" && m["ticket"] != nil {
					m["ticket"] = first
				} else if ticket, ok := m["ticket"].(string); ok {
					l.tickets[string(ex.Sent)] = ticket
				}
			})
		})
	})},
	"federated.permission.represents": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedRequest(func(m map[string]any) {
			id, _ := m["resource_id"].(string)
			if !l.about(m) {
				return
			}
			l.see(func() {
				all := l.made[id].scopes
				if scopes := fedStrs(m["resource_scopes"]); len(scopes) == 1 && len(all) == 2 && scopes[0] == all[0] {
					m["resource_scopes"] = all
				}
			})
		})
	})},
	"federated.permission.represents-all": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Around(fedAsking, func(ex *mutation.Exchange, next http.Handler) {
			ex.Serve(next)
			if list := fedAsked(ex.Sent); ex.Status == http.StatusCreated && len(list) > 1 && l.about(list[0]) {
				ex.Sent = fedEncoded(list[:len(list)-1])
				ex.Serve(next)
			}
		})
	})},
	"federated.ask.no-id": {Handler: fedGranting(func(ex *mutation.Exchange) bool {
		list := fedAsked(ex.Sent)
		return len(list) == 1 && list[0]["resource_id"] == nil
	})},
	"federated.ask.no-scopes-member": {Handler: fedRequest(func(m map[string]any) {
		if _, there := m["resource_scopes"]; !there {
			m["resource_scopes"] = []string{}
		}
	})},
	"federated.ask.empty-array": {Handler: fedGranting(func(ex *mutation.Exchange) bool { return fedIsArray(ex) && len(fedAsked(ex.Sent)) == 0 })},
	"federated.ask.malformed":   {Handler: fedGranting(func(ex *mutation.Exchange) bool { return fedAsked(ex.Sent) == nil })},
	"federated.ask.unknown-resource": {Handler: mutation.EditJSON(fedAsking, http.StatusBadRequest, func(m map[string]any) {
		if m["error"] == "invalid_resource_id" {
			m["error"] = "invalid_request"
		}
	})},
	"federated.ask.unregistered-scope": {Handler: fedRequest(func(m map[string]any) {
		if m["resource_scopes"] == nil {
			return
		}
		m["resource_scopes"] = slices.DeleteFunc(append([]string{}, fedStrs(m["resource_scopes"])...), func(s string) bool { return strings.HasPrefix(s, "unregistered") })
	})},
	"federated.ask.scope-of-another": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedGranting(func(ex *mutation.Exchange) bool {
			return ex.Text("error") == "invalid_scope" && l.all(ex, func(m fedMade, scope string) bool {
				for _, other := range l.made {
					if slices.Contains(other.scopes, scope) && !slices.Contains(m.scopes, scope) {
						return true
					}
				}
				return false
			})
		})
	})},
	"federated.ask.scope-case": {Handler: fedRequest(func(m map[string]any) {
		scopes := append([]string{}, fedStrs(m["resource_scopes"])...)
		for i := range scopes {
			if scopes[i] == strings.ToUpper(scopes[i]) {
				scopes[i] = strings.ToLower(scopes[i])
			}
		}
		if m["resource_scopes"] != nil {
			m["resource_scopes"] = scopes
		}
	})},
	"federated.ask.whole-array": {Handler: fedPartly(func(ids []string) bool { return slices.ContainsFunc(ids, fedUnheardOf) })},
	"federated.ask.two-owners":  {Handler: fedPartly(func(ids []string) bool { return !slices.ContainsFunc(ids, fedUnheardOf) })},
	"federated.ask.other-owner": {Handler: fedAskedForeign(true)},
	"federated.ask.other-rs":    {Handler: fedAskedForeign(false)},
}

// actives edits the object of an active token for a marked resource.
func fedActives(change func(m map[string]any)) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return mutation.EditJSON(fedIntrospected, http.StatusOK, func(m map[string]any) {
			if m["active"] == true && l.about(m) {
				change(m)
			}
		})
	})
}

// inactives edits the object of an inactive one.
func fedInactives(change func(m map[string]any)) fedHandler {
	return mutation.EditJSON(fedIntrospected, http.StatusOK, func(m map[string]any) {
		if m["active"] == false {
			change(m)
		}
	})
}

func fedEachPermission(m map[string]any, change func(p map[string]any)) {
	list, _ := m["permissions"].([]any)
	for _, one := range list {
		if p, ok := one.(map[string]any); ok {
			change(p)
		}
	}
}

// talkative tells one PAT what another may know.
func fedTalkative(sameClient bool) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Around(fedIntrospected, func(ex *mutation.Exchange, next http.Handler) {
			mine := fedBearerOf(ex.Request)
			ex.Serve(next)
			if m := ex.JSON(); m["active"] != false {
				return
			}
			var others []string
			l.see(func() {
				for pat, client := range l.pats {
					if pat != mine && (client == l.pats[mine]) == sameClient {
						others = append(others, pat)
					}
				}
			})
			status, header, body := ex.Status, ex.Header, ex.Body
			for _, pat := range others {
				ex.Request.Header.Set("Authorization", "Bearer "+pat)
				if ex.Serve(next); ex.JSON()["active"] == true && l.about(ex.JSON()) {
					return
				}
			}
			ex.Status, ex.Header, ex.Body = status, header, body
		})
	})
}

var fedIntrospection = map[string]mutation.Mutation{
	"federated.introspection.active": {Handler: fedActives(func(m map[string]any) { m["active"] = "true" })},
	"federated.introspection.media-type": {Handler: mutation.After(fedIntrospected, func(ex *mutation.Exchange) {
		if ex.JSON()["active"] == true {
			ex.Header.Set("Content-Type", "text/plain")
		}
	})},
	"federated.introspection.no-scope": {Handler: fedActives(func(m map[string]any) { m["scope"] = "view" })},
	"federated.introspection.permissions": {Handler: fedActives(func(m map[string]any) {
		list, _ := m["permissions"].([]any)
		m["permissions"] = append(list, "all")
	})},
	"federated.introspection.resource-id": {Handler: fedActives(func(m map[string]any) {
		list, _ := m["permissions"].([]any)
		m["permissions"] = append(list, map[string]any{"resource_id": "nowhere", "resource_scopes": []string{}})
	})},
	"federated.introspection.resource-scopes": {Handler: fedActives(func(m map[string]any) {
		fedEachPermission(m, func(p map[string]any) {
			list, _ := p["resource_scopes"].([]any)
			p["resource_scopes"] = append(list, 7)
		})
	})},
	"federated.introspection.times": {Handler: fedActives(func(m map[string]any) {
		fedEachPermission(m, func(p map[string]any) { p["exp"] = "tomorrow" })
	})},
	"federated.introspection.order-of-times": {Handler: fedActives(func(m map[string]any) {
		fedEachPermission(m, func(p map[string]any) { p["exp"] = float64(4102444800) })
	})},
	"federated.introspection.hint": {Handler: fedEditAsked(fedIntrospected, func(ex *mutation.Exchange, m map[string]any) {
		if ex.Form.Get("token_type_hint") == "something_else" {
			m["active"] = false
		}
	})},
	"federated.inactive.unknown": {Handler: fedInactives(func(m map[string]any) { m["active"] = "false" })},
	"federated.inactive.bare": {
		Handler: fedInactives(func(m map[string]any) { m["reason"] = "unknown" }),
		Also:    []string{"grant.pct.not-for-resource-servers"}, Why: "a PCT is introspected as any value that is no token: both demand a bare answer",
	},
	"federated.inactive.other-owner": {Handler: fedTalkative(true)},
	"federated.inactive.other-rs":    {Handler: fedTalkative(false)},
	"federated.inactive.no-token": {Handler: mutation.After(fedIntrospected, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusBadRequest && !ex.Form.Has("token") {
			ex.Status = http.StatusOK
			ex.SetJSON(map[string]any{"active": false})
		}
	})},
	"federated.inactive.get": {Handler: mutation.Before(mutation.At(http.MethodGet, "/introspect"), func(ex *mutation.Exchange) bool {
		ex.Request.Method = http.MethodPost
		ex.Request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		ex.Sent = []byte(ex.Request.URL.RawQuery)
		ex.Request.URL.RawQuery = ""
		return false
	})},
	"federated.inactive.plain-token": {Handler: mutation.Before(mutation.At(http.MethodPost, "/introspect"), func(ex *mutation.Exchange) bool {
		if _, _, basic := ex.Request.BasicAuth(); !basic {
			return false
		}
		ex.SetJSON(map[string]any{"active": "yes"})
		return true
	})},
}
