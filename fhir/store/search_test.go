package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/umaas/umaas/fhir"
)

// sample is a small record with one of everything that search treats in its own way.
func sample(t testing.TB) *server {
	s := newServer(t)
	s.put(patientA, patientB,
		`{"resourceType":"Patient","id":"c","name":[{"text":"O'Brien  Jr."}],"deceasedBoolean":true,"telecom":[{"system":"phone","use":"home","value":"555"}]}`,
		`{"resourceType":"Practitioner","id":"d","name":[{"family":"Doc"}]}`,
		`{"resourceType":"Encounter","id":"e","status":"finished","subject":{"reference":"Patient/a"},"period":{"start":"2020-01-10T10:00:00Z"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}`,
		observation("o1", "a", "718-7", 5.4, "2020-01-10T10:00:00Z"), observation("o2", "a", "718-7", 7, "2020-02"),
		observation("o3", "b", "718-7", 9, "2021-03-01"), observation("o4", "b", "2160-0", 5.41, "2019"),
		`{"resourceType":"Observation","id":"o5","status":"amended","code":{"text":"no code"},"subject":{"reference":"Group/g"}}`,
		`{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/a"},"encounter":{"reference":"Encounter/e"},"onsetPeriod":{"start":"2019-05","end":"2021"}}`,
		`{"resourceType":"Provenance","id":"pr","target":[{"reference":"Observation/o1"}],"recorded":"2020-01-10T10:00:00Z","agent":[{"who":{"reference":"Practitioner/d"}}]}`,
		`{"resourceType":"RiskAssessment","id":"r1","status":"final","subject":{"reference":"Patient/a"},"prediction":[{"probabilityDecimal":0.8}]}`,
		`{"resourceType":"ValueSet","id":"v","url":"http://example.org/vs","version":"2","status":"active"}`,
		`{"resourceType":"Measure","id":"q","status":"active","library":["http://example.org/base|3"]}`)
	return s
}

func TestSearch(t *testing.T) {
	s := sample(t)
	for _, tt := range []struct{ query, want string }{
		{"Patient?_id=a,c,zz", "a c"},
		{"Patient?_id=a&gender=male", ""},
		{"Patient?identifier=urn:mrn|1", "a"},
		{"Patient?identifier=1", "a"},
		{"Patient?identifier=urn:mrn|", "a b"},
		{"Patient?identifier=|1", ""},
		{"Patient?gender=male,female", "a b"},
		{"Patient?gender:not=male", "a c"},
		{"Patient?gender:missing=true", "c"},
		{"Patient?family=mull", "a"},
		{"Patient?name=%C3%84nne", "a"},
		{"Patient?name=ann", "a"},
		{"Patient?name=o%27br", "c"},
		{"Patient?name:exact=Smith", "b"},
		{"Patient?name:exact=smith", ""},
		{"Patient?name:contains=mit", "b"},
		{"Patient?deceased=true", "c"},
		{"Patient?phone=555", "c"},
		{"Patient?birthdate=1980-02-03", "a"},
		{"Patient?birthdate=1980", "a"},
		{"Patient?birthdate=ge1985", "b"},
		{"Patient?birthdate=lt1990", "a"},
		{"Patient?birthdate=ne1980-02-03", "b"},
		{"Observation?patient=a", "o1 o2"},
		{"Observation?patient=Patient/a&code=718-7", "o1 o2"},
		{"Observation?subject=Patient/b", "o3 o4"},
		{"Observation?subject:Patient=b&category=laboratory", "o3 o4"},
		{"Observation?subject=Group/g", "o5"},
		{"Observation?code=http://loinc.org|718-7,http://loinc.org|2160-0&date=ge2020", "o1 o2 o3"},
		{"Observation?code=http://loinc.org|718-7&date=eq2020", "o1 o2"},
		{"Observation?date=sa2020-01&date=lt2021", "o2"},
		{"Observation?value-quantity=5.4", "o1 o4"}, // 5.4 is 5.35 to 5.45 (search.html#quantity)
		{"Observation?value-quantity=gt6|http://unitsofmeasure.org|mg", "o2 o3"},
		{"Observation?status=amended", "o5"},
		{"Condition?onset-date=ge2020", "c1"},
		{"Condition?onset-date=ge2021", ""},
		{"Condition?onset-date=2020-06", ""},
		{"Condition?encounter=Encounter/e", "c1"},
		{"RiskAssessment?probability=gt0.5", "r1"},
		{"ValueSet?url=http://example.org/vs", "v"},
		{"ValueSet?url=http://example.org/other", ""},
		{"Measure?depends-on=http://example.org/base", "q"},
		{"Patient/a/Observation", "o1 o2"},
		{"Patient/a/Observation?code=718-7&date=2020-02", "o2"},
		{"Patient/b/Condition", ""},
		{"Patient/a/Patient", "a"},
		{"Patient/a/*", "c1 e o1 o2 a r1"},
		{"?_type=Patient,Practitioner&_id=a,d", "a d"},
		{"?_id=o1,e", "e o1"},
		{"Patient?_lastUpdated=ge2024-05-01", "a b c"},
		{"Patient?_lastUpdated=lt2024-05-01T12:00:03Z", "a b"},
		{"Patient?_sort=-birthdate", "b a c"},
		{"Patient?_sort=family", "a b c"},
		{"Observation?_sort=patient,-date", "o2 o1 o3 o4 o5"},
		{"Observation?_sort=-value-quantity", "o3 o2 o4 o1 o5"},
		{"Patient?_sort=-_id", "c b a"},
		{"Patient?_sort=-_lastUpdated", "c b a"},
	} {
		t.Run(tt.query, func(t *testing.T) {
			s := &server{t, s.s, s.h}
			for _, count := range []string{"", "1", "2"} {
				target := tt.query
				if count != "" {
					target += map[bool]string{true: "&", false: "?"}[strings.Contains(target, "?")] + "_count=" + count
				}
				got := []string{}
				for _, id := range s.all(target) {
					_, short, _ := strings.Cut(id, "/")
					got = append(got, short)
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("_count=%s: %v, want %s", count, got, tt.want)
				}
			}
		})
	}
}

