package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/umaas/umaas/cmd/umaas/bench"
)

// started is as close to the start of the process as a program gets.
var started = time.Now()

func benchCommand() *cobra.Command {
	o := bench.Options{}
	c := &cobra.Command{
		Use: "bench", Short: "Measure the server on this machine, as ratios within one run", Args: cobra.NoArgs,
		Long: `Starts servers of its own on loopback, sends complete UMA flows over HTTP and reads the servers'
CPU time from the operating system: CPU per flow in ES256 signatures, throughput with and without syncing,
growth with the number of registered sets, readiness and memory. Needs Linux (/proc).`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if o.Folder, err = os.MkdirTemp("", "umaas-bench-"); err != nil {
				return err
			}
			o.Out = c.OutOrStdout()
			return errors.Join(bench.Run(c.Context(), o), os.RemoveAll(o.Folder))
		},
	}
	c.Flags().IntVar(&o.Connections, "connections", 64, "connections at the same time")
	c.Flags().IntVar(&o.Flows, "flows", 20_000, "flows a measurement")
	c.Flags().IntVar(&o.Sets, "sets", 1_000_000, "the large number of registered sets")
	c.Flags().StringSliceVar(&o.Only, "only", nil, "tokens, durability, growth, shares, footprint")

	s := bench.ServeOptions{}
	var profile string
	serve := &cobra.Command{
		Use: "serve", Hidden: true, Args: cobra.NoArgs, Short: "The measured server",
		RunE: func(c *cobra.Command, _ []string) error {
			s.Out, s.Started = c.OutOrStdout(), started
			if s.Data == "" {
				return fmt.Errorf("--data is required")
			}
			stop, err := bench.Profile(profile)
			if err != nil {
				return err
			}
			return errors.Join(bench.Serve(c.Context(), s), stop())
		},
	}
	serve.Flags().StringVar(&s.Data, "data", "", "folder")
	serve.Flags().StringVar(&s.Format, "format", "opaque", "opaque or jwt")
	serve.Flags().BoolVar(&s.NoSync, "no-sync", false, "leave out fsync")
	serve.Flags().BoolVar(&s.Bare, "bare", false, "net/http alone")
	serve.Flags().IntVar(&s.Sets, "sets", 1000, "registered sets")
	serve.Flags().IntVar(&s.Shares, "shares", 200, "shares of the app")
	serve.Flags().StringVar(&profile, "cpuprofile", os.Getenv("UMAAS_TEST_CPUPROFILE"), "write a CPU profile here")
	c.AddCommand(serve)
	return c
}
