package umaas

import (
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// byteScopes is a scope language of bytes; patient/X.y reads as itself.
type byteScopes struct{}

func (byteScopes) Intersect(a, g Right) []Right {
	if common := keep(a.Scopes, g.Scopes); len(common) > 0 {
		return []Right{{Scopes: common, Constraints: both(a.Constraints, g.Constraints)}}
	}
	return nil
}

func (l byteScopes) Covers(given []Right, asked Right) bool {
	left := asked.Scopes
	for _, g := range given {
		if !slices.ContainsFunc(g.Constraints, func(c uma.Constraint) bool { return !slices.Contains(asked.Constraints, c) }) {
			left = slices.DeleteFunc(slices.Clone(left), func(s string) bool { return contains(g.Scopes, s) })
		}
	}
	return len(left) == 0
}
func (byteScopes) Describe([]Right, string) []Item { return nil }
func (byteScopes) Translate(scope string, registered []string) (string, Right, bool) {
	scope, query, has := strings.Cut(scope, "?")
	base, letters, ok := strings.Cut(scope, ".")
	var r Right
	for _, l := range strings.Split(letters, "") {
		if s := base + "." + l; contains(registered, s) {
			r.Scopes = append(r.Scopes, s)
		}
	}
	if has {
		r.Constraints = []uma.Constraint{{Type: uma.ConstraintQuery, Value: query}}
	}
	return "record", r, ok && len(r.Scopes) > 0
}
func (byteScopes) Print(rights []Right) []string { return nil }

// TestPushedClaimsOnlyQualify is the property over 20,000 random worlds: what a party gets with some claims she gets with more,
// each grant rests on policies all of whose conditions hold, and nothing beyond these policies' rules is given (SEC-19, SEC-28,
// SEC-39).
func TestPushedClaimsOnlyQualify(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names, values, issuers := []string{"org", "er", "pro"}, []string{"a", "b"}, []string{"https://i", "https://j"}
	claim := func() Claim {
		return Claim{Issuer: issuers[r.IntN(2)], Name: names[r.IntN(3)], Value: values[r.IntN(2)]}
	}
	claims := func(n int) (out []Claim) {
		for range n {
			out = append(out, claim())
		}
		return out
	}
	scopes := []string{"x", "y", "z"}
	some := func() (out []string) {
		for _, s := range scopes {
			if r.IntN(2) == 0 {
				out = append(out, s)
			}
		}
		return out
	}
	res := Resource{Owner: "o", RS: "rs", ID: "r", Description: uma.ResourceDescription{Scopes: scopes}}
	permitted := 0
	for range 20_000 {
		var policies []Policy
		for i := range 1 + r.IntN(3) {
			policies = append(policies, Policy{
				ID: PolicyID(rune('1' + i)), Owner: "o", Who: Who{Kind: WhoClaim, Claim: claim()}, Also: claims(r.IntN(3)),
				Rules: []Rule{{Resource: "r", RS: "rs", Scopes: some()}},
			})
		}
		q := Question{
			Now: time.Unix(1e9, 0), Owner: "o", Client: Client{ID: "c", AuthMethod: AuthSecretPost}, Party: &Party{Account: "p"}, PartyAccount: &Account{ID: "p"},
			Claims: claims(r.IntN(4)), Language: byteScopes{}, Answered: &Request{State: RequestDenied},
			Asked: []AskedPermission{{Resource: res, Scopes: []string{"x", "y", "z"}, Policies: policies}},
		}
		got := granted(Assess(q))
		for _, s := range got {
			if !slices.ContainsFunc(policies, func(p Policy) bool {
				return contains(p.Rules[0].Scopes, s) && slices.Contains(q.Claims, p.Who.Claim) &&
					!slices.ContainsFunc(p.Also, func(c Claim) bool { return !slices.Contains(q.Claims, c) })
			}) {
				t.Fatalf("%s is given by no policy whose conditions hold: %+v with %+v", s, policies, q.Claims)
			}
		}
		more := q
		more.Claims = append(slices.Clone(q.Claims), claims(2)...)
		if wider := granted(Assess(more)); len(keep(got, wider)) != len(got) {
			t.Fatalf("more claims give less: %v, then %v", got, wider)
		}
		if len(got) > 0 {
			permitted++
		}
	}
	if permitted < 1000 {
		t.Fatalf("only %d worlds gave anything", permitted)
	}
}

func granted(d Decision) (out []string) {
	if p, ok := d.(Permit); ok {
		for _, g := range p.Granted {
			out = union(out, g.Scopes)
		}
	}
	return out
}

// TestBoundsOnlyNarrow: over 20,000 random tickets and requests, what is left is part of what was asked, per resource, and of what
// the ticket says, under every constraint of both.
func TestBoundsOnlyNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	s := &Service{Deps: Deps{Scopes: byteScopes{}}}
	types, letters := []string{"A", "B", "C"}, []string{"r", "s"}
	resources := map[ResourceID]Resource{}
	for _, id := range []ResourceID{"1", "2"} {
		var all []string
		for _, x := range types[:2] {
			for _, l := range letters {
				all = append(all, "patient/"+x+"."+l)
			}
		}
		resources[id] = Resource{ID: id, Description: uma.ResourceDescription{Scopes: append(all, "conf/R")}}
	}
	left := 0
	for range 20_000 {
		var b Bounds
		for range r.IntN(3) {
			scope := "patient/" + types[r.IntN(3)] + "." + []string{"r", "s", "rs"}[r.IntN(3)]
			if r.IntN(3) == 0 {
				scope += "?category=x"
			}
			b.Scopes = append(b.Scopes, scope)
		}
		if r.IntN(2) == 0 {
			b.Constraints = []uma.Constraint{{Type: uma.ConstraintPeriod, Value: "2020-01-01/"}}
		}
		b.Sensitive = r.IntN(4) == 0
		var asked []uma.Permission
		for id, res := range resources {
			p := uma.Permission{ResourceID: string(id)}
			for _, sc := range res.Description.Scopes {
				if r.IntN(2) == 0 {
					p.Scopes = append(p.Scopes, sc)
				}
			}
			if len(p.Scopes) > 0 {
				asked = append(asked, p)
			}
		}
		for _, p := range s.narrowed(asked, resources, b) {
			i := slices.IndexFunc(asked, func(a uma.Permission) bool { return a.ResourceID == p.ResourceID })
			if i < 0 || len(p.Scopes) == 0 || len(keep(p.Scopes, asked[i].Scopes)) != len(p.Scopes) {
				t.Fatalf("%+v was not asked: %+v", p, asked)
			}
			for _, c := range b.Constraints {
				if !slices.Contains(p.Constraints, c) {
					t.Fatalf("%+v lost %+v", p, c)
				}
			}
			for _, sc := range p.Scopes {
				if strings.HasPrefix(sc, "conf/") {
					if !b.Sensitive {
						t.Fatalf("sensitive data without a word: %+v", b)
					}
					continue
				}
				if !slices.ContainsFunc(b.Scopes, func(limit string) bool {
					plain, query, narrowed := strings.Cut(limit, "?")
					base, ls, _ := strings.Cut(plain, ".")
					sb, sl, _ := strings.Cut(sc, ".")
					return base == sb && strings.Contains(ls, sl) && (!narrowed || slices.Contains(p.Constraints, uma.Constraint{Type: uma.ConstraintQuery, Value: query}))
				}) {
					t.Fatalf("%s under %+v is outside of %v", sc, p.Constraints, b.Scopes)
				}
			}
			left++
		}
	}
	if left < 1000 {
		t.Fatalf("only %d permissions were left at all", left)
	}
}

