package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
)

// delegationCommand is for those who cannot decide themselves: owners who can let others act on their own pages.
func delegationCommand() *cobra.Command {
	o := &operate{}
	list := &cobra.Command{Use: "list LOGIN", Short: "Who acts for somebody", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		var ds []server.DelegationView
		return o.call(c, atAS, "delegation-list", server.Named{Name: args[0]}, &ds, func(w io.Writer) {
			for _, d := range ds {
				line(w, d.ID, d.Who, rightWords(d.Rights), d.Reason, d.By, date(d.Until, "no end"), date(d.Revoked, ""))
			}
		})
	}}
	end := &cobra.Command{Use: "end LOGIN DELEGATION", Short: "End a delegation at once", Args: cobra.ExactArgs(2), RunE: func(c *cobra.Command, args []string) error {
		var d server.DelegationView
		return o.call(c, atAS, "delegation-end", server.Named{Name: args[0], Value: args[1]}, &d, func(w io.Writer) { line(w, d.ID, "ended") })
	}}
	g := group("delegation", "Who acts for whom", "A parent for a child, a representative for somebody who cannot decide, a role for an organization. It gives rights over "+
		"sharing, never access to data; each act stands in the owner's history with the name of who did it.", o, addDelegation(o), list, end)
	g.Example = "  umaas delegation add mia anna --right answer --right share --reason parent --until 2034-05-01"
	return g
}

func addDelegation(o *operate) *cobra.Command {
	var n server.NewDelegation
	var rights []string
	var until string
	c := &cobra.Command{
		Use: "add LOGIN [DELEGATE]", Short: "Let somebody, or whoever holds a role, act for an owner", Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			n.Owner = args[0]
			if len(args) == 2 {
				n.Delegate = args[1]
			}
			if (n.Delegate == "") == (n.Role == "") {
				return errors.New("name a delegate's login, or --role, not both")
			}
			for _, r := range rights {
				n.Rights = append(n.Rights, umaas.DelegatedRight(r))
			}
			if until != "" {
				at, err := time.Parse(time.DateOnly, until)
				if err != nil {
					return fmt.Errorf("--until %s: want a day like 2034-05-01", until)
				}
				n.Until = at
			}
			var d server.DelegationView
			return o.call(c, atAS, "delegation-add", n, &d, func(w io.Writer) { line(w, d.ID, rightWords(d.Rights), date(d.Until, "no end")) })
		},
	}
	c.Flags().StringArrayVar(&rights, "right", nil, "what the delegate may do: answer, share or history; may be given again")
	c.Flags().StringVar(&n.Role, "role", "", "a role of this server instead of one person")
	c.Flags().StringVar(&n.Reason, "reason", "", "why, in words the owner reads: parent, legal representative")
	c.Flags().StringVar(&until, "until", "", "the first day without it, for example a birthday (default: no end)")
	return c
}

func rightWords(rights []umaas.DelegatedRight) string {
	words := make([]string, 0, len(rights))
	for _, r := range rights {
		words = append(words, string(r))
	}
	return strings.Join(words, ",")
}

// emergencyPolicy sets what records of a hospital begin with.
func emergencyPolicy(o *operate) *cobra.Command {
	var d server.EmergencyDefault
	var claim string
	var off bool
	c := &cobra.Command{
		Use: "emergency CLIENT", Short: "Emergency policy that new records of a resource server begin with; owners see and can stop it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d.Server = umaas.ClientID(args[0])
			name, value, ok := strings.Cut(claim, "=")
			switch {
			case off == (claim != ""):
				return errors.New("say who with --claim, or --off")
			case !off && (!ok || name == "" || value == ""):
				return fmt.Errorf("--claim %s: want name=value, such as er=true", claim)
			}
			if off {
				d.Claim = umaas.Claim{}
			} else {
				d.Claim.Name, d.Claim.Value = name, value
			}
			var out server.EmergencyDefault
			return o.call(c, atAS, "emergency-set", d, &out, func(w io.Writer) { line(w, d.Server, orOff(claim)) })
		},
	}
	c.Flags().StringVar(&claim, "claim", "", "the claim of emergency staff, name=value")
	c.Flags().StringVar(&d.Claim.Issuer, "issuer", "", "the trusted issuer that states it (default: this server)")
	c.Flags().StringVar(&d.Name, "name", "Emergency staff", "how owners read it")
	c.Flags().StringArrayVar(&d.Scopes, "scope", nil, "a registered scope it gives; may be given again (default: all)")
	c.Flags().BoolVar(&off, "off", false, "new records begin without one")
	return c
}

func orOff(claim string) string {
	if claim == "" {
		return "off"
	}
	return claim
}
