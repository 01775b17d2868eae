package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const whole = `name: Harborview Clinic
data: /tmp/umaas
roles: [as, gateway, resolver, fhir]
health: "[::1]:9090"
as:
  issuer: http://localhost:8090
  listen: 127.0.0.1:8090
  rpt_lifetime: 5m
gateway:
  base: http://localhost:8091
  listen: 127.0.0.1:8091
  client_id: rs
  client_secret: from-file
`

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "umaas.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadOrder(t *testing.T) {
	path := file(t, whole)
	c, err := Load(path, []string{"PATH=/bin", "UMAAS_TEST_REQUIRE=all"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.AS.RPTLife != 5*time.Minute || c.Gateway.Secret != "from-file" || !c.Runs("resolver") || c.Runs("") {
		t.Errorf("file: %+v", c)
	}
	environ := []string{"UMAAS_CLIENT_SECRET=from-environment", "UMAAS_NAME=Environment", "UMAAS_ROLES=as, gateway,fhir"}
	if c, err = Load(path, environ, func(c *Config) { c.Name = "Flag" }); err != nil {
		t.Fatal(err)
	}
	if c.Gateway.Secret != "from-environment" || c.Name != "Flag" || c.Runs("resolver") || len(c.Roles) != 3 {
		t.Errorf("overrides: %+v", c)
	}
}

func TestLoadWithoutFile(t *testing.T) {
	c, err := Load("", []string{"UMAAS_NAME=x", "UMAAS_DATA=/d", "UMAAS_ROLES=as", "UMAAS_ISSUER=https://as.example", "UMAAS_AS_LISTEN=[::1]:8443"}, nil)
	if err != nil || c.AS.Address != "[::1]:8443" {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		environ    []string
		want       string
	}{
		{"unknown member", whole + "tpyo: 1\n", nil, "tpyo"},
		{"unknown nested member", strings.Replace(whole, "  issuer:", "  isuer: x\n  issuer:", 1), nil, "isuer"},
		{"member twice", whole + "name: again\n", nil, "name"},
		{"wrong type", strings.Replace(whole, "5m", "[1]", 1), nil, "rpt_lifetime"},
		{"no YAML", "\t:::", nil, "configuration"},
		{"unknown variable", whole, []string{"UMAAS_CLIENT_SECERT=hush"}, "no such setting: UMAAS_CLIENT_SECERT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(file(t, c.text), c.environ, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("want %q in: %v", c.want, err)
			}
			if strings.Contains(err.Error(), "hush") {
				t.Error("the error shows a value that may be secret")
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil, nil); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("missing file: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Config)
		want  string // a whole line
	}{
		{"zero value", func(c *Config) { *c = Config{} }, "name: required"},
		{"no roles", func(c *Config) { c.Roles = nil }, "roles: required"},
		{"unknown role", func(c *Config) { c.Roles = []string{"as", "root"} }, "roles[1]: want one of as gateway resolver fhir"},
		{"role twice", func(c *Config) { c.Roles = []string{"as", "as"} }, "roles: names something twice"},
		{"long name", func(c *Config) { c.Name = strings.Repeat("x", 61) }, "name: at most 60"},
		{"no issuer", func(c *Config) { c.AS.Issuer = "" }, "as.issuer: required where the role as runs"},
		{"issuer with slash", func(c *Config) { c.AS.Issuer += "/" }, "as.issuer: " + addressWords},
		{"issuer with query", func(c *Config) { c.AS.Issuer += "?x" }, "as.issuer: " + addressWords},
		{"issuer of another scheme", func(c *Config) { c.AS.Issuer = "ftp://localhost" }, "as.issuer: " + addressWords},
		{"plain issuer", func(c *Config) { c.AS.Issuer = "http://as.example" }, "as: " + openWords},
		{"open listener", func(c *Config) { c.AS.Address = "0.0.0.0:8090" }, "as: " + openWords},
		{"listener everywhere", func(c *Config) { c.Gateway.Address = ":8091" }, "gateway: " + openWords},
		{"no as.listen", func(c *Config) { c.AS.Address = "" }, "as.listen: required where the role as runs"},
		{"no port", func(c *Config) { c.AS.Address = "127.0.0.1" }, "as.listen: want HOST:PORT, such as 127.0.0.1:8443"},
		{"port too big", func(c *Config) { c.AS.Address = "127.0.0.1:70000" }, "as.listen: want HOST:PORT, such as 127.0.0.1:8443"},
		{"health", func(c *Config) { c.Health = "9090" }, "health: want HOST:PORT, such as 127.0.0.1:8443"},
		{"rpt too long", func(c *Config) { c.AS.RPTLife = 2 * time.Hour }, "as.rpt_lifetime: at most 1h"},
		{"undo too short", func(c *Config) { c.AS.Undo = time.Second }, "as.undo_window: at least 1m"},
		{"too much attention", func(c *Config) { c.AS.Attention.PerDay = 201 }, "as.attention.per_day: at most 200"},
		{"no attention", func(c *Config) { c.AS.Attention.PerClient = -1 }, "as.attention.per_client: at least 1"},
		{"rpt too short", func(c *Config) { c.AS.RPTLife = time.Second }, "as.rpt_lifetime: at least 10s"},
		{"certificate alone", func(c *Config) { c.AS.TLSCert = "/dev/null" }, "as.tls_key: required: certificate and key go together"},
		{"no such certificate", func(c *Config) { c.AS.TLSCert, c.AS.TLSKey = "/nowhere.crt", "/nowhere.key" }, "as.tls_cert: no such file"},
		{"base with path", func(c *Config) { c.Gateway.Base += "/fhir" }, "gateway.base: an origin alone, such as https://fhir.example.org; the FHIR base will be /fhir below it"},
		{"no base", func(c *Config) { c.Gateway.Base = "" }, "gateway.base: the origin as the outside sees it is required where the role gateway runs"},
		{"upstream", func(c *Config) { c.Gateway.Upstream = "ehr" }, "gateway.upstream: want an absolute URL"},
		{"no upstream", func(c *Config) { c.Roles = []string{"as", "gateway"} }, "gateway.upstream: name a FHIR base, or run the role fhir in this process"},
		{"profile of no one", func(c *Config) { c.Profile = "x" }, "profile: want one of heart"},
		{"heart with a secret", func(c *Config) { c.Profile = "heart" }, "gateway.client_secret: the HEART profile knows no shared secrets; give client_key, or let the gateway register itself"},
		{"mtls without address", func(c *Config) { c.AS.Proxies = []string{"10.0.0.1"} }, "as.mtls.base: the issuer's address as clients with certificates reach it is required"},
		{"mtls without door", func(c *Config) { c.AS.MTLS.Base = "https://mtls.example" }, "as.mtls: give listen with TLS files, or name the proxies that pass certificates on in as.client_cert_proxies"},
		{"mtls in the clear", func(c *Config) { c.AS.MTLS.Base, c.AS.MTLS.Address = "http://localhost:1", "127.0.0.1:1" }, "as.mtls: a listener that asks for certificates needs TLS files"},
		{"proxy by name", func(c *Config) { c.Gateway.Proxies = []string{"proxy.example"} }, "gateway.client_cert_proxies[0]: want addresses or prefixes, such as 10.0.0.7 or 10.0.0.0/8"},
		{"nonces", func(c *Config) { c.AS.Nonces = "some" }, "as.dpop_nonces: want one of off public all"},
		{"certificates without TLS", func(c *Config) { c.Gateway.AskCerts = true }, "gateway.client_certificates: certificates can be asked for only where the gateway itself speaks TLS"},
		{"half a client", func(c *Config) { c.Gateway.Secret = "" }, "gateway.client_id, gateway.client_secret: give both, from `umaas client add`, or none: then the gateway registers itself; client_key may take the place of the secret"},
		{"state key", func(c *Config) { c.Gateway.StateKey = "abc" }, "gateway.state_key: want 64 hexadecimal digits, for example from: openssl rand -hex 32"},
		{"foreign issuers", func(c *Config) { c.Gateway.Foreign = "all" }, "gateway.foreign_issuers: want one of none listed any"},
		{"listed without a list", func(c *Config) { c.Gateway.Foreign = "listed" }, "gateway.foreign_issuers: listed needs servers under gateway.issuers"},
		{"issuer for nothing", func(c *Config) { c.Gateway.Issuers = []Issuer{{Issuer: "https://b.example"}} }, "gateway.issuers[0]: is for nothing: say sign_in: true, or let patients choose it with gateway.foreign_issuers"},
		{"issuer twice", func(c *Config) { c.Gateway.Issuers = []Issuer{{Issuer: c.AS.Issuer, SignIn: true}} }, "gateway.issuers[0].issuer: named twice"},
		{"plain issuer elsewhere", func(c *Config) { c.Gateway.Issuers = []Issuer{{Issuer: "http://b.example", SignIn: true}} }, "gateway.issuers[0].issuer: " + addressWords},
		{"issuer without address", func(c *Config) { c.Gateway.Issuers = []Issuer{{SignIn: true}} }, "gateway.issuers[0].issuer: required"},
		{"half a client there", func(c *Config) {
			c.Gateway.Issuers = []Issuer{{Issuer: "https://b.example", SignIn: true, ClientID: "x"}}
		}, "gateway.issuers[0]: client_id and client_secret go together; without both the gateway registers itself"},
		{"fhir_user without sign_in", func(c *Config) {
			c.Gateway.Foreign, c.Gateway.Issuers = "any", []Issuer{{Issuer: "https://b.example", FHIRUser: true}}
		}, "gateway.issuers[0].fhir_user: only where sign_in is true"},
		{"private network", func(c *Config) { c.Gateway.ForeignPrivate = []string{"10.0.0.1"} }, "gateway.foreign_private_networks[0]: want an address range, such as 10.20.0.0/16"},
		{"resolver alone", func(c *Config) { c.Roles = []string{"as", "resolver"} }, "roles: resolver runs in the process of the gateway; name both"},
		{"fhir apart without a listener", func(c *Config) { c.Roles = []string{"fhir"} }, "fhir.listen: required where fhir runs without the gateway"},
		{"fhir without credential", func(c *Config) { c.FHIR.Address = "127.0.0.1:8092" }, "fhir.authorization: required where fhir listens: the header that only the gateway sends, the same as its upstream_authorization"},
		{"whose authorization server", func(c *Config) { c.Roles = []string{"gateway", "fhir"}; c.AS.Issuer = "" }, "gateway.issuer: which authorization server protects the records?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			good, err := Load(file(t, whole), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(&good)
			err = good.Check()
			if err == nil || !strings.Contains(err.Error()+"\n", "\n"+c.want+"\n") {
				t.Errorf("want the line %q in:\n%v", c.want, err)
			}
		})
	}
}

// TestCheckTellsEverything counts: one run of the command shows all there is to mend.
func TestCheckTellsEverything(t *testing.T) {
	err := Config{Roles: []string{"as", "gateway", "gateway"}, Health: "x"}.Check()
	if got := strings.Count(err.Error(), "\n"); got != 10 {
		t.Errorf("%d lines:\n%v", got, err)
	}
}

func TestBehindProxyMayListenAnywhere(t *testing.T) {
	c, err := Load(file(t, whole), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.AS.Issuer, c.AS.Address, c.AS.Proxied = "https://as.example", "0.0.0.0:8090", true
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// FuzzLoad holds that no text makes a configuration that is accepted and open: plain HTTP to a network.
func FuzzLoad(f *testing.F) {
	f.Add(whole)
	f.Add("a: &a [*a]")
	f.Add(strings.Replace(whole, "127.0.0.1:8090", "0.0.0.0:8090", 1))
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, nil, nil)
		if err != nil {
			return
		}
		if c.Runs("as") && (open(c.AS.Listener, c.AS.Issuer) || c.AS.Issuer == "") {
			t.Errorf("accepted an open door: %+v", c.AS)
		}
		if c.Name == "" || c.Data == "" || len(c.Roles) == 0 {
			t.Errorf("accepted without a required member: %+v", c)
		}
	})
}

func TestIssuers(t *testing.T) {
	c, err := Load(file(t, strings.Replace(whole, "gateway:\n", `gateway:
  foreign_issuers: listed
  foreign_private_networks: [10.20.0.0/16]
  issuers:
    - issuer: https://guard.example
    - {issuer: https://staff.example, client_id: rs, client_secret: hush, sign_in: true, fhir_user: true}
`, 1)), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []Issuer{{Issuer: "https://guard.example"}, {Issuer: "https://staff.example", ClientID: "rs", Secret: "hush", SignIn: true, FHIRUser: true}}
	if !slices.Equal(c.Gateway.Issuers, want) || c.Gateway.Foreign != "listed" || !slices.Equal(c.Gateway.ForeignPrivate, []string{"10.20.0.0/16"}) {
		t.Errorf("%+v", c.Gateway)
	}
	if c, err = Load(file(t, whole), nil, nil); err != nil || c.Gateway.Foreign != "" || c.Gateway.Issuers != nil {
		t.Errorf("the form with one issuer: %+v %v", c.Gateway, err)
	}
}
