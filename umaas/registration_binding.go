package umaas

import (
	"errors"
	"net"
	"net/url"
	"strings"

	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// BindingMetadata are the client metadata of key-bound tokens (RFC 9449 §5.2, RFC 8705 §2.1.2 and §3.4).
type BindingMetadata struct {
	DPoPBound  bool   `json:"dpop_bound_access_tokens,omitempty"`
	TLSBound   bool   `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	TLSSubject string `json:"tls_client_auth_subject_dn,omitempty"`
	TLSDNS     string `json:"tls_client_auth_san_dns,omitempty"`
	TLSURI     string `json:"tls_client_auth_san_uri,omitempty"`
	TLSIP      string `json:"tls_client_auth_san_ip,omitempty"`
	TLSEmail   string `json:"tls_client_auth_san_email,omitempty"`
}

// names lists the subject alternative names of m with their kinds.
func (m *BindingMetadata) names() map[string]*string {
	return map[string]*string{nameDNS: &m.TLSDNS, nameURI: &m.TLSURI, nameIP: &m.TLSIP, nameEmail: &m.TLSEmail}
}

func (m BindingMetadata) fill(c *Client) []mistake {
	c.DPoPBound, c.TLSBound, c.TLSSubject = m.DPoPBound, m.TLSBound, m.TLSSubject
	given := 0
	for kind, value := range m.names() {
		if *value != "" {
			given++
			c.TLSName = kind + ":" + *value
		}
	}
	if given > 1 || given == 1 && m.TLSSubject != "" {
		return []mistake{{"tls_client_auth_*", "name the certificate in one way only"}} // RFC 8705 §2.1.2
	}
	return nil
}

func bindingOf(c Client) BindingMetadata {
	m := BindingMetadata{DPoPBound: c.DPoPBound, TLSBound: c.TLSBound, TLSSubject: c.TLSSubject}
	kind, value, _ := strings.Cut(c.TLSName, ":")
	if to := m.names()[kind]; to != nil {
		*to = value
	}
	return m
}

// checkBinding is the part of checkClient that depends on what this server offers.
func (s *Service) checkBinding(c Client) []mistake {
	var wrong []mistake
	add := func(bad bool, member, advice string) {
		if bad {
			wrong = append(wrong, mistake{member, advice})
		}
	}
	offered := s.Binding.MTLSBase != ""
	add(c.AuthMethod == AuthTLS && (!offered || s.Binding.ClientCAs == nil), "token_endpoint_auth_method", "tls_client_auth is not offered here")
	add(c.AuthMethod == AuthTLSSelfSigned && !offered, "token_endpoint_auth_method", "self_signed_tls_client_auth is not offered here")
	add(c.TLSBound && !offered, "tls_client_certificate_bound_access_tokens", "mutual TLS is not offered here")
	add(c.TLSBound && c.DPoPBound, "dpop_bound_access_tokens", "bind tokens to a key or to a certificate, not to both")
	named := c.TLSSubject != "" || c.TLSName != ""
	add(c.AuthMethod == AuthTLS && !named, "tls_client_auth_subject_dn", "tls_client_auth needs the certificate's subject_dn, san_dns, san_uri, san_ip or san_email")
	add(c.AuthMethod != AuthTLS && named, "tls_client_auth_subject_dn", "only for tls_client_auth")
	if c.TLSSubject != "" {
		_, err := parseDN(c.TLSSubject)
		add(err != nil, "tls_client_auth_subject_dn", errDN.Error())
	}
	if kind, value, ok := strings.Cut(c.TLSName, ":"); ok {
		add(len(value) > maxURI || kind == nameIP && net.ParseIP(value) == nil, "tls_client_auth_san_"+kind, "is not of that kind")
	}
	if c.AuthMethod == AuthTLSSelfSigned {
		_, err := certificatesOf(c.JWKS)
		add(err != nil, "jwks", "every key needs its certificate as x5c, or x5t#S256")
	}
	return wrong
}

func (b Binding) check() error {
	switch b.Nonces {
	case NoncesOff, NoncesPublic, NoncesAll:
	default:
		return errors.New("core: Binding.Nonces is none of the policies")
	}
	if b.MTLSBase == "" {
		if b.ClientCAs != nil {
			return errors.New("core: Binding.ClientCAs needs MTLSBase")
		}
		return nil
	}
	u, err := url.Parse(b.MTLSBase)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(b.MTLSBase, "/") {
		return errors.New("core: Binding.MTLSBase: want an https URL without query, fragment and closing slash")
	}
	return nil
}

// bindingMetadata adds what this server offers for key-bound tokens (RFC 9449 §5.1, RFC 8705 §3.3, §5).
func (s *Service) bindingMetadata(m uma.Metadata) uma.Metadata {
	m.DPoPSigningAlgValuesSupported = pop.Algorithms()
	base := s.Binding.MTLSBase
	if base == "" {
		return m
	}
	m.TLSClientCertificateBoundAccessTokens = true
	m.MTLSEndpointAliases = map[string]string{
		"token_endpoint": base + pathToken, "revocation_endpoint": base + pathRevoke, "introspection_endpoint": base + pathIntrospect,
		"userinfo_endpoint": base + pathUserInfo, "permission_endpoint": base + pathPermission,
		"resource_registration_endpoint":       base + pathResourceSet,
		"urn:umaas:access_events_endpoint":     base + pathAccessEvents,
		"urn:umaas:grant_consumption_endpoint": base + pathGrantsConsume,
		"urn:umaas:event_feed_endpoint":        base + pathEvents,
		"urn:umaas:owner_endpoint":             base + pathOwner,
	}
	m.TokenEndpointAuthMethodsSupported = append(m.TokenEndpointAuthMethodsSupported, string(AuthTLSSelfSigned))
	if s.Binding.ClientCAs != nil {
		m.TokenEndpointAuthMethodsSupported = append(m.TokenEndpointAuthMethodsSupported, string(AuthTLS))
	}
	return m
}
