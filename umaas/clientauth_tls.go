package umaas

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/umaas/umaas/umaas/pop"
)

// byCertificate reports the methods of RFC 8705 §2.
func (m AuthMethod) byCertificate() bool { return m == AuthTLS || m == AuthTLSSelfSigned }

// maxCertificates bounds what a chain is built from.
const maxCertificates = 10

// verifyCertificate authenticates a client by the certificate of its connection. Errors say why, for the log alone.
func (s *Service) verifyCertificate(c Client, presented []*x509.Certificate) error {
	switch {
	case s.Binding.MTLSBase == "":
		return errors.New("mutual TLS is not set up")
	case len(presented) == 0:
		return errors.New("no client certificate")
	case len(presented) > maxCertificates:
		return errors.New("too many certificates")
	case c.AuthMethod == AuthTLSSelfSigned:
		return registeredCertificate(c.JWKS, presented[0])
	case s.Binding.ClientCAs == nil:
		return errors.New("no authority for client certificates is configured")
	}
	intermediates := x509.NewCertPool()
	for _, other := range presented[1:] {
		intermediates.AddCert(other)
	}
	_, err := presented[0].Verify(x509.VerifyOptions{
		Roots: s.Binding.ClientCAs, Intermediates: intermediates, CurrentTime: s.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("client certificate: %w", err)
	}
	return names(c, presented[0])
}

// names compares the certificate with the one name the client registered (RFC 8705 §2.1.2).
func names(c Client, leaf *x509.Certificate) error {
	kind, value, _ := strings.Cut(c.TLSName, ":")
	fits := false
	switch {
	case c.TLSSubject != "" && c.TLSName == "":
		fits = sameSubject(c.TLSSubject, leaf.RawSubject)
	case c.TLSSubject != "" || value == "":
	case kind == nameDNS:
		fits = slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, value) })
	case kind == nameURI:
		for _, u := range leaf.URIs {
			fits = fits || u.String() == value
		}
	case kind == nameEmail:
		fits = contains(leaf.EmailAddresses, value)
	case kind == nameIP:
		want := net.ParseIP(value)
		fits = want != nil && slices.ContainsFunc(leaf.IPAddresses, want.Equal)
	}
	if !fits {
		return errors.New("client certificate: another subject than the registered one")
	}
	return nil
}

// The kinds of Client.TLSName.
const (
	nameDNS   = "dns"
	nameURI   = "uri"
	nameIP    = "ip"
	nameEmail = "email"
)

// registeredCertificate finds the certificate in a registered key set, by x5c or x5t#S256 (RFC 8705 §2.2.2). No chain is
// built: the registration is the trust.
func registeredCertificate(set []byte, leaf *x509.Certificate) error {
	thumbprints, err := certificatesOf(set)
	if err != nil {
		return err
	}
	got := []byte(pop.CertificateThumbprint(leaf.Raw))
	for _, t := range thumbprints {
		if subtle.ConstantTimeCompare([]byte(t), got) == 1 {
			return nil
		}
	}
	return errors.New("client certificate: not one the client registered")
}

// certificatesOf lists the thumbprints of the certificates in a key set; a key without one is an error.
func certificatesOf(set []byte) ([]string, error) {
	var parsed struct {
		Keys []struct {
			X5C  []string `json:"x5c"`
			X5TS string   `json:"x5t#S256"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(set, &parsed); err != nil {
		return nil, errors.New("not a JSON Web Key Set")
	}
	var out []string
	for _, k := range parsed.Keys {
		switch {
		case len(k.X5C) > 0:
			der, err := base64.StdEncoding.DecodeString(k.X5C[0])
			if err != nil {
				return nil, errors.New("x5c: want base64 of the certificate")
			}
			if _, err := x509.ParseCertificate(der); err != nil {
				return nil, errors.New("x5c: want an X.509 certificate")
			}
			out = append(out, pop.CertificateThumbprint(der))
		case pop.IsThumbprint(k.X5TS):
			out = append(out, k.X5TS)
		default:
			return nil, errors.New("every key needs its certificate as x5c, or x5t#S256")
		}
	}
	return out, nil
}
