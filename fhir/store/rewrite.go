package store

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// rewriteStrings gives a copy of a JSON text in which f has replaced string values; f gets the name of the member a string stands in
// (the array's name for an element). Everything else stays byte for byte.
func rewriteStrings(raw []byte, f func(name, value string) (string, bool, error)) ([]byte, error) {
	var out []byte
	copied := 0
	names := []string{""}
	name := ""
	for i := 0; i < len(raw); {
		switch raw[i] {
		case '{', '[':
			names = append(names, name)
			i++
		case '}', ']':
			if len(names) > 1 {
				names = names[:len(names)-1]
			}
			name = names[len(names)-1]
			i++
		case ',':
			name = names[len(names)-1] // an array's elements keep the array's name; an object's next member brings its own
			i++
		case '"':
			end := skipString(raw, i)
			if end < 0 {
				return nil, invalid("the body is not JSON")
			}
			var text string
			if err := json.Unmarshal(raw[i:end], &text); err != nil {
				return nil, invalid("the body is not JSON")
			}
			if rest := bytes.TrimLeft(raw[end:], " \t\r\n"); len(rest) > 0 && rest[0] == ':' {
				name = text
				i = end + len(raw[end:]) - len(rest) + 1
				continue
			}
			next, changed, err := f(name, text)
			if err != nil {
				return nil, err
			}
			if changed {
				out = appendString(append(out, raw[copied:i]...), next)
				copied = end
			}
			i = end
		default:
			i++
		}
	}
	if out == nil {
		return raw, nil
	}
	return append(out, raw[copied:]...), nil
}

// refersByName tells whether a member of this name holds a reference or another link that a transaction rewrites: elements of type
// Reference, uri, url, oid and uuid (http.html#trules). Identifiers and other values that look alike are no links.
func refersByName(name string) bool {
	if name == "reference" {
		return true
	}
	lower := strings.ToLower(name)
	for _, suffix := range []string{"url", "uri", "uuid", "oid", "canonical"} {
		if strings.HasSuffix(lower, suffix) && lower != "fullurl" {
			return true
		}
	}
	return false
}

// rewriteReferences replaces references to fullUrls of the same Bundle by what they became. table: fullUrl → Type/id.
func rewriteReferences(raw []byte, table map[string]string) ([]byte, error) {
	return rewriteStrings(raw, func(name, value string) (string, bool, error) {
		if !refersByName(name) {
			return "", false, nil
		}
		plain, fragment, cut := strings.Cut(value, "#")
		to, ok := table[plain]
		if !ok {
			return "", false, nil
		}
		if cut {
			to += "#" + fragment
		}
		return to, true, nil
	})
}

// relativeReferences makes absolute references to this server relative: one resource has one name, and compartments know only that one.
func (s *Store) relativeReferences(raw []byte) ([]byte, error) {
	if !bytes.Contains(raw, []byte(s.base)) && !bytes.Contains(raw, []byte(`\/`)) {
		return raw, nil
	}
	return rewriteStrings(raw, func(name, value string) (string, bool, error) {
		if name != "reference" || !strings.HasPrefix(value, s.base+"/") {
			return "", false, nil
		}
		_, ok := s.local(value)
		return strings.TrimPrefix(value, s.base+"/"), ok, nil
	})
}

// unresolvedUUID gives the first reference to a urn:uuid or urn:oid left in a text.
func unresolvedUUID(raw []byte) string {
	found := ""
	_, err := rewriteStrings(raw, func(name, value string) (string, bool, error) {
		if found == "" && name == "reference" && (strings.HasPrefix(value, "urn:uuid:") || strings.HasPrefix(value, "urn:oid:")) {
			found = value
		}
		return "", false, nil
	})
	if err != nil {
		return ""
	}
	return found
}

// conditionalReference splits "Type?criteria"; a URL with a query is none.
func conditionalReference(value string) (typ, criteria string, ok bool) {
	typ, criteria, ok = strings.Cut(value, "?")
	return typ, criteria, ok && fhir.IsType(typ)
}

// hasConditionalReference is a cheap first look; it may say yes for a body that has none.
func hasConditionalReference(raw []byte) bool {
	return bytes.ContainsRune(raw, '?') && bytes.Contains(raw, []byte(`"reference"`)) || bytes.Contains(raw, []byte(`\u003f`)) || bytes.Contains(raw, []byte(`\u003F`))
}

// resolveConditional replaces references that are searches by the one resource they match; none or several refuse the write with the
// same answer (http.html#trules, GW-28).
func (t *txn) resolveConditional(ctx context.Context, raw []byte) ([]byte, error) {
	if !hasConditionalReference(raw) {
		return raw, nil
	}
	return rewriteStrings(raw, func(name, value string) (string, bool, error) {
		if name != "reference" {
			return "", false, nil
		}
		return t.resolveReference(ctx, value)
	})
}

// resolveReference resolves one value; ok is false for what is no conditional reference.
func (t *txn) resolveReference(ctx context.Context, value string) (to string, ok bool, err error) {
	typ, text, ok := conditionalReference(value)
	if !ok {
		return "", false, nil
	}
	pairs, err := parsePairs(text)
	if err != nil {
		return "", false, err
	}
	found, err := t.find(ctx, typ, pairs)
	if err != nil {
		return "", false, err
	}
	if len(found) != 1 {
		return "", false, refuse(http.StatusPreconditionFailed, "conflict", "a conditional reference to %s does not match exactly one resource", typ)
	}
	return found[0].relative(), true, nil
}
