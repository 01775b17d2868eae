package conformance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// keptBody bounds what is kept of a body for the reports.
const keptBody = 16 << 10

// hidden never appears, not even in part; short appears with its beginning, its length and a mark by which equal values
// can be told.
var (
	hiddenNames = []string{"password", "client_secret", "registration_access_token", "_csrf", "csrf"}
	shortNames  = []string{
		"ticket", "access_token", "refresh_token", "token", "rpt", "pct", "claim_token", "code", "code_verifier", "id_token", "assertion",
		"client_assertion", "form", "session_code", "tab_id",
	}
)

// Short makes a secret value tellable from others without giving it away.
func Short(value string) string {
	if len(value) <= 12 {
		return value
	}
	sum := sha256.Sum256([]byte(value))
	head := 6
	for head > 0 && !utf8.RuneStart(value[head]) {
		head--
	}
	return fmt.Sprintf("%s…[%d, %s]", value[:head], len(value), hex.EncodeToString(sum[:2]))
}

func secretOf(name, value string) string {
	name = strings.ToLower(name)
	switch {
	case value == "":
		return value
	case slices.Contains(hiddenNames, name), strings.Contains(name, "password"):
		return "[hidden]"
	case slices.Contains(shortNames, name):
		return Short(value)
	default:
		return value
	}
}

// shorten copies an exchange for the result, with secrets shortened.
func shorten(x *Exchange) *Exchange {
	return &Exchange{
		Label: x.Label, Status: x.Status, Err: x.Err, Header: shortHeader(x.Header), Body: shortBody(x.Header, x.Body),
		Request: Message{
			Method: x.Request.Method, URL: shortURL(x.Request.URL), Header: shortHeader(x.Request.Header),
			Body: shortBody(x.Request.Header, x.Request.Body),
		},
	}
}

func shortHeader(h http.Header) http.Header {
	out := h.Clone()
	for name, values := range out {
		for i, v := range values {
			switch name {
			case "Authorization":
				scheme, value, _ := strings.Cut(v, " ")
				if strings.EqualFold(scheme, "Basic") {
					values[i] = scheme + " [hidden]"
				} else {
					values[i] = scheme + " " + Short(value)
				}
			case "Cookie":
				values[i] = "[hidden]"
			case "Set-Cookie":
				pair, rest, more := strings.Cut(v, ";")
				cookie, _, _ := strings.Cut(pair, "=")
				if values[i] = cookie + "=[hidden]"; more {
					values[i] += ";" + rest
				}
			case "Location", "Referer":
				values[i] = shortURL(v)
			case "Www-Authenticate":
				values[i] = ticketParameter.ReplaceAllStringFunc(v, func(s string) string {
					return `ticket="` + Short(strings.TrimSuffix(s[len(`ticket="`):], `"`)) + `"`
				})
			}
		}
	}
	return out
}

var (
	ticketParameter = regexp.MustCompile(`ticket="[^"]*"`)
	longValue       = regexp.MustCompile(`value="[^"]{24,}"`)
	longQuery       = regexp.MustCompile(`([?&](?:amp;)?(?:ticket|code|pct|rpt)=)[^"&<\s]{13,}`)
)

func shortURL(raw string) string {
	at := strings.IndexByte(raw, '?')
	if at < 0 {
		return raw
	}
	query, fragment, hasFragment := strings.Cut(raw[at+1:], "#")
	out := raw[:at+1] + shortForm(query)
	if hasFragment {
		out += "#" + fragment
	}
	return out
}

// shortForm keeps order and writing, so that a reader sees what was sent.
func shortForm(raw string) string {
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		plain, err := url.QueryUnescape(value)
		if err != nil {
			plain = value
		}
		if s := secretOf(name, plain); s != plain {
			parts[i] = name + "=" + s
		}
	}
	return strings.Join(parts, "&")
}

func shortBody(h http.Header, body []byte) []byte {
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch kind = strings.TrimSpace(kind); {
	case len(body) == 0:
		return nil
	case kind == "application/x-www-form-urlencoded":
		body = []byte(shortForm(string(body)))
	case strings.HasSuffix(kind, "json") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")):
		body = shortJSON(body)
	default:
		body = longValue.ReplaceAll(body, []byte(`value="[hidden]"`))
		body = longQuery.ReplaceAll(body, []byte("${1}[shortened]"))
	}
	if len(body) > keptBody {
		body = append(slices.Clone(body[:keptBody]), fmt.Sprintf("\n… %d bytes more", len(body)-keptBody)...)
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("�"))
	}
	return body
}

func shortJSON(body []byte) []byte {
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return body
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(shortValue("", v)) != nil {
		return body
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

func shortValue(name string, v any) any {
	switch v := v.(type) {
	case string:
		if name == "redirect_user" {
			return shortURL(v)
		}
		return secretOf(name, v)
	case []any:
		for i := range v {
			v[i] = shortValue(name, v[i])
		}
	case map[string]any:
		for member, inner := range v {
			v[member] = shortValue(member, inner)
		}
	}
	return v
}
