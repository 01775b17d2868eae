package pop_test

import (
	"crypto/elliptic"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

// FuzzVerify: a proof that is taken has a thumbprint, a usable jti and a time around now, whatever else it holds.
func FuzzVerify(f *testing.F) {
	s := ec(f, elliptic.P256(), "P-256", "ES256")
	f.Add(s.proof(f, nil), "")
	f.Add(exampleToken, "")
	f.Add(exampleAccess, exampleRPT)
	f.Add(s.proof(f, func(h, c object) { h["jwk"] = 1; c["iat"] = "x" }), "t")
	f.Add("e30.e30.", "")
	f.Fuzz(func(t *testing.T, raw, token string) {
		for _, at := range []time.Time{now, time.Unix(1562262616, 0)} {
			p, err := pop.Verify(raw, pop.Want{Method: "POST", URLs: []string{tokenURL, "https://server.example.com/token"}, Token: token, Now: at})
			if err == nil && (!pop.IsThumbprint(p.JKT) || p.JTI == "" || len(p.JTI) > 128 || !at.Before(p.End) || p.End.Sub(at) > 2*pop.Window) {
				t.Errorf("%q: %+v", raw, p)
			}
		}
	})
}

// FuzzTarget: normalising twice changes nothing, and nothing but an http address comes through.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{tokenURL, "HTTP://A:80/%7e/../x?y#z", "https://[::1]:1/%2e%2e", "https://a/%", "https://a//../b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, ok := pop.Target(s)
		if !ok {
			return
		}
		twice, ok := pop.Target(once)
		if !ok || twice != once || !strings.HasPrefix(once, "http") || strings.ContainsAny(once, "?#@ ") && !strings.Contains(s, "@") {
			t.Errorf("%q: %q, then %q %v", s, once, twice, ok)
		}
	})
}

// FuzzCertificateHeaders: what is read from the headers is a certificate, and never from a peer that is not trusted.
func FuzzCertificateHeaders(f *testing.F) {
	leaf := certificate(f, "app")
	f.Add(sf(leaf), sf(leaf)+", "+sf(leaf))
	f.Add(":AAAA:", "::")
	f.Add("::", ",")
	c, err := pop.NewCertificates([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, cert, chain string) {
		r := &http.Request{RemoteAddr: "10.1.2.3:4", Header: http.Header{pop.CertificateHeader: {cert}, pop.ChainHeader: {chain}}}
		got, err := c.Of(r)
		if err == nil && (len(got) == 0 || got[0] == nil || len(got[0].Raw) == 0) {
			t.Errorf("%q %q: %v", cert, chain, got)
		}
		r.RemoteAddr = "192.0.2.1:4"
		if got, err := c.Of(r); got != nil || err != nil {
			t.Errorf("from a stranger: %v, %v", got, err)
		}
	})
}
