package resourceserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/umaas/umaas/fhir"
)

const (
	pageKind = "page"
	pageLife = 10 * time.Minute // GW-11
)

// keptPage is what a continuation link stands for: the request as it was judged, who may go on with it, and where. It proves
// no right: every page is judged anew with the token of its own request (GW-11).
type keptPage struct {
	Issuer, Client, Sub string
	Access              keptAccess
	At                  cursor
}

// keptAccess are the fields of Access that a continuation needs.
type keptAccess struct {
	Interaction           fhir.Interaction
	Type, ID, Compartment string
	Operation             string
	Search                Search
	History               HistoryParams
	Needs                 []Need
	Posted                bool
}

func (c *call) keepPage(ctx context.Context, page *rows) error {
	a, g := c.access, c.rights.Grant
	kept := keptPage{Issuer: g.Issuer, Client: g.ClientID, Sub: g.Sub, At: *page.next, Access: keptAccess{
		Interaction: a.Interaction, Type: a.Type, ID: a.ID, Compartment: a.Compartment, Operation: a.Operation, Search: a.Search,
		History: a.History, Needs: a.Needs, Posted: c.posted,
	}}
	handle, err := c.Pages.Keep(ctx, pageKind, kept, c.Now().Add(pageLife))
	if err != nil {
		return fmt.Errorf("keep page: %w", err)
	}
	c.access.Page = handle
	return nil
}

// continuePage goes on from a link. Somebody else's, an expired and an unknown handle look alike.
func (c *call) continuePage(ctx context.Context) (answer, error) {
	handle := c.access.Page
	c.access.Page = ""
	var kept keptPage
	err := c.Pages.Look(ctx, pageKind, handle, &kept)
	g := c.rights.Grant
	if errors.Is(err, ErrNotKept) || err == nil && (kept.Issuer != g.Issuer || kept.Client != g.ClientID || kept.Sub != g.Sub) {
		c.access.ID = handle
		return c.hidden(ctx), nil
	}
	if err != nil {
		return answer{}, fmt.Errorf("look up page: %w", err)
	}
	k := kept.Access
	c.posted = k.Posted
	*c.access = Access{Interaction: k.Interaction, Type: k.Type, ID: k.ID, Compartment: k.Compartment, Operation: k.Operation,
		Search: k.Search, History: k.History, Needs: k.Needs}
	d, err := Judge(ctx, c.rights, c.access, c)
	if err != nil {
		return answer{}, err
	}
	permit, ok := d.(Permit)
	if !ok {
		return c.refuse(ctx, d), nil
	}
	if permit.Spend {
		return c.refuse(ctx, Deny{Row: RowToken, Reason: "revoked"}), nil // one use was the first page
	}
	switch k.Interaction {
	case fhir.HistoryInstance, fhir.HistoryType, fhir.HistorySystem:
		page, err := c.pullHistory(ctx, permit.Filter, kept.At, k.History.Count)
		if err != nil {
			return answer{}, err
		}
		return c.finishHistory(ctx, page)
	default:
	}
	page, err := c.pull(ctx, permit.Filter, kept.At, k.Search.Count)
	if err != nil {
		return answer{}, err
	}
	return c.finishPage(ctx, permit.Filter, page, nil)
}

// searchset writes the Bundle of a search or of $everything. There is no total, which would count hidden rows, except where
// the rows were counted here (GW-10); total is then not negative.
func (c *call) searchset(page *rows, notes []string, total int) (answer, error) {
	b := c.openBundle("searchset", total)
	e := 0
	for _, s := range page.matches {
		if err := c.row(b, &e, s, "match"); err != nil {
			return answer{}, err
		}
	}
	for _, s := range page.includes {
		if err := c.row(b, &e, s, "include"); err != nil {
			return answer{}, err
		}
	}
	for _, n := range notes {
		openEntry(b, &e)
		b.WriteString(`{"resource":`)
		b.Write(fhir.Outcome(fhir.Issue{Severity: "warning", Code: "suppressed", Text: n}))
		b.WriteString(`,"search":{"mode":"outcome"}}`)
	}
	return answer{status: http.StatusOK, body: closeBundle(b, e)}, nil
}

