package boltkv_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas/store/kv"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/kvtest"
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
