package umaas_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_52_OnlyTheAudienceLearns: another owner, another resource server, other kinds of token, and nonsense (SEC-50,
// SEC-54, SEC-55, F-064, F-071).
func TestSEC_52_OnlyTheAudienceLearns(t *testing.T) {
	eachStore(t, func(w *world) {
		r, _, names, _ := w.shared()
		resp := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob))
		w.wantRights(resp.AccessToken, "r{view}", names)
		if got := rights(w.inspect(w.org, rs1, resp.AccessToken), names); got != "r{view}" { // the server's own account
			t.Fatal(got)
		}
		for _, p := range []umaas.PAT{{Owner: w.carol, RS: rs1}, {Owner: w.alice, RS: rs2}, {Owner: w.org, RS: rs2}, {RS: rs1}, {Owner: w.alice}, {}, {Owner: w.bob, RS: rs1}} {
			w.wantInactive(w.inspect(p.Owner, p.RS, resp.AccessToken))
		}
		token := resp.AccessToken
		for _, bad := range []string{
			"", "x", ".", "..", resp.RefreshToken, token[:len(token)-1], token[1:], token + "A", token + "=", " " + token, token + " ", strings.ToUpper(token),
			token[:len(token)-1] + "_", strings.Split(token, ".")[0], strings.Split(token, ".")[0] + ".",
		} {
			if bad != token {
				w.wantInactive(w.inspect(w.alice, rs1, bad))
			}
		}
		w.sleep(5 * time.Minute)
		w.wantInactive(w.inspect(w.alice, rs1, token))
	})
}

// TestSEC_53_NotBefore: a token from the future is no token yet.
func TestSEC_53_NotBefore(t *testing.T) {
	w := inMemory(t)
	r, _, names, _ := w.shared()
	token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken
	w.sleep(-time.Minute)
	w.wantInactive(w.inspect(w.alice, rs1, token))
	w.sleep(time.Minute)
	w.wantRights(token, "r{view}", names)
}

// TestSEC_54_IntrospectionOfAnRPT: FedAuthz §5.1.1 member by member.
func TestSEC_54_IntrospectionOfAnRPT(t *testing.T) {
	eachStore(t, func(w *world) {
		r, _, _, _ := w.shared()
		token := w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob)).AccessToken
		i := w.inspect(w.alice, rs1, token)
		iat, exp := w.now().Unix(), w.now().Add(5*time.Minute).Unix()
		want := uma.Introspection{
			Active: true, ClientID: string(c1), Sub: string(w.bob), TokenType: "Bearer", Iss: issuer, Aud: []string{"https://rs1.example/fhir"},
			Exp: exp, Iat: iat, Nbf: iat, JTI: i.JTI, Kind: "rpt", Owner: string(w.alice), Tags: i.Tags,
			Permissions: []uma.Permission{{ResourceID: string(r), Scopes: []string{"view"}, Exp: exp, Iat: iat}},
		}
		if fmt.Sprint(i) != fmt.Sprint(want) || i.JTI == "" || strings.Contains(token, r2s(r)) {
			t.Fatalf("got  %+v\nwant %+v", i, want)
		}
	})
}

func r2s(id umaas.ResourceID) string { return string(id) }

