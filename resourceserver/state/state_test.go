package state_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/state"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

var (
	key = bytes.Repeat([]byte{7}, 32)
	t0  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

type clock struct{ t atomic.Pointer[time.Time] }

func newClock() *clock                   { c := &clock{}; c.set(t0); return c }
func (c *clock) now() time.Time          { return *c.t.Load() }
func (c *clock) set(t time.Time)         { c.t.Store(&t) }
func (c *clock) forward(d time.Duration) { c.set(c.now().Add(d)) }
func owner(user string) rs.Owner         { return rs.Owner{Issuer: "https://as.example", User: user} }
func ctx(t *testing.T) context.Context   { return t.Context() }

// onEngines runs a test on bolt, on memory, and on memory that makes transactions lose and run again.
func onEngines(t *testing.T, test func(t *testing.T, s *state.Store, c *clock)) {
	t.Helper()
	engines := map[string]func(t *testing.T) kv.Engine{
		"bolt": func(t *testing.T) kv.Engine {
			e, err := boltkv.Open(filepath.Join(t.TempDir(), "state.db"), boltkv.Options{InsecureNoSync: true})
			if err != nil {
				t.Fatal(err)
			}
			return e
		},
		"memory": func(*testing.T) kv.Engine { return memkv.New(memkv.Options{}) },
		"conflicts": func(*testing.T) kv.Engine {
			return memkv.New(memkv.Options{Conflict: func() bool { return rand.IntN(3) == 0 }})
		},
	}
	for name, open := range engines {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			e := open(t)
			t.Cleanup(func() { _ = e.Close() })
			s, err := state.Open(t.Context(), e, state.Options{Key: key, Now: c.now})
			if err != nil {
				t.Fatal(err)
			}
			test(t, s, c)
		})
	}
}

func TestSecretsAreSealedOnDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	e, err := boltkv.Open(path, boltkv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := state.Open(ctx(t), e, state.Options{Key: key, Now: newClock().now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutPAT(ctx(t), rs.PAT{Owner: owner("u"), Access: "secret-access", Refresh: "secret-refresh"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SaveNewCredentials(ctx(t), asclient.Credentials{Issuer: "https://as.example", ClientID: "id", ClientSecret: "secret-client"}); err != nil {
		t.Fatal(err)
	}
	h, err := s.Keep(ctx(t), "login", map[string]string{"v": "secret-verifier"}, t0.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.PAT(ctx(t), owner("u")); err != nil || p.Access != "secret-access" || p.Refresh != "secret-refresh" {
		t.Errorf("%+v %v", p, err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret-", h} {
		if bytes.Contains(raw, []byte(secret)) {
			t.Errorf("%q stands in the file", secret)
		}
	}
	e, err = boltkv.Open(path, boltkv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	_, err = state.Open(ctx(t), e, state.Options{Key: bytes.Repeat([]byte{8}, 32)})
	if err == nil || err.Error() != "state: the configured key does not fit these data: configure the key they were written with" {
		t.Errorf("another key: %v", err)
	}
	if _, err := state.Open(ctx(t), e, state.Options{Key: key[:16]}); err == nil || !strings.Contains(err.Error(), "want 32") {
		t.Errorf("short key: %v", err)
	}
}

// A sealed record is bound to its place: another owner's cannot be put in.
func TestSealedRecordsCannotBeMoved(t *testing.T) {
	e := memkv.New(memkv.Options{})
	s, err := state.Open(ctx(t), e, state.Options{Key: key, Now: newClock().now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PutPAT(ctx(t), rs.PAT{Owner: owner("a"), Access: "x"}); err != nil {
		t.Fatal(err)
	}
	err = e.Update(ctx(t), func(tx kv.Tx) error {
		raw, err := tx.Get([]byte("o\x00a\x00pat"))
		if err != nil {
			return err
		}
		return tx.Put([]byte("o\x00b\x00pat"), raw)
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err := s.PAT(ctx(t), owner("b")); err == nil {
		t.Errorf("read %+v", p)
	}
}

func TestNewerSchemaIsRefusedUntouched(t *testing.T) {
	e := memkv.New(memkv.Options{})
	newer := []byte("\x01{\"v\":2}")
	if err := e.Update(ctx(t), func(tx kv.Tx) error { return tx.Put([]byte("!"), newer) }); err != nil {
		t.Fatal(err)
	}
	if _, err := state.Open(ctx(t), e, state.Options{Key: key}); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("%v", err)
	}
	_ = e.View(ctx(t), func(tx kv.Tx) error {
		all, err := tx.Scan(nil, nil, 10)
		if err != nil || len(all) != 1 || !bytes.Equal(all[0].Value, newer) {
			t.Errorf("touched: %q %v", all, err)
		}
		return nil
	})
}

func TestHandles(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		type value struct{ A string }
		h, err := s.Keep(ctx(t), "login", value{"x"}, c.now().Add(time.Minute))
		if err != nil || len(h) != 54 {
			t.Fatal(h, err)
		}
		var got value
		for name, wrong := range map[string]string{
			"empty": "", "nonsense": "!", "cut": h[:53], "longer": h + "A", "other secret": h[:50] + strings.Map(func(r rune) rune {
				if r == 'A' {
					return 'B'
				}
				return 'A'
			}, h[50:]),
		} {
			if err := s.Look(ctx(t), "login", wrong, &got); !errors.Is(err, rs.ErrNotKept) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := s.Look(ctx(t), "session", h, &got); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("another kind: %v", err)
		}
		if err := s.Look(ctx(t), "login", h, &got); err != nil || got.A != "x" {
			t.Fatal(got, err)
		}
		if err := s.Change(ctx(t), "login", h, value{"y"}); err != nil {
			t.Fatal(err)
		}
		c.forward(time.Minute - 1)
		if err := s.Look(ctx(t), "login", h, &got); err != nil || got.A != "y" {
			t.Fatal(got, err)
		}
		c.forward(1)
		for _, err := range []error{s.Look(ctx(t), "login", h, &got), s.Take(ctx(t), "login", h, &got), s.Change(ctx(t), "login", h, got)} {
			if !errors.Is(err, rs.ErrNotKept) {
				t.Errorf("expired: %v", err)
			}
		}
	})
}

func TestOneOf64TakesAHandle(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		h, err := s.Keep(ctx(t), "login", 1, c.now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				var v int
				switch err := s.Take(ctx(t), "login", h, &v); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, rs.ErrNotKept):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d winners", won.Load())
		}
	})
}

func TestOneOf64LeasesARefresh(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		if err := s.PutPAT(ctx(t), rs.PAT{Owner: owner("u"), Refresh: "r"}); err != nil {
			t.Fatal(err)
		}
		lease := func() int {
			var won atomic.Int32
			var wg sync.WaitGroup
			for range 64 {
				wg.Go(func() {
					if _, err := s.LeaseRefresh(ctx(t), owner("u"), c.now().Add(time.Second)); err == nil {
						won.Add(1)
					} else if !errors.Is(err, rs.ErrBusy) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return int(won.Load())
		}
		if n := lease(); n != 1 {
			t.Errorf("%d leases", n)
		}
		c.forward(time.Second)
		if n := lease(); n != 1 {
			t.Errorf("%d leases after the first ran out", n)
		}
		if err := s.PutPAT(ctx(t), rs.PAT{Owner: owner("u"), Refresh: "r2"}); err != nil {
			t.Fatal(err)
		}
		if n := lease(); n != 1 {
			t.Errorf("%d leases after a new token", n)
		}
	})
}

func registration(user, id string, level rs.Level, patient string) rs.Registration {
	return rs.Registration{Set: rs.Set{Issuer: "https://as.example", ResourceID: id, Level: level, User: user, Patient: patient}, Owner: owner(user), Updated: t0}
}

func TestRecordHasOneHolder(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		put := func(r rs.Registration) {
			t.Helper()
			if err := s.PutRegistration(ctx(t), r); err != nil {
				t.Fatal(err)
			}
		}
		put(registration("", "r1", rs.LevelRecord, "p"))
		put(registration("u", "r2", rs.LevelRecord, "p"))
		if r, err := s.RecordOf(ctx(t), "p"); err != nil || r.ResourceID != "r2" || r.Owner != owner("u") {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := s.SetByID(ctx(t), "https://as.example", "r1"); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("the custodian's set still means something: %v", err)
		}
		if ids, err := s.Removals(ctx(t), owner(""), 10); err != nil || len(ids) != 1 || ids[0] != "r1" {
			t.Errorf("removals %v %v", ids, err)
		}
		put(registration("u", "r3", rs.LevelRecord, "p")) // a new id under the same meaning
		if ids, _ := s.Removals(ctx(t), owner("u"), 10); len(ids) != 1 || ids[0] != "r2" {
			t.Errorf("removals %v", ids)
		}
		if err := s.EndRegistration(ctx(t), registration("u", "r2", rs.LevelRecord, "p")); err != nil { // an old one ends nothing
			t.Fatal(err)
		}
		if r, err := s.RecordOf(ctx(t), "p"); err != nil || r.ResourceID != "r3" {
			t.Errorf("%+v %v", r, err)
		}
		if err := s.EndRegistration(ctx(t), registration("u", "r3", rs.LevelRecord, "p")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.RecordOf(ctx(t), "p"); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("%v", err)
		}
		if _, err := s.SetByID(ctx(t), "https://other.example", "r3"); !errors.Is(err, rs.ErrNotKept) {
			t.Errorf("another issuer's id: %v", err)
		}
		for _, id := range []string{"", "a\x00b", strings.Repeat("x", 400)} {
			if err := s.PutRegistration(ctx(t), registration("u", id, rs.LevelUser, "")); err == nil {
				t.Errorf("took resource id %q", id)
			}
		}
	})
}

func TestRegistrationsArePaged(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		for i := range 7 {
			if err := s.PutRegistration(ctx(t), registration("u", fmt.Sprint("id", i), rs.LevelPatient, fmt.Sprint("p", i))); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for after := ""; ; {
			page, next, err := s.Registrations(ctx(t), owner("u"), after, 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.Patient)
			}
			if next == "" {
				break
			}
			after = next
		}
		if strings.Join(got, " ") != "p0 p1 p2 p3 p4 p5 p6" {
			t.Errorf("%q", got)
		}
	})
}

func TestWorkIntentTellsOfAnInterruptedRun(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		begin := func() (bool, error) { return s.BeginWork(ctx(t), owner("u"), c.now(), c.now().Add(time.Minute)) }
		if left, err := begin(); left || err != nil {
			t.Fatal(left, err)
		}
		if _, err := begin(); !errors.Is(err, rs.ErrBusy) {
			t.Errorf("%v", err)
		}
		c.forward(time.Minute)
		if left, err := begin(); !left || err != nil {
			t.Errorf("%t %v", left, err)
		}
		if err := s.EndWork(ctx(t), owner("u")); err != nil {
			t.Fatal(err)
		}
		if left, err := begin(); left || err != nil {
			t.Errorf("%t %v", left, err)
		}
	})
}

