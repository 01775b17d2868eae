package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
)

// Check reports everything that is wrong, a line each.
func (c Config) Check() error {
	mistakes := c.fields()
	for _, rule := range append(c.Gateway.issuerRules(c.AS.Issuer), []rule{
		{c.Runs("as") && c.AS.Issuer == "", "as.issuer: required where the role as runs"},
		{c.Runs("as") && c.AS.Address == "", "as.listen: required where the role as runs"},
		{c.Runs("gateway") && c.Gateway.Address == "", "gateway.listen: required where the role gateway runs"},
		{c.Runs("gateway") && c.Gateway.Base == "", "gateway.base: the origin as the outside sees it is required where the role gateway runs"},
		{c.Runs("gateway") && c.Gateway.Issuer == "" && c.AS.Issuer == "", "gateway.issuer: which authorization server protects the records?"},
		{c.Runs("gateway") && c.Gateway.Upstream == "" && !c.Runs("fhir"), "gateway.upstream: name a FHIR base, or run the role fhir in this process"},
		{(c.Gateway.ClientID == "") != (c.Gateway.Secret == "" && c.Gateway.Key == "") || c.Gateway.Secret != "" && c.Gateway.Key != "", "gateway.client_id, gateway.client_secret: give both, from `umaas client add`, or none: then the gateway registers itself; client_key may take the place of the secret"},
		{c.Profile == "heart" && c.Gateway.Secret != "", "gateway.client_secret: the HEART profile knows no shared secrets; give client_key, or let the gateway register itself"},
		{c.Runs("resolver") && !c.Runs("gateway"), "roles: resolver runs in the process of the gateway; name both"},
		{c.Runs("fhir") && !c.Runs("gateway") && c.FHIR.Address == "", "fhir.listen: required where fhir runs without the gateway"},
		{c.FHIR.Address != "" && c.FHIR.Credential == "", "fhir.authorization: required where fhir listens: the header that only the gateway sends, the same as its upstream_authorization"},
		{c.AS.MTLS.Base != "" && c.AS.MTLS.Address == "" && len(c.AS.Proxies) == 0, "as.mtls: give listen with TLS files, or name the proxies that pass certificates on in as.client_cert_proxies"},
		{c.AS.MTLS.Base == "" && (c.AS.MTLS.Address != "" || c.AS.MTLS.CAs != "" || len(c.AS.Proxies) > 0), "as.mtls.base: the issuer's address as clients with certificates reach it is required"},
		{c.AS.MTLS.Address != "" && c.AS.MTLS.TLSCert == "", "as.mtls: a listener that asks for certificates needs TLS files"},
		{!plainAddress(c.AS.MTLS.Base) || strings.HasPrefix(c.AS.MTLS.Base, "http:"), "as.mtls.base: " + addressWords},
		{c.Gateway.AskCerts && c.Gateway.TLSCert == "", "gateway.client_certificates: certificates can be asked for only where the gateway itself speaks TLS"},
		{!plainAddress(c.AS.Issuer), "as.issuer: " + addressWords},
		{!plainAddress(c.Gateway.Issuer), "gateway.issuer: " + addressWords},
		{!plainAddress(c.Gateway.Base) || pathOf(c.Gateway.Base) != "", "gateway.base: an origin alone, such as https://fhir.example.org; the FHIR base will be /fhir below it"},
		{open(c.AS.Listener, c.AS.Issuer), "as: " + openWords},
		{open(c.Gateway.Listener, c.Gateway.Base), "gateway: " + openWords},
		{open(c.FHIR.Listener, ""), "fhir: " + openWords},
	}...) {
		if rule.bad {
			mistakes = append(mistakes, errors.New(rule.says))
		}
	}
	mistakes = append(mistakes, c.AS.issuerMistakes()...)
	if mistakes == nil {
		return nil
	}
	return fmt.Errorf("configuration:\n%w", errors.Join(mistakes...))
}

type rule struct {
	bad  bool
	says string
}

