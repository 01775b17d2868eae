package scopes

import (
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/fhir"
)

func must(t testing.TB, text string) Scope {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return s
}

func set(t testing.TB, text string) Set {
	t.Helper()
	s, rest := ParseSet(text)
	if len(rest) > 0 {
		t.Fatalf("ParseSet(%q): %q are no resource scopes", text, rest)
	}
	return s
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"patient/Observation.read", "patient/Observation.rs"},
		{"patient/Observation.write", "patient/Observation.cud"},
		{"user/*.*", "user/*.cruds"},
		{"system/*.read", "system/*.rs"},
		{"patient/Observation.rs", "patient/Observation.rs"},
		{"patient/Observation.cruds", "patient/Observation.cruds"},
		{"patient/*.s", "patient/*.s"},
		{"http://smarthealthit.org/fhir/scopes/patient/Observation.read", "patient/Observation.rs"},
		{"patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"},
		{"patient/Observation.rs?status=final&category=b,a,b&category=c", "patient/Observation.rs?category=a,b&category=c&status=final"},
		{"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"},
		{"patient/Observation.rs?code=%61%5C%2c%26", ""}, // %5C%2C is an escaped comma, %26 an ampersand
		{"patient/Observation.rs?code=a%5C,b", "patient/Observation.rs?code=a%5C,b"},
		{"patient/Observation.rs?code=caf%c3%a9", "patient/Observation.rs?code=caf%C3%A9"},
		{"patient/*.rs?_lastUpdated=ge2024", "patient/*.rs?_lastUpdated=ge2024"},
		{"patient/Patient.r?_id=a?b=c", "patient/Patient.r?_id=a?b=c"},
	} {
		want := c.want
		if want == "" {
			want = `patient/Observation.rs?code=a%5C,%26`
		}
		if got := must(t, c.in).String(); got != want {
			t.Errorf("Parse(%q) = %q, want %q", c.in, got, want)
		}
	}
}

// GW-03: whole-token grammar; anything else grants nothing.
var malformed = []string{
	"patient/Observation.dus", "patient/Observation.sr", "patient/Observation.rr", "patient/Observation.", "patient/Observation.READ",
	"patient/Observation.read?category=x", "patient/Observation.*?category=x", "patient/observation.r", "patient//Observation.r", "patients/Observation.r", "patient/Observation.read-only",
	"patient/Observation.r ", " patient/Observation.r", "patient/Observation.r\x00", "patient/Observation.r\t", "patient/Observation.\xc0\xafr", "patient/Observation.rs*",
	"Patient/Observation.r", "patient/Observation", "patient/.r", "patient/", "patient", "", "/", "/Observation.r", "Observation.r", "patient/Nothing.r", "patient/Resource.r", "patient/DomainResource.r",
	"patient/Obs*.r", "patient/**.r", "patient/*.r*", "patient/Observation.readwrite", "patient/Observation.r.s", "patient/Observation.r?", "patient/Observation.rs?category", "patient/Observation.rs?category=",
	"patient/Observation.rs?=x", "patient/Observation.rs?category=a&", "patient/Observation.rs?&category=a", "patient/Observation.rs?category=a,", "patient/Observation.rs?nothing=a", "patient/Observation.rs?category:not=a",
	"patient/Observation.rs?category:in=a", "patient/Observation.rs?subject.name=a", "patient/Observation.rs?_filter=a", "patient/Observation.rs?_has:Group:member:_id=a", "patient/Observation.rs?_count=1",
	"patient/Observation.rs?category=a%", "patient/Observation.rs?category=a%zz", "patient/Observation.rs?category=a%00", "patient/Observation.rs?category=%c0%af", `patient/Observation.rs?category=a\,b`, `patient/Observation.rs?category="a"`,
	"patient/Observation.rs?code-value-quantity=a$1", "patient/*.rs?category=a", "patient%2FObservation.r", "patient/Observation%2Er", "http://smarthealthit.org/fhir/scopes/http://smarthealthit.org/fhir/scopes/patient/Observation.r",
	"https://smarthealthit.org/fhir/scopes/patient/Observation.r", "launch/patient", "openid", "conf/N", "btg", "patient/Observation.r#x", "patient/Observation.rs?date=ap2024",
}

