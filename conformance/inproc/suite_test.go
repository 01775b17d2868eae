package inproc

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/conformance/heart"
	"github.com/umaas/umaas/conformance/ours"
	"github.com/umaas/umaas/conformance/register"
	"github.com/umaas/umaas/conformance/report"
	"github.com/umaas/umaas/conformance/suites"
	"github.com/umaas/umaas/umaas/store/kv/boltkv"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
)

// TestSuite runs the whole conformance suite on our own server: on memory, on a file behind a real listener, and on three
// services over one engine that makes every third transaction run again. Nothing fails and nothing is blocked, and what is
// skipped is skipped everywhere for the same reason.
func TestSuite(t *testing.T) {
	var skipped []string
	for _, c := range []struct {
		name  string
		start func(t *testing.T, o ours.Options) *ours.Server
		real  bool
	}{
		{name: "memory", start: startOurs},
		{name: "file", real: true, start: func(t *testing.T, o ours.Options) *ours.Server {
			engine, err := boltkv.Open(filepath.Join(t.TempDir(), "as.db"), boltkv.Options{InsecureNoSync: true})
			check(t, err)
			o.Engine = engine
			return startOurs(t, o)
		}},
		{name: "three services", start: func(t *testing.T, o ours.Options) *ours.Server {
			o.Services, o.Engine = 3, memkv.New(memkv.Options{Conflict: func() bool { return rand.IntN(3) == 0 }})
			return startOurs(t, o)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := suiteOn(t, c.start, c.real, suites.All())
			var here []string
			for _, r := range run.Results {
				switch r.Verdict {
				case conformance.Pass:
				case conformance.Skip:
					here = append(here, r.Check.ID+": "+strings.Join(r.Messages, "; "))
				default:
					t.Errorf("%s: %s: %s", r.Check.ID, r.Verdict, strings.Join(r.Messages, "; "))
				}
			}
			if skipped == nil {
				skipped = here
			} else if a, b := strings.Join(skipped, "\n"), strings.Join(here, "\n"); a != b {
				t.Errorf("skipped in memory:\n%s\nskipped here:\n%s", a, b)
			}
			t.Logf("%+v in %s", run.Count(nil), run.Took.Round(time.Millisecond))
			keepReport(t, run)
		})
	}
	for _, s := range skipped {
		t.Log("skipped:", s)
	}
}

// TestSuiteHEART runs the suite "heart" on our own server under the HEART profile, where clients authenticate by assertions:
// every check passes, none is skipped.
func TestSuiteHEART(t *testing.T) {
	run := suiteOn(t, func(t *testing.T, o ours.Options) *ours.Server {
		o.HEART = true
		return startOurs(t, o)
	}, false, heart.Checks())
	for _, r := range run.Results {
		if r.Verdict != conformance.Pass {
			t.Errorf("%s: %s: %s", r.Check.ID, r.Verdict, strings.Join(r.Messages, "; "))
		}
	}
	keepReport(t, run)
}

func startOurs(t *testing.T, o ours.Options) *ours.Server {
	t.Helper()
	s, err := ours.Start(t.Context(), o)
	check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func suiteOn(t *testing.T, start func(*testing.T, ours.Options) *ours.Server, network bool, checks []conformance.Check) conformance.Run {
	t.Helper()
	clock := &ours.Clock{}
	provider, err := conformance.NewProvider(t.Context(), "127.0.0.1:0", "", clock.Now, ours.Random())
	check(t, err)
	t.Cleanup(func() {
		if err := provider.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	o := ours.Options{Provider: provider, Clock: clock}
	var s *ours.Server
	if network {
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }))
		t.Cleanup(front.Close)
		o.Issuer = front.URL
	}
	s = start(t, o)
	with := s.Options(nil)
	if network {
		with.Transport = http.DefaultTransport
	}
	env, err := conformance.NewEnv(t.Context(), s.Profile(), with)
	check(t, err)
	defer func() { check(t, env.Close()) }()
	return conformance.Execute(context.WithoutCancel(t.Context()), env, checks, conformance.RunOptions{Parallel: 4, Timeout: time.Minute})
}

// keepReport writes the page of a run where UMAAS_SUITE_REPORTS names a folder.
func keepReport(t *testing.T, run conformance.Run) {
	t.Helper()
	folder := os.Getenv("UMAAS_SUITE_REPORTS")
	if folder == "" {
		return
	}
	reg, err := register.Load()
	check(t, err)
	f, err := os.Create(filepath.Join(folder, fmt.Sprintf("%s.html", strings.ReplaceAll(filepath.Base(t.Name()), " ", "-"))))
	check(t, err)
	check(t, report.HTML(f, run, reg))
	check(t, f.Close())
}