// FuzzClaimTokens: whatever is pushed, the formats read it or refuse it, and what they read is in bounds.
func FuzzClaimTokens(f *testing.F) {
	f.Add(`{"iss":"https://i","sub":"s","aud":"https://as","iat":1000000000,"exp":1000000100,"jti":"j","org":["a"],"pro":[{"src":"x","val":"y"}],"email":"a@b.example","email_verified":true,"er":true}`)
	f.Add(`{"iss":"https://i","aud":["https://as"],"exp":1000000100,"jti":"j","ticket_type":"t","presenter_binding":{"method":"jkt","jkt":"k"},"subject":{"patient":{"identifier":[{"system":"s","value":"v"}]}},"access":{"permissions":[{"kind":"data","resource_type":"Observation","interactions":["read"],"category_any_of":[{"code":"x,|"}]}],"data_period":{"start":"2020","end":"2021-02"}}}`)
	f.Add(`{"aud":[1],"exp":-1e308,"iat":{}}`)
	now := time.Unix(1_000_000_000, 0)
	to := Recipient{Now: now, Self: "https://as", Client: "c", Holding: []string{"k"}, Issuer: TrustedIssuer{Issuer: "https://i", Claims: []string{"org", "pro", "email", "er", "name", "sub", "time"}}}
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := keys.Members([]byte(payload))
		if err != nil {
			return
		}
		for _, format := range []Format{idTokenFormat{}, jwtFormat{}, permissionTicketFormat{}} {
			s, err := format.Read(m, to)
			if err != nil {
				continue
			}
			if !s.Until.After(now) || len(s.Claims) > maxStated || len(s.Subject) > 255 {
				t.Errorf("%s: %+v", format.URI(), s)
			}
			if format.Use() == UseClaims && s.ID == "" || format.Use() == UsePermissionTicket && (s.Bounds == nil || s.Subject != "") {
				t.Errorf("%s: %+v", format.URI(), s)
			}
			for _, c := range s.Claims {
				if c.Value == "" || len(c.Value) > maxClaimValue || slices.Contains(reserved, c.Name) && c.Name != claimTicket {
					t.Errorf("%s: claim %+v", format.URI(), c)
				}
			}
			if b := s.Bounds; b != nil {
				for _, scope := range b.Scopes {
					if !isScopeToken(strings.ReplaceAll(scope, `\`, "")) && len(scope) <= 512 || !strings.HasPrefix(scope, "patient/") {
						t.Errorf("scope %q", scope)
					}
				}
			}
		}
	})
}

// FuzzPeek: a token that is taken apart has a header without keys, and survives putting together.
func FuzzPeek(f *testing.F) {
	enc := base64.RawURLEncoding.EncodeToString
	f.Add(enc([]byte(`{"alg":"ES256","kid":"k"}`)) + "." + enc([]byte(`{}`)) + ".AAAA")
	f.Add(enc([]byte(`{"alg":"ES256","alg":"none"}`)) + ".e30.AAAA")
	f.Add("..")
	f.Fuzz(func(t *testing.T, raw string) {
		s, err := keys.Peek(raw)
		if err != nil {
			return
		}
		head, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[0])
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]json.RawMessage
		if json.Unmarshal(head, &m) != nil || m["jwk"] != nil || m["jku"] != nil || m["crit"] != nil {
			t.Errorf("accepted header %s", head)
		}
		if enc(s.Payload) != strings.Split(raw, ".")[1] {
			t.Errorf("payload differs")
		}
	})
}

func TestSearchText(t *testing.T) {
	for in, want := range map[string]string{
		"laboratory": "laboratory", "a,b": `a%5C,b`, "a|b": `a%5C|b`, `a\b`: `a%5C%5Cb`, "a&b=c": "a%26b=c", "ä": "%C3%A4", "a b": "a%20b", "100%": "100%25",
	} {
		if got := searchText(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestCheckFormats(t *testing.T) {
	for _, c := range []struct {
		list []Format
		ok   bool
	}{
		{nil, true}, {[]Format{idTokenFormat{}}, false}, {[]Format{nil}, false}, {[]Format{oddFormat{}}, false},
		{[]Format{oddFormat{uri: "u", types: []string{""}, use: UseClaims}}, true},
		{[]Format{oddFormat{uri: "u", types: []string{""}, use: UseSignIn}}, false},
		{[]Format{oddFormat{uri: "u", types: []string{""}, use: UseClaims}, oddFormat{uri: "u", types: []string{""}, use: UseClaims}}, false},
	} {
		if err := checkFormats(c.list); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.list, err)
		}
	}
}

type oddFormat struct {
	uri   string
	types []string
	use   IssuerUse
}

func (f oddFormat) URI() string                              { return f.uri }
func (f oddFormat) Use() IssuerUse                           { return f.use }
func (f oddFormat) Types() []string                          { return f.types }
func (oddFormat) Read(Members, Recipient) (Statement, error) { return Statement{}, nil }
