package conformance

import "strings"

// Challenge is one challenge of a WWW-Authenticate header (RFC 9110 §11.6.1).
type Challenge struct {
	Scheme string            // as written
	Params map[string]string // names in lower case
}

// parseChallenges reads the challenges of one header line. What it cannot read it leaves out.
func parseChallenges(line string) []Challenge {
	var out []Challenge
	for rest := line; ; {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			return out
		}
		word, after := token(rest)
		if word == "" {
			return out
		}
		after = strings.TrimLeft(after, " \t")
		if value, ok := strings.CutPrefix(after, "="); ok && len(out) > 0 {
			var text string
			text, rest = parameter(strings.TrimLeft(value, " \t"))
			out[len(out)-1].Params[strings.ToLower(word)] = text
			continue
		}
		out = append(out, Challenge{Scheme: word, Params: map[string]string{}})
		if after == rest {
			return out
		}
		rest = after
	}
}

func token(s string) (word, rest string) {
	end := strings.IndexAny(s, " \t,=\"")
	if end < 0 {
		return s, ""
	}
	return s[:end], s[end:]
}

func parameter(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return token(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:]
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}
