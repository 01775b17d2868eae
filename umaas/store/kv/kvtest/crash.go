package kvtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/store/kv"
)

const (
	crashDir    = "KVTEST_CRASH_DIR"
	crashRounds = 5
	crashWrites = 16 // goroutines
)

// Subject is what a killed process was writing to, opened in a folder.
type Subject interface {
	// Write stores two halves under a name, in one transaction.
	Write(name string) error
	// Halves lists the names of the first and second halves that are there.
	Halves() (first, second map[string]bool, err error)
	Close() error
}

// Crash is CrashSubject for an engine.
func Crash(t *testing.T, open func(dir string) (kv.Engine, error)) {
	CrashSubject(t, func(dir string) (Subject, error) {
		e, err := open(dir)
		return engineSubject{e}, err
	})
}

// CrashSubject kills a process that writes (SIGKILL), several times over the same folder, and wants every acknowledged
// write back and none by half. It starts the test binary again with the same test name.
func CrashSubject(t *testing.T, open func(dir string) (Subject, error)) {
	if dir := os.Getenv(crashDir); dir != "" {
		crashChild(t, dir, open)
		return
	}
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range crashRounds {
		crashRound(t, dir, round, acknowledged)
		e, err := open(dir)
		if err != nil {
			t.Fatalf("round %d: open after the crash: %v", round, err)
		}
		left, right, err := e.Halves()
		if err != nil {
			t.Fatal(err)
		}
		for n := range acknowledged {
			if !left[n] || !right[n] {
				t.Errorf("round %d: write %s was acknowledged and is lost", round, n)
			}
		}
		for n := range left {
			if !right[n] {
				t.Errorf("round %d: write %s is there by half", round, n)
			}
		}
		if len(left) != len(right) {
			t.Errorf("round %d: %d first halves, %d second halves", round, len(left), len(right))
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < crashRounds {
		t.Fatalf("only %d writes were acknowledged: the test saw nothing", len(acknowledged))
	}
	t.Logf("%d acknowledged writes survived %d kills", len(acknowledged), crashRounds)
}

// crashRound lets the child write until some hundred writes are acknowledged, then kills it.
func crashRound(t *testing.T, dir string, round int, acknowledged map[string]bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, self, "-test.run=^"+t.Name()+"$", "-test.count=1") //nolint:gosec // our own binary
	child.Env = append(os.Environ(), crashDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		word, found := strings.CutPrefix(lines.Text(), "ack ")
		if !found {
			continue
		}
		acknowledged[word] = true
		if n == 200+97*round {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = child.Wait() // killed
}

type engineSubject struct{ kv.Engine }

func (e engineSubject) Write(name string) error {
	return e.Update(context.Background(), func(tx kv.Tx) error {
		return errors.Join(tx.Put([]byte("left/"+name), nil), tx.Put([]byte("right/"+name), []byte(strings.Repeat(name, 100))))
	})
}

func (e engineSubject) Halves() (first, second map[string]bool, err error) {
	halves := [2]map[string]bool{{}, {}}
	err = e.View(context.Background(), func(tx kv.Tx) error {
		for i, prefix := range []string{"left/", "right/"} {
			for after := []byte(nil); ; {
				page, err := tx.Scan([]byte(prefix), after, kv.MaxScan)
				if err != nil {
					return err
				}
				for _, p := range page {
					halves[i][strings.TrimPrefix(string(p.Key), prefix)] = true
				}
				if len(page) < kv.MaxScan {
					break
				}
				after = page[len(page)-1].Key
			}
		}
		return nil
	})
	return halves[0], halves[1], err
}

// crashChild writes and acknowledges after each commit, until it is killed or has written for long enough.
func crashChild(t *testing.T, dir string, open func(dir string) (Subject, error)) {
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	start := strconv.FormatInt(time.Now().UnixNano(), 36)
	var wg sync.WaitGroup
	var out sync.Mutex
	for w := range crashWrites {
		wg.Go(func() {
			for i := range 100_000 {
				name := fmt.Sprintf("%s-%d-%d", start, w, i)
				if err := s.Write(name); err != nil {
					t.Error(err)
					return
				}
				out.Lock()
				_, _ = os.Stdout.WriteString("ack " + name + "\n")
				out.Unlock()
			}
		})
	}
	wg.Wait()
}
