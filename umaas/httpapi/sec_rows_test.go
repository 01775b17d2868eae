package httpapi_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/fhirview"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/uma"
)

// everyRoute is one more transport over the core, with its own route table, and no limit on tries.
func (w *ownerWorld) everyRoute() *gin.Engine {
	w.t.Helper()
	much := httpapi.Rate{PerMinute: 1e6, Burst: 1e6}
	h, err := httpapi.New(httpapi.Config{
		Service: w.core, Consents: fhirview.View{Core: w.core, Issuer: w.url, Now: time.Now}, Issuer: w.url, BrowserCookie: "b",
		Limits: httpapi.RateLimits{Starts: much, Failures: much}, Now: time.Now, Random: rand.Reader, Logger: slog.New(slog.DiscardHandler),
	})
	must(w.t, err)
	engine, ok := h.(*gin.Engine)
	if !ok {
		w.t.Fatalf("the transport is a %T", h)
	}
	return engine
}

// liveTickets are one as the resource server got it, one after need_info and one of a request that waits; and an RPT.
func (w *ownerWorld) liveTickets() (tickets map[string]string, rpt string) {
	w.t.Helper()
	ask := func(scope string) string {
		ticket, err := w.core.RequestPermission(w.t.Context(), umaas.PAT{Owner: w.alice, RS: w.rs.ID},
			[]uma.Permission{{ResourceID: string(w.record), Scopes: []string{scope}}}, "", "")
		must(w.t, err)
		return ticket
	}
	redeem := func(ticket string) map[string]any {
		_, _, got := w.send("POST", "/token", formType, url.Values{
			"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}, "client_id": {string(w.app.ID)}, "client_secret": {w.appKey},
		}.Encode(), "")
		return got
	}
	text := func(v any) string { s, _ := v.(string); return s }
	tickets = map[string]string{"first": ask("patient/Observation.r"), "after need_info": text(redeem(ask("patient/Condition.r"))["ticket"])}
	must(w.t, w.store.Update(w.t.Context(), func(tx umaas.Tx) error {
		return tx.PutPolicy(umaas.Policy{
			ID: "p-app", Owner: w.alice, Who: umaas.Who{Kind: umaas.WhoClient, Client: w.app.ID}, Origin: umaas.OriginShare, Created: time.Now(),
			Rules: []umaas.Rule{{Resource: w.record, RS: w.rs.ID, Scopes: []string{"patient/Observation.s"}}},
		})
	}))
	rpt = text(redeem(ask("patient/Observation.s"))["access_token"])
	if rpt == "" || tickets["after need_info"] == "" {
		w.t.Fatalf("no RPT, or no ticket: %v", tickets)
	}
	return tickets, rpt
}

// TestSEC_09_NoEndpointTellsTickets: every route of the table, with every kind of token and in every kind of body, tells no
// ticket that is live, to those whom it concerns as little as to others (CVE-2026-3190); nor does naming one as a record's id.
func TestSEC_09_NoEndpointTellsTickets(t *testing.T) {
	w := newOwnerWorld(t)
	tickets, rpt := w.liveTickets()
	kinds := map[string]string{
		"none": "", "PAT": w.pat(), "RPT": "Bearer " + rpt, "owner": "Bearer " + w.aliceToken, "another owner": "Bearer " + w.bobsToken,
		"a ticket": "Bearer " + tickets["first"],
	}
	engine := w.everyRoute()
	routes := engine.Routes()
	if len(routes) < 40 {
		t.Fatalf("%d routes: the table was missed", len(routes))
	}
	good := map[string]int{}
	for _, route := range routes {
		for kind, auth := range kinds {
			for _, id := range []string{string(w.record), strings.SplitN(tickets["first"], ".", 2)[0]} {
				path := strings.NewReplacer(":id", id, ":number", "0").Replace(route.Path)
				if path == route.Path && id != string(w.record) {
					continue
				}
				status, answer := asked(engine, route.Method, w.url+path, auth)
				if status == http.StatusTooManyRequests {
					t.Fatal("the limit was met: nothing is shown")
				}
				if status < 300 {
					good[kind]++
				}
				for name, ticket := range tickets {
					if strings.Contains(answer, ticket[strings.IndexByte(ticket, '.')+1:]) {
						t.Errorf("%s %s with %s: tells the ticket %q", route.Method, path, kind, name)
					}
				}
				if id != string(w.record) && status < 400 && route.Path != "/status/:number" {
					t.Errorf("%s %s with %s: %d for a ticket as id", route.Method, path, kind, status)
				}
			}
		}
	}
	for kind, least := range map[string]int{"none": 5, "PAT": 7, "owner": 8} { // otherwise nothing was looked at
		if good[kind] < least {
			t.Errorf("with %s only %d routes answered", kind, good[kind])
		}
	}
}

