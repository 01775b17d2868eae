package rsduty

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance"
)

const authorityKey = "rsduty.authority"

// Use gives the checks of a run an authority that plays already; the caller closes it.
func Use(ctx context.Context, env *conformance.Env, a *Authority) error {
	_, err := env.Shared(ctx, authorityKey, func(context.Context) (any, func() error, error) {
		return a, func() error { return nil }, nil
	})
	return err
}

// scene is a resource server with its authority, ready to be asked.
type scene struct {
	*Authority
	target string
}

// patience is how long a resource server may take until it has registered what it protects.
const patience = 30 * time.Second

// play waits until the resource server answers a request without a token by way of the authority.
func play(t *conformance.T) *scene {
	value, err := t.Env().Shared(t.Context(), authorityKey, func(ctx context.Context) (any, func() error, error) {
		a, err := Play(context.WithoutCancel(ctx), t.Env().Profile.RS.Listen)
		if err != nil {
			return nil, nil, err
		}
		return a, a.Close, nil
	})
	if err != nil {
		t.Blockf("%v", err)
	}
	a, ok := value.(*Authority)
	if !ok {
		t.Blockf("the authority is a %T", value)
	}
	s := &scene{Authority: a, target: t.Env().Profile.RS.Resource}
	for until := time.Now().Add(patience); s.count() == 0 || len(s.Resources()) == 0; {
		s.get(t, "")
		if time.Now().After(until) {
			t.Blockf("the resource server registered nothing, or asked for no ticket, within %s; is %s its issuer?", patience, a.Issuer)
		}
		if s.count() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
	}
	s.settle(t)
	return s
}

// settle waits, once, until what the resource server registers in the background is there: a good token opens the address
// then. Where it never does, a check says so.
func (s *scene) settle(t *conformance.T) {
	s.mu.Lock()
	settled := s.settled
	s.settled = true
	s.mu.Unlock()
	if settled {
		return
	}
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if x := s.get(t, s.give(s.everything(t), nil)); granted(x) {
			return
		}
	}
}

// get asks for the protected address.
func (s *scene) get(t *conformance.T, token string) *conformance.Exchange {
	return s.ask(t, s.target, token)
}

func (s *scene) ask(t *conformance.T, target, token string) *conformance.Exchange {
	h := http.Header{"Accept": {"application/json, */*"}}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	x := t.Request(http.MethodGet, target, nil, h)
	if x.Status == 0 {
		t.Blockf("the resource server does not answer: %v", x.Err)
	}
	return x
}

func (s *scene) count() int { return len(s.Requests()) }

// since are the permission requests after the first n.
func (s *scene) since(n int) []Asked { return s.Requests()[n:] }

// need is what the resource server asks permission for when the address is asked for without a token.
func (s *scene) need(t *conformance.T) []map[string]any {
	before := s.count()
	s.get(t, "")
	all := s.since(before)
	if len(all) == 0 {
		t.Blockf("a request without a token led to no permission request")
	}
	return all[len(all)-1].Permissions
}

// give makes a token and says what it is worth: permissions in the form of FedAuthz §5.1.1.
func (s *scene) give(permissions []map[string]any, more map[string]any) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := s.next("rpt")
	now := time.Now()
	worth := map[string]any{
		"active": true, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix(), "client_id": "conformance", "sub": "bob", "iss": s.Issuer, "permissions": permissions,
	}
	for name, v := range more {
		worth[name] = v
	}
	s.worth[token] = worth
	return token
}

func (s *scene) withdraw(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.worth, token)
}

func (s *scene) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// everything are permissions for all scopes of the resources that a request needs.
func (s *scene) everything(t *conformance.T) []map[string]any {
	var out []map[string]any
	all := s.Resources()
	for _, p := range s.need(t) {
		id, _ := p["resource_id"].(string)
		if r, ok := all[id]; ok {
			out = append(out, map[string]any{"resource_id": id, "resource_scopes": r.Scopes})
		}
	}
	if len(out) == 0 {
		t.Blockf("the permission request names no registered resource")
	}
	return out
}

// each changes a copy of every permission.
func each(list []map[string]any, change func(p map[string]any)) []map[string]any {
	var out []map[string]any
	for _, p := range list {
		q := map[string]any{}
		for name, v := range p {
			q[name] = v
		}
		change(q)
		out = append(out, q)
	}
	return out
}

// challenge is the UMA challenge of an answer (Grant §3.2.1).
func challenge(x *conformance.Exchange) (conformance.Challenge, bool) {
	for _, c := range x.Challenges() {
		if strings.EqualFold(c.Scheme, "UMA") {
			return c, true
		}
	}
	return conformance.Challenge{}, false
}
