package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas/uma"
)

const publicKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

// otherIssuer answers with a configuration document.
func otherIssuer(t *testing.T) string {
	t.Helper()
	var address string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/.well-known/openid-configuration" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": address, "jwks_uri": address + "/jwks", "authorization_endpoint": address + "/a", "token_endpoint": address + "/t",
			"id_token_signing_alg_values_supported": []string{"none", "HS256", "RS256", "ES256"}, "claims_supported": []string{"sub", "org"},
		})
	}))
	t.Cleanup(s.Close)
	address = s.URL
	return address
}

func TestIssuerCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		other := otherIssuer(t)
		found := mustJSON[server.ScannedIssuer](t, "", at("issuer", "scan", other)...)
		if found.JWKSURI != other+"/jwks" || strings.Join(found.Algorithms, " ") != "RS256 ES256" || strings.Join(found.Unusual, " ") != "none HS256" {
			t.Errorf("%+v", found)
		}
		if out := must(t, "", at("issuer", "list")...); out != "" {
			t.Errorf("scanning trusts: %s", out)
		}
		v := mustJSON[server.IssuerView](t, "", at("issuer", "add", other, "--name", "Example Hospital", "--use", "id-token", "--claim", "org", "--claim", "email",
			"--email-domain", "hospital.example", "--scan")...)
		if v.JWKSURI != other+"/jwks" || strings.Join(v.Algorithms, " ") != "RS256 ES256" || v.Disabled {
			t.Errorf("%+v", v)
		}
		must(t, "", at("issuer", "disable", other)...)
		if out := must(t, "", at("issuer", "list")...); out != other+"\tExample Hospital\tid-token\torg,email\tdisabled\n" {
			t.Errorf("list: %q", out)
		}
		keys := written(t, "keys.json", publicKeys)
		v = mustJSON[server.IssuerView](t, "", at("issuer", "add", other, "--use", "claims", "--claim", "org", "--jwks", keys)...)
		if !v.Disabled || v.JWKSURI != "" || v.Keys != "in the record" {
			t.Errorf("changing it enabled it, or kept its old keys: %+v", v)
		}
		must(t, "", at("issuer", "enable", other)...)
		if out := must(t, "", at("issuer", "show", other)...); !strings.Contains(out, "uses\tclaims\n") || !strings.Contains(out, "keys\tin the record\n") || strings.Contains(out, "disabled") {
			t.Errorf("show: %s", out)
		}
		for want, args := range map[string][]string{
			"is not accepted":              {"issuer", "add", other, "--use", "id-token", "--jwks", keys, "--algorithm", "none"},
			"signed, and asymmetrically":   {"issuer", "add", other, "--use", "id-token", "--jwks", keys, "--algorithm", "HS256"},
			"is nobody's to state":         {"issuer", "add", other, "--use", "id-token", "--jwks", keys, "--claim", "purpose"},
			"where are its keys":           {"issuer", "add", other, "--use", "id-token"},
			`"guess" is unknown`:           {"issuer", "add", other, "--use", "guess", "--jwks", keys},
			"not believed on email":        {"issuer", "add", other, "--use", "id-token", "--jwks", keys, "--email-domain", "x.example"},
			"want the https address":       {"issuer", "add", "http://issuer.example", "--use", "id-token", "--jwks", keys},
			"no issuer \"https://x\" is":   {"issuer", "disable", "https://x"},
			"umaas issuer list":            {"issuer", "show", "https://x"},
			"no issuer \"https://y\" is":   {"issuer", "remove", "https://y"},
			"want https":                   {"issuer", "scan", "ftp://issuer.example"},
			"nothing to change":            {"client", "set", "c_x"},
			"no client has the id \"c_x\"": {"client", "set", "c_x", "--push-claims"},
		} {
			refused(t, want, "", at(args...)...)
		}
		must(t, "", at("issuer", "remove", other)...)
		if out := must(t, "", at("issuer", "list")...); out != "" {
			t.Errorf("removed: %s", out)
		}
	})
}

