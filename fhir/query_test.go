package fhir

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

const queryBody = `{"resourceType":"Observation","id":"o1","meta":{"lastUpdated":"2024-05-01T10:30:00Z","profile":["http://p/one|1.0"],
	"tag":[{"system":"http://t","code":"x"}],"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}],"source":"http://src#1"},
	"status":"final","identifier":[{"system":"urn:i","value":"a,b"},{"value":"nosys"}],
	"category":[{"coding":[{"system":"http://cat","code":"laboratory"}]},{"coding":[{"code":"other"}]}],
	"code":{"coding":[{"system":"http://loinc.org","code":"1234-5"}],"text":"Glucose"},
	"subject":{"reference":"Patient/p1"},"performer":[{"reference":"Practitioner/d1"},{"reference":"https://h/fhir/Practitioner/d2"}],
	"basedOn":[{"reference":"ServiceRequest/s1/_history/3"}],
	"effectivePeriod":{"start":"2024-01-10","end":"2024-01-20"},
	"valueQuantity":{"value":5.40,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}}`

func pairsFrom(t testing.TB, query string) []Pair {
	t.Helper()
	var pairs []Pair
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			t.Fatalf("bad query in the test: %s", query)
		}
		pairs = append(pairs, Pair{name, value})
	}
	return pairs
}

func checkMatch(t *testing.T, body, query string, want bool) {
	t.Helper()
	r := mustParse(t, body)
	q, err := ParseQuery(r.Type(), pairsFrom(t, query))
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return
	}
	if got := q.Match(r); got != want {
		t.Errorf("%s: match = %v, want %v", query, got, want)
	}
}

func TestMatchObservation(t *testing.T) {
	yes := []string{
		"_id=o1", "_id=zz,o1", "_lastUpdated=2024-05-01", "_lastUpdated=gt2024-04-30", "_profile=http://p/one", "_profile=http://p/one|1.0",
		"_tag=http://t|x", "_tag=x", "_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", "_source=http://src%231",
		"status=final", "status=http://hl7.org/fhir/observation-status|final", "status:not=amended", "status:missing=false",
		`identifier=urn:i|a\,b`, `identifier=a\,b`, "identifier=|nosys", "identifier=urn:i|",
		"category=laboratory", "category=http://cat|laboratory", "category=|other", "category=laboratory&category=other", "category=none,other",
		"code=http://loinc.org|1234-5", "code=http://loinc.org|",
		"subject=p1", "subject=Patient/p1", "subject:Patient=p1", "patient=p1", "patient=Patient/p1", "patient:Patient=p1",
		"performer=d1", "performer=Practitioner/d1", "performer=https://h/fhir/Practitioner/d2", "based-on=ServiceRequest/s1", "based-on=ServiceRequest/s1/_history/3",
		"date=2024-01", "date=2024", "date=ge2024-01-10", "date=le2024-01-20", "date=lt2024-01-11", "date=gt2024-01-19", "date=sa2024-01-09", "date=eb2024-01-21", "date=ne2023",
		"value-quantity=5.4", "value-quantity=5.4|http://unitsofmeasure.org|mmol/L", "value-quantity=5.40||mmol/L", "value-quantity=gt5", "value-quantity=lt6",
		"value-quantity=ge5.4", "value-quantity=le5.4", "value-quantity=ap5", "value-quantity=5", "value-quantity=5e0", "value-quantity=sa5", "value-quantity=eb6",
		"device:missing=true", "encounter:missing=true", "category:not=none",
	}
	no := []string{
		"_id=o2", "_id=O1", "_id=http://s|o1", "_lastUpdated=2024-04", "_lastUpdated=lt2024-05-01", "_profile=http://p/one|2.0", "_profile=http://p", "_profile=http://p/one|",
		"_tag=http://u|x", "_tag=|x", "status=Final", "status=fin", "status=http://evil|final", "status:not=final", "status:not=amended,final", "status:missing=true",
		"identifier=a", "identifier=|a\\,b", "identifier=urn:i|nosys", "category=lab", "category=|laboratory", "category=laboratory&category=none", "category:not=other",
		"code=1234", "code=http://snomed|", "subject=p2", "subject=Group/p1", "subject:Group=p1", "patient=p2", "patient=https://h/fhir/Patient/p1", "patient=Group/p1",
		"performer=d2", "performer=Practitioner/d2", "based-on=ServiceRequest/s1/_history/4",
		"date=2023", "date=2024-01-10", "date=sa2024-01-10", "date=eb2024-01-20", "date=gt2024-01-20", "date=lt2024-01-10", "date=ne2024",
		"value-quantity=5.5", "value-quantity=5.400||mg", "value-quantity=gt5.4", "value-quantity=lt5.4", "value-quantity=5.4|http://evil|mmol/L", "value-quantity=ne5.4", "value-quantity=5.3",
		"device:missing=false", "device=x", "device=x&status=final",
	}
	for _, q := range yes {
		checkMatch(t, queryBody, q, true)
	}
	for _, q := range no {
		checkMatch(t, queryBody, q, false)
	}
}

