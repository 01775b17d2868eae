package outbound

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// served answers every address with one list, when gate lets it, and counts.
type served struct {
	raw   []byte
	fail  atomic.Bool
	gate  chan struct{}
	asked atomic.Int32
}

func (s *served) GetJSON(context.Context, string) ([]byte, error) {
	s.asked.Add(1)
	if s.gate != nil {
		<-s.gate
	}
	if s.fail.Load() {
		return nil, errors.New("not there")
	}
	return s.raw, nil
}

// listOf packs size bytes, with the lowest bit of the first set.
func listOf(t *testing.T, size int) []byte {
	t.Helper()
	bits := make([]byte, size)
	bits[0] = 1
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, err := z.Write(bits)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `{"status_list":{"bits":1,"lst":%q}}`, base64.RawURLEncoding.EncodeToString(packed.Bytes()))
}

// TestStatusSource_KeepsWithinItsBudget: a thousand lists of the largest size fill no more than the budget, and neither does any
// number of small ones; the one in use stays.
func TestStatusSource_KeepsWithinItsBudget(t *testing.T) {
	for _, size := range []int{maxStatusBytes, 1} {
		now := time.Unix(1_800_000_000, 0)
		from := &served{raw: listOf(t, size)}
		s := NewStatusSource(from, func() time.Time { return now })
		for i := range 2 * maxStatusKept / statusEntryWeight / max(1, size>>15) {
			now = now.Add(time.Millisecond)
			for _, url := range []string{fmt.Sprint("https://x.example/", i), "https://used.example"} {
				if revoked, err := s.Revoked(t.Context(), url, 0); err != nil || !revoked {
					t.Fatal(revoked, err)
				}
			}
			held := 0
			for _, l := range s.kept {
				held += cap(l.bits)
			}
			if held > maxStatusKept || s.bytes > maxStatusKept || len(s.kept) > maxStatusKept/statusEntryWeight {
				t.Fatalf("%d bytes in %d lists, counted as %d", held, len(s.kept), s.bytes)
			}
		}
		if n, want := int(from.asked.Load()), 2*maxStatusKept/statusEntryWeight/max(1, size>>15)+1; n != want {
			t.Errorf("size %d: asked %d times, want %d: the one in use was dropped", size, n, want)
		}
		s.drop("https://used.example")
		for url := range s.kept {
			s.drop(url)
		}
		if s.bytes != 0 {
			t.Errorf("%d bytes are counted for nothing", s.bytes)
		}
	}
}

// TestStatusSource_AsksOnce: of many questions at once one asks; one that goes away leaves the others their answer; a failure is
// remembered for a moment and refuses meanwhile.
func TestStatusSource_AsksOnce(t *testing.T) {
	var clock atomic.Int64
	clock.Store(1_800_000_000)
	from := &served{raw: listOf(t, 1), gate: make(chan struct{})}
	s := NewStatusSource(from, func() time.Time { return time.Unix(clock.Load(), 0) })
	gone, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	var answered, refused atomic.Int32
	ask := func(ctx context.Context) {
		defer group.Done()
		if revoked, err := s.Revoked(ctx, "https://x.example", 0); err == nil && revoked {
			answered.Add(1)
		} else {
			refused.Add(1)
		}
	}
	group.Add(1)
	go ask(gone) // the one that asks
	for from.asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	leave()
	for range 49 {
		group.Add(1)
		go ask(t.Context())
	}
	close(from.gate)
	group.Wait()
	if from.asked.Load() != 1 || answered.Load() != 50 || refused.Load() != 0 {
		t.Fatalf("asked %d times, %d answered, %d refused", from.asked.Load(), answered.Load(), refused.Load())
	}
	clock.Add(61)
	from.fail.Store(true)
	for range 5 {
		if revoked, err := s.Revoked(t.Context(), "https://x.example", 0); err == nil || !revoked {
			t.Fatal("a list that cannot be had does not refuse")
		}
	}
	if n := from.asked.Load(); n != 2 {
		t.Fatalf("asked %d times, want 2", n)
	}
	from.fail.Store(false)
	clock.Add(5)
	if _, err := s.Revoked(t.Context(), "https://x.example", 0); err != nil || from.asked.Load() != 3 {
		t.Fatal(err, from.asked.Load())
	}
}
