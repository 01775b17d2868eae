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
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/cmd/umaas/server"
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

// call runs one operation, on the running server or on the store, and prints its answer.
func (o *operate) call(c *cobra.Command, name string, in any, out any, show func(io.Writer)) error {
	caller, err := o.dial(c.Context())
	if err != nil {
		return err
	}
	err = caller.Call(c.Context(), name, in, out)
	if err := errors.Join(err, caller.Close()); err != nil {
		return err
	}
	if o.json {
		e := json.NewEncoder(c.OutOrStdout())
		e.SetIndent("", "  ")
		return e.Encode(out)
	}
	show(c.OutOrStdout())
	return nil
}

func (o *operate) dial(ctx context.Context) (*control.Caller, error) {
	cfg, err := config.Load(o.file, os.Environ(), nil)
	if err != nil {
		return nil, err
	}
	if !cfg.Runs("as") {
		return nil, errors.New("this configuration runs no authorization server (role as)")
	}
	return control.Dial(ctx, cfg.Data, func(ctx context.Context) (*control.Local, error) {
		as, err := server.NewAS(ctx, server.ASConfig{Issuer: cfg.AS.Issuer, Name: cfg.Name, Data: cfg.Data, Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		return &control.Local{Operations: as.Operations(), Streams: as.Streams(), Close: as.Close}, nil
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
			return o.call(c, "user-add", n, &u, func(w io.Writer) { line(w, u.Login, u.ID) })
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
		return o.call(c, "user-list", struct{}{}, &us, func(w io.Writer) {
			for _, u := range us {
				line(w, u.Login, u.Name, u.Email, u.FHIRUser, mark(u.Admin, "admin"), mark(u.Disabled, "locked"))
			}
		})
	}}
	lock := func(use, short string, yes bool) *cobra.Command {
		return &cobra.Command{Use: use + " LOGIN", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			var u server.UserView
			return o.call(c, "user-lock", server.Named{Name: args[0], Yes: yes}, &u, func(w io.Writer) { line(w, u.Login, mark(u.Disabled, "locked")) })
		}}
	}
	change := &cobra.Command{Use: "password LOGIN", Short: "Set a password, read from standard input", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		p, err := password(c.InOrStdin(), c.ErrOrStderr())
		if err != nil {
			return err
		}
		var u server.UserView
		return o.call(c, "user-password", server.Named{Name: args[0], Value: p}, &u, func(w io.Writer) { line(w, u.Login, "password set") })
	}}
	return group("user", "People and organizations", "Accounts of the authorization server.", o,
		add, list, lock("lock", "Lock an account: sessions, tokens and refresh end at once", true), lock("unlock", "Unlock an account", false), change)
}

func clientCommand() *cobra.Command {
	o := &operate{}
	var n server.NewClient
	var auth, format string
	add := &cobra.Command{
		Use: "add NAME", Short: "Register an app or a resource server; the secret is shown once", Args: cobra.ExactArgs(1),
		Example: `  umaas client add 'Flu Clinic' --claims-redirect https://app.example.org/claims --grant urn:ietf:params:oauth:grant-type:uma-ticket
  umaas client add 'Harborview FHIR' --scope uma_protection --grant client_credentials --account harborview --audience https://fhir.example.org`,
		RunE: func(c *cobra.Command, args []string) error {
			n.Name, n.AuthMethod, n.RPTFormat = args[0], umaas.AuthMethod(auth), umaas.RPTFormat(format)
			var v server.ClientView
			return o.call(c, "client-add", n, &v, func(w io.Writer) {
				line(w, "client_id", v.ID)
				if v.Secret != "" {
					line(w, "client_secret", v.Secret)
					line(w, "(shown only now; the server keeps a hash)")
				}
			})
		},
	}
	f := add.Flags()
	f.StringVar(&auth, "auth", string(umaas.AuthSecretBasic), "none, client_secret_basic, client_secret_post")
	f.StringArrayVar(&n.RedirectURIs, "redirect", nil, "redirect URI, exact (repeatable)")
	f.StringArrayVar(&n.ClaimsRedirectURIs, "claims-redirect", nil, "claims redirect URI, exact (repeatable)")
	f.StringArrayVar(&n.GrantTypes, "grant", nil, "grant type (repeatable)")
	f.StringArrayVar(&n.Scopes, "scope", nil, "scope the client may ask for by itself (repeatable)")
	f.StringArrayVar(&n.Audience, "audience", nil, "resource server: URL it answers for (repeatable)")
	f.StringVar(&format, "rpt-format", "", "resource server: opaque (default) or jwt")
	f.StringVar(&n.Account, "account", "", "login of the organization it acts for")
	f.StringVar(&n.CheckedBy, "checked-by", "", "who vouches for it; consent pages say so")
	list := &cobra.Command{Use: "list", Short: "List clients", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		var vs []server.ClientView
		return o.call(c, "client-list", struct{}{}, &vs, func(w io.Writer) {
			for _, v := range vs {
				line(w, v.ID, v.Name, v.Kind, mark(v.Dynamic, "registered itself"), mark(v.Disabled, "disabled"))
			}
		})
	}}
	lock := func(use, short string, yes bool) *cobra.Command {
		return &cobra.Command{Use: use + " CLIENT_ID", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return o.call(c, "client-lock", server.Named{Name: args[0], Yes: yes}, &struct{}{}, func(w io.Writer) { line(w, args[0], use+"d") })
		}}
	}
	secret := &cobra.Command{Use: "secret CLIENT_ID", Short: "Replace the secret; the new one is shown once", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var n server.Named
		return o.call(c, "client-secret", server.Named{Name: args[0]}, &n, func(w io.Writer) { line(w, "client_secret", n.Value) })
	}}
	return group("client", "Apps and resource servers", "Clients of the authorization server.", o,
		add, list, lock("disable", "Disable a client: its tokens end at once", true), lock("enable", "Enable a client", false), secret)
}

