package mutation_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/conformance/federated"
	"github.com/umaas/umaas/conformance/grant"
	"github.com/umaas/umaas/conformance/mutation"
)

// On the honest server every check of the suite passes, or is skipped with a reason.
func TestFederatedHonest(t *testing.T) {
	for id, why := range honest(t, federated.Checks()) {
		t.Logf("%s is skipped: %s", id, why)
	}
}

// Every check of the suite sees its fault, and no other check does.
func TestFederatedMutations(t *testing.T) {
	table := map[string]mutation.Mutation{}
	for _, part := range []map[string]mutation.Mutation{fedTokens, fedSeparation, fedRegistration, fedUpdates, fedPermissions, fedIntrospection} {
		maps.Copy(table, part)
	}
	judge(t, federated.Checks(), append(federated.Checks(), grant.Checks()...), table)
}

type fedHandler = func(http.Handler) http.Handler

// ledger is what a mutation knows of the traffic so far.
type fedLedger struct {
	mu      sync.Mutex
	clock   int
	made    map[string]fedMade        // resources by id
	deleted map[string]int            // when
	pats    map[string]string         // PAT: client
	issued  map[string]int            // every access token: when
	rpts    map[string]bool           // tokens of the ticket grant
	last    string                    // the PAT that worked last
	texts   []string                  // names and descriptions
	scopes  map[string][]string       // RPT and resource: scopes seen by introspection
	tickets map[string]string         // body of a permission request: ticket
	hidden  map[string]map[string]any // free for the mutation
	revoked map[string]bool
}

type fedMade struct {
	body   map[string]any
	scopes []string
	pat    string
}

func fedNewLedger() *fedLedger {
	return &fedLedger{
		made: map[string]fedMade{}, deleted: map[string]int{}, pats: map[string]string{}, issued: map[string]int{}, rpts: map[string]bool{},
		scopes: map[string][]string{}, tickets: map[string]string{}, hidden: map[string]map[string]any{}, revoked: map[string]bool{},
	}
}

// stateful puts a mutation before a ledger before the server.
func fedStateful(build func(l *fedLedger) fedHandler) fedHandler {
	return func(next http.Handler) http.Handler {
		l := fedNewLedger()
		return build(l)(l.watch(next))
	}
}

func fedBearerOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func fedStrs(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, one := range list {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func fedObject(raw []byte) map[string]any {
	var m map[string]any
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

func fedItemID(r *http.Request) string {
	_, id, found := strings.Cut(r.URL.Path, "/resource_set/")
	if !found {
		return ""
	}
	return id
}

// watch writes the ledger.
func (l *fedLedger) watch(next http.Handler) http.Handler {
	interesting := func(r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/token") || strings.HasSuffix(r.URL.Path, "/revoke") || strings.Contains(r.URL.Path, "/resource_set/")
	}
	return mutation.After(interesting, func(ex *mutation.Exchange) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.clock++
		switch r := ex.Request; {
		case strings.HasSuffix(r.URL.Path, "/token"):
			l.token(ex)
		case strings.HasSuffix(r.URL.Path, "/revoke"):
			l.revoked[ex.Form.Get("token")] = true
		case ex.Status/100 != 2:
		case r.Method == http.MethodPost && fedItemID(r) == "":
			body := fedObject(ex.Sent)
			l.made[ex.Text("_id")] = fedMade{body, fedStrs(body["resource_scopes"]), fedBearerOf(r)}
			for _, name := range []string{"name", "type"} {
				if s, ok := body[name].(string); ok {
					l.texts = append(l.texts, s)
				}
			}
			l.last = fedBearerOf(r)
		case r.Method == http.MethodDelete:
			l.deleted[fedItemID(r)] = l.clock
		}
	})(next)
}

func (l *fedLedger) token(ex *mutation.Exchange) {
	token := ex.Text("access_token")
	if token == "" {
		return
	}
	l.issued[token] = l.clock
	if ex.Form.Get("grant_type") == "urn:ietf:params:oauth:grant-type:uma-ticket" {
		l.rpts[token] = true
	}
	if strings.Contains(ex.Text("scope"), "uma_protection") {
		client, _, basic := ex.Request.BasicAuth()
		if !basic {
			client = ex.Form.Get("client_id")
		}
		l.pats[token] = client
	}
}

// see reads the ledger.
func (l *fedLedger) see(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// foreign gives the PAT a living resource was made with, where the asking one is another, of the same client or not.
func (l *fedLedger) foreign(id, fedAsking string, sameClient bool) (maker string, yes bool) {
	l.see(func() {
		m, known := l.made[id]
		_, gone := l.deleted[id]
		maker = m.pat
		_, real := l.pats[fedAsking]
		yes = known && !gone && real && !l.revoked[fedAsking] && m.pat != fedAsking && (l.pats[m.pat] == l.pats[fedAsking]) == sameClient
	})
	return maker, yes
}

// marked tells that a resource is of the suite's own type.
func (l *fedLedger) marked(id string) (yes bool) {
	l.see(func() { yes = l.made[id].body["type"] == "https://conformance.invalid/federated" })
	return yes
}

// about tells that a permission or introspection object names a marked resource.
func (l *fedLedger) about(m map[string]any) bool {
	id, _ := m["resource_id"].(string)
	yes := l.marked(id)
	fedEachPermission(m, func(p map[string]any) {
		id, _ := p["resource_id"].(string)
		yes = yes || l.marked(id)
	})
	return yes
}

// fakeTicket answers a permission request with a ticket of nothing.
func fedFakeTicket(ex *mutation.Exchange) {
	ex.Status, ex.Header = http.StatusCreated, http.Header{}
	ex.SetJSON(map[string]any{"ticket": "a-ticket-of-nothing"})
}

func fedRefuse(ex *mutation.Exchange, status int, code string) {
	ex.Status, ex.Header = status, http.Header{}
	ex.SetJSON(map[string]any{"error": code})
}

// The addresses of the protection API.
func fedProtection(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/resource_set/") || strings.HasSuffix(r.URL.Path, "/permission") || strings.HasSuffix(r.URL.Path, "/introspect")
}

func fedItem(method string) func(*http.Request) bool {
	return func(r *http.Request) bool { return (method == "" || r.Method == method) && fedItemID(r) != "" }
}

var (
	fedCreation     = mutation.At(http.MethodPost, "/resource_set/")
	fedListing      = mutation.At(http.MethodGet, "/resource_set/")
	fedAsking       = mutation.At(http.MethodPost, "/permission")
	fedIntrospected = mutation.At("", "/introspect")
	fedDiscovery    = mutation.At(http.MethodGet, "/.well-known/uma2-configuration")
)

// asPAT sends requests that match with the PAT that worked last.
func fedAsPAT(l *fedLedger, match func(*http.Request) bool) fedHandler {
	return mutation.Before(func(r *http.Request) bool { return fedProtection(r) && match(r) }, func(ex *mutation.Exchange) bool {
		l.see(func() { ex.Request.Header.Set("Authorization", "Bearer "+l.last) })
		return false
	})
}

func fedDrop(match func(*http.Request) bool, status int, members ...string) fedHandler {
	return mutation.EditJSON(match, status, func(m map[string]any) {
		for _, name := range members {
			delete(m, name)
		}
	})
}

var fedTokens = map[string]mutation.Mutation{
	"federated.pat.none": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedAsPAT(l, func(r *http.Request) bool { return r.Header.Get("Authorization") == "" && r.URL.RawQuery == "" })
	})},
	"federated.pat.unknown": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedAsPAT(l, func(r *http.Request) bool { return strings.HasPrefix(fedBearerOf(r), "unknown") })
	})},
	"federated.pat.revoked": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Before(mutation.At(http.MethodPost, "/revoke"), func(ex *mutation.Exchange) bool {
			pat := false
			l.see(func() { _, pat = l.pats[ex.Form.Get("token")] })
			return pat
		})
	})},
	"federated.pat.rpt": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return fedAsPAT(l, func(r *http.Request) (yes bool) { l.see(func() { yes = l.rpts[fedBearerOf(r)] }); return yes })
	})},
	"federated.pat.scope": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Chain(
			fedAsPAT(l, func(r *http.Request) bool { return fedBearerOf(r) == "plain-token" }),
			mutation.Before(mutation.At(http.MethodPost, "/token"), func(ex *mutation.Exchange) bool {
				if ex.Form.Get("grant_type") != "client_credentials" || ex.Form.Has("scope") {
					return false
				}
				ex.SetJSON(map[string]any{"access_token": "plain-token", "token_type": "Bearer"})
				return true
			}))
	})},
	"federated.pat.status": {Handler: mutation.After(fedProtection, func(ex *mutation.Exchange) {
		if ex.Status == http.StatusUnauthorized && strings.HasPrefix(fedBearerOf(ex.Request), "unknown") {
			ex.Status = http.StatusForbidden
		}
	})},
	"federated.pat.bearer": {Handler: mutation.Before(fedProtection, func(ex *mutation.Exchange) bool {
		scheme, _, _ := strings.Cut(ex.Request.Header.Get("Authorization"), " ")
		if scheme == "" || scheme == "Bearer" || !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		fedRefuse(ex, http.StatusUnauthorized, "invalid_token")
		return true
	})},
	"federated.pat.challenge": {Handler: mutation.After(fedProtection, func(ex *mutation.Exchange) { ex.Header.Del("WWW-Authenticate") })},
	"federated.pat.query": {Handler: mutation.Before(fedProtection, func(ex *mutation.Exchange) bool {
		if token := ex.Request.URL.Query().Get("access_token"); token != "" {
			ex.Request.Header.Set("Authorization", "Bearer "+token)
			ex.Request.URL.RawQuery = ""
		}
		return false
	})},
	"federated.pat.tls": {Handler: mutation.EditJSON(fedDiscovery, 0, func(m map[string]any) {
		u, _ := url.Parse(m["permission_endpoint"].(string))
		u.Scheme, u.Host = "http", "as.conformance.invalid"
		m["permission_endpoint"] = u.String()
	}), Also: []string{"grant.discovery.transport"}, Why: "every endpoint uses TLS: both Recommendations demand it of the same document"},
	"federated.metadata.permission-endpoint":    {Handler: fedDrop(fedDiscovery, 0, "permission_endpoint")},
	"federated.metadata.registration-endpoint":  {Handler: fedDrop(fedDiscovery, 0, "resource_registration_endpoint")},
	"federated.metadata.introspection-endpoint": {Handler: fedDrop(fedDiscovery, 0, "introspection_endpoint")},
	"federated.privacy.descriptions": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.EditJSON(mutation.At(http.MethodPost, "/token"), http.StatusForbidden, func(m map[string]any) {
			l.see(func() {
				m["resource_names"] = slices.DeleteFunc(slices.Clone(l.texts), func(s string) bool { return !strings.Contains(s, "secret") })
			})
		})
	})},
	"federated.error.json": {Handler: mutation.After(fedAsking, func(ex *mutation.Exchange) {
		if ex.Status/100 == 4 {
			ex.Header.Set("Content-Type", "text/plain")
		}
	})},
	"federated.error.code": {Handler: mutation.EditJSON(fedAsking, http.StatusBadRequest, func(m map[string]any) {
		if m["error"] == "invalid_request" {
			delete(m, "error")
		}
	})},
	"federated.error.texts": {Handler: mutation.EditJSON(fedAsking, http.StatusBadRequest, func(m map[string]any) { m["error_description"] = 7 })},
	"federated.error.no-store": {Handler: mutation.After(fedAsking, func(ex *mutation.Exchange) {
		if ex.Status/100 == 4 {
			ex.Header.Del("Cache-Control")
		}
	})},
}

