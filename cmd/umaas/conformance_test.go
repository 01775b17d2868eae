package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
)

const profileOfOurs = "../../docs/conformance/profiles/umaas.yaml"

// examined serves an authorization server with the people and clients that the profile in docs asks for, added by the very
// commands it shows, and returns its issuer.
func examined(t *testing.T) string {
	t.Helper()
	text, address, _ := asAlone(t)
	file := written(t, "c.yaml", text)
	running(t, file)
	const password = "a good password for all four"
	t.Setenv("UMAAS_TEST_PASSWORD", password)
	raw, err := os.ReadFile(profileOfOurs)
	check(t, err)
	script := strings.ReplaceAll(strings.ReplaceAll(string(raw), "\\\n#", " "), "$ticket", "urn:ietf:params:oauth:grant-type:uma-ticket")
	for _, who := range []string{"alice", "carol", "bob", "dave"} {
		must(t, password+"\n", "user", "add", who, "--name", who, "--email", who+"@conformance.example", "--verified", "--config", file)
	}
	clients := 0
	for line := range strings.Lines(script) {
		_, args, ok := strings.Cut(line, "umaas client add ")
		if !ok {
			continue
		}
		clients++
		fields := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(args, "'", ""), "umaas.yaml", file))
		v := mustJSON[server.ClientView](t, "", append([]string{"client", "add"}, fields...)...)
		t.Setenv(fields[0]+"_ID", string(v.ID))
		t.Setenv(fields[0]+"_SECRET", v.Secret)
	}
	if clients != 3 {
		t.Fatalf("the profile shows %d clients", clients)
	}
	_, port, _ := strings.Cut(address, ":")
	return "http://localhost:" + port
}

// TestConformanceRun points the command at a real server through its sockets and pages, as docs/conformance says: everything
// absolute passes, and the reports are written.
func TestConformanceRun(t *testing.T) {
	issuer := examined(t)
	folder := t.TempDir()
	name := func(file string) string { return filepath.Join(folder, file) }
	got := cliWithin(t, 3*time.Minute, "", "conformance", "run", "--profile", profileOfOurs, "--issuer", issuer, "--json", name("r.json"), "--junit", name("r.xml"), "--html", name("r.html"))
	check(t, got.err)
	out := got.out
	if !strings.Contains(out, "Every demand that was examined is met.") {
		t.Errorf("%s", out)
	}
	var report struct {
		Passed bool
		Counts map[string]struct{ Pass, Fail, Blocked, Skip int }
	}
	check(t, json.Unmarshal([]byte(textOf(t, name("r.json"))), &report))
	if c := report.Counts["all"]; !report.Passed || c.Pass < 200 || c.Fail+c.Blocked > 0 {
		t.Errorf("%+v", report)
	}
	if !strings.Contains(textOf(t, name("r.xml")), `<testsuites name="umaas"`) || !strings.Contains(textOf(t, name("r.html")), "<!doctype html>") {
		t.Error("a report is missing")
	}
	for _, file := range []string{"r.json", "r.html"} {
		for _, secret := range []string{os.Getenv("UMAAS_TEST_PASSWORD"), os.Getenv("C1_SECRET")} {
			if strings.Contains(textOf(t, name(file)), secret) {
				t.Errorf("%s holds a secret", file)
			}
		}
	}
}

// Statuses: 2 when nothing was examined, with what to do.
func TestConformanceRunRefuses(t *testing.T) {
	good := written(t, "p.yaml", "server: x\nissuer: http://127.0.0.1:1\n")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"run"}, "--profile"},
		{[]string{"run", "--nonsense"}, "nonsense"},
		{[]string{"run", "--profile", "/nowhere.yaml"}, "/nowhere.yaml"},
		{[]string{"run", "--profile", written(t, "bad.yaml", "server: x\nissuer: ftp://x\nsurprise: 1\n")}, "surprise"},
		{[]string{"run", "--profile", good, "--only", "no.such"}, "no.such"},
		{[]string{"run", "--profile", good}, "cannot be examined"},
		{[]string{"run", "--profile", good, "--issuer", "http://as.example"}, "https"},
		{[]string{"run", "--profile", good, "--html", filepath.Join(t.TempDir(), "no", "r.html")}, "no such file"},
		{[]string{"run", "--profile", good, "--json", t.TempDir()}, "is a directory"},
	} {
		got := cli(t, "", append([]string{"conformance"}, c.args...)...)
		var code exitCode
		if !errors.As(got.err, &code) || code != 2 || !strings.Contains(got.err.Error(), c.says) {
			t.Errorf("%v: status %d, %v", c.args, code, got.err)
		}
	}
}

// A server that offers nothing of what is asked about was not examined: status 2, and a report says why of each check. A run
// that never began leaves the reports as they were.
func TestConformanceRunExaminesNothing(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("/.well-known/uma2-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, err := fmt.Fprintf(w, `{"issuer":%q,"token_endpoint":%q}`, server.URL, server.URL+"/token")
		check(t, err)
	})
	profile := written(t, "p.yaml", "server: x\nissuer: "+server.URL+"\n")
	file := written(t, "r.json", "what stood here")
	got := cli(t, "", "conformance", "run", "--profile", profile, "--only", "grant.pct", "--json", file)
	var code exitCode
	if !errors.As(got.err, &code) || code != 2 || !strings.Contains(got.err.Error(), "no absolute demand was examined") {
		t.Errorf("status %d, %v", code, got.err)
	}
	if text := textOf(t, file); strings.Contains(text, "what stood here") || !json.Valid([]byte(text)) {
		t.Errorf("the report is %.80s", text)
	}
	server.Close()
	check(t, os.WriteFile(file, []byte("what stood here"), 0o600))
	fresh := filepath.Join(t.TempDir(), "new.html")
	if got := cli(t, "", "conformance", "run", "--profile", profile, "--json", file, "--html", fresh); !errors.As(got.err, &code) || code != 2 {
		t.Errorf("status %d, %v", code, got.err)
	}
	if _, err := os.Stat(fresh); textOf(t, file) != "what stood here" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("reports of a run that never began: %q, %v", textOf(t, file), err)
	}
}

func TestConformanceLists(t *testing.T) {
	if out := must(t, "", "conformance", "run", "--list", "--only", "G-123"); !strings.Contains(out, "grant.tickets.") || strings.Contains(out, "federated.") {
		t.Errorf("%s", out)
	}
	if out := must(t, "", "conformance", "register"); !strings.Contains(out, "G-123") || !strings.Contains(out, "H-20") {
		t.Errorf("%s", out)
	}
	var reg struct {
		Texts []struct{ Statements []struct{ ID string } }
	}
	check(t, json.Unmarshal([]byte(must(t, "", "conformance", "register", "--json")), &reg))
	if len(reg.Texts) != 3 || len(reg.Texts[0].Statements) < 137 {
		t.Errorf("%d texts", len(reg.Texts))
	}
}