func TestSearchByPostGivesTheSameAndLeaksNothing(t *testing.T) {
	s := sample(t)
	head := []string{"Content-Type", "application/x-www-form-urlencoded"}
	b := s.do("POST", "Observation/_search?code=718-7", form("patient", "a", "_count", "1"), head...).want(200).bundle()
	if got := b.ids("match"); !slices.Equal(got, []string{"Observation/o1"}) {
		t.Fatalf("found %v", got)
	}
	for _, l := range b.Link {
		if strings.Contains(l.URL, "718-7") || strings.Contains(l.URL, "patient") {
			t.Errorf("link tells the parameters: %s", l.URL)
		}
	}
	second := s.do("GET", b.next(), "").want(200).bundle()
	if got := second.ids("match"); !slices.Equal(got, []string{"Observation/o2"}) || second.next() != "" {
		t.Errorf("second page %v, next %q", got, second.next())
	}
	if got := s.do("POST", "Patient/a/Observation/_search", form("code", "718-7"), head...).want(200).bundle().ids(""); len(got) != 2 {
		t.Errorf("compartment: %v", got)
	}
	if got := s.do("POST", "_search", form("_type", "Patient", "gender", "male"), head...).want(200).bundle().ids(""); len(got) != 1 {
		t.Errorf("system: %v", got)
	}
}

func TestPageLinksAreBoundToTheirSearch(t *testing.T) {
	s := sample(t)
	next := s.do("GET", "Observation?_count=1", "").want(200).bundle().next()
	token := next[strings.Index(next, "_page=")+6:]
	s.do("GET", "Observation?_page="+token, "").want(200)
	s.do("GET", "Patient?_page="+token, "").refused(400, "invalid")
	s.do("GET", "Patient/a/Observation?_page="+token, "").refused(400, "invalid")
	s.do("GET", "Observation/_history?_page="+token, "").refused(400, "invalid")
	s.do("GET", "Observation?patient=a&_page="+token, "").refused(400, "invalid")
	flipped := []byte(token)
	flipped[len(flipped)/2] ^= 1
	s.do("GET", "Observation?_page="+string(flipped), "").refused(400, "invalid")
	other := sample(t)
	other.do("GET", "Observation?_page="+token, "").refused(400, "invalid")
}

func TestTotals(t *testing.T) {
	s := sample(t)
	for _, tt := range []struct {
		query   string
		total   int // -1 absent
		entries int
	}{
		{"Observation?_count=2", -1, 2},
		{"Observation?_count=2&_total=accurate", 5, 2},
		{"Observation?_count=2&_total=none", -1, 2},
		{"Observation", 5, 5},
		{"Observation?_summary=count", 5, 0},
		{"Observation?_count=0", 5, 0},
		{"Observation?_summary=count&patient=a", 2, 0},
		{"Observation?_sort=date&_count=1", 5, 1},
		{"Patient/a/*?_summary=count", 6, 0},
	} {
		b := s.do("GET", tt.query, "").want(200).bundle()
		total := -1
		if b.Total != nil {
			total = *b.Total
		}
		if total != tt.total || len(b.Entry) != tt.entries {
			t.Errorf("%s: total %d, %d entries; want %d, %d", tt.query, total, len(b.Entry), tt.total, tt.entries)
		}
	}
	next := s.do("GET", "Observation?_count=2&_total=accurate", "").bundle().next()
	if got := s.all("Observation?_count=2&_total=accurate"); len(got) != 5 {
		t.Errorf("pages with totals hold %v", got)
	}
	if b := s.do("GET", next, "").want(200).bundle(); b.Total == nil || *b.Total != 5 {
		t.Errorf("total of the second page: %v", b.Total)
	}
}

