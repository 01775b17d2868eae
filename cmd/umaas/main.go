// Command umaas is the whole product in one binary: the authorization server, the gateway with its resolver, the embedded
// FHIR server, a demo of all of them, and what an operator needs around them.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// gcPercent lets the heap grow to five times what lives before it is collected. Little lives (everything is in the
// stores), so memory stays small, and a fifth of the CPU time is saved. GOGC and GOMEMLIMIT override it.
const gcPercent = 400

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "umaas:", err)
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		os.Exit(1)
	}
}

// exitCode lets a command end with a status of its own.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("ended with status %d", int(c)) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "umaas",
		Short: "Patients decide who sees their record: UMA 2.0 for any FHIR server",
		Long: `umaas is a UMA 2.0 authorization server with an adapter that puts any FHIR server under
its patients' own control.

Start with the demo, which needs nothing:

  umaas demo            servers, sample people and the Flu Clinic app on this machine
  umaas demo --walk     the main job against itself, told step by step

Then, for real:

  umaas serve --example > umaas.yaml      a configuration to start from
  umaas doctor --config umaas.yaml        is everything in place?
  umaas serve  --config umaas.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(demoCommand(), serveCommand(), doctorCommand(), fhirCommand(), userCommand(), clientCommand(), issuerCommand(), signInCommand(), keyCommand(),
		policyCommand(), delegationCommand(), relationCommand(), appCommand(), explainCommand(), backupCommand(), restoreCommand(), benchCommand(), conformanceCommand(), versionCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), "umaas", version())
			return err
		},
	}
}

// version is what the Go tool recorded of the source.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return v + " " + info.GoVersion
}
