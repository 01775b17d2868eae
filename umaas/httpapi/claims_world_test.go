package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/uma"
)

type members = map[string]any

func b64(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func encode(t testing.TB, header, payload any) string {
	t.Helper()
	var parts []string
	for _, v := range []any{header, payload} {
		raw, isRaw := v.(string)
		if !isRaw {
			j, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			raw = string(j)
		}
		parts = append(parts, b64([]byte(raw)))
	}
	return strings.Join(parts, ".")
}

// es256, rs256 and hs256 sign whatever header and payload a test makes up.
func es256(t testing.TB, key *ecdsa.PrivateKey, header, payload any) string {
	t.Helper()
	input := encode(t, header, payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return input + "." + b64(sig)
}

func rs256(t testing.TB, key *rsa.PrivateKey, header, payload any) string {
	t.Helper()
	input := encode(t, header, payload)
	sum := sha256.Sum256([]byte(input))
	sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(sig)
}

func hs256(t testing.TB, secret []byte, header, payload any) string {
	t.Helper()
	input := encode(t, header, payload)
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(input))
	return input + "." + b64(m.Sum(nil))
}

func newEC(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ecJWK(t testing.TB, k *ecdsa.PrivateKey, kid string) members {
	t.Helper()
	raw, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return members{"kty": "EC", "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:]), "kid": kid, "use": "sig"}
}

func rsaJWK(k *rsa.PrivateKey, kid string) members {
	return members{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes()), "kid": kid}
}

// thumb is RFC 7638 of a P-256 key.
func thumb(t testing.TB, k *ecdsa.PrivateKey) string {
	t.Helper()
	j := ecJWK(t, k, "")
	sum := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + j["x"].(string) + `","y":"` + j["y"].(string) + `"}`))
	return b64(sum[:])
}

// hospital is another issuer, with a key set behind a listener that counts.
type hospital struct {
	iss     string
	ec      *ecdsa.PrivateKey
	rsa     *rsa.PrivateKey
	mu      sync.Mutex
	keys    []members
	status  string // body of /status, "" not there
	fetched atomic.Int64
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newHospital(t testing.TB) *hospital {
	t.Helper()
	h := &hospital{ec: newEC(t)}
	var err error
	if h.rsa, err = rsaKey(); err != nil {
		t.Fatal(err)
	}
	h.keys = []members{ecJWK(t, h.ec, "e1"), rsaJWK(h.rsa, "r1"), {"kty": "OKP", "crv": "X25519", "x": "AAAA", "kid": "okp"}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.fetched.Add(1)
		h.mu.Lock()
		defer h.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/status" && h.status != "":
			_, _ = w.Write([]byte(h.status))
		case r.URL.Path == "/jwks":
			_ = json.NewEncoder(w).Encode(members{"keys": h.keys})
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	h.iss = server.URL
	return h
}

// claimsAS is a server that trusts a hospital, with an app that may push.
type claimsAS struct {
	*as
	*hospital
	app      umaas.Client
	key      string            // its secret
	signing  *ecdsa.PrivateKey // of signer
	signer   umaas.Client      // an app that authenticates with a key
	patient  umaas.AccountID
	resource string
	protect  string
}

const (
	idToken    = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken"
	jwtToken   = "urn:ietf:params:oauth:token-type:jwt"
	permTicket = "https://smarthealthit.org/token-type/permission-ticket"
	clinic     = "https://clinic.example"
	shareKind  = "https://tickets.example/kinds/referral"
)

func newClaimsAS(t *testing.T, change ...func(*umaas.Deps)) *claimsAS {
	t.Helper()
	h := newHospital(t)
	get := outbound.New(outbound.Options{InsecureHTTP: true, Private: outbound.Loopback()})
	a := &claimsAS{hospital: h, as: newAS(t, append([]func(*umaas.Deps){func(d *umaas.Deps) {
		d.IssuerKeys, d.Statuses = outbound.NewKeySource(get, time.Now), outbound.NewStatusSource(get, time.Now)
	}}, change...)...)}
	var err error
	ctx := t.Context()
	a.app, a.key, err = a.core.AddClient(ctx, umaas.Client{
		Name: "Diary", AuthMethod: umaas.AuthSecretPost, GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}, IDTokenAlg: "ES256",
		ClaimsRedirectURIs: []string{"https://app.example/cb"}, PushClaims: true, Scopes: []string{"patient/Condition.r"},
	}, "")
	must(t, err)
	a.signing = newEC(t)
	set, err := json.Marshal(members{"keys": []members{ecJWK(t, a.signing, "")}})
	must(t, err)
	a.signer, _, err = a.core.AddClient(ctx, umaas.Client{
		Name: "Referral Desk", AuthMethod: umaas.AuthPrivateKeyJWT, GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken},
		JWKS: set, PushClaims: true, Scopes: []string{"patient/Condition.r"},
	}, "")
	must(t, err)
	_, err = a.core.PutTrustedIssuer(ctx, umaas.TrustedIssuer{
		Issuer: h.iss, Name: "Example Hospital", Uses: []umaas.IssuerUse{umaas.UseIDToken, umaas.UseClaims, umaas.UsePermissionTicket},
		Claims: []string{"org", "pro", "email", "er", "name"}, EmailDomains: []string{"hospital.example"}, JWKSURI: h.iss + "/jwks", ACRs: []string{"mfa"},
	}, "")
	must(t, err)
	a.protect = a.pat()
	a.patient = a.rs.Account
	status, _, made := a.send("POST", "/resource_set/", jsonType, `{"name":"r","context":{"level":"record","patient":"p1","fhir_base":"https://hospital.example/fhir"},`+
		`"resource_scopes":["patient/Observation.r","patient/Observation.s","patient/Condition.r","conf/R"]}`, a.protect)
	if status != 201 {
		t.Fatalf("resource: %d %v", status, made)
	}
	a.resource = made["_id"].(string)
	return a
}

