package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/cmd/umaas/server"
	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/config"
	"github.com/umaas/umaas/umaas/keys"
)

// operate is what the operator's commands share: where the configuration is, and how answers are printed.
type operate struct {
	file string
	json bool
}

func (o *operate) flags(c *cobra.Command) {
	c.PersistentFlags().StringVar(&o.file, "config", "", "configuration file (YAML); UMAAS_… variables count too")
	c.PersistentFlags().BoolVar(&o.json, "json", false, "print JSON")
}

// call runs one operation of a role, on the running server or on its store, and prints its answer.
func (o *operate) call(c *cobra.Command, at role, name string, in any, out any, show func(io.Writer)) error {
	cfg, err := config.Load(o.file, os.Environ(), nil)
	if err != nil {
		return err
	}
	if err := ask(c.Context(), cfg, at, name, in, out); err != nil {
		return err
	}
	if o.json {
		return printJSON(c.OutOrStdout(), out)
	}
	show(c.OutOrStdout())
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func ask(ctx context.Context, cfg config.Config, at role, name string, in, out any) error {
	caller, err := at(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(caller.Call(ctx, name, in, out), caller.Close())
}

// role leads to the process that runs a role, or to the role's store while none does.
type role func(context.Context, config.Config) (*control.Caller, error)

func atAS(ctx context.Context, cfg config.Config) (*control.Caller, error) {
	if !cfg.Runs("as") {
		return nil, errors.New("this configuration runs no authorization server (role as): give the one that does")
	}
	return control.Dial(ctx, cfg.Data, control.AS, func(ctx context.Context) (*control.Local, error) {
		binding, certificates, err := binding(cfg)
		if err != nil {
			return nil, err
		}
		as, err := server.NewAS(ctx, server.ASConfig{
			Profile: umaas.Profile(cfg.Profile), Binding: binding, Certificates: certificates, Issuer: cfg.AS.Issuer, Name: cfg.Name, Data: cfg.Data, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			Push: server.PushRule(cfg.AS.Claims), Issuers: server.Issuers(cfg.AS.TrustedIssuers),
		})
		if err != nil {
			return nil, err
		}
		return &control.Local{Operations: as.Operations(), Streams: as.Streams(), Close: as.Close}, nil
	})
}

func atGateway(ctx context.Context, cfg config.Config) (*control.Caller, error) {
	if !cfg.Runs("gateway") {
		return nil, errors.New("this configuration runs no gateway (role gateway): give the one that does")
	}
	return control.Dial(ctx, cfg.Data, control.Gateway, func(ctx context.Context) (*control.Local, error) {
		log := slog.New(slog.DiscardHandler)
		var embedded *fhirstore.Store
		closeStore := func() error { return nil }
		if cfg.Runs("fhir") {
			var err error
			if embedded, err = openEmbedded(cfg, log); err != nil {
				return nil, err
			}
			closeStore = embedded.Close
		}
		rc, err := gatewayConfig(cfg, embedded, log)
		if err != nil {
			return nil, errors.Join(err, closeStore())
		}
		rc.Idle = true
		rs, err := server.NewRS(ctx, rc)
		if err != nil {
			return nil, errors.Join(err, closeStore())
		}
		return &control.Local{Operations: rs.Operations(), Close: func() error { return errors.Join(rs.Close(), closeStore()) }}, nil
	})
}

func line(w io.Writer, cells ...any) {
	for i, c := range cells {
		if i > 0 {
			_, _ = fmt.Fprint(w, "\t") // a broken terminal shows elsewhere
		}
		_, _ = fmt.Fprint(w, c)
	}
	_, _ = fmt.Fprintln(w)
}

func group(use, short, long string, o *operate, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long + "\n\nWorks on the running server of the data folder, or on the store while none runs."}
	o.flags(c)
	c.AddCommand(subs...)
	return c
}

func userCommand() *cobra.Command {
	o := &operate{}
	var n server.NewUser
	add := &cobra.Command{
		Use: "add LOGIN", Short: "Add a person or an organization; the password is read from standard input", Args: cobra.ExactArgs(1),
		Example: "  umaas user add maria --name 'Maria Alvarez' --email maria@example.org --fhir-user Patient/123 --config umaas.yaml",
		RunE: func(c *cobra.Command, args []string) (err error) {
			n.Login = args[0]
			if !n.Organization {
				if n.Password, err = password(c.InOrStdin(), c.ErrOrStderr()); err != nil {
					return err
				}
			}
			var u server.UserView
			return o.call(c, atAS, "user-add", n, &u, func(w io.Writer) { line(w, u.Login, u.ID) })
		},
	}
	f := add.Flags()
	f.StringVar(&n.Name, "name", "", "full name")
	f.StringVar(&n.Email, "email", "", "e-mail address")
	f.BoolVar(&n.Verified, "verified", false, "the address was proved: it counts in policies")
	f.StringVar(&n.FHIRUser, "fhir-user", "", "who this is in the record, e.g. Patient/123 or Practitioner/7")
	f.BoolVar(&n.Admin, "admin", false, "may administer this server")
	f.BoolVar(&n.Organization, "organization", false, "an organization: no password, acts through a client")
	list := &cobra.Command{Use: "list", Short: "List accounts", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		var us []server.UserView
		return o.call(c, atAS, "user-list", struct{}{}, &us, func(w io.Writer) {
			for _, u := range us {
				line(w, called(u), u.Name, u.Email, u.FHIRUser, mark(u.Admin, "admin"), mark(u.Disabled, "locked"))
			}
		})
	}}
	show := &cobra.Command{Use: "show LOGIN", Short: "Show an account, also one without a login by its account id", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var u server.UserView
		return o.call(c, atAS, "user-show", server.Named{Name: args[0]}, &u, func(w io.Writer) {
			line(w, u.ID, u.Login, u.Name, u.Email, u.FHIRUser, mark(u.Admin, "admin"), mark(u.Disabled, "locked"))
			for _, i := range u.Identities {
				line(w, "known as", i)
			}
		})
	}}
	lock := func(use, short string, yes bool) *cobra.Command {
		return &cobra.Command{Use: use + " LOGIN", Short: short, Long: short + ".\n\nLOGIN is a login, or the account id of somebody without one (umaas user list shows it).", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			var u server.UserView
			return o.call(c, atAS, "user-lock", server.Named{Name: args[0], Yes: yes}, &u, func(w io.Writer) { line(w, called(u), mark(u.Disabled, "locked")) })
		}}
	}
	change := &cobra.Command{Use: "password LOGIN", Short: "Set a password, read from standard input", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		p, err := password(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return err
		}
		var u server.UserView
		return o.call(c, atAS, "user-password", server.Named{Name: args[0], Value: p}, &u, func(w io.Writer) { line(w, u.Login, "password set") })
	}}
	return group("user", "People and organizations", "Accounts of the authorization server.", o,
		add, list, show, lock("lock", "Lock an account: sessions, tokens and refresh end at once", true), lock("unlock", "Unlock an account", false), change)
}

