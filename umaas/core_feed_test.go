package umaas_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// poll asks the feed and returns the tags of what it told, after checking what it signed (RFC 8417 §2).
func (w *world) poll(s *umaas.Service, rs umaas.ClientID, after string, wait int) (uma.Feed, []string) {
	w.t.Helper()
	f, err := s.Feed(w.t.Context(), umaas.PAT{Owner: w.org, RS: rs}, uma.FeedRequest{After: after, WaitMS: wait})
	w.must(err)
	ring, err := coreRing()
	w.must(err)
	var tags []string
	for _, set := range f.Sets {
		v, err := ring.Verify(set, keys.ES256, "secevent+jwt")
		w.must(err)
		var got struct {
			Iss, JTI, Aud string
			Iat           int64
			Events        map[string]struct{ Tags []string }
		}
		w.must(json.Unmarshal(v.Payload, &got))
		e, ok := got.Events["urn:umaas:event:changed"]
		if got.Iss != issuer || got.JTI == "" || got.Aud != string(rs) || got.Iat == 0 || !ok || len(e.Tags) == 0 || len(got.Events) != 1 {
			w.t.Fatalf("security event %s", v.Payload)
		}
		tags = append(tags, e.Tags...)
	}
	return f, tags
}

// TestGW_38_FeedTellsOfEveryChange: whatever makes introspection answer otherwise, the feed names by a tag of that answer.
func TestGW_38_FeedTellsOfEveryChange(t *testing.T) {
	type scene struct {
		w      *world
		r      umaas.ResourceID
		policy umaas.PolicyID
		token  uma.TokenResponse
	}
	account := func(c scene, id umaas.AccountID, change func(*umaas.Account)) {
		c.w.must(c.w.Store.Update(t.Context(), func(tx umaas.Tx) error {
			a, err := tx.Account(id)
			change(&a)
			if err != nil {
				return err
			}
			return tx.PutAccount(a)
		}))
	}
	lock := func(a *umaas.Account) { a.Disabled = true }
	pat := func(c scene) umaas.PAT { return umaas.PAT{Owner: c.w.alice, RS: rs1} }
	for name, change := range map[string]func(scene){
		"share stopped": func(c scene) {
			_, err := c.w.StopShare(t.Context(), c.w.alice, c.policy, "")
			c.w.must(err)
		},
		"policy narrowed": func(c scene) {
			c.w.must(c.w.Store.Update(t.Context(), func(tx umaas.Tx) error {
				p, err := tx.Policy(c.w.alice, c.policy)
				p.Rules = []umaas.Rule{rule(rs1, c.r, "edit")}
				if err != nil {
					return err
				}
				return tx.PutPolicy(p)
			}))
		},
		"owner locked":           func(c scene) { account(c, c.w.alice, lock) },
		"party locked":           func(c scene) { account(c, c.w.bob, lock) },
		"app closed":             func(c scene) { c.w.disableClient(c1) },
		"resource server closed": func(c scene) { c.w.disableClient(rs1) },
		"set deregistered":       func(c scene) { c.w.must(c.w.DeleteResource(t.Context(), pat(c), c.r, "")) },
		"set registered with less": func(c scene) {
			c.w.must(c.w.UpdateResource(t.Context(), pat(c), c.r, uma.ResourceDescription{Scopes: []string{"edit"}}, ""))
		},
		"token revoked": func(c scene) {
			f := form("client_id", string(c1), "client_secret", secret, "token", c.token.AccessToken)
			c.w.must(c.w.Revoke(t.Context(), umaas.TokenRequest{Form: f}))
		},
		"upgraded": func(c scene) {
			c.w.rpt(c1, c.w.gather(c1, c.w.ticket(perm(c.r, "view")), c.w.bob), "rpt", c.token.AccessToken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(w *world) {
				r, _, _, policy := w.shared()
				token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
				before := w.inspect(w.alice, rs1, token.AccessToken)
				start, _ := w.poll(w.Service, rs1, "", 0)
				if !start.Reset || len(start.Sets) != 0 || start.After == "" {
					w.t.Fatalf("first poll %+v", start)
				}
				change(scene{w, r, policy, token})
				if after := w.inspect(w.alice, rs1, token.AccessToken); after.Active {
					w.t.Fatal("nothing changed: the case proves nothing")
				}
				next, tags := w.poll(w.Service, rs1, start.After, 0)
				if next.Reset || next.After == start.After || !slices.ContainsFunc(tags, func(g string) bool { return slices.Contains(before.Tags, g) }) {
					w.t.Errorf("feed %+v told %v, the token rests on %v", next, tags, before.Tags)
				}
				if again, _ := w.poll(w.Service, rs1, next.After, 0); again.Reset || len(again.Sets) != 0 || again.After != next.After {
					w.t.Errorf("told again: %+v", again)
				}
			})
		})
	}
}