func keyCommand() *cobra.Command {
	o := &operate{}
	show := func(infos []keys.Info) func(io.Writer) {
		return func(w io.Writer) {
			for _, k := range infos {
				line(w, fmt.Sprintf("%+v", k))
			}
		}
	}
	run := func(use, short, op string) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			var infos []keys.Info
			return o.call(c, op, struct{}{}, &infos, func(w io.Writer) { show(infos)(w) })
		}}
	}
	return group("key", "Signing keys", "The server rotates its keys by itself; rotate at once when one may be known to others.", o,
		run("list", "List keys, public parts alone", "key-list"), run("rotate", "Make the next key sign now", "key-rotate"))
}

func policyCommand() *cobra.Command {
	o := &operate{}
	list := &cobra.Command{Use: "list LOGIN", Short: "Whom somebody shares with, and what", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var ps []server.PolicyView
		return o.call(c, "policy-list", server.Named{Name: args[0]}, &ps, func(w io.Writer) {
			for _, p := range ps {
				line(w, p.ID, p.Who, p.App, strings.Join(p.What, "; "), date(p.Until, "no end"), date(p.Revoked, ""))
			}
		})
	}}
	stop := &cobra.Command{Use: "stop LOGIN POLICY", Short: "End a share; tokens on it end at once", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		var p server.PolicyView
		return o.call(c, "policy-stop", server.Named{Name: args[0], Value: args[1]}, &p, func(w io.Writer) { line(w, p.ID, "stopped") })
	}}
	return group("policy", "Policies in force", "What owners allow. Owners decide on their own pages; this is for help desks.", o, list, stop)
}

func explainCommand() *cobra.Command {
	o := &operate{}
	c := &cobra.Command{
		Use: "explain", Short: "Why does a token allow what it allows? The token is read from standard input", Args: cobra.NoArgs,
		Long:    "Tells each step of the decision behind a token: grant, parties, policies, what is left today and why.",
		Example: "  umaas explain --config umaas.yaml < token.txt",
		RunE: func(c *cobra.Command, _ []string) error {
			token, err := password(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			var e umaas.Explanation
			return o.call(c, "explain", server.Named{Value: token}, &e, func(w io.Writer) {
				raw, err := json.MarshalIndent(e, "", "  ")
				if err == nil {
					line(w, string(raw))
				}
			})
		},
	}
	o.flags(c)
	return c
}

func backupCommand() *cobra.Command {
	o := &operate{}
	c := &cobra.Command{
		Use: "backup FILE", Short: "Copy the authorization server's store, also while it serves", Args: cobra.ExactArgs(1),
		Long: "Writes a consistent copy as it stands at one moment. FILE must not exist; \"-\" writes to standard output.",
		RunE: func(c *cobra.Command, args []string) error {
			caller, err := o.dial(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(writeNew(args[0], c.OutOrStdout(), func(w io.Writer) error { return caller.Stream(c.Context(), "backup", w) }), caller.Close())
		},
	}
	o.flags(c)
	return c
}

// writeNew writes a file that did not exist, whole or not at all.
func writeNew(path string, stdout io.Writer, write func(io.Writer) error) error {
	if path == "-" {
		return write(stdout)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

func restoreCommand() *cobra.Command {
	o := &operate{}
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into an empty data folder", Args: cobra.ExactArgs(1),
		Long: "Checks the copy and its schema before anything is put in place. An existing store is never overwritten: move it away first.",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(o.file, os.Environ(), nil)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0]) //nolint:gosec // the operator names the file
			if err != nil {
				return err
			}
			if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
				return errors.Join(err, f.Close())
			}
			return errors.Join(server.Restore(filepath.Join(cfg.Data, server.StoreFile), f), f.Close())
		},
	}
	o.flags(c)
	return c
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
