package main

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// documents are the texts people read, by their path in the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." && d.Name() != "."):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		raw, err := os.ReadFile(path)
		out[path] = string(raw)
		return err
	})
	if err != nil || len(out) < 4 {
		t.Fatalf("%d documents: %v", len(out), err)
	}
	return out
}

// TestSEC_49_CommandsInDocuments: every command line of ours that a document shows is one this program takes: the command is
// there, and so is every flag named with it.
func TestSEC_49_CommandsInDocuments(t *testing.T) {
	seen := 0
	for path, text := range documents(t) {
		for _, line := range commandLines(text) {
			seen++
			if why := wrong(line); why != "" {
				t.Errorf("%s: %q: %s", path, line, why)
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d command lines were found: the search is wrong", seen)
	}
}

var code = regexp.MustCompile("(?s)```.*?```|`[^`\n]*(?:\n[^`\n]+)?`")

// commandLines finds what begins like a command of ours in code spans and blocks.
func commandLines(text string) (out []string) {
	for _, span := range code.FindAllString(text, -1) {
		block := strings.HasPrefix(span, "```")
		span = strings.Trim(span, "`")
		if !block {
			span = strings.ReplaceAll(span, "\n", " ") // the text may have broken it
		} else if info, _, _ := strings.Cut(span, "\n"); info != "sh" {
			continue // what a program prints, or another language
		}
		for line := range strings.Lines(strings.ReplaceAll(span, "\\\n", " ")) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			for _, name := range []string{"go run ./cmd/umaas ", "./bin/umaas ", "umaas "} {
				if rest, ok := strings.CutPrefix(line, name); ok {
					out = append(out, rest)
					break
				}
			}
		}
	}
	return out
}

// wrong says what this program would not take of a command line.
func wrong(line string) string {
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if i := slices.IndexFunc(words, func(w string) bool {
		return strings.ContainsAny(w, "|>;&") && !strings.Contains(w, "://") && len(w) < 3
	}); i >= 0 {
		words = words[:i]
	}
	c, rest, err := root().Find(words)
	if err != nil || c == c.Root() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return "there is no such command"
	}
	if c.HasSubCommands() && !c.Runnable() && len(rest) > 0 && regexp.MustCompile(`^[a-z|]+$`).MatchString(rest[0]) {
		return subcommands(c, rest[0])
	}
	for _, word := range rest {
		name, ok := strings.CutPrefix(strings.Trim(word, "[](),.…"), "--")
		if !ok {
			continue
		}
		name, _, _ = strings.Cut(name, "=")
		if name != "help" && find(c, name) == nil {
			return "there is no flag --" + name
		}
	}
	return ""
}

func find(c *cobra.Command, flag string) *pflag.Flag {
	if f := c.Flags().Lookup(flag); f != nil {
		return f
	}
	return c.InheritedFlags().Lookup(flag)
}

// subcommands takes the form "issuer add|list".
func subcommands(c *cobra.Command, names string) string {
	for name := range strings.SplitSeq(names, "|") {
		if !slices.ContainsFunc(c.Commands(), func(s *cobra.Command) bool { return s.Name() == name }) {
			return "there is no command " + c.CommandPath() + " " + name
		}
	}
	return ""
}

// TestLinksInDocuments: what a document links to in this repository is there.
func TestLinksInDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	seen := 0
	for path, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %q: %v", path, m[1], err)
				continue
			}
			if u.Scheme != "" || u.Path == "" {
				continue
			}
			seen++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(u.Path))); err != nil {
				t.Errorf("%s: links to %q: %v", path, m[1], err)
			}
		}
	}
	if seen == 0 {
		t.Error("no link was found: the search is wrong")
	}
}

// TestDocumentCheckSees: the checks above find what is wrong.
func TestDocumentCheckSees(t *testing.T) {
	for line, want := range map[string]string{
		"demo --walk": "", "demo --wlak": "there is no flag --wlak", "dmeo": "there is no such command", "user add": "",
		"serve --config umaas.yaml": "", "user ad": "there is no command umaas user ad", "user list|add": "", "user list|shwo": "there is no command umaas user shwo",
	} {
		if got := wrong(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
	text := "Say `umaas demo\n--walk` or\n```sh\numaas serve --config x  # words\ngo run ./cmd/umaas demo\n```\n"
	if got := strings.Fields(strings.Join(commandLines(text), " / ")); !slices.Equal(got, strings.Fields("demo --walk / serve --config x / demo")) {
		t.Errorf("%q", got)
	}
}
