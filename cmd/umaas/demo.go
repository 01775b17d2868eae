package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

func demoCommand() *cobra.Command {
	o := demo.Options{}
	var asJSON, walk, verbose, second bool
	c := &cobra.Command{
		Use: "demo", Short: "The whole idea on this machine: servers, sample people, the Flu Clinic app", Args: cobra.NoArgs,
		Long: `Starts the authorization server, the gateway with its resolver before an embedded FHIR server, and the
Flu Clinic app, each on an origin of its own on loopback. Prints addresses and people to sign in as.

Then: open the Flu Clinic, connect the hospital, sign in, decide what to share. Open the owner's pages in
another window to see requests, narrow them, and stop sharing.

Everything lives in a folder that is thrown away at the end, unless --data names one to keep.`,
		Example: `  umaas demo
  umaas demo --walk                    take the main job by itself, tell each step, exit
  umaas demo --walk --dpop             the same with tokens that are worth nothing without the app's key
  umaas demo --load ./bundles          your own FHIR bundles; people are made for the patients in them
  umaas demo --second-issuer           one patient's record is guarded by another authorization server
  umaas demo --json | jq .people       one line for scripts, at readiness`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			remove := func() error { return nil }
			if o.Data == "" {
				if o.Data, err = os.MkdirTemp("", "umaas-demo-"); err != nil {
					return err
				}
				remove = func() error { return os.RemoveAll(o.Data) }
			}
			if second {
				o.Second = "listed"
			}
			o.Logger = slog.New(slog.DiscardHandler)
			if verbose {
				o.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			}
			if walk && !c.Flags().Changed("port") {
				o.Port = 0 // a walk needs no known address
			}
			o.Progress = steps(c.ErrOrStderr())
			d, err := demo.Start(c.Context(), o)
			if err != nil {
				return errors.Join(err, remove())
			}
			switch {
			case walk:
				err = (&demo.Walk{World: d.World, DPoP: o.DPoP, Out: c.OutOrStdout(), Transport: http.DefaultTransport}).Run(c.Context())
			case asJSON:
				err = errors.Join(json.NewEncoder(c.OutOrStdout()).Encode(d.World), d.Wait(c.Context()))
			default:
				welcome(c.OutOrStdout(), d.World)
				err = d.Wait(c.Context())
			}
			return errors.Join(err, d.Close(), remove())
		},
	}
	f := c.Flags()
	f.StringVar(&o.Data, "data", "", "folder to keep; one that holds a demo goes on where it stopped")
	f.StringVar(&o.Load, "load", "", "folder of FHIR bundles instead of the sample people")
	f.IntVar(&o.Port, "port", 8090, "authorization server's port; the next two are the resource server's and the app's; 0: any")
	f.StringVar(&o.RPTFormat, "rpt-format", "", "opaque (default) or jwt")
	f.BoolVar(&o.DPoP, "dpop", false, "the app binds its tokens to a key of its own (RFC 9449)")
	f.BoolVar(&asJSON, "json", false, "print one line of JSON at readiness")
	f.BoolVar(&walk, "walk", false, "take the main job by itself and exit")
	f.BoolVar(&second, "second-issuer", false, "start a second authorization server, which one patient lets guard her record")
	f.BoolVar(&verbose, "verbose", false, "log to standard error")
	return c
}

// steps tells on a terminal what is being done, so that a wait explains itself.
func steps(w io.Writer) func(string) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func(s string) { _, _ = fmt.Fprintln(f, "  "+s+" …") }
}

func welcome(out io.Writer, w demo.World) {
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) } // a terminal
	say("")
	say("  Flu Clinic, the app          %s", w.Clinic)
	say("  Your pages: share, decide    %s/me", w.Issuer)
	say("  Connect links                %s/connect", w.RS)
	say("  FHIR base, protected         %s", w.FHIRBase)
	say("  Authorization server         %s", w.Issuer)
	say("")
	if s := w.Second; s != nil {
		say("  Another guard's pages        %s/me", s.Issuer)
		say("    guards the record of %s, who signs in there as %s, password %s", s.Person.Name, s.Person.Login, s.Person.Password)
		say("    who guards my record       %s/guard", w.RS)
		say("")
	}
	say("  %-20s %-10s %-14s %s", "Sign in as", "user name", "password", "who")
	for _, p := range w.People {
		who := p.FHIRUser
		if len(p.Children) > 0 {
			who += ", parent of " + strings.Join(p.Children, ", ")
		}
		say("  %-20s %-10s %-14s %s", p.Name, p.Login, p.Password, who)
	}
	say("  %-20s %-10s %-14s %s", w.Admin.Name, w.Admin.Login, w.Admin.Password, "administers this server")
	say("")
	say("  Data: %s      Stop with Ctrl-C.", w.Data)
}
