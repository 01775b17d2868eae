package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
)

// TestBackupAndRestore copies the store while the server serves and writes, puts the copy into an empty folder, and finds the
// same people, clients, keys and shares there; a token that was good is still good.
func TestBackupAndRestore(t *testing.T) {
	file, w := hospital(t)
	copied := filepath.Join(t.TempDir(), "as.copy")
	var users, clients, keys, policies, rpt, before string
	t.Run("serving", func(t *testing.T) {
		running(t, file)
		rpt, _, _ = share(t, w, w.People[0], "AllergyIntolerance.read", "See your allergies")
		must(t, "", "backup", copied, "--config", file)
		users, clients = must(t, "", "user", "list", "--config", file), must(t, "", "client", "list", "--config", file)
		keys, policies = must(t, "", "key", "list", "--config", file), must(t, "", "policy", "list", w.People[0].Login, "--config", file)
		before = must(t, rpt+"\n", "explain", "--config", file)
		must(t, "long enough word\n", "user", "add", "later", "--name", "Too Late", "--config", file) // not in the copy
		refused(t, "exists", "", "backup", copied, "--config", file)
		if get(healthOf(t, file)) != http.StatusNoContent {
			t.Error("the server is not well after a backup")
		}
	})
	info, err := os.Stat(copied)
	check(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the copy can be read by others: %v", info.Mode())
	}
	fresh := written(t, "fresh.yaml", strings.Replace(textOf(t, file), w.Data, filepath.Join(t.TempDir(), "fresh"), 1))
	must(t, "", "restore", copied, "--config", fresh)
	for name, pair := range map[string][2]string{
		"users":    {users, must(t, "", "user", "list", "--config", fresh)},
		"clients":  {clients, must(t, "", "client", "list", "--config", fresh)},
		"keys":     {keys, must(t, "", "key", "list", "--config", fresh)},
		"policies": {policies, must(t, "", "policy", "list", w.People[0].Login, "--config", fresh)},
		"token":    {before, must(t, rpt+"\n", "explain", "--config", fresh)},
	} {
		if pair[0] != pair[1] || len(pair[0]) < 10 {
			t.Errorf("%s differ:\n%s\n%s", name, pair[0], pair[1])
		}
	}
	refused(t, "exists", "", "restore", copied, "--config", fresh)
	if got := must(t, "", "user", "list", "--config", fresh); got != users {
		t.Error("a refused restore changed the store")
	}
}

func healthOf(t *testing.T, file string) string {
	t.Helper()
	_, after, _ := strings.Cut(textOf(t, file), "health: ")
	health, _, _ := strings.Cut(after, "\n")
	return health
}

// TestRestoreRefusesDamage offers copies that are no whole store: nothing is put in place.
func TestRestoreRefusesDamage(t *testing.T) {
	text, _, _ := asAlone(t)
	file := written(t, "c.yaml", text)
	must(t, "long enough word\n", "user", "add", "nora", "--name", "Nora", "--config", file)
	good := []byte(must(t, "", "backup", "-", "--config", file))
	// The pages of the tree, not the ones that are free or reserved: the first two are bbolt's meta pages.
	page := os.Getpagesize()
	torn := bytes.Clone(good)
	for i := 2 * page; i < len(torn); i++ {
		torn[i] ^= 0xff
	}
	headless := bytes.Clone(good)
	copy(headless, make([]byte, 2*page))
	for name, damaged := range map[string][]byte{
		"empty": nil, "text": []byte("this is no store"), "short": good[:len(good)/2], "torn": torn, "headless": headless,
		"trailing": append(bytes.Clone(good), []byte("and more")...),
	} {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "empty")
			fresh := written(t, "c.yaml", replaceData(text, folder))
			s := cli(t, "", "restore", written(t, "copy.db", string(damaged)), "--config", fresh)
			if name == "trailing" && s.err == nil {
				return // bytes after the last page are not part of the store
			}
			if s.err == nil {
				t.Fatal("restored")
			}
			if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	refused(t, "no such file", "", "restore", "/nowhere/copy.db", "--config", file)
	fresh := written(t, "c.yaml", replaceData(text, filepath.Join(t.TempDir(), "empty")))
	must(t, "", "restore", written(t, "copy.db", string(good)), "--config", fresh)
	if us := mustJSON[[]server.UserView](t, "", "user", "list", "--config", fresh); len(us) != 1 || us[0].Login != "nora" {
		t.Errorf("%+v", us)
	}
}

func replaceData(text, folder string) string {
	before, after, _ := strings.Cut(text, "data: ")
	_, rest, _ := strings.Cut(after, "\n")
	return fmt.Sprintf("%sdata: %s\n%s", before, folder, rest)
}
