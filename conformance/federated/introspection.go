package federated

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"slices"

	"github.com/umaas/umaas/conformance"
)

// introspection checks the introspection object of an active RPT, FedAuthz §5, §5.1.1.
func introspection() []check {
	needs := append([]need{conformance.NeedIntrospection}, granted...)
	return []check{
		{
			ID: "federated.introspection.active", Level: must, Covers: []string{"F-061", "F-063", "F-064"}, Needs: needs, Run: active,
			Title: "An RPT is active for the PAT of its owner: 200, a JSON object, active is true",
		},
		{
			ID: "federated.introspection.media-type", Level: must, Covers: []string{"F-064"}, Needs: needs, Run: mediaType,
			Title: "The answer is application/json",
		},
		{
			ID: "federated.introspection.no-scope", Level: must, Covers: []string{"F-065"}, Needs: needs, Run: noScope,
			Title: "The object of an active RPT has no member scope",
		},
		{
			ID: "federated.introspection.permissions", Level: must, Covers: []string{"F-066", "F-077"}, Needs: needs, Run: permissionsArray,
			Title: "The object of an active RPT has an array permissions of objects",
		},
		{
			ID: "federated.introspection.resource-id", Level: must, Covers: []string{"F-067"}, Needs: needs, Run: resourceIDs,
			Title: "Each permission has resource_id, the id of a registered resource",
		},
		{
			ID: "federated.introspection.resource-scopes", Level: must, Covers: []string{"F-068"}, Needs: needs, Run: resourceScopes,
			Title: "Each permission has resource_scopes, an array of strings registered for the resource",
		},
		{
			ID: "federated.introspection.times", Level: must, Covers: []string{"F-069", "F-070"}, Needs: needs, Run: times,
			Title: "exp, iat and nbf, where they are given, are integers",
		},
		{
			ID: "federated.introspection.order-of-times", Level: should, Covers: []string{"F-069"}, Needs: needs, Run: orderOfTimes,
			Title: "The times of permissions lie within the token's",
		},
		{
			ID: "federated.introspection.hint", Level: must, Covers: []string{"F-063"}, Needs: needs, Run: hint,
			Title: "token_type_hint changes no answer, known or unknown",
		},
	}
}

func active(t *conformance.T) {
	g := some(t)
	x := withPAT(t, g.PAT, g.RPT, nil)
	if !want(t, x, "introspection", http.StatusOK) {
		return
	}
	if v, isBool := x.JSON(t)["active"].(bool); !isBool || !v {
		t.Errorf("active is %v, want true", x.JSON(t)["active"])
	}
}

func mediaType(t *conformance.T) {
	g := some(t)
	x := about(t, g.PAT, g.RPT, nil)
	if x.Status != http.StatusOK {
		t.Blockf("introspection answers %d (%s)", x.Status, told(x))
	}
	if kind := x.MediaType(); kind != "application/json" {
		t.Errorf("the answer is %q (RFC 7662 §2.2)", kind)
	}
}

func noScope(t *conformance.T) {
	if v, there := activeObject(t, some(t))["scope"]; there {
		t.Errorf("there is a member scope: %v", v)
	}
}

func permissionsArray(t *conformance.T) {
	value, there := activeObject(t, some(t))["permissions"]
	list, isArray := value.([]any)
	if !there || !isArray || len(list) == 0 {
		t.Fatalf("permissions is %v, want an array of at least one object", value)
	}
	for _, one := range list {
		if _, ok := one.(object); !ok {
			t.Errorf("permissions holds %v, which is no object", one)
		}
	}
}

func resourceIDs(t *conformance.T) {
	g := some(t)
	ids := list(t, g.PAT)
	for _, p := range elements(t, activeObject(t, g)) {
		id, isText := p["resource_id"].(string)
		if !isText || id == "" {
			t.Errorf("a permission has no string resource_id")
		} else if id != g.Resource.ID && !slices.Contains(ids, id) {
			t.Errorf("a permission names %q, which is no registered resource", id)
		}
	}
}

func resourceScopes(t *conformance.T) {
	g := some(t)
	for _, p := range elements(t, activeObject(t, g)) {
		scopes, isArray := p["resource_scopes"].([]any)
		if !isArray || len(texts(scopes)) != len(scopes) {
			t.Errorf("resource_scopes is %v, want an array of strings", p["resource_scopes"])
			continue
		}
		for _, s := range texts(scopes) {
			if !slices.Contains(g.Resource.Scopes, s) {
				t.Errorf("resource_scopes has %q, which was not registered for the resource", s)
			}
		}
	}
}

var timeMembers = []string{"exp", "iat", "nbf"}

func times(t *conformance.T) {
	o := activeObject(t, some(t))
	for i, p := range append([]object{o}, elements(t, o)...) {
		where := "the token"
		if i > 0 {
			where = "a permission"
		}
		for _, name := range timeMembers {
			v, there := p[name]
			if !there {
				continue
			}
			if n, isNumber := v.(float64); !isNumber || n != math.Trunc(n) {
				t.Errorf("%s of %s is %v, want an integer", name, where, v)
			}
		}
	}
}

func orderOfTimes(t *conformance.T) {
	o := activeObject(t, some(t))
	exp, bounded := o["exp"].(float64)
	iat, dated := o["iat"].(float64)
	for _, p := range elements(t, o) {
		if v, ok := p["exp"].(float64); ok && bounded && v > exp {
			t.Errorf("a permission expires %0.f seconds after the token", v-exp)
		}
		if v, ok := p["iat"].(float64); ok && dated && v > iat+1 {
			t.Logf("a permission was issued %0.f seconds after the token", v-iat)
		}
		if v, ok := p["exp"].(float64); ok && dated && v < iat {
			t.Errorf("a permission expired before the token was issued")
		}
	}
}

func hint(t *conformance.T) {
	if t.Env().Profile.Fixtures.IntrospectionHint != "" {
		t.Skipf("the server needs a hint of its own (profile: fixtures)")
	}
	g := some(t)
	activeObject(t, g)
	for _, word := range []string{"access_token", "refresh_token", "something_else"} {
		var o object
		x := about(t, g.PAT, g.RPT, url.Values{"token_type_hint": {word}})
		if json.Unmarshal(x.Body, &o) != nil || o["active"] != true {
			t.Errorf("token_type_hint=%s: %d, active is %v", word, x.Status, o["active"])
		}
	}
}