func (c *call) openBundle(kind string, total int) *bytes.Buffer {
	b := &bytes.Buffer{}
	b.Grow(4096)
	b.WriteString(`{"resourceType":"Bundle","type":"` + kind + `"`)
	if total >= 0 {
		b.WriteString(`,"total":` + strconv.Itoa(total))
	}
	b.WriteString(`,"link":[{"relation":"self","url":`)
	writeString(b, c.selfLink())
	b.WriteByte('}')
	if c.access.Page != "" {
		b.WriteString(`,{"relation":"next","url":`)
		writeString(b, c.Base+"/_page/"+c.access.Page)
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return b
}

// selfLink says what was applied. Parameters that came in a form stay out of URLs.
func (c *call) selfLink() string {
	a := c.access
	path, pairs := c.Base, slices.Clone(a.Search.Filters)
	switch a.Interaction {
	case fhir.HistoryInstance:
		path += "/" + a.Type + "/" + a.ID + "/_history"
	case fhir.HistoryType:
		path += "/" + a.Type + "/_history"
	case fhir.HistorySystem:
		path += "/_history"
	case fhir.Operation:
		path += "/" + a.Type + "/" + a.ID + "/$" + a.Operation
		pairs = a.Search.Everything
	default:
		if a.Compartment != "" {
			path += "/Patient/" + a.Compartment
		}
		path += "/" + a.Type
		if a.Search.Sort != "" {
			pairs = append(pairs, fhir.Pair{Name: "_sort", Value: a.Search.Sort})
		}
		for _, in := range a.Search.Includes {
			pairs = append(pairs, in.pair())
		}
	}
	if c.posted || len(pairs) == 0 {
		return path
	}
	return path + "?" + encodePairs(pairs)
}

func (c *call) row(b *bytes.Buffer, n *int, s *Shown, mode string) error {
	raw, err := c.project(s.Resource)
	if err != nil {
		return err
	}
	openEntry(b, n)
	b.WriteString(`{"fullUrl":`)
	writeString(b, c.Base+"/"+s.Resource.Type()+"/"+s.Resource.ID())
	b.WriteString(`,"resource":`)
	b.Write(raw)
	b.WriteString(`,"search":{"mode":"` + mode + `"}}`)
	return nil
}

func openEntry(b *bytes.Buffer, n *int) {
	if *n == 0 {
		b.WriteString(`,"entry":[`)
	} else {
		b.WriteByte(',')
	}
	*n++
}

func closeBundle(b *bytes.Buffer, entries int) []byte {
	if entries > 0 {
		b.WriteByte(']')
	}
	b.WriteByte('}')
	return b.Bytes()
}

func writeString(b *bytes.Buffer, s string) {
	quoted, err := json.Marshal(s)
	if err != nil { // a string always encodes
		quoted = []byte(`""`)
	}
	b.Write(quoted)
}

// project applies _elements and _summary=data after judging (GW-43).
func (c *call) project(r *fhir.Resource) ([]byte, error) {
	s := &c.access.Search
	if len(s.Elements) == 0 && !s.DropText {
		return r.Raw(), nil
	}
	out := map[string]any{}
	for name, v := range r.Map() {
		always := name == "resourceType" || name == "id" || name == "meta" || mandatory(r.Type(), name)
		if always || len(s.Elements) == 0 && name != "text" || slices.Contains(s.Elements, name) {
			out[name] = v
		}
	}
	return encodeJSON(tagSubsetted(maps.Clone(out)))
}

// mandatory names elements that stay in a projection so that whose record it is and what state it is in is not lost.
func mandatory(_, element string) bool {
	switch element {
	case "status", "code", "subject", "patient", "modifierExtension", "implicitRules":
		return true
	}
	return false
}
