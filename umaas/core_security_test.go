package umaas_test

import (
	"errors"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_30_ScopesAreComparedEndToEnd: an RPT for view says view to the resource server, whatever the policy would allow.
func TestSEC_30_ScopesAreComparedEndToEnd(t *testing.T) {
	w := inMemory(t)
	r, _, names, _ := w.shared()
	w.wantRights(w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken, "r{view}", names)
	w.wantRights(w.rpt(c1, w.gather(c1, w.ticket(limited(perm(r, "view"), "query", "q")), w.bob)).AccessToken, "r{view}[query=q]", names)
}

// TestSEC_39_ClosedWithoutPolicy: a fresh resource at every door and for every party, and as part of a mixed ticket (G-128).
func TestSEC_39_ClosedWithoutPolicy(t *testing.T) {
	eachStore(t, func(w *world) {
		fresh := w.set(w.alice, rs1, "view")
		shared, _, _, _ := w.shared()
		w.refused(c1, w.ticket(perm(fresh, "view")), 403, "need_info", "")
		w.refused(p1, w.ticket(perm(fresh)), 403, "need_info", "")
		w.refused(robot, w.ticket(perm(fresh, "view")), 403, "request_submitted", "")
		w.refused(c1, w.gather(c1, w.ticket(perm(fresh, "view")), w.bob), 403, "request_submitted", "")
		w.refused(c1, w.gather(c1, w.ticket(perm(fresh)), w.carol), 403, "request_submitted", "")
		w.refused(c1, w.gather(c1, w.ticket(perm(shared, "view"), perm(fresh, "view")), w.bob), 403, "request_submitted", "")
		w.refused(c1, w.gather(c1, w.ticket(perm(shared, "view"), perm(fresh)), w.bob), 403, "request_submitted", "")
	})
}

// TestSEC_41_ExactComparison: ids and scopes that begin, end or look alike are others.
func TestSEC_41_ExactComparison(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "View", "views", "vie", "view.")
	for _, near := range []string{"View", "views", "vie", "view."} {
		w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, r, near), rule(rs1, r[:21], "view"), rule(rs1, r+"A", "view"), rule(rs1, "", "view"), rule("", r, "view")})
	}
	w.refused(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob), 403, "request_submitted", "")
}

// TestSEC_48_WorkFollowsTheTicket: thousands of other shares change nothing, and one permission too many is refused.
func TestSEC_48_WorkFollowsTheTicket(t *testing.T) {
	w := inMemory(t)
	r, _, names, _ := w.shared()
	for range 2000 {
		w.policy(w.alice, account(w.carol), []umaas.Rule{rule(rs1, r, "view")})
	}
	read := 0
	err := w.store.View(t.Context(), func(reader umaas.Reader) error {
		found, err := reader.PoliciesFor(w.alice, rs1, r, []umaas.Who{account(w.bob)})
		read = len(found)
		return err
	})
	if err != nil || read != 1 {
		t.Fatalf("%d policies read: %v", read, err)
	}
	var many []uma.Permission
	for range 256 {
		many = append(many, perm(w.set(w.alice, rs1, "view"), "view"))
	}
	w.refused(c1, w.ticket(many...), 403, "need_info", "")
	w.wantRights(w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken, "r{view}", names)
}

// TestSEC_50_OnlyPATs: an RPT or a refresh token is no protection token, and a PAT is no RPT.
func TestSEC_50_OnlyPATs(t *testing.T) {
	w := inMemory(t)
	r, _, _, _ := w.shared()
	resp := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	if _, err := w.AuthenticatePAT(t.Context(), resp.AccessToken); !errors.Is(err, uma.ErrInsufficientScope) {
		t.Fatal(err)
	}
	for _, token := range []string{resp.RefreshToken, "", "x"} {
		if _, err := w.AuthenticatePAT(t.Context(), token); !errors.Is(err, uma.ErrInvalidToken) {
			t.Fatal(err)
		}
	}
	w.put(func(tx umaas.Tx) error {
		c, err := tx.Client(rs1)
		c.GrantTypes = []string{uma.GrantTypeClientCredentials}
		return errors.Join(err, tx.PutClient(c))
	})
	pat, err := w.Token(t.Context(), umaas.TokenRequest{Form: form("grant_type", "client_credentials", "client_id", string(rs1), "client_secret", secret, "scope", "uma_protection")})
	w.must(err)
	p, err := w.AuthenticatePAT(t.Context(), pat.AccessToken)
	if err != nil || p.Owner != w.org || p.RS != rs1 {
		t.Fatalf("%+v %v", p, err)
	}
	w.wantInactive(w.inspect(w.org, rs1, pat.AccessToken))
	i, err := w.Introspect(t.Context(), p, resp.AccessToken)
	if err != nil || !i.Active || len(i.Permissions) != 1 {
		t.Fatalf("%+v %v", i, err)
	}
}

// TestSEC_51_ForeignIDsAreUnknownIDs: another server's or owner's id and one that never was get equal answers.
func TestSEC_51_ForeignIDsAreUnknownIDs(t *testing.T) {
	w := inMemory(t)
	id := w.set(w.alice, rs1, "view")
	for _, p := range []umaas.PAT{{Owner: w.alice, RS: rs2}, {Owner: w.carol, RS: rs1}, {Owner: w.org, RS: rs1}} {
		for _, probe := range []umaas.ResourceID{id, "AAAAAAAAAAAAAAAAAAAAAA", ""} {
			d := uma.ResourceDescription{Scopes: []string{"view"}}
			_, read := w.ReadResource(t.Context(), p, probe)
			for _, err := range []error{read, w.UpdateResource(t.Context(), p, probe, d, ""), w.DeleteResource(t.Context(), p, probe, "")} {
				w.wantError(nil, err, 404, "not_found", "no such resource")
			}
			if probe != "" {
				w.wantRequestRefused(p, probe)
			}
		}
	}
}

// TestG_108_NoSilentUpgrade: a party who is signed in already and was here before still meets a page that names the app, and
// only her answer to that page continues the process (G-109).
func TestG_108_NoSilentUpgrade(t *testing.T) {
	w := inMemory(t)
	r, _, _, _ := w.shared()
	w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
	v, b := w.visit(c1, w.ticket(perm(r, "view")), w.bob)
	if v.Step != umaas.StepGather || v.App.Name != "App One" || v.Redirect != back1 {
		t.Fatalf("%+v", v)
	}
	if err := w.AnswerGather(t.Context(), v.ID, b, w.sessions[w.bob], umaas.GatherAnswer{}); !errors.Is(err, umaas.ErrChanged) {
		t.Fatal("answered without what the page showed:", err)
	}
	own, ob := w.visit(c1, w.ticket(perm(r, "view")), w.alice)
	if own.Step != umaas.StepConsent {
		t.Fatal(own.Step)
	}
	if _, err := w.AnswerConsent(t.Context(), own.ID, ob, w.sessions[w.alice], umaas.ConsentAnswer{Items: itemIDs(own.Records), Until: w.now().Add(time.Hour)}); !errors.Is(err, umaas.ErrChanged) {
		t.Fatal(err)
	}
}
