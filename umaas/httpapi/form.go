package httpapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas/uma"
)

const (
	maxForm   = 256 << 10 // bytes; a pushed claim token is the largest thing in a form
	maxQuery  = 64 << 10
	maxFields = 100
)

// repeatable names the parameters whose repetition a specification defines (RFC 8707 §2, RFC 8693 §2.1). Any other one
// twice is refused (RFC 6749 §3.1, SEC-63).
var repeatable = map[string]bool{"resource": true, "audience": true}

// secretNames never stand in a query string (RFC 6749 §2.3.1, RFC 6750 §2.3, SEC-111, SEC-113): it ends up in logs.
var secretNames = []string{
	"access_token", "refresh_token", "client_secret", "client_assertion", "code_verifier", "claim_token", "password", "pct", "rpt", "token",
}

func refuseCredentialsInQuery(u *url.URL) error {
	if u.RawQuery == "" {
		return nil
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return uma.ErrInvalidRequest.With("the query string is not well-formed")
	}
	for _, name := range secretNames {
		if q.Has(name) {
			return uma.ErrInvalidRequest.With("credentials do not belong in the query string: send " + name + " in the header or body")
		}
	}
	return nil
}

// readForm reads application/x-www-form-urlencoded from the body alone: the media type decides nothing else, the query
// adds nothing, duplicates are refused, parameters without a value are as if absent (RFC 6749 §3.1, G-039).
func readForm(r *http.Request) (url.Values, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, uma.ErrInvalidRequest.With("send the parameters as application/x-www-form-urlencoded")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, uma.ErrInvalidRequest.With("the form must be UTF-8")
	}
	if r.URL.RawQuery != "" {
		return nil, uma.ErrInvalidRequest.With("parameters belong in the body, not in the query string")
	}
	body, err := readBody(r, maxForm)
	if err != nil {
		return nil, err
	}
	return parseForm(string(body))
}

// readQuery parses the query string by the same rules.
func readQuery(u *url.URL) (url.Values, error) {
	if len(u.RawQuery) > maxQuery {
		return nil, uma.ErrInvalidRequest.With("the request is too long")
	}
	return parseForm(u.RawQuery)
}

// parseForm is strict where net/url is generous: order and number count, text must be UTF-8 without NUL.
func parseForm(s string) (url.Values, error) {
	out := url.Values{}
	seen := map[string]bool{}
	fields := 0
	for s != "" {
		var pair string
		pair, s, _ = strings.Cut(s, "&")
		if pair == "" {
			continue
		}
		if fields++; fields > maxFields {
			return nil, uma.ErrInvalidRequest.With(fmt.Sprintf("more than %d parameters", maxFields))
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := unescape(rawName)
		if err != nil {
			return nil, uma.ErrInvalidRequest.With("a parameter name is not well-formed").Because(err)
		}
		value, err := unescape(rawValue)
		if err != nil {
			return nil, uma.ErrInvalidRequest.With("a parameter value is not well-formed").Because(err)
		}
		if seen[name] && !repeatable[name] {
			if printable(name) {
				return nil, uma.ErrInvalidRequest.With("the parameter " + name + " stands twice")
			}
			return nil, uma.ErrInvalidRequest.With("a parameter stands twice")
		}
		seen[name] = true
		if value != "" {
			out[name] = append(out[name], value)
		}
	}
	return out, nil
}

func unescape(s string) (string, error) {
	out, err := url.QueryUnescape(s)
	if err != nil {
		return "", errors.New("wrong percent encoding")
	}
	if !utf8.ValidString(out) || strings.ContainsRune(out, 0) {
		return "", errors.New("not UTF-8 text")
	}
	return out, nil
}

// printable holds for names that may be repeated in an error_description (RFC 6749 §5.2 allows few characters there).
func printable(s string) bool {
	return len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.:", r)
	}) < 0
}

func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, uma.ErrInvalidRequest.With(fmt.Sprintf("the body is larger than %d bytes", limit))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, uma.ErrInvalidRequest.With("the body could not be read").Because(err)
	}
	if int64(len(body)) > limit {
		return nil, uma.ErrInvalidRequest.With(fmt.Sprintf("the body is larger than %d bytes", limit))
	}
	return body, nil
}
