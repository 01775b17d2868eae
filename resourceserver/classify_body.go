package resourceserver

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// ClassifyBody finishes an access from its body. ClassifyHead asked for it.
func (c *Classifier) ClassifyBody(a *Access, h requestHead, body []byte) *Refusal {
	switch a.Interaction {
	case fhir.SearchType:
		return c.searchForm(a, h, body)
	case fhir.Create, fhir.Update:
		return c.resourceBody(a, h, body)
	case fhir.Patch:
		return c.patchBody(a, h, body)
	case fhir.Batch:
		return c.bundleBody(a, h, body)
	default:
		return unserved(http.StatusBadRequest, "invalid", "This request takes no body.")
	}
}

// searchForm puts the parameters of the URL and of the form into one ordered list and reads it anew (GW-12).
func (c *Classifier) searchForm(a *Access, h requestHead, body []byte) *Refusal {
	media, _, _ := strings.Cut(h.ContentType, ";")
	if !strings.EqualFold(strings.TrimSpace(media), "application/x-www-form-urlencoded") {
		return unserved(http.StatusUnsupportedMediaType, "not-supported", "Send the search as application/x-www-form-urlencoded.")
	}
	merged := h.Query
	if len(body) > 0 {
		merged += "&" + string(body)
	}
	pairs, refusal := parsePairs(merged)
	if refusal != nil {
		return refusal
	}
	if pairs, refusal = takeFormat(pairs); refusal != nil {
		return refusal
	}
	a.Needs, a.Search = nil, Search{}
	return shapeSearch(c, a, h, pairs)
}

func (c *Classifier) resourceBody(a *Access, h requestHead, body []byte) *Refusal {
	if !h.nested && !jsonMedia(h.ContentType) {
		return unserved(http.StatusUnsupportedMediaType, "not-supported", "Send the resource as application/fhir+json.")
	}
	r, err := fhir.Parse(body) // strictly, before anything is rewritten
	if relative := c.relativeReferences(body); err == nil && len(relative) != len(body) {
		r, err = fhir.Parse(relative)
	}
	if err != nil {
		return unserved(http.StatusBadRequest, "structure", "The body is not a FHIR resource: %s.", clipText(strings.TrimPrefix(err.Error(), "parse resource: ")))
	}
	if err := fhir.CheckWritable(r); err != nil {
		return unserved(http.StatusBadRequest, "structure", "%s", clipText(err.Error()))
	}
	if r.Type() != a.Type {
		return unserved(http.StatusBadRequest, "invalid", "The resourceType in the body differs from the URL.")
	}
	if a.Interaction == fhir.Update && a.ID != "" && r.ID() != a.ID {
		return unserved(http.StatusBadRequest, "invalid", "The id in the body differs from the URL.")
	}
	a.Body = r
	return nil
}

func (c *Classifier) patchBody(a *Access, h requestHead, body []byte) *Refusal {
	media, _, _ := strings.Cut(h.ContentType, ";")
	if strings.TrimSpace(media) != "application/json-patch+json" {
		return unserved(http.StatusUnsupportedMediaType, "not-supported", "Send a JSON Patch as application/json-patch+json.")
	}
	a.Patch = body
	return nil
}

// relativeReferences makes absolute literal references to this server or to the upstream relative, so that what is judged is
// what the upstream will resolve (GW-40). The bytes stay as sent where there is none.
func (c *Classifier) relativeReferences(body []byte) []byte {
	return rewriteReferences(body, []string{c.Base, c.UpstreamBase})
}

// bundleBody reads a batch or transaction and passes every entry through the router of single requests (GW-26).
func (c *Classifier) bundleBody(a *Access, h requestHead, body []byte) *Refusal {
	if !jsonMedia(h.ContentType) {
		return unserved(http.StatusUnsupportedMediaType, "not-supported", "Send the Bundle as application/fhir+json.")
	}
	r, err := fhir.Parse(body) // strict first: no member twice, no excess of depth
	if err != nil || r.Type() != "Bundle" {
		return unserved(http.StatusBadRequest, "structure", "The body is not a Bundle of type batch or transaction.")
	}
	var b wireBundle
	if err := json.Unmarshal(body, &b); err != nil {
		return unserved(http.StatusBadRequest, "structure", "The Bundle is not well formed.")
	}
	switch b.Type {
	case "batch":
		a.Bundle = &BundleRequest{}
	case "transaction":
		a.Interaction, a.Bundle = fhir.Transaction, &BundleRequest{Atomic: true}
	default:
		return unserved(http.StatusBadRequest, "not-supported", "The Bundle's type must be batch or transaction.")
	}
	if limit := c.maxEntries(); len(b.Entry) > limit {
		return unserved(http.StatusRequestEntityTooLarge, "too-costly", "The Bundle has more than %d entries: split it.", limit)
	}
	for _, e := range b.Entry {
		entry := BundleEntry{FullURL: e.FullURL}
		entry.Access, entry.Err = c.bundleEntry(e)
		if entry.Err != nil && a.Bundle.Atomic {
			return entry.Err
		}
		a.Bundle.Entries = append(a.Bundle.Entries, entry)
	}
	return nil
}