// readForeign, writeForeign and listForeign mix up resources of two PATs.
func fedReadForeign(sameClient bool) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Before(fedItem(http.MethodGet), func(ex *mutation.Exchange) bool {
			if maker, yes := l.foreign(fedItemID(ex.Request), fedBearerOf(ex.Request), sameClient); yes {
				ex.Request.Header.Set("Authorization", "Bearer "+maker)
			}
			return false
		})
	})
}

func fedWriteForeign(sameClient bool) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return mutation.Before(fedItem(http.MethodPut), func(ex *mutation.Exchange) bool {
			if maker, yes := l.foreign(fedItemID(ex.Request), fedBearerOf(ex.Request), sameClient); yes {
				ex.Request.Header.Set("Authorization", "Bearer "+maker)
			}
			return false
		})
	})
}

func fedListForeign(sameClient bool) fedHandler {
	return fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedListing, func(ex *mutation.Exchange) {
			var ids []string
			if json.Unmarshal(ex.Body, &ids) != nil {
				return
			}
			var all []string
			l.see(func() { all = slices.Collect(maps.Keys(l.made)) })
			for _, id := range all {
				if _, yes := l.foreign(id, fedBearerOf(ex.Request), sameClient); yes && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			ex.SetJSON(ids)
		})
	})
}

var fedSeparation = map[string]mutation.Mutation{
	"federated.separation.owner-read":  {Handler: fedReadForeign(true)},
	"federated.separation.owner-write": {Handler: fedWriteForeign(true)},
	"federated.separation.owner-list":  {Handler: fedListForeign(true)},
	"federated.separation.rs-read":     {Handler: fedReadForeign(false)},
	"federated.separation.rs-write":    {Handler: fedWriteForeign(false)},
	"federated.separation.rs-list":     {Handler: fedListForeign(false)},
	"federated.separation.no-oracle": {Handler: fedStateful(func(l *fedLedger) fedHandler {
		return mutation.After(fedItem(http.MethodGet), func(ex *mutation.Exchange) {
			if _, yes := l.foreign(fedItemID(ex.Request), fedBearerOf(ex.Request), true); yes && ex.Status == http.StatusNotFound {
				fedRefuse(ex, http.StatusForbidden, "forbidden")
			}
		})
	})},
}
