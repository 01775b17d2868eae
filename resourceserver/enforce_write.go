package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// writeOp is a change that the judge has permitted, ready for the upstream. It names the judged version (GW-49).
type writeOp struct {
	method, path string
	ifMatch      string
	body         *fhir.Resource
	by           *Shown
	letter       scopes.Letters
	existing     *Shown // conditional create that found its resource: nothing is to be done
}

var (
	errSubsetted   = &Refusal{Status: http.StatusUnprocessableEntity, Code: "invariant", Text: "The content was shown in part (SUBSETTED); writing it back would lose the rest."}
	errUnversioned = &Refusal{Status: http.StatusNotImplemented, Code: "not-supported", Text: "The data server keeps no versions, so changes cannot be made safely."}
	errRejected    = &Refusal{Status: http.StatusUnprocessableEntity, Code: "processing", Text: textRefused}
	errPatch       = &Refusal{Status: http.StatusUnprocessableEntity, Code: "processing", Text: "The patch cannot be applied."}
)

// create answers POST Type (GW-06, GW-20, GW-27).
func (c *call) create(ctx context.Context) (answer, error) {
	op, d, err := c.prepareCreate(ctx, nil)
	if err != nil {
		return answer{}, err
	}
	if d != nil {
		return c.refuse(ctx, d), nil
	}
	if op.existing != nil {
		return c.show(op.existing, ""), nil
	}
	if a, ok := c.intent(ctx, op.by); !ok {
		return a, nil
	}
	return c.execute(ctx, op)
}

// prepareCreate judges a new body. created are the fullUrls a transaction creates, which its bodies may name.
func (c *call) prepareCreate(ctx context.Context, created map[string]bool) (*writeOp, Decision, error) {
	a := c.access
	if subsetted(a.Body) {
		return nil, nil, errSubsetted
	}
	by, err := c.rights.mayWrite(ctx, scopes.Create, a.Body, c)
	if err != nil {
		return nil, nil, err
	}
	if by == nil {
		return nil, c.leaves(a.Body), nil
	}
	if !onlyRestricts(a.Body) { // GW-32
		return nil, Deny{Row: RowContext, Reason: "label"}, nil
	}
	if d, err := c.checkReferences(ctx, a.Body, nil, created); d != nil || err != nil {
		return nil, d, err
	}
	op := &writeOp{method: http.MethodPost, path: a.Type, body: a.Body, by: by, letter: scopes.Create}
	if a.Conditional {
		found, err := c.criteria(ctx)
		switch {
		case err != nil:
			return nil, nil, err
		case len(found) == 1:
			op.existing = found[0]
		case len(found) > 1:
			return nil, Deny{Row: RowPrecond, Reason: "context"}, nil
		}
	}
	return op, nil, nil
}

// update answers PUT and PATCH: the stored and the new body are judged, only inside and inside passes (GW-06), and what is
// written names the judged version. When somebody else was faster the judging starts anew, unless the client named a version.
func (c *call) update(ctx context.Context) (answer, error) {
	recorded := false
	for range 3 {
		op, d, err := c.prepareUpdate(ctx, nil)
		if err != nil {
			return answer{}, err
		}
		if d != nil {
			return c.refuse(ctx, d), nil
		}
		if !recorded {
			if a, ok := c.intent(ctx, op.by); !ok {
				return a, nil
			}
			recorded = true
		}
		a, err := c.execute(ctx, op)
		if !errors.Is(err, errRaced) {
			return a, err
		}
		if c.access.IfMatch != "" {
			break
		}
		c.forget(op.path)
	}
	return c.refuse(ctx, Deny{Row: RowPrecond, Reason: "context"}), nil
}

func (c *call) prepareUpdate(ctx context.Context, created map[string]bool) (*writeOp, Decision, error) {
	a := c.access
	stored, d, err := c.target(ctx, scopes.Update)
	if d != nil || err != nil {
		return nil, d, err
	}
	body := a.Body
	if a.Interaction == fhir.Patch {
		if body, err = c.patched(ctx, stored); err != nil {
			return nil, nil, err
		}
	}
	if body.ID() != stored.ID() { // a conditional update takes the id of what it found
		if body.ID() != "" {
			return nil, nil, unserved(http.StatusBadRequest, "invalid", "The id in the body differs from the resource.")
		}
		if body, err = withID(body, stored.ID()); err != nil {
			return nil, nil, err
		}
	}
	if subsetted(body) {
		return nil, nil, errSubsetted
	}
	by, err := c.rights.mayWrite(ctx, scopes.Update, body, c)
	if err != nil {
		return nil, nil, err
	}
	if by == nil {
		return nil, c.leaves(body), nil
	}
	if !sameLabels(stored, body) { // GW-32
		return nil, Deny{Row: RowContext, Reason: "label"}, nil
	}
	if d, err := c.checkReferences(ctx, body, stored, created); d != nil || err != nil {
		return nil, d, err
	}
	return &writeOp{method: http.MethodPut, path: a.Type + "/" + stored.ID(), ifMatch: versionTag(stored), body: body, by: by, letter: scopes.Update}, nil, nil
}

