package federated

import (
	"net/http"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// refusals checks what FedAuthz §3.2 answers to incorrect requests at the registration endpoint.
func refusals() []check {
	return []check{
		{
			ID: "federated.refusal.unknown-read", Level: must, Covers: []string{"F-038"}, Run: unknownRead,
			Title: "Reading an unknown resource answers 404",
		},
		{
			ID: "federated.refusal.unknown-update", Level: must, Covers: []string{"F-038"}, Run: unknownUpdate,
			Title: "Updating an unknown resource answers 404 and makes none",
		},
		{
			ID: "federated.refusal.unknown-delete", Level: must, Covers: []string{"F-038"}, Run: unknownDelete,
			Title: "Deleting an unknown resource answers 404",
		},
		{
			ID: "federated.refusal.method", Level: must, Covers: []string{"F-040"}, Run: unsupportedMethod,
			Title: "An unsupported method answers 405",
		},
		{
			ID: "federated.refusal.malformed", Level: must, Covers: []string{"F-042"}, Run: malformed,
			Title: "A body that is no JSON object answers 400",
		},
		{
			ID: "federated.refusal.repeated", Level: must, Covers: []string{"F-042"}, Run: repeated,
			Title: "A member that is there twice answers 400",
		},
		{
			ID: "federated.refusal.code-not-found", Level: may, Covers: []string{"F-039"}, Run: codeNotFound,
			Title: "The error code with 404 is not_found",
		},
		{
			ID: "federated.refusal.code-method", Level: may, Covers: []string{"F-041"}, Run: codeMethod,
			Title: "The error code with 405 is unsupported_method_type",
		},
		{
			ID: "federated.refusal.code-invalid", Level: may, Covers: []string{"F-043"}, Run: codeInvalid,
			Title: "The error code with 400 is invalid_request",
		},
	}
}

func unknownRead(t *conformance.T) {
	want(t, answered(t, t.Get(at(t, t.Env().Fresh("none")), t.PAT(alice, rs1))), "read", http.StatusNotFound)
}

func unknownUpdate(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := t.Env().Fresh("none")
	x := put(t, pat, id, describe(t))
	want(t, x, "update", http.StatusNotFound)
	if x.Status/100 == 2 {
		t.Delete(at(t, id), pat)
	}
}

func unknownDelete(t *conformance.T) {
	want(t, answered(t, t.Delete(at(t, t.Env().Fresh("none")), t.PAT(alice, rs1))), "delete", http.StatusNotFound)
}

// unsupported sends methods that have no meaning at the two addresses.
func unsupported(t *conformance.T) map[string]*exchange {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	return map[string]*exchange{
		"PATCH of a description": raw(t, http.MethodPatch, at(t, id), `{}`, pat),
		"POST to a description":  raw(t, http.MethodPost, at(t, id), `{"resource_scopes":["`+t.Env().Scopes(1)[0]+`"]}`, pat),
		"PUT to the collection":  raw(t, http.MethodPut, strings.TrimSuffix(collection(t), "/")+"/", `{"resource_scopes":["`+t.Env().Scopes(1)[0]+`"]}`, pat),
	}
}

func unsupportedMethod(t *conformance.T) {
	for what, x := range unsupported(t) {
		want(t, x, what, http.StatusMethodNotAllowed)
	}
}

func malformed(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	scope := t.Env().Scopes(1)[0]
	for what, body := range map[string]string{
		"an empty body": "", "cut JSON": `{"resource_scopes":["` + scope + `"]`, "an array": `[{"resource_scopes":["` + scope + `"]}]`,
		"a string": `"` + scope + `"`, "null": "null", "a form": "resource_scopes=" + scope,
	} {
		x := raw(t, http.MethodPost, collection(t), body, pat)
		want(t, x, what, http.StatusBadRequest)
		if id := idOf(x); id != "" {
			t.Delete(at(t, id), pat)
		}
	}
}

func repeated(t *conformance.T) {
	pat, scopes := t.PAT(alice, rs1), t.Env().Scopes(2)
	x := raw(t, http.MethodPost, collection(t), `{"name":"`+t.Env().Fresh("twice ")+`","resource_scopes":["`+scopes[0]+`"],"resource_scopes":["`+scopes[1]+`"]}`, pat)
	want(t, x, "resource_scopes twice", http.StatusBadRequest)
	if id := idOf(x); id != "" {
		t.Delete(at(t, id), pat)
	}
}

// code judges the error code of a refusal, where there is one: the Recommendation leaves it free to say none.
func code(t *conformance.T, x *exchange, status int, wanted string) {
	if x.Status != status {
		t.Skipf("the answer is no %d (another check judges that)", status)
	}
	got := x.OAuthError()
	if got == "" {
		t.Skipf("the answer has no error code, as it may")
	}
	if got != wanted {
		t.Errorf("the error code is %q, the Recommendation has %q", got, wanted)
	}
}

func codeNotFound(t *conformance.T) {
	code(t, answered(t, t.Get(at(t, t.Env().Fresh("none")), t.PAT(alice, rs1))), http.StatusNotFound, "not_found")
}

func codeMethod(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	x := raw(t, http.MethodPatch, at(t, registered(t, pat, describe(t))), `{}`, pat)
	code(t, x, http.StatusMethodNotAllowed, "unsupported_method_type")
}

func codeInvalid(t *conformance.T) {
	x := create(t, t.PAT(alice, rs1), object{"name": t.Env().Fresh("conformance ")})
	code(t, x, http.StatusBadRequest, "invalid_request")
}
