package pop

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Headers a TLS-terminating proxy names the client's certificate with (RFC 9440 §2).
const (
	CertificateHeader = "Client-Cert"
	ChainHeader       = "Client-Cert-Chain"
)

// Bounds of the headers.
const (
	maxCertificate = 16 << 10 // base64 characters of one
	maxChain       = 8
)

// ErrCertificate says that a configured proxy sent a certificate header that cannot be read.
var ErrCertificate = errors.New("client certificate header not readable")

// Certificates finds the certificate a client proved to hold in its TLS connection. The zero value knows connections of this
// process alone.
type Certificates struct {
	// Proxies are the peers whose Client-Cert counts: they end TLS and must remove the header from what they pass on (RFC
	// 9440 §4). From any other peer the header is as if absent (O-072).
	Proxies []netip.Prefix
}

// NewCertificates reads proxies, each an address or a CIDR prefix.
func NewCertificates(proxies []string) (Certificates, error) {
	var c Certificates
	for _, p := range proxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			a, err := netip.ParseAddr(p)
			if err != nil {
				return Certificates{}, fmt.Errorf("client certificate proxy %q: want an address or a prefix such as 10.0.0.0/8", p)
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		c.Proxies = append(c.Proxies, prefix.Masked())
	}
	return c, nil
}

// Of gives the certificate and what came with it to build a chain, leaf first; nil where the client has shown none. From a
// proxy only the header counts: the connection's certificate would be the proxy's own.
func (c Certificates) Of(r *http.Request) ([]*x509.Certificate, error) {
	if c.trusts(r.RemoteAddr) {
		return fromHeaders(r.Header)
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, nil
	}
	return r.TLS.PeerCertificates, nil
}

func (c Certificates) trusts(remote string) bool {
	if len(c.Proxies) == 0 {
		return false
	}
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, p := range c.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// fromHeaders reads Client-Cert and Client-Cert-Chain. A chain without a certificate is as if absent.
func fromHeaders(h http.Header) ([]*x509.Certificate, error) {
	values := h.Values(CertificateHeader)
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, fmt.Errorf("%w: more than one", ErrCertificate)
	}
	leaf, err := sfBinary(values[0])
	if err != nil {
		return nil, err
	}
	out := []*x509.Certificate{leaf}
	for _, line := range h.Values(ChainHeader) {
		for _, item := range strings.Split(line, ",") {
			if len(out) > maxChain {
				return nil, fmt.Errorf("%w: the chain is too long", ErrCertificate)
			}
			next, err := sfBinary(strings.Trim(item, " \t"))
			if err != nil {
				return nil, err
			}
			out = append(out, next)
		}
	}
	return out, nil
}

// sfBinary reads one byte sequence of RFC 8941 §3.3.5 as a DER certificate.
func sfBinary(s string) (*x509.Certificate, error) {
	s = strings.Trim(s, " ")
	if len(s) < 2 || len(s) > maxCertificate || s[0] != ':' || s[len(s)-1] != ':' {
		return nil, fmt.Errorf("%w: want base64 between colons", ErrCertificate)
	}
	der, err := base64.StdEncoding.DecodeString(s[1 : len(s)-1])
	if err != nil {
		return nil, fmt.Errorf("%w: want base64 between colons", ErrCertificate)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: no X.509 certificate", ErrCertificate)
	}
	return c, nil
}

// CertificateThumbprint is x5t#S256 of a DER certificate (RFC 8705 §3.1).
func CertificateThumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