// asked makes one request with the body its method may have, and returns the whole answer.
func asked(h http.Handler, method, target, auth string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var body io.Reader = http.NoBody
	if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
		body = strings.NewReader(`{}`)
	}
	r := httptest.NewRequestWithContext(ctx, method, target, body)
	r.Header.Set("Content-Type", jsonType)
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var all strings.Builder
	_ = rec.Result().Header.Write(&all)
	return rec.Code, all.String() + rec.Body.String()
}

// TestSEC_16_UnknownIssuerCostsNoRequest: what a token says of itself is no address to ask: whoever is not on the list is asked
// neither for keys, nor for metadata, nor for a revocation list, whatever the format and the header.
func TestSEC_16_UnknownIssuerCostsNoRequest(t *testing.T) {
	a, unknown := newClaimsAS(t), newHospital(t)
	a.allow(byClaim(unknown.iss, "org", clinic), nil, "patient/Observation.r") // even where an owner named it
	header := func(more members) members {
		h := members{"alg": "ES256", "typ": "JWT", "kid": "e1"}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	theirs := members{"iss": unknown.iss}
	for name, c := range map[string]struct{ format, token string }{
		"ID token":           {idToken, es256(t, unknown.ec, header(nil), a.nora(theirs))},
		"JWT":                {jwtToken, es256(t, unknown.ec, header(nil), a.nora(theirs))},
		"permission ticket":  {permTicket, es256(t, unknown.ec, header(nil), a.referral(theirs, members{"revocation": members{"url": unknown.iss + "/status", "index": 0}}))},
		"jku":                {idToken, es256(t, unknown.ec, header(members{"jku": unknown.iss + "/jwks"}), a.nora(theirs))},
		"x5u":                {idToken, es256(t, unknown.ec, header(members{"x5u": unknown.iss + "/cert"}), a.nora(theirs))},
		"jku, trusted name":  {idToken, es256(t, unknown.ec, header(members{"jku": unknown.iss + "/jwks"}), a.nora())},
		"status by a forger": {permTicket, es256(t, unknown.ec, header(nil), a.referral(members{"revocation": members{"url": unknown.iss + "/status", "index": 0}}))},
	} {
		ticket := a.ticket("patient/Observation.r")
		status, got := a.asSigner(ticket, c.format, c.token)
		if status != 403 || got["error"] != "need_info" || got["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, got)
		}
	}
	if n := unknown.fetched.Load(); n != 0 {
		t.Errorf("%d requests to somebody nobody trusts", n)
	}
	if status, _ := a.push(a.ticket("patient/Observation.r"), idToken, a.signed()); status != 403 || a.fetched.Load() == 0 {
		t.Errorf("the trusted issuer was never asked for its keys (%d): nothing is shown", status)
	}
}

// TestSEC_58_FreshWithinAMinute: that another server's decision was not withdrawn is believed for less than a minute; then it is
// asked again, a withdrawal counts, and silence refuses though the last answer was good.
func TestSEC_58_FreshWithinAMinute(t *testing.T) {
	var skew atomic.Int64
	get := outbound.New(outbound.Options{InsecureHTTP: true, Private: outbound.Loopback()})
	a := newClaimsAS(t, func(d *umaas.Deps) {
		d.Statuses = outbound.NewStatusSource(get, func() time.Time { return time.Now().Add(time.Duration(skew.Load())) })
	})
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r")
	says := func(list string) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.status = list
	}
	for name, c := range map[string]string{"withdrawn": list(t, 0b1), "unreachable": "", "unreadable": "[]"} {
		says(list(t, 0))
		decision := members{"revocation": members{"url": a.iss + "/status?" + name, "index": 0}}
		push := func(want int) {
			t.Helper()
			status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(decision))
			if status != want || want == 403 && got["error"] != "need_info" {
				t.Errorf("%s: %d %v, want %d", name, status, got, want)
			}
		}
		push(200)
		before := a.fetched.Load()
		says(c)
		skew.Add(int64(50 * time.Second))
		push(200) // still the answer of less than a minute ago
		if a.fetched.Load() != before {
			t.Errorf("%s: asked again within the minute", name)
		}
		skew.Add(int64(10 * time.Second))
		push(403)
		if a.fetched.Load() == before {
			t.Errorf("%s: refused without asking", name)
		}
	}
}
