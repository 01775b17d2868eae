package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// transaction judges every entry first; one refusal refuses the whole and nothing is sent upstream (GW-26). The writes then go
// as one transaction with the judged versions; reads are performed after it.
func (c *call) transaction(ctx context.Context) (answer, error) {
	entries := c.access.Bundle.Entries
	tx := &transaction{call: c, ops: make([]*writeOp, len(entries)), created: map[string]bool{}, known: map[string]string{}}
	for _, e := range entries {
		if e.Access.Interaction == fhir.Create && e.FullURL != "" {
			tx.created[e.FullURL] = true
		}
	}
	for i, e := range entries {
		if refused, a, err := tx.judge(ctx, i, e, true); refused || err != nil {
			return a, err
		}
	}
	for i, e := range entries {
		if tx.ops[i] != nil && tx.ops[i].existing != nil || !writes(e.Access.Interaction) {
			continue
		}
		if refused, a, err := tx.judge(ctx, i, e, false); refused || err != nil {
			return a, err
		}
	}
	return tx.run(ctx)
}

func writes(i fhir.Interaction) bool {
	switch i {
	case fhir.Create, fhir.Update, fhir.Patch, fhir.Delete:
		return true
	default:
		return false
	}
}

// transaction is one transaction on its way.
type transaction struct {
	*call
	ops     []*writeOp
	created map[string]bool
	known   map[string]string // fullUrl of a conditional create that exists already → Type/id
}

// judge decides on one entry. The first pass is static and finds what conditional creates stand for; the second judges
// bodies, whose references are known by then.
func (tx *transaction) judge(ctx context.Context, i int, e BundleEntry, first bool) (refused bool, a answer, err error) {
	s := tx.sub(e.Access)
	d, err := Judge(ctx, tx.rights, e.Access, s)
	if err != nil {
		return false, answer{}, err
	}
	permit, ok := d.(Permit)
	if !ok || permit.Spend {
		return true, tx.refuseWhole(ctx, s, d), nil
	}
	findsExisting := e.Access.Interaction == fhir.Create && e.Access.Conditional
	if first && !findsExisting || !writes(e.Access.Interaction) {
		return false, answer{}, nil
	}
	if len(tx.known) > 0 && e.Access.Body != nil {
		if e.Access.Body, err = renamed(e.Access.Body, tx.known); err != nil {
			return false, answer{}, err
		}
	}
	var op *writeOp
	switch e.Access.Interaction {
	case fhir.Create:
		op, d, err = s.prepareCreate(ctx, tx.created)
	case fhir.Update, fhir.Patch:
		op, d, err = s.prepareUpdate(ctx, tx.created)
	default:
		op, d, err = s.prepareDelete(ctx)
	}
	tx.lookups = s.lookups
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		tx.used = append(tx.used, s.used...)
		return true, refusal.answer(), nil
	}
	if err != nil {
		return false, answer{}, err
	}
	if d != nil {
		return true, tx.refuseWhole(ctx, s, d), nil
	}
	if tx.ops[i] = op; op.existing != nil && e.FullURL != "" {
		tx.known[e.FullURL] = op.existing.Resource.Type() + "/" + op.existing.Resource.ID()
		delete(tx.created, e.FullURL)
	}
	return false, answer{}, nil
}

// refuseWhole is the one refusal of a transaction: 403, or one ticket for an RPT where one owner could cure it.
func (tx *transaction) refuseWhole(ctx context.Context, entry *call, d Decision) answer {
	switch x := d.(type) {
	case NeedTicket:
		x.Row = RowContext
		d = x
	case Deny:
		if x.Row != RowReference && x.Row != RowPrecond {
			x.Row = RowContext
		}
		d = x
	default:
		d = Deny{Row: RowContext, Reason: "scope"}
	}
	c := *tx.call
	c.access, c.behind = entry.access, entry.behind
	a := c.refuse(ctx, d)
	tx.used = c.used
	return a
}

