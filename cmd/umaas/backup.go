package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas/config"
)

func backupCommand() *cobra.Command {
	o := &operate{}
	c := &cobra.Command{
		Use: "backup FILE", Short: "Copy the authorization server's store, also while it serves", Args: cobra.ExactArgs(1),
		Long: `Writes a consistent copy as it stands at one moment. FILE must not exist; "-" writes to standard output.

The copy holds accounts, policies, grants, signing keys and history: keep it as safe as the server itself.`,
		Example: "  umaas backup /backup/as-$(date +%F).db --config umaas.yaml\n  umaas backup - --config umaas.yaml | age -r … > as.db.age",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(o.file, os.Environ(), nil)
			if err != nil {
				return err
			}
			caller, err := atAS(c.Context(), cfg)
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
		Long:    "Checks the copy and its schema before anything is put in place. An existing store is never overwritten: move it away first.",
		Example: "  umaas restore /backup/as-2026-01-31.db --config umaas.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := config.Load(o.file, os.Environ(), nil)
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
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