// called is how commands name somebody: by login, or by account id where only an issuer knows her.
func called(u server.UserView) string {
	if u.Login == "" {
		return string(u.ID)
	}
	return u.Login
}

func clientCommand() *cobra.Command {
	o := &operate{}
	var n server.NewClient
	var auth, format, keyFile string
	add := &cobra.Command{
		Use: "add NAME", Short: "Register an app or a resource server; the secret is shown once", Args: cobra.ExactArgs(1),
		Example: `  umaas client add 'Flu Clinic' --claims-redirect https://app.example.org/claims --grant urn:ietf:params:oauth:grant-type:uma-ticket
  umaas client add 'Harborview FHIR' --scope uma_protection --grant client_credentials --account harborview --audience https://fhir.example.org`,
		RunE: func(c *cobra.Command, args []string) error {
			n.Name, n.AuthMethod, n.RPTFormat = args[0], umaas.AuthMethod(auth), umaas.RPTFormat(format)
			if keyFile != "" {
				var err error
				if n.JWKS, err = os.ReadFile(keyFile); err != nil { //nolint:gosec // the operator names the file
					return fmt.Errorf("--jwks: %w", err)
				}
			}
			var v server.ClientView
			return o.call(c, atAS, "client-add", n, &v, func(w io.Writer) {
				line(w, "client_id", v.ID)
				if v.Secret != "" {
					line(w, "client_secret", v.Secret)
					line(w, "(shown only now; the server keeps a hash)")
				}
			})
		},
	}
	f := add.Flags()
	f.StringVar(&auth, "auth", string(umaas.AuthSecretBasic), "none, client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth, self_signed_tls_client_auth")
	f.StringVar(&keyFile, "jwks", "", "file with the public keys (JSON Web Key Set), for private_key_jwt and self_signed_tls_client_auth")
	f.BoolVar(&n.DPoPBound, "dpop-bound", false, "it gets tokens bound to its DPoP key alone (RFC 9449)")
	f.BoolVar(&n.TLSBound, "tls-bound", false, "it gets tokens bound to its certificate alone (RFC 8705)")
	f.StringVar(&n.TLSSubject, "tls-subject", "", "tls_client_auth: subject of its certificate, such as CN=app,O=Clinic")
	f.StringVar(&n.TLSName, "tls-name", "", "tls_client_auth: dns:, uri:, ip: or email: and a name of its certificate, in place of the subject")
	f.StringArrayVar(&n.RedirectURIs, "redirect", nil, "redirect URI, exact (repeatable)")
	f.StringArrayVar(&n.ClaimsRedirectURIs, "claims-redirect", nil, "claims redirect URI, exact (repeatable)")
	f.StringArrayVar(&n.GrantTypes, "grant", nil, "grant type (repeatable)")
	f.StringArrayVar(&n.Scopes, "scope", nil, "scope the client may ask for by itself (repeatable)")
	f.StringArrayVar(&n.Audience, "audience", nil, "resource server: URL it answers for (repeatable)")
	f.StringVar(&format, "rpt-format", "", "resource server: opaque (default) or jwt")
	f.StringVar(&n.Account, "account", "", "login of the organization it acts for")
	f.BoolVar(&n.PushClaims, "push-claims", false, "its claim tokens are looked at; not for public clients")
	f.StringVar(&n.CheckedBy, "checked-by", "", "who vouches for it; consent pages say so")
	list := &cobra.Command{Use: "list", Short: "List clients", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		var vs []server.ClientView
		return o.call(c, atAS, "client-list", struct{}{}, &vs, func(w io.Writer) {
			for _, v := range vs {
				line(w, v.ID, v.Name, v.Kind, mark(v.Dynamic, "registered itself"), mark(v.Disabled, "disabled"))
			}
		})
	}}
	lock := func(use, short string, yes bool) *cobra.Command {
		return &cobra.Command{Use: use + " CLIENT_ID", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return o.call(c, atAS, "client-lock", server.Named{Name: args[0], Yes: yes}, &struct{}{}, func(w io.Writer) { line(w, args[0], use+"d") })
		}}
	}
	secret := &cobra.Command{Use: "secret CLIENT_ID", Short: "Replace the secret; the new one is shown once", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var n server.Named
		return o.call(c, atAS, "client-secret", server.Named{Name: args[0]}, &n, func(w io.Writer) { line(w, "client_secret", n.Value) })
	}}
	return group("client", "Apps and resource servers", "Clients of the authorization server.", o,
		add, list, lock("disable", "Disable a client: its tokens end at once", true), lock("enable", "Enable a client", false), secret, clientSetCommand(o))
}

