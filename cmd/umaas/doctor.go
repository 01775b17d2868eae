package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/umaas/config"
	"github.com/umaas/umaas/umaas/uma"
)

func doctorCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check issuer, clock, TLS, redirects, upstream and reachability, and say what to mend",
		Long: `Checks a configuration against the world around it, without changing anything: data folder, certificates,
listeners, issuer, clock, redirects, gateway, FHIR server. Each line says what was tried and, where it failed, what to do.
Ends non-zero if anything must be mended. Run it beside the running server; what is not running yet is told as well.`,
		Example: "  umaas doctor --config umaas.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(file, os.Environ(), nil)
			if err != nil {
				return err
			}
			d := doctor{out: c.OutOrStdout(), http: &http.Client{
				Timeout:       5 * time.Second,
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}}
			return d.examine(c.Context(), cfg)
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	return c
}

type doctor struct {
	out  io.Writer
	http *http.Client
	bad  int
}

func (d *doctor) examine(ctx context.Context, c config.Config) error {
	d.check("data folder "+c.Data+" can be written", writable(c.Data), "create it, and give this user the right to write there")
	if c.Runs("as") {
		d.issuer(ctx, c.AS.Issuer)
		d.listener("as", c.AS.Listener)
		d.dropped(ctx, c)
	}
	if c.Runs("fhir") && !c.Runs("gateway") {
		d.listener("fhir", c.FHIR.Listener)
	}
	if c.Runs("gateway") {
		if c.Gateway.Issuer != "" && c.Gateway.Issuer != c.AS.Issuer {
			d.issuer(ctx, c.Gateway.Issuer)
		}
		for _, i := range c.Gateway.Issuers {
			d.issuer(ctx, i.Issuer)
			d.protects(ctx, i)
		}
		d.foreign(c.Gateway)
		d.listener("gateway", c.Gateway.Listener)
		d.reach(ctx, "gateway at "+c.Gateway.Base, c.Gateway.Base+"/.well-known/oauth-protected-resource", "start `umaas serve`, and lead this origin to gateway.listen")
		if c.Gateway.Upstream != "" {
			d.upstream(ctx, c.Gateway.Upstream, c.Gateway.Credential)
		}
	}
	if d.bad > 0 {
		return fmt.Errorf("to mend: %d", d.bad)
	}
	_, err := fmt.Fprintln(d.out, "all well")
	return err
}

func (d *doctor) check(what string, err error, mend string) {
	if err == nil {
		_, _ = fmt.Fprintf(d.out, "ok    %s\n", what) // a broken terminal ends the command elsewhere
		return
	}
	d.bad++
	_, _ = fmt.Fprintf(d.out, "MEND  %s: %v\n      → %s\n", what, err, mend)
}

