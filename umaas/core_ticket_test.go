package umaas_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_01_TicketDiesAtEveryPresentation: after success and after every error that comes past the binding check, at both
// endpoints (G-123, G-124).
func TestSEC_01_TicketDiesAtEveryPresentation(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit", "download")
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})

		ok := w.gather(c1, w.ticket(perm(r, "view")), w.bob)
		w.rpt(c1, ok)
		w.dead(c1, ok)

		needInfo := w.ticket(perm(r, "view"))
		w.refused(c1, needInfo, 403, "need_info", "")
		w.dead(c1, needInfo)

		scope := w.ticket(perm(r, "view"))
		w.refused(c1, scope, 400, "invalid_scope", "a requested scope is available on no resource of the ticket", "scope", "nothing")
		w.dead(c1, scope)

		submitted := w.gather(c1, w.ticket(perm(r, "edit")), w.bob)
		w.refused(c1, submitted, 403, "request_submitted", "")
		w.dead(c1, submitted)

		denied := w.consent(c1, w.ticket(perm(r, "view")), w.alice, time.Time{})
		w.policyGone(w.alice)
		w.refused(c1, denied, 403, "request_denied", "access was not given")
		w.dead(c1, denied)

		claims := w.ticket(perm(r, "view"))
		v, _ := w.visit(c1, claims, w.bob)
		if v.Step != umaas.StepGather {
			t.Fatal(v.Step)
		}
		w.dead(c1, claims)
		for _, used := range []string{ok, needInfo, claims} {
			s, err := w.StartClaims(t.Context(), form("client_id", string(c1), "ticket", used, "claims_redirect_uri", back1, "state", "z"), "", "")
			w.must(err)
			if s.Redirect == nil || s.Redirect.Query.Get("error") != "invalid_request" || s.Redirect.Query.Get("state") != "z" || s.Redirect.URI != back1 {
				t.Fatalf("claims endpoint took a used ticket: %+v", s)
			}
		}
	})
}

// policyGone withdraws everything an owner gives.
func (w *world) policyGone(owner umaas.AccountID) {
	w.t.Helper()
	shares, err := w.Shares(w.t.Context(), owner)
	w.must(err)
	for _, s := range shares {
		_, err := w.StopShare(w.t.Context(), owner, s.ID, "")
		w.must(err)
	}
}

// TestSEC_02_EveryContinuingAnswerHasANewTicket (G-054, G-089, G-094).
func TestSEC_02_EveryContinuingAnswerHasANewTicket(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		first := w.ticket(perm(r, "view"))
		e := w.refused(c1, first, 403, "need_info", "a few details are needed before this can be decided")
		if e.RedirectUser != issuer+"/claims" || len(e.RequiredClaims) != 0 {
			t.Fatalf("need_info: %+v", e) // G-088, G-091
		}
		back := w.gather(c1, e.Ticket, w.bob)
		wait1 := w.refused(c1, back, 403, "request_submitted", "").Ticket
		w.sleep(6 * time.Second)
		wait2 := w.refused(c1, wait1, 403, "request_submitted", "").Ticket
		all := []string{first, e.Ticket, back, wait1, wait2}
		slices.Sort(all)
		if len(slices.Compact(all)) != 5 {
			t.Fatal("a ticket value came twice")
		}
		for _, old := range []string{first, e.Ticket, back, wait1} {
			w.dead(c1, old)
		}
	})
}

// TestSEC_03_TicketIsBoundToItsClient: successors belong to the first client; a challenge wants its verifier.
func TestSEC_03_TicketIsBoundToItsClient(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "")
		w.dead(c2, e.Ticket)
		if s, err := w.StartClaims(t.Context(), form("client_id", string(c2), "ticket", e.Ticket), "", ""); err != nil || s.Redirect == nil || s.Redirect.Query.Get("error") != "invalid_request" {
			t.Fatalf("foreign client at the claims endpoint: %+v %v", s, err)
		}
		w.refused(c1, e.Ticket, 403, "need_info", "") // still good for its own client

		bound := w.ticket(limited(perm(r, "view"), uma.ConstraintClient, string(c2)))
		w.dead(c1, bound)
		w.refused(c2, bound, 403, "need_info", "")

		verifier := strings.Repeat("v", 43)
		pkce, err := w.RequestPermission(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, []uma.Permission{perm(r, "view")}, challengeOf(verifier), "")
		w.must(err)
		w.dead(c1, pkce)
		w.refused(c1, pkce, 400, "invalid_grant", deadTicket, "code_verifier", strings.Repeat("w", 43))
		next := w.refused(c1, pkce, 403, "need_info", "", "code_verifier", verifier).Ticket
		w.dead(c1, next) // the challenge stays with the process
		w.refused(c1, next, 403, "need_info", "", "code_verifier", verifier)
		w.refused(c1, w.ticket(perm(r, "view")), 400, "invalid_grant", deadTicket, "code_verifier", verifier)
	})
}