func TestSEC_79_GW_03_Malformed(t *testing.T) {
	for _, in := range append(slices.Clone(malformed), "patient/Observation.r?_id="+strings.Repeat("a", 8192)) {
		if s, err := Parse(in); err == nil || s != (Scope{}) {
			t.Errorf("Parse(%.60q) = %+v, %v; want nothing", in, s, err)
		}
		if got, rest := ParseSet(strings.TrimSpace(in)); strings.TrimSpace(in) == in && in != "" && (len(got) != 0 || !slices.Equal(rest, []string{in})) {
			t.Errorf("ParseSet(%.60q) = %v, %q", in, got, rest)
		}
	}
}

func TestParseSetKeepsTheRestInOrder(t *testing.T) {
	got, rest := ParseSet("openid patient/Observation.read  patient/X.r launch user/*.c openid")
	if got.String() != "patient/Observation.rs user/*.c" || !slices.Equal(rest, []string{"openid", "patient/X.r", "launch", "openid"}) {
		t.Errorf("got %s and %q", got, rest)
	}
}

func TestParseShort(t *testing.T) {
	for _, c := range []struct {
		in    string
		level Context
		want  string // "" is an error
	}{
		{"AllergyIntolerance.read", Patient, "patient/AllergyIntolerance.rs"},
		{"Immunization.write", Patient, "patient/Immunization.cud"},
		{"Immunization.write", User, "user/Immunization.cud"},
		{"*.rs", User, "user/*.rs"},
		{"Observation.rs?category=laboratory", Patient, "patient/Observation.rs?category=laboratory"},
		{"Observation.rs?category=http://a/b|c", Patient, "patient/Observation.rs?category=http://a/b|c"},
		{"patient/Observation.r", Patient, "patient/Observation.r"},
		{"user/Observation.r", Patient, ""},
		{"patient/Observation.r", User, ""},
		{"system/Observation.r", User, ""},
		{"system/Observation.r", System, ""},
		{"Observation.r", System, ""},
		{"Observation.r", "", ""},
		{"Observation", Patient, ""},
		{"/Observation.r", Patient, ""},
		{"openid", Patient, ""},
	} {
		got, err := ParseShort(c.in, c.level)
		if got.String() != c.want || (err != nil) != (c.want == "") {
			t.Errorf("ParseShort(%q, %s) = %q, %v; want %q", c.in, c.level, got, err, c.want)
		}
	}
}

func TestUMA(t *testing.T) {
	types := []string{"AllergyIntolerance", "AuditEvent", "Binary", "Consent", "Observation"}
	for _, c := range []struct {
		in, want, query string
	}{
		{"patient/AllergyIntolerance.rs", "patient/AllergyIntolerance.r patient/AllergyIntolerance.s", ""},
		{"patient/AllergyIntolerance.read", "patient/AllergyIntolerance.r patient/AllergyIntolerance.s", ""},
		{"patient/Observation.r?category=b,a", "patient/Observation.r", "category=a,b"},
		{"user/*.cr", "user/AllergyIntolerance.c user/AllergyIntolerance.r user/Binary.r user/Observation.c user/Observation.r", ""},
		{"patient/AuditEvent.r", "patient/AuditEvent.r", ""},
		{"patient/Condition.r", "", ""},
	} {
		letters, query := must(t, c.in).UMA(types)
		if got := strings.Join(letters, " "); got != c.want || query != c.query {
			t.Errorf("%s.UMA() = %q %q, want %q %q", c.in, got, query, c.want, c.query)
		}
	}
	if got := Registered(Patient, []string{"Observation", "Patient"}); strings.Join(got, " ") != "patient/Observation.c patient/Observation.r patient/Observation.u patient/Observation.d patient/Observation.s patient/Patient.c patient/Patient.r patient/Patient.u patient/Patient.d patient/Patient.s" {
		t.Errorf("Registered: %q", got)
	}
	if Registered(System, types) != nil || len(Registered(User, fhir.Types())) != 730 {
		t.Error("Registered: wrong levels")
	}
}