func (c *Classifier) maxEntries() int {
	if c.MaxEntries > 0 {
		return c.MaxEntries
	}
	return 500
}

type wireBundle struct {
	ResourceType string      `json:"resourceType"`
	Type         string      `json:"type"`
	Entry        []wireEntry `json:"entry"`
	Link         []wireLink  `json:"link"`
}

type wireLink struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

type wireEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
	Search   *struct {
		Mode string `json:"mode"`
	} `json:"search"`
	Request  *wireRequest  `json:"request"`
	Response *wireResponse `json:"response"`
}

type wireRequest struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfMatch     string `json:"ifMatch,omitempty"`
	IfNoneMatch string `json:"ifNoneMatch,omitempty"`
	IfNoneExist string `json:"ifNoneExist,omitempty"`
}

type wireResponse struct {
	Status       string          `json:"status"`
	Location     string          `json:"location,omitempty"`
	ETag         string          `json:"etag,omitempty"`
	LastModified string          `json:"lastModified,omitempty"`
	Outcome      json.RawMessage `json:"outcome,omitempty"`
}

func (c *Classifier) bundleEntry(e wireEntry) (*Access, *Refusal) {
	if e.Request == nil || e.Request.Method == "" {
		return nil, unserved(http.StatusBadRequest, "required", "An entry needs request.method and request.url.")
	}
	target := c.relativeText(e.Request.URL)
	if strings.Contains(target, "://") || strings.HasPrefix(target, "/") || strings.Contains(target, "#") {
		return nil, unserved(http.StatusBadRequest, "value", "request.url must be relative to this server.")
	}
	path, query, _ := strings.Cut(target, "?")
	h := requestHead{Method: e.Request.Method, Path: path, Query: query, IfMatch: e.Request.IfMatch, IfNoneMatch: e.Request.IfNoneMatch,
		IfNoneExist: e.Request.IfNoneExist, nested: true}
	if h.Method == http.MethodHead {
		return nil, methodNotAllowed("GET, POST, PUT, PATCH, DELETE")
	}
	a, needsBody, refusal := c.ClassifyHead(h)
	if refusal != nil {
		return nil, refusal
	}
	if a.Page != "" {
		return nil, errNoRoute
	}
	if !needsBody {
		return a, nil
	}
	body := []byte(e.Resource)
	switch a.Interaction {
	case fhir.SearchType:
		h.ContentType = "application/x-www-form-urlencoded" // POST _search carries its parameters in the URL here
	case fhir.Patch:
		var binary struct {
			ContentType string `json:"contentType"`
			Data        string `json:"data"`
		}
		if err := json.Unmarshal(body, &binary); err != nil {
			return nil, unserved(http.StatusBadRequest, "structure", "A patch in a Bundle is a Binary.")
		}
		data, err := base64.StdEncoding.DecodeString(binary.Data)
		if err != nil {
			return nil, unserved(http.StatusBadRequest, "structure", "A patch in a Bundle is a Binary.")
		}
		h.ContentType, body = binary.ContentType, data
	case fhir.Create, fhir.Update:
		if len(body) == 0 {
			return nil, unserved(http.StatusBadRequest, "required", "An entry that writes needs a resource.")
		}
	default:
	}
	if refusal := c.ClassifyBody(a, h, body); refusal != nil {
		return nil, refusal
	}
	return a, nil
}

// encodePairs writes parameters canonically: what was judged is what is sent (GW-12).
func encodePairs(pairs []fhir.Pair) string {
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(strings.ReplaceAll(url.QueryEscape(p.Name), "%3A", ":"))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(p.Value))
	}
	return b.String()
}
