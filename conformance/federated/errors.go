package federated

import (
	"strings"

	"github.com/umaas/umaas/conformance"
)

// errorMessages checks the form of refusals, FedAuthz §6.
func errorMessages() []check {
	return []check{
		{
			ID: "federated.error.json", Level: must, Covers: []string{"F-072"}, Run: errorJSON,
			Title: "A refused permission request answers with a JSON object",
		},
		{
			ID: "federated.error.code", Level: must, Covers: []string{"F-072"}, Run: errorCode,
			Title: "A refused permission request has the member error, one code",
		},
		{
			ID: "federated.error.texts", Level: must, Covers: []string{"F-072", "F-073"}, Run: errorTexts,
			Title: "error_description and error_uri, where they are given, are strings",
		},
		{
			ID: "federated.error.no-store", Level: should, Covers: []string{"F-072"}, Run: errorNoStore,
			Title: "A refusal is not to be stored (Cache-Control: no-store)",
		},
	}
}

// refusedByID is a permission request that every server refuses.
func refusedByID(t *conformance.T) *exchange {
	x := ask(t, t.PAT(alice, rs1), permission(t.Env().Fresh("none"), t.Env().Scopes(1)...))
	if x.Status/100 != 4 {
		t.Blockf("an unknown resource was not refused: %d", x.Status)
	}
	return x
}

func errorJSON(t *conformance.T) {
	x := refusedByID(t)
	if kind := x.MediaType(); kind != "application/json" {
		t.Errorf("the answer is %q, want application/json", kind)
	}
	x.JSON(t)
}

// errorCode uses a request that is wrong in a way for which the Recommendation names no code.
func errorCode(t *conformance.T) {
	x := ask(t, t.PAT(alice, rs1), object{"resource_scopes": t.Env().Scopes(1)})
	if x.Status/100 != 4 {
		t.Blockf("a request without resource_id was not refused: %d", x.Status)
	}
	if c := x.OAuthError(); c == "" || strings.ContainsAny(c, " \"\\") {
		t.Errorf("error is %q, want one code", c)
	}
}

func errorTexts(t *conformance.T) {
	x := refusedByID(t)
	o := x.JSON(t)
	for _, name := range []string{"error_description", "error_uri"} {
		if v, there := o[name]; there {
			if _, isText := v.(string); !isText {
				t.Errorf("%s is %v, want a string", name, v)
			}
		}
	}
}

func errorNoStore(t *conformance.T) {
	x := refusedByID(t)
	if !strings.Contains(strings.ToLower(x.Header.Get("Cache-Control")), "no-store") {
		t.Errorf("Cache-Control is %q", x.Header.Get("Cache-Control"))
	}
}
