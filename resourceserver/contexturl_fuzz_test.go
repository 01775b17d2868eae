package resourceserver

import (
	"errors"
	"strings"
	"testing"

	"github.com/umaas/umaas/scopes"
	"github.com/umaas/umaas/umaas/uma"
)

// Whatever is sent to an authorize endpoint gives a request within its bounds or one of two protocol errors; every scope
// taken is of the URL's level and of a served type, and prints as itself.
func FuzzAuthorizeRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"scope=AllergyIntolerance.read%20Immunization.write", "", ""},
		{"", "application/x-www-form-urlencoded", "scope=Patient.r&code_challenge=" + strings.Repeat("A", 43)},
		{"scope=a&scope=b", "text/plain", "x"}, {"scope=%zz", "", ""}, {"access_token=x", "", ""}, {"scope=*.cruds?x=y", "", ""},
		{"scope=patient%2FPatient.rs%3Fname%3Da%2Cb", "", ""}, {"scope=Patient.r%00", "", ""}, {"client_id=%ff", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	types := []string{"AllergyIntolerance", "Immunization", "Patient"}
	f.Fuzz(func(t *testing.T, query, contentType, body string) {
		q, err := parseAuthorize(query, contentType, strings.NewReader(body))
		if err != nil {
			if !errors.Is(err, uma.ErrInvalidRequest) && !errors.Is(err, uma.ErrInvalidScope) {
				t.Fatalf("error %v", err)
			}
			if q != (authorizeRequest{}) && !strings.Contains(err.Error(), "challenge") {
				t.Fatalf("a refused request left %+v", q)
			}
			return
		}
		if len(q.Scope) > maxAuthorizeScope || q.Challenge != "" && len(q.Challenge) != 43 {
			t.Fatalf("out of bounds: %+v", q)
		}
		for _, level := range []scopes.Context{"patient", "user"} {
			asked, err := parseScopes(q.Scope, level, types)
			var e *uma.Error
			if err != nil {
				if !errors.As(err, &e) || e.Code != "invalid_scope" || asked != nil || strings.ContainsFunc(e.Description, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }) {
					t.Fatalf("%v %v", asked, err)
				}
				continue
			}
			for _, s := range asked {
				again, err := scopes.Parse(s.String())
				if s.Context != level || s.Type != "*" && !contains(types, s.Type) || err != nil || again != s {
					t.Fatalf("took %+v of %q (%v)", s, q.Scope, err)
				}
			}
			for _, p := range permissionRequest("id", level, newOffer(types), asked, nil) {
				for _, one := range p.Scopes {
					if !contains(scopes.Registered(level, types), one) {
						t.Fatalf("asks for unregistered %q", one)
					}
				}
			}
		}
	})
}
