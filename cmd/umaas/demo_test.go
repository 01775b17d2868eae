package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// TestDemoJSON starts the demo as a process, reads its one line, asks each address in it, interrupts it, and starts it
// again on the same folder: the same world goes on.
func TestDemoJSON(t *testing.T) {
	data := filepath.Join(t.TempDir(), "demo")
	var first demo.World
	for round := range 2 {
		c := start(t, nil, "demo", "--json", "--data", data, "--port", "0")
		line, err := c.out.ReadBytes('\n')
		if err != nil {
			t.Fatalf("%v\n%s", err, c.errs)
		}
		var w demo.World
		check(t, json.Unmarshal(line, &w))
		for _, address := range []string{w.Issuer + "/.well-known/uma2-configuration", w.RS + "/connect", w.FHIRBase + "/metadata", w.Clinic} {
			res, err := http.Get(address)
			check(t, err)
			check(t, res.Body.Close())
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", address, res.StatusCode)
			}
		}
		if w.Admin.Password == "" || w.App.ClientSecret == "" || w.Server.ClientSecret == "" || w.Resolver.User == "" || w.Resolver.Patient == "" || len(w.People) < 12 || len(w.Patients) < 12 {
			t.Errorf("not everything is there: %s", line)
		}
		for _, p := range w.People {
			if p.Login == "" || p.Password == "" || p.FHIRUser == "" {
				t.Errorf("person: %+v", p)
			}
		}
		if round == 0 {
			first = w
		} else if !reflect.DeepEqual(first, w) {
			t.Errorf("another world:\n%+v\n%+v", first, w)
		}
		check(t, c.Process.Signal(os.Interrupt))
		rest, _ := c.out.ReadString(0)
		if code := c.ended(t); code != 0 || rest != "" {
			t.Errorf("exit code %d, after the line: %q\n%s", code, rest, c.errs)
		}
	}
}

// TestDemoThrowsAway holds that a demo without --data leaves nothing behind.
func TestDemoThrowsAway(t *testing.T) {
	tmp := t.TempDir()
	c := start(t, []string{"TMPDIR=" + tmp}, "demo", "--walk", "--rpt-format", "jwt", "--second-issuer")
	if code := c.ended(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, c.errs)
	}
	left, err := os.ReadDir(tmp)
	check(t, err)
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDemoRefusesAnotherFolder(t *testing.T) {
	text, _, _ := asAlone(t)
	data := filepath.Join(t.TempDir(), "real")
	must(t, "long enough word\n", "user", "add", "nora", "--name", "Nora", "--config", written(t, "c.yaml", replaceData(text, data)))
	refused(t, "is no finished demo", "", "demo", "--port", "0", "--data", data)
	refused(t, "fewer than two patients", "", "demo", "--port", "0", "--load", t.TempDir())
}
