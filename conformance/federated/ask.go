package federated

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/umaas/umaas/conformance"
)

// Short names for what every table holds.
type (
	check    = conformance.Check
	exchange = conformance.Exchange
	need     = conformance.Need
	object   = map[string]any
)

const (
	must   = conformance.LevelMust
	should = conformance.LevelShould
	may    = conformance.LevelMay

	alice = conformance.Alice
	carol = conformance.Carol
	bob   = conformance.Bob
	rs1   = conformance.RS1
	rs2   = conformance.RS2
	c1    = conformance.C1
)

var granted = []need{conformance.NeedPolicy, conformance.NeedParty}

// answered stops the check when a request got no answer at all.
func answered(t *conformance.T, x *exchange) *exchange {
	if x.Status == 0 {
		t.Blockf("%s got no answer: %v", x.Label, x.Err)
	}
	return x
}

// told is an answer in a few words.
func told(x *exchange) string {
	if code := x.OAuthError(); code != "" {
		return http.StatusText(x.Status) + ", error " + code
	}
	return http.StatusText(x.Status)
}

// want judges the status of an answer.
func want(t *conformance.T, x *exchange, what string, statuses ...int) bool {
	if slices.Contains(statuses, x.Status) {
		return true
	}
	t.Errorf("%s: want status %s, got %d (%s)", what, numbers(statuses), x.Status, told(x))
	return false
}

func numbers(list []int) string {
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = http.StatusText(n)
	}
	return strings.Join(words, " or ")
}

// collection is the address of all descriptions.
func collection(t *conformance.T) string {
	if u := t.Env().Metadata.ResourceRegistrationEndpoint; u != "" {
		return u
	}
	t.Skipf("not offered: no resource_registration_endpoint in the discovery document")
	return ""
}

func permissionEndpoint(t *conformance.T) string {
	if u := t.Env().Metadata.PermissionEndpoint; u != "" {
		return u
	}
	t.Skipf("not offered: no permission_endpoint in the discovery document")
	return ""
}

func at(t *conformance.T, id string) string { return conformance.ResourceURL(collection(t), id) }

// describe is a description that any server should take.
func describe(t *conformance.T) object {
	return object{"name": t.Env().Fresh("conformance "), "resource_scopes": t.Env().Scopes(2)}
}

// create sends a description and deregisters what comes of it when the check ends.
func create(t *conformance.T, pat string, description any) *exchange {
	x := answered(t, t.PostJSON(collection(t), description, pat))
	if id := idOf(x); id != "" {
		t.Cleanup(func() { t.Delete(at(t, id), pat) })
	}
	return x
}

// registered is create where the answer is not what the check is about.
func registered(t *conformance.T, pat string, description any) string {
	x := create(t, pat, description)
	id := idOf(x)
	if id == "" || x.Status/100 != 2 {
		t.Blockf("a resource could not be registered: %d (%s)", x.Status, told(x))
	}
	return id
}

// idOf reads the id where the Recommendation puts it: into the body, and into Location.
func idOf(x *exchange) string {
	if x.Status/100 != 2 {
		return ""
	}
	if id := x.Text("_id"); id != "" {
		return id
	}
	if u := x.Location(); u != nil {
		path := strings.TrimSuffix(u.EscapedPath(), "/")
		if id, err := url.PathUnescape(path[strings.LastIndex(path, "/")+1:]); err == nil {
			return id
		}
	}
	return ""
}

// put replaces a description.
func put(t *conformance.T, pat, id string, description any) *exchange {
	return answered(t, t.SendJSON(http.MethodPut, at(t, id), description, pat))
}

// replaced is put where the answer is not what the check is about.
func replaced(t *conformance.T, pat, id string, description any) {
	if x := put(t, pat, id, description); x.Status/100 != 2 {
		t.Blockf("the description could not be replaced: %d (%s)", x.Status, told(x))
	}
}

// reread reads a description where reading is not what the check is about.
func reread(t *conformance.T, pat, id string) object {
	x := answered(t, t.Get(at(t, id), pat))
	out := object{}
	if x.Status != http.StatusOK || json.Unmarshal(x.Body, &out) != nil {
		t.Blockf("the description could not be read: %d (%s)", x.Status, told(x))
	}
	return out
}

// list is the array of ids; every other shape blocks.
func list(t *conformance.T, pat string) []string {
	x := answered(t, t.Get(collection(t), pat))
	var raw []any
	if x.Status != http.StatusOK || json.Unmarshal(x.Body, &raw) != nil {
		t.Blockf("the list could not be read: %d (%s)", x.Status, told(x))
	}
	ids := texts(raw)
	if len(ids) != len(raw) {
		t.Blockf("the list has elements that are no strings")
	}
	return ids
}

