package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/report"
	"github.com/umaas/umaas/conformance/suites"
)

// unusable is an error of a run that never came to a verdict: status 2, to be told from a server that failed.
type unusable struct{ error }

// Unwrap keeps the cause visible.
func (u unusable) Unwrap() error { return u.error }

// As gives the exit status.
func (u unusable) As(target any) bool {
	code, ok := target.(*exitCode)
	if ok {
		*code = 2
	}
	return ok
}

func conformanceCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "conformance", Short: "Examine any UMA 2.0 authorization server",
		Long: `A black-box suite for UMA 2.0: it asks a running authorization server, over HTTP alone, what the UMA Grant and
Federated Authorization demand, and tells what it answered. A profile file says what the specifications leave open: how to sign
in, how to get a protection token, how an owner's policy is set (docs/conformance/README.md).`,
	}
	c.AddCommand(conformanceRunCommand(), conformanceRegisterCommand())
	return c
}

// conformanceRun holds the flags of a run.
type conformanceRun struct {
	profile, issuer   string
	only              []string
	list              bool
	parallel          int
	json, junit, html string
	timeout           time.Duration
}

func conformanceRunCommand() *cobra.Command {
	r := &conformanceRun{}
	c := &cobra.Command{
		Use: "run", Short: "Run the checks against a server", Args: cobra.NoArgs,
		Long: `Runs the checks against the server that the profile describes and prints a table.

Status 0: every absolute demand (MUST, MUST NOT) that could be examined is met. 1: one is not met, or could not be examined
because the server stumbled before. 2: no absolute demand was examined, because the profile is wrong, the server does not answer
or offers nothing of what was asked about; or a report cannot be written.`,
		Example: `  umaas conformance run --profile umaas.yaml --html report.html
  umaas conformance run --profile umaas.yaml --only grant.need-info,G-123
  umaas conformance run --list`,
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c) },
	}
	f := c.Flags()
	f.StringVar(&r.profile, "profile", "", "file that describes the server (docs/conformance/profiles has examples)")
	f.StringVar(&r.issuer, "issuer", "", "another issuer than the profile's")
	f.StringSliceVar(&r.only, "only", nil, "run these alone: check ids, the beginning of one, patterns with *, or statements such as G-123")
	f.BoolVar(&r.list, "list", false, "print the checks instead of running them")
	f.IntVar(&r.parallel, "parallel", 4, "checks to run at a time")
	f.StringVar(&r.json, "json", "", "write the results to this file as JSON")
	f.StringVar(&r.junit, "junit", "", "write the results to this file as JUnit XML")
	f.StringVar(&r.html, "html", "", "write the results to this file as one HTML page")
	f.DurationVar(&r.timeout, "timeout", time.Minute, "most time for one check")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return unusable{err} })
	return c
}

func (r *conformanceRun) run(c *cobra.Command) error {
	checks, err := conformance.Select(suites.All(), r.only)
	if err != nil {
		return unusable{err}
	}
	if r.list {
		return report.List(c.OutOrStdout(), checks)
	}
	if r.profile == "" {
		return unusable{errors.New("name the server with --profile FILE; docs/conformance/README.md says how to write one")}
	}
	profile, err := conformance.ReadProfile(r.profile)
	if err != nil {
		return unusable{err}
	}
	if r.issuer != "" {
		if profile, err = profile.At(r.issuer); err != nil {
			return unusable{err}
		}
	}
	reg, err := register.Load()
	if err != nil {
		return err
	}
	reports, err := r.open()
	if err != nil {
		return unusable{err}
	}
	alone := !slices.ContainsFunc(checks, func(c conformance.Check) bool { return c.Subject == conformance.SubjectAS })
	env, err := conformance.NewEnv(c.Context(), profile, conformance.Options{Alone: alone})
	if err != nil {
		return unusable{errors.Join(err, reports.drop())}
	}
	terminal := report.NewTerminal(c.OutOrStdout(), len(checks))
	run := conformance.Execute(c.Context(), env, checks, conformance.RunOptions{
		Parallel: r.parallel, Timeout: r.timeout, Suite: "umaas " + version(), Done: terminal.Done,
	})
	if err := errors.Join(env.Close(), terminal.Table(run, reg), reports.put(run, reg)); err != nil {
		return unusable{err}
	}
	switch {
	case c.Context().Err() != nil:
		return unusable{errors.New("stopped before the end; what did not run is skipped")}
	case !run.Passed():
		return exitCode(1)
	case !run.Examined():
		return unusable{errors.New("no absolute demand was examined: every check of one was skipped; the reports say why of each")}
	}
	return nil
}

func conformanceRegisterCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "register", Short: "Print every normative statement and what covers it", Args: cobra.NoArgs,
		Long: `Prints what both Recommendations and the HEART profiles state, in our words, with the checks that examine each statement, or
why it cannot be seen from outside and the tests that show it inside.`,
		Example: `  umaas conformance register
  umaas conformance register --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			reg, err := register.Load()
			if err != nil {
				return err
			}
			if reg, err = reg.Cover(suites.All()); err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), reg)
			}
			return printRegister(c.OutOrStdout(), reg)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func printRegister(out io.Writer, reg register.Register) error {
	var b strings.Builder
	for _, t := range reg.Texts {
		fmt.Fprintf(&b, "%s\n\n", t.Title)
		for _, s := range t.Statements {
			roles := make([]string, len(s.Roles))
			for i, role := range s.Roles {
				roles[i] = string(role)
			}
			fmt.Fprintf(&b, "%-6s §%-14s %-10s %-14s %s\n", s.ID, s.Section, s.Level, strings.Join(roles, " "), s.Says)
			if s.Unseen != "" {
				fmt.Fprintf(&b, "       cannot be seen from outside: %s\n", s.Unseen)
			}
			if s.Inside != "" {
				fmt.Fprintf(&b, "       not asked of every role: %s\n", s.Inside)
			}
			if covered := append(append([]string(nil), s.Checks...), s.Tests...); len(covered) > 0 {
				fmt.Fprintf(&b, "       %s\n", strings.Join(covered, ", "))
			}
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d statements, %d without cover\n", len(reg.All()), len(reg.Gaps()))
	_, err := io.WriteString(out, b.String())
	return err
}
