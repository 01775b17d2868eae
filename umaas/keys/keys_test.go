package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwe"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// drawer is a Storage in memory.
type drawer struct {
	mu    sync.Mutex
	value []byte
	fault error
}

func (d *drawer) Load(context.Context) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Clone(d.value), d.fault
}

func (d *drawer) Swap(_ context.Context, old, fresh []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !bytes.Equal(d.value, old) {
		return ErrConflict
	}
	d.value = bytes.Clone(fresh)
	return nil
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func newClock() *clock { return &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func open(t testing.TB, d *drawer, c *clock) *Ring {
	t.Helper()
	r, err := Open(t.Context(), Options{Storage: d, Now: c.now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The library, not our own code, verifies what we sign: header, encoding and signature are as RFC 7515 wants them.
func TestSignVerifiesElsewhere(t *testing.T) {
	r := open(t, &drawer{}, newClock())
	set, err := jwk.Parse(r.JWKS())
	if err != nil || set.Len() != 2 {
		t.Fatalf("%s: %v", r.JWKS(), err)
	}
	for _, alg := range []Algorithm{ES256, RS256} {
		raw, err := r.Sign(alg, "at+jwt", []byte(`{"a":1}`))
		if err != nil {
			t.Fatal(err)
		}
		payload, err := jws.Verify([]byte(raw), jws.WithKeySet(set))
		if err != nil || string(payload) != `{"a":1}` {
			t.Errorf("%s: %q, %v", alg, payload, err)
		}
		head, _, _ := strings.Cut(raw, ".")
		var h map[string]string
		plain, _ := base64.RawURLEncoding.DecodeString(head)
		if err := json.Unmarshal(plain, &h); err != nil || h["alg"] != string(alg) || h["typ"] != "at+jwt" || h["kid"] == "" || len(h) != 3 {
			t.Errorf("header %s", plain)
		}
		v, err := r.Verify(raw, alg, "at+jwt")
		if err != nil || string(v.Payload) != `{"a":1}` || v.KeyID != h["kid"] {
			t.Errorf("%s: own verification: %v", alg, err)
		}
	}
	if strings.Contains(string(r.JWKS()), `"d"`) {
		t.Error("the key set holds a private key")
	}
}

func TestVerifyRefuses(t *testing.T) {
	r := open(t, &drawer{}, newClock())
	good, _ := r.Sign(ES256, "at+jwt", []byte(`{}`))
	rs, _ := r.Sign(RS256, "at+jwt", []byte(`{}`))
	other := open(t, &drawer{}, newClock())
	foreign, _ := other.Sign(ES256, "at+jwt", []byte(`{}`))
	id, _ := r.Sign(ES256, "JWT", []byte(`{}`))
	parts := strings.Split(good, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."
	secret, _ := jws.Sign([]byte(`{}`), jws.WithKey(jwa.HS256, r.JWKS()))
	for name, raw := range map[string]string{
		"empty": "", "none": none, "HS256 with the public key": string(secret), "other algorithm": rs, "other ring": foreign, "other typ": id,
		"no signature": parts[0] + "." + parts[1] + ".", "changed payload": parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"x":1}`)) + "." + parts[2],
		"cut": good[:len(good)-1], "longer": good + "A", "long": strings.Repeat("a", maxJWS) + "..", "json form": `{"payload":""}`,
	} {
		if v, err := r.Verify(raw, ES256, "at+jwt"); !errors.Is(err, ErrUntrusted) || v.Payload != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Verify(good, ES256, "at+jwt"); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestRotation(t *testing.T) {
	d, c := &drawer{}, newClock()
	a, b := open(t, d, c), open(t, d, c)
	states := func(r *Ring) string {
		var out []string
		for _, k := range r.Keys() {
			if k.Alg == ES256 {
				out = append(out, string(k.State))
			}
		}
		return strings.Join(out, " ")
	}
	if states(b) != "active" || !bytes.Equal(a.JWKS(), b.JWKS()) {
		t.Fatalf("two services on one store differ: %s", states(b))
	}
	old, _ := a.Sign(ES256, "JWT", []byte(`{}`))
	if err := a.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := a.Prepare(t.Context()); err != nil || states(a) != "active next" {
		t.Fatalf("prepare: %v, %s", err, states(a))
	}
	if states(b) != "active" {
		t.Error("the other service re-reads before Reload has passed")
	}
	c.add(6 * time.Second)
	if states(b) != "active next" {
		t.Errorf("the other service after Reload: %s", states(b))
	}
	if err := a.Rotate(t.Context()); err != nil || states(a) != "active retiring" {
		t.Fatalf("rotate: %v, %s", err, states(a))
	}
	// Another service meets the new key at once, although it has not re-read: an unknown key id makes it look.
	fresh, _ := a.Sign(ES256, "JWT", []byte(`{}`))
	if _, err := b.Verify(fresh, ES256, "JWT"); err != nil {
		t.Errorf("new key at the other service: %v", err)
	}
	if _, err := b.Verify(old, ES256, "JWT"); err != nil {
		t.Errorf("retiring key: %v", err)
	}
	// The key set of a fresh process is the same: nothing lives in this one alone.
	if again := open(t, d, c); !bytes.Equal(again.JWKS(), a.JWKS()) {
		t.Error("reopened ring differs")
	}
	c.add(25 * time.Hour)
	if err := a.Maintain(t.Context()); err != nil || states(a) != "active" {
		t.Errorf("after the overlap: %v, %s", err, states(a))
	}
	if _, err := a.Verify(old, ES256, "JWT"); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a key that is gone still verifies: %v", err)
	}
}

func TestMaintainOnSchedule(t *testing.T) {
	c := newClock()
	r := open(t, &drawer{}, c)
	first := r.Keys()[0].ID
	count := func() (n int) { return len(r.Keys()) }
	step := func(d time.Duration, want int) {
		t.Helper()
		c.add(d)
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if count() != want {
			t.Fatalf("%d keys, want %d: %v", count(), want, r.Keys())
		}
	}
	const day = 24 * time.Hour
	step(88*day, 2)
	step(day, 4)           // next ones published
	step(day-time.Hour, 4) // not yet
	step(time.Hour, 4)     // rotated
	if r.Keys()[0].ID == first {
		t.Error("the first key still signs after its period")
	}
	step(day, 2)
}

func TestDrop(t *testing.T) {
	r := open(t, &drawer{}, newClock())
	raw, _ := r.Sign(ES256, "JWT", []byte(`{}`))
	v, _ := r.Verify(raw, ES256, "JWT")
	if err := r.Drop(t.Context(), v.KeyID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(raw, ES256, "JWT"); !errors.Is(err, ErrUntrusted) {
		t.Errorf("signature of a dropped key: %v", err)
	}
	if _, err := r.Sign(ES256, "JWT", []byte(`{}`)); err != nil {
		t.Errorf("an active key must be replaced: %v", err)
	}
	if err := r.Drop(t.Context(), "no-such-key"); err == nil {
		t.Error("dropping an unknown key must say so")
	}
}

func TestSealed(t *testing.T) {
	c := newClock()
	key := bytes.Repeat([]byte{7}, 32)
	openWith := func(d *drawer, seal []byte) (*Ring, error) {
		return Open(context.Background(), Options{Storage: d, Now: c.now, Random: rand.Reader, Seal: seal})
	}
	sealed, clear := &drawer{}, &drawer{}
	r, err := openWith(sealed, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openWith(clear, nil); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed.value, []byte("pkcs8")) || !bytes.Contains(clear.value, []byte("pkcs8")) {
		t.Error("sealing makes no difference")
	}
	again, err := openWith(sealed, key)
	if err != nil || !bytes.Equal(again.JWKS(), r.JWKS()) {
		t.Errorf("reopen: %v", err)
	}
	cut := &drawer{value: sealed.value[:5]}
	future := &drawer{value: append([]byte{9}, sealed.value[1:]...)}
	for name, tc := range map[string]struct {
		d    *drawer
		seal []byte
	}{
		"other key": {sealed, bytes.Repeat([]byte{8}, 32)}, "no key": {sealed, nil}, "key for clear": {clear, key}, "short key": {&drawer{}, key[:31]},
		"cut": {cut, key}, "newer form": {future, key},
	} {
		before := bytes.Clone(tc.d.value)
		if _, err := openWith(tc.d, tc.seal); err == nil {
			t.Errorf("%s: opened", name)
		}
		if !bytes.Equal(before, tc.d.value) {
			t.Errorf("%s: the stored keys were overwritten", name)
		}
	}
}

func TestOpenTogether(t *testing.T) {
	d, c := &drawer{}, newClock()
	rings := make([]*Ring, 4)
	var wg sync.WaitGroup
	for i := range rings {
		wg.Go(func() { rings[i] = open(t, d, c) })
	}
	wg.Wait()
	for _, r := range rings {
		if !bytes.Equal(r.JWKS(), rings[0].JWKS()) {
			t.Error("services that started together have different keys")
		}
	}
}

func TestStorageFaultKeepsServing(t *testing.T) {
	d, c := &drawer{}, newClock()
	r := open(t, d, c)
	d.fault = errors.New("disk")
	c.add(time.Minute)
	if _, err := r.Sign(ES256, "JWT", []byte(`{}`)); err != nil {
		t.Errorf("sign: %v", err)
	}
	if _, err := Open(t.Context(), Options{Storage: d, Now: c.now, Random: rand.Reader}); err == nil {
		t.Error("a new service must not start without its keys")
	}
}

func TestClientKeySets(t *testing.T) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	small, _ := rsa.GenerateKey(rand.Reader, 1024)
	set := func(keys ...any) []byte {
		s := jwk.NewSet()
		for i, k := range keys {
			j, err := jwk.FromRaw(k)
			if err != nil {
				t.Fatal(err)
			}
			_ = j.Set(jwk.KeyIDKey, string(rune('a'+i)))
			_ = s.AddKey(j)
		}
		raw, _ := json.Marshal(s)
		return raw
	}
	good := set(private.Public())
	if err := CheckKeySet(good); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"empty": nil, "no keys": []byte(`{"keys":[]}`), "private": set(private), "symmetric": set([]byte("secret")), "RSA 1024": set(small.Public()), "text": []byte("x"),
		"kid twice": bytes.ReplaceAll(set(private.Public(), func() any { k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader); return k.Public() }()), []byte(`"kid":"b"`), []byte(`"kid":"a"`)),
	} {
		if err := CheckKeySet(raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	sign := func(alg jwa.SignatureAlgorithm, key any, kid string) string {
		h := jws.NewHeaders()
		_ = h.Set(jws.KeyIDKey, kid)
		raw, err := jws.Sign([]byte(`{}`), jws.WithKey(alg, key, jws.WithProtectedHeaders(h)))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if _, err := VerifyWith(good, sign(jwa.ES256, private, "a")); err != nil {
		t.Errorf("good: %v", err)
	}
	for name, raw := range map[string]string{
		"other key": sign(jwa.ES256, stranger, "a"), "other kid": sign(jwa.ES256, private, "b"), "HS256": sign(jwa.HS256, good, "a"),
	} {
		if _, err := VerifyWith(good, raw); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEncrypt(t *testing.T) {
	key := [32]byte{1, 2, 3}
	raw, err := Encrypt(key, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jwe.Decrypt([]byte(raw), jwe.WithKey(jwa.DIRECT, key[:]))
	if err != nil || string(plain) != `["a"]` {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := jwe.Decrypt([]byte(raw), jwe.WithKey(jwa.DIRECT, make([]byte, 32))); err == nil {
		t.Error("another key opens it")
	}
}

func FuzzVerify(f *testing.F) {
	c := newClock()
	r := open(f, &drawer{}, c)
	good, _ := r.Sign(ES256, "JWT", []byte(`{}`))
	f.Add(good)
	f.Add("a.b.c")
	f.Add(`{"payload":"","signatures":[]}`)
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := r.Verify(raw, ES256, "JWT")
		if err == nil && raw != good {
			t.Errorf("%q verifies", raw)
		}
		if err != nil && v.Payload != nil {
			t.Error("a failed verification returned something")
		}
	})
}

func BenchmarkSign(b *testing.B) {
	r := open(b, &drawer{}, newClock())
	payload := []byte(`{"iss":"https://as.example","sub":"u_1","aud":["https://rs.example"],"exp":1,"iat":1,"jti":"abc","client_id":"c_1"}`)
	b.Run("ring", func(b *testing.B) {
		for b.Loop() {
			if _, err := r.Sign(ES256, "at+jwt", payload); err != nil {
				b.Fatal(err)
			}
		}
	})
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	b.Run("jwx", func(b *testing.B) {
		for b.Loop() {
			if _, err := jws.Sign(payload, jws.WithKey(jwa.ES256, private)); err != nil {
				b.Fatal(err)
			}
		}
	})
	digest := make([]byte, 32)
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			if _, err := ecdsa.SignASN1(rand.Reader, private, digest); err != nil {
				b.Fatal(err)
			}
		}
	})
}