// issuerRules check the authorization servers beside the default one.
func (g Gateway) issuerRules(as string) []rule {
	first := g.Issuer
	if first == "" {
		first = as
	}
	seen := map[string]bool{first: true}
	rules := []rule{{g.Foreign == "listed" && len(g.Issuers) == 0, "gateway.foreign_issuers: listed needs servers under gateway.issuers"}}
	for i, s := range g.Issuers {
		name := fmt.Sprintf("gateway.issuers[%d]", i)
		u, err := url.Parse(s.Issuer)
		rules = append(rules,
			rule{!plainAddress(s.Issuer) || err == nil && u.Scheme == "http" && !local(u.Hostname()), name + ".issuer: " + addressWords},
			rule{seen[s.Issuer], name + ".issuer: named twice"},
			rule{(s.ClientID == "") != (s.Secret == ""), name + ": client_id and client_secret go together; without both the gateway registers itself"},
			rule{s.FHIRUser && !s.SignIn, name + ".fhir_user: only where sign_in is true"},
			rule{!s.SignIn && (g.Foreign == "" || g.Foreign == "none"), name + ": is for nothing: say sign_in: true, or let patients choose it with gateway.foreign_issuers"},
		)
		seen[s.Issuer] = true
	}
	return rules
}

const (
	addressWords = "an https address without a final slash, query or fragment, such as https://auth.example.org"
	openWords    = "without TLS files listen on loopback, or say behind_tls_proxy; addresses that apps use are https (http on loopback alone)"
)

// fields checks each member by its tag.
func (c Config) fields() []error {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		return name
	})
	if err := v.RegisterValidation("host_port", func(f validator.FieldLevel) bool { return listenable(f.Field().String()) }); err != nil {
		return []error{err}
	}
	err := v.Struct(c)
	var fields validator.ValidationErrors
	if err != nil && !errors.As(err, &fields) {
		return []error{err}
	}
	mistakes := make([]error, 0, len(fields))
	for _, f := range fields {
		name := strings.NewReplacer("Listener.", "", "Binding.", "").Replace(strings.TrimPrefix(f.Namespace(), "Config."))
		mistakes = append(mistakes, fmt.Errorf("%s: %s", name, words(f)))
	}
	if len(mistakes) == 0 {
		return nil
	}
	return mistakes
}

// words says what a member should be, never what it is: it may be a secret.
func words(f validator.FieldError) string {
	switch f.Tag() {
	case "required":
		return "required"
	case "required_with":
		return "required: certificate and key go together"
	case "file":
		return "no such file"
	case "host_port":
		return "want HOST:PORT, such as 127.0.0.1:8443"
	case "ip|cidr":
		return "want addresses or prefixes, such as 10.0.0.7 or 10.0.0.0/8"
	case "url":
		return "want an absolute URL"
	case "oneof":
		return "want one of " + f.Param()
	case "cidr":
		return "want an address range, such as 10.20.0.0/16"
	case "unique":
		return "names something twice"
	case "max":
		return "at most " + f.Param()
	case "min":
		return "at least " + f.Param()
	case "len", "hexadecimal":
		return "want 64 hexadecimal digits, for example from: openssl rand -hex 32"
	default:
		return "does not hold: " + f.Tag() + " " + f.Param()
	}
}

func listenable(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// plainAddress reports whether an address, where there is one, can be compared letter by letter (RFC 8414 §2).
func plainAddress(address string) bool {
	if address == "" {
		return true
	}
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		!strings.ContainsAny(address, "?#") && !strings.HasSuffix(address, "/")
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// open reports a listener that would speak plain HTTP to a network, or an outside URL without TLS.
func open(l Listener, outside string) bool {
	if u, err := url.Parse(outside); outside != "" && (err != nil || u.Scheme == "http" && !local(u.Hostname())) {
		return true
	}
	if l.Address == "" || l.TLSCert != "" || l.Proxied {
		return false
	}
	host, _, err := net.SplitHostPort(l.Address)
	return err != nil || !local(host)
}

func local(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }
