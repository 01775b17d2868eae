package umaas

import (
	"slices"
	"testing"
)

// TestReachesACR: stronger does too, unknown values only themselves, nothing reaches something.
func TestReachesACR(t *testing.T) {
	for _, c := range []struct {
		have, want string
		ok         bool
	}{
		{"", "", true}, {ACRPassword, "", true}, {"x", "", true}, {"", ACRPassword, false}, {ACRPassword, ACRPassword, true}, {ACRMultiFactor, ACRPassword, true},
		{ACRPhishingResistant, ACRMultiFactor, true}, {ACRPassword, ACRMultiFactor, false}, {"x", "x", true}, {"y", "x", false}, {ACRPhishingResistant, "x", false}, {"x", ACRPassword, false},
	} {
		if got := reachesACR(c.have, c.want); got != c.ok {
			t.Errorf("%q for %q: %v", c.have, c.want, got)
		}
	}
	all := []string{"", ACRPassword, ACRMultiFactor, ACRPhishingResistant, "x", "y"}
	for i, a := range all {
		for j, b := range all {
			want := all[max(i, j)]
			if got := strongerACR(a, b); got != want {
				t.Errorf("%q, %q: %q, want %q", a, b, got, want)
			}
		}
	}
	for amr, want := range map[string]string{"pwd": ACRPassword, "pwd otp": ACRMultiFactor, "mfa": ACRMultiFactor, "hwk": ACRPhishingResistant, "": "", "otp": "", "geo": ""} {
		if got := acrOf(wordsOf(amr)); got != want {
			t.Errorf("%q: %q, want %q", amr, got, want)
		}
	}
	i := TrustedIssuer{ACRs: []string{"https://a.example/?p=1=" + ACRMultiFactor, ACRPassword, "phr", "b=c"}}
	for theirs, want := range map[string]string{"https://a.example/?p=1": ACRMultiFactor, ACRPassword: ACRPassword, ACRMultiFactor: "", "phr": "", "b": "", "": ""} {
		if got := acrFrom(i, theirs); got != want {
			t.Errorf("%q counts for %q, want %q", theirs, got, want)
		}
	}
	if got := acrsFor(i, ACRMultiFactor); !slices.Equal(got, []string{"https://a.example/?p=1"}) {
		t.Errorf("%v", got)
	}
}

func wordsOf(s string) []string {
	var out []string
	for len(s) > 0 {
		i := slices.Index([]byte(s), ' ')
		if i < 0 {
			return append(out, s)
		}
		out, s = append(out, s[:i]), s[i+1:]
	}
	return out
}

// FuzzStatedClaims: only names the issuer is believed for, each with its issuer, in bounds.
func FuzzStatedClaims(f *testing.F) {
	for _, s := range []string{``, `{}`, `[]`, `{"org":"x","er":true,"role":["a","b"]}`, `{"email":"a@h.example","email_verified":true}`, `{"org":{"a":1},"er":false,"role":[1]}`, `{"urn:umaas:sign-in":"x","sub":"y"}`} {
		f.Add([]byte(s))
	}
	i := TrustedIssuer{Issuer: "https://h.example", Claims: []string{"org", "er", "role", "email"}, EmailDomains: []string{"h.example"}}
	f.Fuzz(func(t *testing.T, payload []byte) {
		list := statedClaims(i, payload)
		for _, c := range list {
			if c.Issuer != i.Issuer || !contains(i.Claims, c.Name) || c.Value == "" || len(c.Value) > maxClaimValue || c.Name == "email" && c.Value[max(0, len(c.Value)-10):] != "@h.example" {
				t.Fatalf("%+v", c)
			}
		}
		if len(list) > maxStated+64 {
			t.Fatalf("%d claims", len(list))
		}
	})
}
