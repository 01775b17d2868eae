package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func historyFilter(c ownerCall) (umaas.HistoryFilter, error) {
	q := c.query
	f := umaas.HistoryFilter{
		Kinds: strings.FieldsFunc(q.Get("kind"), func(r rune) bool { return r == ',' }), Party: umaas.AccountID(q.Get("party")),
		Client: umaas.ClientID(q.Get("client")), RS: umaas.ClientID(q.Get("resource_server")), Resource: umaas.ResourceID(q.Get("resource")),
		Policy: umaas.PolicyID(q.Get("policy")),
	}
	var err error
	if f.From, err = moment("from", q.Get("from")); err != nil {
		return f, err
	}
	if f.To, err = moment("to", q.Get("to")); err != nil {
		return f, err
	}
	if text := q.Get("before"); text != "" {
		if f.Before, err = umaas.ParseKey(text); err != nil {
			return f, uma.ErrInvalidRequest.With("before: want what next of the page before was")
		}
	}
	if text := q.Get("limit"); text != "" {
		if f.Limit, err = strconv.Atoi(text); err != nil || f.Limit < 1 || f.Limit > 500 {
			return f, uma.ErrInvalidRequest.With("limit: want a number from 1 to 500")
		}
	}
	return f, nil
}

// readHistory pages events, or exports them all as NDJSON.
func (a *api) readHistory(c ownerCall) error {
	f, err := historyFilter(c)
	if err != nil {
		return err
	}
	switch c.query.Get("_format") {
	case "", "json":
	case "ndjson":
		if _, err := c.History(c.ctx(), f); err != nil {
			return err // before the first byte: an error needs a status of its own
		}
		c.Header("Content-Type", "application/x-ndjson")
		c.Header("Content-Disposition", `attachment; filename="history.ndjson"`)
		return c.ExportHistory(c.ctx(), f, c.Writer)
	default:
		return uma.ErrInvalidRequest.With("_format: want json or ndjson")
	}
	page, err := c.History(c.ctx(), f)
	if err != nil {
		return err
	}
	out := struct {
		Events []umaas.HistoryLine `json:"events"`
		Next   string              `json:"next,omitempty"`
	}{Events: []umaas.HistoryLine{}}
	for _, e := range page.Entries {
		out.Events = append(out.Events, e.Line())
	}
	if !page.Next.IsZero() {
		out.Next = page.Next.String()
	}
	return writeJSON(c.Context, http.StatusOK, out)
}
