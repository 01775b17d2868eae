package inproc

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// TestSEC_55_TokensThatAreNone: without a token, with garbage, with a cut or lengthened one, with one of another kind.
func TestSEC_55_TokensThatAreNone(t *testing.T) {
	w := common(t, "attacked")
	rpt := w.give(t, "linh", fluAsk, fluTicks...).RPT
	target := w.World.FHIRBase + "/AllergyIntolerance?patient=linh"
	if a := get(t, target, rpt); a.Status != http.StatusOK {
		t.Fatalf("the good one: %d", a.Status)
	}
	none := send(t, http.MethodGet, target, nil, http.NoBody)
	if h := none.Header.Values("WWW-Authenticate"); none.Status != http.StatusUnauthorized || len(h) != 2 || !strings.HasPrefix(h[0], "UMA ") || strings.Contains(strings.Join(h, " "), "error=") {
		t.Errorf("no token: %d %q", none.Status, h)
	}
	upper := strings.ToUpper(rpt)
	if upper == rpt {
		upper = strings.ToLower(rpt)
	}
	for name, header := range map[string]string{
		"cut by one": "Bearer " + rpt[:len(rpt)-1], "cut by half": "Bearer " + rpt[:len(rpt)/2], "one more": "Bearer " + rpt + "A", "padded": "Bearer " + rpt + "=",
		"other case": "Bearer " + upper, "handle alone": "Bearer " + strings.SplitN(rpt, ".", 2)[0], "garbage": "Bearer garbage", "empty": "Bearer ", "Basic": "Basic " + rpt,
		"two": "Bearer " + rpt + " " + rpt, "protection token": "Bearer " + w.pat(t, w.World.Server), "long": "Bearer " + strings.Repeat("a", 20_000), "DPoP": "DPoP " + rpt,
	} {
		a := send(t, http.MethodGet, target, http.Header{"Authorization": {header}}, http.NoBody)
		all := strings.Join(a.Header.Values("WWW-Authenticate"), " | ")
		if a.Status != http.StatusUnauthorized || !strings.Contains(all, `UMA realm="`) || !strings.Contains(all, `error="invalid_token"`) {
			t.Errorf("%s: %d %s", name, a.Status, all)
		}
	}
	if a := send(t, http.MethodGet, target+"&access_token="+rpt, nil, http.NoBody); a.Status != http.StatusBadRequest {
		t.Errorf("SEC-111: a token in the query: %d %s", a.Status, a.Body)
	}
	app := w.app()
	check(t, app.Revoke(t.Context(), w.World.Issuer, rpt))
	refused := 0
	for range 60 { // an introspection may be remembered for 500 ms
		if refused = get(t, target, rpt).Status; refused != http.StatusOK {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	if refused != http.StatusUnauthorized {
		t.Errorf("SEC-34: revoked: %d", refused)
	}
}

// TestSEC_37_ExpiredRPT: an RPT ends when it says, whatever the caches hold.
func TestSEC_37_ExpiredRPT(t *testing.T) {
	for _, format := range []string{"opaque", "jwt"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := own(t, demo.Options{RPTLife: 2 * time.Second, RPTFormat: format})
			g := w.give(t, "maria", fluAsk, fluTicks...)
			target := g.Launch.FHIRBase + "/AllergyIntolerance?patient=maria"
			var last answer
			for range 60 {
				if last = get(t, target, g.RPT); last.Status != http.StatusOK {
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			if last.Status != http.StatusUnauthorized || challenged(t, last) == "" {
				t.Errorf("%d", last.Status)
			}
			if a := w.introspect(t, g.RPT); strings.TrimSpace(string(a.Body)) != `{"active":false}` {
				t.Errorf("%s", a.Body)
			}
		})
	}
}