func TestFromUMA(t *testing.T) {
	for _, c := range []struct{ scope, query, want string }{
		{"patient/Observation.r", "", "patient/Observation.r"},
		{"user/Observation.s", "category=b,a", "user/Observation.s?category=a,b"},
		{"patient/Observation.rs", "", ""},
		{"patient/Observation.read", "", ""},
		{"patient/*.r", "", ""},
		{"system/Observation.r", "", ""},
		{"patient/Observation.r?category=a", "", ""},
		{"patient/Observation.r", "nothing=a", ""},
		{"patient/Observation.r", "category:not=a", ""},
		{"patient/Observation.r", "&", ""},
		{"Observation.r", "", ""},
		{"http://smarthealthit.org/fhir/scopes/patient/Observation.r", "", ""},
	} {
		got, err := FromUMA(c.scope, c.query)
		if got.String() != c.want || (err != nil) != (c.want == "") {
			t.Errorf("FromUMA(%q, %q) = %q, %v; want %q", c.scope, c.query, got, err, c.want)
		}
	}
	for _, text := range Registered(User, fhir.Types()) {
		if s, err := FromUMA(text, ""); err != nil || s.String() != text {
			t.Errorf("FromUMA(%q) = %v, %v", text, s, err)
		}
	}
}

func TestKind(t *testing.T) {
	for in, want := range map[string]ScopeKind{
		"patient/Observation.rs": KindResource, "user/*.read": KindResource, "http://smarthealthit.org/fhir/scopes/patient/Observation.read": KindResource,
		"conf/N": KindLabel, "conf/R": KindLabel, "conf/V": KindLabel, "conf/U": KindInvalid, "sens/HIV": KindLabel, "sens/": KindInvalid, "sens/a-b": KindInvalid, "btg": KindLabel, "BTG": KindInvalid,
		"launch": KindLaunch, "launch/patient": KindLaunch, "launch/encounter": KindLaunch, "launch/Patient": KindInvalid, "launch/nothing": KindInvalid, "launch/questionnaire?role=http://x": KindLaunch,
		"launch/questionnaire?role=": KindInvalid, "launch/questionnaire?x=y": KindInvalid, "launch/questionnaire?role=a&role=b": KindInvalid, "http://smarthealthit.org/fhir/scopes/launch/patient": KindLaunch,
		"openid": KindIdentity, "fhirUser": KindIdentity, "profile": KindIdentity, "fhiruser": KindInvalid, "http://openid.net/specs/openid-connect-core-1_0#openid": KindIdentity,
		"http://openid.net/specs/openid-connect-core-1_0#launch": KindInvalid, "http://smarthealthit.org/fhir/scopes/fhirUser": KindIdentity, "http://smarthealthit.org/fhir/scopes/btg": KindInvalid,
		"offline_access": KindRefresh, "online_access": KindRefresh, "uma_protection": KindUMA, "launch-token": KindUMA,
		"http://hl7.org/fhir/OperationDefinition/Patient-everything": KindExt, "urn:x:y": KindExt, "__label.write": KindExt, "__": KindInvalid, "__a\\b": KindInvalid, "__a b": KindInvalid,
		"http://x#y": KindInvalid, "http://smarthealthit.org/fhir/scopes/patient/X.r": KindInvalid, "": KindInvalid, "email": KindInvalid, "patient/X.r": KindInvalid, "http://x/%zz": KindInvalid,
		"1http://x": KindInvalid, "http:": KindInvalid,
	} {
		if got := Kind(in); got != want {
			t.Errorf("Kind(%q) = %q, want %q", in, got, want)
		}
	}
}
