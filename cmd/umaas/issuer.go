package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
)

// dropped marks an issuer that the configuration file named once.
const dropped = "disabled (not in the file any more)"

func issuerCommand() *cobra.Command {
	o := &operate{}
	scan := &cobra.Command{
		Use: "scan ISSUER", Short: "Read what an issuer says of itself; nothing is trusted by that", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var s server.ScannedIssuer
			return o.call(c, atAS, "issuer-scan", server.Named{Name: args[0]}, &s, func(w io.Writer) {
				line(w, "issuer", s.Issuer)
				line(w, "jwks_uri", s.JWKSURI)
				line(w, "algorithms", strings.Join(s.Algorithms, " "))
				if len(s.Unusual) > 0 {
					line(w, "never accepted here", strings.Join(s.Unusual, " "))
				}
				line(w, "claims", strings.Join(s.Claims, " "))
				line(w, "acr_values", strings.Join(s.ACRs, " "))
			})
		},
	}
	lock := func(use, short string, yes bool) *cobra.Command {
		return &cobra.Command{Use: use + " ISSUER", Short: short, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return o.call(c, atAS, "issuer-lock", server.Named{Name: args[0], Yes: yes}, &struct{}{}, func(w io.Writer) { line(w, args[0], use+"d") })
		}}
	}
	remove := &cobra.Command{Use: "remove ISSUER", Short: "Forget an issuer", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return o.call(c, atAS, "issuer-remove", server.Named{Name: args[0]}, &struct{}{}, func(w io.Writer) { line(w, args[0], "removed") })
	}}
	list := &cobra.Command{Use: "list", Short: "List trusted issuers", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		var vs []server.IssuerView
		return o.call(c, atAS, "issuer-list", server.Named{}, &vs, func(w io.Writer) {
			for _, v := range vs {
				line(w, v.Issuer, v.Name, strings.Join(v.Uses, ","), strings.Join(v.Claims, ","), mark(v.Disabled && !v.Dropped, "disabled")+mark(v.Dropped, dropped))
			}
		})
	}}
	show := &cobra.Command{Use: "show ISSUER", Short: "Show what is trusted of an issuer", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var vs []server.IssuerView
		return o.call(c, atAS, "issuer-list", server.Named{Name: args[0]}, &vs, func(w io.Writer) {
			for _, v := range vs {
				for _, row := range [][2]string{
					{"issuer", v.Issuer}, {"name", v.Name}, {"uses", strings.Join(v.Uses, " ")}, {"claims", strings.Join(v.Claims, " ")},
					{"email_domains", strings.Join(v.EmailDomains, " ")}, {"algorithms", strings.Join(v.Algorithms, " ")}, {"keys", v.Keys}, {"jwks_uri", v.JWKSURI},
					{"audience", v.Audience}, {"shares_clients", mark(v.ClientAudience, "yes")}, {"acr_values", strings.Join(v.ACRs, " ")},
					{"disabled", mark(v.Disabled && !v.Dropped, "yes") + mark(v.Dropped, "yes: as.trusted_issuers names it no more")}, {"since", date(v.Created, "")},
				} {
					if row[1] != "" {
						line(w, row[0], row[1])
					}
				}
			}
		})
	}}
	return group("issuer", "Issuers whose word about people counts", `Trust is by use (id-token, claims, permission-ticket, sign-in) and by claim (org, pro, email, er, …): an issuer is believed on
what is listed here and on nothing else. Disabling one ends at once what rests on its word: sign-ins, claim tokens, grants.`, o,
		addIssuer(o), list, show, lock("disable", "Trust an issuer no more, for now", true), lock("enable", "Trust an issuer again", false), remove, scan)
}

