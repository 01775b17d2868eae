package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// Options of a run.
type Options struct {
	Out         io.Writer
	Folder      string // thrown away afterwards by the caller
	Connections int
	Flows       int      // per measurement
	Sets        int      // the large number of registered sets
	Only        []string // measurements to take; empty: all
}

// Run takes all measurements in turn.
func Run(ctx context.Context, o Options) error {
	if runtime.GOOS != "linux" {
		return fmt.Errorf("umaas bench reads what its servers use from /proc and runs on Linux alone, not on %s", runtime.GOOS)
	}
	b := &run{Options: o}
	b.say("%s/%s, %d processors, %s; %d connections, %d flows a measurement\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.Connections, o.Flows)
	for _, step := range []struct {
		name string
		take func(context.Context) error
	}{{"tokens", b.tokens}, {"durability", b.durability}, {"growth", b.growth}, {"shares", b.shares}, {"footprint", b.footprint}} {
		if len(o.Only) > 0 && !slices.Contains(o.Only, step.name) {
			continue
		}
		if err := step.take(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

type run struct{ Options }

func (b *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.Out, format+"\n", args...) // figures are for a terminal
}

// signature is the CPU time of one raw ES256 signature, the unit of the CPU figures.
func signature() (time.Duration, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0, err
	}
	digest := sha256.Sum256([]byte("payload"))
	const n = 20000
	before, err := ownCPU()
	if err != nil {
		return 0, err
	}
	for range n {
		if _, _, err := ecdsa.Sign(rand.Reader, key, digest[:]); err != nil {
			return 0, err
		}
	}
	after, err := ownCPU()
	return (after - before) / n, err
}

// measured is one measurement against one child.
type measured struct {
	cpu      time.Duration // per flow
	perSec   float64
	p99      time.Duration // of the RPT request
	resident int64
}

func (b *run) measure(ctx context.Context, connections, flows int, args ...string) (m measured, err error) {
	c, err := start(ctx, args...)
	if err != nil {
		return measured{}, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	d, err := newDriver(ctx, c.Target, connections)
	if err != nil {
		return measured{}, err
	}
	if _, _, err := d.run(ctx, connections, flows/5, time.Minute); err != nil { // warm-up
		return measured{}, err
	}
	d.rpts = latencies{}
	before, err := c.cpu()
	if err != nil {
		return measured{}, err
	}
	done, took, err := d.run(ctx, connections, flows, 2*time.Minute)
	if err != nil {
		return measured{}, err
	}
	after, err := c.cpu()
	if err != nil {
		return measured{}, err
	}
	m.cpu, m.perSec = (after-before)/time.Duration(max(done, 1)), float64(done)/took.Seconds()
	m.p99 = d.rpts.p99()
	m.resident, err = c.resident()
	return m, err
}

// tokens: server CPU per flow in ES256 signatures.
func (b *run) tokens(ctx context.Context) error {
	unit, err := signature()
	if err != nil {
		return err
	}
	b.say("one raw ES256 signature: %s", unit)
	floor, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("bare"), "--bare")
	if err != nil {
		return err
	}
	b.say("the three exchanges of a flow with net/http alone: %s of server CPU = %.1f signatures", floor.cpu, float64(floor.cpu)/float64(unit))
	for _, c := range []struct {
		format string
		target float64
	}{{"opaque", 6}, {"jwt", 8}} {
		m, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("tokens-"+c.format), "--format", c.format)
		if err != nil {
			return err
		}
		b.say("UMA flow, %s RPT, durable: %s of server CPU = %.1f signatures (target ≤ %.0f), %.0f flows/s", c.format, m.cpu, float64(m.cpu)/float64(unit), c.target, m.perSec)
	}
	return nil
}

// durability: the same flow with and without syncing.
func (b *run) durability(ctx context.Context) error {
	durable, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("durable"))
	if err != nil {
		return err
	}
	loose, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("loose"), "--no-sync")
	if err != nil {
		return err
	}
	b.say("throughput, %d clients: %.0f flows/s durable, %.0f without syncing = %.0f %% (target ≥ 75 %%)", b.Connections, durable.perSec, loose.perSec, 100*durable.perSec/loose.perSec)
	return nil
}

// growth: the cost of a flow and the disk per set when the number of registered sets grows.
func (b *run) growth(ctx context.Context) error {
	few, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("few"), "--sets", "1000")
	if err != nil {
		return err
	}
	folder := b.folder("many")
	many, err := b.measure(ctx, b.Connections, b.Flows, "--data", folder, "--sets", strconv.Itoa(b.Sets))
	if err != nil {
		return err
	}
	size, err := diskOf(folder)
	if err != nil {
		return err
	}
	b.say("registered sets 1,000 → %d: CPU per flow %s → %s = %+.0f %% (target ≤ +20 %%), disk %d bytes a set (target ≤ 1,024), resident %d MB", b.Sets, few.cpu, many.cpu,
		100*(float64(many.cpu)/float64(few.cpu)-1), size/int64(b.Sets), many.resident>>20)
	return nil
}

// shares: what an RPT costs a party with very many shares, among very many sets.
func (b *run) shares(ctx context.Context) error {
	few, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("shares-few"), "--sets", "1000", "--shares", "10")
	if err != nil {
		return err
	}
	many, err := b.measure(ctx, b.Connections, b.Flows, "--data", b.folder("shares-many"), "--sets", strconv.Itoa(b.Sets), "--shares", "10000")
	if err != nil {
		return err
	}
	b.say("sets 1,000 → %d, shares of one party 10 → 10,000: RPT p99 %s → %s = %.2f × (target ≤ 1.5), CPU per flow %s → %s = %.2f × (target ≤ 1.5), resident %d → %d MB", b.Sets,
		few.p99.Round(10*time.Microsecond), many.p99.Round(10*time.Microsecond), float64(many.p99)/float64(few.p99), few.cpu, many.cpu, float64(many.cpu)/float64(few.cpu), few.resident>>20, many.resident>>20)
	return nil
}

// footprint: readiness and memory of a server on an existing store.
func (b *run) footprint(ctx context.Context) error {
	folder := b.folder("footprint")
	first, err := start(ctx, "--data", folder, "--sets", "10000")
	if err != nil {
		return err
	}
	if err := first.stop(); err != nil {
		return err
	}
	c, err := start(ctx, "--data", folder, "--sets", "10000")
	if err != nil {
		return err
	}
	rss, err := c.resident()
	if err != nil {
		return errors.Join(err, c.stop())
	}
	b.say("existing store with 10,000 sets: ready in %.0f ms (target < 150), resident %d MB (target < 64)", c.ReadyMS, rss>>20)
	return c.stop()
}

func (b *run) folder(name string) string { return filepath.Join(b.Folder, name) }

// diskOf sums the blocks in use, not the length: stores are grown ahead.
func diskOf(folder string) (int64, error) {
	var total int64
	entries, err := os.ReadDir(folder)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		total += blocksOf(info)
	}
	return total, nil
}
