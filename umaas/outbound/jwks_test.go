package outbound

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// shelf is a Getter of prepared documents that counts.
type shelf struct {
	mu   sync.Mutex
	docs map[string]string
	n    int
}

func (s *shelf) GetJSON(_ context.Context, target string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	d, ok := s.docs[target]
	if !ok {
		return nil, errors.New("down")
	}
	return []byte(d), nil
}

func (s *shelf) put(target, doc string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc == "" {
		delete(s.docs, target)
		return
	}
	s.docs[target] = doc
}

const uri = "https://i.example/jwks"

func set(kids ...string) string {
	var list []string
	for _, k := range kids {
		list = append(list, fmt.Sprintf(`{"kty":"EC","kid":%q}`, k))
	}
	return `{"keys":[` + strings.Join(list, ",") + `]}`
}

// TestKeySource walks through rotation, made-up kids, an outage and its end.
func TestKeySource(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	shelf := &shelf{docs: map[string]string{uri: set("a")}}
	s := NewKeySource(shelf, func() time.Time { return now })
	for i, step := range []struct {
		pass    time.Duration
		serve   string // "" unchanged, "down" nothing
		kid     string
		want    string // part of the set, "" an error
		fetches int    // in all so far
	}{
		{0, "", "a", `"a"`, 1},
		{time.Second, "", "a", `"a"`, 1},
		{0, "", "", `"a"`, 1},
		{0, set("a", "b"), "b", `"a"`, 1},      // within the minute the old set stands
		{time.Minute, "", "b", `"b"`, 2},       // rotated: looked up again
		{time.Second, "", "made-up", `"b"`, 2}, // costs the issuer nothing
		{time.Minute, "", "made-up", `"b"`, 3},
		{time.Second, "", "made-up", `"b"`, 3},
		{16 * time.Minute, set("b"), "b", `"b"`, 4}, // old: fetched again
		{16 * time.Minute, "down", "b", `"b"`, 5},   // outage: the old keys serve
		{30 * time.Second, "", "b", `"b"`, 5},
		{40 * time.Minute, "", "b", `"b"`, 6},
		{20 * time.Minute, "", "b", "", 7}, // for an hour at most
		{time.Second, "", "b", "", 7},
		{time.Minute, set("c"), "c", `"c"`, 8},
		{16 * time.Minute, `{"keys":1}`, "c", `"c"`, 9},
		{time.Hour, `[]`, "c", "", 10},
	} {
		now = now.Add(step.pass)
		switch step.serve {
		case "":
		case "down":
			shelf.put(uri, "")
		default:
			shelf.put(uri, step.serve)
		}
		got, err := s.KeySet(t.Context(), "https://i.example", uri, step.kid)
		if (err == nil) != (step.want != "") || !strings.Contains(string(got), step.want) || shelf.n != step.fetches {
			t.Fatalf("step %d: %s, %v after %d fetches; want %s after %d", i, got, err, shelf.n, step.want, step.fetches)
		}
	}
}

func TestKeySourceFetchesOnceForMany(t *testing.T) {
	shelf := &shelf{docs: map[string]string{uri: set("a")}}
	s := NewKeySource(shelf, time.Now)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := s.KeySet(t.Context(), "https://i.example", uri, "a"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if shelf.n != 1 {
		t.Errorf("%d fetches for 32 requests at once", shelf.n)
	}
}

func statusDoc(bits ...byte) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write(bits); err != nil {
		panic(err)
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return `{"status_list":{"bits":1,"lst":"` + base64.RawURLEncoding.EncodeToString(b.Bytes()) + `"}}`
}

func TestStatusSource(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	shelf := &shelf{docs: map[string]string{"l": statusDoc(0b100, 0b1)}}
	s := NewStatusSource(shelf, func() time.Time { return now })
	for _, c := range []struct {
		index   uint64
		revoked bool
		ok      bool
	}{{0, false, true}, {2, true, true}, {8, true, true}, {9, false, true}, {16, true, false}, {1 << 63, true, false}} {
		got, err := s.Revoked(t.Context(), "l", c.index)
		if got != c.revoked || (err == nil) != c.ok {
			t.Errorf("%d: %v, %v", c.index, got, err)
		}
	}
	if shelf.n != 1 {
		t.Errorf("%d fetches within a minute", shelf.n)
	}
	shelf.put("l", "")
	now = now.Add(time.Minute)
	if revoked, err := s.Revoked(t.Context(), "l", 0); !revoked || err == nil {
		t.Error("a list that cannot be had says that a token is good")
	}
	for _, doc := range []string{"", "{}", `{"status_list":{"bits":2,"lst":"eJwDAAAAAAE"}}`, `{"status_list":{"bits":1,"lst":"*"}}`, `{"status_list":{"bits":1,"lst":"AAAA"}}`, statusDoc(make([]byte, maxStatusBytes+1)...)} {
		now = now.Add(statusFailed) // so that it is asked for again
		shelf.put("x", doc+" ")
		if revoked, err := s.Revoked(t.Context(), "x", 0); !revoked || err == nil {
			t.Errorf("accepted %.60s", doc)
		}
	}
}

func FuzzParseStatusList(f *testing.F) {
	f.Add([]byte(statusDoc(1, 2, 3)))
	f.Add([]byte(`{"status_list":{"bits":1,"lst":""}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if bits, err := ParseStatusList(raw); err == nil && len(bits) > maxStatusBytes {
			t.Errorf("%d bytes", len(bits))
		}
	})
}

func TestScanIssuer(t *testing.T) {
	var doc string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/i/.well-known/openid-configuration" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(doc))
	}))
	defer server.Close()
	c := New(Options{InsecureHTTP: true, Private: Loopback()})
	issuer := server.URL + "/i"
	for _, tc := range []struct{ doc, want string }{
		{`{"issuer":"` + issuer + `","jwks_uri":"https://i.example/jwks"}`, ""},
		{`{"issuer":"` + server.URL + `","jwks_uri":"https://i.example/jwks"}`, "speaks for issuer"},
		{`{"issuer":"` + issuer + `"}`, "no jwks_uri"},
		{`{"issuer":"` + issuer + `","jwks_uri":"file:///etc/passwd"}`, "refused"},
		{`[]`, "no configuration document"},
	} {
		doc = tc.doc
		m, err := c.ScanIssuer(t.Context(), issuer)
		switch {
		case tc.want == "" && (err != nil || m.JWKSURI != "https://i.example/jwks"):
			t.Errorf("%+v, %v", m, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
			t.Errorf("%s: %v, want %s", tc.doc, err, tc.want)
		}
	}
}
