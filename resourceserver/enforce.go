package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// EnforcerConfig is what an Enforcer is made of. Fields without a word about a default are needed.
type EnforcerConfig struct {
	Base             string // public FHIR base, absolute, without a final slash
	ResourceMetadata string // URL of the protected resource metadata (RFC 9728), for challenges
	Realm            string // of challenges; default "fhir"
	Upstream         Upstream
	Verifier         TokenVerifier
	Ticketer         Ticketer
	Relations        Relations
	Recorder         Recorder
	Pages            Handles     // keeps what continuation links stand for
	Possession       *Possession // nil: DPoP proofs for addresses under Base, certificates of this process's own connections
	Spender          Spender     // nil: single-use grants grant nothing
	Owners           Owners      // nil: refusals about records outside of a token go to the log alone
	Now              func() time.Time
	Logger           *slog.Logger
	MaxBody          int64 // bytes of a request body; default 16 MiB
	MaxCount         int   // rows per page; default 200
	MaxEntries       int   // entries of a Bundle; default 500
}

// Spender consumes a single-use grant at its authorization server: of parallel calls one succeeds (decisions 8). Errors:
// ErrInactive for a grant that is spent or ended, ErrUnreachable.
type Spender interface {
	Spend(ctx context.Context, issuer, token string) error
}

// Owners finds who holds a patient's record, so that she hears of refused attempts at it (audit.md §2). Error: ErrNotKept.
type Owners interface {
	RecordOf(ctx context.Context, patient string) (Registration, error)
}

// Enforcer is the FHIR interface under its owners' control: it classifies, verifies, judges, asks the upstream, judges again,
// records, and answers. It serves the paths under its base.
type Enforcer struct {
	EnforcerConfig
	classifier Classifier
	rights     *rightsCache
	prefix     string // path of the base
}

// NewEnforcer checks the configuration.
func NewEnforcer(c EnforcerConfig) (*Enforcer, error) {
	var missing []string
	for name, absent := range map[string]bool{
		"Base": c.Base == "", "Upstream": c.Upstream == nil, "Verifier": c.Verifier == nil, "Ticketer": c.Ticketer == nil,
		"Relations": c.Relations == nil, "Recorder": c.Recorder == nil, "Pages": c.Pages == nil, "Now": c.Now == nil, "Logger": c.Logger == nil,
	} {
		if absent {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("enforcer: set %s", strings.Join(missing, ", "))
	}
	if err := fhir.SelfTest(); err != nil {
		return nil, fmt.Errorf("enforcer: %w", err)
	}
	c.Base = strings.TrimSuffix(c.Base, "/")
	base, err := url.Parse(c.Base)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" || base.User != nil {
		return nil, fmt.Errorf("enforcer: Base must be an absolute http(s) URL without query, not %q", c.Base)
	}
	if c.Realm == "" {
		c.Realm = "fhir"
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 16 << 20
	}
	if c.Possession == nil {
		if c.Possession, err = possessionAt(c.Base, c.Now); err != nil {
			return nil, fmt.Errorf("enforcer: %w", err)
		}
	}
	return &Enforcer{
		EnforcerConfig: c,
		classifier:     Classifier{Base: c.Base, UpstreamBase: strings.TrimSuffix(c.Upstream.Base(), "/"), MaxCount: c.MaxCount, MaxEntries: c.MaxEntries},
		rights:         newRightsCache(),
		prefix:         base.EscapedPath(),
	}, nil
}

// call is one request on its way through the enforcer. It is the Facts of its judge.
type call struct {
	*Enforcer
	access    *Access
	rights    *Rights
	token     string
	state     tokenState
	unproven  *unproven // why a live token does not count as it was presented
	requestID string
	posted    bool // a search by POST: its parameters never appear in links
	inBundle  bool // an entry: refusals carry no ticket of their own

	stored  map[string]*fhir.Resource
	lookups int
	maySee  map[[2]string]scopes.Set
	used    []Event
	behind  []string // patients of a record that was found but may not be shown: for its owners' history, never for the answer
}

// ServeHTTP answers one request.
func (e *Enforcer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Enforcer: e, requestID: requestID(r.Header.Get("X-Request-Id")), posted: r.Method == http.MethodPost}
	a, proof := c.serve(r)
	write(w, a, c.requestID, r.Method == http.MethodHead, proof)
}