// addIssuer adds an issuer, or replaces what is trusted of one.
func addIssuer(o *operate) *cobra.Command {
	var n server.NewIssuer
	var keys string
	add := &cobra.Command{
		Use: "add ISSUER", Short: "Trust an issuer, or change what it is trusted for", Args: cobra.ExactArgs(1),
		Example: `  umaas issuer add https://login.hospital.example --name 'Example Hospital' --use id-token --use sign-in --claim org --claim email --email-domain hospital.example --scan`,
		RunE: func(c *cobra.Command, args []string) error {
			n.Issuer = args[0]
			if keys != "" {
				raw, err := os.ReadFile(keys) //nolint:gosec // the operator names the file
				if err != nil {
					return fmt.Errorf("key set: %w", err)
				}
				n.JWKS = string(raw)
			}
			var v server.IssuerView
			return o.call(c, atAS, "issuer-put", n, &v, func(w io.Writer) { line(w, v.Issuer, v.Name, strings.Join(v.Uses, ","), strings.Join(v.Claims, ",")) })
		},
	}
	f := add.Flags()
	f.StringVar(&n.Name, "name", "", "as people know it")
	f.StringArrayVar(&n.Uses, "use", nil, "id-token, claims, permission-ticket, sign-in (repeatable)")
	f.StringArrayVar(&n.Claims, "claim", nil, "claim it is believed on, e.g. org (repeatable)")
	f.StringArrayVar(&n.EmailDomains, "email-domain", nil, "domain whose addresses identify people by its word (repeatable)")
	f.StringArrayVar(&n.Algorithms, "algorithm", nil, "signature algorithm; default ES256 and RS256, with --scan what it offers (repeatable)")
	f.StringVar(&n.JWKSURI, "jwks-uri", "", "where its public keys are")
	f.StringVar(&keys, "jwks", "", "file with its public keys, in place of --jwks-uri")
	f.StringVar(&n.Audience, "audience", "", "aud of its tokens for us; default our issuer identifier")
	f.BoolVar(&n.ClientAudience, "shares-clients", false, "its tokens for one of our clients count when that client pushes them")
	f.StringArrayVar(&n.ACRs, "acr", nil, "acr value of it that counts here (repeatable)")
	f.BoolVar(&n.Scan, "scan", false, "read addresses and algorithms from its openid-configuration")
	return add
}

// clientSetCommand changes what an administrator may say of a client.
func clientSetCommand(o *operate) *cobra.Command {
	var push bool
	set := &cobra.Command{
		Use: "set CLIENT_ID", Short: "Change a client", Args: cobra.ExactArgs(1),
		Example: "  umaas client set c_… --push-claims",
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("push-claims") {
				return fmt.Errorf("nothing to change: give --push-claims or --push-claims=false")
			}
			return o.call(c, atAS, "client-push", server.Named{Name: args[0], Yes: push}, &struct{}{}, func(w io.Writer) {
				line(w, args[0], map[bool]string{true: "may push claims", false: "may not push claims"}[push])
			})
		},
	}
	set.Flags().BoolVar(&push, "push-claims", false, "look at claim tokens it pushes; not for public clients")
	return set
}

// exportCommand writes a share as a permission ticket, for an owner at the help desk.
func exportCommand(o *operate) *cobra.Command {
	var order server.TicketOrder
	export := &cobra.Command{
		Use: "ticket LOGIN POLICY", Short: "Write a share as a SMART Permission Ticket for another data holder", Args: cobra.ExactArgs(2),
		Long: `The ticket says what the share says, ends with it, and is revoked when the share is stopped or narrowed. It can be shown
only by the holder of the key with the given thumbprint.`,
		RunE: func(c *cobra.Command, args []string) error {
			order.Login, order.Policy = args[0], args[1]
			var n server.Named
			return o.call(c, atAS, "ticket-export", order, &n, func(w io.Writer) { line(w, n.Value) })
		},
	}
	f := export.Flags()
	f.StringVar(&order.Audience, "audience", "", "issuer identifier of the server that will be shown the ticket")
	f.StringVar(&order.JKT, "jkt", "", "RFC 7638 thumbprint of the bearer's key")
	f.DurationVar(&order.Life, "life", 0, "how long it is good, at most until the share ends (default a day)")
	return export
}
