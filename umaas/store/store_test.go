package store_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store"
	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/kvtest"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/store/storetest"
)

func over(t testing.TB, e kv.Engine, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.New(context.Background(), e, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func bolt(t testing.TB, dir string) *boltkv.Engine {
	t.Helper()
	e, err := boltkv.Open(filepath.Join(dir, "as.db"), boltkv.Options{InsecureNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func often() bool { return rand.IntN(2) == 0 }

func TestMemory(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) umaas.Store { return over(t, memkv.New(memkv.Options{}), now) })
}

func TestMemoryUnderConflicts(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) umaas.Store {
		return over(t, memkv.New(memkv.Options{Conflict: often}), now)
	})
}

func TestBolt(t *testing.T) {
	storetest.Run(t, func(t *testing.T, now func() time.Time) umaas.Store { return over(t, bolt(t, t.TempDir()), now) })
}

// TestThreeServers: several servers on one store that loses half of its commits.
func TestThreeServers(t *testing.T) {
	e := memkv.New(memkv.Options{Conflict: often})
	storetest.Race(t, over(t, e, nil), over(t, e, nil), over(t, e, nil))
}

func TestCrash(t *testing.T) {
	kvtest.CrashSubject(t, func(dir string) (kvtest.Subject, error) {
		e, err := boltkv.Open(filepath.Join(dir, "as.db"), boltkv.Options{})
		if err != nil {
			return nil, err
		}
		s, err := store.New(context.Background(), e, store.Options{})
		return storetest.Subject(s), err
	})
}

func all(t *testing.T, e kv.Engine) []kv.Pair {
	t.Helper()
	var pairs []kv.Pair
	err := e.View(context.Background(), func(tx kv.Tx) (err error) {
		pairs, err = tx.Scan(nil, nil, kv.MaxScan)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pairs
}

func TestSchema(t *testing.T) {
	for _, c := range []struct{ name, key, value, want string }{
		{"empty", "", "", ""},
		{"current", "=schema", "umaas-authorization-server/1", ""},
		{"newer", "=schema", "umaas-authorization-server/2", "open store: store has schema 2, this program knows up to 1: start a newer program"},
		{"zero", "=schema", "umaas-authorization-server/0", `open store: store has schema "umaas-authorization-server/0": it is not one of an authorization server`},
		{"another program's", "=schema", "1", `open store: store has schema "1": it is not one of an authorization server`},
		{"none, but data", "x", "1", "open store: store has no schema version: it is not one of an authorization server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := memkv.New(memkv.Options{})
			if c.key != "" {
				err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte(c.key), []byte(c.value)) })
				if err != nil {
					t.Fatal(err)
				}
			}
			before := all(t, e)
			_, err := store.New(context.Background(), e, store.Options{})
			if err == nil && c.want != "" || err != nil && err.Error() != c.want {
				t.Errorf("error %v, want %q", err, c.want)
			}
			after := all(t, e)
			if c.key == "" {
				before = []kv.Pair{{Key: []byte("=schema"), Value: []byte("umaas-authorization-server/1")}}
			}
			if len(after) != len(before) || string(after[0].Key) != string(before[0].Key) || string(after[0].Value) != string(before[0].Value) {
				t.Errorf("store changed from %q to %q", before, after)
			}
			if err := e.View(context.Background(), store.CheckSchema); (err == nil) != (c.want == "") {
				t.Errorf("CheckSchema: %v", err)
			}
		})
	}
}

// TestOpenTogether: servers that start at once on an empty store all start.
func TestOpenTogether(t *testing.T) {
	e := memkv.New(memkv.Options{Conflict: often})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := store.New(context.Background(), e, store.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestDamagedRecordIsNotAbsent(t *testing.T) {
	e := memkv.New(memkv.Options{})
	s := over(t, e, nil)
	for value, want := range map[string]string{
		"": "damaged", "\x01": "damaged", "\x01\x02ab\xff": "damaged", "\x02": "damaged", "\x03": "damaged", "\x04": "record of version 4, this program reads up to 3", "{}": "version 123",
	} {
		err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte("Capp"), []byte(value)) })
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(context.Background(), func(r umaas.Reader) error {
			_, err := r.Client("app")
			return err
		})
		if err == nil || errors.Is(err, umaas.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", value, err, want)
		}
	}
}

// TestRefusedFileIsUntouched: a store of a newer program is refused without a byte of its file changing.
func TestRefusedFileIsUntouched(t *testing.T) {
	dir := t.TempDir()
	e := bolt(t, dir)
	err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte("=schema"), []byte("umaas-authorization-server/99")) })
	if err = errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "as.db")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e = bolt(t, dir)
	if _, err := store.New(context.Background(), e, store.Options{}); err == nil || !strings.Contains(err.Error(), "schema 99") {
		t.Errorf("opened: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed, %v", err)
	}
}

// TestBackupOfAStore: what was there at the moment of the backup is there after restoring, and a backup of something else is
// refused.
func TestBackupOfAStore(t *testing.T) {
	dir := t.TempDir()
	e := bolt(t, dir)
	s := over(t, e, nil)
	defer s.Close()
	put := func(id umaas.ClientID) {
		if err := s.Update(context.Background(), func(tx umaas.Tx) error { return tx.PutClient(umaas.Client{ID: id}) }); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	var backup bytes.Buffer
	if err := e.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	put("after")
	path := filepath.Join(dir, "restored", "as.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := boltkv.Restore(path, &backup, store.CheckSchema); err != nil {
		t.Fatal(err)
	}
	restored := over(t, bolt(t, filepath.Dir(path)), nil)
	defer restored.Close()
	err := restored.View(context.Background(), func(r umaas.Reader) error {
		if _, err := r.Client("after"); !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("a later client: %v", err)
		}
		_, err := r.Client("before")
		return err
	})
	if err != nil {
		t.Errorf("an earlier client: %v", err)
	}
	other, err := boltkv.Open(filepath.Join(dir, "other.db"), boltkv.Options{InsecureNoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	backup.Reset()
	if err := other.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	if err := boltkv.Restore(path+"2", &backup, store.CheckSchema); err == nil {
		t.Error("restored an empty store as one of an authorization server")
	}
}

// TestRecordOfVersionOne: what an older program wrote is read without an upgrade run; fields it did not know are zero.
func TestRecordOfVersionOne(t *testing.T) {
	e := memkv.New(memkv.Options{})
	s := over(t, e, nil)
	// "n" session: end, key, secret, account, auth time, amr, created, as version 1 had them.
	record := "\x01" + "\x01\x80\xd0\xac\xf3\x0e" + "\x01" + "0123456789abcdef" + "\x00" + "\x05alice" + "\x00" + "\x00\x00" + "\x00"
	err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte("n0123456789abcdef"), []byte(record)) })
	if err != nil {
		t.Fatal(err)
	}
	var got umaas.Session
	err = s.View(context.Background(), func(r umaas.Reader) (err error) {
		got, err = r.Session(umaas.Key([]byte("0123456789abcdef")), time.Unix(0, 0))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Account != "alice" || got.ACR != "" || got.Upstream != (umaas.Identity{}) || got.Claims != nil {
		t.Errorf("got %+v", got)
	}
}
