package resourceserver_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// verifying has John's record and a token "rpt" for it that lives 5 minutes.
func verifying(t *testing.T) (w *world, record string) {
	t.Helper()
	w = newWorld(t)
	w.custodian()
	w.signInAs(john)
	record, _ = find(t, w, "sub-john", "record", "john")
	w.as.PutToken("rpt", uma.Introspection{
		Active: true, ClientID: "app", Sub: "sub-john", JTI: "j", Kind: "rpt", Exp: w.clock.now().Add(5 * time.Minute).Unix(), Iss: w.as.Issuer(),
		Permissions: []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}, Constraints: []uma.Constraint{{Type: "query", Value: "a=b"}}}},
	})
	return w, record
}

func TestVerifyJoinsMeaning(t *testing.T) {
	w, record := verifying(t)
	g, err := w.verifier.Verify(t.Context(), "rpt")
	if err != nil {
		t.Fatal(err)
	}
	want := rs.Set{Issuer: w.as.Issuer(), ResourceID: record, Level: rs.LevelRecord, User: rs.UserKey(w.as.Issuer(), "sub-john"), Patient: "john"}
	if g.Issuer != w.as.Issuer() || g.JTI != "j" || g.Kind != rs.KindRPT || g.ClientID != "app" || g.Sub != "sub-john" || len(g.Permissions) != 1 ||
		g.Permissions[0].Set != want || g.Permissions[0].Scopes[0] != "patient/Patient.r" || g.Permissions[0].Constraints[0].Value != "a=b" {
		t.Errorf("%+v", g)
	}
}

// decisions 4: 500 ms without asking, 2 s while the authorization server is away, never beyond the token's own end.
func TestVerifyCacheBounds(t *testing.T) {
	w, _ := verifying(t)
	calls := func() int { return w.as.Calls("POST /introspect") }
	verify := func() error { _, err := w.verifier.Verify(t.Context(), "rpt"); return err }
	if err := verify(); err != nil || calls() != 1 {
		t.Fatal(err, calls())
	}
	w.clock.forward(499 * time.Millisecond)
	if err := verify(); err != nil || calls() != 1 {
		t.Error("asked again within 500 ms", err, calls())
	}
	w.clock.forward(time.Millisecond)
	if err := verify(); err != nil || calls() != 2 {
		t.Error("not asked again after 500 ms", err, calls())
	}
	w.as.Down(true)
	w.clock.forward(1900 * time.Millisecond)
	if err := verify(); err != nil {
		t.Error("the last answer does not serve for 2 s", err)
	}
	w.clock.forward(100 * time.Millisecond)
	if err := verify(); !errors.Is(err, rs.ErrUnreachable) {
		t.Error("stale answer used after 2 s", err)
	}
	w.as.Down(false)
	w.as.DropToken("rpt")
	if err := verify(); !errors.Is(err, rs.ErrInactive) {
		t.Error("withdrawn token", err)
	}
}

func TestWithdrawnTokenDoesNotComeBackWhenTheServerGoesAway(t *testing.T) {
	w, _ := verifying(t)
	verify := func() error { _, err := w.verifier.Verify(t.Context(), "rpt"); return err }
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	w.as.DropToken("rpt")
	w.clock.forward(600 * time.Millisecond)
	if err := verify(); !errors.Is(err, rs.ErrInactive) {
		t.Fatal(err)
	}
	w.as.Down(true) // within max_staleness of the first answer
	if err := verify(); !errors.Is(err, rs.ErrUnreachable) {
		t.Error(err)
	}
}

func TestVerifyEndsWithTokenAndPermission(t *testing.T) {
	w, record := verifying(t)
	at := func(d time.Duration) int64 { return w.clock.now().Add(d).Unix() }
	set := func(i uma.Introspection) {
		i.Active, i.ClientID, i.JTI = true, "app", "j"
		w.as.PutToken("t", i)
		w.verifier.Forget("t")
	}
	full := []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}}
	for _, c := range []struct {
		name  string
		token uma.Introspection
		err   error
		left  int
	}{
		{"alive", uma.Introspection{Exp: at(time.Minute), Permissions: full}, nil, 1},
		{"expired", uma.Introspection{Exp: at(0), Permissions: full}, rs.ErrInactive, 0},
		{"SEC-53 not yet", uma.Introspection{Exp: at(time.Minute), Nbf: at(30 * time.Second), Permissions: full}, rs.ErrInactive, 0},
		{"permission ended", uma.Introspection{Exp: at(time.Minute), Permissions: []uma.Permission{{ResourceID: record, Scopes: full[0].Scopes, Exp: at(-time.Second)}}}, nil, 0},
		{"permission not yet", uma.Introspection{Exp: at(time.Minute), Permissions: []uma.Permission{{ResourceID: record, Scopes: full[0].Scopes, Nbf: at(time.Minute)}}}, nil, 0},
		{"unknown set", uma.Introspection{Exp: at(time.Minute), Permissions: []uma.Permission{{ResourceID: "set-x", Scopes: full[0].Scopes}}}, nil, 0},
		{"other issuer", uma.Introspection{Exp: at(time.Minute), Iss: "https://other.example", Permissions: full}, rs.ErrUnreachable, 0},
		{"none", uma.Introspection{Exp: at(time.Minute)}, nil, 0},
	} {
		set(c.token)
		g, err := w.verifier.Verify(t.Context(), "t")
		if !errors.Is(err, c.err) || len(g.Permissions) != c.left {
			t.Errorf("%s: %v, %d permissions", c.name, err, len(g.Permissions))
		}
	}
	// Also while it is remembered: the end is looked at on every use.
	set(uma.Introspection{Exp: w.clock.now().Add(time.Second).Unix(), Permissions: full})
	if _, err := w.verifier.Verify(t.Context(), "t"); err != nil && !errors.Is(err, rs.ErrInactive) {
		t.Fatal(err)
	}
	w.clock.forward(time.Second)
	if _, err := w.verifier.Verify(t.Context(), "t"); !errors.Is(err, rs.ErrInactive) {
		t.Errorf("ended token: %v", err)
	}
}

