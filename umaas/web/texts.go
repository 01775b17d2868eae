package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed texts/en.json
var textFiles embed.FS

// texts is a language's catalogue: page.element → whole sentence with {named} values.
type texts map[string]string

func loadTexts() (texts, error) {
	raw, err := textFiles.ReadFile("texts/en.json")
	if err != nil {
		return nil, fmt.Errorf("web: texts: %w", err)
	}
	var t texts
	if err := json.Unmarshal(raw, &t); err != nil {
		return nil, fmt.Errorf("web: texts: %w", err)
	}
	return t, nil
}

// Name is a name somebody chose for herself or her app: foreign text, cleaned and isolated wherever it is shown.
type Name string

// name cleans foreign text: NFC, no control, format or direction characters, at most 60 characters (IX-04).
func name(s string) Name {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	s = norm.NFC.String(strings.Join(strings.Fields(s), " ")) // what was taken out may have kept a letter from its accent
	if runes := []rune(s); len(runes) > 60 {
		s = strings.TrimSpace(string(runes[:59])) + "…"
	}
	return Name(s)
}

// segment is a piece of a sentence; Foreign pieces are set apart by <bdi>.
type segment struct {
	Text    string
	Foreign bool
}

// say builds a sentence from the catalogue. pairs are name, value, …; a Name becomes a foreign piece.
func (t texts) say(key string, pairs ...any) ([]segment, error) {
	pattern, ok := t[key]
	if !ok {
		return nil, fmt.Errorf("text %q is missing in the catalogue", key)
	}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("text %q: values come in pairs", key)
	}
	values := map[string]any{}
	for pair := range slices.Chunk(pairs, 2) {
		values[fmt.Sprint(pair[0])] = pair[1]
	}
	var out []segment
	for pattern != "" {
		before, rest, found := strings.Cut(pattern, "{")
		if before != "" {
			out = append(out, segment{Text: before})
		}
		if !found {
			break
		}
		placeholder, after, closed := strings.Cut(rest, "}")
		value, given := values[placeholder]
		if !closed || !given {
			return nil, fmt.Errorf("text %q: no value for {%s}", key, placeholder)
		}
		switch value := value.(type) {
		case Name:
			out = append(out, segment{Text: string(value), Foreign: true})
		case []segment: // a phrase that was worded before
			out = append(out, value...)
		default:
			out = append(out, segment{Text: fmt.Sprint(value)})
		}
		pattern = after
	}
	return out, nil
}

// plain is say for places that take text alone: titles, attributes.
func (t texts) plain(key string, pairs ...any) (string, error) {
	segments, err := t.say(key, pairs...)
	var b strings.Builder
	for _, s := range segments {
		b.WriteString(s.Text)
	}
	return b.String(), err
}

// count is say with the plural form for n, which the text knows as {n}.
func (t texts) count(key string, n int, pairs ...any) ([]segment, error) {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return t.say(key+form, append(pairs, "n", n)...)
}

// has reports a key, for texts that are chosen by a code with a fallback.
func (t texts) has(key string) bool { _, ok := t[key]; return ok }

// note cleans somebody's words to another person: like name, but as long as a note may be.
func note(s string) Name {
	var out []string
	for word := range strings.FieldsSeq(s) {
		if w := string(name(word)); w != "" {
			out = append(out, w)
		}
	}
	runes := []rune(strings.Join(out, " "))
	if len(runes) > maxNote {
		runes = append(runes[:maxNote], '…')
	}
	return Name(runes)
}
