package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// errRaced says that the stored version is not the judged one any more.
var errRaced = errors.New("the resource has changed since it was judged")

// execute sends one permitted change and turns the upstream's word into ours. The outcome is recorded whatever it is.
func (c *call) execute(ctx context.Context, op *writeOp) (answer, error) {
	r := UpstreamRequest{Method: op.method, Path: op.path, IfMatch: op.ifMatch, Prefer: "return=representation"}
	if op.body != nil {
		r.Body, r.ContentType = op.body.Raw(), "application/fhir+json"
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		c.noteFailed(op)
		c.Logger.ErrorContext(ctx, "write failed", "request_id", c.requestID, "error", err)
		return faultAnswer(ErrUpstream), nil
	}
	switch resp.Status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusAccepted:
		c.note(op.by)
		c.forget(op.path)
		c.forget(op.path + "/last")
		return c.written(ctx, op, resp)
	case http.StatusPreconditionFailed, http.StatusConflict:
		if op.method == http.MethodPost {
			c.noteFailed(op)
			return errRejected.answer(), nil
		}
		return answer{}, errRaced
	case http.StatusNotFound, http.StatusGone: // deleted in between
		return c.hidden(ctx), nil
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		c.noteFailed(op)
		return errRejected.answer(), nil // its words may tell of hidden resources (GW-45)
	}
	c.noteFailed(op)
	c.Logger.ErrorContext(ctx, "write failed", "request_id", c.requestID, "status", resp.Status)
	return faultAnswer(ErrUpstream), nil
}

func (c *call) noteFailed(op *writeOp) {
	patient := op.by.By.Set.Patient
	if len(op.by.Patients) > 0 {
		patient = op.by.Patients[0]
	}
	c.used = append(c.used, c.event(op.by.By.Set, patient, "failed", "upstream", op.by.Resource.Type(), 1))
}

// written answers a successful change. A representation is judged like a read with the letter of the write (GW-48).
func (c *call) written(ctx context.Context, op *writeOp, resp UpstreamResponse) (answer, error) {
	if op.method == http.MethodDelete {
		return answer{status: http.StatusNoContent}, nil
	}
	a := answer{status: http.StatusOK}
	if op.method == http.MethodPost {
		a.status = http.StatusCreated
	}
	var stored *fhir.Resource
	if len(resp.Body) > 0 {
		r, err := c.parse(resp.Body)
		if err == nil && r.Type() == op.by.Resource.Type() {
			stored = r
		}
	}
	name, version := c.location(resp.Location)
	a.etag, a.lastModified = resp.ETag, resp.LastModified
	if stored != nil {
		name, version = stored.Type()+"/"+stored.ID(), stored.VersionID()
		a.etag, a.lastModified = etagOf(stored, resp.ETag), modifiedOf(stored)
		c.remember(name, stored)
	}
	if name != "" {
		a.location = c.Base + "/" + name
		if version != "" {
			a.location += "/_history/" + version
		}
	}
	switch c.access.Prefer.Return {
	case "minimal":
		return a, nil
	case "OperationOutcome":
		a.body = fhir.Outcome()
		return a, nil
	}
	if stored == nil {
		return a, nil
	}
	shown, err := c.rights.visible(ctx, op.letter, stored, c, 0)
	if err != nil {
		return answer{}, fmt.Errorf("judge what was written: %w", err)
	}
	if shown != nil {
		a.body = shown.Resource.Raw()
	}
	return a, nil
}

// location reads which resource an upstream Location names, absolute or relative; "" for anything else (GW-40).
func (c *call) location(value string) (name, version string) {
	value = strings.TrimPrefix(c.classifier.relativeText(value), "/")
	ref, ok := fhir.ParseReference(value)
	if !ok || !ref.Local() {
		return "", ""
	}
	return ref.Type + "/" + ref.ID, ref.Version
}