func TestDecoyGrantsNothing(t *testing.T) {
	w, _ := verifying(t)
	for id, r := range w.as.Resources() {
		if r.Description.Type == rs.TypeDecoy {
			w.as.PutToken("d", uma.Introspection{Active: true, Exp: w.clock.now().Add(time.Minute).Unix(), Permissions: []uma.Permission{{ResourceID: id, Scopes: []string{"patient/Patient.r"}}}})
		}
	}
	if g, err := w.verifier.Verify(t.Context(), "d"); err != nil || len(g.Permissions) != 0 {
		t.Errorf("%+v %v", g, err)
	}
}

func TestVerifyAsksOncePerToken(t *testing.T) {
	w, _ := verifying(t)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := w.verifier.Verify(t.Context(), "rpt"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.as.Calls("POST /introspect"); n > 2 {
		t.Errorf("%d introspections for 64 parallel uses", n)
	}
}

func TestVerifySpendsNothingOnNonsense(t *testing.T) {
	w, _ := verifying(t)
	for _, token := range []string{"", "a b", "ü", "a\x00", strings.Repeat("a", 9000), "a\r\nHost: x", `a"b`} {
		if _, err := w.verifier.Verify(t.Context(), token); !errors.Is(err, rs.ErrInactive) {
			t.Errorf("%q: %v", token, err)
		}
	}
	if n := w.as.Calls("POST /introspect"); n != 0 {
		t.Errorf("%d introspections", n)
	}
}

func sealFor(t *testing.T, secret string, permissions []uma.Permission) string {
	t.Helper()
	plain, err := json.Marshal(permissions)
	if err != nil {
		t.Fatal(err)
	}
	key := sha256.Sum256([]byte(secret))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	header := b64([]byte(`{"alg":"dir","enc":"A256GCM"}`))
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	sealed := aead.Seal(nil, nonce, plain, []byte(header))
	n := len(sealed) - 16
	return strings.Join([]string{header, "", b64(nonce), b64(sealed[:n]), b64(sealed[n:])}, ".")
}

func TestVerifyJWT(t *testing.T) {
	w, record := verifying(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	permissions := []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}}
	claims := func(change ...func(map[string]any)) map[string]any {
		c := map[string]any{
			"iss": w.as.Issuer(), "sub": "sub-john", "aud": []string{fhirBase}, "exp": w.clock.now().Add(time.Minute).Unix(), "iat": w.clock.now().Unix(),
			"jti": "j", "client_id": "app", "urn:umaas:kind": "rpt", "urn:umaas:permissions": sealFor(t, "rs-secret", permissions),
		}
		for _, f := range change {
			f(c)
		}
		return c
	}
	with := func(name string, value any) func(map[string]any) { return func(c map[string]any) { c[name] = value } }
	without := func(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }
	known := func(token string) string { // to the authorization server, which is asked too
		w.as.PutToken(token, uma.Introspection{Active: true, JTI: "j", ClientID: "app", Exp: w.clock.now().Add(time.Minute).Unix(), Permissions: permissions})
		return token
	}
	good := known(w.as.Sign("at+jwt", claims()))
	cut := strings.Split(good, ".")
	for _, c := range []struct {
		name, token string
		err         error
		left        int
	}{
		{"good", good, nil, 1},
		{"aud as string", known(w.as.Sign("at+jwt", claims(with("aud", fhirBase)))), nil, 1},
		{"withdrawn", w.as.Sign("at+jwt", claims(with("jti", "withdrawn"))), rs.ErrInactive, 0},
		{"plain permissions", known(w.as.Sign("at+jwt", claims(without("urn:umaas:permissions"), with("permissions", permissions)))), nil, 1},
		{"other audience", w.as.Sign("at+jwt", claims(with("aud", []string{"https://other.example"}))), rs.ErrInactive, 0},
		{"no audience", w.as.Sign("at+jwt", claims(without("aud"))), rs.ErrInactive, 0},
		{"expired", w.as.Sign("at+jwt", claims(with("exp", w.clock.now().Unix()))), rs.ErrInactive, 0},
		{"no exp", w.as.Sign("at+jwt", claims(without("exp"))), rs.ErrInactive, 0},
		{"not yet", w.as.Sign("at+jwt", claims(with("nbf", w.clock.now().Add(time.Minute).Unix()))), rs.ErrInactive, 0},
		{"no jti", w.as.Sign("at+jwt", claims(without("jti"))), rs.ErrInactive, 0},
		{"no client_id", w.as.Sign("at+jwt", claims(without("client_id"))), rs.ErrInactive, 0},
		{"unknown issuer", w.as.Sign("at+jwt", claims(with("iss", "https://evil.example"))), rs.ErrInactive, 0},
		{"no issuer", w.as.Sign("at+jwt", claims(without("iss"))), rs.ErrInactive, 0},
		{"an ID token", w.as.Sign("JWT", claims()), rs.ErrInactive, 0},
		{"other key, same kid", asclienttest.SignWith(other, "k1", "ES256", "at+jwt", claims()), rs.ErrInactive, 0},
		{"unknown kid", asclienttest.SignWith(other, "k9", "ES256", "at+jwt", claims()), rs.ErrInactive, 0},
		{"alg none", asclienttest.SignWith(other, "k1", "none", "at+jwt", claims()), rs.ErrInactive, 0},
		{"alg HS256", asclienttest.SignWith(other, "k1", "HS256", "at+jwt", claims()), rs.ErrInactive, 0},
		{"alg RS256", asclienttest.SignWith(other, "k1", "RS256", "at+jwt", claims()), rs.ErrInactive, 0},
		{"no signature", cut[0] + "." + cut[1] + ".", rs.ErrInactive, 0},
		{"sealed for another", w.as.Sign("at+jwt", claims(with("urn:umaas:permissions", sealFor(t, "other", permissions)))), rs.ErrInactive, 0},
		{"sealed nonsense", w.as.Sign("at+jwt", claims(with("urn:umaas:permissions", "a.b.c.d.e"))), rs.ErrInactive, 0},
	} {
		g, err := w.verifier.Verify(t.Context(), c.token)
		if !errors.Is(err, c.err) || len(g.Permissions) != c.left {
			t.Errorf("%s: %v, %d permissions", c.name, err, len(g.Permissions))
		}
	}
	// Asked about are the three good ones, the withdrawn one and the one without an issuer, which is opaque to us: a forged
	// token costs no question.
	if n := w.as.Calls("POST /introspect"); n != 5 {
		t.Errorf("%d introspections", n)
	}
	if n := w.as.Calls("GET /jwks"); n > 2 {
		t.Errorf("%d fetches of keys: unknown key ids make this server hammer the other", n)
	}
}

