package mutation_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/umaas/uma"
)

// wrapper is what a mutation puts in front of the server.
type wrapper = func(http.Handler) http.Handler

// ask is what a ticket asks for, with where it came from.
type ask struct {
	perms []uma.Permission
	pat   string // the token it was asked for with
	// how the client got this ticket: "permission", "need_info", "request_submitted", "claims"
	from   string
	client string // who got it; "" for from permission
}

// one tells whether the ask names one resource, with so many of its scopes.
func (a ask) one(scopes int) bool { return len(a.perms) == 1 && len(a.perms[0].Scopes) == scopes }

// rpt is what is known of an RPT.
type rpt struct {
	ask
	value, client, auth string // the client and its Authorization header
	sent                string // the RPT that was sent along
	upgraded            bool
	refreshed           bool
}

// book sees all traffic of one mutated server and remembers what a fault may hang on.
type book struct {
	mu       sync.Mutex
	scopes   map[string]int    // registered, by resource
	asks     map[string]ask    // by ticket
	answers  map[string]string // what the first presentation of a ticket led to: an error code, "success", "claims"
	counts   map[string]int    // presentations at the token endpoint
	flows    map[string]string // the ticket a flow of the pages began with
	rpts     map[string]rpt
	refresh  map[string]rpt    // by refresh token: the RPT it came with
	holders  map[string]string // client by protection token
	auths    map[string]string // Authorization header by client
	revoked  map[string]bool   // at the revocation endpoint
	fakes    map[string][]uma.Permission
	made     int
	sessions map[string]string     // "flow id": Cookie header of the browser that is in it
	hidden   map[string]url.Values // of the pages' forms, by the path they go to
	won      map[string]string     // RPT by ticket
	origin   map[string]string     // resource server of the process a PCT came from, by PCT
}

func newBook() *book {
	return &book{
		scopes: map[string]int{}, asks: map[string]ask{}, answers: map[string]string{}, counts: map[string]int{}, flows: map[string]string{},
		rpts: map[string]rpt{}, refresh: map[string]rpt{}, holders: map[string]string{}, auths: map[string]string{}, revoked: map[string]bool{},
		fakes: map[string][]uma.Permission{}, sessions: map[string]string{}, hidden: map[string]url.Values{}, won: map[string]string{}, origin: map[string]string{},
	}
}

// booked is a mutation that looks things up in the book of its server.
func booked(fault func(b *book) wrapper) mutation.Mutation {
	return mutation.Mutation{Handler: func(next http.Handler) http.Handler {
		b := newBook()
		return mutation.Chain(b.inventions, fault(b), b.record)(next)
	}}
}

// with adds hooks to a mutation.
func with(m mutation.Mutation, hooks func(conformance.Hooks) conformance.Hooks) mutation.Mutation {
	m.Hooks = hooks
	return m
}

func all(*http.Request) bool { return true }

var (
	atToken      = mutation.At(http.MethodPost, "/token")
	atIntrospect = mutation.At(http.MethodPost, "/introspect")
	atPermission = mutation.At(http.MethodPost, "/permission")
	atRegister   = mutation.At(http.MethodPost, "/register")
	atRevoke     = mutation.At(http.MethodPost, "/revoke")
	atClaims     = mutation.At(http.MethodGet, "/claims")
	atPages      = mutation.Below("", "/flow/")
)

// clientOf is the client_id of a request, "" none.
func clientOf(ex *mutation.Exchange) string {
	if id, _, ok := ex.Request.BasicAuth(); ok {
		if plain, err := url.QueryUnescape(id); err == nil {
			return plain
		}
		return id
	}
	return ex.Form.Get("client_id")
}

func bearerOf(ex *mutation.Exchange) string {
	return strings.TrimPrefix(ex.Request.Header.Get("Authorization"), "Bearer ")
}

// permissionsOf reads one permission or several.
func permissionsOf(raw []byte) []uma.Permission {
	var list []uma.Permission
	if json.Unmarshal(raw, &list) == nil {
		return list
	}
	var one uma.Permission
	if json.Unmarshal(raw, &one) == nil {
		return []uma.Permission{one}
	}
	return nil
}

