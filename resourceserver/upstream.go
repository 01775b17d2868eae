package resourceserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// Upstream is the FHIR server behind the judge. Its request is a closed struct: nothing of the client's own headers can
// reach the upstream because there is no place for it (GW-47).
type Upstream interface {
	// Do sends one request and reads the whole answer. Redirects are not followed. An error means that no complete answer
	// arrived; every status is a value. Errors: ErrUpstream.
	Do(ctx context.Context, r UpstreamRequest) (UpstreamResponse, error)
	// Base is the absolute FHIR base which the upstream uses in its links and literal references, without a final slash.
	Base() string
	// Compartments reports whether it answers searches of the form Patient/{id}/Type.
	Compartments() bool
}

// ErrUpstream says that the upstream gave no complete answer. Nothing of its words may reach a client (GW-45).
var ErrUpstream = errors.New("upstream FHIR server did not answer")

// UpstreamRequest is one request. Path is relative to the base and already escaped; Query is encoded.
type UpstreamRequest struct {
	Method, Path, Query string
	ContentType         string
	IfMatch             string
	Prefer              string
	RequestID           string
	Body                []byte
}

// UpstreamResponse is what is read of an answer: the header allow-list of GW-45 as a type.
type UpstreamResponse struct {
	Status                       int
	ContentType                  string
	ETag, LastModified, Location string
	Body                         []byte
}

// rewriteReferences makes literal references to one of the bases relative, by JSON field and never as text (GW-40). The bytes
// come back unchanged where no base occurs, which is the usual case.
func rewriteReferences(body []byte, bases []string) []byte {
	found := false
	for _, base := range bases {
		found = found || base != "" && bytes.Contains(body, []byte(base))
		// A base written with escaped slashes hides from the search above; the decoder below sees it.
		found = found || bytes.Contains(body, []byte(`\/`)) || bytes.Contains(body, []byte(`\u`))
	}
	if !found {
		return body
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil || d.More() {
		return body // the strict parser refuses it next
	}
	if !rewriteTree(tree, bases) {
		return body
	}
	out, err := encodeJSON(tree)
	if err != nil {
		return body
	}
	return out
}

func rewriteTree(v any, bases []string) bool {
	changed := false
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			if text, ok := member.(string); ok && name == "reference" {
				if relative, ok := cutBase(text, bases); ok {
					v[name], changed = relative, true
				}
				continue
			}
			changed = rewriteTree(member, bases) || changed
		}
	case []any:
		for _, member := range v {
			changed = rewriteTree(member, bases) || changed
		}
	}
	return changed
}

// cutBase takes a base off a reference when what follows is a whole local reference.
func cutBase(text string, bases []string) (string, bool) {
	for _, base := range bases {
		rest, ok := strings.CutPrefix(text, strings.TrimSuffix(base, "/")+"/")
		if !ok || base == "" {
			continue
		}
		if ref, ok := fhir.ParseReference(rest); ok && ref.Local() {
			return rest, true
		}
	}
	return "", false
}

// encodeJSON writes a decoded tree back; numbers keep their text.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
