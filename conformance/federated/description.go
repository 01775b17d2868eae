package federated

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/umaas/umaas/conformance"
)

// descriptions checks what FedAuthz §1.1 and §3.1 say of resource descriptions.
func descriptions() []check {
	return []check{
		{
			ID: "federated.description.scopes-required", Level: must, Covers: []string{"F-027", "F-042"}, Run: scopesRequired,
			Title: "A description without resource_scopes is refused with 400",
		},
		{
			ID: "federated.description.scopes-array", Level: must, Covers: []string{"F-027", "F-042"}, Run: scopesArray,
			Title: "resource_scopes that is no array of strings is refused with 400",
		},
		{
			ID: "federated.description.minimal", Level: must, Covers: []string{"F-029"}, Run: minimal,
			Title: "resource_scopes alone makes a description",
		},
		{
			ID: "federated.description.values", Level: must, Covers: []string{"F-042"}, Run: invalidValues,
			Title: "A member of the wrong type is refused with 400",
		},
		{
			ID: "federated.description.case", Level: must, Covers: []string{"F-002"}, Run: memberCase,
			Title: "Member names are case-sensitive: Resource_Scopes is not resource_scopes",
		},
		{
			ID: "federated.description.unknown-members", Level: should, Covers: []string{"F-003", "F-004"}, Run: unknownMembers,
			Title: "Unknown members are no error",
		},
		{
			ID: "federated.description.scope-text", Level: must, Covers: []string{"F-028"}, Run: scopeText,
			Title: "Scopes are kept letter by letter, plain strings and URIs alike",
		},
		{
			ID: "federated.description.languages", Level: should, Covers: []string{"F-031"}, Run: languages,
			Title: "Names and descriptions in several languages (name#fr) are kept",
		},
		{
			ID: "federated.description.not-fetched", Level: should, Covers: []string{"F-030", "F-032"}, Run: notFetched, Serial: true,
			Title: "Registration fetches neither scope nor icon addresses",
		},
	}
}

func refusedDescription(t *conformance.T, what string, description any) {
	x := create(t, t.PAT(alice, rs1), description)
	want(t, x, what, http.StatusBadRequest)
}

func scopesRequired(t *conformance.T) {
	refusedDescription(t, "no resource_scopes", object{"name": t.Env().Fresh("conformance ")})
	refusedDescription(t, "an empty object", object{})
}

func scopesArray(t *conformance.T) {
	scope := t.Env().Scopes(1)[0]
	for what, value := range map[string]any{
		"a string": scope, "an object": object{scope: true}, "a number in the array": []any{scope, 7}, "an array in the array": []any{[]any{scope}},
	} {
		refusedDescription(t, "resource_scopes is or has "+what, object{"name": t.Env().Fresh("conformance "), "resource_scopes": value})
	}
}

func minimal(t *conformance.T) {
	x := create(t, t.PAT(alice, rs1), object{"resource_scopes": t.Env().Scopes(1)})
	if idOf(x) == "" {
		t.Errorf("a description of resource_scopes alone was not registered: %d (%s)", x.Status, told(x))
	}
}

func invalidValues(t *conformance.T) {
	for name, value := range map[string]any{"name": 7, "type": []any{"a"}, "icon_uri": object{}, "description": true} {
		d := describe(t)
		d[name] = value
		refusedDescription(t, name+" of the wrong type", d)
	}
}

func memberCase(t *conformance.T) {
	refusedDescription(t, "Resource_Scopes", object{"name": t.Env().Fresh("conformance "), "Resource_Scopes": t.Env().Scopes(2)})
}

func unknownMembers(t *conformance.T) {
	d := describe(t)
	d["https://conformance.invalid/member"] = object{"deep": []any{1, "two", nil}}
	x := create(t, t.PAT(alice, rs1), d)
	if idOf(x) == "" {
		t.Errorf("a description with an unknown member was not registered: %d (%s)", x.Status, told(x))
	}
}

func scopeText(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	scopes := []string{"https://conformance.invalid/scopes/View?a=b#c", "https://conformance.invalid/scopes/view", "a/B.c:*"}
	x := create(t, pat, object{"name": t.Env().Fresh("conformance "), "resource_scopes": scopes})
	id := idOf(x)
	if id == "" {
		t.Fatalf("the scopes %q were not taken: %d (%s)", scopes, x.Status, told(x))
	}
	if got := texts(reread(t, pat, id)["resource_scopes"]); !sameSet(got, scopes) {
		t.Errorf("registered %q, read %q", scopes, got)
	}
}

func languages(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	d := describe(t)
	d["name#fr"], d["description#de"] = "Dossier médical", "Befunde"
	id := registered(t, pat, d)
	got := reread(t, pat, id)
	for _, name := range []string{"name#fr", "description#de"} {
		if got[name] != d[name] {
			t.Errorf("%s: registered %q, read %v", name, d[name], got[name])
		}
	}
}

func notFetched(t *conformance.T) {
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Blockf("no address to listen at: %v", err)
	}
	var asked atomic.Int32
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNoContent)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	here := "http://" + listener.Addr().String()
	d := describe(t)
	d["icon_uri"] = here + "/icon.png"
	d["resource_scopes"] = append(t.Env().Scopes(1), here+"/scope")
	x := create(t, t.PAT(alice, rs1), d)
	if idOf(x) == "" {
		t.Blockf("the description was not taken: %d (%s)", x.Status, told(x))
	}
	if n := asked.Load(); n > 0 {
		t.Errorf("registration made the server ask %d times at an address of the resource server's choice", n)
	}
}
