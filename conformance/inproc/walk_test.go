package inproc

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// TestWalk takes the narrated main job against live servers: with both forms of RPT, and with records of a FHIR test data
// generator in place of the demo's own.
func TestWalk(t *testing.T) {
	t.Run("opaque", func(t *testing.T) { walk(t, common(t, "common")) })
	t.Run("jwt", func(t *testing.T) { walk(t, common(t, "jwt")) })
	t.Run("dpop", func(t *testing.T) { walkBound(t, common(t, "common"), 27) })
	t.Run("dpop jwt", func(t *testing.T) { walkBound(t, common(t, "jwt"), 27) })
	t.Run("loaded", func(t *testing.T) {
		w := own(t, demo.Options{Load: testdata(t, "nimbus-juvenile-10")})
		if n := len(w.World.Patients); n < 10 {
			t.Fatalf("%d patients loaded", n)
		}
		walk(t, w)
	})
}

func walk(t *testing.T, w *world) {
	t.Helper()
	take(t, w, 25, false)
}

// walkBound is the walk of an app with a key (SEC-33): two steps more, in which a copied RPT is refused.
func walkBound(t *testing.T, w *world, steps int) {
	t.Helper()
	take(t, w, steps, true)
}

func take(t *testing.T, w *world, steps int, bound bool) {
	t.Helper()
	var told strings.Builder
	err := (&demo.Walk{World: w.World, Out: &told, Transport: http.DefaultTransport, DPoP: bound}).Run(t.Context())
	if err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	if n := strings.Count(told.String(), "✓"); n != steps || strings.Contains(told.String(), "✗") {
		t.Errorf("%d steps held, want all %d:\n%s", n, steps, told.String())
	}
	for _, fault := range w.Faults.taken() {
		t.Errorf("logged as an error: %s", fault)
	}
}

// testdata finds a folder of the external test data.
func testdata(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("UMAAS_TESTDATA")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "testdata")
	}
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		missing(t, "test data "+name+" is missing: set UMAAS_TESTDATA")
	}
	return filepath.Join(dir, name)
}

// TestWalk_JWTForm: the walk above does not pass by accident on opaque tokens; a resource server that asks for JWT gets them.
func TestWalk_JWTForm(t *testing.T) {
	w := common(t, "jwt")
	g := w.give(t, "ravi", fluAsk, fluTicks...)
	if strings.Count(g.RPT, ".") != 2 {
		t.Fatalf("the RPT has %d dots, want a JWS", strings.Count(g.RPT, "."))
	}
	if a := get(t, g.Launch.FHIRBase+"/AllergyIntolerance?patient=ravi", g.RPT); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	forged := g.RPT[:len(g.RPT)-4] + "AAAA"
	if a := get(t, g.Launch.FHIRBase+"/AllergyIntolerance?patient=ravi", forged); a.Status != http.StatusUnauthorized {
		t.Errorf("forged: %d", a.Status)
	}
}
