package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/umaas/umaas/umaas/config"
)

// TestHelpTeaches walks all commands: each says in a line what it is for, says it at length or by example, and each flag is
// explained.
func TestHelpTeaches(t *testing.T) {
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		seen++
		out := must(t, "", append(strings.Fields(c.CommandPath())[1:], "--help")...)
		if c.Short == "" || !strings.Contains(out, "Usage:") {
			t.Errorf("%s: no short help", c.CommandPath())
		}
		topLevel := c.HasParent() && !c.Parent().HasParent()
		if topLevel && c.Name() != "version" && c.Long == "" {
			t.Errorf("%s: no long help", c.CommandPath())
		}
		if topLevel && !c.HasSubCommands() && c.Name() != "version" && c.Name() != "bench" && c.Example == "" {
			t.Errorf("%s: no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			checkExample(t, strings.TrimSpace(line))
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s: not explained", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root())
	if seen < 30 {
		t.Errorf("only %d commands", seen)
	}
}

// checkExample holds that an example's command and flags exist.
func checkExample(t *testing.T, line string) {
	t.Helper()
	_, after, ok := strings.Cut(line, "umaas ")
	if why := wrong(after); ok && why != "" {
		t.Errorf("example %q: %s", line, why)
	}
}

func TestMisuseIsToldAndRefused(t *testing.T) {
	for _, c := range []struct {
		args  string
		words string
	}{
		{"nonsense", `unknown command "nonsense"`},
		{"serve nonsense", "unknown command"},
		{"serve --nonsense", "unknown flag: --nonsense"},
		{"user add", "accepts 1 arg(s), received 0"},
		{"relation add Practitioner/7", "accepts 2 arg(s), received 1"},
		{"policy stop maria", "accepts 2 arg(s), received 1"},
		{"fhir load", "accepts 1 arg(s), received 0"},
		{"version 1", "unknown command"},
		{"serve", "name: required"},
		{"serve --config /nowhere/umaas.yaml", "no such file"},
		{"user list --config /nowhere/umaas.yaml", "no such file"},
		{"demo --port x", "invalid argument"},
	} {
		t.Run(c.args, func(t *testing.T) { refused(t, c.words, "", strings.Fields(c.args)...) })
	}
}

// TestServeExample holds that what is printed to start from is a configuration, its placeholders aside.
func TestServeExample(t *testing.T) {
	text := must(t, "", "serve", "--example")
	crt, key := selfSigned(t, "localhost", 90)
	for old, fresh := range map[string]string{"/etc/umaas/tls.crt": crt, "/etc/umaas/tls.key": key, "/var/lib/umaas": t.TempDir()} {
		if !strings.Contains(text, old) {
			t.Errorf("no %s in the example", old)
		}
		text = strings.ReplaceAll(text, old, fresh)
	}
	c, err := config.Load(written(t, "example.yaml", text), nil, nil)
	check(t, err)
	if !c.Runs("as") || !c.Runs("gateway") || !c.Runs("resolver") || c.Gateway.Upstream == "" {
		t.Errorf("%+v", c)
	}
}
