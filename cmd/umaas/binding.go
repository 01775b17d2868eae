package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/config"
	"github.com/umaas/umaas/umaas/pop"
)

// binding is what the configuration says of key-bound tokens at the authorization server.
func binding(c config.Config) (umaas.Binding, pop.Certificates, error) {
	certificates, err := pop.NewCertificates(c.AS.Proxies)
	if err != nil {
		return umaas.Binding{}, pop.Certificates{}, fmt.Errorf("as: %w", err)
	}
	b := umaas.Binding{MTLSBase: c.AS.MTLS.Base}
	switch c.AS.Nonces {
	case "public":
		b.Nonces = umaas.NoncesPublic
	case "all":
		b.Nonces = umaas.NoncesAll
	}
	if c.AS.MTLS.CAs == "" {
		return b, certificates, nil
	}
	raw, err := os.ReadFile(c.AS.MTLS.CAs)
	if err != nil {
		return umaas.Binding{}, pop.Certificates{}, fmt.Errorf("as.mtls.client_cas: %w", err)
	}
	b.ClientCAs = x509.NewCertPool()
	if !b.ClientCAs.AppendCertsFromPEM(raw) {
		return umaas.Binding{}, pop.Certificates{}, fmt.Errorf("as.mtls.client_cas: %s holds no PEM certificates", c.AS.MTLS.CAs)
	}
	return b, certificates, nil
}

// clientKey reads the gateway's private key, "" for none.
func clientKey(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("gateway.client_key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" {
		return "", fmt.Errorf("gateway.client_key: %s holds no PEM block PRIVATE KEY (PKCS #8)", file)
	}
	return base64.StdEncoding.EncodeToString(block.Bytes), nil
}