// texts keeps the strings of a JSON array.
func texts(list any) []string {
	raw, _ := list.([]any)
	out := []string{}
	for _, one := range raw {
		if s, ok := one.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// sameSet compares without order.
func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// ask sends a permission request: an object for one permission, unless the profile says that the server takes arrays alone.
func ask(t *conformance.T, pat string, body any) *exchange {
	if one, ok := body.(object); ok && t.Env().Profile.Fixtures.PermissionRequest == "array" {
		body = []any{one}
	}
	return answered(t, t.PostJSON(permissionEndpoint(t), body, pat))
}

func permission(id string, scopes ...string) object {
	if scopes == nil {
		scopes = []string{}
	}
	return object{"resource_id": id, "resource_scopes": scopes}
}

// raw sends a body as it stands.
func raw(t *conformance.T, method, target, body, pat string) *exchange {
	return answered(t, t.Request(method, target, []byte(body), http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + pat},
	}))
}

// about sends an introspection request with a PAT; with the resource server's own credentials where the profile says that
// the server takes no PAT (introspection.active judges that).
func about(t *conformance.T, pat, token string, more url.Values) *exchange {
	if t.Env().Profile.Fixtures.Introspection == "client" {
		form := url.Values{"token": {token}}
		if hint := t.Env().Profile.Fixtures.IntrospectionHint; hint != "" {
			form.Set("token_type_hint", hint)
		}
		for name, values := range more {
			form[name] = values
		}
		return answered(t, t.PostForm(t.Env().Metadata.IntrospectionEndpoint, form, t.RS(rs1).Client.Auth()))
	}
	return withPAT(t, pat, token, more)
}

// withPAT introspects as FedAuthz §5.1 has it.
func withPAT(t *conformance.T, pat, token string, more url.Values) *exchange {
	t.Require(conformance.NeedIntrospection)
	form := url.Values{"token": {token}}
	for name, values := range more {
		form[name] = values
	}
	return answered(t, t.PostForm(t.Env().Metadata.IntrospectionEndpoint, form, conformance.Bearer(pat)))
}

// activeObject is the introspection object of a granted RPT; anything but an active one blocks.
func activeObject(t *conformance.T, g conformance.Granted) object {
	x := about(t, g.PAT, g.RPT, nil)
	out := object{}
	if x.Status != http.StatusOK || json.Unmarshal(x.Body, &out) != nil {
		t.Blockf("the RPT could not be introspected: %d (%s)", x.Status, told(x))
	}
	if active, _ := out["active"].(bool); !active {
		t.Blockf("the RPT that was just issued is not active")
	}
	return out
}

// elements are the objects in permissions; another shape blocks.
func elements(t *conformance.T, introspected object) []object {
	raw, ok := introspected["permissions"].([]any)
	if !ok {
		t.Blockf("the introspection object has no array permissions")
	}
	var out []object
	for _, one := range raw {
		if p, ok := one.(object); ok {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		t.Blockf("permissions of an RPT that was just issued is empty")
	}
	return out
}

// scopesOf are the scopes that an introspected token has for a resource.
func scopesOf(introspected object, id string) (scopes []string, named bool) {
	raw, _ := introspected["permissions"].([]any)
	for _, one := range raw {
		if p, ok := one.(object); ok && p["resource_id"] == id {
			named = true
			scopes = append(scopes, texts(p["resource_scopes"])...)
		}
	}
	return scopes, named
}

// twoOwners are protection tokens of two owners at one resource server. Where the profile's way to get a PAT stands for
// one owner only, the fixture skips.
func twoOwners(t *conformance.T) (first, second string) { return t.PAT(alice, rs1), t.PAT(carol, rs1) }

// own registers a resource of the suite's own type with alice's PAT at RS1.
func own(t *conformance.T) conformance.Resource {
	d := describe(t)
	d["type"] = "https://conformance.invalid/federated"
	maps.Copy(d, t.Env().Profile.Fixtures.Resource)
	name, _ := d["name"].(string)
	return conformance.Resource{ID: registered(t, t.PAT(alice, rs1), d), Owner: alice, RS: rs1, Scopes: t.Env().Scopes(2), Name: name}
}

// some is an RPT of bob for all of a resource of alice.
func some(t *conformance.T) conformance.Granted {
	g := conformance.Granted{PAT: t.PAT(alice, rs1), Resource: own(t)}
	g.Policy = t.Permit(conformance.PolicySpec{Resource: g.Resource, Party: bob})
	g.Ticket = t.Ticket(alice, rs1, g.Resource.Permission())
	g.Answer = t.Obtain(t.Client(c1), g.Ticket, bob, nil)
	if g.RPT = g.Answer.Text("access_token"); g.RPT == "" {
		t.Blockf("a policy lets %s have all of the resource, and yet no RPT came: %d (%s)", bob, g.Answer.Status, told(g.Answer))
	}
	return g
}
