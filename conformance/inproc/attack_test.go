package inproc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// foreign registers another app, with the same rights as the Flu Clinic.
func (w *world) foreign(t *testing.T) demo.AppIdentity {
	t.Helper()
	v, err := w.AS.AddClient(t.Context(), server.NewClient{
		Name: "Another app", AuthMethod: umaas.AuthSecretBasic, ClaimsRedirectURIs: []string{"http://localhost:9/claims"}, GrantTypes: []string{uma.GrantTypeTicket},
	})
	check(t, err)
	return demo.AppIdentity{ClientID: string(v.ID), ClientSecret: v.Secret, ClaimsRedirectURI: "http://localhost:9/claims"}
}

// anotherServer registers a second resource server, of another organization.
func (w *world) anotherServer(t *testing.T) demo.AppIdentity {
	t.Helper()
	v, err := w.AS.AddClient(t.Context(), server.NewClient{
		Name: "Lakeside Hospital", AuthMethod: umaas.AuthSecretBasic, GrantTypes: []string{uma.GrantTypeClientCredentials},
		Scopes: []string{uma.ScopeProtection}, Audience: []string{"http://localhost:9/fhir"}, Account: "org-lakeside",
	})
	check(t, err)
	return demo.AppIdentity{ClientID: string(v.ID), ClientSecret: v.Secret}
}

// presented is what the token endpoint says to a ticket of an app.
func (w *world) presented(t *testing.T, app demo.AppIdentity, ticket string) (answer, uma.Error) {
	t.Helper()
	a := post(t, w.World.Issuer+"/token", app, url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}})
	var e uma.Error
	check(t, json.Unmarshal(a.Body, &e))
	return a, e
}

// claimsPage opens the claims interaction endpoint with a ticket in a fresh browser.
func (w *world) claimsPage(t *testing.T, ticket string) *demo.Visitor {
	t.Helper()
	v := w.visitor(t, "Somebody")
	q := url.Values{"client_id": {w.World.App.ClientID}, "ticket": {ticket}, "claims_redirect_uri": {w.World.App.ClaimsRedirectURI}, "state": {"st"}}
	_ = v.Open(t.Context(), w.World.Issuer+"/claims?"+q.Encode()) // an answer of 4xx is what some callers look for
	return v
}

// TestSEC_01_ReplayAtBothEndpoints: a ticket presented anywhere is dead everywhere, and dead, made up and cut ones are
// answered with the same bytes.
func TestSEC_01_ReplayAtBothEndpoints(t *testing.T) {
	w := common(t, "attacked")
	maria := w.who(t, "maria")
	v, app := w.visitor(t, maria.Name), w.app()
	link := w.link(t, v, maria, maria.Patient)
	first, err := app.Ask(t.Context(), link, fluAsk)
	check(t, err)
	second, err := app.Redeem(t.Context(), first)
	check(t, err)
	replayed, e := w.presented(t, w.World.App, first.Ticket)
	if replayed.Status != http.StatusBadRequest || e.Code != "invalid_grant" || e.Description != "ticket expired or used" {
		t.Errorf("replay at the token endpoint: %d %s", replayed.Status, replayed.Body)
	}
	if p := w.claimsPage(t, first.Ticket).Page; p.Left == "" && p.Status < 400 {
		t.Errorf("replay at the claims endpoint shows %s", p.Text)
	}
	third := w.decide(t, v, maria, second, "Share with", fluTicks...).Get("ticket")
	if p := w.claimsPage(t, second.Ticket).Page; p.Left == "" && p.Status < 400 {
		t.Errorf("the ticket of the claims endpoint again: %s", p.Text)
	}
	if a, e := w.presented(t, w.World.App, second.Ticket); e.Code != "invalid_grant" {
		t.Errorf("the ticket of the claims endpoint at the token endpoint: %d %s", a.Status, a.Body)
	}
	if a, _ := w.presented(t, w.World.App, third); a.Status != http.StatusOK {
		t.Fatalf("the honest ticket: %d %s", a.Status, a.Body)
	}
	for name, ticket := range map[string]string{"used for an RPT": third, "made up": "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAA", "cut": third[:len(third)-1], "longer": third + "A", "nonsense": "…"} {
		if a, _ := w.presented(t, w.World.App, ticket); string(a.Body) != string(replayed.Body) || a.Status != replayed.Status {
			t.Errorf("%s: %d %s, a used one is answered with %s", name, a.Status, a.Body, replayed.Body)
		}
	}
}