func TestJobOrderedDuringWorkIsNotLost(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		put := func(verify bool) {
			t.Helper()
			if err := s.PutJob(ctx(t), rs.Job{Owner: owner("u"), Verify: verify, Due: c.now()}); err != nil {
				t.Fatal(err)
			}
		}
		due := func() []rs.Job {
			t.Helper()
			jobs, err := s.DueJobs(ctx(t), c.now(), 10)
			if err != nil {
				t.Fatal(err)
			}
			return jobs
		}
		put(true)
		running := due()[0]
		put(false)
		if err := s.JobDone(ctx(t), running); err != nil {
			t.Fatal(err)
		}
		again := due()
		if len(again) != 1 || !again[0].Verify {
			t.Fatalf("%+v", again)
		}
		later := again[0]
		later.Due, later.Attempts = c.now().Add(time.Minute), 1
		if err := s.RetryJob(ctx(t), later); err != nil {
			t.Fatal(err)
		}
		if got := due(); len(got) != 0 {
			t.Errorf("%+v is due too early", got)
		}
		c.forward(time.Minute)
		if got := due(); len(got) != 1 || got[0].Attempts != 1 {
			t.Fatalf("%+v", got)
		}
		if err := s.JobDone(ctx(t), due()[0]); err != nil || len(due()) != 0 {
			t.Errorf("%v %v", err, due())
		}
	})
}

func TestSpoolKeepsOrderAndEvents(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		var batches []rs.SpooledEvents
		for i := range 120 { // more than one transaction takes
			batches = append(batches, rs.SpooledEvents{Owner: owner("u"), Events: []rs.Event{{Set: rs.Set{ResourceID: "r"}, AccessEvent: uma.AccessEvent{ID: fmt.Sprint(i)}}}})
		}
		if err := s.AppendEvents(ctx(t), batches[:60]); err != nil {
			t.Fatal(err)
		}
		c.forward(time.Second)
		if err := s.AppendEvents(ctx(t), batches[60:]); err != nil {
			t.Fatal(err)
		}
		all, err := s.SpooledEvents(ctx(t), "https://as.example", nil, 1000)
		if err != nil || len(all) != 120 || all[0].Owner != owner("u") || all[0].Events[0].Set.ResourceID != "r" {
			t.Fatal(len(all), err)
		}
		for i, b := range all {
			if n := len(b.Events[0].ID); (i < 60) != (n < 2 || b.Events[0].ID < "60" && n == 2) {
				t.Fatalf("batch %d holds event %s", i, b.Events[0].ID)
			}
		}
		var keys [][]byte
		for _, b := range all[:100] {
			keys = append(keys, b.Key)
		}
		if err := s.EventsDelivered(ctx(t), keys); err != nil {
			t.Fatal(err)
		}
		if rest, err := s.SpooledEvents(ctx(t), "https://as.example", nil, 1000); err != nil || len(rest) != 20 {
			t.Errorf("%d left, %v", len(rest), err)
		}
	})
}

