package resourceserver

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/umaas/umaas/resourceserver/asclient"
)

func TestH_12_Addresses(t *testing.T) {
	for _, c := range []struct {
		typed, resource, host, issuer string
		insecure                      bool
	}{
		{typed: "alice@example.org", resource: "acct:alice@example.org", host: "example.org"},
		{typed: " acct:Alice@Example.ORG ", resource: "acct:Alice@example.org", host: "example.org"},
		{typed: "https://as.example", resource: "https://as.example", host: "as.example", issuer: "https://as.example"},
		{typed: "https://AS.example/tenant/", resource: "https://as.example/tenant/", host: "as.example", issuer: "https://as.example/tenant"},
		{typed: "as.example:8443/t", resource: "https://as.example:8443/t", host: "as.example:8443", issuer: "https://as.example:8443/t"},
		{typed: "http://localhost:8093", resource: "http://localhost:8093", host: "localhost:8093", issuer: "http://localhost:8093", insecure: true},
		{typed: "localhost:8093", resource: "http://localhost:8093", host: "localhost:8093", issuer: "http://localhost:8093", insecure: true},
		{typed: "alice@localhost:8093", resource: "acct:alice@localhost:8093", host: "localhost:8093", insecure: true},
		{typed: ""}, {typed: "alice@"}, {typed: "@example.org"}, {typed: "=alice"}, {typed: "!x"}, {typed: "alice@example.org:8443"},
		{typed: "http://as.example"}, {typed: "http://as.example", insecure: true}, {typed: "http://localhost:8093"}, {typed: "ftp://as.example"},
		{typed: "javascript:alert(1)"}, {typed: "https://user@as.example"}, {typed: "https://as.example?x=1"}, {typed: "https://as.example#f"},
		{typed: "https://as.example/%2e%2e/"}, {typed: "https://as.example/../x"}, {typed: "https://as.example//x"}, {typed: "https://as.example\\@evil"},
		{typed: "https://ex ample"}, {typed: "https://[::1]/"}, {typed: "https://exämple.org"}, {typed: "a@b@c"}, {typed: "a@b/c"}, {typed: "acct:a"},
		{typed: "https://as..example"}, {typed: "https://-as.example"}, {typed: "a<b@example.org"}, {typed: strings.Repeat("a", 301)}, {typed: "https://"},
	} {
		a, err := parseAddress(c.typed, c.insecure)
		if c.resource == "" {
			if !errors.Is(err, ErrAddress) {
				t.Errorf("%q: %+v %v, want a refusal", c.typed, a, err)
			}
			continue
		}
		if want := (address{Resource: c.resource, Host: c.host, Issuer: c.issuer}); err != nil || a != want {
			t.Errorf("%q: %+v %v, want %+v", c.typed, a, err, want)
		}
	}
}

func TestH_12_Descriptors(t *testing.T) {
	link := func(rel, href string) string { return `{"rel":"` + rel + `","href":"` + href + `"}` }
	for _, c := range []struct {
		name, raw, issuer string
		err               error
	}{
		{"one", `{"subject":"acct:a@b.example","links":[` + link("x", "https://no") + `,` + link(RelIssuer, "https://as.example") + `]}`, "https://as.example", nil},
		{"the same twice", `{"links":[` + link(RelIssuer, "https://as.example") + `,` + link(RelIssuer, "https://as.example") + `]}`, "https://as.example", nil},
		{"unknown members", `{"x":{"y":[1,null,true]},"links":[` + link(RelIssuer, "https://as.example") + `]}`, "https://as.example", nil},
		{"two issuers", `{"links":[` + link(RelIssuer, "https://a.example") + `,` + link(RelIssuer, "https://b.example") + `]}`, "", asclient.ErrUntrusted},
		{"none", `{"links":[` + link("http://openid.net/specs/connect/1.0/issuer2", "https://a.example") + `]}`, "", ErrNoIssuer},
		{"no links", `{}`, "", ErrNoIssuer},
		{"empty address", `{"links":[` + link(RelIssuer, "") + `]}`, "", ErrNoIssuer},
		{"links twice", `{"links":[],"links":[` + link(RelIssuer, "https://a.example") + `]}`, "", asclient.ErrUntrusted},
		{"links twice in another case", `{"links":[],"LINKS":[` + link(RelIssuer, "https://a.example") + `]}`, "", asclient.ErrUntrusted},
		{"href twice", `{"links":[{"rel":"` + RelIssuer + `","href":"https://a.example","href":"https://b.example"}]}`, "", asclient.ErrUntrusted},
		{"two documents", `{}{}`, "", asclient.ErrUntrusted},
		{"array", `[]`, "", asclient.ErrUntrusted},
		{"string", `"x"`, "", asclient.ErrUntrusted},
		{"cut short", `{"links":[`, "", asclient.ErrUntrusted},
		{"nothing", ``, "", asclient.ErrUntrusted},
		{"deep", `{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, "", asclient.ErrUntrusted},
		{"many links", `{"links":[` + strings.TrimSuffix(strings.Repeat(link("x", "y")+",", 201), ",") + `]}`, "", asclient.ErrUntrusted},
		{"links of another kind", `{"links":"x"}`, "", asclient.ErrUntrusted},
	} {
		issuer, err := parseJRD([]byte(c.raw))
		if issuer != c.issuer || !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %q %v, want %q %v", c.name, issuer, err, c.issuer, c.err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"alice@example.org", "https://as.example/x", "localhost:80", "acct:a@b", "a@b:1", "https://a%00b", "//x"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, typed string, insecure bool) {
		a, err := parseAddress(typed, insecure)
		if err != nil {
			return
		}
		target := a.scheme(insecure) + "://" + a.Host + "/.well-known/webfinger"
		u, err := url.Parse(target)
		if err != nil || u.Host != a.Host || u.User != nil || u.Path != "/.well-known/webfinger" || u.RawQuery != "" {
			t.Fatalf("%q leads to %q", typed, target)
		}
		if u.Scheme != "https" && (!insecure || !loopbackHost(u.Host)) {
			t.Fatalf("%q would be asked in the clear", typed)
		}
		if a.Issuer == "" {
			return
		}
		again, err := parseAddress(a.Issuer, insecure)
		if err != nil || again.Issuer != a.Issuer {
			t.Fatalf("%q gives %q, which gives %q %v", typed, a.Issuer, again.Issuer, err)
		}
	})
}

func FuzzParseJRD(f *testing.F) {
	for _, s := range []string{`{"links":[{"rel":"` + RelIssuer + `","href":"https://as.example"}]}`, `{}{}`, `[]`, `{"a":{"a":1}}`, `{"links":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		issuer, err := parseJRD(raw)
		if err != nil {
			return
		}
		var d struct {
			Links []struct{ Rel, Href string }
		}
		if !json.Valid(raw) || json.Unmarshal(raw, &d) != nil || issuer == "" {
			t.Fatalf("took %q from %q", issuer, raw)
		}
		for _, l := range d.Links {
			if l.Rel == RelIssuer && l.Href != issuer {
				t.Fatalf("took %q, another reader takes %q", issuer, l.Href)
			}
		}
	})
}
