package umaas_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

const permissionTicketFormat = "https://smarthealthit.org/token-type/permission-ticket"

// permissionTicket is one of the hospital's about patient p1, good for five minutes for the holder of a key.
func (i claimsIssuer) permissionTicket(t testing.TB, now time.Time, h holder, types ...string) string {
	t.Helper()
	var entries []any
	for _, name := range types {
		entries = append(entries, map[string]any{"kind": "data", "resource_type": name, "interactions": []string{"read"}})
	}
	payload, err := json.Marshal(map[string]any{
		"iss": hospitalIssuer, "aud": issuer, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
		"ticket_type": "kind", "presenter_binding": map[string]any{"method": "jkt", "jkt": h.key.Thumbprint()},
		"subject": map[string]any{"recipient_record": map[string]any{"reference": "Patient/p1"}},
		"access":  map[string]any{"permissions": entries},
	})
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	input := enc([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + enc(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + enc(sig)
}

// trustMore changes what the hospital is trusted for.
func (w *world) trustMore(change func(*umaas.TrustedIssuer)) {
	w.t.Helper()
	i, err := w.TrustedIssuer(w.t.Context(), hospitalIssuer)
	w.must(err)
	change(&i)
	_, err = w.PutTrustedIssuer(w.t.Context(), i, "")
	w.must(err)
}

func (w *world) trustTickets() claimsIssuer {
	w.t.Helper()
	i := w.trust()
	w.trustMore(func(i *umaas.TrustedIssuer) { i.Uses = append(i.Uses, umaas.UsePermissionTicket) })
	return i
}

// record is alice's record of patient p1, given whole to whoever shows a permission ticket, but for what else is named.
func (w *world) record(given []string, more ...string) umaas.ResourceID {
	w.t.Helper()
	id, err := w.CreateResource(w.t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{
		Name: "Health record", Scopes: append(slices.Clone(given), more...), Context: &uma.ResourceContext{Level: "record", Patient: "p1"},
	}, "")
	w.must(err)
	who := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: hospitalIssuer, Name: "permission_ticket", Value: "kind"}}
	w.policy(w.alice, who, []umaas.Rule{rule(rs1, id, given...)})
	return id
}

// scopesOf are all scopes an access token gives now.
func (w *world) scopesOf(token string) string {
	w.t.Helper()
	var out []string
	for _, p := range w.inspect(w.alice, rs1, token).Permissions {
		out = append(out, p.Scopes...)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

const (
	observations  = "patient/Observation.r"
	conditions    = "patient/Condition.r"
	immunizations = "patient/Immunization.r"
)

// TestSEC_28_NoMemoryOfAPermissionTicket: a process that a permission ticket bounds gives neither PCT nor refresh token, so that
// nothing wider and nothing longer grows out of it; and one written before that rule recalls no ticket.
func TestSEC_28_NoMemoryOfAPermissionTicket(t *testing.T) {
	w := inMemory(t)
	i := w.trustTickets()
	r := w.record([]string{observations, conditions})
	h := w.holder()
	s := w.stage(c1, w.ticket(perm(r, observations, conditions)), w.bob)
	w.must(s.questions(umaas.GatherAnswer{}))
	resp, err := w.presents(h, c1, s.confirm(true), "claim_token", i.permissionTicket(t, w.now(), h, "Observation"), "claim_token_format", permissionTicketFormat)
	w.must(err)
	if got := w.scopesOf(resp.AccessToken); got != observations {
		t.Fatalf("the RPT gives %q", got)
	}
	if resp.PCT != "" || resp.RefreshToken != "" {
		t.Errorf("PCT %v, refresh token %v", resp.PCT != "", resp.RefreshToken != "")
	}
	pct := w.remembered(c2, w.bob)
	list, err := w.Remembered(t.Context(), w.bob)
	w.must(err)
	w.put(func(tx umaas.Tx) error {
		p, err := tx.PCT(list[0].Key, w.now())
		p.Party.Claims = append(p.Party.Claims, umaas.Claim{Issuer: hospitalIssuer, Name: "permission_ticket", Value: "kind"})
		return errors.Join(err, tx.PutPCT(p))
	})
	w.refused(c2, w.ticket(perm(r, observations)), 403, "request_submitted", "", "pct", pct)
}

// TestSEC_28_LaterScopeKeepsTheBounds: of several scope requests the latest counts, inside of what a permission ticket left.
func TestSEC_28_LaterScopeKeepsTheBounds(t *testing.T) {
	bounded := func(t *testing.T) (*world, claimsIssuer, holder, *uma.Error) {
		w := inMemory(t)
		i := w.trustTickets()
		w.put(func(tx umaas.Tx) error {
			c, err := tx.Client(c1)
			c.Scopes = append(c.Scopes, observations, conditions)
			return errors.Join(err, tx.PutClient(c))
		})
		r := w.record([]string{observations, conditions, "download"}, immunizations)
		h := w.holder()
		_, err := w.presents(h, c1, w.ticket(perm(r, observations, conditions, immunizations)), "scope", "download")
		e := w.wantError(nil, err, 403, "need_info", "")
		_, err = w.presents(h, c1, e.Ticket, "claim_token", i.permissionTicket(t, w.now(), h, "Observation", "Immunization"), "claim_token_format", permissionTicketFormat)
		e = w.wantError(nil, err, 403, "request_submitted", "") // immunizations are given by no policy
		return w, i, h, e
	}
	const again = "a permission ticket bounds this process: push it again with the wider scope"
	for _, c := range []struct{ scope, want string }{
		{"download", again}, {conditions, again}, {observations + " " + conditions, again}, {observations, ""},
	} {
		t.Run(c.scope, func(t *testing.T) {
			w, _, h, e := bounded(t)
			w.answer(w.alice, false)
			w.sleep(10 * time.Second)
			resp, err := w.presents(h, c1, e.Ticket, "scope", c.scope)
			if c.want != "" {
				w.wantError(nil, err, 400, "invalid_scope", c.want)
				return
			}
			w.must(err)
			if got := w.scopesOf(resp.AccessToken); got != observations {
				t.Errorf("beyond the ticket: %q", got)
			}
		})
	}
	t.Run("a refused ticket leaves the bounds", func(t *testing.T) {
		w, i, h, e := bounded(t)
		w.answer(w.alice, false)
		w.sleep(10 * time.Second)
		_, err := w.presents(h, c1, e.Ticket, "scope", conditions, "claim_token", i.permissionTicket(t, w.now(), h, "Device"), "claim_token_format", permissionTicketFormat)
		e = w.wantError(nil, err, 403, "need_info", "")
		w.sleep(10 * time.Second)
		resp, err := w.presents(h, c1, e.Ticket)
		w.must(err)
		if got := w.scopesOf(resp.AccessToken); got != observations {
			t.Errorf("beyond the ticket: %q", got)
		}
	})
}
