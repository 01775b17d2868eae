package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	fhirstore "github.com/umaas/umaas/fhir/store"
	"github.com/umaas/umaas/umaas/config"
)

func fhirCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "fhir", Short: "The embedded FHIR server's data",
		Long: "The embedded FHIR server serves demos and small sites. Bigger ones put their own FHIR server behind the gateway.",
	}
	var file string
	load := &cobra.Command{
		Use: "load DIR", Short: "Load FHIR bundles, resources or ndjson files from a folder", Args: cobra.ExactArgs(1),
		Long: `Loads every .json and .ndjson file of a folder: bundles (batch, transaction, collection), single
resources, lines of resources. Files are ordered by their references, entries with the same fullUrl count once, and
conditional references are resolved. Ends non-zero, with everything readable loaded, if there was a warning.

The server must not be running: it owns the data while it does.`,
		Example: "  umaas fhir load ./bundles --config umaas.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(file, os.Environ(), nil)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
				return err
			}
			s, err := openEmbedded(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			report, err := s.Load(c.Context(), args[0], progress(c))
			if err := errors.Join(err, s.Close()); err != nil {
				return err
			}
			_, _ = fmt.Fprintf(c.OutOrStdout(), "%d files: %d created, %d updated, %d unchanged, %d duplicates; %v\n", report.Files, report.Created, report.Updated, report.Unchanged, report.Duplicates, report.ByType) // figures for a person
			for _, w := range report.Warnings {
				line(c.ErrOrStderr(), "warning", w.File, w.Where, w.Text)
			}
			if len(report.Warnings) > 0 {
				return fmt.Errorf("%d warnings", len(report.Warnings))
			}
			return nil
		},
	}
	load.Flags().StringVar(&file, "config", "", "configuration file (YAML)")
	c.AddCommand(load)
	return c
}

// progress shows long work on a terminal, and nothing elsewhere.
func progress(c *cobra.Command) func(fhirstore.Progress) {
	f, ok := c.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return func(p fhirstore.Progress) {
		_, _ = fmt.Fprintf(f, "\r%d of %d files, %d resources   ", p.FilesDone, p.Files, p.Resources)
	}
}
