package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"
	"github.com/goccy/go-yaml"
)

// profileLimit bounds a profile file.
const profileLimit = 1 << 20

// ReadProfile reads a profile file. ${NAME} in it is replaced by the environment variable, so that secrets need not stand
// in the file.
func ReadProfile(file string) (Profile, error) {
	raw, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return Profile{}, fmt.Errorf("profile: %w", err)
	}
	p, err := ParseProfile(raw, os.LookupEnv)
	if err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", file, err)
	}
	return p, nil
}

// ParseProfile reads a profile strictly and tells all mistakes at once: members it does not know, values that make no
// sense, variables that are not set.
func ParseProfile(raw []byte, environment func(string) (string, bool)) (Profile, error) {
	var p Profile
	if len(raw) > profileLimit {
		return p, errors.New("larger than 1 MiB")
	}
	raw, unset := expand(raw, environment)
	if len(unset) > 0 {
		return p, fmt.Errorf("set these environment variables: %s", strings.Join(unset, ", "))
	}
	if err := decodeYAML(raw, &p); err != nil {
		return p, err
	}
	p.defaults()
	return p, errors.Join(p.mistakes()...)
}

// decodeYAML is strict; the YAML library may panic on hostile input, which must not take a run down.
func decodeYAML(raw []byte, into any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no YAML: %v", r)
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(raw), yaml.Strict())
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty")
		}
		return errors.New(yaml.FormatError(err, false, false))
	}
	return nil
}

// expand replaces ${NAME}; it names the variables that are not set.
func expand(raw []byte, environment func(string) (string, bool)) (_ []byte, unset []string) {
	var out bytes.Buffer
	rest := raw
	for {
		before, after, found := bytes.Cut(rest, []byte("${"))
		out.Write(before)
		if !found {
			return out.Bytes(), unset
		}
		name, tail, closed := bytes.Cut(after, []byte("}"))
		if !closed || !variable(string(name)) {
			out.WriteString("${")
			rest = after
			continue
		}
		value, ok := environment(string(name))
		if !ok && !slices.Contains(unset, string(name)) {
			unset = append(unset, string(name))
		}
		out.WriteString(value)
		rest = tail
	}
}

func variable(name string) bool {
	for i, c := range name {
		if (c < 'A' || c > 'Z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func (p *Profile) defaults() {
	if p.MaxWait == 0 {
		p.MaxWait = Duration(5 * time.Second)
	}
	if p.Timeout == 0 {
		p.Timeout = Duration(20 * time.Second)
	}
	if len(p.Scopes) == 0 {
		p.Scopes = []string{"view", "print", "add", "crop"}
	}
	if p.PAT.Scope == "" {
		p.PAT.Scope = "uma_protection"
	}
	if p.PAT.How == "" {
		p.PAT.How = "authorization_code"
	}
	if p.Party.How == "" {
		p.Party.How = "none"
	}
	if p.Clients.CallbackHost == "" {
		p.Clients.CallbackHost = "https://conformance.invalid"
	}
	p.Issuer = strings.TrimSuffix(p.Issuer, "/")
}

// mistakes are what the types alone do not say.
func (p *Profile) mistakes() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	var invalid validator.ValidationErrors
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		return name
	})
	if err := v.Struct(p); errors.As(err, &invalid) {
		for _, f := range invalid {
			bad("%s: not valid: %s", strings.TrimPrefix(f.Namespace(), "Profile."), wanted(f))
		}
	} else if err != nil {
		bad("%w", err)
	}
	u, err := url.Parse(p.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		bad("issuer: want an absolute http or https URL")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		bad("issuer: http is for loopback addresses; a server elsewhere is reached over https")
	case p.TLS.Insecure && !loopback(u.Hostname()):
		bad("tls.insecure: only for a loopback issuer; name the certificate authority in tls.ca_file")
	}
	if n := len(p.Scopes); n < 4 {
		bad("scopes: want at least four names, got %d", n)
	}
	for _, n := range p.Offers {
		if _, ok := needWords[n]; !ok {
			bad("offers: %q is unknown; know %s", n, strings.Join(needNames(), ", "))
		}
	}
	for n, why := range p.Absent {
		if _, ok := needWords[n]; !ok {
			bad("absent: %q is unknown; know %s", n, strings.Join(needNames(), ", "))
		}
		if strings.TrimSpace(why) == "" {
			bad("absent.%s: say why, people will read it", n)
		}
	}
	for name := range p.People {
		if !slices.Contains([]string{Alice, Carol, Bob, Dave}, name) {
			bad("people.%s: the suite knows alice and carol (owners), bob and dave (requesting parties)", name)
		}
	}
	for name, how := range p.Clients.Given {
		if how.Method == methodKey && how.KeyFile == "" && how.Key == nil {
			bad("clients.given.%s: private_key_jwt needs key_file, the private key as a JWK or PEM", name)
		}
		if !slices.Contains([]string{C1, C2, P1, RS1, RS2}, name) {
			bad("clients.given.%s: the suite knows C1, C2, P1, RS1 and RS2", name)
		}
	}
	if p.Party.How == "claim_token" && (p.Party.Format == "" || p.Party.From == "") {
		bad("party: claim_token needs format and from (hook or provider)")
	}
	if p.Party.From == "provider" && p.Push.Listen == "" {
		bad("party.from: provider needs claim_push.listen")
	}
	if p.PAT.How == "hook" && p.Hooks.PAT == nil {
		bad("pat.how: hook needs hooks.pat")
	}
	for _, address := range []string{p.Push.Listen, p.RS.Listen} {
		if host, _, err := net.SplitHostPort(address); address != "" && (err != nil || !loopback(host)) {
			bad("listen: %q: the suite listens on loopback addresses alone", address)
		}
	}
	for i, s := range p.Pages {
		if len(s.Inputs) == 0 && s.Button == "" && s.Link == "" {
			bad("pages[%d] (%s): name inputs, a button or a link by which its page is known", i, s.Name)
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func wanted(f validator.FieldError) string {
	if f.Param() == "" {
		return f.Tag()
	}
	return f.Tag() + " " + f.Param()
}

func needNames() []string {
	var out []string
	for _, n := range Needs() {
		out = append(out, string(n))
	}
	return out
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// At is the profile for another issuer, with the same rules for it.
func (p Profile) At(issuer string) (Profile, error) {
	p.Issuer = issuer
	p.defaults()
	return p, errors.Join(p.mistakes()...)
}
