package pop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

func certificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sf is a byte sequence of RFC 8941.
func sf(c *x509.Certificate) string { return ":" + base64.StdEncoding.EncodeToString(c.Raw) + ":" }

// TestSEC_108_CertificateOf: RFC 9440 §4: the header counts from configured proxies alone, and there it alone counts (O-072).
func TestSEC_108_CertificateOf(t *testing.T) {
	mine, proxys, issuer := certificate(t, "mine"), certificate(t, "proxy"), certificate(t, "issuer")
	trusting, err := pop.NewCertificates([]string{"10.0.0.7", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	conn := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{proxys}}
	header := http.Header{pop.CertificateHeader: {sf(mine)}, pop.ChainHeader: {sf(issuer)}}
	for name, c := range map[string]struct {
		use    pop.Certificates
		from   string
		tls    *tls.ConnectionState
		header http.Header
		want   *x509.Certificate
		n      int
		err    bool
	}{
		"nothing":                        {trusting, "10.0.0.7:1", nil, nil, nil, 0, false},
		"from the proxy":                 {trusting, "10.0.0.7:1", nil, header, mine, 2, false},
		"from the proxy, mapped":         {trusting, "[::ffff:10.0.0.7]:1", nil, header, mine, 2, false},
		"from the proxy over mutual TLS": {trusting, "[2001:db8::1]:1", conn, header, mine, 2, false},
		"proxy without header":           {trusting, "10.0.0.7:1", conn, nil, nil, 0, false},
		"forged by a stranger":           {trusting, "10.0.0.8:1", nil, header, nil, 0, false},
		"forged, no proxy configured":    {pop.Certificates{}, "127.0.0.1:1", nil, header, nil, 0, false},
		"own connection":                 {trusting, "192.0.2.1:1", conn, nil, proxys, 1, false},
		"own connection, forged header":  {trusting, "192.0.2.1:1", conn, header, proxys, 1, false},
		"no address":                     {trusting, "", nil, header, nil, 0, false},
		"two certificates":               {trusting, "10.0.0.7:1", nil, http.Header{pop.CertificateHeader: {sf(mine), sf(mine)}}, nil, 0, true},
		"no certificate":                 {trusting, "10.0.0.7:1", nil, http.Header{pop.CertificateHeader: {":AAAA:"}}, nil, 0, true},
		"PEM":                            {trusting, "10.0.0.7:1", nil, http.Header{pop.CertificateHeader: {"-----BEGIN"}}, nil, 0, true},
		"parameters":                     {trusting, "10.0.0.7:1", nil, http.Header{pop.CertificateHeader: {sf(mine) + ";a=1"}}, nil, 0, true},
	} {
		got, err := c.use.Of(&http.Request{RemoteAddr: c.from, TLS: c.tls, Header: c.header})
		if (err != nil) != c.err || err != nil && !errors.Is(err, pop.ErrCertificate) || len(got) != c.n || c.n > 0 && !got[0].Equal(c.want) {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
		}
	}
	for _, bad := range []string{"proxy.example", "10.0.0.0/40", ""} {
		if _, err := pop.NewCertificates([]string{bad}); err == nil {
			t.Errorf("%q was taken for a proxy", bad)
		}
	}
}
