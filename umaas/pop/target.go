package pop

import (
	"net/url"
	"strings"
)

// sameTarget compares htu with the addresses the request may have been sent to, after normalisation and without query and
// fragment (RFC 9449 §4.3, check 9 and the paragraph below it).
func sameTarget(htu string, urls []string) bool {
	got, ok := Target(htu)
	if !ok {
		return false
	}
	for _, u := range urls {
		if want, ok := Target(u); ok && got == want {
			return true
		}
	}
	return false
}

// Target is an http(s) address in the one form that is compared: syntax- and scheme-based normalisation of RFC 3986 §6.2.2
// and §6.2.3, without query and fragment. False for anything else, user information included.
func Target(address string) (string, bool) {
	if len(address) > 2<<10 || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return "", false
	}
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" || u.User != nil || u.Hostname() == "" {
		return "", false
	}
	scheme, host, port := strings.ToLower(u.Scheme), strings.ToLower(u.Hostname()), u.Port()
	if scheme != "https" && scheme != "http" {
		return "", false
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" && (scheme != "https" || port != "443") && (scheme != "http" || port != "80") {
		host += ":" + port
	}
	path, ok := normalPath(u.EscapedPath())
	return scheme + "://" + host + path, ok
}

// normalPath writes percent-encodings in one way, decodes what needs none, and resolves dot segments.
func normalPath(path string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			b.WriteByte(path[i])
			continue
		}
		if i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			return "", false
		}
		if c := unhex(path[i+1])<<4 | unhex(path[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		}
		i += 2
	}
	var kept []string
	segments := strings.Split(strings.TrimPrefix(b.String(), "/"), "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch {
		case s == "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		case s == "." && last:
			kept = append(kept, "")
		case s == ".":
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/"), true
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
