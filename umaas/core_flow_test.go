package umaas_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestG_ClaimsEndpointRefusesBadClients: a page, no redirect, and the ticket stays alive (G-040…G-051, G-059, G-060).
func TestG_ClaimsEndpointRefusesBadClients(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	w.put(func(tx umaas.Tx) error {
		return tx.PutClient(umaas.Client{ID: "c-none", AuthMethod: umaas.AuthNone, GrantTypes: []string{uma.GrantTypeTicket}})
	})
	ticket := w.ticket(perm(r, "view"))
	rows := []struct{ name, client, uri, code, description string }{
		{"G-040 no client", "", back1, "invalid_request", "parameter missing: client_id"},
		{"G-040 unknown client", "c-unknown", back1, "invalid_request", "client_id is unknown"},
		{"G-042 two registered, none sent", string(c1), "", "invalid_request", "claims_redirect_uri is required unless exactly one is registered"},
		{"G-042 none registered, none sent", "c-none", "", "invalid_request", "claims_redirect_uri is required unless exactly one is registered"},
		{"G-049 none registered, one sent", "c-none", "https://none.example/cb", "invalid_redirect_uri", ""},
		{"G-050 plain redirect_uri", string(c1), "https://one.example/oauth", "invalid_redirect_uri", "claims_redirect_uri is not registered for this client"},
	}
	for _, near := range []string{
		"https://one.example/cb", "https://one.example/cb?x=1&", "https://one.example/cb?x=2", "https://ONE.example/cb?x=1", "https://one.example:443/cb?x=1",
		"https://one.example/a/../cb?x=1", "https://one.example/%63b?x=1", "https://one.example/cb?x=1#f", "http://one.example/cb?x=1", "//one.example/cb?x=1",
		"https://one.example.evil/cb?x=1", "https://u@one.example/cb?x=1", `https://one.example\cb?x=1`, " https://one.example/cb?x=1", "https://one.example/cb/?x=1", "cb?x=1",
	} {
		rows = append(rows, struct{ name, client, uri, code, description string }{"G-051 " + near, string(c1), near, "invalid_redirect_uri", ""})
	}
	for _, c := range rows {
		q := form("ticket", ticket, "state", "s")
		if c.client != "" {
			q.Set("client_id", c.client)
		}
		if c.uri != "" {
			q.Set("claims_redirect_uri", c.uri)
		}
		s, err := w.StartClaims(t.Context(), q, "", "")
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			w.wantError(s, err, 400, c.code, c.description)
			if s != (umaas.Started{}) {
				t.Fatal("there is a way on beside the error")
			}
		})
	}
	s, err := w.StartClaims(t.Context(), form("client_id", string(c2), "client_id", string(c1), "ticket", ticket), "", "")
	w.t = t
	w.wantError(s, err, 400, "invalid_request", "a parameter is given more than once: client_id")
	w.refused(c1, ticket, 403, "need_info", "")
}

// TestG_ClaimsRedirect: state byte for byte and only if sent, a new ticket, the issuer, and nothing gathered (G-043…G-056,
// SEC-105).
func TestG_ClaimsRedirect(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		for _, state := range []string{"", "x", "ä ö%20&=#+\U0001f600"} {
			q := form("client_id", string(c2), "ticket", w.ticket(perm(r, "view")))
			if state != "" {
				q.Set("state", state)
			}
			s, err := w.StartClaims(t.Context(), q, "", "")
			w.must(err)
			sess := w.sessions[w.bob]
			v, err := w.Flow(t.Context(), s.ID, umaas.Browser(s.Browser), &sess)
			w.must(err)
			if v.Step != umaas.StepGather || v.App.Name != "App Two" || v.App.Host != "two.example" || !strings.Contains(v.Told, "Bob Berg (bob@example.org, confirmed) asks through App Two") {
				t.Fatalf("view %+v", v)
			}
			if strings.Contains(v.Told, "Alice") || len(v.Records) != 0 {
				t.Fatal("the owner is named") // F-076
			}
			w.must(w.AnswerGather(t.Context(), v.ID, umaas.Browser(s.Browser), sess, umaas.GatherAnswer{Digest: v.Digest, Purpose: "TREAT", Note: "please"}))
			back := w.send(v.ID, umaas.Browser(s.Browser), w.bob, false)
			want := []string{"iss", "ticket"}
			if state != "" {
				want = []string{"iss", "state", "ticket"}
			}
			if got := slices.Sorted(maps.Keys(back.Query)); !slices.Equal(got, want) || back.URI != "https://two.example/cb" || back.Query.Get("iss") != issuer || back.Query.Get("state") != state {
				t.Fatalf("redirect %+v", back)
			}
			if back.Query.Get("ticket") == q.Get("ticket") {
				t.Fatal("same ticket") // G-054
			}
			w.dead(c2, q.Get("ticket"))
			w.refused(c2, back.Query.Get("ticket"), 403, "request_submitted", "")
		}
	})
}