const personBody = `{"resourceType":"Patient","id":"p","active":true,"gender":"female","birthDate":"1970-05","telecom":[{"system":"phone","use":"home","value":"555-1"},{"system":"email","value":"a@b"}],
	"name":[{"family":"Müller","given":["Eve","Ann  Marie"]}],"address":[{"line":["1 High St"],"city":"Łódź","postalCode":"123"}],
	"generalPractitioner":[{"identifier":{"value":"x"}}],"link":[{"other":{"reference":"Patient/other"},"type":"refer"}]}`

func TestMatchPatient(t *testing.T) {
	for _, q := range []string{
		"name=mull", "name=MÜLLER", "name=eve", "family:exact=Müller", "name:contains=ülle", "given=ann marie", "address=lodz", "address-city=Lodz", "address=1 high",
		"birthdate=1970", "birthdate=1970-05", "birthdate=lt1971", "gender=female", "active=true", "phone=555-1", "telecom=555-1", "telecom=home|555-1", "email=a@b", "deceased=false", "link=other",
	} {
		checkMatch(t, personBody, strings.ReplaceAll(q, " ", "+"), true)
	}
	for _, q := range []string{
		"name=uller", "family:exact=müller", "family:exact=Mull", "given=marie", "birthdate=1970-05-01", "birthdate=1971", "gender=male", "active=false", "phone=a@b", "email=555-1", "deceased=true",
		"telecom=work|555-1", "general-practitioner=x",
	} {
		checkMatch(t, personBody, q, false)
	}
}