// TestF_Resources: FedAuthz §3.1 and §3.2.
func TestF_Resources(t *testing.T) {
	eachStore(t, func(w *world) {
		pat := umaas.PAT{Owner: w.alice, RS: rs1}
		d := uma.ResourceDescription{
			Name: "n", Type: "t", Description: "d", IconURI: "https://icon.example/i", Scopes: []string{"http://photoz.example.com/dev/scopes/view", "x"},
			Extra: map[string]json.RawMessage{"name#fr": json.RawMessage(`"nom"`)}, Context: &uma.ResourceContext{Level: "record", Label: "Mum"},
		}
		id, err := w.CreateResource(t.Context(), pat, d, "")
		w.must(err)
		got, err := w.ReadResource(t.Context(), pat, id)
		w.must(err)
		d.ID = string(id)
		if fmt.Sprint(got) != fmt.Sprint(d) && !reflect.DeepEqual(got, d) { // F-045
			t.Fatalf("got %+v want %+v", got, d)
		}
		second, err := w.CreateResource(t.Context(), pat, d, "")
		w.must(err)
		list, err := w.ListResources(t.Context(), pat)
		w.must(err)
		if second == id || len(list) != 2 {
			t.Fatalf("%v %v", second, list)
		}
		w.must(w.UpdateResource(t.Context(), pat, id, uma.ResourceDescription{Scopes: []string{"y"}}, ""))
		got, err = w.ReadResource(t.Context(), pat, id)
		w.must(err)
		if !reflect.DeepEqual(got, uma.ResourceDescription{ID: string(id), Scopes: []string{"y"}}) { // F-046
			t.Fatalf("%+v", got)
		}
		for _, p := range []umaas.PAT{{Owner: w.carol, RS: rs1}, {Owner: w.alice, RS: rs2}} { // F-012, F-038, SEC-51
			_, err := w.ReadResource(t.Context(), p, id)
			w.wantError(nil, err, 404, "not_found", "no such resource")
			w.wantError(nil, w.UpdateResource(t.Context(), p, id, uma.ResourceDescription{Scopes: []string{"z"}}, ""), 404, "not_found", "")
			w.wantError(nil, w.DeleteResource(t.Context(), p, id, ""), 404, "not_found", "")
			other, err := w.ListResources(t.Context(), p)
			w.must(err)
			if other == nil || len(other) != 0 { // F-048: [] and not null
				t.Fatalf("%#v", other)
			}
		}
		w.must(w.DeleteResource(t.Context(), pat, id, ""))
		w.wantError(nil, w.DeleteResource(t.Context(), pat, id, ""), 404, "not_found", "") // F-047
		_, err = w.ReadResource(t.Context(), pat, id)
		w.wantError(nil, err, 404, "not_found", "")
		w.wantRequestRefused(pat, id) // F-023

		long := strings.Repeat("x", 1025)
		for name, bad := range map[string]uma.ResourceDescription{
			"no scopes": {}, "empty scope": {Scopes: []string{""}}, "scope with space": {Scopes: []string{"a b"}}, "scope with quote": {Scopes: []string{`a"`}},
			"long name": {Scopes: []string{}, Name: long}, "long icon": {Scopes: []string{}, IconURI: long}, "two bases": {Scopes: []string{}, DerivedFrom: &uma.DerivedFrom{ResourceID: "x", Custodian: true}},
			"no base": {Scopes: []string{}, DerivedFrom: &uma.DerivedFrom{}}, "context without level": {Scopes: []string{}, Context: &uma.ResourceContext{}},
			"too many scopes": {Scopes: make([]string, 2001)},
		} {
			_, err := w.CreateResource(t.Context(), pat, bad, "")
			if e := w.wantError(nil, err, 400, "invalid_request", ""); e.Description == "" {
				t.Fatalf("%s: no description", name)
			}
			w.wantError(nil, w.UpdateResource(t.Context(), pat, second, bad, ""), 400, "invalid_request", "")
		}
	})
}

func (w *world) wantRequestRefused(p umaas.PAT, id umaas.ResourceID) {
	w.t.Helper()
	ticket, err := w.RequestPermission(w.t.Context(), p, []uma.Permission{perm(id)}, "", "")
	w.wantError(ticket, err, 400, "invalid_resource_id", "")
}

// TestSEC_42_NamesAreNotIdentity: ten owners, one name, disjoint scopes.
func TestSEC_42_NamesAreNotIdentity(t *testing.T) {
	w := inMemory(t)
	for i := range 10 {
		owner := w.person(fmt.Sprintf("owner%d", i), "Owner")
		scope := fmt.Sprintf("s%d", i)
		id := w.set(owner, rs1, scope)
		w.policy(owner, account(w.bob), []umaas.Rule{rule(rs1, id, "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9")})
		token := w.rpt(c1, w.gather(c1, w.ticketOf(umaas.PAT{Owner: owner, RS: rs1}, perm(id, scope)), w.bob)).AccessToken
		i := w.inspect(owner, rs1, token)
		if rights(i, map[umaas.ResourceID]string{id: "r"}) != "r{"+scope+"}" {
			t.Fatalf("%+v", i.Permissions)
		}
	}
}