// TestG_ClaimsCancel: the person's own no (G-061, G-109).
func TestG_ClaimsCancel(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	ticket := w.ticket(perm(r, "view"))
	v, b := w.visit(c1, ticket, w.bob)
	back, err := w.CancelFlow(t.Context(), v.ID, b)
	w.must(err)
	if back.URI != back1 || back.Query.Get("error") != "access_denied" || back.Query.Get("state") != "s t/ä=&" || back.Query.Get("iss") != issuer || back.Query.Has("ticket") {
		t.Fatalf("%+v", back)
	}
	w.dead(c1, ticket)
	if _, err := w.CancelFlow(t.Context(), v.ID, b); !errors.Is(err, umaas.ErrFlowGone) {
		t.Fatal(err)
	}
}

// TestSEC_04_TwoBrowsers: an attacker's flow cannot be finished in the victim's browser, nor read there.
func TestSEC_04_TwoBrowsers(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	v, attacker := w.visit(c1, w.ticket(perm(r, "view")), w.bob)
	_, victim := w.visit(c1, w.ticket(perm(r, "view")), w.carol)
	sess := w.sessions[w.bob]
	for _, b := range []umaas.Browser{"", "x", victim, attacker + "A", attacker[:len(attacker)-1]} {
		if _, err := w.Flow(t.Context(), v.ID, b, &sess); !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Fatalf("browser %q: %v", b, err)
		}
		if err := w.AnswerGather(t.Context(), v.ID, b, sess, umaas.GatherAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Fatalf("browser %q: %v", b, err)
		}
		if _, err := w.CancelFlow(t.Context(), v.ID, b); !errors.Is(err, umaas.ErrOtherBrowser) {
			t.Fatalf("browser %q: %v", b, err)
		}
	}
	for _, id := range []string{"", "x", v.ID[:len(v.ID)-1], v.ID + "A"} {
		if _, err := w.Flow(t.Context(), id, attacker, &sess); !errors.Is(err, umaas.ErrFlowGone) {
			t.Fatalf("id %q: %v", id, err)
		}
	}
}

// TestSEC_24_AnotherPerson cannot go on with a flow, nor with the process after it.
func TestSEC_24_AnotherPerson(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		v, b := w.visit(c1, w.ticket(perm(r, "view")), w.bob)
		carol := w.sessions[w.carol]
		if _, err := w.Flow(t.Context(), v.ID, b, &carol); !errors.Is(err, umaas.ErrOtherPerson) {
			t.Fatal(err)
		}
		if err := w.AnswerGather(t.Context(), v.ID, b, carol, umaas.GatherAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrOtherPerson) {
			t.Fatal(err)
		}
		w.must(w.AnswerGather(t.Context(), v.ID, b, w.sessions[w.bob], umaas.GatherAnswer{Digest: v.Digest}))
		back := w.send(v.ID, b, w.bob, false)
		// Second gathering of the same process by somebody else.
		s, err := w.StartClaims(t.Context(), form("client_id", string(c1), "ticket", w.back(back), "claims_redirect_uri", back1), "", "")
		w.must(err)
		if _, err := w.Flow(t.Context(), s.ID, umaas.Browser(s.Browser), &carol); !errors.Is(err, umaas.ErrOtherPerson) {
			t.Fatal(err)
		}
		w.disable(w.bob)
		bob := w.sessions[w.bob]
		if _, err := w.Flow(t.Context(), s.ID, umaas.Browser(s.Browser), &bob); !errors.Is(err, umaas.ErrOtherPerson) {
			t.Fatal("a closed account goes on:", err)
		}
	})
}