func TestMatchOtherShapes(t *testing.T) {
	for _, c := range []struct {
		body, query string
		want        bool
	}{
		{`{"resourceType":"Observation","valueQuantity":{"value":5,"comparator":"<"}}`, "value-quantity=lt6", true},
		{`{"resourceType":"Observation","valueQuantity":{"value":5,"comparator":"<"}}`, "value-quantity=gt5", false},
		{`{"resourceType":"Observation","valueQuantity":{"value":5,"comparator":"<"}}`, "value-quantity=5", false},
		{`{"resourceType":"Observation","valueQuantity":{"value":1e999999999}}`, "value-quantity=gt5", false},
		{`{"resourceType":"Condition","onsetAge":{"value":40,"code":"a","system":"http://unitsofmeasure.org"}}`, "onset-age=gt39", true},
		{`{"resourceType":"Condition","onsetRange":{"low":{"value":10},"high":{"value":20}}}`, "onset-age=gt15", true},
		{`{"resourceType":"Condition","onsetRange":{"low":{"value":10},"high":{"value":20}}}`, "onset-age=sa15", false},
		{`{"resourceType":"Condition","onsetString":"in childhood"}`, "onset-info=in", true},
		{`{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.5}]}`, "probability=gt0.4", true},
		{`{"resourceType":"Procedure","performedPeriod":{"start":"2024-02-01"}}`, "date=gt2030", true},
		{`{"resourceType":"Procedure","performedPeriod":{"start":"2024-02-01"}}`, "date=2024", false},
		{`{"resourceType":"CarePlan","activity":[{"detail":{"scheduledTiming":{"event":["2024-01-01","2024-03-01"]}}}]}`, "activity-date=2024", true},
		{`{"resourceType":"DeviceUseStatement","subject":{"reference":"Patient/p1"}}`, "patient=p1", true},
		{`{"resourceType":"DeviceUseStatement","subject":{"reference":"Group/p1"}}`, "patient=p1", false},
		{`{"resourceType":"ValueSet","url":"http://v"}`, "url=http://v", true},
		{`{"resourceType":"ValueSet","url":"http://v"}`, "url=http://V", false},
		{`{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition","id":"c1"}}]}`, "composition=c1", true},
		{`{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"Composition","id":"c1"}}]}`, "message=c1", false},
		{`{"resourceType":"DocumentReference","date":"2024-05-01T00:30:00+02:00"}`, "date=2024-04-30", true},
		{`{"resourceType":"DocumentReference","date":"2024-05-01T00:30:00.5Z"}`, "date=2024-05-01T00:30:00.5Z", true},
		{`{"resourceType":"DocumentReference","date":"2024-05-01T00:30:00.5Z"}`, "date=2024-05-01T00:30", true},
		{`{"resourceType":"DocumentReference","date":"yesterday"}`, "date=gt1900", false},
		{`{"resourceType":"DiagnosticReport","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/DiagnosticReport-geneticsAssessedCondition","valueReference":{"reference":"Condition/c"}}]}`, "assessed-condition:missing=false", true},
		{`{"resourceType":"MedicationRequest","medicationCodeableConcept":{"coding":[{"code":"m"}]}}`, "code=m", true},
		{`{"resourceType":"MedicationRequest","medicationReference":{"reference":"Medication/m"}}`, "medication=m", true},
		{`{"resourceType":"Immunization","vaccineCode":{"coding":[{"code":"m"}]},"occurrenceString":"long ago"}`, "date=gt1900", false},
	} {
		checkMatch(t, c.body, c.query, c.want)
	}
}

