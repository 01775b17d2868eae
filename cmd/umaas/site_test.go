package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

// site is a hospital whose roles run apart: the authorization server, the gateway with its resolver, the FHIR server.
type site struct {
	as, gateway, fhir string // configuration files
	world             demo.World
}

// settle makes a site from nothing, by the commands alone, and serves it.
func settle(t *testing.T) site {
	t.Helper()
	p := ports(t, 7)
	s := site{world: demo.World{Issuer: "http://localhost:" + p[0], RS: "http://localhost:" + p[1], Clinic: "http://localhost:" + p[6]}}
	w := &s.world
	w.FHIRBase = w.RS + server.FHIRPath
	w.Resolver = demo.Resolvers{User: w.RS + "/resolve-uma-context/user", Patient: w.RS + "/resolve-uma-context/patient"}
	credential := "Bearer only-the-gateway-knows"
	s.as = written(t, "as.yaml", fmt.Sprintf("name: Harborview\ndata: %s\nroles: [as]\nhealth: 127.0.0.1:%s\nas: {issuer: %q, listen: %q}\n", t.TempDir(), p[3], w.Issuer, listenOf(w.Issuer)))
	s.fhir = written(t, "fhir.yaml", fmt.Sprintf("name: Records\ndata: %s\nroles: [fhir]\nhealth: 127.0.0.1:%s\nfhir: {listen: '127.0.0.1:%s', authorization: %q}\n", t.TempDir(), p[4], p[2], credential))
	must(t, "", "fhir", "load", records(t, "pat"), "--config", s.fhir)
	running(t, s.fhir)
	running(t, s.as)

	for _, u := range [][2]string{{"pat", "Patient/pat"}, {"quinn", "RelatedPerson/quinn"}} {
		password := "a good password of " + u[0]
		must(t, password+"\n", "user", "add", u[0], "--name", "Pat "+u[0], "--email", u[0]+"@example.org", "--verified", "--fhir-user", u[1], "--config", s.as)
		w.People = append(w.People, demo.Credential{Name: u[0], Login: u[0], Password: password, FHIRUser: u[1], Patient: u[0]})
	}
	must(t, "", "user", "add", "harborview", "--name", "Harborview", "--organization", "--config", s.as)
	protect := mustJSON[server.ClientView](t, "", "client", "add", "Harborview FHIR", "--account", "harborview", "--redirect", w.RS+rs.CallbackPath,
		"--grant", uma.GrantTypeAuthorizationCode, "--grant", uma.GrantTypeRefreshToken, "--grant", uma.GrantTypeClientCredentials,
		"--scope", uma.ScopeProtection, "--scope", "openid", "--scope", "fhirUser", "--scope", "profile", "--scope", "offline_access",
		"--audience", w.FHIRBase, "--audience", w.RS, "--checked-by", "Harborview", "--config", s.as)
	s.gateway = written(t, "gateway.yaml", fmt.Sprintf(`name: Harborview
data: %s
roles: [gateway, resolver]
health: 127.0.0.1:%s
gateway: {base: %q, listen: %q, issuer: %q, upstream: "http://127.0.0.1:%s", upstream_authorization: %q, client_id: %q, client_secret: %q}
`, filepath.Join(t.TempDir(), "gw"), p[5], w.RS, listenOf(w.RS), w.Issuer, p[2], credential, string(protect.ID), protect.Secret))
	w.App = demo.AppIdentity{RedirectURI: w.Clinic + "/resolved", ClaimsRedirectURI: w.Clinic + "/claims"}
	app := mustJSON[server.ClientView](t, "", "client", "add", "Flu Clinic", "--claims-redirect", w.App.ClaimsRedirectURI, "--grant", uma.GrantTypeTicket, "--config", s.as)
	w.App.ClientID, w.App.ClientSecret = string(app.ID), app.Secret
	must(t, "", "app", "add", w.App.ClientID, "--name", "Flu Clinic", "--redirect", w.App.RedirectURI, "--config", s.gateway) // before the gateway runs
	running(t, s.gateway)
	return s
}

