package resourceserver

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/fhir"
)

// splitPath gives segments without decoding anything but an escaped dollar sign. What would have to be repaired is refused
// (GW-40).
func splitPath(path string) ([]string, *Refusal) {
	if path == "" {
		return nil, nil
	}
	path = strings.ReplaceAll(path, "%24", "$")
	segments := strings.Split(path, "/")
	if len(segments) > 5 {
		return nil, errNoRoute
	}
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || len(s) > 128 {
			return nil, errBadPath
		}
		for i := range len(s) {
			if b := s[i]; (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && !strings.ContainsRune("-._$", rune(b)) {
				return nil, errBadPath
			}
		}
	}
	return segments, nil
}

const (
	maxQuerySize = 16 << 10
	maxPairs     = 200
)

// parsePairs decodes a query or a form, keeping order and repetition (GW-12). A token in it is refused (GW-47).
func parsePairs(raw string) ([]fhir.Pair, *Refusal) {
	if len(raw) > maxQuerySize {
		return nil, unserved(http.StatusRequestURITooLong, "too-long", "The parameters are longer than %d bytes.", maxQuerySize)
	}
	var pairs []fhir.Pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil || name == "" || strings.ContainsAny(name+value, "\x00\r\n") || strings.Contains(part, ";") {
			return nil, unserved(http.StatusBadRequest, "value", "The parameters are not well formed.")
		}
		if name == "access_token" {
			return nil, unserved(http.StatusBadRequest, "security", "A token in the URL or form is refused: send it in the Authorization header.")
		}
		if pairs = append(pairs, fhir.Pair{Name: name, Value: value}); len(pairs) > maxPairs {
			return nil, unserved(http.StatusBadRequest, "too-costly", "More than %d parameters.", maxPairs)
		}
	}
	return pairs, nil
}

// takeFormat removes _format and _pretty. Only JSON is spoken (GW-43).
func takeFormat(pairs []fhir.Pair) ([]fhir.Pair, *Refusal) {
	kept := pairs[:0:0]
	for _, p := range pairs {
		switch p.Name {
		case "_pretty":
		case "_format":
			switch p.Value {
			case "json", "application/json", "application/fhir+json", "text/json", "application/fhir json":
			default:
				return nil, unserved(http.StatusNotAcceptable, "not-supported", "Only JSON is offered: use _format=json.")
			}
		default:
			kept = append(kept, p)
		}
	}
	return kept, nil
}

// parsePrefer reads the two preferences that are honoured and ignores the rest (GW-48).
func parsePrefer(header string) Prefer {
	var p Prefer
	for part := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ',' || r == ';' }) {
		switch strings.TrimSpace(part) {
		case "return=minimal":
			p.Return = "minimal"
		case "return=representation":
			p.Return = "representation"
		case "return=OperationOutcome":
			p.Return = "OperationOutcome"
		case "handling=strict":
			p.Strict = true
		}
	}
	return p
}

// jsonMedia reports whether a content type is FHIR JSON.
func jsonMedia(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return false
	}
	return media == "application/fhir+json" || media == "application/json"
}

// readBody reads at most limit bytes.
func readBody(r io.Reader, limit int64) ([]byte, *Refusal) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, unserved(http.StatusBadRequest, "incomplete", "The body could not be read.")
	}
	if int64(len(body)) > limit {
		return nil, unserved(http.StatusRequestEntityTooLarge, "too-long", "The body is larger than %d bytes.", limit)
	}
	return body, nil
}
