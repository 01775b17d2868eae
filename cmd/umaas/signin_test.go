package main

import (
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
)

func TestSignInCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		const iss = "https://login.hospital.example"
		back := strings.TrimSpace(must(t, "", at("sign-in", "back", iss)...))
		if !strings.Contains(back, "/signin/back/") {
			t.Errorf("back: %s", back)
		}
		for _, want := range []string{"name: say how people know it", "client id: register this server there first", "authorization endpoint: want an absolute address", "token endpoint", "jwks_uri"} {
			refused(t, want, "s3cret\n", at("sign-in", "set", iss)...)
		}
		full := []string{"sign-in", "set", iss, "--name", "Example Hospital", "--client-id", "umaas", "--authorization", iss + "/authorize", "--token", iss + "/token", "--jwks-uri", iss + "/jwks"}
		refused(t, "nothing to read on standard input", "", at(full...)...)
		refused(t, `acr "phr" counts for nothing`, "s3cret\n", at(append(full, "--acr", "phr")...)...)
		refused(t, "want https", "s3cret\n", at("sign-in", "set", "http://login.hospital.example", "--name", "x", "--client-id", "x")...)
		v := mustJSON[server.SignInIssuerView](t, "s3cret of ours\n", at(append(full, "--acr", "phr=urn:umaas:acr:phishing-resistant")...)...)
		if v.Back != back || !v.Secret || v.ClientID != "umaas" || len(v.ACRs) != 1 {
			t.Errorf("%+v", v)
		}
		if v = mustJSON[server.SignInIssuerView](t, "", at("sign-in", "set", iss, "--public", "--name", "The Hospital")...); v.Secret || v.Name != "The Hospital" || v.ClientID != "umaas" || len(v.ACRs) != 1 {
			t.Errorf("%+v", v)
		}
		if out := must(t, "", at("sign-in", "list")...); !strings.Contains(out, iss+"\tThe Hospital\tumaas\tphr=urn:umaas:acr:phishing-resistant\t") || strings.Contains(out, "s3cret") {
			t.Errorf("list:\n%s", out)
		}
	})
}
