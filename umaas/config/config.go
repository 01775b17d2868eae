// Package config reads the configuration of `umaas serve`: a YAML file, then environment variables, then flags, each
// overriding the one before. Every mistake is reported at once; every zero value is safe; an unknown member refuses.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Config is the whole file. Roles chooses what one process runs; a role's section must be complete only where it runs.
type Config struct {
	Name    string   `yaml:"name" validate:"required,max=60"`                                            // the deployment, as people read it
	Data    string   `yaml:"data" validate:"required"`                                                   // folder of the stores
	Roles   []string `yaml:"roles" validate:"required,min=1,unique,dive,oneof=as gateway resolver fhir"` // resolver runs with gateway
	AS      AS       `yaml:"as"`
	Gateway Gateway  `yaml:"gateway"`
	FHIR    FHIR     `yaml:"fhir"`
	Profile string   `yaml:"profile" validate:"omitempty,oneof=heart"` // heart: HEART UMA2 and FHIR-UMA2, at both servers
	Health  string   `yaml:"health" validate:"omitempty,host_port"`    // address of /healthz and /readyz, on a listener of its own
}

// Listener is where a role listens. Without TLS files it must be on loopback, or behind a proxy that ends TLS.
type Listener struct {
	Address string `yaml:"listen" validate:"omitempty,host_port"`
	TLSCert string `yaml:"tls_cert" validate:"required_with=TLSKey,omitempty,file"`
	TLSKey  string `yaml:"tls_key" validate:"required_with=TLSCert,omitempty,file"`
	Proxied bool   `yaml:"behind_tls_proxy"`
}

// AS is the authorization server.
type AS struct {
	Listener `yaml:",inline"`
	Issuer   string        `yaml:"issuer" validate:"omitempty,url"`
	RPTLife  time.Duration `yaml:"rpt_lifetime" validate:"omitempty,min=10s,max=1h"`
	NoSync   bool          `yaml:"insecure_no_sync"` // benchmarks only: acknowledged writes may be lost
	Binding  `yaml:",inline"`
	MTLS     MTLS `yaml:"mtls"`

	Claims         Claims          `yaml:"claims"`
	TrustedIssuers []TrustedIssuer `yaml:"trusted_issuers" validate:"max=1000,dive"`
	Undo           time.Duration   `yaml:"undo_window" validate:"omitempty,min=1m,max=24h"` // how long an owner can take an answer back
	Attention      Attention       `yaml:"attention"`
}

// Attention is how much may come before an owner; 0 is the default.
type Attention struct {
	PerClient   int `yaml:"per_client" validate:"omitempty,min=1,max=200"`  // open requests of one unchecked app
	Unchecked   int `yaml:"unchecked" validate:"omitempty,min=1,max=200"`   // open requests of all unchecked apps
	PerParty    int `yaml:"per_party" validate:"omitempty,min=1,max=200"`   // open requests of one party over all owners
	PerDay      int `yaml:"per_day" validate:"omitempty,min=1,max=200"`     // new requests of one party to one owner in a day
	Invitations int `yaml:"invitations" validate:"omitempty,min=1,max=200"` // of one owner in a day
}

// Binding is what both servers can be told of key-bound tokens.
type Binding struct {
	Nonces  string   `yaml:"dpop_nonces" validate:"omitempty,oneof=off public all"` // whose DPoP proofs need a nonce; default off
	Proxies []string `yaml:"client_cert_proxies" validate:"dive,ip|cidr"`           // peers whose Client-Cert header counts (RFC 9440)
}

// MTLS is the authorization server's second door, which asks for client certificates (RFC 8705 §5). Without listen a proxy of
// client_cert_proxies is that door.
type MTLS struct {
	Listener `yaml:",inline"`
	Base     string `yaml:"base" validate:"omitempty,url"`        // the issuer as clients reach it there
	CAs      string `yaml:"client_cas" validate:"omitempty,file"` // PEM certificates that sign those of tls_client_auth clients
}

