package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/config"
)

// TestGatewayIssuers: what the configuration says of further authorization servers reaches the resource server, and the form
// with one issuer means that nobody may bring another.
func TestGatewayIssuers(t *testing.T) {
	c := config.Config{AS: config.AS{Issuer: "https://auth.example"}}
	r, err := gatewayConfig(c, nil, slog.New(slog.DiscardHandler))
	check(t, err)
	if r.Issuer != "https://auth.example" || r.Issuers != nil || r.Private != nil || r.Foreign != "" {
		t.Errorf("%+v", r)
	}
	c.Gateway = config.Gateway{
		Issuer: "https://other.example", Foreign: "listed", ForeignPrivate: []string{"10.20.0.0/16"},
		Issuers: []config.Issuer{{Issuer: "https://guard.example"}, {Issuer: "https://staff.example", ClientID: "i", Secret: "s", SignIn: true, FHIRUser: true}},
	}
	r, err = gatewayConfig(c, nil, slog.New(slog.DiscardHandler))
	check(t, err)
	want := []server.FurtherIssuer{{Issuer: "https://guard.example"}, {Issuer: "https://staff.example", ClientID: "i", Secret: "s", SignIn: true, FHIRUser: true}}
	if r.Issuer != "https://other.example" || !slices.Equal(r.Issuers, want) || r.Foreign != resourceserver.ForeignListed ||
		!slices.Equal(r.Private, []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}) {
		t.Errorf("%+v", r)
	}
}

// TestServeWithFurtherIssuers serves with a list: the page for patients offers it, and the published metadata names the
// servers to sign in at alone.
func TestServeWithFurtherIssuers(t *testing.T) {
	file, w := hospital(t)
	raw, err := os.ReadFile(file)
	check(t, err)
	text := string(raw)
	changed := strings.Replace(text, "gateway: {", "gateway: {foreign_issuers: listed, issuers: [{issuer: 'https://guard.example'}, {issuer: 'https://staff.example', sign_in: true}], ", 1)
	if changed == text {
		t.Fatal(text)
	}
	running(t, written(t, "more.yaml", changed))
	res, err := http.Get(w.RS + "/.well-known/oauth-protected-resource")
	check(t, err)
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	check(t, err)
	if !strings.Contains(string(body), `"authorization_servers":["`+w.Issuer+`","https://staff.example"]`) {
		t.Errorf("%s", body)
	}
}
