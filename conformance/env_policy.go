package conformance

import (
	"fmt"
	"strings"
	"time"
)

// permit sets a policy through the profile's hook and withdraws it when the check ends.
func (e *Env) permit(t *T, p PolicySpec) Policy {
	if len(p.Scopes) == 0 {
		p.Scopes = p.Resource.Scopes
	}
	q := e.about(t, "permit", p.Resource)
	q.Scopes, q.Seconds = p.Scopes, int(p.For/time.Second)
	if p.Party != "" {
		who := t.person(p.Party)
		q.Party, q.PartySub, q.PartyPassword = who.Login, who.Sub, who.Password
	}
	if p.Client != "" {
		q.Client = e.client(t, p.Client).ID
	}
	a, err := e.hooks.Hook(t.ctx, q)
	must(t, hookError(err, NeedPolicy))
	out := Policy{PolicySpec: p, ID: a.ID}
	t.Logf("%s lets %s have %s", p.Resource.Owner, fmt.Sprint(p.Party, p.Client), strings.Join(p.Scopes, " "))
	t.Cleanup(func() { _, _ = e.hooks.Hook(t.ctx, e.withdrawal(t, out)) }) // withdrawn already, perhaps
	return out
}

func (e *Env) withdrawal(t *T, p Policy) HookRequest {
	q := e.about(t, "revoke", p.Resource)
	q.ID, q.Scopes = p.ID, p.Scopes
	if p.Party != "" {
		q.Party, q.PartySub = t.person(p.Party).Login, t.person(p.Party).Sub
	}
	return q
}

func (e *Env) revoke(t *T, p Policy) {
	_, err := e.hooks.Hook(t.ctx, e.withdrawal(t, p))
	must(t, hookError(err, NeedPolicy))
}

func (e *Env) answer(t *T, owner string, say Answer, r Resource, scopes []string) {
	r.Owner = owner
	q := e.about(t, string(say), r)
	q.Scopes = scopes
	if say == Approve && len(scopes) == 0 {
		q.Scopes = r.Scopes
	}
	_, err := e.hooks.Hook(t.ctx, q)
	must(t, hookError(err, NeedApproval))
}

// about is a hook request on a resource.
func (e *Env) about(t *T, action string, r Resource) HookRequest {
	who := t.person(r.Owner)
	rs := e.client(t, r.RS)
	return HookRequest{
		Action: action, Issuer: e.Issuer, Owner: who.Login, OwnerName: who.Name, OwnerSub: who.Sub, Password: who.Password,
		PAT: e.pat(t, r.Owner, r.RS, false), RS: rs.ID, RSSecret: rs.Secret, ResourceID: r.ID, ResourceName: r.Name,
	}
}
