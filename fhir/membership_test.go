package fhir

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPatientMembership(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       Membership
		members    []string
	}{
		{"GW-19 subject", `{"resourceType":"Observation","subject":{"reference":"Patient/a"}}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"GW-19 focus is no membership", `{"resourceType":"Observation","focus":[{"reference":"Patient/a"}]}`, Membership{}, nil},
		{"GW-19 Encounter by patient", `{"resourceType":"Encounter","subject":{"reference":"Patient/a"}}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"GW-19 SupplyRequest by deliverTo", `{"resourceType":"SupplyRequest","deliverTo":{"reference":"Patient/a"},"requester":{"reference":"Patient/b"}}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"GW-19 Task is outside", `{"resourceType":"Task","for":{"reference":"Patient/a"}}`, Membership{}, nil},
		{"GW-20 subject wins over participant", `{"resourceType":"Observation","subject":{"reference":"Patient/a"},"performer":[{"reference":"Patient/b"}]}`,
			Membership{Subject: []string{"a"}, Participant: []string{"b"}}, []string{"a"}},
		{"GW-20 participant alone", `{"resourceType":"Observation","performer":[{"reference":"Patient/b"},{"reference":"Practitioner/x"}]}`, Membership{Participant: []string{"b"}}, []string{"b"}},
		{"GW-20 a Group as subject", `{"resourceType":"Observation","subject":{"reference":"Group/a"},"performer":[{"reference":"Patient/b"}]}`,
			Membership{Participant: []string{"b"}, Foreign: true}, nil},
		{"GW-20 a Group where R4 filters by patient", `{"resourceType":"CarePlan","subject":{"reference":"Group/a"},"activity":[{"detail":{"performer":[{"reference":"Patient/b"}]}}]}`,
			Membership{Participant: []string{"b"}, Foreign: true}, nil},
		{"absolute reference", `{"resourceType":"Observation","subject":{"reference":"https://h/fhir/Patient/a"}}`, Membership{Foreign: true}, nil},
		{"urn", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:0b0d0c36-1111-4222-8333-444455556666"}}`, Membership{Foreign: true}, nil},
		{"contained subject", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"a"}],"subject":{"reference":"#a"}}`, Membership{Foreign: true}, nil},
		{"logical subject", `{"resourceType":"Observation","subject":{"identifier":{"value":"a"}},"performer":[{"reference":"Patient/b"}]}`, Membership{Participant: []string{"b"}, Foreign: true}, nil},
		{"case of the type", `{"resourceType":"Observation","subject":{"reference":"patient/a"}}`, Membership{Foreign: true}, nil},
		{"a reference that is a string", `{"resourceType":"Observation","subject":"Patient/a"}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"versioned reference", `{"resourceType":"Condition","subject":{"reference":"Patient/a/_history/1"}}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"several subjects", `{"resourceType":"Coverage","policyHolder":{"reference":"Patient/b"},"subscriber":{"reference":"RelatedPerson/r"},"beneficiary":{"reference":"Patient/a"},"payor":[{"reference":"Patient/c"}]}`,
			Membership{Subject: []string{"a", "b"}, Participant: []string{"c"}, Foreign: true}, []string{"a", "b"}},
		{"actors", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/a"}},{"actor":{"reference":"Practitioner/x"}},{"actor":{"reference":"Patient/b"}}]}`,
			Membership{Subject: []string{"a", "b"}}, []string{"a", "b"}},
		{"an actor elsewhere", `{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/a"}},{"actor":{"reference":"https://h/fhir/Patient/b"}}]}`,
			Membership{Subject: []string{"a"}, Foreign: true}, []string{"a"}},
		{"GW-21 Patient by id, not by link", `{"resourceType":"Patient","id":"a","link":[{"other":{"reference":"Patient/b"},"type":"seealso"}]}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"GW-21 Patient without id", `{"resourceType":"Patient"}`, Membership{}, nil},
		{"GW-21 Person names all its Patients", `{"resourceType":"Person","link":[{"target":{"reference":"Patient/b"}},{"target":{"reference":"Patient/a"}},{"target":{"reference":"RelatedPerson/r"}}]}`,
			Membership{Subject: []string{"a", "b"}}, []string{"a", "b"}},
		{"Group", `{"resourceType":"Group","member":[{"entity":{"reference":"Patient/a"}},{"entity":{"reference":"Practitioner/x"}}]}`, Membership{Subject: []string{"a"}, Foreign: true}, []string{"a"}},
		{"Provenance", `{"resourceType":"Provenance","target":[{"reference":"Patient/a"},{"reference":"Observation/o"}]}`, Membership{Subject: []string{"a"}}, []string{"a"}},
		{"MedicationDispense", `{"resourceType":"MedicationDispense","subject":{"reference":"Patient/a"},"receiver":[{"reference":"Patient/b"}]}`, Membership{Subject: []string{"a"}, Participant: []string{"b"}}, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := PatientMembership(mustParse(t, c.body))
			if !slices.Equal(got.Subject, c.want.Subject) || !slices.Equal(got.Participant, c.want.Participant) || got.Foreign != c.want.Foreign {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !slices.Equal(got.Members(), c.members) {
				t.Errorf("members %v, want %v", got.Members(), c.members)
			}
		})
	}
}

// testdata finds the sample records: UMAAS_TESTDATA, else ../shared/testdata beside the repository.
func testdata(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("UMAAS_TESTDATA")
	if folder == "" {
		folder = filepath.Join("..", "..", "shared", "testdata")
	}
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("UMAAS_TEST_REQUIRE") == "all" {
			t.Fatalf("sample records are missing: set UMAAS_TESTDATA")
		}
		t.Skip("sample records are missing: set UMAAS_TESTDATA to run this test")
	}
	return folder
}

// Every resource of the sample records parses, evaluates all search parameters of its type and, where its type is a member
// and its subject resolves in the bundle, finds its patient.
func TestSampleRecords(t *testing.T) {
	counts := map[string]int{}
	err := filepath.WalkDir(testdata(t), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".json" {
			return err
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		bundle, err := Parse(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		entries, _ := bundle.Map()["entry"].([]any)
		for _, e := range entries {
			entry, _ := e.(map[string]any)
			inner, err := json.Marshal(entry["resource"])
			if err != nil {
				return err
			}
			r, err := Parse(inner)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			counts["resources"]++
			if err := CheckWritable(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, p := range Params(r.Type()) {
				if p.Expression == "" {
					continue
				}
				got, err := Eval(r, p.Expression)
				if err != nil {
					t.Errorf("%s: %v", p.Code, err)
				}
				counts["values"] += len(got)
			}
			m := PatientMembership(r)
			if ClassOf(r.Type()) == ClassMember && (len(m.Subject) > 0 || m.Foreign || len(m.Participant) > 0) {
				counts["members"]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v", counts)
	if counts["resources"] < 100 || counts["values"] < 1000 || counts["members"] < 50 {
		t.Errorf("too little was looked at: %v", counts)
	}
}
