package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/umaas/umaas/fhir"
)

// sub is a call for one entry. It shares what the parent has looked up, so that the bundle sees one state of the world.
func (c *call) sub(a *Access) *call {
	if c.stored == nil {
		c.stored = map[string]*fhir.Resource{}
	}
	return &call{
		Enforcer: c.Enforcer, access: a, rights: c.rights, token: c.token, state: c.state, requestID: c.requestID, inBundle: true,
		stored: c.stored, maySee: c.maySee, lookups: c.lookups, // one bound for the whole bundle
	}
}

// batch performs each entry as a request of its own; refused ones carry the status of the response table (GW-26).
func (c *call) batch(ctx context.Context) (answer, error) {
	var out []wireResult
	for _, e := range c.access.Bundle.Entries {
		if e.Err != nil {
			out = append(out, resultOf(e.Err.answer()))
			continue
		}
		out = append(out, resultOf(c.performEntry(ctx, e.Access)))
	}
	return bundleAnswer("batch-response", out)
}

// performEntry performs one access in this call's name and takes over what it noted for the owners.
func (c *call) performEntry(ctx context.Context, a *Access) answer {
	s := c.sub(a)
	r, err := s.perform(ctx)
	if refused := (*Refusal)(nil); errors.As(err, &refused) {
		r, err = refused.answer(), nil
	}
	if err != nil {
		c.Logger.ErrorContext(ctx, "entry failed", "request_id", c.requestID, "error", err)
		r = faultAnswer(err)
	}
	c.used = append(c.used, s.used...)
	c.lookups = s.lookups
	return r
}

type wireResult struct {
	Resource json.RawMessage `json:"resource,omitempty"`
	Response wireResponse    `json:"response"`
}

func resultOf(a answer) wireResult {
	r := wireResult{Response: wireResponse{Status: strconv.Itoa(a.status), Location: a.location, ETag: a.etag}}
	if len(a.body) == 0 {
		return r
	}
	if a.status >= http.StatusBadRequest {
		r.Response.Outcome = a.body
	} else {
		r.Resource = a.body
	}
	return r
}

func bundleAnswer(kind string, results []wireResult) (answer, error) {
	if results == nil {
		results = []wireResult{}
	}
	raw, err := encodeJSON(struct {
		ResourceType string       `json:"resourceType"`
		Type         string       `json:"type"`
		Entry        []wireResult `json:"entry,omitempty"`
	}{"Bundle", kind, results})
	if err != nil {
		return answer{}, fmt.Errorf("write bundle: %w", err)
	}
	return answer{status: http.StatusOK, body: raw}, nil
}
