package federated

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// registration checks creating, reading and listing, FedAuthz §3.2.1, §3.2.2, §3.2.5.
func registration() []check {
	return []check{
		{
			ID: "federated.registration.address", Level: must, Covers: []string{"F-033", "F-035"}, Run: slashed,
			Title: "Creating and listing work at the declared address with a slash at its end",
		},
		{
			ID: "federated.registration.create-status", Level: must, Covers: []string{"F-033", "F-044"}, Run: createStatus,
			Title: "Creating answers 201",
		},
		{
			ID: "federated.registration.create-location", Level: must, Covers: []string{"F-035", "F-044"}, Run: createLocation,
			Title: "Creating answers with a Location at which the description is",
		},
		{
			ID: "federated.registration.create-id", Level: must, Covers: []string{"F-036", "F-044"}, Run: createID,
			Title: "Creating answers with the string _id",
		},
		{
			ID: "federated.registration.distinct", Level: must, Covers: []string{"F-044"}, Run: distinct,
			Title: "Each creation makes a resource of its own",
		},
		{
			ID: "federated.registration.same-name", Level: should, Covers: []string{"F-029", "F-044"}, Run: sameName,
			Title: "Two resources may have the same description: a name is for people",
		},
		{
			ID: "federated.registration.read-status", Level: must, Covers: []string{"F-033", "F-045"}, Run: readStatus,
			Title: "Reading answers 200",
		},
		{
			ID: "federated.registration.read-description", Level: must, Covers: []string{"F-045"}, Run: readDescription,
			Title: "Reading gives all that was registered, in the shape in which it was registered",
		},
		{
			ID: "federated.registration.read-id", Level: must, Covers: []string{"F-036", "F-045"}, Run: readID,
			Title: "Reading gives _id",
		},
		{
			ID: "federated.registration.list", Level: must, Covers: []string{"F-033", "F-048"}, Run: listShape,
			Title: "Listing answers 200 with a JSON array of strings",
		},
		{
			ID: "federated.registration.list-complete", Level: must, Covers: []string{"F-048"}, Run: listComplete,
			Title: "The list holds every registered resource, once",
		},
		{
			ID: "federated.registration.policy-uri", Level: may, Covers: []string{"F-037"}, Run: policyURI,
			Title: "user_access_policy_uri, where it is given, is an absolute URI",
		},
	}
}

func slashed(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	base := strings.TrimSuffix(collection(t), "/") + "/"
	x := answered(t, t.PostJSON(base, describe(t), pat))
	want(t, x, "POST "+base, http.StatusCreated, http.StatusOK)
	if id := idOf(x); id != "" {
		t.Cleanup(func() { t.Delete(at(t, id), pat) })
	}
	want(t, answered(t, t.Get(base, pat)), "GET "+base, http.StatusOK)
}

func createStatus(t *conformance.T) {
	want(t, create(t, t.PAT(alice, rs1), describe(t)), "create", http.StatusCreated)
}

func createLocation(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	x := create(t, pat, describe(t))
	if x.Status/100 != 2 {
		t.Blockf("a resource could not be registered: %d (%s)", x.Status, told(x))
	}
	u := x.Location()
	if u == nil {
		t.Fatalf("no Location")
	}
	if got := answered(t, t.Get(u.String(), pat)); got.Status/100 != 2 {
		t.Errorf("GET %s, the Location, answers %d (%s)", u, got.Status, told(got))
	}
}

func createID(t *conformance.T) {
	x := create(t, t.PAT(alice, rs1), describe(t))
	if x.Status/100 != 2 {
		t.Blockf("a resource could not be registered: %d (%s)", x.Status, told(x))
	}
	if x.Text("_id") == "" {
		t.Errorf("the body has no string _id")
	}
}

func distinct(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	d, e := describe(t), describe(t)
	d["type"], e["type"] = "https://conformance.invalid/same", "https://conformance.invalid/same"
	if a, b := registered(t, pat, d), registered(t, pat, e); a == b {
		t.Errorf("two creations gave the same _id")
	}
}

func sameName(t *conformance.T) {
	pat, d := t.PAT(alice, rs1), describe(t)
	first := registered(t, pat, d)
	x := create(t, pat, d)
	if second := idOf(x); second == "" {
		t.Errorf("a second resource with the same description was refused: %d (%s)", x.Status, told(x))
	} else if second == first {
		t.Logf("the second creation gave the first resource again")
	}
}

func readStatus(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	want(t, answered(t, t.Get(at(t, registered(t, pat, describe(t))), pat)), "read", http.StatusOK)
}

func full(t *conformance.T) object {
	d := describe(t)
	d["description"], d["icon_uri"] = "Made by the conformance suite", "https://conformance.invalid/icon.png"
	d["type"] = "https://conformance.invalid/resource"
	return d
}

func readDescription(t *conformance.T) {
	pat, d := t.PAT(alice, rs1), full(t)
	registered(t, pat, describe(t))
	x := create(t, pat, d)
	id := idOf(x)
	if id == "" {
		t.Fatalf("a description with all members of FedAuthz §3.1 was not taken: %d (%s)", x.Status, told(x))
	}
	got := reread(t, pat, id)
	for _, name := range []string{"name", "description", "icon_uri", "type"} {
		if !reflect.DeepEqual(got[name], d[name]) {
			t.Errorf("%s: registered %q, read %v", name, d[name], got[name])
		}
	}
	list, isArray := got["resource_scopes"].([]any)
	if scopes := texts(list); !isArray || len(scopes) != len(list) || !sameSet(scopes, t.Env().Scopes(2)) {
		t.Errorf("resource_scopes: registered %q, read %v", t.Env().Scopes(2), got["resource_scopes"])
	}
}

func readID(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	if got := reread(t, pat, id)["_id"]; got != id {
		t.Errorf("_id: registered as %q, read %v", id, got)
	}
}

func listShape(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	registered(t, pat, describe(t))
	x := answered(t, t.Get(collection(t), pat))
	if !want(t, x, "list", http.StatusOK) {
		return
	}
	var raw []any
	x.Decode(t, &raw)
	if len(texts(raw)) != len(raw) {
		t.Errorf("the list has elements that are no strings")
	}
}

func listComplete(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	first, second := registered(t, pat, describe(t)), registered(t, pat, describe(t))
	ids := list(t, pat)
	for _, id := range []string{first, second} {
		if n := count(ids, id); n != 1 {
			t.Errorf("the resource %s is listed %d times", id, n)
		}
	}
}

func count(list []string, wanted string) int {
	n := 0
	for _, one := range list {
		if one == wanted {
			n++
		}
	}
	return n
}

func policyURI(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	x := create(t, pat, describe(t))
	id := idOf(x)
	if id == "" {
		t.Blockf("a resource could not be registered: %d (%s)", x.Status, told(x))
	}
	answers := []*exchange{x, answered(t, t.Get(at(t, id), pat)), put(t, pat, id, describe(t))}
	if !slices.ContainsFunc(answers, func(x *exchange) bool { return strings.Contains(string(x.Body), `"user_access_policy_uri"`) }) {
		t.Skipf("not offered: no answer has user_access_policy_uri")
	}
	for _, x := range answers {
		if strings.Contains(string(x.Body), `"user_access_policy_uri"`) {
			absolute(t, "user_access_policy_uri", x.Text("user_access_policy_uri"))
		}
	}
}