// TestFlowSteps: sign-in first, the right step only, an end, one answer (PS-04, SEC-71).
func TestFlowSteps(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		s, err := w.StartClaims(t.Context(), form("client_id", string(c2), "ticket", w.ticket(perm(r, "view"))), "", "")
		w.must(err)
		b := umaas.Browser(s.Browser)
		v, err := w.Flow(t.Context(), s.ID, b, nil)
		w.must(err)
		if v.Step != umaas.StepSignIn || v.Person != nil || len(v.Records) != 0 || v.Digest != "" {
			t.Fatalf("before sign-in: %+v", v)
		}
		alice := w.sessions[w.alice]
		v, err = w.Flow(t.Context(), s.ID, b, &alice)
		w.must(err)
		if v.Step != umaas.StepConsent || len(v.Records) != 1 || len(v.Records[0].Items) != 1 {
			t.Fatalf("owner: %+v", v)
		}
		item := v.Records[0].Items[0].ID
		for _, c := range []struct {
			name   string
			answer umaas.ConsentAnswer
			want   error
		}{
			{"other digest", umaas.ConsentAnswer{Digest: "x", Items: []string{item}}, umaas.ErrChanged},
			{"no digest", umaas.ConsentAnswer{Items: []string{item}}, umaas.ErrChanged},
			{"nothing ticked", umaas.ConsentAnswer{Digest: v.Digest}, umaas.ErrNothingChosen},
			{"an item that was not shown", umaas.ConsentAnswer{Digest: v.Digest, Items: []string{item, strings.Replace(item, "view", "edit", 1)}}, umaas.ErrBadAnswer},
			{"an end in the past", umaas.ConsentAnswer{Digest: v.Digest, Items: []string{item}, Until: w.now()}, umaas.ErrBadAnswer},
		} {
			if _, err := w.AnswerConsent(t.Context(), s.ID, b, alice, c.answer); !errors.Is(err, c.want) {
				t.Fatalf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if err := w.AnswerGather(t.Context(), s.ID, b, alice, umaas.GatherAnswer{Digest: v.Digest}); !errors.Is(err, umaas.ErrStep) {
			t.Fatal(err)
		}
		good := umaas.ConsentAnswer{Digest: v.Digest, Items: []string{item}}
		back, err := w.AnswerConsent(t.Context(), s.ID, b, alice, good)
		w.must(err)
		if _, err := w.AnswerConsent(t.Context(), s.ID, b, alice, good); !errors.Is(err, umaas.ErrFlowGone) {
			t.Fatal("double click:", err)
		}
		w.wantRights(w.rpt(c2, w.back(back)).AccessToken, "r{view}", map[umaas.ResourceID]string{r: "r"})

		late, lb := w.visit(c2, w.ticket(perm(r, "view")), w.bob)
		for _, a := range []umaas.GatherAnswer{{Digest: late.Digest, Purpose: "BTG"}, {Digest: late.Digest, Note: strings.Repeat("ä", 281)}, {Digest: late.Digest, Note: "\xff"}} {
			if err := w.AnswerGather(t.Context(), late.ID, lb, w.sessions[w.bob], a); !errors.Is(err, umaas.ErrBadAnswer) {
				t.Fatalf("%+v: %v", a, err)
			}
		}
		w.sleep(10 * time.Minute)
		if err := w.AnswerGather(t.Context(), late.ID, lb, w.sessions[w.bob], umaas.GatherAnswer{Digest: late.Digest}); !errors.Is(err, umaas.ErrFlowGone) {
			t.Fatal(err)
		}
	})
}

// TestSelfAccess: the owner with her own app gets what she ticks, until she says, and no refresh once it is over.
func TestSelfAccess(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{r: "r"}
		start := w.refused(c1, w.ticket(perm(r, "view", "edit")), 403, "need_info", "").Ticket
		resp := w.rpt(c1, w.consent(c1, start, w.alice, w.now().Add(2*time.Minute), ".view"))
		if resp.TokenType != "Bearer" || resp.ExpiresIn != 120 && resp.ExpiresIn != 300 || resp.Scope != "" || resp.PCT != "" || resp.Upgraded || resp.RefreshToken == "" {
			t.Fatalf("%+v", resp) // G-067…G-076
		}
		w.wantRights(resp.AccessToken, "r{view}", names)
		i := w.inspect(w.alice, rs1, resp.AccessToken)
		if i.Permissions[0].Exp != w.now().Add(2*time.Minute).Unix() { // F-069, F-070
			t.Fatalf("permission exp %d", i.Permissions[0].Exp)
		}
		w.sleep(2 * time.Minute)
		w.wantInactive(w.inspect(w.alice, rs1, resp.AccessToken))
		f := form("grant_type", "refresh_token", "client_id", string(c1), "client_secret", secret, "refresh_token", resp.RefreshToken)
		again, err := w.Token(t.Context(), umaas.TokenRequest{Form: f})
		w.wantError(again, err, 400, "invalid_grant", "")
	})
}

