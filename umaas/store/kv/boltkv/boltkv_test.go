package boltkv_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/kvtest"
	bolt "go.etcd.io/bbolt"
)

func TestContract(t *testing.T) {
	kvtest.Run(t, func(t *testing.T) kv.Engine {
		return open(t, filepath.Join(t.TempDir(), "kv.db"), boltkv.Options{InsecureNoSync: true})
	})
}

func TestCrash(t *testing.T) {
	kvtest.Crash(t, func(dir string) (kv.Engine, error) {
		return boltkv.Open(filepath.Join(dir, "kv.db"), boltkv.Options{})
	})
}

func open(t testing.TB, path string, o boltkv.Options) *boltkv.Engine {
	t.Helper()
	e, err := boltkv.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func set(t testing.TB, e kv.Engine, key, value string) {
	t.Helper()
	if err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte(key), []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

func TestPersists(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	e := open(t, path, boltkv.Options{})
	set(t, e, "a", "1")
	if _, err := boltkv.Open(path, boltkv.Options{}); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("second opening: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	e = open(t, path, boltkv.Options{})
	err = e.View(context.Background(), func(tx kv.Tx) error {
		v, err := tx.Get([]byte("a"))
		if string(v) != "1" {
			t.Errorf("a = %q after opening again", v)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	e := open(t, filepath.Join(dir, "kv.db"), boltkv.Options{})
	set(t, e, "schema", "7")
	var backup bytes.Buffer
	if err := e.Backup(&backup); err != nil {
		t.Fatal(err)
	}
	set(t, e, "schema", "8")

	refusal := errors.New("schema too new")
	damaged := bytes.Clone(backup.Bytes())
	for i := range damaged { // zero everything behind the two meta pages
		if i >= 2*os.Getpagesize() {
			damaged[i] = 0
		}
	}
	for _, c := range []struct {
		name   string
		file   []byte
		check  func(kv.Tx) error
		reason string
	}{
		{"refused by its schema", backup.Bytes(), func(kv.Tx) error { return refusal }, "schema too new"},
		{"cut short by a page", backup.Bytes()[:backup.Len()-os.Getpagesize()], nil, "cut short"},
		{"cut short", backup.Bytes()[:5000], nil, "restore: "},
		{"empty", nil, nil, "restore: "},
		{"something else", []byte(strings.Repeat("not a store ", 1000)), nil, "restore: "},
		{"damaged", damaged, nil, "restore: "},
	} {
		path := filepath.Join(dir, "restored.db")
		err := boltkv.Restore(path, bytes.NewReader(c.file), c.check)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: left a file behind", c.name)
		}
	}
	check := func(tx kv.Tx) error {
		v, err := tx.Get([]byte("schema"))
		if string(v) != "7" {
			t.Errorf("restored schema %q, want that of the backup's moment", v)
		}
		return err
	}
	path := filepath.Join(dir, "restored.db")
	if err := boltkv.Restore(path, bytes.NewReader(backup.Bytes()), check); err != nil {
		t.Fatal(err)
	}
	if err := boltkv.Restore(path, bytes.NewReader(backup.Bytes()), check); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("restore over a store: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".restore-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := open(t, path, boltkv.Options{}).View(context.Background(), check); err != nil {
		t.Fatal(err)
	}
}

// TestCommits: a client alone has a commit for each write and none for what writes nothing; many clients share.
func TestCommits(t *testing.T) {
	e := open(t, filepath.Join(t.TempDir(), "kv.db"), boltkv.Options{})
	for i := range 10 {
		set(t, e, "a", string(rune('0'+i)))
		if err := e.Update(context.Background(), func(tx kv.Tx) error { _, err := tx.Get([]byte("a")); return err }); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		err := e.Update(context.Background(), func(tx kv.Tx) error { return errors.Join(tx.Put([]byte("a"), nil), refused) })
		if !errors.Is(err, refused) {
			t.Fatal(err)
		}
	}
	if got := e.Stats(); got.Commits != 10 || got.Updates != 10 {
		t.Errorf("alone: %+v, want 10 commits of 10 updates", got)
	}
	// A function that has begun holds the committer until 64 others stand in the queue; those share one commit.
	const clients = 64
	var wg sync.WaitGroup
	begun, held := make(chan struct{}), make(chan struct{})
	wg.Go(func() {
		_ = e.Update(context.Background(), func(tx kv.Tx) error { close(begun); <-held; return tx.Put([]byte("first"), nil) })
	})
	<-begun
	for range clients {
		wg.Go(func() { set(t, e, "b", "") })
	}
	for range 10_000 {
		if e.Queued() == clients {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(held)
	wg.Wait()
	if got := e.Stats(); got.Updates != 10+1+clients || got.Commits != 10+1+1 {
		t.Errorf("together: %+v, want 12 commits of %d updates", got, 10+1+clients)
	}
}

// TestForeignFile: a bbolt file of somebody else is refused and left as it was.
func TestForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.db")
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := boltkv.Open(path, boltkv.Options{}); err == nil || !strings.Contains(err.Error(), "belongs to another program") {
		t.Errorf("error %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed, %v", err)
	}
}

// TestFailingCommit: when the file cannot be written, nobody is told otherwise.
func TestFailingCommit(t *testing.T) {
	e := open(t, filepath.Join(t.TempDir(), "kv.db"), boltkv.Options{})
	if err := e.Break(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			err := e.Update(context.Background(), func(tx kv.Tx) error { return tx.Put([]byte("a"), nil) })
			if err == nil || !strings.HasPrefix(err.Error(), "commit: ") {
				t.Errorf("error %v, want that of the commit", err)
			}
		})
	}
	wg.Wait()
	if got := e.Stats(); got.Commits != 0 || got.Updates != 0 {
		t.Errorf("%+v, want nothing committed", got)
	}
}
