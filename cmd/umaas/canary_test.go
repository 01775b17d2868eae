package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/server"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/config"
)

// listener is a transport that notes every secret that passes: what apps and people's browsers send and get.
type listener struct {
	mu      sync.Mutex
	secrets map[string]string // value → what it is
}

var (
	secretField = map[string]bool{
		"password": true, "client_secret": true, "ticket": true, "code": true, "access_token": true, "refresh_token": true, "id_token": true, "token": true,
		"csrf": true, "state": true, "resolved": true, "code_verifier": true, "nonce": true, "persisted_claims_token": true, "pct": true, "rpt": true,
	}
	quotedTicket = regexp.MustCompile(`ticket="([^"]+)"`)
	hiddenField  = regexp.MustCompile(`name="(?:csrf|_csrf|token)[^"]*" value="([^"]{16,})"`)
)

func (l *listener) note(what, value string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(value) >= 12 { // shorter ones occur by chance
		l.secrets[value] = what
	}
}

func (l *listener) fields(from string, v url.Values) {
	for name, values := range v {
		for _, value := range values {
			if secretField[name] {
				l.note(from+" "+name, value)
			}
		}
	}
}

// RoundTrip implements http.RoundTripper.
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	l.fields("query", r.URL.Query())
	if a := r.Header.Get("Authorization"); a != "" {
		scheme, value, _ := strings.Cut(a, " ")
		l.note(scheme, value)
		if raw, err := base64.StdEncoding.DecodeString(value); err == nil && scheme == "Basic" {
			_, password, _ := strings.Cut(string(raw), ":")
			l.note("client secret", password)
		}
	}
	for _, c := range r.Cookies() {
		l.note("cookie "+c.Name, c.Value)
	}
	if strings.HasPrefix(r.URL.Path, "/uma-context/") {
		l.note("context URL", strings.Split(r.URL.Path, "/")[2])
	}
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(raw))
		if form, err := url.ParseQuery(string(raw)); err == nil {
			l.fields("form", form)
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(raw))
	l.answer(res, raw)
	return res, nil
}

func (l *listener) answer(res *http.Response, raw []byte) {
	if to, err := url.Parse(res.Header.Get("Location")); err == nil {
		l.fields("redirect", to.Query())
	}
	for _, c := range res.Cookies() {
		l.note("cookie "+c.Name, c.Value)
	}
	for _, m := range quotedTicket.FindAllStringSubmatch(strings.Join(res.Header.Values("WWW-Authenticate"), " "), -1) {
		l.note("challenge ticket", m[1])
	}
	for _, m := range hiddenField.FindAllSubmatch(raw, -1) {
		l.note("form token", string(m[1]))
	}
	var object map[string]any
	if json.Unmarshal(raw, &object) == nil {
		for name, value := range object {
			if s, ok := value.(string); ok && secretField[name] {
				l.note("answer "+name, s)
			}
		}
	}
}

// TestSEC_111_NoSecretInAnyLog takes the whole main job against a server that logs all it can, and looks for every password,
// token, ticket, code, cookie and context URL that passed, and for what the gateway keeps.
func TestSEC_111_NoSecretInAnyLog(t *testing.T) {
	file, w := hospital(t)
	l := &listener{secrets: map[string]string{}}
	var log *safe
	t.Run("main job", func(t *testing.T) {
		log = running(t, file)
		check(t, quiet(w, l).Run(t.Context()))
		// Mistakes are what logs are made of: secrets in wrong places.
		for _, target := range []string{w.Issuer + "/token?client_secret=canary-in-a-query-1", w.Issuer + "/introspect?token=canary-in-a-query-2", w.FHIRBase + "/Patient/1?access_token=canary-in-a-query-3", w.RS + "/uma-context/canary-context-handle-4", w.Issuer + "/authorize?client_id=x&state=canary-in-a-query-5"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader("password=canary-in-a-body-6&token=canary-in-a-body-7"))
				check(t, err)
				req.Header.Set("Authorization", "Bearer canary-bearer-value-8")
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				res, err := http.DefaultTransport.RoundTrip(req)
				check(t, err)
				check(t, res.Body.Close())
			}
		}
	})
	for _, p := range w.People {
		l.note("password of "+p.Login, p.Password)
	}
	l.note("gateway's client secret", w.Server.ClientSecret)
	l.note("app's client secret", w.App.ClientSecret)
	kept(t, file, l)
	if len(l.secrets) < 40 {
		t.Errorf("the listener heard only %d secrets", len(l.secrets))
	}
	text := log.String()
	if !strings.Contains(text, `"msg":"ready"`) {
		t.Fatalf("this is not the log:\n%s", text)
	}
	leaks := 0
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
		for secret, what := range l.secrets {
			if strings.Contains(line, secret) || strings.Contains(line, url.QueryEscape(secret)) {
				leaks++
				t.Errorf("%s in the log: %s", what, line)
			}
		}
		if strings.Contains(line, "canary-") {
			t.Errorf("a canary in the log: %s", line)
		}
	}
	t.Logf("%d secrets, %d bytes of log, %d leaks", len(l.secrets), len(text), leaks)
}

// kept notes the protection tokens that the gateway holds.
func kept(t *testing.T, file string, l *listener) {
	t.Helper()
	cfg, err := config.Load(file, nil, nil)
	check(t, err)
	log := slog.New(slog.DiscardHandler)
	embedded, err := openEmbedded(cfg, log)
	check(t, err)
	c, err := gatewayConfig(cfg, embedded, log)
	check(t, err)
	c.Idle = true
	r, err := server.NewRS(t.Context(), c)
	check(t, err)
	users, err := r.State.Users(t.Context(), "", 100)
	check(t, err)
	found := 0
	keys := []string{""} // the custodian's own
	for _, u := range users {
		keys = append(keys, u.Key)
	}
	for _, u := range keys {
		p, err := r.State.PAT(t.Context(), rs.Owner{Issuer: cfg.AS.Issuer, User: u})
		if errors.Is(err, rs.ErrNoPAT) || errors.Is(err, rs.ErrNotKept) {
			continue
		}
		check(t, err)
		found++
		l.note(fmt.Sprintf("PAT of %q", u), p.Access)
		l.note(fmt.Sprintf("refresh token of %q", u), p.Refresh)
	}
	check(t, errors.Join(r.Close(), embedded.Close()))
	if found < 2 {
		t.Errorf("the gateway keeps only %d protection tokens", found)
	}
}
