package resourceserver

import (
	"context"
	"errors"
	"net/http"

	"github.com/umaas/umaas/fhir"
)

// patched applies a JSON Patch to the judged version in memory, so that what is judged and written is a whole resource (GW-31).
// Every failure to apply has one text: a "test" must reveal nothing.
func (c *call) patched(ctx context.Context, stored *fhir.Resource) (*fhir.Resource, error) {
	raw, err := fhir.ApplyPatch(stored.Raw(), c.access.Patch)
	if errors.Is(err, fhir.ErrPatchSyntax) {
		return nil, unserved(http.StatusBadRequest, "structure", "The body is not a JSON Patch.")
	}
	if err != nil || int64(len(raw)) > c.MaxBody {
		c.noteRefusal(ctx, "predicate") // a "test" that fails has told something about the content
		return nil, errPatch
	}
	r, err := fhir.Parse(c.classifier.relativeReferences(raw))
	if err != nil || r.Type() != stored.Type() || r.ID() != stored.ID() || fhir.CheckWritable(r) != nil {
		return nil, errPatch
	}
	return r, nil
}
