package inproc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/umaas/uma"
)

// TestRestart stops the product in the middle of everything and starts it again on the same folder: a ticket in hand, a
// person half way through her consent, a request waiting, an RPT and a context URL in use all go on.
func TestRestart(t *testing.T) {
	w, err := start(t.Context(), demo.Options{Data: filepath.Join(t.TempDir(), "data"), Sync: true})
	check(t, err)
	t.Cleanup(func() { check(t, w.Close()) })
	maria, tomas := w.who(t, "maria"), w.who(t, "tomas")
	rpt := w.give(t, "maria", fluAsk, fluTicks...)
	waiting := w.submit(t, tomas, rpt.Link, "AllergyIntolerance.read")
	app := w.app()
	ticket, err := app.Ask(t.Context(), rpt.Link, "Condition.read")
	check(t, err)
	half := ask(t, app, rpt.Link, "Immunization.read")
	browser := w.visitor(t, maria.Name)
	check(t, browser.Open(t.Context(), half.Redirect+"&state=st"))
	check(t, browser.Forward(t.Context(), maria)) // signed in, the consent is before her
	before := w.World
	check(t, w.Close())

	again, err := start(t.Context(), demo.Options{Data: w.Options.Data, Sync: true})
	check(t, err)
	*w = *again
	if w.World.Issuer != before.Issuer || w.World.RS != before.RS || w.World.App != before.App {
		t.Fatalf("another world: %+v", w.World)
	}
	if a := get(t, rpt.Launch.FHIRBase+"/AllergyIntolerance?patient=maria", rpt.RPT); a.Status != http.StatusOK {
		t.Errorf("RPT: %d %s", a.Status, a.Body)
	}
	if l, err := app.Context(t.Context(), rpt.Link, rpt.RPT); err != nil || l.Patient != "maria" {
		t.Errorf("context URL: %+v %v", l, err)
	}
	if p, err := app.Redeem(t.Context(), ticket); err != nil || p.Redirect == "" {
		t.Errorf("ticket: %+v %v", p, err)
	}
	check(t, browser.Press(t.Context(), "Share with", map[string]string{"until": "today"}, "See your vaccinations"))
	back, err := url.Parse(browser.Page.Left)
	check(t, err)
	if p, err := app.Redeem(t.Context(), demo.Process{AS: half.AS, Ticket: back.Query().Get("ticket")}); err != nil || p.RPT == "" {
		t.Errorf("half a consent: %+v %v", p, err)
	}
	w.allow(t, maria, "See your allergies")
	if p, err := app.Redeem(t.Context(), waiting); err != nil || p.RPT == "" {
		t.Errorf("request: %+v %v", p, err)
	}
	if p := ask(t, app, rpt.Link, "Condition.read"); p.Redirect == "" {
		t.Errorf("asking anew: %+v", p)
	}
}

// crashRounds is how often the server is killed while it is written to.
const crashRounds = 3

// TestCrash kills a real server process while permission requests and resources are written, over and over: what was
// acknowledged before is there afterwards, tickets as well as resources.
func TestCrash(t *testing.T) {
	binary := build(t)
	data := filepath.Join(t.TempDir(), "data")
	var rpt granted
	var kept written
	for round := range crashRounds {
		p := launch(t, binary, data)
		w := &world{Demo: &demo.Demo{World: p.world}}
		if round == 0 {
			rpt = w.give(t, "maria", fluAsk, fluTicks...)
		}
		kept.verify(t, w, rpt)
		kept = write(t, w, rpt, p)
		t.Logf("round %d: %d tickets, %d resources acknowledged before the kill", round, len(kept.tickets), len(kept.locations))
		if len(kept.tickets) == 0 || len(kept.locations) == 0 {
			t.Error("nothing was written: the round proves nothing")
		}
	}
	p := launch(t, binary, data)
	kept.verify(t, &world{Demo: &demo.Demo{World: p.world}}, rpt)
	p.stop(t)
}

// written is what a server acknowledged before it was killed.
type written struct {
	tickets   []string
	locations []string
}

func (k written) verify(t *testing.T, w *world, rpt granted) {
	t.Helper()
	if len(k.locations) > 0 { // the app may add but not see: the owner gives another grant, to look
		all := w.give(t, "maria", "Immunization.read", "See your vaccinations")
		for _, l := range k.locations {
			if a := get(t, strings.Split(l, "/_history/")[0], all.RPT); a.Status != http.StatusOK {
				t.Errorf("acknowledged %s is lost: %d", l, a.Status)
			}
		}
	}
	for _, ticket := range k.tickets {
		a := post(t, w.World.Issuer+"/token", w.World.App, url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}})
		var e uma.Error
		check(t, json.Unmarshal(a.Body, &e))
		if e.Code != "need_info" {
			t.Errorf("an acknowledged ticket is lost: %d %s", a.Status, a.Body)
		}
	}
	if rpt.RPT == "" {
		return
	}
	if l, err := w.app().Context(t.Context(), rpt.Link, rpt.RPT); err != nil || l.Patient != "maria" {
		t.Errorf("RPT and context URL: %+v %v", l, err)
	}
}

// write keeps two writers busy and kills the server under them.
func write(t *testing.T, w *world, rpt granted, p *process) written {
	t.Helper()
	var mu sync.Mutex
	var kept written
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const enough, most = 25, 5000
	reached := make(chan struct{})
	var once sync.Once
	count := func(add func()) {
		mu.Lock()
		defer mu.Unlock()
		add()
		if len(kept.tickets) >= enough && len(kept.locations) >= enough {
			once.Do(func() { close(reached) })
		}
	}
	wg.Go(func() {
		for range most {
			got, err := w.app().Ask(ctx, rpt.Link, "AllergyIntolerance.read")
			if err != nil {
				return // the server is gone
			}
			count(func() { kept.tickets = append(kept.tickets, got.Ticket) })
		}
	})
	wg.Go(func() {
		body := `{"resourceType":"Immunization","status":"completed","patient":{"reference":"Patient/maria"},"primarySource":true,` +
			`"vaccineCode":{"text":"Influenza, seasonal"},"occurrenceDateTime":"2026-11-01"}`
		for range most {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.World.FHIRBase+"/Immunization", strings.NewReader(body))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+rpt.RPT)
			req.Header.Set("Content-Type", "application/fhir+json")
			res, err := quiet.Do(req)
			if err != nil {
				return
			}
			_ = res.Body.Close() // the status line and Location acknowledge
			if res.StatusCode == http.StatusCreated {
				count(func() { kept.locations = append(kept.locations, res.Header.Get("Location")) })
			}
		}
	})
	select {
	case <-reached:
	case <-ctx.Done():
	}
	check(t, p.cmd.Process.Kill())
	wg.Wait()
	_ = p.cmd.Wait() // killed: its status says nothing more
	return kept
}

// build makes the real binary once.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "umaas")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "nomsgpack", "-o", binary, "./cmd/umaas")
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// process is a demo in a process of its own.
type process struct {
	cmd   *exec.Cmd
	world demo.World
}

func launch(t *testing.T, binary, data string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "demo", "--data", data, "--port", "0", "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the test failed before it ended
			_ = cmd.Wait()
		}
	})
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatalf("the server does not start: %v", errors.Join(lines.Err(), cmd.Wait()))
	}
	p := &process{cmd: cmd}
	if err := json.Unmarshal(lines.Bytes(), &p.world); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", lines.Text(), err))
	}
	return p
}

// stop ends it as an operator does, and it must end well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	check(t, p.cmd.Process.Signal(os.Interrupt))
	check(t, p.cmd.Wait())
}
