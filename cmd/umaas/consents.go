package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
)

// formatConsent is the only form so far: FHIR R4 Consent.
const formatConsent = "consent"

func formatFlag(c *cobra.Command, format *string) {
	c.Flags().StringVar(format, "format", formatConsent, "form of the policies: consent (FHIR R4)")
}

func checkFormat(format string) error {
	if format != formatConsent {
		return fmt.Errorf("--format %s: want consent", format)
	}
	return nil
}

func exportPolicies(o *operate) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "export LOGIN [POLICY]", Short: "Write policies as FHIR Consents to standard output: one, or a Bundle of those in force", Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			in := server.Consents{Login: args[0]}
			if len(args) == 2 {
				in.Policy = umaas.PolicyID(args[1])
			}
			var raw json.RawMessage
			return o.call(c, atAS, "policy-export", in, &raw, func(w io.Writer) { line(w, string(raw)) })
		},
	}
	formatFlag(c, &format)
	return c
}

// maxConsentFile is what one import takes.
const maxConsentFile = 700 << 10

func importPolicies(o *operate) *cobra.Command {
	var format string
	var check bool
	c := &cobra.Command{
		Use: "import LOGIN FILE", Short: "Make policies of a FHIR Consent or a Bundle of them; what is not understood refuses the whole", Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			raw, err := os.ReadFile(args[1])
			switch {
			case err != nil:
				return err
			case len(raw) > maxConsentFile:
				return errors.New("the file is larger than 700 kB; import it in parts")
			case !json.Valid(raw):
				return errors.New("the file is not JSON")
			}
			var ps []server.PolicyView
			return o.call(c, atAS, "policy-import", server.Consents{Login: args[0], Body: raw, Check: check}, &ps, func(w io.Writer) {
				for _, p := range ps {
					line(w, orCheck(string(p.ID)), p.Who, p.App, strings.Join(p.What, "; "), date(p.Until, "no end"))
				}
			})
		},
	}
	formatFlag(c, &format)
	c.Flags().BoolVar(&check, "check", false, "tell what it would mean and store nothing")
	return c
}

func orCheck(id string) string {
	if id == "" {
		return "not stored"
	}
	return id
}