// GW-04: what cannot be evaluated is refused, never dropped.
func TestGW04Unsupported(t *testing.T) {
	for _, c := range []struct{ typ, name, value, want string }{
		{"Observation", "subject.name", "x", "chained parameters"},
		{"Observation", "subject:Patient.name", "x", "chained parameters"},
		{"Observation", "_has:Group:member:_id", "x", "no such search parameter"},
		{"Observation", "_filter", "x", "no expression"},
		{"Observation", "_text", "x", "no such search parameter"},
		{"Observation", "_content", "x", "no expression"},
		{"Observation", "_query", "x", "no expression"},
		{"Observation", "_list", "x", "no such search parameter"},
		{"Observation", "_count", "1", "filters nothing"},
		{"Observation", "_include", "x", "filters nothing"},
		{"Observation", "_include:iterate", "x", "filters nothing"},
		{"Observation", "nothing", "x", "no such search parameter"},
		{"Observation", "Status", "x", "no such search parameter"},
		{"Observation", "status:in", "x", "modifier :in"},
		{"Observation", "status:text", "x", "modifier :text"},
		{"Observation", "status:", "x", "the modifier is empty"},
		{"Observation", "status:not:not", "x", "modifier :not:not"},
		{"Observation", "subject:identifier", "x", "modifier :identifier"},
		{"Observation", "subject:not", "x", "modifier :not"},
		{"Observation", "subject:above", "x", "modifier :above"},
		{"Observation", "subject:Patient", "Patient/1", "must be an id"},
		{"Observation", "code-value-quantity", "a$1", "no expression"},
		{"Observation", "status", "", "a value is empty"},
		{"Observation", "status", "a,,b", "a value is empty"},
		{"Observation", "status", `a\`, "a backslash may only"},
		{"Observation", "status", `a\b`, "a backslash may only"},
		{"Observation", "status", "a|b|c", "at most one"},
		{"Observation", "status", "|", "both empty"},
		{"Observation", "subject", "Patient/1/2", "no id"},
		{"Observation", "subject", "#p", "contained resource"},
		{"Observation", "date", "2024-13", "no date"},
		{"Observation", "date", "ap2024", "prefix ap"},
		{"Observation", "date:exact", "2024", "modifier :exact"},
		{"Observation", "date", "xx2024", "no date"},
		{"Observation", "value-quantity", "x", "no number"},
		{"Observation", "value-quantity", "1|2", "number|system|code"},
		{"Observation", "value-quantity", "1||", "needs a unit"},
		{"Observation", "value-quantity", "1e999999999", "no number"},
		{"Observation", "value-quantity", "1e61", "no number"},
		{"Observation", "value-quantity", strings.Repeat("9", 61), "no number"},
		{"Observation", "status:missing", "maybe", "true or false"},
		{"Patient", "name:text", "x", "modifier :text"},
		{"Patient", "age", "4", "no expression"},
		{"Location", "near", "1|2", "no expression"},
		{"ValueSet", "url:below", "http://x", "modifier :below"},
		{"Nothing", "_id", "x", "not a resource type"},
		{"*", "status", "x", "no such search parameter"},
	} {
		_, err := ParseQuery(c.typ, []Pair{{c.name, c.value}})
		var unsupported *UnsupportedParam
		if !errors.As(err, &unsupported) || !strings.Contains(unsupported.Reason, c.want) {
			t.Errorf("%s?%s=%s: got %v, want %q", c.typ, c.name, c.value, err, c.want)
			continue
		}
		if c.typ != "Nothing" && unsupported.Name != c.name {
			t.Errorf("the error names %q, not %q", unsupported.Name, c.name)
		}
	}
}

func TestQueryOnAnyType(t *testing.T) {
	q, err := ParseQuery("*", []Pair{{"_id", "p"}})
	if err != nil || !q.Match(mustParse(t, personBody)) || q.Match(mustParse(t, queryBody)) {
		t.Errorf("query on any type: %v", err)
	}
	q, err = ParseQuery("Observation", nil)
	if err != nil || q.Match(mustParse(t, personBody)) || !q.Match(mustParse(t, queryBody)) {
		t.Errorf("a query without filters must match its own type only: %v", err)
	}
	if (Query{}).Match(mustParse(t, personBody)) {
		t.Error("the zero query matches")
	}
}

func FuzzParseQuery(f *testing.F) {
	for _, s := range [][2]string{{"code", `a|b,c\,d`}, {"date", "ge2024-01-01T10:00:00.123+02:00"}, {"value-quantity", "ap-5.4e3||mg"}, {"subject:Patient", "1"}, {"performer", "http://x|1"}, {"_profile:missing", "true"}} {
		f.Add(s[0], s[1])
	}
	r := mustParse(f, queryBody)
	f.Fuzz(func(t *testing.T, name, value string) {
		q, err := ParseQuery("Observation", []Pair{{name, value}})
		if err != nil {
			if len(q.filters) > 0 {
				t.Fatal("a failed parse gave filters")
			}
			return
		}
		if len(q.filters) != 1 {
			t.Fatalf("%q=%q was dropped", name, value)
		}
		q.Match(r)
	})
}

func BenchmarkMatch(b *testing.B) {
	r := mustParse(b, queryBody)
	q, err := ParseQuery("Observation", pairsFrom(b, "patient=p1&category=http://cat|laboratory&date=ge2024-01-01"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !q.Match(r) {
			b.Fatal("no match")
		}
	}
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(queryBody)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPatientMembership(b *testing.B) {
	r := mustParse(b, queryBody)
	b.ReportAllocs()
	for b.Loop() {
		PatientMembership(r)
	}
}

// What the tables cost a program that uses them, once.
func BenchmarkDecodeTables(b *testing.B) {
	for b.Loop() {
		decodeParams()
	}
}