// TestSEC_05_OwnershipOfEveryElement: a foreign id at each position of one to five elements, and nothing is written.
func TestSEC_05_OwnershipOfEveryElement(t *testing.T) {
	w := inMemory(t)
	own := w.set(w.alice, rs1, "view")
	foreign := map[string]umaas.ResourceID{
		"another owner's":           w.set(w.carol, rs1, "view"),
		"another resource server's": w.set(w.alice, rs2, "view"),
		"nobody's":                  "AAAAAAAAAAAAAAAAAAAAAA",
	}
	for name, id := range foreign {
		for n := 1; n <= 5; n++ {
			for at := range n {
				perms := make([]uma.Permission, n)
				for i := range perms {
					perms[i] = perm(own, "view")
				}
				perms[at] = perm(id, "view")
				ticket, err := w.RequestPermission(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, perms, "", "")
				w.wantError(ticket, err, 400, "invalid_resource_id", "a resource_id is unknown")
				if ticket != "" {
					t.Fatalf("%s at %d of %d: got a ticket", name, at, n)
				}
			}
		}
	}
}

// TestSEC_06_SeveralPermissions: object and array forms, scopes kept apart, repeats merged (F-052, F-054).
func TestSEC_06_SeveralPermissions(t *testing.T) {
	eachStore(t, func(w *world) {
		a, b := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{a: "a", b: "b"}
		everything := func(ids ...umaas.ResourceID) (out []umaas.Rule) {
			for _, id := range ids {
				out = append(out, rule(rs1, id, "view", "edit"))
			}
			return out
		}
		w.policy(w.alice, account(w.bob), everything(a, b))
		for _, c := range []struct {
			name string
			ask  []uma.Permission
			want string
		}{
			{"one", []uma.Permission{perm(a, "view")}, "a{view}"},
			{"two", []uma.Permission{perm(a, "view"), perm(b, "edit")}, "a{view} b{edit}"},
			{"same resource twice", []uma.Permission{perm(a, "view"), perm(a, "edit", "view")}, "a{view,edit}"},
			{"same resource, other constraint", []uma.Permission{perm(a, "view"), limited(perm(a, "edit"), "query", "category=lab")}, "a{edit}[query=category=lab] a{view}"},
			{"no scopes", []uma.Permission{perm(a)}, "a{}"},
			{"with and without scopes", []uma.Permission{perm(a), perm(b, "view")}, "a{} b{view}"},
		} {
			w.wantRights(w.rpt(c1, w.gather(c1, w.ticket(c.ask...), w.bob)).AccessToken, c.want, names)
		}
	})
}

// TestF_Permission: FedAuthz §4.1, §4.3 with exact answers.
func TestF_Permission(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	many := make([]uma.Permission, 257)
	for i := range many {
		many[i] = perm(r, "view")
	}
	for _, c := range []struct {
		name, code, description, challenge string
		perms                              []uma.Permission
	}{
		{"F-054 empty array", "invalid_request", "ask for at least one permission", "", nil},
		{"F-055 no resource_id", "invalid_request", "resource_id is missing", "", []uma.Permission{{Scopes: []string{"view"}}}},
		{"F-056 no resource_scopes", "invalid_request", "resource_scopes is missing: give an array, empty if no scope is asked for", "", []uma.Permission{{ResourceID: string(r)}}},
		{"F-057 unregistered scope", "invalid_scope", "a scope is not registered for its resource", "", []uma.Permission{perm(r, "edit")}},
		{"F-059 second element", "invalid_scope", "a scope is not registered for its resource", "", []uma.Permission{perm(r, "view"), perm(r, "View")}},
		{"SEC-48 too many", "invalid_request", "more than 256 permissions in one request", "", many},
		{"constraint without type", "invalid_request", "a constraint needs a type of 1 to 64 characters", "", []uma.Permission{limited(perm(r, "view"), "", "x")}},
		{"client constraint without client", "invalid_request", "a client constraint names a client_id", "", []uma.Permission{limited(perm(r, "view"), "client", "")}},
		{"two clients", "invalid_request", "one ticket is for one client", "", []uma.Permission{limited(perm(r, "view"), "client", "x"), limited(perm(r, "view"), "client", "y")}},
		{"bad challenge", "invalid_request", "code_challenge is no S256 challenge (RFC 7636 §4.2)", "short", []uma.Permission{perm(r, "view")}},
	} {
		ticket, err := w.RequestPermission(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, c.perms, c.challenge, "")
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.wantError(ticket, err, 400, c.code, c.description)
		})
	}
}