func outcome(ex *mutation.Exchange) string {
	if ex.Text("access_token") != "" {
		return "success"
	}
	return ex.Text("error")
}

func (b *book) record(next http.Handler) http.Handler {
	return mutation.Around(all, func(ex *mutation.Exchange, next http.Handler) {
		ex.Serve(next)
		b.mu.Lock()
		defer b.mu.Unlock()
		r := ex.Request
		switch {
		case atPermission(r) && ex.Text("ticket") != "":
			b.asks[ex.Text("ticket")] = ask{perms: permissionsOf(ex.Sent), pat: bearerOf(ex), from: "permission"}
		case strings.HasSuffix(r.URL.Path, "/resource_set") || strings.HasSuffix(r.URL.Path, "/resource_set/"):
			var d struct {
				Scopes []string `json:"resource_scopes"`
			}
			if json.Unmarshal(ex.Sent, &d) == nil && ex.Text("_id") != "" {
				b.scopes[ex.Text("_id")] = len(d.Scopes)
			}
		case atToken(r):
			b.token(ex)
		case atRevoke(r) && ex.Status == http.StatusOK:
			if known, ok := b.rpts[ex.Form.Get("token")]; ok && known.client == clientOf(ex) {
				b.revoked[known.value] = true
			}
			if known, ok := b.refresh[ex.Form.Get("token")]; ok && known.client == clientOf(ex) {
				b.revoked[ex.Form.Get("token")] = true
			}
		case atClaims(r), atPages(r):
			b.page(ex)
		}
	})(next)
}

func (b *book) token(ex *mutation.Exchange) {
	client := clientOf(ex)
	if auth := ex.Request.Header.Get("Authorization"); auth != "" && ex.Text("error") != "invalid_client" {
		b.auths[client] = auth
	}
	switch ex.Form.Get("grant_type") {
	case uma.GrantTypeAuthorizationCode, uma.GrantTypeClientCredentials:
		b.holders[ex.Text("access_token")] = client
	case uma.GrantTypeTicket:
		sent := ex.Form.Get("ticket")
		b.counts[sent]++
		if b.answers[sent] == "" {
			b.answers[sent] = outcome(ex)
		}
		a := b.asks[sent]
		if next := ex.Text("ticket"); next != "" {
			a.from, a.client = ex.Text("error"), client
			b.asks[next] = a
		}
		if value := ex.Text("access_token"); value != "" {
			b.won[sent] = value
			upgraded, _ := ex.JSON()["upgraded"].(bool)
			b.issued(ex, rpt{ask: a, value: value, client: client, auth: ex.Request.Header.Get("Authorization"), sent: ex.Form.Get("rpt"), upgraded: upgraded})
		}
	case uma.GrantTypeRefreshToken:
		if old, ok := b.refresh[ex.Form.Get("refresh_token")]; ok && ex.Text("access_token") != "" {
			old.value, old.refreshed = ex.Text("access_token"), true
			b.issued(ex, old)
		}
	}
}

func (b *book) issued(ex *mutation.Exchange, r rpt) {
	b.rpts[r.value] = r
	if again := ex.Text("refresh_token"); again != "" {
		b.refresh[again] = r
	}
}

// page follows a ticket through the pages: the claims endpoint starts a flow, and a form of it ends it.
func (b *book) page(ex *mutation.Exchange) {
	to, err := url.Parse(ex.Header.Get("Location"))
	if err != nil {
		return
	}
	if atClaims(ex.Request) {
		q := ex.Request.URL.Query()
		if id := flowOf(to.Path); id != "" {
			b.flows[id] = q.Get("ticket")
			if b.answers[q.Get("ticket")] == "" {
				b.answers[q.Get("ticket")] = "claims"
			}
		}
		return
	}
	if back := to.Query().Get("ticket"); back != "" {
		a := b.asks[b.flows[flowOf(ex.Request.URL.Path)]]
		a.from = "claims"
		b.asks[back] = a
	}
}

func flowOf(path string) string {
	_, after, ok := strings.Cut(path, "/flow/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(after, "/")
	return id
}
