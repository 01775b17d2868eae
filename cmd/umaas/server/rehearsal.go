package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// AskedRequest are the arguments of explain-request: a FHIR request as an app would send it.
type AskedRequest struct {
	Token  string
	Method string
	Target string // absolute, below the FHIR base, or relative to it
	Body   json.RawMessage
}

// RequestExplanation tells what the gateway does with a request, step by step, and what the app would get.
type RequestExplanation struct {
	Request string
	Steps   []umaas.ExplainStep
	Status  int // 0: a write that would go on to the FHIR server; it was stopped there
	Verdict string
}

// explainRequest rehearses a request: the gateway's own enforcer decides it, with parts around that tell what it asks of them
// and change nothing. Reads go through to the FHIR server, because only its rows can be judged; writes stop before it. No access
// event is spooled, no ticket is asked for, no single-use grant is spent, and nothing of a record is told but a count.
func (r *RS) explainRequest(ctx context.Context, q AskedRequest) (RequestExplanation, error) {
	method := strings.ToUpper(q.Method)
	target := q.Target
	if rest, ok := strings.CutPrefix(target, r.enforcer.Base); ok {
		target = rest
	} else if strings.Contains(target, "://") {
		return RequestExplanation{}, fmt.Errorf("%s is not below this gateway's FHIR base %s", target, r.enforcer.Base)
	}
	target = r.enforcer.Base + "/" + strings.TrimPrefix(target, "/")
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(q.Body))
	if err != nil {
		return RequestExplanation{}, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+q.Token)
	if len(q.Body) > 0 {
		req.Header.Set("Content-Type", "application/fhir+json")
		if method == http.MethodPatch {
			req.Header.Set("Content-Type", "application/json-patch+json")
		}
	}
	t := &rehearsal{EnforcerConfig: r.enforcer}
	e, err := t.stage()
	if err != nil {
		return RequestExplanation{}, err
	}
	w := &stage{header: http.Header{}, status: http.StatusOK}
	e.ServeHTTP(w, req)
	x := RequestExplanation{Request: method + " " + target, Steps: t.steps, Status: w.status}
	switch {
	case t.stopped:
		x.Status, x.Verdict = 0, "permitted: the FHIR server would be asked to write now"
	case w.status < http.StatusBadRequest:
		x.Verdict = "permitted: " + w.rows()
	default:
		x.Verdict = fmt.Sprintf("refused with %d: %s", w.status, w.reason())
	}
	return x, nil
}

// rehearsal is an enforcer's surroundings that tell what they are asked.
type rehearsal struct {
	rs.EnforcerConfig
	steps   []umaas.ExplainStep
	stopped bool
}

func (t *rehearsal) stage() (*rs.Enforcer, error) {
	c := t.EnforcerConfig
	c.Verifier, c.Ticketer, c.Relations, c.Recorder, c.Spender = rehearsedVerifier{t}, rehearsedTicketer{t}, rehearsedRelations{t}, rehearsedRecorder{t}, rehearsedSpender{t}
	c.Upstream, c.Pages, c.Logger = rehearsedUpstream{Upstream: c.Upstream, t: t}, rehearsedPages{c.Pages}, slog.New(slog.DiscardHandler)
	return rs.NewEnforcer(c)
}

