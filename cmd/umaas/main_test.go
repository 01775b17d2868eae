package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas/config"
)

// asCommand makes the test binary be the command itself, so that signals, exit codes and streams are tested on a real process.
const asCommand = "UMAAS_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	code := m.Run()
	if seed.folder != "" {
		if err := os.RemoveAll(seed.folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// said is what a command left behind.
type said struct {
	out, errs string
	err       error
}

// cli runs one command in this process.
func cli(t *testing.T, in string, args ...string) said {
	t.Helper()
	return cliWithin(t, 30*time.Second, in, args...)
}

// cliWithin is cli for a command that has more to do.
func cliWithin(t *testing.T, limit time.Duration, in string, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var out, errs bytes.Buffer
	c := root()
	c.SetArgs(args)
	c.SetIn(strings.NewReader(in))
	c.SetOut(&out)
	c.SetErr(&errs)
	err := c.ExecuteContext(ctx)
	return said{out.String(), errs.String(), err}
}

// must runs a command that succeeds.
func must(t *testing.T, in string, args ...string) string {
	t.Helper()
	s := cli(t, in, args...)
	if s.err != nil {
		t.Fatalf("umaas %s: %v\n%s%s", strings.Join(args, " "), s.err, s.out, s.errs)
	}
	return s.out
}

// mustJSON runs a command with --json and decodes its answer.
func mustJSON[T any](t *testing.T, in string, args ...string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(must(t, in, append(args, "--json")...)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// refused runs a command that fails with these words.
func refused(t *testing.T, words, in string, args ...string) {
	t.Helper()
	if s := cli(t, in, args...); s.err == nil || !strings.Contains(s.err.Error(), words) {
		t.Errorf("umaas %s: want an error with %q, got %v\n%s", strings.Join(args, " "), words, s.err, s.out)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ports are free ones of this machine.
func ports(t *testing.T, n int) []string {
	t.Helper()
	out := make([]string, n)
	for i := range out {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		check(t, err)
		defer func() { check(t, l.Close()) }()
		out[i] = strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	}
	return out
}

// written puts a text into a new file.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func textOf(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	check(t, err)
	return string(raw)
}

// safe is a log that is read while it is written.
type safe struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safe) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safe) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// running serves a configuration file in this process until the test ends, and waits until it is ready. It logs all there is.
func running(t *testing.T, file string) *safe {
	t.Helper()
	c, err := config.Load(file, nil, nil)
	check(t, err)
	log := &safe{}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- serve(ctx, c, slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	for range 500 {
		if get(c.Health) == http.StatusNoContent {
			return log
		}
		select {
		case err := <-done:
			done <- nil
			t.Fatalf("serve: %v\n%s", err, log)
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("not ready")
	return nil
}

// get is the status of /readyz, 0 where nobody answers.
func get(health string) int {
	res, err := http.Get("http://" + health + "/readyz")
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

// seed is a demo's data folder, made once. A demo's folder is one that `umaas serve` can serve.
var seed struct {
	sync.Once
	folder string
	world  demo.World
	err    error
}

// hospital copies the seed and writes a configuration for it; nothing runs yet.
func hospital(t *testing.T) (file string, w demo.World) {
	t.Helper()
	seed.Do(func() {
		if seed.folder, seed.err = os.MkdirTemp("", "umaas-cli-"); seed.err != nil {
			return
		}
		var d *demo.Demo
		if d, seed.err = demo.Start(context.Background(), demo.Options{Data: seed.folder, Logger: slog.New(slog.DiscardHandler)}); seed.err == nil {
			seed.world = d.World
			seed.err = d.Close()
		}
	})
	check(t, seed.err)
	w = seed.world
	w.Data = filepath.Join(t.TempDir(), "d")
	check(t, os.CopyFS(w.Data, os.DirFS(seed.folder)))
	return written(t, "umaas.yaml", fmt.Sprintf(`name: Harborview Clinic
data: %s
roles: [as, gateway, resolver, fhir]
health: 127.0.0.1:%s
as: {issuer: %q, listen: %q}
gateway: {base: %q, listen: %q, client_id: %q, client_secret: %q}
`, w.Data, ports(t, 1)[0], w.Issuer, listenOf(w.Issuer), w.RS, listenOf(w.RS), w.Server.ClientID, w.Server.ClientSecret)), w
}

func listenOf(origin string) string {
	return strings.Replace(origin, "http://localhost", "127.0.0.1", 1)
}