// ticket asks for scopes of the resource.
func (a *claimsAS) ticket(scopes ...string) string {
	a.t.Helper()
	body, err := json.Marshal(members{"resource_id": a.resource, "resource_scopes": scopes})
	must(a.t, err)
	status, _, got := a.send("POST", "/permission", jsonType, string(body), a.protect)
	if status != 201 {
		a.t.Fatalf("permission: %d %v", status, got)
	}
	return got["ticket"].(string)
}

// allow stores a policy of the patient.
func (a *claimsAS) allow(who umaas.Who, change func(*umaas.Policy), scopes ...string) umaas.PolicyID {
	a.t.Helper()
	p := umaas.Policy{
		ID: umaas.PolicyID(rand.Text()), Owner: a.patient, Who: who, Origin: umaas.OriginShare, Created: time.Now(),
		Rules: []umaas.Rule{{Resource: umaas.ResourceID(a.resource), RS: a.rs.ID, Scopes: scopes}},
	}
	if change != nil {
		change(&p)
	}
	must(a.t, a.store.Update(a.t.Context(), func(tx umaas.Tx) error { return tx.PutPolicy(p) }))
	return p.ID
}

func byClaim(issuer, name, value string) umaas.Who {
	return umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: issuer, Name: name, Value: value}}
}

// push presents a ticket with a claim token as the app, or as whom more says.
func (a *claimsAS) push(ticket, format, token string, more ...string) (int, map[string]any) {
	a.t.Helper()
	f := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}, "client_id": {string(a.app.ID)}, "client_secret": {a.key}}
	if format != "" {
		f.Set("claim_token_format", format)
		f.Set("claim_token", token)
	}
	for i := 0; i < len(more); i += 2 {
		if more[i+1] == "" {
			f.Del(more[i])
		} else {
			f.Set(more[i], more[i+1])
		}
	}
	status, _, got := a.send("POST", "/token", formType, f.Encode(), "")
	return status, got
}

// asSigner pushes as the app that has a key.
func (a *claimsAS) asSigner(ticket, format, token string, more ...string) (int, map[string]any) {
	a.t.Helper()
	now := time.Now()
	assertion := es256(a.t, a.signing, members{"alg": "ES256", "typ": "JWT"}, members{
		"iss": a.signer.ID, "sub": a.signer.ID, "aud": a.url + "/token", "exp": now.Add(time.Minute).Unix(), "jti": rand.Text(),
	})
	return a.push(ticket, format, token, append([]string{
		"client_id", "", "client_secret", "", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", assertion,
	}, more...)...)
}

var esHead = members{"alg": "ES256", "typ": "JWT", "kid": "e1"}

// nora is a good payload for both party formats.
func (a *claimsAS) nora(changes ...members) members {
	now := time.Now()
	m := members{
		"iss": a.iss, "sub": "nora", "aud": a.url, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "jti": rand.Text(),
		"org": []string{clinic}, "name": "Nora Lind",
	}
	for _, c := range changes {
		maps.Copy(m, c)
	}
	for name, v := range m {
		if v == nil {
			delete(m, name)
		}
	}
	return m
}

func (a *claimsAS) signed(changes ...members) string {
	return es256(a.t, a.ec, esHead, a.nora(changes...))
}

// referral is a good permission ticket for the signer.
func (a *claimsAS) referral(changes ...members) members {
	m := members{
		"iss": a.iss, "aud": a.url, "exp": time.Now().Add(time.Hour).Unix(), "jti": rand.Text(), "ticket_type": shareKind,
		"presenter_binding": members{"method": "jkt", "jkt": thumb(a.t, a.signing)},
		"subject":           members{"patient": members{"resourceType": "Patient"}, "recipient_record": members{"reference": "Patient/p1"}},
		"access": members{"permissions": []any{
			members{"kind": "data", "resource_type": "Observation", "interactions": []string{"read", "search"}},
		}},
	}
	for _, c := range changes {
		maps.Copy(m, c)
	}
	for name, v := range m {
		if v == nil {
			delete(m, name)
		}
	}
	return m
}

func (a *claimsAS) referred(changes ...members) string {
	return es256(a.t, a.ec, esHead, a.referral(changes...))
}

// inspect introspects an RPT.
func (a *claimsAS) inspect(rpt any) map[string]any {
	a.t.Helper()
	token, _ := rpt.(string)
	status, _, got := a.send("POST", "/introspect", formType, url.Values{"token": {token}}.Encode(), a.protect)
	if status != 200 {
		a.t.Fatalf("introspection: %d %v", status, got)
	}
	return got
}