// TestSEC_01_ParallelRedemptions: of 64 requests with one ticket, at once and over HTTP, one wins.
func TestSEC_01_ParallelRedemptions(t *testing.T) {
	w := common(t, "attacked")
	tomas := w.who(t, "tomas")
	v, app := w.visitor(t, tomas.Name), w.app()
	link := w.link(t, v, tomas, tomas.Patient)
	first, err := app.Ask(t.Context(), link, fluAsk)
	check(t, err)
	winners := w.race(t, first.Ticket, "need_info")
	p, err := app.Ask(t.Context(), link, fluAsk)
	check(t, err)
	p, err = app.Redeem(t.Context(), p)
	check(t, err)
	winners = append(winners, w.race(t, w.decide(t, v, tomas, p, "Share with", fluTicks...).Get("ticket"), "")...)
	if !slices.Equal(winners, []int{1, 63, 1, 63}) {
		t.Errorf("winners and invalid_grant by ticket: %v", winners)
	}
}

// race presents a ticket 64 times at once: how many got want, how many invalid_grant.
func (w *world) race(t *testing.T, ticket, want string) []int {
	t.Helper()
	got := make([]string, 64)
	var wg sync.WaitGroup
	gate := make(chan struct{})
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}.Encode()
	for i := range got {
		wg.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.World.Issuer+"/token", strings.NewReader(form))
			if err != nil {
				got[i] = err.Error()
				return
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.SetBasicAuth(url.QueryEscape(w.World.App.ClientID), url.QueryEscape(w.World.App.ClientSecret))
			<-gate
			res, err := quiet.Do(req)
			if err != nil {
				got[i] = err.Error()
				return
			}
			defer func() { _ = res.Body.Close() }() // read by the decoder
			var e uma.Error
			if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
				got[i] = err.Error()
				return
			}
			got[i] = e.Code
		})
	}
	close(gate)
	wg.Wait()
	won, lost := 0, 0
	for _, code := range got {
		switch code {
		case want:
			won++
		case "invalid_grant":
			lost++
		default:
			t.Errorf("an answer says %q", code)
		}
	}
	return []int{won, lost}
}

// TestSEC_03_ForeignClient: a stolen ticket is worth nothing to another app, and the theft takes nothing from the honest one.
func TestSEC_03_ForeignClient(t *testing.T) {
	w := common(t, "attacked")
	thief := w.foreign(t)
	erik := w.who(t, "erik")
	v, app := w.visitor(t, erik.Name), w.app()
	link := w.link(t, v, erik, erik.Patient)
	first, err := app.Ask(t.Context(), link, fluAsk) // the context URL was resolved for the Flu Clinic
	check(t, err)
	if a, e := w.presented(t, thief, first.Ticket); e.Code != "invalid_grant" {
		t.Errorf("first ticket: %d %s", a.Status, a.Body)
	}
	second, err := app.Redeem(t.Context(), first)
	check(t, err)
	if a, e := w.presented(t, thief, second.Ticket); e.Code != "invalid_grant" {
		t.Errorf("successor: %d %s", a.Status, a.Body)
	}
	third := w.decide(t, v, erik, second, "Share with", fluTicks...).Get("ticket")
	if a, e := w.presented(t, thief, third); e.Code != "invalid_grant" {
		t.Errorf("ticket after consent: %d %s", a.Status, a.Body)
	}
	if a, e := w.presented(t, demo.AppIdentity{ClientID: w.World.App.ClientID, ClientSecret: "wrong"}, third); a.Status != http.StatusUnauthorized || e.Code != "invalid_client" {
		t.Errorf("wrong secret: %d %s", a.Status, a.Body) // SEC-10, SEC-31
	}
	if a, _ := w.presented(t, w.World.App, third); a.Status != http.StatusOK {
		t.Errorf("the honest app after all that: %d %s", a.Status, a.Body)
	}
	stolen := w.give(t, "erik", fluAsk, fluTicks...).RPT
	a := post(t, w.World.Issuer+"/revoke", thief, url.Values{"token": {stolen}})
	if a.Status != http.StatusOK {
		t.Errorf("revocation of a foreign token tells: %d %s", a.Status, a.Body) // RFC 7009 §2.1
	}
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=erik", stolen); a.Status != http.StatusOK {
		t.Errorf("another app ended the RPT: %d", a.Status)
	}
}

