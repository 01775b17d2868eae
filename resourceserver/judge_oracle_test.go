package resourceserver_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
	"pgregory.net/rapid"
)

// The oracle is written from the rules and knows nothing of the judge: naive, slow, on the raw bodies (IM-03). It covers the
// types that the random requests ask for.

type oracleGrant struct {
	level    string // record, user
	types    map[string]string
	category string            // narrowing, "" none
	sees     map[string]string // user level: patient → types the user may read, "*" all
}

func oracleMayRead(g oracleGrant, letter string, res map[string]any) bool {
	typ := res["resourceType"].(string)
	if !strings.Contains(g.types[typ], letter) {
		return false
	}
	if g.category != "" && !oracleCategory(res, g.category) {
		return false
	}
	raw, _ := json.Marshal(res["meta"])
	if strings.Contains(string(raw), `"R"`) || strings.Contains(string(raw), `"HIV"`) {
		return false
	}
	patient := func(p string) bool {
		if g.level == "record" {
			return p == "p1"
		}
		held := g.sees[p]
		return held == "*" || slices.Contains(strings.Fields(held), typ)
	}
	switch typ {
	case "Practitioner", "Organization", "Location":
		return true
	case "Patient":
		return patient(res["id"].(string))
	case "Device":
		who := oracleRef(res["patient"])
		return who == "" && res["patient"] == nil || strings.HasPrefix(who, "Patient/") && patient(strings.TrimPrefix(who, "Patient/"))
	case "Observation":
		if c, ok := res["contained"].([]any); ok {
			for _, x := range c {
				if strings.HasPrefix(oracleRef(x.(map[string]any)["subject"]), "Patient/p2") && oracleRef(res["subject"]) != "Patient/p2" {
					return false
				}
			}
		}
		if s := oracleRef(res["subject"]); s != "" {
			return strings.HasPrefix(s, "Patient/") && patient(strings.TrimPrefix(s, "Patient/"))
		}
		for _, p := range res["performer"].([]any) {
			if who := oracleRef(p); strings.HasPrefix(who, "Patient/") && patient(strings.TrimPrefix(who, "Patient/")) {
				return true
			}
		}
		return false
	case "Condition", "Encounter":
		return patient(strings.TrimPrefix(oracleRef(res["subject"]), "Patient/"))
	case "AllergyIntolerance", "Immunization":
		return patient(strings.TrimPrefix(oracleRef(res["patient"]), "Patient/"))
	case "Appointment":
		for _, p := range res["participant"].([]any) {
			if who := oracleRef(p.(map[string]any)["actor"]); strings.HasPrefix(who, "Patient/") && patient(strings.TrimPrefix(who, "Patient/")) {
				return true
			}
		}
	}
	return false
}

func oracleRef(v any) string {
	m, _ := v.(map[string]any)
	s, _ := m["reference"].(string)
	return s
}

func oracleCategory(res map[string]any, want string) bool {
	list, _ := res["category"].([]any)
	for _, c := range list {
		codings, _ := c.(map[string]any)["coding"].([]any)
		for _, k := range codings {
			if k.(map[string]any)["code"] == want {
				return true
			}
		}
	}
	return false
}

var oracleTypes = []string{"Patient", "Observation", "Condition", "AllergyIntolerance", "Encounter", "Device", "Practitioner", "Organization", "Appointment", "Immunization", "Location"}

// TestSEC_92_94_96_IM_03_Oracle: what the gateway shows is exactly what the oracle allows, for random grants over every type, by search,
// by single read and by a search that is not narrowed upstream.
func TestSEC_92_94_96_IM_03_Oracle(t *testing.T) {
	j := newJudged(t)
	var all []map[string]any
	for _, text := range records {
		var res map[string]any
		if err := json.Unmarshal([]byte(text), &res); err != nil {
			t.Fatal(err)
		}
		all = append(all, res)
	}
	shown, hidden := 0, 0
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		g := oracleGrant{level: rapid.SampledFrom([]string{"record", "user"}).Draw(t, "level"), types: map[string]string{}, sees: map[string]string{}}
		var scopes []string
		context := map[string]string{"record": "patient", "user": "user"}[g.level]
		for _, typ := range oracleTypes {
			g.types[typ] = rapid.SampledFrom([]string{"", "r", "s", "rs", "c"}).Draw(t, typ)
			for _, l := range g.types[typ] {
				scopes = append(scopes, context+"/"+typ+"."+string(l))
			}
		}
		user := fmt.Sprintf("u%d", n)
		if g.level == "user" {
			for _, p := range []string{"p1", "p2"} {
				g.sees[p] = rapid.SampledFrom([]string{"", "*", "Observation Patient", "Condition"}).Draw(t, "sees "+p)
				var smart []string
				for _, w := range strings.Fields(g.sees[p]) {
					smart = append(smart, "patient/"+w+".rs")
				}
				j.as.Relate(user, p, strings.Join(smart, " "))
			}
		}
		var constraints []uma.Constraint
		if rapid.Bool().Draw(t, "narrowed") {
			g.category = "laboratory"
			for typ := range g.types {
				if typ != "Observation" && typ != "Condition" && typ != "AllergyIntolerance" {
					g.types[typ] = "" // the constraint is no parameter of these types: it grants nothing (GW-04)
				}
			}
			constraints = []uma.Constraint{{Type: "query", Value: "category=laboratory"}}
		}
		set := rs.Set{Issuer: j.as.Issuer, ResourceID: "x", Level: rs.LevelRecord, User: "user-p1", Patient: "p1"}
		if g.level == "user" {
			set = rs.Set{Issuer: j.as.Issuer, ResourceID: "x", Level: rs.LevelUser, User: user}
		}
		token := j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Sub: user, Permissions: []rs.Permitted{{Set: set, Scopes: scopes, Constraints: constraints}}})
		typ := rapid.SampledFrom(oracleTypes).Draw(t, "type")
		var read, search []string
		for _, res := range all {
			if res["resourceType"] != typ {
				continue
			}
			name := typ + "/" + res["id"].(string)
			if oracleMayRead(g, "s", res) {
				search = append(search, name)
			}
			want := oracleMayRead(g, "r", res)
			if want {
				read = append(read, name)
			}
			if got := j.get("/"+name, token).StatusCode == 200; got != want {
				t.Fatalf("read %s: %v, want %v", name, got, want)
			}
		}
		slices.Sort(search)
		r := j.get("/"+typ, token)
		if strings.Contains(g.types[typ], "s") {
			if got := r.ids(); r.StatusCode != 200 || !slices.Equal(got, search) {
				t.Fatalf("search %s: %d %v, want %v", typ, r.StatusCode, got, search)
			}
		} else if r.StatusCode != 403 {
			t.Fatalf("search %s without s: %d", typ, r.StatusCode)
		}
		shown, hidden = shown+len(search)+len(read), hidden+1
	})
	if shown < 20 {
		t.Errorf("only %d rows were shown in %d checks: the test sees nothing", shown, hidden)
	}
}
