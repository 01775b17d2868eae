package mutation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/conformance/mutation"
	"github.com/umaas/umaas/umaas/uma"
)

// claimToken is a pushed JWT, read and not believed.
type claimToken struct {
	Head struct {
		Alg string `json:"alg"`
	}
	Body struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
		Expires  int64           `json:"exp"`
	}
	signed    string
	signature []byte
}

func pushed(ex *mutation.Exchange) (claimToken, bool) {
	var c claimToken
	parts := strings.Split(ex.Form.Get("claim_token"), ".")
	if len(parts) != 3 {
		return c, false
	}
	head, err1 := base64.RawURLEncoding.DecodeString(parts[0])
	body, err2 := base64.RawURLEncoding.DecodeString(parts[1])
	sig, err3 := base64.RawURLEncoding.DecodeString(parts[2])
	if err1 != nil || err2 != nil || err3 != nil || json.Unmarshal(head, &c.Head) != nil || json.Unmarshal(body, &c.Body) != nil {
		return c, false
	}
	c.signed, c.signature = parts[0]+"."+parts[1], sig
	return c, true
}

// key is the key that the token's issuer publishes.
func (c claimToken) key() (*ecdsa.PublicKey, bool) {
	res, err := http.Get(c.Body.Issuer + "/jwks") // the suite's own provider, on loopback
	if err != nil {
		return nil, false
	}
	defer func() { _ = res.Body.Close() }()
	var set struct {
		Keys []struct{ X, Y string }
	}
	if json.NewDecoder(res.Body).Decode(&set) != nil || len(set.Keys) == 0 {
		return nil, false
	}
	x, err1 := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	y, err2 := base64.RawURLEncoding.DecodeString(set.Keys[0].Y)
	key, err3 := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	return key, errors.Join(err1, err2, err3) == nil
}

// signs tells whether the issuer's key made the signature over a text.
func (c claimToken) signs(text string) bool {
	key, ok := c.key()
	sum := sha256.Sum256([]byte(text))
	return ok && len(c.signature) == 64 && ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(c.signature[:32]), new(big.Int).SetBytes(c.signature[32:]))
}

// good: signed by its issuer.
func (c claimToken) good() bool { return c.Head.Alg == "ES256" && c.signs(c.signed) }