// delete answers DELETE: the stored body is judged (GW-06).
func (c *call) delete(ctx context.Context) (answer, error) {
	op, d, err := c.prepareDelete(ctx)
	if err != nil {
		return answer{}, err
	}
	if d != nil {
		return c.refuse(ctx, d), nil
	}
	if a, ok := c.intent(ctx, op.by); !ok {
		return a, nil
	}
	a, err := c.execute(ctx, op)
	if errors.Is(err, errRaced) {
		return c.refuse(ctx, Deny{Row: RowPrecond, Reason: "context"}), nil
	}
	return a, err
}

func (c *call) prepareDelete(ctx context.Context) (*writeOp, Decision, error) {
	stored, d, err := c.target(ctx, scopes.Delete)
	if d != nil || err != nil {
		return nil, d, err
	}
	by, err := c.rights.visible(ctx, scopes.Delete, stored, c, 0)
	if err != nil || by == nil {
		return nil, c.hiddenDecision(), err
	}
	return &writeOp{method: http.MethodDelete, path: c.access.Type + "/" + stored.ID(), ifMatch: versionTag(stored), by: by, letter: scopes.Delete}, nil, nil
}

// target finds the stored resource of an update, patch or delete and judges it with the letter. Hidden and absent are one
// answer; there is no update-as-create (GW-29, GW-30).
func (c *call) target(ctx context.Context, letter scopes.Letters) (*fhir.Resource, Decision, error) {
	a := c.access
	id := a.ID
	if a.Conditional && id == "" {
		found, err := c.criteria(ctx)
		if err != nil {
			return nil, nil, err
		}
		if len(found) != 1 { // none and many look alike (GW-28)
			return nil, Deny{Row: RowPrecond, Reason: "context"}, nil
		}
		id = found[0].Resource.ID()
	}
	stored, ok, err := c.Stored(ctx, a.Type, id)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		return nil, c.hiddenDecision(), nil
	}
	shown, err := c.rights.visible(ctx, letter, stored, c, 0)
	if err != nil {
		return nil, nil, err
	}
	if shown == nil {
		c.hide(stored)
		return nil, c.hiddenDecision(), nil
	}
	if stored.VersionID() == "" {
		return nil, nil, errUnversioned
	}
	if a.IfMatch != "" && !tagListed(a.IfMatch, versionTag(stored)) {
		return nil, Deny{Row: RowPrecond, Reason: "context"}, nil
	}
	return stored, nil, nil
}

// criteria counts matches inside the visible set; two are enough to know that there are many.
func (c *call) criteria(ctx context.Context) ([]*Shown, error) {
	f := filterOf(scopes.Search, c.rights.granting(c.access.Type, scopes.Search, c.Now()))
	if f.None() {
		return nil, nil
	}
	c.access.Search.Count = 20
	first, ok, err := c.searchRequest(ctx, f)
	if err != nil || !ok {
		return nil, err
	}
	page, err := c.pull(ctx, f, first, 2)
	if err != nil {
		return nil, err
	}
	q, err := fhir.ParseQuery(c.access.Type, c.access.Search.Filters)
	if err != nil {
		return nil, fmt.Errorf("criteria: %w", err) // the classifier has parsed them already
	}
	var found []*Shown
	for _, s := range page.matches {
		if q.Match(s.Resource) { // an upstream that ignores a parameter must not choose what is hit
			found = append(found, s)
		}
	}
	return found, nil
}

func versionTag(r *fhir.Resource) string { return `W/"` + r.VersionID() + `"` }

func withID(r *fhir.Resource, id string) (*fhir.Resource, error) {
	out := map[string]any{}
	for name, v := range r.Map() {
		out[name] = v
	}
	out["id"] = id
	return resourceOf(out)
}
