package resourceserver_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
)

// holders knows who holds which record.
type holders map[string]rs.Registration

func (h holders) RecordOf(_ context.Context, patient string) (rs.Registration, error) {
	if r, ok := h[patient]; ok {
		return r, nil
	}
	return rs.Registration{}, rs.ErrNotKept
}

// TestAU_OwnerHearsOfRefusedAttempts: a request refused because its target is somebody else's is recorded for that owner as well, and
// the requester cannot tell it from one for what does not exist.
func TestAU_OwnerHearsOfRefusedAttempts(t *testing.T) {
	j := newJudged(t)
	record := func(patient, issuer, user string) rs.Registration {
		return rs.Registration{Set: rs.Set{Issuer: issuer, ResourceID: "record-" + patient, Level: rs.LevelRecord, User: user, Patient: patient}}
	}
	known := holders{"p2": record("p2", j.as.Issuer, "user-p2"), "p1": record("p1", j.as.Issuer, "user-p1")}
	j.h = j.enforcer(func(c *rs.EnforcerConfig) { c.Owners = known })
	token := j.oauth("patient/Observation.cruds", "patient/Patient.rs")
	const own = "record-p1 p1 refused context app"
	for _, c := range []struct {
		method, path, absent, body string
		want                       []string
	}{
		{"GET", "/Observation/lab2", "/Observation/nob2", "", []string{own, "record-p2 p2 refused context app"}},
		{"GET", "/Observation/lab2/_history/1", "/Observation/nob2/_history/1", "", []string{own, "record-p2 p2 refused context app"}},
		{"DELETE", "/Observation/lab2", "/Observation/nob2", "", []string{own, "record-p2 p2 refused context app"}},
		{"GET", "/Patient/p2", "/Patient/p9", "", []string{own, "record-p2 p2 refused context app"}},
		{"GET", "/Observation/secret1", "/Observation/secret9", "", []string{own}},
	} {
		j.up.take()
		before := len(j.as.Events())
		r := j.do(c.method, c.path, token, c.body)
		calls := len(j.up.take())
		var got []string
		for _, e := range j.as.Events()[before:] {
			got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Set.ResourceID, e.Patient, e.Outcome, e.Reason, e.ClientID))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s %s: %q, want %q", c.method, c.path, got, c.want)
		}
		before = len(j.as.Events())
		absent := j.do(c.method, c.absent, token, c.body)
		if n := len(j.as.Events()) - before; n != 1 {
			t.Errorf("%s %s: %d events about nothing", c.method, c.absent, n)
		}
		if r.StatusCode != absent.StatusCode || r.body != absent.body || len(r.Header) != len(absent.Header) || calls != len(j.up.take()) {
			t.Errorf("%s: %d %s\n%s: %d %s", c.path, r.StatusCode, r.body, c.absent, absent.StatusCode, absent.body)
		}
	}
	// As part of a transaction, too, and in a batch.
	for _, kind := range []string{"transaction", "batch"} {
		before := len(j.as.Events())
		j.do("POST", "", token, bundle(kind, entry("DELETE", "Observation/lab2", "")))
		var whose []string
		for _, e := range j.as.Events()[before:] {
			whose = append(whose, e.Patient)
		}
		if !slices.Equal(whose, []string{"p1", "p2"}) {
			t.Errorf("%s: events about %v", kind, whose)
		}
	}
	// The names of one authorization server are not carried to another.
	known["p2"] = record("p2", "https://other.example", "elsewhere")
	before := len(j.as.Events())
	j.get("/Observation/lab2", token)
	if e := j.as.Events()[before:]; len(e) != 2 || e[1].Set.Issuer != "https://other.example" || e[1].JTI+e[1].Sub+e[1].ClientID != "" {
		t.Errorf("%+v", e)
	}
	// Whoever has no token at all fills nobody's history.
	before = len(j.as.Events())
	j.get("/Observation/lab2", "")
	j.get("/Patient/p2", "nonsense")
	if n := len(j.as.Events()) - before; n != 0 {
		t.Errorf("%d events without a token", n)
	}
}
