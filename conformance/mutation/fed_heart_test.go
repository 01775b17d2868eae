package mutation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/heart"
	"github.com/umaas/umaas/conformance/mutation"
)

// heartAlias gives PATs or RPTs of our server, which runs under the HEART profile, another form on their way out, and puts
// the server's own in their place on their way in.
type heartAlias struct {
	mu     sync.Mutex
	inside map[string]string // what went out: the server's own token
}

func (h *heartAlias) open(token string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if own, ok := h.inside[token]; ok {
		return own
	}
	return token
}

// handler renames the tokens of a kind, "pat" or "rpt".
func (h *heartAlias) handler(kind string, name func(token string) string) wrapper {
	inward := mutation.Before(fedAll, func(ex *mutation.Exchange) bool {
		if token := fedBearerOf(ex.Request); token != "" {
			ex.Request.Header.Set("Authorization", "Bearer "+h.open(token))
		}
		for _, field := range []string{"token", "rpt"} {
			if ex.Form.Has(field) {
				ex.Form.Set(field, h.open(ex.Form.Get(field)))
			}
		}
		return false
	})
	issued := mutation.EditJSON(mutation.At(http.MethodPost, "/token"), http.StatusOK, func(m map[string]any) {
		token, _ := m["access_token"].(string)
		scope, _ := m["scope"].(string)
		if token == "" || (kind == "pat") != strings.Contains(scope, "uma_protection") {
			return
		}
		out := name(token)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.inside[out], m["access_token"] = token, out
	})
	return mutation.Chain(inward, issued)
}

// renamed sends the tokens of a kind out as opaque ones.
func renamed(kind string) mutation.Mutation {
	return mutation.Mutation{HEART: true, Handler: func(next http.Handler) http.Handler {
		h := &heartAlias{inside: map[string]string{}}
		return h.handler(kind, func(token string) string { return "opaque-" + token[len(token)-40:] })(next)
	}}
}

// resigned changes what the tokens of a kind say, and signs them with a further key that is published.
func resigned(kind string, change func(claims map[string]any)) mutation.Mutation {
	return mutation.Mutation{HEART: true, Handler: func(next http.Handler) http.Handler {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		keys := mutation.EditJSON(mutation.At(http.MethodGet, "/jwks"), 0, func(m map[string]any) {
			public, err := jwk.FromRaw(key.Public())
			if err != nil {
				return
			}
			_ = public.Set(jwk.AlgorithmKey, jwa.ES256)
			list, _ := m["keys"].([]any)
			m["keys"] = append(list, public)
		})
		h := &heartAlias{inside: map[string]string{}}
		return mutation.Chain(keys, h.handler(kind, func(token string) string { return heartSign(key, token, change) }))(next)
	}}
}

func heartSign(key *ecdsa.PrivateKey, token string, change func(map[string]any)) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return token
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	claims := map[string]any{}
	if err != nil || json.Unmarshal(raw, &claims) != nil {
		return token
	}
	change(claims)
	payload, err := json.Marshal(claims)
	if err != nil {
		return token
	}
	out, err := jws.Sign(payload, jws.WithKey(jwa.ES256, key))
	if err != nil {
		return token
	}
	return string(out)
}

func without(member string) func(map[string]any) {
	return func(m map[string]any) { delete(m, member) }
}

func saying(member string, value any) func(map[string]any) {
	return func(m map[string]any) { m[member] = value }
}

func underHEART(handler wrapper) mutation.Mutation {
	return mutation.Mutation{HEART: true, Handler: handler}
}

var (
	heartDocument = mutation.At(http.MethodGet, "/.well-known/uma2-configuration")
	heartTokens   = mutation.At(http.MethodPost, "/token")
)

var fedHEARTs = map[string]mutation.Mutation{
	"heart.discovery.documents": underHEART(fedDrop(mutation.At(http.MethodGet, "/.well-known/openid-configuration"), 0, "revocation_endpoint")),
	"heart.discovery.claims":    underHEART(mutation.EditJSON(heartDocument, 0, without("uma_profiles_supported"))),
	"heart.discovery.services":  underHEART(mutation.EditJSON(heartDocument, 0, without("registration_endpoint"))),
	"heart.claims.id-token": underHEART(mutation.Before(heartTokens, func(ex *mutation.Exchange) bool {
		if !ex.Form.Has("claim_token") {
			return false
		}
		ex.SetJSON(map[string]any{"access_token": "for-anybody", "token_type": "Bearer"})
		return true
	})),
	"heart.pat.signed":        renamed("pat"),
	"heart.pat.claims":        resigned("pat", without("azp")),
	"heart.rpt.signed":        renamed("rpt"),
	"heart.rpt.claims":        resigned("rpt", without("sub")),
	"heart.rpt.introspection": underHEART(mutation.EditJSON(fedIntrospected, 0, saying("azp", "somebody"))),
	"heart.pct.opaque":        underHEART(mutation.EditJSON(heartTokens, http.StatusOK, saying("pct", "short"))),
	"heart.pat.lifetime":      resigned("pat", saying("exp", int64(4102444800))),
}

// Further faults that a check has to see.
var heartMore = []struct {
	check string
	fault mutation.Mutation
}{
	{"heart.rpt.claims", resigned("rpt", saying("sub", "the-requesting-party"))},
	{"heart.rpt.introspection", underHEART(mutation.EditJSON(fedIntrospected, 0, saying("sub", "the-requesting-party")))},
	{"heart.pat.claims", resigned("pat", saying("aud", []string{"https://elsewhere.example"}))},
	{"heart.pat.lifetime", underHEART(mutation.EditJSON(heartTokens, http.StatusOK, func(m map[string]any) {
		if scope, _ := m["scope"].(string); strings.Contains(scope, "uma_protection") {
			delete(m, "refresh_token")
		}
	}))},
}

func TestHEARTFurtherMutations(t *testing.T) {
	for _, c := range heartMore {
		r, err := mutation.Run(t.Context(), c.fault, heart.Checks())
		if err != nil {
			t.Fatal(err)
		}
		if err := mutation.Judge(r, c.check, c.fault); err != nil {
			t.Error(err)
		}
	}
}

// Under the profile our server passes every check; without it, the suite is skipped.
func TestHEARTHonest(t *testing.T) {
	r, err := mutation.Run(t.Context(), mutation.Mutation{HEART: true}, heart.Checks())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range r.Results {
		if one.Verdict != conformance.Pass {
			t.Errorf("%s: %s %v", one.Check.ID, one.Verdict, one.Messages)
		}
	}
	if skipped := honest(t, heart.Checks()); len(skipped) != len(heart.Checks()) {
		t.Errorf("%d of %d checks are skipped on a server that does not claim HEART", len(skipped), len(heart.Checks()))
	}
}

// Every check of the suite sees its fault, and no other check does.
func TestHEARTMutations(t *testing.T) { judge(t, heart.Checks(), heart.Checks(), fedHEARTs) }
