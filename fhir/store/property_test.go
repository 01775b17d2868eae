package store

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
)

// TestIndexSearchEqualsScan is the property the index lives by: for any search, what it proposes and the predicate confirms is what the
// predicate finds by looking at everything; also after updates and deletions.
func TestIndexSearchEqualsScan(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	s := newServer(t)
	g := generator{rng}
	current := map[string]*fhir.Resource{}
	for range 600 {
		id := fmt.Sprintf("r%d", rng.IntN(250))
		raw := g.resource(id)
		r, err := fhir.Parse([]byte(raw))
		if err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		key := r.Type() + "/" + id
		if rng.IntN(6) == 0 {
			s.do("DELETE", key, "").want(204)
			delete(current, key)
			continue
		}
		if a := s.do("PUT", key, raw); a.status != 200 && a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		stored, err := s.s.Read(r.Type(), id)
		if err != nil {
			t.Fatal(err)
		}
		current[key] = stored
	}
	found := 0
	for range 2500 {
		typ, pairs := g.query()
		q, err := fhir.ParseQuery(typ, pairs)
		if err != nil {
			t.Fatalf("%v: %v", pairs, err)
		}
		want := []string{}
		for key, r := range current {
			if q.Match(r) {
				want = append(want, key)
			}
		}
		values := url.Values{}
		for _, p := range pairs {
			values.Add(p.Name, p.Value)
		}
		got := s.all(typ + "?" + values.Encode() + "&_count=1000")
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%s %v: index %v, scan %v", typ, pairs, got, want)
		}
		found += len(want)
	}
	if found < 1000 {
		t.Errorf("the random searches found %d rows only: they test little", found)
	}
}

// generator makes random resources and searches over small vocabularies, so that they meet.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) date() string {
	return g.pick("2019", "2020-01", "2020-01-31", "2020-02-01", "2020-02-01T00:30:00+14:00", "2020-01-31T23:59:59.999-11:00", "1960-05-05", "2020-02-01T10:00:00Z")
}

func (g generator) ref() string {
	return g.pick("Patient/a", "Patient/b", "Patient/A", "Group/a", testBase+"/Patient/a", "https://elsewhere.example/fhir/Patient/a", "#p", "urn:uuid:1", "Patient/a/_history/2")
}

func (g generator) coding() string {
	return fmt.Sprintf(`{"system":%q,"code":%q}`, g.pick("http://loinc.org", "urn:s", "URN:S"), g.pick("a", "A", "b", "1|2", "x,y"))
}

func (g generator) text() string {
	return g.pick("Müller", "Muller", "MÜLLER-Smith", "mull", "Éva", "eva maria", "Straße", "strasse 5", "  Smith ", "O'Neil", "李", "a", strings.Repeat("long", 12), strings.Repeat("long", 12)+"er")
}

func (g generator) resource(id string) string {
	switch g.IntN(3) {
	case 0:
		return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"name":[{"family":%q,"given":[%q]},{"text":%q}],"gender":%q,"birthDate":%q,"active":%v,
			"identifier":[{"system":"urn:s","value":%q}],"telecom":[{"system":"phone","use":"home","value":"5"}],"address":[{"city":%q}],"link":[{"other":{"reference":%q}}]}`,
			id, g.text(), g.text(), g.text(), g.pick("male", "female"), g.pick("1960-05-05", "2020", "2020-01-31"), g.IntN(2) == 0, g.pick("a", "A", "1"), g.text(), g.ref())
	case 1:
		return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":%q,"code":{"coding":[%s,%s]},"subject":{"reference":%q},"effectiveDateTime":%q,
			"valueQuantity":{"value":%d,"system":"http://unitsofmeasure.org","code":"mg"},"performer":[{"reference":%q}],"meta":{"tag":[%s],"profile":["http://p.example/x|1"]}}`,
			id, g.pick("final", "amended"), g.coding(), g.coding(), g.ref(), g.date(), g.IntN(5), g.ref(), g.coding())
	default:
		return fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"status":"finished","class":%s,"subject":{"reference":%q},"period":{%s}}`,
			id, g.coding(), g.ref(), g.pick(`"start":"2019-05"`, `"end":"2020-01-31"`, `"start":"2020-01-31","end":"2020-02-01T10:00:00Z"`, `"start":"2020-02-01T10:00:00Z"`))
	}
}

func (g generator) query() (string, []fhir.Pair) {
	typ := g.pick("Patient", "Observation", "Encounter")
	var pairs []fhir.Pair
	for range 1 + g.IntN(2) {
		pairs = append(pairs, g.pair(typ))
	}
	return typ, pairs
}

func (g generator) pair(typ string) fhir.Pair {
	token := g.pick("a", "A", "b", "http://loinc.org|a", "urn:s|", "|a", `1\|2`, `x\,y`, "a,b", "urn:s|a,http://loinc.org|b", "http://hl7.org/fhir/x|")
	date := g.pick("", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb") + g.pick("2019", "2020", "2020-01", "2020-01-31", "2020-02-01", "2020-02-01T10:00:00Z", "2020-01-31T20:00:00Z", "2020-02-01T00:00:00+14:00", "1960-05-05")
	text := g.pick("mul", "müll", "MULLER", "eva", "é", "str", "strass", "smith", "o'", "on", "李", "long", strings.Repeat("long", 12)+"e", "muller-s")
	ref := g.pick("Patient/a", "a", "A", "Group/a", "https://elsewhere.example/fhir/Patient/a", "urn:uuid:1", "Patient/a,Patient/b", "Patient/a/_history/2")
	common := []fhir.Pair{{Name: "_id", Value: g.pick("r1", "r2,r3,r4", "r5,none")}, {Name: "_lastUpdated", Value: g.pick("ge", "lt", "gt", "") + g.pick("2024-05-01T12:05:00Z", "2024-05", "2024-05-01")}}
	own := map[string][]fhir.Pair{
		"Patient": {{Name: "name", Value: text}, {Name: "family", Value: text}, {Name: "family:contains", Value: text}, {Name: "name:exact", Value: g.text()}, {Name: "gender", Value: g.pick("male", "http://hl7.org/fhir/administrative-gender|", "http://hl7.org/fhir/administrative-gender|female", "urn:s|")},
			{Name: "gender:not", Value: "male"}, {Name: "birthdate", Value: date}, {Name: "active", Value: "true"}, {Name: "identifier", Value: token}, {Name: "phone", Value: g.pick("5", "home|5", "home|")},
			{Name: "address-city", Value: text}, {Name: "link", Value: ref}, {Name: "address", Value: text}},
		"Observation": {{Name: "code", Value: token}, {Name: "code:not", Value: token}, {Name: "subject", Value: ref}, {Name: "patient", Value: ref}, {Name: "subject:Patient", Value: g.pick("a", "b")},
			{Name: "date", Value: date}, {Name: "status", Value: "final"}, {Name: "value-quantity", Value: g.pick("2", "gt2", "le1")}, {Name: "performer", Value: ref}, {Name: "_tag", Value: token},
			{Name: "_profile", Value: g.pick("http://p.example/x", "http://p.example/x|1", "http://p.example/x|2")}, {Name: "date:missing", Value: "false"}},
		"Encounter": {{Name: "class", Value: token}, {Name: "subject", Value: ref}, {Name: "patient", Value: ref}, {Name: "date", Value: date}, {Name: "status", Value: "finished,planned"}},
	}[typ]
	list := append(common, own...)
	return list[g.IntN(len(list))]
}