func keyCommand() *cobra.Command {
	o := &operate{}
	run := func(use, short, op string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			var infos []keys.Info
			return o.call(c, atAS, op, struct{}{}, &infos, func(w io.Writer) {
				for _, k := range infos {
					line(w, k.ID, k.Alg, k.State, "made "+k.Created.Format(time.DateOnly), "so since "+k.Since.Format(time.DateOnly))
				}
			})
		}}
	}
	return group("key", "Signing keys", "The server rotates its keys by itself; rotate at once when one may be known to others.", o,
		run("list", "List keys, public parts alone", "key-list"), run("rotate", "Make the next key sign now", "key-rotate"))
}

func policyCommand() *cobra.Command {
	o := &operate{}
	list := &cobra.Command{Use: "list LOGIN", Short: "Whom somebody shares with, and what", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var ps []server.PolicyView
		return o.call(c, atAS, "policy-list", server.Named{Name: args[0]}, &ps, func(w io.Writer) {
			for _, p := range ps {
				line(w, p.ID, p.Who, p.App, strings.Join(p.What, "; "), date(p.Until, "no end"), date(p.Revoked, ""))
			}
		})
	}}
	stop := &cobra.Command{Use: "stop LOGIN POLICY", Short: "End a share; tokens on it end at once", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		var p server.PolicyView
		return o.call(c, atAS, "policy-stop", server.Named{Name: args[0], Value: args[1]}, &p, func(w io.Writer) { line(w, p.ID, "stopped") })
	}}
	return group("policy", "Policies in force", "What owners allow. Owners decide on their own pages; this is for help desks.", o, list, stop,
		exportPolicies(o), importPolicies(o), exportCommand(o), emergencyPolicy(o))
}

// password reads one line without showing it.
func password(in io.Reader, prompt io.Writer) (string, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		if _, err := fmt.Fprint(prompt, "secret (not shown): "); err != nil {
			return "", err
		}
		raw, err := term.ReadPassword(int(f.Fd()))
		return string(raw), err
	}
	s, err := bufio.NewReader(io.LimitReader(in, 1<<16)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if s = strings.TrimRight(s, "\r\n"); s == "" {
		return "", errors.New("nothing to read on standard input")
	}
	return s, nil
}

func mark(yes bool, word string) string {
	if yes {
		return word
	}
	return ""
}

func date(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.Format(time.DateOnly)
}
