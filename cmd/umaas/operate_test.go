package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// bothWays runs a test against the running server by its sockets, and against the stores while none runs.
func bothWays(t *testing.T, test func(t *testing.T, file string)) {
	t.Helper()
	for _, name := range []string{"server", "store"} {
		t.Run(name, func(t *testing.T) {
			file, w := hospital(t)
			if name == "server" {
				running(t, file)
				for _, socket := range []string{"control.sock", "gateway.sock"} {
					info, err := os.Stat(w.Data + "/" + socket)
					check(t, err)
					if info.Mode().Perm() != 0o600 {
						t.Errorf("%s can be opened by others: %v", socket, info.Mode())
					}
				}
			}
			test(t, file)
		})
	}
}

func TestUserCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		u := mustJSON[server.UserView](t, "correct horse battery\n", at("user", "add", "Nora", "--name", "Nora Lind", "--email", "Nora@Example.org", "--verified", "--fhir-user", "Patient/nora", "--admin")...)
		if u.Login != "nora" || u.Email != "nora@example.org" || !u.Admin || u.ID == "" {
			t.Errorf("%+v", u)
		}
		refused(t, "exists", "correct horse battery\n", at("user", "add", "nora", "--name", "Another")...)
		refused(t, "nothing to read on standard input", "", at("user", "add", "somebody", "--name", "Some Body")...)
		org := mustJSON[server.UserView](t, "", at("user", "add", "lab", "--name", "Lab", "--organization")...)
		if org.Admin || org.ID == "" {
			t.Errorf("%+v", org)
		}
		if out := must(t, "", at("user", "lock", "nora")...); !strings.Contains(out, "locked") {
			t.Errorf("lock: %s", out)
		}
		if out := must(t, "", at("user", "list")...); !strings.Contains(out, "nora\tNora Lind\tnora@example.org\tPatient/nora\tadmin\tlocked") {
			t.Errorf("list:\n%s", out)
		}
		if v := mustJSON[server.UserView](t, "", at("user", "unlock", "nora")...); v.Disabled {
			t.Errorf("unlock: %+v", v)
		}
		for _, name := range []string{string(u.ID), "NORA", "nora@example.org"} { // who has no login is named by the account id
			if v := mustJSON[server.UserView](t, "", at("user", "lock", name)...); !v.Disabled || v.ID != u.ID {
				t.Errorf("lock %s: %+v", name, v)
			}
			if v := mustJSON[server.UserView](t, "", at("user", "show", name)...); !v.Disabled || v.Login != "nora" || v.Name != "Nora Lind" {
				t.Errorf("show %s: %+v", name, v)
			}
			if v := mustJSON[server.UserView](t, "", at("user", "unlock", name)...); v.Disabled {
				t.Errorf("unlock %s: %+v", name, v)
			}
		}
		refused(t, `nobody has the login "u_nobody", and no account has that id`, "", at("user", "show", "u_nobody")...)
		if out := must(t, "another good password\n", at("user", "password", "nora")...); strings.Contains(out, "another good") {
			t.Error("the password is printed")
		}
		refused(t, `nobody has the login "nobody"`, "x\n", at("user", "password", "nobody")...)
		refused(t, `nobody has the login "nobody"`, "", at("user", "lock", "nobody")...)
	})
}

func TestClientCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		v := mustJSON[server.ClientView](t, "", at("client", "add", "Diary", "--claims-redirect", "https://app.example.org/claims", "--grant", uma.GrantTypeTicket)...)
		if v.Secret == "" || v.ID == "" || v.Kind != "app" {
			t.Errorf("%+v", v)
		}
		id := string(v.ID)
		out := must(t, "", at("client", "secret", id)...)
		if !strings.HasPrefix(out, "client_secret\t") || strings.Contains(out, v.Secret) {
			t.Errorf("secret: %s", out)
		}
		must(t, "", at("client", "disable", id)...)
		out = must(t, "", at("client", "list")...)
		if !strings.Contains(out, id+"\tDiary\tapp\t\tdisabled") || strings.Contains(out, v.Secret) {
			t.Errorf("list:\n%s", out)
		}
		must(t, "", at("client", "enable", id)...)
		if out := must(t, "", at("client", "list")...); strings.Contains(out, "disabled") {
			t.Errorf("enable:\n%s", out)
		}
		refused(t, "redirect", "", at("client", "add", "Bad", "--grant", uma.GrantTypeAuthorizationCode, "--redirect", "http://app.example.org/cb")...)
		refused(t, "no client has the id", "", at("client", "secret", "no-such-client")...)
		refused(t, "no client has the id", "", at("client", "disable", "no-such-client")...)
		refused(t, `nobody has the login "nobody"`, "", at("client", "add", "RS", "--scope", uma.ScopeProtection, "--grant", uma.GrantTypeClientCredentials, "--account", "nobody")...)
	})
}

func TestKeyCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		before := mustJSON[[]keys.Info](t, "", "key", "list", "--config", file)
		after := mustJSON[[]keys.Info](t, "", "key", "rotate", "--config", file)
		if len(before) == 0 || len(after) == 0 || before[0].ID == after[0].ID {
			t.Errorf("rotation: %+v → %+v", before, after)
		}
		if out := must(t, "", "key", "list", "--config", file); !strings.Contains(out, after[0].ID) {
			t.Errorf("list:\n%s", out)
		}
	})
}

func TestRelationAndAppCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		out := must(t, "", at("relation", "add", "Practitioner/77", "Patient/maria", "--kind", "practitioner", "--scopes", "patient/Observation.rs patient/Observation.r", "--until", "2099-05-01", "--holder", "--label", "Mine")...)
		if out != "Practitioner/77\tPatient/maria\tpractitioner\tpatient/Observation.rs\tholder\t2099-05-01\tMine\n" {
			t.Errorf("add: %q", out)
		}
		for _, filter := range [][]string{{"--subject", "Practitioner/77"}, {"--patient", "maria"}, {"--subject", "Practitioner/77", "--patient", "Patient/maria"}} {
			vs := mustJSON[[]server.RelationView](t, "", at(append([]string{"relation", "list"}, filter...)...)...)
			found := 0
			for _, v := range vs {
				if v.Subject == "Practitioner/77" && v.Patient == "maria" && v.Holder && v.Until.Year() == 2099 {
					found++
				}
			}
			if found != 1 {
				t.Errorf("list %v: %+v", filter, vs)
			}
		}
		must(t, "", at("relation", "drop", "Practitioner/77", "maria")...)
		if vs := mustJSON[[]server.RelationView](t, "", at("relation", "list", "--subject", "Practitioner/77")...); len(vs) != 0 {
			t.Errorf("dropped, and still there: %+v", vs)
		}
		refused(t, "no relation of", "", at("relation", "drop", "Practitioner/77", "maria")...)
		refused(t, "whose relations?", "", at("relation", "list")...)
		refused(t, "needs scopes", "", at("relation", "add", "Practitioner/77", "maria")...)
		refused(t, "want SMART resource scopes", "", at("relation", "add", "Practitioner/77", "maria", "--scopes", "everything")...)
		refused(t, "holds patient/ scopes", "", at("relation", "add", "Practitioner/77", "maria", "--scopes", "user/*.rs")...)
		refused(t, "is not a user's key nor", "", at("relation", "add", "Device/1", "maria", "--scopes", "patient/*.rs")...)
		refused(t, "not a logical id", "", at("relation", "add", "Practitioner/77", "a b", "--scopes", "patient/*.rs")...)
		refused(t, "want a date", "", at("relation", "add", "Practitioner/77", "maria", "--scopes", "patient/*.rs", "--until", "soon")...)

		app := mustJSON[server.AppView](t, "", at("app", "add", "diary-1", "--name", "Diary", "--redirect", "https://diary.example.org/back", "--checked")...)
		if app.ClientID != "diary-1" || !app.Checked {
			t.Errorf("%+v", app)
		}
		if out := must(t, "", at("app", "list")...); !strings.Contains(out, "diary-1\tDiary\thttps://diary.example.org/back\tchecked\n") {
			t.Errorf("list:\n%s", out)
		}
		must(t, "", at("app", "drop", "diary-1")...)
		refused(t, "no app has the client id", "", at("app", "drop", "diary-1")...)
		refused(t, "needs a redirect URI", "", at("app", "add", "x", "--name", "X")...)
		for _, bad := range []string{"http://diary.example.org/", "https://diary.example.org/#x", "/back", "javascript:alert(1)", "https://"} {
			refused(t, "want an absolute https URL", "", at("app", "add", "x", "--name", "X", "--redirect", bad)...)
		}
	})
}

// TestAppDropEndsResolution holds that the resolution service sends nobody back to an app that was dropped, at once.
func TestAppDropEndsResolution(t *testing.T) {
	file, w := hospital(t)
	running(t, file)
	q := url.Values{"redirect_uri": {w.App.RedirectURI}, "state": {"s"}, "client_id": {w.App.ClientID}}
	ask := func() (int, string) {
		c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := c.Get(w.Resolver.Patient + "?" + q.Encode())
		check(t, err)
		check(t, res.Body.Close())
		return res.StatusCode, res.Header.Get("Location")
	}
	if status, _ := ask(); status >= http.StatusBadRequest {
		t.Fatalf("known app: %d", status)
	}
	must(t, "", "app", "drop", w.App.ClientID, "--config", file)
	if status, to := ask(); status < http.StatusBadRequest || to != "" {
		t.Errorf("dropped app: %d to %q", status, to)
	}
}

func TestCommandsForAnotherRoleAreRefused(t *testing.T) {
	text, _, _ := asAlone(t)
	file := written(t, "c.yaml", text)
	refused(t, "runs no gateway", "", "relation", "list", "--patient", "x", "--config", file)
	refused(t, "no gateway runs in this configuration", "token\n", "explain", "--request", "GET Patient/1", "--config", file)
	gateway := written(t, "g.yaml", strings.Replace(strings.Replace(text, "[as]", "[gateway]", 1), "as: {issuer", "gateway: {base: 'http://localhost:1', upstream: 'http://localhost:2', issuer", 1))
	refused(t, "runs no authorization server", "", "user", "list", "--config", gateway)
	refused(t, "name a --request", "token\n", "explain", "--config", gateway)
}
