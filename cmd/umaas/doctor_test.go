package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/config"
)

// TestDoctor examines a hospital while it serves, and while it does not.
func TestDoctor(t *testing.T) {
	file, w := hospital(t)
	t.Run("serving", func(t *testing.T) {
		running(t, file)
		out := must(t, "", "doctor", "--config", file)
		if strings.Contains(out, "MEND") || !strings.HasSuffix(out, "all well\n") || strings.Count(out, "ok    ") != 8 {
			t.Errorf("%s", out)
		}
	})
	s := cli(t, "", "doctor", "--config", file)
	if s.err == nil || s.err.Error() != "to mend: 2" || !strings.Contains(s.out, "MEND  issuer "+w.Issuer+" answers") || !strings.Contains(s.out, "→ start `umaas serve`") {
		t.Errorf("not serving: %v\n%s", s.err, s.out)
	}
}

// TestDoctorOnUntrustedCertificate meets a server with a certificate of its own making.
func TestDoctorOnUntrustedCertificate(t *testing.T) {
	crt, key := selfSigned(t, "localhost", 90)
	text, _, _ := asAlone(t)
	text = strings.Replace(text, "http://", "https://", 1)
	file := written(t, "c.yaml", strings.Replace(text, "listen: '127.0.0.1", fmt.Sprintf("tls_cert: %s, tls_key: %s, listen: '127.0.0.1", crt, key), 1))
	running(t, file)
	s := cli(t, "", "doctor", "--config", file)
	if s.err == nil || !strings.Contains(s.out, "get a certificate for this very name") || !strings.Contains(s.out, "ok    as has a certificate with its key") {
		t.Errorf("%v\n%s", s.err, s.out)
	}
	other, _ := selfSigned(t, "localhost", 90)
	s = cli(t, "", "doctor", "--config", written(t, "c.yaml", strings.Replace(textOf(t, file), crt, other, 1)))
	if s.err == nil || !strings.Contains(s.out, "MEND  as has a certificate with its key") {
		t.Errorf("%v\n%s", s.err, s.out)
	}
}

// internet answers a doctor's questions by address.
type internet map[string]reply

type reply struct {
	status int
	header map[string]string
	body   string
	err    error
	ends   time.Duration // of the certificate; zero: no TLS
}

// RoundTrip implements http.RoundTripper.
func (n internet) RoundTrip(r *http.Request) (*http.Response, error) {
	a, ok := n[r.URL.String()]
	if !ok {
		return nil, errors.New("connection refused")
	}
	if a.err != nil {
		return nil, a.err
	}
	res := &http.Response{StatusCode: max(a.status, 200), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}
	for k, v := range a.header {
		res.Header.Set(k, v)
	}
	if a.ends != 0 {
		res.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{NotAfter: time.Now().Add(a.ends)}}}
	}
	if r.Header.Get("Authorization") == "" && strings.Contains(r.URL.Host, "ehr") {
		res.StatusCode = http.StatusUnauthorized
	}
	return res, nil
}

// TestDoctorTellsWhoMayGuard: the operator reads in words what patients may choose.
func TestDoctorTellsWhoMayGuard(t *testing.T) {
	for policy, want := range map[string]string{
		"": "patients cannot choose another authorization server", "none": "patients cannot choose another authorization server",
		"listed": "patients may let 1 listed servers guard their records", "any": "patients may let any server they name guard their records",
	} {
		var out bytes.Buffer
		d := doctor{out: &out}
		d.foreign(config.Gateway{Foreign: policy, Issuers: []config.Issuer{{}}, ForeignPrivate: []string{"10.0.0.0/8"}})
		if !strings.HasPrefix(out.String(), "ok    "+want) || !strings.Contains(out.String(), "[10.0.0.0/8]") || d.bad != 0 {
			t.Errorf("%q: %s", policy, &out)
		}
	}
}