func TestVerifyJWTWithoutPermissionsIsIntrospected(t *testing.T) {
	w, record := verifying(t)
	token := w.as.Sign("at+jwt", map[string]any{
		"iss": w.as.Issuer(), "sub": "s", "aud": fhirBase, "exp": w.clock.now().Add(time.Minute).Unix(), "jti": "j", "client_id": "app",
	})
	if _, err := w.verifier.Verify(t.Context(), token); !errors.Is(err, rs.ErrInactive) {
		t.Errorf("unknown to the authorization server: %v", err)
	}
	w.as.PutToken(token, uma.Introspection{Active: true, Exp: w.clock.now().Add(time.Minute).Unix(), Permissions: []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}}})
	if g, err := w.verifier.Verify(t.Context(), token); err != nil || len(g.Permissions) != 1 {
		t.Errorf("%+v %v", g, err)
	}
}

func TestVerifyFollowsKeyRotation(t *testing.T) {
	w, record := verifying(t)
	permissions := []uma.Permission{{ResourceID: record, Scopes: []string{"patient/Patient.r"}}}
	sign := func() string {
		exp := w.clock.now().Add(time.Minute).Unix()
		token := w.as.Sign("at+jwt", map[string]any{
			"iss": w.as.Issuer(), "sub": "s", "aud": fhirBase, "exp": exp, "jti": "j", "client_id": "app", "permissions": permissions,
		})
		w.as.PutToken(token, uma.Introspection{Active: true, JTI: "j", ClientID: "app", Exp: exp, Permissions: permissions})
		return token
	}
	if _, err := w.verifier.Verify(t.Context(), sign()); err != nil {
		t.Fatal(err)
	}
	w.clock.forward(time.Minute)
	w.as.RotateKey()
	if _, err := w.verifier.Verify(t.Context(), sign()); err != nil {
		t.Errorf("after rotation: %v", err)
	}
}
