package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDoorAsksForCertificates: the mutual-TLS door hands on any certificate whose key the client holds, and serves clients
// without one; an ordinary door asks for none (RFC 8705 §2, §5).
func TestDoorAsksForCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "door"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	certFile, keyFile := filepath.Join(t.TempDir(), "c.pem"), filepath.Join(t.TempDir(), "k.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strconv.Itoa(len(r.TLS.PeerCertificates)))
	})
	asking, askingAt := door(t, "mtls", h)
	plain, plainAt := door(t, "tls", h)
	asking.CertFile, asking.KeyFile, plain.CertFile, plain.KeyFile = certFile, keyFile, certFile, keyFile
	asking.AskCertificate = true
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, slog.New(slog.DiscardHandler), asking, plain) }()
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	roots.AddCert(leaf)
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, c := range []struct {
		at   string
		with []tls.Certificate
		want string
	}{{askingAt, []tls.Certificate{own}, "1"}, {askingAt, nil, "0"}, {plainAt, []tls.Certificate{own}, "0"}} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: c.with, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
		res, err := (&http.Client{Transport: transport}).Get(strings.Replace(c.at, "http:", "https:", 1))
		must(t, err)
		got, err := io.ReadAll(res.Body)
		must(t, err)
		must(t, res.Body.Close())
		if string(got) != c.want {
			t.Errorf("%s with %d certificates: %s seen, want %s", c.at, len(c.with), got, c.want)
		}
	}
	stop()
	must(t, <-served)
}