// TestSiteByCommandsAlone sets up a hospital as an operator does, roles apart, and takes the main job on it: nothing but the
// commands is needed. Then relations and explanations work on a process that runs the gateway alone.
func TestSiteByCommandsAlone(t *testing.T) {
	s := settle(t)
	w := s.world
	res, err := http.Get("http://" + strings.TrimPrefix(upstreamOf(t, s.gateway), "http://") + "/Patient/pat")
	check(t, err)
	check(t, res.Body.Close())
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the FHIR server answers without the gateway's credential: %d", res.StatusCode)
	}

	rpt, launch, app := share(t, w, w.People[0], demo.Scopes, "See your allergies", "Add to your vaccinations")
	if launch.Patient != "pat" || launch.FHIRBase != w.FHIRBase {
		t.Errorf("launch: %+v", launch)
	}
	seen := map[string]bool{}
	target := w.FHIRBase + "/AllergyIntolerance?patient=pat&_count=1"
	for range 5 { // pages of one row, through the gateway's own links
		status, raw := asks(t, app, http.MethodGet, target, rpt, nil)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", target, status, raw)
		}
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				FullURL  string
				Resource struct{ ID string }
			}
		}
		check(t, json.Unmarshal(raw, &b))
		for _, e := range b.Entry {
			seen[e.Resource.ID] = true
			if !strings.HasPrefix(e.FullURL, w.FHIRBase+"/") {
				t.Errorf("fullUrl %s is not the gateway's", e.FullURL)
			}
		}
		target = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				target = l.URL
			}
		}
		if target == "" {
			break
		}
		if !strings.HasPrefix(target, w.FHIRBase+"/") {
			t.Fatalf("next page is not at the gateway: %s", target)
		}
	}
	if len(seen) != 3 {
		t.Errorf("allergies seen by pages: %v", seen)
	}
	status, raw := asks(t, app, http.MethodPost, w.FHIRBase+"/Immunization", rpt, json.RawMessage(fmt.Sprintf(vaccination, "pat")))
	if status != http.StatusCreated {
		t.Errorf("write: %d %s", status, raw)
	}

	out := must(t, rpt+"\n", "explain", "--config", s.gateway, "--request", "GET Condition?patient=pat")
	if !strings.Contains(out, "✗ ticket") || strings.Contains(out, "Authorization server:") {
		t.Errorf("explained by the gateway alone:\n%s", out)
	}
	relations(t, s)
}

// relations lets quinn see pat's record by a relation: from then on she may choose it at the resolution service.
func relations(t *testing.T, s site) {
	t.Helper()
	w := s.world
	quinn := w.People[1]
	offered := func() string {
		v, err := demo.NewVisitor(quinn.Name, w.Clinic, http.DefaultTransport)
		check(t, err)
		q := url.Values{"redirect_uri": {w.App.RedirectURI}, "state": {"s"}, "client_id": {w.App.ClientID}}
		check(t, v.Open(t.Context(), w.Resolver.Patient+"?"+q.Encode()))
		for range 6 {
			if v.Page.Left != "" || v.Has("Connect") || strings.Contains(v.Page.Text, "No record is linked to") {
				break
			}
			check(t, v.Forward(t.Context(), quinn))
		}
		return v.Page.Text
	}
	if text := offered(); strings.Contains(text, "Pat Sample") {
		t.Errorf("a stranger is offered the record:\n%s", text)
	}
	must(t, "", "relation", "add", "RelatedPerson/quinn", "pat", "--kind", "representative", "--scopes", "patient/*.rs", "--config", s.gateway)
	found := false
	for range 50 { // registration of the new set goes on in the background
		if found = strings.Contains(offered(), "Pat Sample"); found {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !found {
		t.Errorf("with a relation, still not offered:\n%s", offered())
	}
	must(t, "", "relation", "drop", "RelatedPerson/quinn", "pat", "--config", s.gateway)
	if text := offered(); strings.Contains(text, "Pat Sample") {
		t.Errorf("the relation is dropped, and the record is still offered:\n%s", text)
	}
}

func upstreamOf(t *testing.T, file string) string {
	t.Helper()
	_, after, _ := strings.Cut(textOf(t, file), `upstream: "`)
	upstream, _, _ := strings.Cut(after, `"`)
	return upstream
}
