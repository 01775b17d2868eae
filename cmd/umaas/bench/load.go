package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Target is a serving child, as it describes itself in its first line of output.
type Target struct {
	Issuer    string   `json:"issuer"`
	RSID      string   `json:"rs_id"`
	RSSecret  string   `json:"rs_secret"`
	AppID     string   `json:"app_id"`
	AppSecret string   `json:"app_secret"`
	Resources []string `json:"resources"` // a sample to ask about
	ReadyMS   float64  `json:"ready_ms"`  // from process start to the listener answering
}

// driver sends complete flows: permission request, RPT grant, introspection.
type driver struct {
	t    Target
	http *http.Client
	pat  string
	rpts latencies
}

// latencies are the times of one exchange, in the order they came.
type latencies struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

// p99 is the time that 99 of 100 stay below.
func (l *latencies) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) == 0 {
		return 0
	}
	slices.Sort(l.list)
	return l.list[len(l.list)*99/100]
}

func newDriver(ctx context.Context, t Target, connections int) (*driver, error) {
	d := &driver{t: t, http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}}
	var token uma.TokenResponse
	err := d.post(ctx, "/token", url.Values{"grant_type": {uma.GrantTypeClientCredentials}, "scope": {uma.ScopeProtection}}.Encode(), form, d.basic(t.RSID, t.RSSecret), &token)
	d.pat = token.AccessToken
	return d, err
}

const form = "application/x-www-form-urlencoded"

func (d *driver) basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

func (d *driver) bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+d.pat) }

// flow is one complete UMA flow about the i-th resource.
func (d *driver) flow(ctx context.Context, i int) error {
	id := d.t.Resources[i%len(d.t.Resources)]
	body := `{"resource_id":"` + id + `","resource_scopes":["patient/AllergyIntolerance.r","patient/AllergyIntolerance.s"]}`
	var ticket uma.PermissionTicket
	if err := d.post(ctx, "/permission", body, "application/json", d.bearer, &ticket); err != nil {
		return err
	}
	var rpt uma.TokenResponse
	asked := time.Now()
	if err := d.post(ctx, "/token", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Auma-ticket&ticket="+ticket.Ticket, form, d.basic(d.t.AppID, d.t.AppSecret), &rpt); err != nil {
		return err
	}
	d.rpts.add(time.Since(asked))
	var seen uma.Introspection
	if err := d.post(ctx, "/introspect", "token="+url.QueryEscape(rpt.AccessToken), form, d.bearer, &seen); err != nil {
		return err
	}
	if !seen.Active || len(seen.Permissions) != 1 || len(seen.Permissions[0].Scopes) != 2 {
		return fmt.Errorf("introspection: %+v", seen)
	}
	return nil
}

func (d *driver) post(ctx context.Context, path, body, contentType string, authorize func(*http.Request), out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.t.Issuer+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	authorize(req)
	res, err := d.http.Do(req)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s: %d %s", path, res.StatusCode, raw)
	}
	return json.Unmarshal(raw, out)
}

// run sends flows over the given connections until count are done or the time is up, and returns how many were.
func (d *driver) run(ctx context.Context, connections, count int, atMost time.Duration) (done int64, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	var next, finished atomic.Int64
	var once sync.Once
	var wg sync.WaitGroup
	start := time.Now()
	for range connections {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(count) || ctx.Err() != nil {
					return
				}
				if e := d.flow(ctx, int(i)); e != nil {
					if !errors.Is(e, context.DeadlineExceeded) {
						once.Do(func() { err = e; cancel() })
					}
					return
				}
				finished.Add(1)
			}
		})
	}
	wg.Wait()
	return finished.Load(), time.Since(start), err
}
