package store

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/umaas/umaas/fhir"
)

// request is one FHIR interaction, parsed: from HTTP or from a Bundle entry. Handlers see nothing of net/http.
type request struct {
	ctx               context.Context
	method            string
	path              []string    // decoded segments below the base
	pairs             []fhir.Pair // parameters of URL and form, in order
	body              []byte
	contentType       string
	ifMatch           string
	ifNoneMatch       string
	ifModifiedSince   string
	ifNoneExist       string
	prefer            preference
	nested            bool // a Bundle entry
	prepared          *prepared
	assignedID        string // id a transaction gave to its POST entry before references were rewritten
	targetID          string // the resource a transaction found for its conditional update
	allowCreateWithID bool   // targetID is new: create it
}

// preference is the Prefer header (http.html#ops). The zero value is the server's default.
type preference struct {
	returns  string // "minimal", "representation", "OperationOutcome"
	handling string // "strict", "lenient", "" = unknown parameters are refused
}

// reply is the answer of a handler.
type reply struct {
	status   int
	etag     string
	modified time.Time
	location string // relative to the base, with _history
	body     []byte
}

const (
	mediaFHIR    = "application/fhir+json"
	mediaJSON    = "application/json"
	mediaPatch   = "application/json-patch+json"
	mediaForm    = "application/x-www-form-urlencoded"
	maxPairs     = 200
	maxQuerySize = 64 << 10
)

func (s *Store) newRequest(w http.ResponseWriter, r *http.Request) (*request, error) {
	req := &request{
		ctx: r.Context(), method: r.Method, contentType: r.Header.Get("Content-Type"), ifMatch: r.Header.Get("If-Match"),
		ifNoneMatch: r.Header.Get("If-None-Match"), ifModifiedSince: r.Header.Get("If-Modified-Since"), ifNoneExist: r.Header.Get("If-None-Exist"),
		prefer: parsePrefer(r.Header.Values("Prefer")),
	}
	if req.method == http.MethodHead {
		req.method = http.MethodGet
	}
	var err error
	if req.path, err = splitPath(r.URL.EscapedPath()); err != nil {
		return nil, err
	}
	if req.pairs, err = parsePairs(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if err = acceptsJSON(r.Header.Values("Accept"), req.pairs); err != nil {
		return nil, err
	}
	if req.method == http.MethodPost || req.method == http.MethodPut || req.method == http.MethodPatch {
		req.body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, s.opts.MaxBody))
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, refuse(http.StatusRequestEntityTooLarge, "too-long", "the body is larger than %d bytes", s.opts.MaxBody)
		}
		if err != nil {
			return nil, invalid("the body could not be read")
		}
	}
	return req, nil
}

// splitPath gives decoded segments. Dot segments, empty segments and encoded slashes are refused rather than repaired (GW-40).
func splitPath(escaped string) ([]string, error) {
	trimmed := strings.TrimPrefix(escaped, "/")
	if trimmed == "" {
		return nil, nil
	}
	parts := strings.Split(trimmed, "/")
	if len(parts) > 8 {
		return nil, refuse(http.StatusNotFound, "not-found", "no such endpoint")
	}
	for i, p := range parts {
		seg, err := url.PathUnescape(p)
		if err != nil || seg == "" || seg == "." || seg == ".." || strings.ContainsAny(seg, "/\\\x00") || !utf8.ValidString(seg) {
			return nil, invalid("the path is not well formed")
		}
		parts[i] = seg
	}
	return parts, nil
}

// parsePairs decodes application/x-www-form-urlencoded, keeping order and repetition.
func parsePairs(raw string) ([]fhir.Pair, error) {
	if len(raw) > maxQuerySize {
		return nil, refuse(http.StatusRequestURITooLong, "too-long", "the parameters are longer than %d bytes", maxQuerySize)
	}
	var out []fhir.Pair
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || n == "" || !utf8.ValidString(n) || !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return nil, invalid("the parameters are not well formed")
		}
		if out = append(out, fhir.Pair{Name: n, Value: v}); len(out) > maxPairs {
			return nil, refuse(http.StatusBadRequest, "too-costly", "more than %d parameters", maxPairs)
		}
	}
	return out, nil
}

// acceptsJSON refuses what asks for another format only (http.html#mime-type); _format wins over Accept.
func acceptsJSON(accept []string, pairs []fhir.Pair) error {
	refused := refuse(http.StatusNotAcceptable, "not-supported", "this server speaks JSON only: ask for %s", mediaFHIR)
	for _, p := range pairs {
		if p.Name == "_format" {
			if p.Value == "json" || isJSON(strings.ReplaceAll(p.Value, " ", "+")) {
				return nil
			}
			return refused
		}
	}
	offered := strings.TrimSpace(strings.Join(accept, ","))
	if offered == "" {
		return nil
	}
	for _, part := range strings.Split(offered, ",") {
		media, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); params["q"] != "" && (err != nil || q <= 0) {
			continue
		}
		if v := params["fhirversion"]; v != "" && v != "4.0" {
			continue
		}
		switch media {
		case "*/*", "application/*", mediaFHIR, mediaJSON:
			return nil
		}
	}
	return refused
}

// isJSON takes the two JSON media types, in UTF-8 and for R4 only.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || (media != mediaFHIR && media != mediaJSON) {
		return false
	}
	charset, version := params["charset"], params["fhirversion"]
	return (charset == "" || strings.EqualFold(charset, "utf-8")) && (version == "" || version == "4.0")
}

func isMedia(contentType, want string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && media == want
}

func parsePrefer(values []string) preference {
	var p preference
	for _, part := range strings.FieldsFunc(strings.Join(values, ","), func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "return":
			if value == "minimal" || value == "representation" || value == "OperationOutcome" {
				p.returns = value
			}
		case "handling":
			if value == "strict" || value == "lenient" {
				p.handling = value
			}
		}
	}
	return p
}

// write sends a reply. The body of a stored resource goes out as it lies on disk.
func (s *Store) write(w http.ResponseWriter, rep reply) {
	h := w.Header()
	if rep.etag != "" {
		h.Set("ETag", rep.etag)
	}
	if !rep.modified.IsZero() {
		h.Set("Last-Modified", rep.modified.UTC().Format(http.TimeFormat))
	}
	if rep.location != "" {
		h.Set("Location", s.base+"/"+rep.location)
	}
	if len(rep.body) > 0 {
		h["Content-Type"] = contentTypeFHIR
		h.Set("Content-Length", strconv.Itoa(len(rep.body)))
	}
	w.WriteHeader(rep.status)
	if len(rep.body) > 0 {
		_, _ = w.Write(rep.body) // the client went away: nobody is left to tell
	}
}

var contentTypeFHIR = []string{mediaFHIR + "; charset=utf-8"}

func (s *Store) writeError(w http.ResponseWriter, err error) {
	r, fault := asRefusal(err)
	if fault {
		s.opts.Logger.Error("fhir store", "error", err)
	}
	if r.allow != "" {
		w.Header().Set("Allow", r.allow)
	}
	s.write(w, reply{status: r.status, etag: r.etag, body: r.outcome()})
}