func TestIncludes(t *testing.T) {
	s := sample(t)
	for _, tt := range []struct{ query, match, include string }{
		{"Observation?_id=o1&_include=Observation:subject", "Observation/o1", "Patient/a"},
		{"Observation?_id=o1&_include=Observation:subject:Group", "Observation/o1", ""},
		{"Observation?_id=o1&_include=Observation:*", "Observation/o1", "Patient/a"},
		{"Observation?_id=o1,o2&_include=Observation:patient", "Observation/o1 Observation/o2", "Patient/a"},
		{"Observation?_id=o1&_revinclude=Provenance:target", "Observation/o1", "Provenance/pr"},
		{"Condition?_id=c1&_include=Condition:encounter", "Condition/c1", "Encounter/e"},
		{"Condition?_id=c1&_include=Condition:encounter&_include=Encounter:participant", "Condition/c1", "Encounter/e"},
		{"Condition?_id=c1&_include=Condition:encounter&_include:iterate=Encounter:participant", "Condition/c1", "Encounter/e Practitioner/d"},
		{"Patient?_id=b&_revinclude=Observation:subject&_count=1", "Patient/b", "Observation/o3 Observation/o4"},
		{"Practitioner?_revinclude=Encounter:participant:Practitioner", "Practitioner/d", "Encounter/e"},
		{"Practitioner?_revinclude=Encounter:participant:PractitionerRole", "Practitioner/d", ""},
	} {
		b := s.do("GET", tt.query, "").want(200).bundle()
		if m, i := strings.Join(b.ids("match"), " "), strings.Join(b.ids("include"), " "); m != tt.match || i != tt.include {
			t.Errorf("%s: match %q include %q", tt.query, m, i)
		}
	}
}

func TestLenientSearchTellsWhatItLeftOut(t *testing.T) {
	s := sample(t)
	b := s.do("GET", "Patient?gender=male&nonsense=1&_elements=name", "", "Prefer", "handling=lenient").want(200).bundle()
	if got := b.ids("match"); !slices.Equal(got, []string{"Patient/b"}) {
		t.Errorf("match %v", got)
	}
	outcomes := 0
	for _, e := range b.Entry {
		if e.Search.Mode == "outcome" && e.Resource["resourceType"] == "OperationOutcome" {
			outcomes++
		}
	}
	if outcomes != 2 || strings.Contains(b.Link[0].URL, "nonsense") {
		t.Errorf("%d outcomes, self %s", outcomes, b.Link[0].URL)
	}
}

// The page boundary is a place in the order, not a number of rows: what is deleted between two pages does not hide a row.
func TestPagingIsStableUnderDeletion(t *testing.T) {
	for _, query := range []string{"Observation?_count=2", "Observation?_count=2&_sort=_id"} {
		s := sample(t)
		b := s.do("GET", query, "").want(200).bundle()
		s.do("DELETE", b.ids("match")[0], "").want(204)
		s.do("DELETE", b.ids("match")[1], "").want(204)
		rest := s.all(b.next())
		if !slices.Equal(rest, []string{"Observation/o3", "Observation/o4", "Observation/o5"}) {
			t.Errorf("%s: %v", query, rest)
		}
	}
}

// A search inside one compartment looks at that compartment only.
func TestCompartmentSearchDoesNotScanOthers(t *testing.T) {
	s := newServer(t)
	s.put(patientA, patientB)
	for i := range 300 {
		s.put(observation(fmt.Sprintf("b%d", i), "b", "718-7", 1, "2020-01-01"))
	}
	s.put(observation("a1", "a", "718-7", 1, "2020-01-01"))
	err := s.s.db.View(func(tx *bolt.Tx) error {
		for _, pairs := range [][]fhir.Pair{{{Name: "patient", Value: "a"}, {Name: "code", Value: "718-7"}}, {{Name: "category", Value: "laboratory"}}} {
			driver, _ := s.s.begin(tx).plan("Observation", pairs, "a")
			if n := driver.size(1000); n != 1 {
				t.Errorf("%v: %d candidates, want 1", pairs, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.do("PUT", "Observation/a1", observation("a1", "b", "718-7", 1, "2020-01-01")).want(200) // moves to the other record
	s.do("DELETE", "Observation/b0", "").want(204)
	err = s.s.db.View(func(tx *bolt.Tx) error {
		for patient, want := range map[string]int{"a": 0, "b": 300} {
			if n := s.s.begin(tx).compartment("Observation", patient).size(1000); n != want {
				t.Errorf("%s: %d postings, want %d", patient, n, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