func (t *rehearsal) step(name string, ok bool, format string, args ...any) {
	t.steps = append(t.steps, umaas.ExplainStep{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

type rehearsedVerifier struct{ t *rehearsal }

// Verify implements resourceserver.TokenVerifier.
func (v rehearsedVerifier) Verify(ctx context.Context, token string) (rs.Grant, error) {
	return v.VerifyAbout(ctx, token, "")
}

// VerifyAbout implements resourceserver.AboutVerifier.
func (v rehearsedVerifier) VerifyAbout(ctx context.Context, token, patient string) (rs.Grant, error) {
	verify := func() (rs.Grant, error) { return v.t.Verifier.Verify(ctx, token) }
	if about, ok := v.t.Verifier.(rs.AboutVerifier); ok {
		verify = func() (rs.Grant, error) { return about.VerifyAbout(ctx, token, patient) }
	}
	g, err := verify()
	switch {
	case errors.Is(err, rs.ErrUnreachable):
		v.t.step("token", false, "the authorization server does not answer: %v", err)
		return g, err
	case err != nil:
		v.t.step("token", false, "not active for this gateway: unknown, expired, withdrawn, or meant for another resource server")
		return g, err
	}
	v.t.step("token", true, "%s of client %s, active until %s; permissions known here: %d", g.Kind, g.ClientID, g.Expires.UTC().Format(time.RFC3339), len(g.Permissions))
	for _, p := range g.Permissions {
		said := strings.Join(p.Scopes, " ")
		for _, c := range p.Constraints {
			said += fmt.Sprintf(", only %s %s", c.Type, c.Value)
		}
		v.t.step("permission on "+setWords(p.Set), len(p.Scopes) > 0, "%s", said)
	}
	if g.Confirm.Bound() {
		v.t.step("key", true, "the token counts only with proof of the key it is bound to, which a rehearsal does not ask for")
		g.Confirm = uma.Confirmation{}
	}
	return g, nil
}

func setWords(s rs.Set) string {
	switch s.Level {
	case rs.LevelRecord:
		return "the record of Patient/" + s.Patient
	case rs.LevelPatient:
		return "what " + s.User + " may see of Patient/" + s.Patient
	case rs.LevelUser:
		return "what " + s.User + " may see"
	default:
		return "a set without meaning here"
	}
}

type rehearsedTicketer struct{ t *rehearsal }

var rehearsedChallenge = rs.Challenge{Realm: "rehearsal", ASURI: "https://rehearsal.invalid", Ticket: "rehearsal"}

// Ticket implements resourceserver.Ticketer.
func (k rehearsedTicketer) Ticket(_ context.Context, patient string, asked []scopes.Scope) (rs.Challenge, error) {
	if patient == "" {
		k.t.step("ticket", false, "refused; the request names no patient, so the app would get a ticket that leads nowhere")
	} else {
		k.t.step("ticket", false, "refused; the app would get a ticket to ask the owner of Patient/%s's record for %s", patient, scopes.Set(asked))
	}
	return rehearsedChallenge, nil
}

// TicketFor implements resourceserver.Ticketer.
func (k rehearsedTicketer) TicketFor(_ context.Context, set rs.Set, asked []scopes.Scope) (rs.Challenge, error) {
	k.t.step("ticket", false, "refused; the app would get a ticket to ask for %s on %s", scopes.Set(asked), setWords(set))
	return rehearsedChallenge, nil
}

type rehearsedRelations struct{ t *rehearsal }

// MaySee implements resourceserver.Relations.
func (l rehearsedRelations) MaySee(ctx context.Context, user, patient string) (scopes.Set, bool, error) {
	held, ok, err := l.t.Relations.MaySee(ctx, user, patient)
	switch {
	case err != nil:
		l.t.step("relation", false, "%v", err)
	case !ok:
		l.t.step("relation", false, "%s has no relation to Patient/%s here (umaas relation add)", user, patient)
	default:
		l.t.step("relation", true, "%s may see of Patient/%s: %s", user, patient, held)
	}
	return held, ok, err
}

// Patients implements resourceserver.Relations.
func (l rehearsedRelations) Patients(ctx context.Context, user string) ([]string, error) {
	ids, err := l.t.Relations.Patients(ctx, user)
	l.t.step("relation", err == nil, "patients that %s may see: %d", user, len(ids))
	return ids, err
}

type rehearsedRecorder struct{ t *rehearsal }

// Record implements resourceserver.Recorder and keeps nothing.
func (c rehearsedRecorder) Record(_ context.Context, events []rs.Event) error {
	c.t.step("record", true, "access events that would be reported to the owners: %d", len(events))
	return nil
}

type rehearsedSpender struct{ t *rehearsal }

// Spend implements resourceserver.Spender and spends nothing.
func (s rehearsedSpender) Spend(context.Context, string, string) error {
	s.t.step("single use", true, "the permission is good for one time; a real request would spend it")
	return nil
}

// rehearsedUpstream lets reads through.
type rehearsedUpstream struct {
	rs.Upstream
	t *rehearsal
}

var errRehearsed = errors.New("a rehearsal writes nothing")

// Do implements resourceserver.Upstream.
func (u rehearsedUpstream) Do(ctx context.Context, q rs.UpstreamRequest) (rs.UpstreamResponse, error) {
	line := q.Method + " " + q.Path
	if q.Query != "" {
		line += "?" + q.Query
	}
	if q.Method != http.MethodGet && !strings.HasSuffix(q.Path, "_search") {
		u.t.stopped = true
		u.t.step("FHIR server", true, "would be sent %s", line)
		return rs.UpstreamResponse{}, errors.Join(rs.ErrUpstream, errRehearsed)
	}
	res, err := u.Upstream.Do(ctx, q)
	if err != nil {
		u.t.step("FHIR server", false, "%s: %v", line, err)
		return res, err
	}
	u.t.step("FHIR server", res.Status < http.StatusBadRequest, "%s: %d; each row is judged before it is shown", line, res.Status)
	return res, nil
}

// rehearsedPages reads continuation links and makes none.
type rehearsedPages struct{ rs.Handles }

func (rehearsedPages) Keep(context.Context, string, any, time.Time) (string, error) {
	return "rehearsal", nil
}

func (p rehearsedPages) Take(ctx context.Context, kind, handle string, into any) error {
	return p.Look(ctx, kind, handle, into)
}

func (rehearsedPages) Change(context.Context, string, string, any) error { return nil }

// stage takes the answer that an app would get. Its body goes nowhere.
type stage struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (s *stage) Header() http.Header         { return s.header }
func (s *stage) WriteHeader(status int)      { s.status = status }
func (s *stage) Write(p []byte) (int, error) { return s.body.Write(p) }

// rows counts what would be shown.
func (s *stage) rows() string {
	var b struct {
		Type  string `json:"resourceType"`
		Entry []struct{}
	}
	if json.Unmarshal(s.body.Bytes(), &b) != nil || b.Type != "Bundle" {
		return fmt.Sprintf("%d, the answer would be shown", s.status)
	}
	return fmt.Sprintf("%d, entries shown: %d", s.status, len(b.Entry))
}

// reason is what the app would read.
func (s *stage) reason() string {
	var o struct {
		Issue []struct {
			Diagnostics string
			Details     struct{ Text string }
		}
	}
	if json.Unmarshal(s.body.Bytes(), &o) != nil || len(o.Issue) == 0 {
		return "without a word of why"
	}
	if o.Issue[0].Diagnostics != "" {
		return o.Issue[0].Diagnostics
	}
	return o.Issue[0].Details.Text
}
