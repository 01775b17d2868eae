package outbound

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"testing"
	"time"
)

// oneBit is a revocation list of eight entries.
func oneBit(t *testing.T, bits byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	if _, err := z.Write([]byte{bits}); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return `{"status_list":{"bits":1,"lst":"` + base64.RawURLEncoding.EncodeToString(b.Bytes()) + `"}}`
}

// TestSEC_58_StatusListEnds: an answer serves for less than a minute, to the nanosecond; an older one never, not even where the
// server is away, and neither does one from the future of a clock that was put back.
func TestSEC_58_StatusListEnds(t *testing.T) {
	const list = "https://as.example/status/0"
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	shelf := &shelf{docs: map[string]string{list: oneBit(t, 0)}}
	s := NewStatusSource(shelf, func() time.Time { return now })
	for _, c := range []struct {
		name    string
		after   time.Duration
		doc     string
		revoked bool
		fails   bool
		asks    int
	}{
		{"first", 0, oneBit(t, 0), false, false, 1},
		{"a minute less a nanosecond", time.Minute - 1, oneBit(t, 1), false, false, 0},
		{"a minute", 1, oneBit(t, 1), true, false, 1},
		{"taken back", time.Minute, oneBit(t, 0), false, false, 1},
		{"away", time.Minute, "", true, true, 1},
		{"back", time.Minute, oneBit(t, 0), false, false, 1},
		{"a clock put back", -time.Second, oneBit(t, 1), true, false, 1},
		{"nonsense", time.Minute, "[]", true, true, 1},
	} {
		now = now.Add(c.after)
		shelf.put(list, c.doc)
		before := shelf.n
		revoked, err := s.Revoked(t.Context(), list, 0)
		if revoked != c.revoked || (err != nil) != c.fails || shelf.n-before != c.asks {
			t.Errorf("%s: revoked %v, %v, asked %d times; want %v, an error %v, %d times", c.name, revoked, err, shelf.n-before, c.revoked, c.fails, c.asks)
		}
	}
}
