package resourceserver_test

import (
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSignedTokenThatNamesNoSets: two patients brought the same server. Its token says nothing of sets; what is remembered of
// it for one of them is no answer for the other, and a request that names nobody is about whom the token was last good for.
func TestSignedTokenThatNamesNoSets(t *testing.T) {
	g := newGuarded(t, rs.ForeignAny, false)
	j, m := g.user(john), g.user(asclienttest.Person{Sub: "sub-mary", Name: "Mary", FHIRUser: "Patient/mary"})
	g.move(j, there("john"))
	g.move(m, there("mary"))
	johns, _ := g.state.RecordOf(t.Context(), "john")
	marys, _ := g.state.RecordOf(t.Context(), "mary")
	token := g.second.Sign("at+jwt", map[string]any{
		"iss": g.second.Issuer(), "aud": fhirBase, "exp": g.clock.now().Add(time.Hour).Unix(), "jti": "bare", "client_id": "app",
	})
	g.second.PutToken(token, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Permissions: []uma.Permission{
		{ResourceID: johns.ResourceID, Scopes: []string{"patient/Observation.r"}}, {ResourceID: marys.ResourceID, Scopes: []string{"patient/Observation.r"}},
	}})
	sees := func(about, whose string) {
		t.Helper()
		grant, err := g.verifier.VerifyAbout(t.Context(), token, about)
		if whose == "" {
			if err == nil {
				t.Errorf("about %q: %+v", about, grant)
			}
			return
		}
		if err != nil || len(grant.Permissions) != 1 || grant.Permissions[0].Set.Patient != whose {
			t.Errorf("about %q: %+v %v, want a permission of %s", about, grant.Permissions, err, whose)
		}
	}
	sees("", "") // nobody is named, and it was never good for anybody
	sees("john", "john")
	sees("mary", "mary") // at the same moment: what is remembered for him is not hers
	sees("john", "john")
	sees("", "john")
	g.clock.forward(time.Minute)
	sees("", "john")
	sees("mary", "mary")
	sees("", "mary")
}
