package conformance_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/conformance"
)

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }
}

func TestParseProfile(t *testing.T) {
	p, err := conformance.ParseProfile([]byte(`
server: Example 1
issuer: https://as.example/realm/
max_wait: 90s
people: {alice: {login: alice, password: "${SECRET}"}}
absent: {pct: it has none}
`), environment(map[string]string{"SECRET": "s3cret: {"}))
	if err != nil {
		t.Fatal(err)
	}
	want := conformance.Duration(90 * time.Second)
	if p.Issuer != "https://as.example/realm" || p.People["alice"].Password != "s3cret: {" || p.MaxWait != want || len(p.Scopes) != 4 || p.PAT.How != "authorization_code" {
		t.Errorf("%+v", p)
	}
}

// Every mistake is told, all at once, with what to do; no secret is repeated.
func TestParseProfileTellsEverything(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"empty":          {"", []string{"empty"}},
		"no YAML":        {"server: [", []string{"sequence"}},
		"unknown member": {"server: x\nissuer: https://a.example\nservre: y", []string{"servre"}},
		"unset":          {"server: ${NOBODY} ${NO_ONE}", []string{"NOBODY, NO_ONE"}},
		"many": {`
issuer: http://as.example
tls: {insecure: true}
scopes: [one, two]
people: {eve: {login: eve}}
clients: {given: {C9: {id: x}}}
offers: [wings]
absent: {pct: " "}
party: {how: claim_token}
pat: {how: hook}
claim_push: {listen: "0.0.0.0:80"}
pages: [{name: lost}]
`, []string{"server", "http is for loopback", "four names", "people.eve", "C9", "wings", "absent.pct", "claim_token needs", "hooks.pat", "loopback addresses alone", "pages[0] (lost)"}},
		"duration": {"server: x\nissuer: https://a.example\nmax_wait: soon", []string{"soon"}},
		"insecure": {"server: x\nissuer: https://a.example\ntls: {insecure: true}", []string{"tls.insecure"}},
		"two ways": {"server: x\nissuer: https://a.example\nhooks: {permit: {command: [x], open: y}}", []string{"hooks.permit"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := conformance.ParseProfile([]byte(c.text), environment(nil))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
					t.Errorf("not told: %s, in:\n%v", want, err)
				}
			}
		})
	}
	_, err := conformance.ParseProfile([]byte("server: x\nissuer: https://a.example\npeople: {alice: {login: a, password: hunter2hunter2, nonsense: 1}}"), environment(nil))
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

// A YAML member is named in mistakes as it stands in the file.
func TestMistakesNameMembers(t *testing.T) {
	_, err := conformance.ParseProfile([]byte("server: x\nissuer: https://a.example\npeople: {alice: {password: x}}\nparty: {how: magic}"), environment(nil))
	for _, want := range []string{"people[alice].login", "party.how"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}

// The profiles that are shipped are valid.
func TestShippedProfiles(t *testing.T) {
	files, err := filepath.Glob("../docs/conformance/profiles/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conformance.ParseProfile(raw, func(string) (string, bool) { return "x", true }); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// FuzzParseProfile: whatever comes, there is a profile that is complete, or an error; never a panic, and the same twice.
func FuzzParseProfile(f *testing.F) {
	f.Add("server: x\nissuer: https://as.example\n")
	f.Add("server: x\nissuer: http://127.0.0.1:1\nhooks: {permit: {http: [{url: x, json: {a: [\"{{scopes}}\"]}}]}}\n")
	f.Add("issuer: ${A}\n${")
	f.Add("a: &a [*a]")
	files, _ := filepath.Glob("../docs/conformance/profiles/*.yaml")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil {
			f.Add(string(raw))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		look := func(name string) (string, bool) { return "x", name != "UNSET" }
		p, err := conformance.ParseProfile([]byte(text), look)
		if err != nil {
			return
		}
		if p.Issuer == "" || p.Server == "" || len(p.Scopes) < 4 || p.Timeout == 0 || p.MaxWait == 0 {
			t.Errorf("incomplete: %+v", p)
		}
		again, err := conformance.ParseProfile([]byte(text), look)
		if err != nil || !reflect.DeepEqual(p, again) {
			t.Errorf("%v: %+v, then %+v", err, p, again)
		}
	})
}