// TestSEC_50_51_52_AnotherResourceServer: another resource server learns nothing of tokens and sets that are not its own, and
// an RPT opens no door of the protection API.
func TestSEC_50_51_52_AnotherResourceServer(t *testing.T) {
	w := common(t, "attacked")
	other := w.anotherServer(t)
	rpt := w.give(t, "ivan", fluAsk, fluTicks...).RPT
	if a := w.introspectAs(t, other, rpt); strings.TrimSpace(string(a.Body)) != `{"active":false}` || a.Status != http.StatusOK {
		t.Errorf("introspection by another: %d %s", a.Status, a.Body)
	}
	if a := w.introspect(t, rpt); !strings.Contains(string(a.Body), `"active":true`) {
		t.Errorf("by its own: %d %s", a.Status, a.Body)
	}
	bearer := func(token string) http.Header {
		return http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
	}
	var ids []string
	check(t, json.Unmarshal(send(t, http.MethodGet, w.World.Issuer+"/resource_set/", bearer(w.pat(t, w.World.Server)), http.NoBody).Body, &ids))
	if len(ids) == 0 {
		t.Fatal("the first resource server has no sets of its own")
	}
	pat := bearer(w.pat(t, other))
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/resource_set/ID", ""},
		{http.MethodPut, "/resource_set/ID", `{"resource_scopes":["a"]}`},
		{http.MethodDelete, "/resource_set/ID", ""},
		{http.MethodPost, "/permission", `{"resource_id":"ID","resource_scopes":["patient/AllergyIntolerance.r"]}`},
	} {
		with := func(id string) answer {
			return send(t, c.method, w.World.Issuer+strings.ReplaceAll(c.path, "ID", id), pat, strings.NewReader(strings.ReplaceAll(c.body, "ID", id)))
		}
		theirs, unknown := with(ids[0]), with("no-such-set")
		if theirs.Status < 400 || theirs.Status != unknown.Status || string(theirs.Body) != string(unknown.Body) {
			t.Errorf("%s %s: foreign %d %s, unknown %d %s", c.method, c.path, theirs.Status, theirs.Body, unknown.Status, unknown.Body)
		}
	}
	for _, path := range []string{"/resource_set/", "/permission", "/access-events", "/grants/consume", "/introspect"} {
		method := http.MethodPost
		if path == "/resource_set/" {
			method = http.MethodGet
		}
		if a := send(t, method, w.World.Issuer+path, bearer(rpt), strings.NewReader("{}")); a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
			t.Errorf("an RPT at %s: %d %s", path, a.Status, a.Body)
		}
	}
}

var varying = []*regexp.Regexp{
	regexp.MustCompile(`ticket="[^"]*"`),
}