// changed: the signature of other claims.
func (c claimToken) changed() bool {
	head, _, _ := strings.Cut(c.signed, ".")
	return c.signs(head + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"other":true}`)))
}

// believes gives an RPT where a claim token of a bad kind was pushed.
func believes(kind func(c claimToken, ex *mutation.Exchange) bool) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if c, ok := pushed(ex); ok && outcome(ex) != "success" && b.registeredWith(a, 2) && kind(c, ex) {
				b.invent(ex, a.perms)
			}
		})
	})
}

// forgets leaves pushed claims out of requests with tickets that came in one way.
func forgets(from string) mutation.Mutation {
	return booked(func(b *book) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			if c, ok := pushed(ex); ok && b.asks[ex.Form.Get("ticket")].from == from && c.good() {
				ex.Form.Del("claim_token")
				ex.Form.Del("claim_token_format")
			}
			return false
		})
	})
}

var pushFaults = map[string]mutation.Mutation{
	"grant.discovery.claim-profiles": document(func(m map[string]any) { m["uma_profiles_supported"] = []string{"https://example.org/another"} }),
	"grant.claims.first-request":     forgets("permission"),
	"grant.claims.later-request":     forgets("need_info"),
	"grant.claims.no-policy": booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if c, ok := pushed(ex); ok && outcome(ex) == "request_submitted" && b.registeredWith(a, 3) && c.good() {
				b.invent(ex, a.perms)
			}
		})
	}),
	"grant.claims.other-person": believes(func(c claimToken, _ *mutation.Exchange) bool { return c.good() && c.Body.Subject == "dave" }),
	"grant.claims.foreign-key": believes(func(c claimToken, ex *mutation.Exchange) bool {
		return c.Head.Alg == "ES256" && strings.HasPrefix(c.Body.Issuer, "http://127.0.0.1") && !c.good() && !c.changed() && !bareID(ex)
	}),
	"grant.claims.changed":   believes(func(c claimToken, _ *mutation.Exchange) bool { return c.Head.Alg == "ES256" && c.changed() }),
	"grant.claims.unsigned":  believes(func(c claimToken, _ *mutation.Exchange) bool { return c.Head.Alg == "none" }),
	"grant.claims.symmetric": believes(func(c claimToken, _ *mutation.Exchange) bool { return c.Head.Alg == "HS256" }),
	"grant.claims.expired": believes(func(c claimToken, _ *mutation.Exchange) bool {
		return c.Body.Expires < time.Now().Add(-30*time.Minute).Unix()
	}),
	"grant.claims.audience": believes(func(c claimToken, _ *mutation.Exchange) bool {
		return len(c.Body.Audience) == 0 || strings.Contains(string(c.Body.Audience), ".example")
	}),
	"grant.claims.issuer":        believes(func(c claimToken, _ *mutation.Exchange) bool { return c.Body.Issuer == "https://op.nobody.example" }),
	"grant.claims.public-client": believes(func(_ claimToken, ex *mutation.Exchange) bool { return bareID(ex) }),
	"grant.claims.need-info": booked(func(b *book) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, _ ask) {
			if c, ok := pushed(ex); ok && outcome(ex) == "need_info" && !c.good() {
				refuse(ex, http.StatusForbidden, "request_denied")
			}
		})
	}),
	"grant.claims.accepted-formats": member("need_info", "required_claims", []any{map[string]any{"claim_token_format": []string{"urn:example:another"}}}),
}

// pctsOf remembers who a PCT was given to.
func (b *book) pcts() (given map[string]string, watch wrapper) {
	given = map[string]string{}
	return given, b.onTicket(func(ex *mutation.Exchange, a ask) {
		if value := ex.Text("pct"); value != "" {
			given[value], b.origin[value] = clientOf(ex), b.holders[a.pat]
		}
	})
}

// aboutPCT is a fault that knows the PCTs.
func aboutPCT(fault func(b *book, given map[string]string) wrapper) mutation.Mutation {
	return booked(func(b *book) wrapper {
		given, watch := b.pcts()
		return mutation.Chain(watch, fault(b, given))
	})
}

// drops leaves a PCT out of requests for resources of the resource server it first served, or of others.
func drops(home bool) mutation.Mutation {
	return aboutPCT(func(b *book, given map[string]string) wrapper {
		return b.before(atToken, func(ex *mutation.Exchange) bool {
			value := ex.Form.Get("pct")
			if given[value] == clientOf(ex) && home == (b.origin[value] == b.holders[b.asks[ex.Form.Get("ticket")].pat]) {
				ex.Form.Del("pct")
			}
			return false
		})
	})
}

// keeps answers revocations of PCTs as done, and does nothing.
func keeps(hints ...string) mutation.Mutation {
	return aboutPCT(func(b *book, given map[string]string) wrapper {
		return b.before(atRevoke, func(ex *mutation.Exchange) bool {
			if _, known := given[ex.Form.Get("token")]; !known || !slices.Contains(hints, ex.Form.Get("token_type_hint")) {
				return false
			}
			ex.Status = http.StatusOK
			return true
		})
	})
}

// renamedPCT gives PCTs other values.
func renamedPCT(name func(n int, real string) string) mutation.Mutation {
	return booked(func(b *book) wrapper {
		real := map[string]string{}
		put := func(field string) func(ex *mutation.Exchange) bool {
			return func(ex *mutation.Exchange) bool {
				if known, ok := real[ex.Form.Get(field)]; ok {
					ex.Form.Set(field, known)
				}
				return false
			}
		}
		return mutation.Chain(b.before(atRevoke, put("token")), b.before(atToken, put("pct")), b.onTicket(func(ex *mutation.Exchange, _ ask) {
			if value := ex.Text("pct"); value != "" {
				alias := name(len(real), value)
				real[alias] = value
				ex.Edit(func(m map[string]any) { m["pct"] = alias })
			}
		}))
	})
}

var pctFaults = map[string]mutation.Mutation{
	"grant.pct.with-consent": replyOf("success", func(ex *mutation.Exchange) {
		ex.Edit(func(m map[string]any) { delete(m, "pct") })
	}),
	"grant.pct.not-without-consent": replyOf("success", func(ex *mutation.Exchange) {
		if ex.Text("pct") == "" && !ex.Form.Has("pct") {
			ex.Edit(func(m map[string]any) { m["pct"] = "another" })
		}
	}),
	"grant.pct.honoured":              drops(true),
	"grant.pct.other-resource-server": drops(false),
	"grant.pct.no-policy": aboutPCT(func(b *book, given map[string]string) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if outcome(ex) == "request_submitted" && given[ex.Form.Get("pct")] == clientOf(ex) {
				b.invent(ex, a.perms)
			}
		})
	}),
	"grant.pct.garbage": request(func(ex *mutation.Exchange) bool {
		return ex.Form.Get("pct") == "garbage" && refuse(ex, http.StatusInternalServerError, "server_error")
	}),
	"grant.pct.foreign-client": aboutPCT(func(b *book, given map[string]string) wrapper {
		return b.onTicket(func(ex *mutation.Exchange, a ask) {
			if owner := given[ex.Form.Get("pct")]; owner != "" && owner != clientOf(ex) {
				b.invent(ex, a.perms)
			}
		})
	}),
	"grant.pct.unguessable": renamedPCT(func(n int, _ string) string { return fmt.Sprintf("pct-number-%04d", n) }),
	"grant.pct.opaque": renamedPCT(func(_ int, real string) string {
		return real + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"bob@conformance.example"}`))
	}),
	"grant.pct.not-for-resource-servers": aboutPCT(func(b *book, given map[string]string) wrapper {
		return mutation.After(atIntrospect, func(ex *mutation.Exchange) {
			b.mu.Lock()
			defer b.mu.Unlock()
			if client, known := given[ex.Form.Get("token")]; known {
				ex.SetJSON(map[string]any{"active": true, "client_id": client})
			}
		})
	}),
	"grant.pct.revoked":              keeps(uma.HintPCT),
	"grant.pct.revoked-without-hint": keeps("", "refresh_token"),
	"grant.pct.revoked-by-others": aboutPCT(func(b *book, given map[string]string) wrapper {
		return b.before(atRevoke, func(ex *mutation.Exchange) bool {
			if client := given[ex.Form.Get("token")]; client != "" && client != clientOf(ex) {
				ex.Request.Header.Set("Authorization", b.auths[client])
			}
			return false
		})
	}),
}
