package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// shared gives somebody a record and one share of it, in the store of a server that is not running.
func shared(t *testing.T, w demo.World, login string) {
	t.Helper()
	as, err := server.NewAS(t.Context(), server.ASConfig{Issuer: w.Issuer, Name: "Test", Data: w.Data, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	defer func() { check(t, as.Close()) }()
	owner, err := as.Service.AccountByLogin(t.Context(), login)
	check(t, err)
	id, err := as.Service.CreateResource(t.Context(), umaas.PAT{Owner: owner.ID, RS: umaas.ClientID(w.Server.ClientID)}, uma.ResourceDescription{Name: "Record", Scopes: []string{"patient/Observation.r", "patient/Condition.r"}}, "")
	check(t, err)
	_, err = as.Service.Acting(owner.ID, owner.ID).CreateShare(t.Context(), umaas.NewShare{
		Who: umaas.Who{Kind: umaas.WhoEmail, Email: "dora@example.org"}, Rules: []umaas.Rule{{Resource: id, Scopes: []string{"patient/Observation.r"}}},
	}, "")
	check(t, err)
}

// TestConsentCommands: what is exported is imported as the same policies; a check stores nothing, what is not understood is told
// with its path.
func TestConsentCommands(t *testing.T) {
	file, w := hospital(t)
	who := w.People[0].Login
	at := func(args ...string) []string { return append(args, "--config", file) }
	shared(t, w, who)
	before := mustJSON[[]server.PolicyView](t, "", at("policy", "list", who)...)
	if len(before) == 0 {
		t.Fatal("nobody shares anything")
	}
	consent := must(t, "", at("policy", "export", who, string(before[0].ID), "--format", "consent")...)
	bundle := must(t, "", at("policy", "export", who)...)
	for text, want := range map[string]string{consent: `"resourceType":"Consent"`, bundle: `"resourceType":"Bundle"`} {
		if !json.Valid([]byte(text)) || !strings.Contains(text, want) {
			t.Fatalf("%s", text)
		}
	}
	path := filepath.Join(t.TempDir(), "consent.json")
	check(t, os.WriteFile(path, []byte(consent), 0o600))
	checked := mustJSON[[]server.PolicyView](t, "", at("policy", "import", who, path, "--check")...)
	if len(checked) != 1 || checked[0].ID != "" || strings.Join(checked[0].What, ";") != strings.Join(before[0].What, ";") {
		t.Fatalf("%+v", checked)
	}
	if n := len(mustJSON[[]server.PolicyView](t, "", at("policy", "list", who)...)); n != len(before) {
		t.Fatalf("a check stored something: %d policies, had %d", n, len(before))
	}
	must(t, "", at("policy", "stop", who, string(before[0].ID))...)
	made := mustJSON[[]server.PolicyView](t, "", at("policy", "import", who, path)...)
	if len(made) != 1 || made[0].ID == "" || made[0].ID == before[0].ID {
		t.Fatalf("%+v", made)
	}
	check(t, os.WriteFile(path, []byte(strings.Replace(consent, "{", `{"policy":[],`, 1)), 0o600))
	refused(t, "Consent.policy: is not understood here", "", at("policy", "import", who, path)...)
	check(t, os.WriteFile(path, []byte("no"), 0o600))
	refused(t, "the file is not JSON", "", at("policy", "import", who, path)...)
	refused(t, "no such file", "", at("policy", "import", who, path+"x")...)
	refused(t, "--format xml: want consent", "", at("policy", "export", who, "--format", "xml")...)
	refused(t, "has no policy", "", at("policy", "export", who, "x")...)
	refused(t, `nobody has the login "nobody"`, "", at("policy", "export", "nobody")...)
}

// TestDelegationCommands: an administrator lets a representative act, with a reason, and ends it.
func TestDelegationCommands(t *testing.T) {
	file, w := hospital(t)
	child, parent := w.People[0].Login, w.People[1].Login
	at := func(args ...string) []string { return append(args, "--config", file) }
	refused(t, "say why this person acts for another", "", at("delegation", "add", child, parent, "--right", "answer")...)
	refused(t, "say what this person may do", "", at("delegation", "add", child, parent, "--reason", "parent")...)
	refused(t, "name a delegate's login, or --role, not both", "", at("delegation", "add", child)...)
	refused(t, "want a day like 2034-05-01", "", at("delegation", "add", child, parent, "--until", "soon")...)
	refused(t, "the end lies in the past", "", at("delegation", "add", child, parent, "--right", "answer", "--reason", "parent", "--until", "2001-01-01")...)
	d := mustJSON[server.DelegationView](t, "", at("delegation", "add", child, parent, "--right", "answer", "--right", "share", "--reason", "parent", "--until", "2090-01-01")...)
	must(t, "", at("delegation", "add", child, "--role", "privacy-officer", "--right", "answer", "--reason", "organization")...)
	out := must(t, "", at("delegation", "list", child)...)
	if !strings.Contains(out, string(d.ID)+"\t") || !strings.Contains(out, "\tanswer,share\tparent\toperator\t2090-01-01\t") || !strings.Contains(out, "privacy-officer\tanswer") {
		t.Fatalf("%s", out)
	}
	must(t, "", at("delegation", "end", child, string(d.ID))...)
	list := mustJSON[[]server.DelegationView](t, "", at("delegation", "list", child)...)
	if len(list) != 2 || list[1].Revoked.IsZero() || !list[0].Revoked.IsZero() {
		t.Fatalf("%+v", list)
	}
	refused(t, "has no delegation", "", at("delegation", "end", child, "x")...)

	refused(t, "want name=value", "", at("policy", "emergency", w.Server.ClientID, "--claim", "er")...)
	refused(t, "say who with --claim, or --off", "", at("policy", "emergency", w.Server.ClientID)...)
	refused(t, "no client has the id", "", at("policy", "emergency", "c_x", "--claim", "er=true")...)
	must(t, "", at("policy", "emergency", w.Server.ClientID, "--claim", "er=true")...)
	must(t, "", at("policy", "emergency", w.Server.ClientID, "--off")...)
}
