package resourceserver_test

import (
	"errors"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

// TestH_08_BroughtServerUnderHEART: a server a patient brings may follow the HEART profile, whose tokens name resources as their
// audience, if it says so. One that does not say so must name this server.
func TestH_08_BroughtServerUnderHEART(t *testing.T) {
	for _, says := range []bool{true, false} {
		g := newGuarded(t, rs.ForeignAny, false)
		g.second.ChangeMetadata(func(m *uma.Metadata) {
			if says {
				m.UMAProfilesSupported = append(m.UMAProfilesSupported, uma.ProfileURIHEART)
			}
		})
		g.move(g.user(john), there("john"))
		reg, err := g.state.RecordOf(t.Context(), "john")
		if err != nil {
			t.Fatal(err)
		}
		token := g.second.Sign("at+jwt", map[string]any{
			"iss": g.second.Issuer(), "aud": []string{reg.ResourceID}, "azp": "app", "client_id": "app", "sub": "second-john",
			"exp": g.clock.now().Add(time.Hour).Unix(), "jti": "heart",
		})
		g.second.PutToken(token, uma.Introspection{Active: true, Kind: "rpt", ClientID: "app", Azp: "app", Sub: "second-john", Party: "mary", Permissions: []uma.Permission{
			{ResourceID: reg.ResourceID, Scopes: []string{"patient/Observation.r"}},
		}})
		grant, err := g.verifier.VerifyAbout(t.Context(), token, "john")
		if says && (err != nil || len(grant.Permissions) != 1 || grant.Sub != "mary") || !says && !errors.Is(err, rs.ErrInactive) {
			t.Errorf("names the profile: %v: %+v %v", says, grant, err)
		}
	}
}
