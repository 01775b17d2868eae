package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas/config"
)

// TestIssuersOfTheFile: a restart, and a second `issuer add`, keep how people sign in at an issuer; an entry taken out of the
// file is trusted no more, and is again when it is back (SEC-17).
func TestIssuersOfTheFile(t *testing.T) {
	file, _ := hospital(t)
	const iss = "https://login.hospital.example"
	text := textOf(t, file)
	entry := `{issuer: "` + iss + `", name: Hospital, uses: [id-token], claims: [org], jwks_uri: "` + iss + `/jwks"}`
	with := written(t, "with.yaml", strings.Replace(text, "as: {", "as: {trusted_issuers: ["+entry+"], ", 1))
	served := func(file string, work func()) string {
		t.Helper()
		c, err := config.Load(file, nil, nil)
		check(t, err)
		log := &safe{}
		ctx, stop := context.WithCancel(t.Context())
		as, err := server.NewAS(ctx, server.ASConfig{
			Issuer: c.AS.Issuer, Name: c.Name, Data: c.Data, Now: time.Now, Logger: slog.New(slog.NewTextHandler(io.Writer(log), nil)),
			Push: server.PushRule(c.AS.Claims), Issuers: server.Issuers(c.AS.TrustedIssuers),
		})
		check(t, err)
		check(t, as.Close())
		stop()
		if work != nil {
			work()
		}
		return log.String()
	}
	show := func(file string) server.IssuerView {
		t.Helper()
		return mustJSON[[]server.IssuerView](t, "", "issuer", "show", iss, "--config", file)[0]
	}
	signIn := func(file string, uses ...string) {
		t.Helper()
		v := show(file)
		if !slices.Equal(v.Uses, uses) || !slices.Equal(v.ACRs, []string{"phr=urn:umaas:acr:phishing-resistant"}) || v.Disabled || v.Dropped {
			t.Errorf("%+v", v)
		}
		s := mustJSON[[]server.SignInIssuerView](t, "", "sign-in", "list", "--config", file)
		if len(s) != 1 || s[0].ClientID != "umaas" || !s[0].Secret || s[0].Disabled || len(s[0].ACRs) != 1 {
			t.Errorf("sign-in: %+v", s)
		}
	}
	served(with, nil)
	mustJSON[server.SignInIssuerView](t, "s3cret of ours\n", "sign-in", "set", iss, "--client-id", "umaas", "--authorization", iss+"/authorize", "--token", iss+"/token",
		"--acr", "phr=urn:umaas:acr:phishing-resistant", "--config", with)
	signIn(with, "id-token", "sign-in")
	served(with, nil)
	signIn(with, "id-token", "sign-in")
	must(t, "", "issuer", "add", iss, "--use", "claims", "--claim", "org", "--jwks-uri", iss+"/jwks", "--config", with)
	served(with, nil)
	signIn(with, "id-token", "sign-in") // the file wins over commands

	log := served(file, nil)
	if !strings.Contains(log, "names it no more") || !strings.Contains(log, iss) {
		t.Errorf("log:\n%s", log)
	}
	if v := show(file); !v.Disabled || !v.Dropped {
		t.Errorf("trusted without the file: %+v", v)
	}
	if out := must(t, "", "issuer", "list", "--config", file); !strings.Contains(out, dropped) {
		t.Errorf("list: %s", out)
	}
	if log := served(file, nil); strings.Contains(log, "names it no more") {
		t.Errorf("told again:\n%s", log)
	}
	served(with, nil)
	signIn(with, "id-token", "sign-in")

	must(t, "", "issuer", "disable", iss, "--config", with)
	served(file, nil)
	served(with, nil)
	if v := show(with); !v.Disabled || v.Dropped {
		t.Errorf("a word of the operator is undone by the file: %+v", v)
	}
	must(t, "", "issuer", "enable", iss, "--config", with)
	served(file, nil)
	if v := show(file); !v.Disabled || !v.Dropped {
		t.Errorf("enabled in the file, taken out, and trusted: %+v", v)
	}
	running(t, file)
	if out := cli(t, "", "doctor", "--config", file).out; !strings.Contains(out, "issuer "+iss+" is disabled: as.trusted_issuers names it no more") {
		t.Errorf("doctor:\n%s", out)
	}
	must(t, "", "issuer", "enable", iss, "--config", file)
	if v := show(file); v.Disabled || v.Dropped {
		t.Errorf("%+v", v)
	}
}
