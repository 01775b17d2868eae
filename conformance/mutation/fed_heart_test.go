package mutation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/heart"
	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/conformance/ours"
)

// fedHEART dresses our server as one of HEART: its PATs and RPTs go out as signed JWTs and come back as what they stand
// for; discovery declares pushed ID tokens. It is for testing the checks alone.
type fedHEART struct {
	mu     sync.Mutex
	key    *ecdsa.PrivateKey
	inside map[string]string         // JWT: the server's own token
	claims map[string]map[string]any // JWT: what it says
	change func(kind string, claims map[string]any)
	plain  string
}

func newFedHEART(plain string, change func(kind string, claims map[string]any)) *fedHEART {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &fedHEART{key: key, inside: map[string]string{}, claims: map[string]map[string]any{}, change: change, plain: plain}
}

// sign makes a JWT that stands for a token.
func (h *fedHEART) sign(token string, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		return token
	}
	out, err := jws.Sign(payload, jws.WithKey(jwa.ES256, h.key))
	if err != nil {
		return token
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside[string(out)], h.claims[string(out)] = token, claims
	return string(out)
}

func (h *fedHEART) open(token string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if own, ok := h.inside[token]; ok {
		return own
	}
	return token
}

func (h *fedHEART) handler(next http.Handler) http.Handler {
	inward := mutation.Before(fedAll, func(ex *mutation.Exchange) bool {
		if token := fedBearerOf(ex.Request); token != "" {
			ex.Request.Header.Set("Authorization", "Bearer "+h.open(token))
		}
		for _, name := range []string{"token", "rpt"} {
			if ex.Form.Has(name) {
				ex.Form.Set(name, h.open(ex.Form.Get(name)))
			}
		}
		return false
	})
	issued := mutation.After(mutation.At(http.MethodPost, "/token"), func(ex *mutation.Exchange) { h.issue(ex, next) })
	introspected := mutation.Around(fedIntrospected, func(ex *mutation.Exchange, next http.Handler) {
		sent := ex.Form.Get("token")
		inner := url.Values{"token": {h.open(sent)}}
		ex.SetForm(inner)
		ex.Serve(next)
		h.mu.Lock()
		claims := h.claims[sent]
		h.mu.Unlock()
		ex.Edit(func(m map[string]any) {
			if m["active"] != true {
				return
			}
			told := map[string]any{}
			for _, name := range []string{"iss", "sub", "azp", "aud"} {
				told[name] = claims[name]
			}
			h.change("introspection", told)
			for name, v := range told {
				m[name] = v
			}
		})
	})
	keys := mutation.Before(mutation.At(http.MethodGet, "/jwks"), func(ex *mutation.Exchange) bool {
		public, err := jwk.FromRaw(h.key.Public())
		if err != nil {
			return false
		}
		_ = public.Set(jwk.AlgorithmKey, jwa.ES256)
		ex.SetJSON(map[string]any{"keys": []any{public}})
		return true
	})
	offered := mutation.EditJSON(func(r *http.Request) bool { return strings.Contains(r.URL.Path, "/.well-known/") }, 0, func(m map[string]any) {
		m["uma_profiles_supported"] = []string{"http://openid.net/specs/openid-connect-core-1_0.html#IDToken"}
		h.change("discovery", m)
	})
	return mutation.Chain(offered, keys, introspected, inward, issued)(next)
}

// issue dresses a token that is on its way out.
func (h *fedHEART) issue(ex *mutation.Exchange, next http.Handler) {
	token := ex.Text("access_token")
	if token == "" {
		return
	}
	client, _, _ := ex.Request.BasicAuth()
	kind, audience := "rpt", []string{}
	if strings.Contains(ex.Text("scope"), "uma_protection") {
		kind = "pat"
		audience = []string{ours.Issuer + "/introspect", ours.Issuer + "/resource_set/"}
	}
	claims := map[string]any{"iss": ours.Issuer, "sub": "owner", "azp": client, "aud": audience, "exp": time.Now().Add(time.Hour).Unix()}
	if kind == "rpt" {
		claims["aud"] = h.resources(token, next)
	}
	said := maps.Clone(claims)
	h.change(kind, said)
	out := h.sign(token, said)
	if h.plain == kind {
		out = token
	}
	h.mu.Lock()
	h.claims[out] = claims
	h.mu.Unlock()
	ex.Edit(func(m map[string]any) {
		m["access_token"] = out
		h.change("answer", m)
	})
}