// TestSpoolIssuers: each server something waits for is listed once, and only while something does.
func TestSpoolIssuers(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		for _, issuer := range []string{"https://a.example", "https://b.example", "https://a.example", "https://c.example"} {
			if err := s.AppendEvents(ctx(t), []rs.SpooledEvents{{Owner: rs.Owner{Issuer: issuer, User: "u"}, Events: []rs.Event{{}}}}); err != nil {
				t.Fatal(err)
			}
		}
		list := func() []string {
			t.Helper()
			got, err := s.SpoolIssuers(ctx(t))
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			return got
		}
		if got := list(); !slices.Equal(got, []string{"https://a.example", "https://b.example", "https://c.example"}) {
			t.Errorf("%q", got)
		}
		page, err := s.SpooledEvents(ctx(t), "https://a.example", nil, 10)
		if err != nil || len(page) != 2 {
			t.Fatal(len(page), err)
		}
		if err := s.EventsDelivered(ctx(t), [][]byte{page[0].Key, page[1].Key}); err != nil {
			t.Fatal(err)
		}
		if got := list(); !slices.Equal(got, []string{"https://b.example", "https://c.example"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestFirstCredentialsWin(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		if _, err := s.LoadCredentials(ctx(t), "https://as.example"); !errors.Is(err, asclient.ErrNoCredentials) {
			t.Fatal(err)
		}
		for _, id := range []string{"first", "second"} {
			c, err := s.SaveNewCredentials(ctx(t), asclient.Credentials{Issuer: "https://as.example", ClientID: id, ClientSecret: "s"})
			if err != nil || c.ClientID != "first" {
				t.Errorf("%+v %v", c, err)
			}
		}
	})
}

func TestSweepFreesOnlyWhatHasExpired(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, c *clock) {
		for i := range 130 {
			if _, err := s.Keep(ctx(t), rs.KindLogin, i, c.now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		living, err := s.Keep(ctx(t), rs.KindLogin, "x", c.now().Add(100*24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			used := time.Time{}
			if i == 1 {
				used = c.now()
			}
			if err := s.PutContextURL(ctx(t), rs.ContextURL{Hash: [32]byte{byte(i)}, Level: rs.LevelUser, User: "u", Created: c.now(), Used: used}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := s.Sweep(ctx(t), []string{rs.KindLogin}, 1000); n != 0 || err != nil {
			t.Errorf("swept %d living things, %v", n, err)
		}
		c.forward(25 * time.Hour)
		if list, err := s.ContextURLs(ctx(t), "u", 10); err != nil || len(list) != 1 {
			t.Errorf("expired links are shown: %v %v", list, err)
		}
		if n, err := s.Sweep(ctx(t), []string{rs.KindLogin}, 1000); n != 132 || err != nil {
			t.Errorf("swept %d, want 132, %v", n, err)
		}
		var v string
		if err := s.Look(ctx(t), rs.KindLogin, living, &v); err != nil || v != "x" {
			t.Error(v, err)
		}
	})
}

func TestUserIndexFollowsHerResource(t *testing.T) {
	onEngines(t, func(t *testing.T, s *state.Store, _ *clock) {
		u := rs.User{Key: "u", Issuer: "i", Subject: "s", FHIRUser: "Patient/1", Created: t0}
		for _, reference := range []string{"Patient/1", "Patient/2", ""} {
			u.FHIRUser = reference
			u.Created = u.Created.Add(time.Hour)
			if err := s.PutUser(ctx(t), u); err != nil {
				t.Fatal(err)
			}
			for _, r := range []string{"Patient/1", "Patient/2"} {
				keys, err := s.UsersByFHIRUser(ctx(t), r)
				if err != nil || (len(keys) == 1) != (r == reference) {
					t.Errorf("%s now %q: %v %v", reference, r, keys, err)
				}
			}
		}
		if got, err := s.User(ctx(t), "u"); err != nil || !got.Created.Equal(t0.Add(time.Hour)) {
			t.Errorf("first seen %v, %v", got.Created, err)
		}
	})
}