// TestLatestConsentCounts: what she leaves out the second time is gone for this app; the app's other tokens keep the rest.
func TestLatestConsentCounts(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit", "download")
		names := map[umaas.ResourceID]string{r: "r"}
		first := w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view", "edit", "download")), w.alice, time.Time{})).AccessToken
		other := w.rpt(c2, w.consent(c2, w.ticket(perm(r, "edit")), w.alice, time.Time{})).AccessToken
		w.sleep(time.Second)
		second := w.rpt(c1, w.consent(c1, w.ticket(perm(r, "view", "edit")), w.alice, w.now().Add(time.Minute), ".view")).AccessToken
		w.wantRights(second, "r{view}", names)
		w.wantRights(first, "r{view,download}", names)
		w.wantRights(other, "r{edit}", names)
		w.sleep(time.Minute)
		w.wantInactive(w.inspect(w.alice, rs1, second))
		w.wantRights(first, "r{view,download}", names)

		// The same answer again makes no second policy.
		before, err := w.Shares(t.Context(), w.alice)
		w.must(err)
		for range 3 {
			w.consent(c2, w.ticket(perm(r, "edit")), w.alice, time.Time{})
		}
		after, err := w.Shares(t.Context(), w.alice)
		w.must(err)
		if len(after) != len(before) {
			t.Fatalf("%d policies, then %d", len(before), len(after))
		}
	})
}

// TestZeroScopes: a resource asked for as such (F-052), and scopes added at the token endpoint (G-035, G-036, G-084, G-085).
func TestZeroScopes(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "download")
		names := map[umaas.ResourceID]string{r: "r"}
		v, _ := w.visit(c1, w.ticket(perm(r)), w.alice)
		if len(v.Records) != 1 || len(v.Records[0].Items) != 1 || v.Records[0].Items[0].Words != "Know which record this is" {
			t.Fatalf("%+v", v.Records)
		}
		w.wantRights(w.rpt(c1, w.consent(c1, w.ticket(perm(r)), w.alice, time.Time{})).AccessToken, "r{}", names)
		i := w.inspect(w.alice, rs1, w.rpt(c1, w.consent(c1, w.ticket(perm(r)), w.alice, time.Time{})).AccessToken)
		if i.Permissions[0].Scopes == nil {
			t.Fatal("resource_scopes is null")
		}
		e := w.refused(c1, w.ticket(perm(r)), 403, "need_info", "", "scope", "download")
		w.wantRights(w.rpt(c1, w.consent(c1, e.Ticket, w.alice, time.Time{})).AccessToken, "r{download}", names)

		w.refused(c2, w.ticket(perm(r)), 400, "invalid_scope", "the client is not registered for a requested scope", "scope", "download")
		w.refused(c1, w.ticket(perm(r)), 400, "invalid_scope", "a requested scope is available on no resource of the ticket", "scope", "download fly")
		w.refused(c1, w.ticket(perm(r)), 400, "invalid_scope", "", "scope", "Download")
	})
}

// TestG_062_AlbumAndPhotos is the example of Grant §3.3.4.
func TestG_062_AlbumAndPhotos(t *testing.T) {
	eachStore(t, func(w *world) {
		album := w.set(w.alice, rs1, "view", "edit", "download")
		photo1 := w.set(w.alice, rs1, "view", "resize", "print", "download")
		photo2 := w.set(w.alice, rs1, "view", "resize", "print")
		names := map[umaas.ResourceID]string{album: "album", photo1: "photo1", photo2: "photo2"}
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, photo1, "view")})
		ticket := w.ticket(perm(album, "edit"), perm(photo1, "view"), perm(photo2, "view"))
		e := w.refused(c1, w.gather(c1, ticket, w.bob), 403, "request_submitted", "", "scope", "download")
		v := w.inbox(w.alice)[0]
		var asked []string
		for _, p := range v.Permissions {
			asked = append(asked, names[umaas.ResourceID(p.ResourceID)]+"{"+strings.Join(p.Scopes, ",")+"}")
		}
		if got := strings.Join(asked, " "); got != "album{edit,download} photo1{view,download} photo2{view}" { // G-063
			t.Fatalf("RequestedScopes: %s", got)
		}
		w.answer(w.alice, false)
		w.wantRights(w.rpt(c1, e.Ticket).AccessToken, "photo1{view}", names)
	})
}

// TestG_ClaimTokens: no format is accepted, and none is a fault (G-025…G-030, SEC-12, SEC-13, SEC-22).
func TestG_ClaimTokens(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	for _, format := range []string{"http://openid.net/specs/openid-connect-core-1_0.html#IDToken", "urn:unknown", "none"} {
		for _, token := range []string{"x", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJib2IifQ.", "~~~"} {
			e := w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "claim_token", token, "claim_token_format", format)
			if e.RedirectUser == "" {
				t.Fatal("no redirect_user")
			}
		}
	}
	w.refused(c1, w.ticket(perm(r, "view")), 403, "need_info", "", "pct", "anything")
}
