package conformance

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// secretsOf lists the secret values of an exchange: long values of members and parameters that are secret by their name,
// and what stands in the Authorization header.
func secretsOf(x *Exchange) []string {
	var out []string
	take := func(name, value string) {
		if len(value) > 12 && secretOf(name, value) != value {
			out = append(out, value)
		}
	}
	for _, raw := range []string{string(x.Request.Body), query(x.Request.URL), query(x.Header.Get("Location"))} {
		if form, err := url.ParseQuery(raw); err == nil {
			for name, values := range form {
				for _, v := range values {
					take(name, v)
				}
			}
		}
	}
	for _, raw := range [][]byte{x.Body, x.Request.Body} {
		var v any
		if json.Unmarshal(raw, &v) == nil {
			walk("", v, take)
		}
	}
	if _, token, ok := strings.Cut(x.Request.Header.Get("Authorization"), " "); ok {
		take("token", token)
	}
	return out
}

func query(address string) string {
	_, q, _ := strings.Cut(address, "?")
	return q
}

func walk(name string, v any, take func(name, value string)) {
	switch v := v.(type) {
	case string:
		take(name, v)
	case []any:
		for _, inner := range v {
			walk(name, inner, take)
		}
	case map[string]any:
		for member, inner := range v {
			walk(member, inner, take)
		}
	}
}

// without shortens the secrets in texts, longer ones first.
func without(texts, secrets []string) []string {
	if len(texts) == 0 || len(secrets) == 0 {
		return texts
	}
	secrets = slices.Clone(secrets)
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		pairs = append(pairs, s, Short(s))
	}
	r := strings.NewReplacer(pairs...)
	out := make([]string, len(texts))
	for i := range texts {
		out[i] = r.Replace(texts[i])
	}
	return out
}
