package web

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// TestTexts: every key a template names is in the catalogue, every placeholder can be filled, TX-01's words are not used.
func TestTexts(t *testing.T) {
	all, err := loadTexts()
	if err != nil {
		t.Fatal(err)
	}
	used := regexp.MustCompile(`\((?:say|count) "([^"]+)"|plain "([^"]+)"`)
	n := 0
	err = fs.WalkDir(templateFiles, "templates", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := templateFiles.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range used.FindAllStringSubmatch(string(raw), -1) {
			key := m[1] + m[2]
			n++
			if !all.has(key) && (!all.has(key+".one") || !all.has(key+".other")) {
				t.Errorf("%s: text %q is missing", file, key)
			}
		}
		return nil
	})
	if err != nil || n < 150 {
		t.Fatalf("%d keys, %v", n, err)
	}
	forbidden := regexp.MustCompile(`(?i)\b(scopes?|tokens?|clients?|resources?|FHIR|OAuth|UMA|RPT|tickets?|claims?|polic(y|ies)|grant(s|ed)?|revoked?|authori[sz]\w*)\b`)
	for key, text := range all {
		if m := forbidden.FindString(regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(text, "")); m != "" {
			t.Errorf("TX-01: %s says %q", key, m)
		}
		if words := len(strings.Fields(text)); words > 45 {
			t.Errorf("UI-05: %s has %d words", key, words)
		}
		for sentence := range strings.SplitSeq(text, ". ") {
			if len(strings.Fields(sentence)) > 20 {
				t.Errorf("UI-05: a sentence of %s has more than 20 words", key)
			}
		}
		if one, ok := strings.CutSuffix(key, ".one"); ok && !all.has(one+".other") {
			t.Errorf("%s has no plural", key)
		}
	}
}

func TestSay(t *testing.T) {
	c := texts{"a": "{who} has {n} things", "b.one": "{n} day", "b.other": "{n} days", "c": "{"}
	got, err := c.say("a", "who", Name("Ann"), "n", 2)
	if err != nil || len(got) != 4 || !got[0].Foreign || got[0].Text != "Ann" || got[2].Text != "2" || got[2].Foreign {
		t.Errorf("%+v %v", got, err)
	}
	for _, n := range []int{0, 1, 2} {
		s, err := c.count("b", n)
		if want := map[int]string{0: "days", 1: "day", 2: "days"}[n]; err != nil || s[1].Text != " "+want {
			t.Errorf("%d: %+v %v", n, s, err)
		}
	}
	for _, key := range []string{"missing", "a", "c"} {
		if _, err := c.say(key); err == nil {
			t.Errorf("%s: no error", key)
		}
	}
}

func TestIX_04_Names(t *testing.T) {
	for in, want := range map[string]string{
		"Zoe\u0308": "Zoë", "  a \n b\t": "a b", "a\u202eb\u200bc\u0000d": "abcd", "": "", "\ufeff": "", strings.Repeat("ä", 61): strings.Repeat("ä", 59) + "…",
	} {
		if got := string(name(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := string(note("a\u202e  b\n" + strings.Repeat("y ", 300))); len([]rune(got)) != 281 || !strings.HasPrefix(got, "a b y") {
		t.Errorf("%q", got)
	}
}

func TestPS_02_FormTarget(t *testing.T) {
	for in, want := range map[string]string{
		"https://App.example/cb?x=1": "https://app.example", "http://localhost:8080/cb": "http://localhost:8080", "http://127.0.0.1:1/": "http://127.0.0.1:1",
		"http://[::1]:8080/cb": "", "com.example.app:/cb": "com.example.app:", "javascript:alert(1)": "", "data:text/html,x": "", "": "", "/cb": "",
		"https://a.example;script-src *": "", "https://exa mple": "",
	} {
		if got, ok := formTarget(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", in, got, ok, want)
		}
	}
}

// FuzzName: whatever comes in, what is shown is short, valid and without direction marks; cleaning twice is cleaning once.
func FuzzName(f *testing.F) {
	for _, s := range []string{"Ann", "\u202e", "\xff\xfe", "a\u0301", strings.Repeat("ß", 100)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := name(s)
		if name(string(n)) != n || len([]rune(string(n))) > 60 || strings.ContainsAny(string(n), "\u202e\u200b\x00\n") {
			t.Fatalf("%q → %q → %q", s, n, name(string(n)))
		}
	})
}
