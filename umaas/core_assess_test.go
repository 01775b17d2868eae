package umaas_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func resource(id umaas.ResourceID, scopes ...string) umaas.Resource {
	return umaas.Resource{ID: id, Owner: "alice", RS: rs1, Description: uma.ResourceDescription{Scopes: scopes}}
}

func gives(id umaas.PolicyID, who umaas.Who, rules ...umaas.Rule) umaas.Policy {
	return umaas.Policy{ID: id, Owner: "alice", Who: who, Rules: rules, Created: noon, Origin: umaas.OriginShare}
}

func asks(r umaas.Resource, policies []umaas.Policy, scopes ...string) umaas.AskedPermission {
	return umaas.AskedPermission{Resource: r, Scopes: scopes, Policies: policies}
}

// question of bob with app c1 about alice's resources.
func question(asked ...umaas.AskedPermission) umaas.Question {
	return umaas.Question{
		Now: noon, Owner: "alice", Client: umaas.Client{ID: c1, AuthMethod: umaas.AuthSecretPost}, Party: &umaas.Party{Account: "bob"},
		PartyAccount: &umaas.Account{
			ID: "bob", Email: "bob@example.org", EmailVerified: true, Claims: []umaas.Claim{{Issuer: "https://idp.example", Name: "org", Value: "clinic"}},
		},
		Asked: asked, Language: bytesLanguage{},
	}
}

func print(d umaas.Decision) string {
	switch d := d.(type) {
	case umaas.Permit:
		s := "permit"
		if d.Partial {
			s = "partial"
		}
		for _, g := range d.Granted {
			s += fmt.Sprintf(" %s%v", g.Resource, g.Scopes)
			for _, c := range g.Constraints {
				s += fmt.Sprintf("(%s=%s)", c.Type, c.Value)
			}
		}
		return s
	case umaas.Denied:
		return "denied " + d.Reason
	default:
		return reflect.TypeOf(d).Name()
	}
}

