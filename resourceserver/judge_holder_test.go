package resourceserver_test

import (
	"net/http"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
)

// TestGW_50_RepresentativeSharesWhatSheHolds: a representative owns record(p) in the patient's place. What she has shared ends with
// her relation, at once, and never goes beyond it.
func TestGW_50_RepresentativeSharesWhatSheHolds(t *testing.T) {
	j := newJudged(t)
	set := rs.Set{Issuer: j.as.Issuer, ResourceID: "record-p1", Level: rs.LevelRecord, User: "mother", Patient: "p1"}
	token := j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Sub: "doctor", Permissions: []rs.Permitted{j.as.Permission(set, "patient/Observation.cruds", "patient/Condition.rs", "patient/Practitioner.rs", "patient/Device.rs")}})
	j.as.Relate("mother", "p1", "patient/Observation.rs")
	j.want(j.get("/Observation/lab1", token), 200, "")
	j.want(j.get("/Condition/c1", token), 404, "not-found")
	j.want(j.do("DELETE", "/Observation/lab1", token, ""), 404, "not-found")
	j.want(j.do("POST", "/Observation", token, observation("", "Patient/p1", "x")), 403, "forbidden")
	j.want(j.get("/Practitioner/dr", token), 200, "")
	j.want(j.get("/Device/d0", token), 200, "")
	j.as.Relate("mother", "p1", "")
	j.want(j.get("/Practitioner/dr", token), 404, "not-found")
	j.want(j.get("/Device/d0", token), 404, "not-found")
	for _, path := range []string{"/Observation/lab1", "/Observation/lab1/_history", "/Observation/lab1/_history/1"} {
		j.want(j.get(path, token), 404, "not-found")
	}
	for _, path := range []string{"/Observation", "/Observation/_history"} {
		j.wantRows(j.get(path, token))
	}
	if r := j.get("/Patient/p1/Observation", token); r.StatusCode == http.StatusOK && len(r.ids()) > 0 {
		t.Errorf("shown after the relation ended: %v", r.ids())
	}
	custodial := j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Sub: "doctor", Permissions: []rs.Permitted{
		j.as.Permission(rs.Set{Issuer: j.as.Issuer, ResourceID: "record-p1", Level: rs.LevelRecord, Patient: "p1"}, "patient/Observation.rs")}})
	j.want(j.get("/Observation/lab1", custodial), 200, "")
}

// TestGW_06_StoredBodyIsHersAlone: what another patient takes part in, and what nobody owns, is readable but neither changed nor deleted.
func TestGW_06_StoredBodyIsHersAlone(t *testing.T) {
	j := newJudged(t)
	token := j.oauth("patient/Appointment.ruds", "patient/Device.ruds")
	for _, path := range []string{"/Appointment/ap12", "/Device/d0", "/Device/d1"} {
		j.want(j.get(path, token), 200, "")
	}
	mine := `{"resourceType":"Appointment","id":"ap12","status":"cancelled","participant":[{"actor":{"reference":"Patient/p1"},"status":"declined"}]}`
	j.up.take()
	j.want(j.do("PUT", "/Appointment/ap12", token, mine), 404, "not-found")
	j.want(j.do("DELETE", "/Appointment/ap12", token, ""), 404, "not-found")
	j.want(j.do("PATCH", "/Appointment/ap12", token, `[{"op":"remove","path":"/participant/1"}]`, "Content-Type", "application/json-patch+json"), 404, "not-found")
	j.want(j.do("PUT", "/Device/d0", token, `{"resourceType":"Device","id":"d0","patient":{"reference":"Patient/p1"}}`), 404, "not-found")
	j.want(j.do("DELETE", "/Device/d0", token, ""), 404, "not-found")
	for _, call := range j.up.take() {
		if call.Method != http.MethodGet {
			t.Errorf("%s %s went upstream", call.Method, call.Path)
		}
	}
	j.want(j.do("DELETE", "/Device/d1", token, ""), 204, "")
}