// TestDoctorMends spoils a healthy world in one place at a time: exactly that one line says MEND, and what to do.
func TestDoctorMends(t *testing.T) {
	const discovery = "https://auth.example/.well-known/uma2-configuration"
	const document = `{"issuer":"https://auth.example","token_endpoint":"https://auth.example/token"}`
	const metadata = "https://ehr.example/r4/metadata"
	for _, c := range []struct {
		name   string
		spoil  func(n internet, c *config.Config)
		line   string // after MEND; "" healthy
		advice string
	}{
		{"healthy", func(internet, *config.Config) {}, "", ""},
		{"data folder", func(_ internet, c *config.Config) { c.Data = "/nowhere/at/all" }, "data folder", "create it"},
		{"issuer away", func(n internet, _ *config.Config) { delete(n, discovery) }, "issuer https://auth.example answers: ", "start `umaas serve`"},
		{"issuer redirects", func(n internet, _ *config.Config) {
			n[discovery] = reply{status: 308, header: map[string]string{"Location": "https://www.auth.example/"}}
		}, "issuer https://auth.example answers: it redirects to https://www.auth.example/", "must be the final address"},
		{"issuer broken", func(n internet, _ *config.Config) { n[discovery] = reply{status: 502} }, "issuer https://auth.example answers: status 502", "lead this address"},
		{"certificate", func(n internet, _ *config.Config) {
			n[discovery] = reply{err: &tls.CertificateVerificationError{Err: errors.New("unknown authority")}}
		}, "issuer https://auth.example answers: ", "whole chain"},
		{"certificate ends", func(n internet, _ *config.Config) { n[discovery] = reply{body: document, ends: 24 * time.Hour} }, "certificate of https://auth.example lasts", "renew"},
		{"another issuer", func(n internet, _ *config.Config) {
			n[discovery] = reply{body: strings.Replace(document, "auth.example", "other.example", 1)}
		}, `issuer is who the configuration says: it calls itself "https://other.example"`, "letter by letter"},
		{"no document", func(n internet, _ *config.Config) { n[discovery] = reply{body: "<html>"} }, "issuer is who the configuration says", "letter by letter"},
		{"addresses rewritten", func(n internet, _ *config.Config) {
			n[discovery] = reply{body: strings.Replace(document, "https://auth.example/token", "http://10.0.0.1/token", 1)}
		}, "endpoints are below the issuer: token endpoint is http://10.0.0.1/token", "a proxy rewrites"},
		{"clock", func(n internet, _ *config.Config) {
			n[discovery] = reply{body: document, header: map[string]string{"Date": time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}}
		}, "clocks agree: clocks differ by 1h", "time service"},
		{"open plain door", func(n internet, _ *config.Config) {
			n[strings.Replace(discovery, "https", "http", 1)] = reply{body: document}
		}, "plain http is closed or redirects", "redirect http to https"},
		{"gateway away", func(n internet, _ *config.Config) {
			delete(n, "https://fhir.example/.well-known/oauth-protected-resource")
		}, "gateway at https://fhir.example answers", "gateway.listen"},
		{"upstream away", func(n internet, _ *config.Config) { delete(n, metadata) }, "FHIR server https://ehr.example/r4 answers", "gateway.upstream"},
		{"upstream credential", func(_ internet, c *config.Config) { c.Gateway.Credential = "" }, "FHIR server https://ehr.example/r4 answers: status 401", "upstream_authorization"},
		{"no FHIR server", func(n internet, _ *config.Config) { n[metadata] = reply{body: `{"resourceType":"Patient"}`} }, "FHIR server https://ehr.example/r4 answers: no CapabilityStatement", "gateway.upstream"},
		{"another FHIR version", func(n internet, _ *config.Config) {
			n[metadata] = reply{body: `{"resourceType":"CapabilityStatement","fhirVersion":"5.0.0"}`}
		}, `FHIR server speaks R4: it says "5.0.0"`, "R4 (4.0.x) alone"},
		{"second issuer away", func(_ internet, c *config.Config) {
			c.Gateway.Foreign, c.Gateway.Issuers = "listed", []config.Issuer{{Issuer: "https://guard.example"}}
		}, "issuer https://guard.example answers: ", "lead this address"},
		{"second issuer is no guard", func(n internet, c *config.Config) {
			c.Gateway.Foreign, c.Gateway.Issuers = "listed", []config.Issuer{{Issuer: "https://guard.example"}}
			n[strings.Replace(discovery, "auth", "guard", 1)] = reply{body: `{"issuer":"https://guard.example","token_endpoint":"https://guard.example/t",
				"authorization_endpoint":"https://guard.example/a","jwks_uri":"https://guard.example/k","introspection_endpoint":"https://guard.example/i"}`}
		}, "issuer https://guard.example can guard records: its metadata lack permission_endpoint, resource_registration_endpoint, registration_endpoint (or give", "UMA 2.0"},
		{"cannot listen", func(_ internet, c *config.Config) { c.AS.Address = "192.0.2.1:8443" }, "as can listen on 192.0.2.1:8443", "choose an address of this machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := map[string]string{"Date": time.Now().UTC().Format(http.TimeFormat)}
			n := internet{
				discovery: {body: document, header: now, ends: 365 * 24 * time.Hour},
				"https://fhir.example/.well-known/oauth-protected-resource": {body: "{}"},
				metadata: {body: `{"resourceType":"CapabilityStatement","fhirVersion":"4.0.1"}`},
			}
			cfg := config.Config{Name: "x", Data: t.TempDir(), Roles: []string{"as", "gateway"}}
			cfg.AS.Issuer, cfg.AS.Address = "https://auth.example", "127.0.0.1:"+ports(t, 1)[0]
			cfg.Gateway.Base, cfg.Gateway.Address = "https://fhir.example", "127.0.0.1:"+ports(t, 1)[0]
			cfg.Gateway.Upstream, cfg.Gateway.Credential = "https://ehr.example/r4", "Basic Zm9v"
			c.spoil(n, &cfg)
			for url, a := range n { // what was spoiled keeps its own clock, if it has one
				if a.header == nil {
					a.header = now
					n[url] = a
				}
			}
			var out bytes.Buffer
			d := doctor{out: &out, http: &http.Client{Transport: n, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
			err := d.examine(t.Context(), cfg)
			if c.line == "" {
				if err != nil || strings.Contains(out.String(), "MEND") || !strings.HasSuffix(out.String(), "all well\n") {
					t.Errorf("%v\n%s", err, &out)
				}
				return
			}
			if err == nil || err.Error() != "to mend: 1" || strings.Count(out.String(), "MEND") != 1 {
				t.Errorf("want one thing to mend, got %v", err)
			}
			_, mend, _ := strings.Cut(out.String(), "MEND  ")
			if !strings.HasPrefix(mend, c.line) || !strings.Contains(mend, c.advice) {
				t.Errorf("want %q and %q in:\n%s", c.line, c.advice, &out)
			}
			if strings.Contains(out.String(), "Zm9v") {
				t.Error("the credential is told")
			}
		})
	}
}