// TestSEC_88_HiddenLooksLikeAbsent: what exists but is another's, and what does not exist, are answered with the same bytes
// once ids and tickets are taken out; neither is opened by a token for somebody else's record (SEC-94, SEC-96).
func TestSEC_88_HiddenLooksLikeAbsent(t *testing.T) {
	w := common(t, "attacked")
	rpt := w.give(t, "layla", "AllergyIntolerance.cruds Immunization.cruds Patient.read", "See your allergies", "See your vaccinations", "Add to your allergies", "Add to your vaccinations", "Change your allergies").RPT
	oauth := w.oauth(t, "layla", "patient/AllergyIntolerance.cruds patient/Immunization.cruds", "See your allergies", "See your vaccinations", "Add to your allergies", "Change your allergies").Token
	for _, c := range []struct{ name, method, target, body string }{
		{"read", http.MethodGet, "/AllergyIntolerance/ID", ""},
		{"vread", http.MethodGet, "/AllergyIntolerance/ID/_history/1", ""},
		{"history", http.MethodGet, "/AllergyIntolerance/ID/_history", ""},
		{"compartment", http.MethodGet, "/Patient/WHO/AllergyIntolerance", ""},
		{"search by patient", http.MethodGet, "/AllergyIntolerance?patient=WHO", ""},
		{"search by reference", http.MethodGet, "/AllergyIntolerance?patient=Patient/WHO", ""},
		{"search by id", http.MethodGet, "/AllergyIntolerance?_id=ID", ""},
		{"everything", http.MethodGet, "/Patient/WHO/$everything", ""},
		{"patient", http.MethodGet, "/Patient/WHO", ""},
		{"update", http.MethodPut, "/AllergyIntolerance/ID", `{"resourceType":"AllergyIntolerance","id":"ID","patient":{"reference":"Patient/WHO"}}`},
		{"update into an own record", http.MethodPut, "/AllergyIntolerance/ID", `{"resourceType":"AllergyIntolerance","id":"ID","patient":{"reference":"Patient/layla"}}`},
		{"patch", http.MethodPatch, "/AllergyIntolerance/ID", `[{"op":"replace","path":"/patient/reference","value":"Patient/layla"}]`},
		{"delete", http.MethodDelete, "/AllergyIntolerance/ID", ""},
		{"create for", http.MethodPost, "/Immunization", strings.ReplaceAll(immunization("WHO"), "\n", "")},
		{"reference to", http.MethodPost, "/Immunization", strings.Replace(immunization("layla"), `"status"`, `"reasonReference":[{"reference":"AllergyIntolerance/ID"}],"status"`, 1)},
	} {
		for door, token := range map[string]string{"UMA": rpt, "OAuth": oauth, "nobody": ""} {
			with := func(who, id string) string {
				fill := strings.NewReplacer("WHO", who, "ID", id)
				h := http.Header{"Content-Type": {"application/fhir+json"}, "Accept": {"application/fhir+json"}}
				if c.method == http.MethodPatch {
					h.Set("Content-Type", "application/json-patch+json")
				}
				if token != "" {
					h.Set("Authorization", "Bearer "+token)
				}
				a := send(t, c.method, w.World.FHIRBase+fill.Replace(c.target), h, strings.NewReader(fill.Replace(c.body)))
				return canonical(a, who, id)
			}
			hidden, absent := with("grace", "grace-allergy-1"), with("nobody-here", "nothing-there-1")
			if hidden != absent {
				t.Errorf("%s by %s: hidden\n%s\nabsent\n%s", c.name, door, hidden, absent)
			}
			// A search for a foreign id alone may be answered with an empty result: it shows neither.
			if strings.HasPrefix(hidden, "2") && !strings.Contains(hidden, `"total":0`) && !strings.Contains(hidden, `"type":"searchset"}`) && c.name != "search by id" {
				t.Errorf("%s by %s is allowed: %s", c.name, door, hidden)
			}
			if strings.Contains(hidden, "Latex") || strings.Contains(hidden, "Okafor") {
				t.Errorf("%s by %s shows something of it: %s", c.name, door, hidden)
			}
		}
	}
}

// canonical is an answer without what differs between any two requests.
func canonical(a answer, who, id string) string {
	var lines []string
	for name, values := range a.Header {
		if name == "Date" || name == "X-Request-Id" || name == "Content-Length" {
			continue
		}
		lines = append(lines, name+": "+strings.Join(values, " | "))
	}
	slices.Sort(lines)
	out := http.StatusText(a.Status) + "\n" + strings.Join(lines, "\n") + "\n" + string(a.Body)
	out = strings.NewReplacer(id, "ID", who, "WHO").Replace(out)
	for _, v := range varying {
		out = v.ReplaceAllString(out, "…")
	}
	return string(rune('0'+a.Status/100)) + " " + out
}