// resources asks the server itself, with a PAT that went out before, what an RPT is for.
func (h *fedHEART) resources(token string, next http.Handler) []string {
	h.mu.Lock()
	var pats []string
	for dressed, own := range h.inside {
		if aud, _ := h.claims[dressed]["aud"].([]string); len(aud) == 2 {
			pats = append(pats, own)
		}
	}
	h.mu.Unlock()
	ids := []string{}
	for _, pat := range pats {
		req, err := http.NewRequest(http.MethodPost, ours.Issuer+"/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			return ids
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+pat)
		ex := &mutation.Exchange{Request: req, Sent: []byte(url.Values{"token": {token}}.Encode()), Header: http.Header{}}
		ex.Serve(next)
		fedEachPermission(ex.JSON(), func(p map[string]any) {
			if id, ok := p["resource_id"].(string); ok {
				ids = append(ids, id)
			}
		})
	}
	return ids
}

func fedDressed(plain string, change func(kind string, claims map[string]any)) mutation.Mutation {
	if change == nil {
		change = func(string, map[string]any) {}
	}
	return mutation.Mutation{
		Handler: func(next http.Handler) http.Handler { return newFedHEART(plain, change).handler(next) },
		Profile: func(p *conformance.Profile) { p.Offers = append(p.Offers, conformance.NeedHEART) },
	}
}

func fedOn(kind, name string, value any) func(string, map[string]any) {
	return func(k string, m map[string]any) {
		switch {
		case k != kind:
		case value == nil:
			delete(m, name)
		default:
			m[name] = value
		}
	}
}

var fedHEARTs = map[string]mutation.Mutation{
	"heart.discovery.documents": func() mutation.Mutation {
		m := fedDressed("", nil)
		inner := m.Handler
		m.Handler = mutation.Chain(fedDrop(mutation.At(http.MethodGet, "/.well-known/openid-configuration"), 0, "revocation_endpoint"), inner)
		return m
	}(),
	"heart.discovery.claims":   fedDressed("", fedOn("discovery", "uma_profiles_supported", nil)),
	"heart.discovery.services": fedDressed("", fedOn("discovery", "registration_endpoint", nil)),
	"heart.claims.id-token": func() mutation.Mutation {
		m := fedDressed("", nil)
		inner, offer := m.Handler, m.Profile
		m.Handler = mutation.Chain(mutation.Before(mutation.At(http.MethodPost, "/token"), func(ex *mutation.Exchange) bool {
			if !ex.Form.Has("claim_token") {
				return false
			}
			ex.SetJSON(map[string]any{"access_token": "for-anybody", "token_type": "Bearer"})
			return true
		}), inner)
		m.Profile = func(p *conformance.Profile) { offer(p); p.Push.Listen = "127.0.0.1:0" }
		return m
	}(),
	"heart.pat.signed":        fedDressed("pat", nil),
	"heart.pat.claims":        fedDressed("", fedOn("pat", "azp", nil)),
	"heart.rpt.signed":        fedDressed("rpt", nil),
	"heart.rpt.claims":        fedDressed("", fedOn("rpt", "sub", nil)),
	"heart.rpt.introspection": fedDressed("", fedOn("introspection", "azp", "somebody")),
	"heart.pct.opaque": func() mutation.Mutation {
		m := fedDressed("", fedOn("answer", "pct", "short"))
		offer := m.Profile
		m.Profile = func(p *conformance.Profile) { offer(p); p.Offers = append(p.Offers, conformance.NeedPCT) }
		return m
	}(),
	"heart.pat.lifetime": fedDressed("", fedOn("pat", "exp", int64(4102444800))),
}

// Dressed as HEART, our server passes; undressed, the suite is skipped.
func TestHEARTHonest(t *testing.T) {
	r, err := mutation.Run(t.Context(), fedDressed("", nil), heart.Checks())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Results {
		if one.Verdict == conformance.Fail || one.Verdict == conformance.Blocked {
			t.Errorf("%s: %s %v", one.Check.ID, one.Verdict, one.Messages)
		}
	}
	if skipped := honest(t, heart.Checks()); len(skipped) != len(heart.Checks()) {
		t.Errorf("%d of %d checks are skipped on a server that does not claim HEART", len(skipped), len(heart.Checks()))
	}
}

// Every check of the suite sees its fault, and no other check does.
func TestHEARTMutations(t *testing.T) { judge(t, heart.Checks(), heart.Checks(), fedHEARTs) }