func (tx *transaction) run(ctx context.Context) (answer, error) {
	var sent []wireEntry
	var at []int
	for i, op := range tx.ops {
		if op == nil || op.existing != nil {
			continue
		}
		if a, ok := tx.intent(ctx, op.by); !ok {
			return a, nil
		}
		e := wireEntry{FullURL: tx.access.Bundle.Entries[i].FullURL, Request: &wireRequest{Method: op.method, URL: op.path, IfMatch: op.ifMatch}}
		if op.body != nil {
			e.Resource = op.body.Raw()
		}
		sent, at = append(sent, e), append(at, i)
	}
	results := make([]wireResult, len(tx.ops))
	if len(sent) > 0 {
		responses, refused, err := tx.send(ctx, sent, at)
		if refused != nil || err != nil {
			return *orEmpty(refused), err
		}
		for n, i := range at {
			results[i] = tx.result(tx.ops[i], responses[n])
			tx.note(tx.ops[i].by)
		}
	}
	for i, e := range tx.access.Bundle.Entries {
		switch {
		case tx.ops[i] != nil && tx.ops[i].existing != nil:
			s := tx.ops[i].existing
			tx.note(s) // its address tells that it is there
			results[i] = wireResult{Response: wireResponse{Status: "200", Location: tx.Base + "/" + s.Resource.Type() + "/" + s.Resource.ID(), ETag: etagOf(s.Resource, "")}}
		case tx.ops[i] == nil:
			clear(tx.stored) // reads see what was just written
			results[i] = resultOf(tx.performEntry(ctx, e.Access))
		}
	}
	return bundleAnswer("transaction-response", results)
}

func orEmpty(a *answer) *answer {
	if a == nil {
		return &answer{}
	}
	return a
}

// send posts the writes as one transaction.
func (tx *transaction) send(ctx context.Context, entries []wireEntry, at []int) ([]wireResponse, *answer, error) {
	type outEntry struct {
		FullURL  string          `json:"fullUrl,omitempty"`
		Resource json.RawMessage `json:"resource,omitempty"`
		Request  *wireRequest    `json:"request"`
	}
	out := make([]outEntry, len(entries))
	for i, e := range entries {
		out[i] = outEntry{e.FullURL, e.Resource, e.Request}
	}
	body, err := encodeJSON(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": out})
	if err != nil {
		return nil, nil, fmt.Errorf("write transaction: %w", err)
	}
	resp, err := tx.do(ctx, UpstreamRequest{Method: http.MethodPost, Body: body, ContentType: "application/fhir+json", Prefer: "return=minimal"})
	failed := func(a answer) ([]wireResponse, *answer, error) {
		for _, i := range at {
			tx.noteFailed(tx.ops[i])
		}
		return nil, &a, nil
	}
	switch {
	case err != nil:
		tx.Logger.ErrorContext(ctx, "transaction failed", "request_id", tx.requestID, "error", err)
		return failed(faultAnswer(ErrUpstream))
	case resp.Status == http.StatusPreconditionFailed || resp.Status == http.StatusConflict:
		return failed(outcome(http.StatusPreconditionFailed, "conflict", textPrecond))
	case resp.Status >= 400 && resp.Status < 500:
		return failed(errRejected.answer())
	case resp.Status != http.StatusOK:
		tx.Logger.ErrorContext(ctx, "transaction failed", "request_id", tx.requestID, "status", resp.Status)
		return failed(faultAnswer(ErrUpstream))
	}
	b, err := tx.parseBundle(resp.Body)
	if err != nil {
		return nil, nil, err
	}
	responses := make([]wireResponse, len(entries))
	for i, e := range b.Entry {
		if i < len(responses) && e.Response != nil {
			responses[i] = *e.Response
		}
	}
	return responses, nil, nil
}

// result is one entry's answer: our own status and location, the upstream's version.
func (tx *transaction) result(op *writeOp, r wireResponse) wireResult {
	out := wireResponse{Status: "200", ETag: plainTag(r.ETag), LastModified: plainInstant(r.LastModified)}
	switch op.method {
	case http.MethodPost:
		out.Status = "201"
	case http.MethodDelete:
		out.Status = "204"
		return wireResult{Response: out}
	}
	if name, version := tx.location(r.Location); name != "" {
		out.Location = tx.Base + "/" + name
		if version != "" {
			out.Location += "/_history/" + version
		}
	}
	return wireResult{Response: out}
}

// renamed replaces references by what conditional creates stand for.
func renamed(r *fhir.Resource, names map[string]string) (*fhir.Resource, error) {
	tree := copyTree(r.Map())
	var walk func(v any) bool
	walk = func(v any) bool {
		changed := false
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				if text, ok := member.(string); ok && name == "reference" {
					if to, ok := names[text]; ok {
						v[name], changed = to, true
					}
					continue
				}
				changed = walk(member) || changed
			}
		case []any:
			for _, member := range v {
				changed = walk(member) || changed
			}
		}
		return changed
	}
	if !walk(tree) {
		return r, nil
	}
	return resourceOf(tree)
}

// copyTree copies decoded JSON, so that the parsed resource stays as it is.
func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = copyTree(member)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, member := range v {
			out[i] = copyTree(member)
		}
		return out
	}
	return v
}