func (d *doctor) issuer(ctx context.Context, issuer string) {
	res, body, err := d.get(ctx, issuer+uma.WellKnownUMA, "")
	switch {
	case err == nil && res.StatusCode >= 300 && res.StatusCode < 400:
		err = fmt.Errorf("it redirects to %s", res.Header.Get("Location"))
		d.check("issuer "+issuer+" answers", err, "apps follow no redirect here: as.issuer must be the final address")
		return
	case err == nil && res.StatusCode != http.StatusOK:
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	d.check("issuer "+issuer+" answers", err, mendReach(err, "start `umaas serve` with the role as, and lead this address to as.listen"))
	if err != nil {
		return
	}
	d.expiry(issuer, res)
	var m uma.Metadata
	err = json.Unmarshal(body, &m)
	if err == nil && m.Issuer != issuer {
		err = fmt.Errorf("it calls itself %q", m.Issuer)
	}
	d.check("issuer is who the configuration says", err, "as.issuer must be the address that apps use, letter by letter")
	if err == nil && !strings.HasPrefix(m.TokenEndpoint, issuer) {
		d.check("endpoints are below the issuer", fmt.Errorf("token endpoint is %s", m.TokenEndpoint), "a proxy rewrites addresses; forward paths unchanged")
	}
	date, err := http.ParseTime(res.Header.Get("Date"))
	if err == nil {
		if skew := time.Since(date).Abs(); skew > 30*time.Second {
			err = fmt.Errorf("clocks differ by %s", skew.Round(time.Second))
		}
	}
	d.check("clocks agree", err, "run a time service on both machines")
	d.plainHTTP(ctx, issuer)
}

// mendReach tells a certificate that is not trusted from a server that is not there.
func mendReach(err error, otherwise string) string {
	var bad *tls.CertificateVerificationError
	if errors.As(err, &bad) {
		return "get a certificate for this very name from an authority that apps trust, and put its whole chain into tls_cert"
	}
	return otherwise
}

// soon is how long before its end a certificate is to be renewed.
const soon = 14 * 24 * time.Hour

func (d *doctor) expiry(where string, res answerHead) {
	if res.TLS == nil || len(res.TLS.PeerCertificates) == 0 {
		return
	}
	var err error
	end := res.TLS.PeerCertificates[0].NotAfter
	if time.Until(end) < soon {
		err = fmt.Errorf("it ends on %s", end.Format(time.DateOnly))
	}
	d.check("certificate of "+where+" lasts", err, "renew it and restart `umaas serve`")
}

// files looks at what a listener will read, before it does.
func (d *doctor) files(role string, l config.Listener) {
	if l.TLSCert == "" {
		return
	}
	_, err := tls.LoadX509KeyPair(l.TLSCert, l.TLSKey)
	d.check(role+" has a certificate with its key", err, "tls_cert must be PEM with the chain, tls_key the PEM key that belongs to it, readable by this user")
}

// plainHTTP looks whether the unencrypted door of an https issuer redirects or is closed.
func (d *doctor) plainHTTP(ctx context.Context, issuer string) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" || u.Port() != "" {
		return
	}
	res, _, err := d.get(ctx, "http://"+u.Host+u.Path+uma.WellKnownUMA, "")
	if err == nil && res.StatusCode == http.StatusOK {
		d.check("plain http is closed or redirects", fmt.Errorf("http://%s serves the document", u.Host), "redirect http to https with 308, or close port 80")
		return
	}
	d.check("plain http is closed or redirects", nil, "")
}

func (d *doctor) listener(role string, l config.Listener) {
	d.files(role, l)
	ln, err := net.Listen("tcp", l.Address) //nolint:noctx // a local bind that is given back at once
	if err == nil {
		err = ln.Close()
	} else if strings.Contains(err.Error(), "in use") {
		err = nil // our own server, most likely: issuer and gateway checks tell
	}
	d.check(role+" can listen on "+l.Address, err, "choose an address of this machine and a port above 1023, or grant the right to bind")
}

func (d *doctor) reach(ctx context.Context, what, target, mend string) {
	res, _, err := d.get(ctx, target, "")
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	d.check(what+" answers", err, mendReach(err, mend))
}

func (d *doctor) upstream(ctx context.Context, base, credential string) {
	res, body, err := d.get(ctx, strings.TrimSuffix(base, "/")+"/metadata", credential)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	var statement struct {
		Type    string `json:"resourceType"`
		Version string `json:"fhirVersion"`
	}
	if err == nil {
		err = json.Unmarshal(body, &statement)
	}
	if err == nil && statement.Type != "CapabilityStatement" {
		err = fmt.Errorf("no CapabilityStatement")
	}
	d.check("FHIR server "+base+" answers", err, mendReach(err, "gateway.upstream must be the base below which /metadata lies; check upstream_authorization"))
	if err == nil && !strings.HasPrefix(statement.Version, "4.0") {
		d.check("FHIR server speaks R4", fmt.Errorf("it says %q", statement.Version), "the gateway judges R4 (4.0.x) alone")
	}
}

const documentLimit = 4 << 20

// answerHead is the head of an answer; its body has been read.
type answerHead struct {
	StatusCode int
	Header     http.Header
	TLS        *tls.ConnectionState
}

func (d *doctor) get(ctx context.Context, target, authorization string) (answerHead, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return answerHead{}, nil, err
	}
	req.Header.Set("Accept", "application/json, application/fhir+json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := d.http.Do(req)
	if err != nil {
		return answerHead{}, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, documentLimit))
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	return answerHead{StatusCode: res.StatusCode, Header: res.Header, TLS: res.TLS}, body, err
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Remove(f.Name())
}
