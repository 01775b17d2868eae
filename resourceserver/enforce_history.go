package resourceserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/umaas/umaas/fhir"
	"github.com/umaas/umaas/scopes"
)

// history answers the three histories. Each version is judged on its own body and on the current one; a deletion is shown
// only where the last body before it is visible (GW-14, GW-15).
func (c *call) history(ctx context.Context, f Filter) (answer, error) {
	a := c.access
	at := cursor{Path: "_history"}
	switch a.Interaction {
	case fhir.HistoryInstance:
		at.Path = a.Type + "/" + a.ID + "/_history"
		// The last body is looked for in any case, so that hidden, deleted and absent cost the same calls (IM-06).
		if _, err := c.lastVersion(ctx, a.Type, a.ID); err != nil {
			return answer{}, err
		}
	case fhir.HistoryType:
		at.Path = a.Type + "/_history"
	default:
	}
	pairs := []fhir.Pair{{Name: "_count", Value: strconv.Itoa(a.History.Count)}}
	if a.History.Since != "" {
		pairs = append(pairs, fhir.Pair{Name: "_since", Value: a.History.Since})
	}
	if a.History.At != "" {
		pairs = append(pairs, fhir.Pair{Name: "_at", Value: a.History.At})
	}
	at.Query = encodePairs(pairs)
	page, err := c.pullHistory(ctx, f, at, a.History.Count)
	if err != nil {
		return answer{}, err
	}
	if a.Interaction == fhir.HistoryInstance && len(page.matches) == 0 {
		return c.hidden(ctx), nil
	}
	if len(page.matches) == 0 {
		c.noteNothing(f.entries)
	}
	return c.finishHistory(ctx, page)
}

func (c *call) pullHistory(ctx context.Context, f Filter, at cursor, want int) (*rows, error) {
	out := &rows{}
	err := c.fill(ctx, at, out, want, func(page []wireEntry) (full bool, err error) {
		if len(out.matches) >= want {
			return true, nil
		}
		return false, c.collectVersion(ctx, f, out, page[0])
	})
	return out, err
}

func (c *call) collectVersion(ctx context.Context, f Filter, out *rows, e wireEntry) error {
	resourceType, id, ok := versionOf(e)
	if !ok {
		return nil // what cannot be named cannot be judged
	}
	if c.access.Type != "" && resourceType != c.access.Type {
		return nil
	}
	f, ok = c.historyFilter(f, resourceType)
	if !ok {
		return nil
	}
	last, err := c.lastBody(ctx, resourceType, id)
	if err != nil || last == nil {
		return err
	}
	shown, err := f.Show(ctx, c.rights, last, c)
	if err != nil || shown == nil {
		return err
	}
	if len(e.Resource) > 0 {
		res, err := c.parse(e.Resource)
		if err != nil {
			return err
		}
		if shown, err = f.Show(ctx, c.rights, res, c); err != nil || shown == nil {
			return err
		}
	}
	out.matches = append(out.matches, shown)
	out.entries = append(out.entries, e)
	return nil
}

// historyFilter is the filter for one type of a system history, whose rows are of many.
func (c *call) historyFilter(f Filter, resourceType string) (Filter, bool) {
	if c.access.Interaction != fhir.HistorySystem {
		return f, true
	}
	f = filterOf(scopes.Search, c.rights.granting(resourceType, scopes.Search, c.Now()))
	return f, !f.None()
}

// versionOf reads which resource a history entry is about.
func versionOf(e wireEntry) (resourceType, id string, ok bool) {
	if len(e.Resource) > 0 {
		var head struct {
			ResourceType string `json:"resourceType"`
			ID           string `json:"id"`
		}
		if err := json.Unmarshal(e.Resource, &head); err != nil {
			return "", "", false
		}
		return head.ResourceType, head.ID, fhir.IsType(head.ResourceType) && fhir.ValidID(head.ID)
	}
	if e.Request == nil {
		return "", "", false
	}
	ref, ok := fhir.ParseReference(strings.TrimPrefix(e.Request.URL, "/"))
	if !ok || ref.Type == "" {
		return "", "", false
	}
	return ref.Type, ref.ID, true
}

// finishHistory writes the Bundle. Of each entry only method, status, version and time are taken over (GW-45).
func (c *call) finishHistory(ctx context.Context, page *rows) (answer, error) {
	c.note(page.matches...)
	if page.next != nil {
		if err := c.keepPage(ctx, page); err != nil {
			return answer{}, err
		}
	}
	b := c.openBundle("history", -1)
	n := 0
	for i, s := range page.matches {
		e := page.entries[i]
		name := s.Resource.Type() + "/" + s.Resource.ID()
		out := map[string]any{"fullUrl": c.Base + "/" + name}
		method, status := "PUT", "200"
		if e.Request != nil {
			switch e.Request.Method {
			case http.MethodPost:
				method, status = "POST", "201"
			case http.MethodDelete:
				method, status = "DELETE", "204"
			}
		}
		url := name
		if method == http.MethodPost {
			url = s.Resource.Type()
		}
		out["request"] = wireRequest{Method: method, URL: url}
		response := wireResponse{Status: status}
		if len(e.Resource) > 0 {
			out["resource"] = json.RawMessage(s.Resource.Raw())
			response.ETag = etagOf(s.Resource, "")
			if t, ok := s.Resource.LastUpdated(); ok {
				response.LastModified = t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
			}
		} else if e.Response != nil {
			response.ETag, response.LastModified = plainTag(e.Response.ETag), plainInstant(e.Response.LastModified)
		}
		out["response"] = response
		raw, err := encodeJSON(out)
		if err != nil {
			return answer{}, fmt.Errorf("write history: %w", err)
		}
		openEntry(b, &n)
		b.Write(raw)
	}
	return answer{status: http.StatusOK, body: closeBundle(b, n)}, nil
}

func plainTag(s string) string {
	if v := strings.TrimSuffix(strings.TrimPrefix(s, `W/"`), `"`); fhir.ValidID(v) {
		return `W/"` + v + `"`
	}
	return ""
}

func plainInstant(s string) string {
	if instantText(s) {
		return s
	}
	return ""
}

// everything answers Patient/[id]/$everything as an expansion: each row is judged with r, shared types included, and nothing is
// kept between tokens (GW-16).
func (c *call) everything(ctx context.Context, f Filter) (answer, error) {
	a := c.access
	f = filterOf(scopes.Read, f.entries)
	pairs := append([]fhir.Pair{}, a.Search.Everything...)
	pairs = append(pairs, fhir.Pair{Name: "_count", Value: strconv.Itoa(a.Search.Count)})
	at := cursor{Path: "Patient/" + a.ID + "/$everything", Query: encodePairs(pairs)}
	page, err := c.pull(ctx, f, at, a.Search.Count)
	if err != nil {
		return answer{}, err
	}
	return c.finishPage(ctx, f, page, nil)
}