func (c *call) serve(r *http.Request) (answer, audited) {
	ctx := r.Context()
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), c.prefix)
	if !ok || path != "" && path[0] != '/' {
		return errNoRoute.answer(), unowned()
	}
	h := headOf(r, strings.TrimPrefix(path, "/"))
	access, body, refused := c.classifier.ClassifyHead(h)
	if refused != nil {
		return refused.answer(), unowned()
	}
	c.access = access
	if a, ok := c.authenticate(ctx, present(r)); !ok {
		return a, unowned()
	}
	if body {
		raw, refused := readBody(r.Body, c.MaxBody)
		if refused == nil {
			refused = c.classifier.ClassifyBody(access, h, raw)
		}
		if refused != nil {
			return refused.answer(), unowned()
		}
	}
	a, err := c.perform(ctx)
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		a, err = refused.answer(), nil
	}
	if err != nil {
		c.Logger.ErrorContext(ctx, "request failed", "request_id", c.requestID, "interaction", string(c.access.Interaction), "error", err)
		a = faultAnswer(err)
		if !writes(c.access.Interaction) && c.access.Bundle == nil {
			c.used = nil // nothing is shown
		}
	}
	proof, err := c.record(ctx)
	if err != nil {
		c.Logger.ErrorContext(ctx, "access not recorded", "request_id", c.requestID, "error", err)
		a = outcome(http.StatusServiceUnavailable, "transient", textAudit)
		a.retryAfter = 5
		return a, unowned()
	}
	return a, proof
}

// perform dispatches by interaction. Each branch judges before it touches the upstream.
func (c *call) perform(ctx context.Context) (answer, error) {
	a := c.access
	switch {
	case a.Page != "":
		return c.continuePage(ctx)
	case a.Bundle != nil && a.Bundle.Atomic:
		return c.transaction(ctx)
	case a.Bundle != nil:
		return c.batch(ctx)
	}
	d, err := Judge(ctx, c.rights, a, c)
	if err != nil {
		return answer{}, err
	}
	permit, ok := d.(Permit)
	if !ok {
		return c.refuse(ctx, d), nil
	}
	if permit.Spend {
		if a, ok, err := c.spend(ctx); !ok || err != nil {
			return a, err
		}
	}
	switch a.Interaction {
	case fhir.Read:
		return c.read(ctx, permit.Filter)
	case fhir.VRead:
		return c.vread(ctx, permit.Filter)
	case fhir.SearchType:
		return c.search(ctx, permit.Filter)
	case fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		return c.history(ctx, permit.Filter)
	case fhir.Operation:
		return c.everything(ctx, permit.Filter)
	case fhir.Create:
		return c.create(ctx)
	case fhir.Update, fhir.Patch:
		return c.update(ctx)
	case fhir.Delete:
		return c.delete(ctx)
	default:
		return errNoRoute.answer(), nil
	}
}

// refuse turns a decision into an answer, with a ticket where the table asks for one, and notes it for the owner.
func (c *call) refuse(ctx context.Context, d Decision) answer {
	in := refusalInput{Token: c.state, Realm: c.Realm, Metadata: c.ResourceMetadata, Unproven: c.unproven}
	var reason string
	ask, patient := false, ""
	var set *Set
	switch d := d.(type) {
	case Deny:
		in.Row, in.Asked, reason = d.Row, d.Asked, d.Reason
	case NeedTicket:
		in.Row, in.Asked, reason = d.Row, d.Asked, d.Reason
		ask, patient, set = c.state == tokenRPT, d.Patient, d.Set
	case NeedOverride, Permit, nil:
		in.Row, reason = RowScope, "scope"
	}
	if (c.state == tokenMissing || c.state == tokenInvalid || in.Row == RowToken) && in.Row != RowUnreachable {
		// R1: a ticket where an owner follows from the URL, the decoy for any other instance.
		patient, set = c.access.namedPatient(), nil
		ask = (patient != "" || c.access.ID != "") && (c.unproven == nil || c.unproven.nonce == "") // a nonce is no matter for the owner
		if in.Asked == nil {
			in.Asked = c.access.asked(LevelRecord)
		}
	}
	in.Bare = c.inBundle
	if ask && !c.inBundle {
		ticket, err := c.ticket(ctx, patient, set, in.Asked)
		if err != nil {
			c.Logger.WarnContext(ctx, "no permission ticket", "request_id", c.requestID, "error", err)
			in.Row = RowUnreachable
		} else {
			in.Ticket = &ticket
		}
	}
	c.noteRefusal(ctx, reason)
	c.Logger.InfoContext(ctx, "access refused", "request_id", c.requestID, "interaction", string(c.access.Interaction), "reason", reason)
	return refusal(in)
}

func (c *call) ticket(ctx context.Context, patient string, set *Set, asked []scopes.Scope) (Challenge, error) {
	var ch Challenge
	var err error
	if set != nil {
		ch, err = c.Ticketer.TicketFor(ctx, *set, asked)
	} else {
		ch, err = c.Ticketer.Ticket(ctx, patient, asked)
	}
	if err == nil && ch.Realm == "" {
		ch.Realm = c.Realm
	}
	return ch, err
}

// hidden is R3: the same for what is hidden and what is absent. The ticket comes from the decoy unless the request line itself
// names a patient (decisions 6).
func (c *call) hidden(ctx context.Context) answer { return c.refuse(ctx, c.hiddenDecision()) }

// hide is hidden where there is a record behind the answer.
func (c *call) hide(found *fhir.Resource) { c.behind = fhir.PatientMembership(found).Members() }

func (c *call) hiddenDecision() Decision {
	return NeedTicket{Row: RowHidden, Reason: "context", Patient: c.access.namedPatient(), Asked: c.access.asked(LevelRecord)}
}
