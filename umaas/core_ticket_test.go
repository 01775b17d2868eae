package umaas_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
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
			if err != nil || strings.Contains(string(raw), string(r)) || raw[0] == '{' && json.Valid(raw) {
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
