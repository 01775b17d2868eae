package resourceserver_test

import (
	"fmt"
	"testing"

	rs "github.com/umaas/umaas/resourceserver"
)

// TestIM_06_CallsOfHiddenDeletedAbsent: what a hidden, a deleted and a never used id cost upstream and at the authorization server is
// the same, and so is what is answered.
func TestIM_06_CallsOfHiddenDeletedAbsent(t *testing.T) {
	j := newJudged(t)
	other := j.as.Give(rs.Grant{Kind: rs.KindOAuth, ClientID: "app", Sub: "user-2", Permissions: []rs.Permitted{j.as.RecordOf("p2", "patient/*.cruds")}})
	j.want(j.do("DELETE", "/Observation/focus1", other, ""), 204, "")
	for kind, token := range map[string]string{"RPT": j.rpt("patient/Observation.cruds"), "OAuth": j.oauth("patient/Observation.cruds")} {
		for _, c := range []struct{ method, suffix, body string }{
			{"GET", "", ""}, {"GET", "/_history/1", ""}, {"GET", "/_history", ""}, {"DELETE", "", ""},
			{"PUT", "", `{"resourceType":"Observation","id":"%s","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"}}`},
		} {
			var want string
			for _, id := range []string{"absent", "lab2", "focus1"} {
				body := c.body
				if body != "" {
					body = fmt.Sprintf(body, id)
				}
				j.up.take()
				tickets := len(j.as.Tickets())
				r := j.do(c.method, "/Observation/"+id+c.suffix, token, body)
				got := fmt.Sprintf("%d %s, %d calls, %d tickets", r.StatusCode, r.issue(), len(j.up.take()), len(j.as.Tickets())-tickets)
				if want == "" {
					want = got
				}
				if got != want {
					t.Errorf("%s %s %s%s: %s; absent: %s", kind, c.method, id, c.suffix, got, want)
				}
			}
		}
	}
}