func TestPushClaimsCommands(t *testing.T) {
	bothWays(t, func(t *testing.T, file string) {
		at := func(args ...string) []string { return append(args, "--config", file) }
		v := mustJSON[server.ClientView](t, "", at("client", "add", "Desk", "--claims-redirect", "https://app.example.org/claims", "--grant", uma.GrantTypeTicket)...)
		if out := must(t, "", at("client", "set", string(v.ID), "--push-claims")...); out != string(v.ID)+"\tmay push claims\n" {
			t.Errorf("%q", out)
		}
		must(t, "", at("client", "set", string(v.ID), "--push-claims=false")...)
		mustJSON[server.ClientView](t, "", at("client", "add", "Desk 2", "--push-claims", "--claims-redirect", "https://app.example.org/claims", "--grant", uma.GrantTypeTicket)...)
		refused(t, "may not push claims", "", at("client", "add", "Phone", "--auth", "none", "--push-claims", "--claims-redirect", "https://app.example.org/claims", "--grant", uma.GrantTypeTicket)...)
		public := mustJSON[server.ClientView](t, "", at("client", "add", "Phone", "--auth", "none", "--claims-redirect", "https://app.example.org/claims", "--grant", uma.GrantTypeTicket)...)
		refused(t, "may not push claims", "", at("client", "set", string(public.ID), "--push-claims")...)
	})
}

// TestSEC_13_UnsignedClaimsStopTheStart: a configuration that asks for unsigned or symmetrically signed claims starts nothing;
// a sound one is in force when the server answers.
func TestSEC_13_UnsignedClaimsStopTheStart(t *testing.T) {
	file, _ := hospital(t)
	with := func(entry string) string {
		text := textOf(t, file)
		return written(t, "with.yaml", strings.Replace(text, "as: {", "as: {trusted_issuers: ["+entry+"], ", 1))
	}
	for entry, want := range map[string]string{
		`{issuer: "https://i.example", uses: [id-token], jwks_uri: "https://i.example/jwks", algorithms: [none]}`:  "algorithms[0]: want one of",
		`{issuer: "https://i.example", uses: [id-token], jwks_uri: "https://i.example/jwks", algorithms: [HS256]}`: "algorithms[0]: want one of",
		`{issuer: "https://i.example", uses: [id-token]}`:                                                          "unsigned tokens are never taken",
		`{issuer: "https://i.example", uses: [id-token], jwks_uri: "https://i.example/jwks", verify: false}`:       "verify",
		`{issuer: "http://i.example", uses: [id-token], jwks_uri: "https://i.example/jwks"}`:                       "want an https address",
		`{issuer: "https://i.example", uses: [magic], jwks_uri: "https://i.example/jwks"}`:                         `"magic" is unknown`,
		`{issuer: "https://i.example", uses: [id-token], jwks: '{"keys":[{"kty":"oct","k":"AAAA"}]}'}`:             "private or symmetric",
		`{issuer: "https://i.example", uses: [id-token], jwks: 'x'}`:                                               "not a JSON Web Key Set",
	} {
		refused(t, want, "", "serve", "--config", with(entry))
	}
	good := with(`{issuer: "https://i.example", name: I, uses: [claims], claims: [org], jwks: '` + publicKeys + `'}`)
	running(t, good)
	if out := must(t, "", "issuer", "list", "--config", good); out != "https://i.example\tI\tclaims\torg\t\n" {
		t.Errorf("%q", out)
	}
}

// TestTicketCommand: what cannot be exported is refused in words; what can is tested between servers (umaas/httpapi).
func TestTicketCommand(t *testing.T) {
	file, w := hospital(t)
	at := func(args ...string) []string { return append(args, "--config", file) }
	refused(t, "has no share", "", at("policy", "ticket", w.People[0].Login, "nothing", "--audience", "https://other.example", "--jkt", strings.Repeat("A", 43))...)
	refused(t, "nobody has the login", "", at("policy", "ticket", "nobody", "x", "--audience", "https://other.example", "--jkt", strings.Repeat("A", 43))...)
	refused(t, "thumbprint", "", at("policy", "ticket", w.People[0].Login, "x", "--audience", "https://other.example")...)
}