// TestGW_38_FeedOfTheBase: a token on a derived set rests on the record's owner too.
func TestGW_38_FeedOfTheBase(t *testing.T) {
	w := inMemory(t)
	record := w.set(w.alice, rs1, "view")
	derived, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.bob, RS: rs1}, uma.ResourceDescription{
		Scopes: []string{"view"}, DerivedFrom: &uma.DerivedFrom{ResourceID: string(record)}}, "")
	w.must(err)
	standing := w.policy(w.alice, account(w.bob), []umaas.Rule{rule(rs1, record, "view")})
	w.policy(w.bob, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, derived, "view")})
	token := w.rpt(c1, w.ticketOf(umaas.PAT{Owner: w.bob, RS: rs1}, perm(derived, "view"))).AccessToken
	before := w.inspect(w.bob, rs1, token)
	start, _ := w.poll(w.Service, rs1, "", 0)
	_, err = w.StopShare(t.Context(), w.alice, standing, "")
	w.must(err)
	if _, tags := w.poll(w.Service, rs1, start.After, 0); !before.Active || !slices.ContainsFunc(tags, func(g string) bool { return slices.Contains(before.Tags, g) }) {
		t.Errorf("told %v, the token rests on %v", tags, before.Tags)
	}
}

// TestFeedOfOthers: a resource server hears of its own sets and of people and apps, not of others' policies.
func TestFeedOfOthers(t *testing.T) {
	w := inMemory(t)
	_, _, _, policy := w.shared()
	start, _ := w.poll(w.Service, rs2, "", 0)
	_, err := w.StopShare(t.Context(), w.alice, policy, "")
	w.must(err)
	if f, _ := w.poll(w.Service, rs2, start.After, 0); len(f.Sets) != 0 || f.Reset || f.After == start.After {
		t.Errorf("of another's policy: %+v", f)
	}
	w.disableClient(c2)
	if f, _ := w.poll(w.Service, rs2, start.After, 0); len(f.Sets) != 1 || f.Reset {
		t.Errorf("of an app: %+v", f)
	}
}

// TestFeedWakes: a poll that waits is answered when another server on the store changes something, and otherwise when its time
// is over.
func TestFeedWakes(t *testing.T) {
	w := inMemory(t)
	_, _, _, policy := w.shared()
	other := w.service()
	start, _ := w.poll(w.Service, rs1, "", 20_000) // a first poll does not wait
	if f, _ := w.poll(w.Service, rs1, start.After, 1); len(f.Sets) != 0 || f.Reset || f.After != start.After {
		t.Errorf("nothing happened: %+v", f)
	}
	for _, s := range []*umaas.Service{other, w.Service} {
		done := make(chan uma.Feed)
		go func() {
			f, _ := w.poll(s, rs1, start.After, 20_000)
			done <- f
		}()
		if s == other { // asked before it happens; the second is asked afterwards
			_, err := w.StopShare(t.Context(), w.alice, policy, "")
			w.must(err)
		}
		if f := <-done; len(f.Sets) != 1 || f.Reset {
			t.Errorf("%+v", f)
		}
	}
}

// TestFeedForgets: whoever was away for longer than changes are kept is told to ask about everything again.
func TestFeedForgets(t *testing.T) {
	engine := memkv.New(memkv.Options{})
	w := newWorld(t, engine)
	start, _ := w.poll(w.Service, rs1, "", 0)
	w.disableClient(c1)
	middle, _ := w.poll(w.Service, rs1, start.After, 0)
	w.sleep(time.Hour)
	w.disableClient(c2)
	st, err := store.New(t.Context(), engine, store.Options{Now: w.now})
	w.must(err)
	_, err = st.Collect(t.Context())
	w.must(err)
	if f, _ := w.poll(w.Service, rs1, start.After, 0); !f.Reset || len(f.Sets) != 0 {
		t.Errorf("away for long: %+v", f)
	}
	if f, _ := w.poll(w.Service, rs1, middle.After, 0); f.Reset || len(f.Sets) != 1 {
		t.Errorf("nothing missed: %+v", f)
	}
	for _, bad := range []uma.FeedRequest{{After: "x"}, {After: start.After[1:] + "A"}, {WaitMS: -1}, {WaitMS: 20_001}} {
		_, err := w.Feed(t.Context(), umaas.PAT{Owner: w.org, RS: rs1}, bad)
		w.wantError(nil, err, 400, "invalid_request", "")
	}
}