// Gateway is the resource server: gateway, context URLs and resolver.
type Gateway struct {
	Listener   `yaml:",inline"`
	Base       string `yaml:"base" validate:"omitempty,url"`     // origin as the outside sees it
	Upstream   string `yaml:"upstream" validate:"omitempty,url"` // FHIR base URL; empty: the embedded server of this process
	Credential string `yaml:"upstream_authorization"`            // Authorization header sent upstream
	Issuer     string `yaml:"issuer" validate:"omitempty,url"`   // the deployment's authorization server
	ClientID   string `yaml:"client_id"`                         // of this resource server; empty: registers itself
	Secret     string `yaml:"client_secret"`
	Key        string `yaml:"client_key" validate:"omitempty,file"`              // PEM file (PKCS #8, P-256 or RSA) in place of a secret: private_key_jwt
	StateKey   string `yaml:"state_key" validate:"omitempty,len=64,hexadecimal"` // encrypts protection tokens at rest; empty: kept in the data folder
	Binding    `yaml:",inline"`
	AskCerts   bool `yaml:"client_certificates"` // ask for them at this door: browsers may then ask their users
	// Issuers are authorization servers beside Issuer, which is the default and the custodian's.
	Issuers []Issuer `yaml:"issuers" validate:"dive"`
	// Foreign says which authorization server a patient may let guard her record: none but the deployment's own (the
	// default), those listed under issuers, or any she names.
	Foreign string `yaml:"foreign_issuers" validate:"omitempty,oneof=none listed any"`
	// ForeignPrivate are address ranges, beyond the public ones, in which foreign authorization servers may be.
	ForeignPrivate []string `yaml:"foreign_private_networks" validate:"dive,cidr"`
}

// Issuer is an authorization server beside the default one.
type Issuer struct {
	Issuer   string `yaml:"issuer" validate:"required,url"`
	ClientID string `yaml:"client_id"` // of this resource server there; empty: registers itself
	Secret   string `yaml:"client_secret"`
	SignIn   bool   `yaml:"sign_in"`   // people sign in with it at the resource server's pages; it is trusted like the default one
	FHIRUser bool   `yaml:"fhir_user"` // it may say which patient or practitioner a person is; with sign_in
}

// FHIR is the embedded FHIR server. It listens only where it runs apart from the gateway.
type FHIR struct {
	Listener   `yaml:",inline"`
	Base       string `yaml:"base" validate:"omitempty,url"` // FHIR base URL as the gateway addresses it; empty: from listen
	Credential string `yaml:"authorization"`                 // the Authorization header it insists on
}

// Runs reports a role.
func (c Config) Runs(role string) bool { return slices.Contains(c.Roles, role) }

// Load reads path ("" for none), then the environment, then applies flags, and checks the whole.
func Load(path string, environ []string, flags func(*Config)) (Config, error) {
	var c Config
	if path != "" {
		raw, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return Config{}, fmt.Errorf("configuration: %w", err)
		}
		d := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict(), yaml.DisallowUnknownField())
		if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return Config{}, fmt.Errorf("configuration %s:\n%w", path, err)
		}
	}
	if err := c.fromEnvironment(environ); err != nil {
		return Config{}, err
	}
	if flags != nil {
		flags(&c)
	}
	return c, c.Check()
}

// variables are the environment's names for what a container usually sets.
func (c *Config) variables() map[string]*string {
	return map[string]*string{
		"UMAAS_NAME": &c.Name, "UMAAS_DATA": &c.Data, "UMAAS_ISSUER": &c.AS.Issuer, "UMAAS_AS_LISTEN": &c.AS.Address,
		"UMAAS_GATEWAY_LISTEN": &c.Gateway.Address, "UMAAS_GATEWAY_BASE": &c.Gateway.Base, "UMAAS_UPSTREAM": &c.Gateway.Upstream,
		"UMAAS_UPSTREAM_AUTHORIZATION": &c.Gateway.Credential, "UMAAS_GATEWAY_ISSUER": &c.Gateway.Issuer,
		"UMAAS_CLIENT_ID": &c.Gateway.ClientID, "UMAAS_CLIENT_SECRET": &c.Gateway.Secret, "UMAAS_STATE_KEY": &c.Gateway.StateKey,
		"UMAAS_HEALTH": &c.Health, "UMAAS_FHIR_LISTEN": &c.FHIR.Address, "UMAAS_FHIR_AUTHORIZATION": &c.FHIR.Credential, "UMAAS_FHIR_BASE": &c.FHIR.Base,
	}
}

func (c *Config) fromEnvironment(environ []string) error {
	known := c.variables()
	var unknown []string
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		switch target, ok := known[name]; {
		case ok:
			*target = value
		case name == "UMAAS_ROLES":
			c.Roles = strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
		case strings.HasPrefix(name, "UMAAS_") && !strings.HasPrefix(name, "UMAAS_TEST"):
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return fmt.Errorf("environment: no such setting: %s", strings.Join(unknown, ", "))
	}
	return nil
}