// TestSEC_07_WhatTheTicketNamesIsGone: never a server error; what is left is decided, nothing left is a dead ticket.
func TestSEC_07_WhatTheTicketNamesIsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		gone func(w *world, a umaas.ResourceID)
		want string // rights, "" dead
	}{
		{"nothing", func(*world, umaas.ResourceID) {}, "a{view,edit} b{view}"},
		{"scope", func(w *world, a umaas.ResourceID) {
			w.must(w.UpdateResource(w.t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, a, uma.ResourceDescription{Scopes: []string{"view"}}, ""))
		}, "a{view} b{view}"},
		{"all scopes", func(w *world, a umaas.ResourceID) {
			w.must(w.UpdateResource(w.t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, a, uma.ResourceDescription{Scopes: []string{}}, ""))
		}, "b{view}"},
		{"resource", func(w *world, a umaas.ResourceID) {
			w.must(w.DeleteResource(w.t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, a, ""))
		}, "b{view}"},
		{"owner", func(w *world, _ umaas.ResourceID) { w.disable(w.alice) }, ""},
		{"owner deleted", func(w *world, _ umaas.ResourceID) {
			w.put(func(tx umaas.Tx) error { return tx.DeleteAccount(w.alice) })
		}, ""},
		{"resource server", func(w *world, _ umaas.ResourceID) { w.disableClient(rs1) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := inMemory(t)
			a, b := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
			w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, a, "view", "edit"), rule(rs1, b, "view")})
			ticket := w.gather(c1, w.ticket(perm(a, "view", "edit"), perm(b, "view")), w.bob)
			c.gone(w, a)
			if c.want == "" {
				w.dead(c1, ticket)
				return
			}
			w.wantRights(w.rpt(c1, ticket).AccessToken, c.want, map[umaas.ResourceID]string{a: "a", b: "b"})
		})
	}
	t.Run("everything", func(t *testing.T) {
		w := inMemory(t)
		a := w.set(w.alice, rs1, "view")
		ticket := w.ticket(perm(a, "view"))
		claims := w.ticket(perm(a, "view"))
		w.must(w.DeleteResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, a, ""))
		w.dead(c1, ticket)
		s, err := w.StartClaims(t.Context(), form("client_id", string(c2), "ticket", claims), "", "")
		if err != nil || s.Redirect == nil || s.Redirect.Query.Get("error") != "invalid_request" {
			t.Fatalf("%+v %v", s, err)
		}
	})
}

func (w *world) disable(id umaas.AccountID) {
	w.t.Helper()
	w.put(func(tx umaas.Tx) error {
		a, err := tx.Account(id)
		if err != nil {
			return err
		}
		a.Disabled = true
		return tx.PutAccount(a)
	})
}

func (w *world) disableClient(id umaas.ClientID) {
	w.t.Helper()
	w.must(w.SetClientDisabled(w.t.Context(), id, true, ""))
}

// TestSEC_08_NoReuseAcrossResourceServers: interleaved requests for sets that look alike.
func TestSEC_08_NoReuseAcrossResourceServers(t *testing.T) {
	w := inMemory(t)
	a, b := w.set(w.alice, rs1, "view"), w.set(w.alice, rs2, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, a, "view")})
	t1, t2 := w.ticket(perm(a, "view")), w.ticketOf(umaas.PAT{Owner: w.alice, RS: rs2}, perm(b, "view"))
	if t1 == t2 {
		t.Fatal("one ticket for two resource servers")
	}
	w.refused(c1, w.gather(c1, t2, w.bob), 403, "request_submitted", "")
	token := w.rpt(c1, w.gather(c1, t1, w.bob)).AccessToken
	w.wantInactive(w.inspect(w.alice, rs2, token))
	w.wantRights(token, "a{view}", map[umaas.ResourceID]string{a: "a"})
}

// TestSEC_09_TicketsTellNothing: two parts of fixed length, no structure, nothing stored in clear (G-007, G-121).
func TestSEC_09_TicketsTellNothing(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	seen := map[string]bool{}
	for range 1000 {
		ticket := w.ticket(perm(r, "view"))
		if len(ticket) != 22+1+27 || seen[ticket] {
			t.Fatalf("ticket %q", ticket)
		}
		seen[ticket] = true
		for _, part := range strings.Split(ticket, ".") {
			raw, err := base64.RawURLEncoding.DecodeString(part)
			if err != nil || strings.Contains(string(raw), string(r)) || strings.ContainsAny(string(raw[:1]), "{[") && strings.HasSuffix(string(raw), "}") {
				t.Fatalf("part %q", part)
			}
		}
	}
}

// TestSEC_10_NothingIsSpentBeforeItIsProven: bad clients, syntax and bindings leave the ticket to its rightful client.
func TestSEC_10_NothingIsSpentBeforeItIsProven(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		ticket := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "").Ticket
		w.dead(c2, ticket)
		bad := func(status int, code, description string, change func(url map[string][]string)) {
			t.Helper()
			f := form("grant_type", uma.GrantTypeTicket, "client_id", string(c1), "client_secret", secret, "ticket", ticket)
			change(f)
			resp, err := w.Token(t.Context(), umaas.TokenRequest{Form: f})
			w.wantError(resp, err, status, code, description)
		}
		bad(401, "invalid_client", "", func(f map[string][]string) { f["client_secret"] = []string{"wrong"} })
		bad(400, "invalid_request", "claim_token needs claim_token_format", func(f map[string][]string) { f["claim_token"] = []string{"x"} })
		bad(400, "invalid_request", "claim_token_format needs claim_token", func(f map[string][]string) { f["claim_token_format"] = []string{"x"} })
		bad(400, "invalid_request", "", func(f map[string][]string) { f["ticket"] = []string{ticket, ticket} })
		bad(400, "invalid_request", "parameter missing: ticket", func(f map[string][]string) { delete(f, "ticket") })
		bad(400, "invalid_scope", "", func(f map[string][]string) { f["scope"] = []string{"a\"b"} })
		bad(400, "invalid_grant", deadTicket, func(f map[string][]string) { f["ticket"] = []string{ticket[:len(ticket)-1]} })
		bad(400, "invalid_grant", deadTicket, func(f map[string][]string) { f["ticket"] = []string{ticket[:40] + strings.Repeat("A", len(ticket)-40)} })
		w.refused(c1, ticket, 403, "need_info", "")
	})
}

// TestSEC_11_TicketLifetime: fixed, ±1 s; waiting tickets live for their interval and five minutes.
func TestSEC_11_TicketLifetime(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		early, late := w.ticket(perm(r, "view")), w.ticket(perm(r, "view"))
		w.sleep(299 * time.Second)
		w.refused(c1, early, 403, "need_info", "")
		w.sleep(time.Second)
		w.dead(c1, late)

		wait1, wait2 := w.ask(c1, w.bob, perm(r, "view")), w.ask(c1, w.bob, perm(r, "view"))
		w.sleep(304 * time.Second)
		next := w.refused(c1, wait1, 403, "request_submitted", "").Ticket
		w.sleep(time.Second)
		w.dead(c1, wait2)
		w.sleep(304 * time.Second)
		w.dead(c1, next)
	})
}

// TestDecisions07_PollingTooFastDoublesTheInterval and a patient client keeps its own.
func TestDecisions07_PollingTooFastDoublesTheInterval(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	ticket := w.ask(c1, w.bob, perm(r, "view"))
	for _, c := range []struct {
		pause time.Duration
		want  int
	}{{5 * time.Second, 5}, {4 * time.Second, 10}, {9 * time.Second, 20}, {20 * time.Second, 20}, {0, 40}} {
		w.sleep(c.pause)
		e := w.refused(c1, ticket, 403, "request_submitted", "")
		if e.Interval != c.want {
			t.Fatalf("after %v: interval %d, want %d", c.pause, e.Interval, c.want)
		}
		ticket = e.Ticket
	}
	for range 20 {
		e := w.refused(c1, ticket, 403, "request_submitted", "")
		if e.Interval > 3600 {
			t.Fatalf("interval %d", e.Interval)
		}
		ticket = e.Ticket
	}
	w.answer(w.alice, true)
	w.rpt(c1, ticket)
}

// TestDecisions06_DecoyBehavesLikeASilentOwner, and nobody's inbox hears of it.
func TestDecisions06_DecoyBehavesLikeASilentOwner(t *testing.T) {
	eachStore(t, func(w *world) {
		real := w.set(w.alice, rs1, "view")
		decoy, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.org, RS: rs1}, uma.ResourceDescription{
			Type: "urn:umaas:resource:decoy", Scopes: []string{"view"}, Context: &uma.ResourceContext{Level: "decoy"},
		}, "")
		w.must(err)
		w.policy(w.org, account(w.bob), []umaas.Rule{rule(rs1, decoy, "view")}) // even then
		a, b := w.ticket(perm(real, "view")), w.ticketOf(umaas.PAT{Owner: w.org, RS: rs1}, perm(decoy, "view"))
		step := func(code string) {
			t.Helper()
			x, y := w.refused(c1, a, 403, code, ""), w.refused(c1, b, 403, code, "")
			if x.Description != y.Description || x.RedirectUser != y.RedirectUser || x.Interval != y.Interval || len(x.Ticket) != len(y.Ticket) {
				t.Fatalf("they differ: %+v %+v", x, y)
			}
			a, b = x.Ticket, y.Ticket
		}
		step("need_info")
		a, b = w.gather(c1, a, w.bob), w.gather(c1, b, w.bob)
		for range 5 {
			step("request_submitted")
			w.sleep(5 * time.Second)
		}
		if n := len(w.inbox(w.org)); n != 0 {
			t.Fatalf("decoy filed %d requests", n)
		}
		for range 10000 {
			e, f := w.refused(c1, a, 403, "request_submitted", ""), w.refused(c1, b, 403, "request_submitted", "")
			a, b = e.Ticket, f.Ticket
			w.sleep(300 * time.Second)
			if w.now().Sub(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) > 30*24*time.Hour {
				break
			}
		}
		w.refused(c1, a, 403, "request_denied", "")
		w.refused(c1, b, 403, "request_denied", "")
	})
}

// TestG_PollUntilAnswered: submitted, narrowed approval, RPT; denied, silence (G-093…G-095).
func TestG_PollUntilAnswered(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{r: "r"}
		ticket := w.ask(c1, w.bob, perm(r, "view", "edit"))
		v := w.answer(w.alice, true, ".view")
		if v.State != umaas.RequestAllowed || v.Policy == "" {
			t.Fatalf("%+v", v.Request)
		}
		w.wantRights(w.rpt(c1, ticket).AccessToken, "r{view}", names)

		ticket = w.ask(c1, w.carol, perm(r, "view"))
		w.answer(w.alice, false)
		e := w.refused(c1, ticket, 403, "request_denied", "access was not given")
		if e.Ticket != "" {
			t.Fatal("request_denied has a ticket") // G-092
		}
		again := w.gather(c1, w.ticket(perm(r, "view")), w.carol)
		w.refused(c1, again, 403, "request_denied", "")
		if n := len(w.inbox(w.alice)); n != 0 {
			t.Fatalf("%d waiting after a silent denial", n)
		}
		w.sleep(31 * 24 * time.Hour)
		w.sessions[w.carol] = w.fresh(w.carol)
		w.ask(c1, w.carol, perm(r, "view"))
	})
}

func (w *world) fresh(id umaas.AccountID) umaas.Session {
	w.t.Helper()
	_, sess, err := w.CreateSession(w.t.Context(), id, []string{"pwd"})
	w.must(err)
	return sess
}

// TestSEC_01_SixtyFourAtOnce: one ticket, 64 presentations over three services on one store with conflicts and re-runs.
func TestSEC_01_SixtyFourAtOnce(t *testing.T) {
	var n atomic.Int64
	conflict := func() bool { return n.Add(1)%3 == 0 }
	for name, w := range map[string]*world{
		"quiet":       newWorld(t, memkv.New(memkv.Options{})),
		"conflicting": newWorld(t, memkv.New(memkv.Options{Conflict: conflict})),
	} {
		t.Run(name, func(t *testing.T) { raceTicket(w) })
	}
	eachStore(t, raceTicket)
}

func raceTicket(w *world) {
	r := w.set(w.alice, rs1, "view")
	w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, "view")})
	ticket := w.gather(c1, w.ticket(perm(r, "view")), w.bob)
	services := []*umaas.Service{w.Service, w.service(), w.service()}
	start := make(chan struct{})
	results := make(chan error, 64)
	for i := range 64 {
		go func() {
			<-start
			_, err := redeemAt(w.t.Context(), services[i%3], c1, ticket)
			results <- err
		}()
	}
	close(start)
	winners := 0
	for range 64 {
		if err := <-results; err == nil {
			winners++
		} else {
			w.wantError(nil, err, 400, "invalid_grant", deadTicket)
		}
	}
	if winners != 1 {
		w.t.Fatalf("%d winners", winners)
	}
}