// TestAssess is the decision table: each row changes one thing of "bob asks for view on r, and a policy gives it".
func TestAssess(t *testing.T) {
	r := resource("r", "view", "edit")
	bob := account("bob")
	given := []umaas.Policy{gives("p", bob, rule(rs1, "r", "view"))}
	change := func(f func(p *umaas.Policy)) []umaas.Policy {
		p := given[0]
		f(&p)
		return []umaas.Policy{p}
	}
	with := func(f func(q *umaas.Question)) umaas.Question {
		q := question(asks(r, given, "view"))
		f(&q)
		return q
	}
	policy := func(f func(p *umaas.Policy)) umaas.Question { return question(asks(r, change(f), "view")) }
	for _, c := range []struct {
		name string
		q    umaas.Question
		want string
	}{
		{"given", question(asks(r, given, "view")), "permit r[view]"},
		{"SEC-39 no policy", question(asks(r, nil, "view")), "Submitted"},
		{"SEC-39 zero policy", question(asks(r, []umaas.Policy{{}}, "view")), "Submitted"},
		{"SEC-39 policy without rules", policy(func(p *umaas.Policy) { p.Rules = nil }), "Submitted"},
		{"SEC-39 empty party", policy(func(p *umaas.Policy) { p.Who = umaas.Who{} }), "Submitted"},
		{"SEC-39 empty claim", policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoClaim} }), "Submitted"},
		{"SEC-39 empty address", policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoEmail} }), "Submitted"},
		{"SEC-39 empty account", policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoAccount} }), "Submitted"},
		{"nothing asked", question(), "denied nothing_asked"},
		{"zero question", umaas.Question{}, "denied nothing_asked"},
		{"no language", with(func(q *umaas.Question) { q.Language = nil }), "denied nothing_asked"},
		{"party unknown", with(func(q *umaas.Question) { q.Party, q.PartyAccount = nil, nil }), "NeedInfo"},
		{"party without account", with(func(q *umaas.Question) { q.PartyAccount = nil }), "denied party_unknown"},
		{"party and account differ", with(func(q *umaas.Question) { q.Party = &umaas.Party{Account: "eve"} }), "denied party_unknown"},
		{"party closed", with(func(q *umaas.Question) { q.PartyAccount.Disabled = true }), "denied party_unknown"},
		{"revoked", policy(func(p *umaas.Policy) { p.Revoked = noon.Add(-1) }), "Submitted"},
		{"ended this moment", policy(func(p *umaas.Policy) { p.NotAfter = noon }), "Submitted"},
		{"ends in a moment", policy(func(p *umaas.Policy) { p.NotAfter = noon.Add(1) }), "permit r[view]"},
		{"other owner's policy", policy(func(p *umaas.Policy) { p.Owner = "carol" }), "Submitted"},
		{"other app", policy(func(p *umaas.Policy) { p.Client = c2 }), "Submitted"},
		{"this app", policy(func(p *umaas.Policy) { p.Client = c1 }), "permit r[view]"},
		{"purpose wanted, none stated", policy(func(p *umaas.Policy) { p.Purposes = []string{"TREAT"} }), "Submitted"},
		{"empty purpose wanted", policy(func(p *umaas.Policy) { p.Purposes = []string{""} }), "Submitted"},
		{"SEC-42 other resource server", policy(func(p *umaas.Policy) { p.Rules = []umaas.Rule{rule(rs2, "r", "view")} }), "Submitted"},
		{"SEC-41 prefix", policy(func(p *umaas.Policy) {
			p.Rules = []umaas.Rule{rule(rs1, "", "view"), rule(rs1, "rr", "view"), rule(rs1, "*", "view")}
		}), "Submitted"},
		{"by address", policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoEmail, Email: "bob@example.org"} }), "permit r[view]"},
		{"by unproved address", func() umaas.Question {
			q := policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoEmail, Email: "bob@example.org"} })
			q.PartyAccount.EmailVerified = false
			return q
		}(), "Submitted"},
		{"by claim", policy(func(p *umaas.Policy) {
			p.Who = umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://idp.example", Name: "org", Value: "clinic"}}
		}), "permit r[view]"},
		{"SEC-20 by claim of another issuer", policy(func(p *umaas.Policy) {
			p.Who = umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://evil.example", Name: "org", Value: "clinic"}}
		}), "Submitted"},
		{"by app", policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoClient, Client: c1} }), "permit r[view]"},
		{"by app, nobody signed in", func() umaas.Question {
			q := policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoClient, Client: c1} })
			q.Party, q.PartyAccount = nil, nil
			return q
		}(), "permit r[view]"},
		{"by public app", func() umaas.Question {
			q := policy(func(p *umaas.Policy) { p.Who = umaas.Who{Kind: umaas.WhoClient, Client: c1} })
			q.Client.AuthMethod = umaas.AuthNone
			return q
		}(), "Submitted"},
		{"more than given", question(asks(r, given, "view", "edit")), "Submitted"},
		{"more than given, owner said yes", with(func(q *umaas.Question) {
			q.Asked[0].Scopes = []string{"view", "edit"}
			q.Answered = &umaas.Request{State: umaas.RequestAllowed}
		}), "partial r[view]"},
		{"nothing given, owner said no", func() umaas.Question {
			q := question(asks(r, nil, "view"))
			q.Answered = &umaas.Request{State: umaas.RequestDenied}
			return q
		}(), "denied policy_deny"},
		{"waiting", func() umaas.Question {
			q := question(asks(r, nil, "view"))
			q.Answered = &umaas.Request{State: umaas.RequestWaiting, Expires: noon.Add(1)}
			return q
		}(), "Submitted"},
		{"waited too long", func() umaas.Question {
			q := question(asks(r, nil, "view"))
			q.Answered = &umaas.Request{State: umaas.RequestWaiting, Expires: noon}
			return q
		}(), "denied owner_silent"},
		{"zero request", func() umaas.Question {
			q := question(asks(r, nil, "view"))
			q.Answered = &umaas.Request{}
			return q
		}(), "denied policy_deny"},
		{"owner herself, nothing ticked", with(func(q *umaas.Question) {
			q.Party, q.PartyAccount = &umaas.Party{Account: "alice"}, &umaas.Account{ID: "alice"}
		}), "denied policy_none"},
		{"decoy gives nothing", with(func(q *umaas.Question) { q.Decoy = true }), "Submitted"},
		{"unregistered scope in the ticket", question(asks(r, change(func(p *umaas.Policy) { p.Rules = []umaas.Rule{rule(rs1, "r", "view", "rule")} }), "view", "rule")), "Submitted"},
		{"nothing left to ask is not asking for the resource", func() umaas.Question {
			q := question(asks(resource("r", "edit"), given, "view"))
			q.Answered = &umaas.Request{State: umaas.RequestAllowed}
			return q
		}(), "denied policy_deny"},
		{"no scopes asked, resource shared", question(asks(r, given)), "permit r[]"},
		{"no scopes asked, nothing shared", question(asks(r, nil)), "Submitted"},
		{"SEC-39 mixed: one without policy", question(asks(r, given, "view"), asks(resource("s", "view"), nil, "view")), "Submitted"},
		{"narrower policy is not all", question(asks(r, change(func(p *umaas.Policy) {
			p.Rules = slices.Clone(p.Rules)
			p.Rules[0].Constraints = []uma.Constraint{{Type: "query", Value: "x"}}
		}), "view")), "Submitted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := print(umaas.Assess(c.q)); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestSEC_19_AllConditionsOfAPolicy: who, app, purpose, time and resource; every proper subset fails.
func TestSEC_19_AllConditionsOfAPolicy(t *testing.T) {
	for missing := range 1 << 5 {
		r := resource("r", "view")
		p := gives("p", account("bob"), rule(rs1, "r", "view"))
		p.Client, p.Purposes, p.NotAfter = c1, []string{"TREAT"}, noon.Add(time.Hour)
		q := question(asks(r, nil, "view"))
		q.Purpose = "TREAT"
		for i, fail := range []func(){
			func() { p.Who.Account = "carol" }, func() { p.Client = c2 }, func() { q.Purpose = "HRESCH" },
			func() { q.Now = noon.Add(2 * time.Hour) }, func() { p.Rules = []umaas.Rule{rule(rs1, "s", "view")} },
		} {
			if missing&(1<<i) != 0 {
				fail()
			}
		}
		q.Asked[0].Policies = []umaas.Policy{p}
		_, permitted := umaas.Assess(q).(umaas.Permit)
		if permitted != (missing == 0) {
			t.Fatalf("conditions missing %05b: permitted %v", missing, permitted)
		}
	}
}

// TestAssessDerivedSets: a permission on access(u,p) is u's consent and u's standing right (decisions 2).
func TestAssessDerivedSets(t *testing.T) {
	derived := resource("access", "view", "edit")
	derived.Description.DerivedFrom = &uma.DerivedFrom{ResourceID: "record"}
	record := umaas.Resource{ID: "record", Owner: "pat", RS: rs1, Description: uma.ResourceDescription{Scopes: []string{"view", "edit"}}}
	uses := []umaas.Policy{gives("use", account("bob"), rule(rs1, "access", "view", "edit"))}
	standing := gives("standing", account("alice"), rule(rs1, "record", "view"))
	standing.Owner, standing.NotAfter = "pat", noon.Add(time.Hour)
	base := func(change func(b *umaas.AskedBase)) umaas.Question {
		a := asks(derived, uses, "view", "edit")
		a.Base = &umaas.AskedBase{Resource: record, Account: &umaas.Account{ID: "alice"}, Policies: []umaas.Policy{standing}}
		change(a.Base)
		q := question(a)
		q.Answered = &umaas.Request{State: umaas.RequestAllowed}
		return q
	}
	none := func(*umaas.AskedBase) {}
	for _, c := range []struct {
		name string
		q    umaas.Question
		want string
	}{
		{"intersection", base(none), "partial access[view]"},
		{"base gone", base(func(b *umaas.AskedBase) { *b = umaas.AskedBase{} }), "denied policy_deny"},
		{"base not loaded", func() umaas.Question { q := base(none); q.Asked[0].Base = nil; return q }(), "denied policy_deny"},
		{"no standing right", base(func(b *umaas.AskedBase) { b.Policies = nil }), "denied policy_deny"},
		{"right of somebody else", base(func(b *umaas.AskedBase) { b.Account = &umaas.Account{ID: "bob"} }), "denied policy_deny"},
		{"record of the same owner", base(func(b *umaas.AskedBase) { b.Resource.Owner = "alice"; b.Policies = nil }), "permit access[view edit]"},
		{"record that is derived itself", base(func(b *umaas.AskedBase) {
			b.Resource.Description.DerivedFrom = &uma.DerivedFrom{ResourceID: "x"}
		}), "denied policy_deny"},
		{"an app's right is no person's", base(func(b *umaas.AskedBase) {
			p := standing
			p.Who = umaas.Who{Kind: umaas.WhoClient, Client: c1}
			b.Policies = []umaas.Policy{p}
		}), "denied policy_deny"},
		{"custodian's relation", func() umaas.Question {
			q := base(none)
			q.Asked[0].Resource.Description.DerivedFrom = &uma.DerivedFrom{Custodian: true}
			q.Asked[0].Base = nil
			return q
		}(), "permit access[view edit]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := print(umaas.Assess(c.q)); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
	g := umaas.Assess(base(none)).(umaas.Permit).Granted[0]
	if g.Base == nil || g.Base.Owner != "pat" || g.Base.Resource != "record" || !slices.Equal(g.Base.Policies, []umaas.PolicyID{"standing"}) {
		t.Fatalf("base %+v", g.Base)
	}
	if !g.Expires.Equal(noon.Add(time.Hour)) {
		t.Fatalf("expires %v, want the standing right's end", g.Expires)
	}
}

// TestSEC_28_NeverWiderThanAsked: granted(r) ⊆ asked(r) ∩ registered(r), every granted scope rests on a policy that gives it
// on that very resource, and the narrower constraint always comes along. 10⁵ cases; UMAAS_TEST_ASSESS_CASES for more.
func TestSEC_28_NeverWiderThanAsked(t *testing.T) {
	t.Parallel()
	cases := 100_000
	if n, err := strconv.Atoi(os.Getenv("UMAAS_TEST_ASSESS_CASES")); err == nil {
		cases = n
	}
	permits, partial := 0, 0
	for seed := range cases {
		q := randomQuestion(rand.New(rand.NewPCG(uint64(seed), 28)))
		p, ok := umaas.Assess(q).(umaas.Permit)
		if !ok {
			continue
		}
		permits++
		if p.Partial {
			partial++
		}
		if len(p.Granted) == 0 {
			t.Fatalf("seed %d: permit of nothing", seed)
		}
		for _, g := range p.Granted {
			if why := outside(q, g); why != "" {
				t.Fatalf("seed %d: %s: %+v\nof %+v", seed, why, g, q)
			}
		}
	}
	if permits < cases/100 || partial == 0 {
		t.Fatalf("%d permits, %d partial of %d: the generator proves nothing", permits, partial, cases)
	}
}

// outside finds the scope of a granted permission that no asked permission and policy explain, by a naive oracle.
func outside(q umaas.Question, g umaas.Granted) string {
	if len(g.Scopes) == 0 && !slices.ContainsFunc(q.Asked, func(a umaas.AskedPermission) bool { return a.Resource.ID == g.Resource && len(a.Scopes) == 0 }) {
		return "a resource nobody asked for as such"
	}
	for _, scope := range g.Scopes {
		explained := false
		for _, a := range q.Asked {
			if a.Resource.ID != g.Resource || !slices.Contains(a.Scopes, scope) || !slices.Contains(a.Resource.Description.Scopes, scope) {
				continue
			}
			for _, p := range a.Policies {
				if !slices.Contains(g.Policies, p.ID) || p.Owner != q.Owner || !p.Revoked.IsZero() || !p.NotAfter.IsZero() && !q.Now.Before(p.NotAfter) {
					continue
				}
				for _, r := range p.Rules {
					if r.Resource == g.Resource && r.RS == a.Resource.RS && slices.Contains(r.Scopes, scope) && holdsAll(g.Constraints, a.Constraints) && holdsAll(g.Constraints, r.Constraints) {
						explained = true
					}
				}
			}
		}
		if !explained {
			return "scope " + scope
		}
	}
	return ""
}

func holdsAll(have, want []uma.Constraint) bool {
	return !slices.ContainsFunc(want, func(c uma.Constraint) bool { return !slices.Contains(have, c) })
}

// pick and some draw from a list: one element, or any subset in order.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func some(r *rand.Rand, list ...string) []string {
	var out []string
	for _, s := range list {
		if r.IntN(2) == 0 {
			out = append(out, s)
		}
	}
	return out
}

// randomQuestion draws a question with few scopes, resources and parties, so that they meet often.
func randomQuestion(r *rand.Rand) umaas.Question {
	limits := func() []uma.Constraint {
		return pick(r, nil, nil, []uma.Constraint{{Type: "query", Value: "x"}}, []uma.Constraint{{Type: "query", Value: "y"}})
	}
	id := func() umaas.ResourceID { return pick[umaas.ResourceID](r, "r1", "r2", "r3") }
	scopes := func() []string { return some(r, "a", "b", "c", "d") }
	var policies []umaas.Policy
	for n := range r.IntN(6) {
		p := gives(umaas.PolicyID(strconv.Itoa(n)), pick(r, account("bob"), account("bob"), account("bob"), account("alice"), account("carol"), umaas.Who{},
			umaas.Who{Kind: umaas.WhoEmail, Email: "bob@example.org"}, umaas.Who{Kind: umaas.WhoClient, Client: c1}))
		for range r.IntN(5) {
			p.Rules = append(p.Rules, umaas.Rule{Resource: id(), RS: pick(r, rs1, rs1, rs1, rs2), Scopes: scopes(), Constraints: limits()})
		}
		p.Owner = pick[umaas.AccountID](r, "alice", "alice", "alice", "carol")
		p.Origin = pick(r, umaas.OriginConsent, umaas.OriginShare)
		p.Created = noon.Add(-time.Duration(r.IntN(4)) * time.Hour)
		p.Client = pick(r, "", "", c1, c2)
		p.Revoked = pick(r, time.Time{}, time.Time{}, time.Time{}, noon)
		policies = append(policies, p)
	}
	q := question()
	for range 1 + r.IntN(4) {
		a := asks(resource(id(), scopes()...), policies, scopes()...)
		a.Constraints = limits()
		q.Asked = append(q.Asked, a)
	}
	if r.IntN(2) == 0 {
		q.Answered = &umaas.Request{State: umaas.RequestAllowed}
	}
	if r.IntN(4) == 0 {
		q.Party, q.PartyAccount = &umaas.Party{Account: "alice"}, &umaas.Account{ID: "alice"}
	}
	return q
}
