package inproc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/umaas/umaas/cmd/umaas/demo"
)

// sameScopes is one wish, said to both doors in the same words.
const sameScopes = "patient/AllergyIntolerance.rs patient/Immunization.c patient/Observation.rs?category=vital-signs"

// TestS004_01_SameScopesThroughUMAAndOAuth: the same scopes, asked at a context URL and at the OAuth door, show the same
// resources and lead to the same decisions, request by request.
func TestS004_01_SameScopesThroughUMAAndOAuth(t *testing.T) {
	w := common(t, "common")
	byUMA := w.give(t, "grace", sameScopes, "See your allergies", "Add to your vaccinations", "See your vital signs").RPT
	byOAuth := w.oauth(t, "grace", sameScopes, "See your allergies", "Add to your vaccinations", "See your vital signs")
	if fmt.Sprint(byOAuth.Scope) != sortedScopes(sameScopes) {
		t.Errorf("OAuth door granted %q", byOAuth.Scope)
	}
	base := w.World.FHIRBase
	for _, c := range []struct {
		name, method, target, body string
		allowed                    bool
	}{
		{"search", "GET", "/AllergyIntolerance?patient=grace", "", true},
		{"search without patient", "GET", "/AllergyIntolerance", "", true},
		{"search by POST", "POST", "/AllergyIntolerance/_search", "patient=grace", true},
		{"count", "GET", "/AllergyIntolerance?patient=grace&_summary=count", "", true},
		{"read", "GET", "/AllergyIntolerance/grace-allergy-1", "", true},
		{"versions", "GET", "/AllergyIntolerance/grace-allergy-1/_history", "", true},
		{"vital signs", "GET", "/Observation?patient=grace&category=vital-signs", "", true},
		{"all observations show the vital signs", "GET", "/Observation?patient=grace&_count=200", "", true},
		{"another patient's", "GET", "/AllergyIntolerance?patient=maria", "", false},
		{"another patient's by id", "GET", "/AllergyIntolerance/maria-allergy-1", "", false},
		{"absent id", "GET", "/AllergyIntolerance/nothing-there", "", false},
		{"other type", "GET", "/Condition?patient=grace", "", false},
		{"read of what may only be added", "GET", "/Immunization?patient=grace", "", false},
		{"system search", "GET", "/?_type=AllergyIntolerance,Condition", "", false},
		{"delete", "DELETE", "/AllergyIntolerance/grace-allergy-1", "", false},
		{"create", "POST", "/Immunization", immunization("grace"), true},
		{"create in another's record", "POST", "/Immunization", immunization("maria"), false},
		{"create of another type", "POST", "/AllergyIntolerance", `{"resourceType":"AllergyIntolerance","patient":{"reference":"Patient/grace"}}`, false},
	} {
		h := http.Header{"Content-Type": {"application/fhir+json"}, "Accept": {"application/fhir+json"}}
		if strings.HasSuffix(c.target, "_search") {
			h.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		ask := func(token string) answer {
			h := h.Clone()
			h.Set("Authorization", "Bearer "+token)
			return send(t, c.method, base+c.target, h, strings.NewReader(c.body))
		}
		u, o := ask(byUMA), ask(byOAuth.Token)
		if (u.Status < 300) != c.allowed || (o.Status < 300) != c.allowed {
			t.Errorf("%s: UMA %d, OAuth %d, want allowed %v\n%s\n%s", c.name, u.Status, o.Status, c.allowed, u.Body, o.Body)
			continue
		}
		if !c.allowed {
			byDoor := u.Status == http.StatusUnauthorized && (o.Status == http.StatusForbidden || o.Status == http.StatusNotFound)
			if !byDoor && (u.Status != http.StatusNotFound || o.Status != http.StatusNotFound) { // not offered to anybody
				t.Errorf("%s: refused with %d and %d", c.name, u.Status, o.Status)
			}
			continue
		}
		if c.method == "GET" || strings.HasSuffix(c.target, "_search") {
			if a, b := visible(t, u), visible(t, o); !slices.Equal(a, b) || len(a) == 0 {
				t.Errorf("%s: UMA shows %v, OAuth shows %v", c.name, a, b)
			}
		}
	}
	vital, all := visible(t, get(t, base+"/Observation?patient=grace&category=vital-signs&_count=200", byUMA)), visible(t, get(t, base+"/Observation?patient=grace&_count=200", byUMA))
	if !slices.Equal(vital, all) {
		t.Errorf("the constraint category=vital-signs shows %d of %d", len(all), len(vital))
	}
}

func immunization(patient string) string {
	return `{"resourceType":"Immunization","status":"completed","patient":{"reference":"Patient/` + patient + `"},"vaccineCode":{"text":"Influenza"},"occurrenceDateTime":"2026-11-01"}`
}

// visible lists what an answer shows: type and id of each resource, or a total.
func visible(t *testing.T, a answer) []string {
	t.Helper()
	var b struct {
		Type  string `json:"resourceType"`
		ID    string `json:"id"`
		Total *int   `json:"total"`
		Entry []struct {
			Resource struct {
				Type string `json:"resourceType"`
				ID   string `json:"id"`
			} `json:"resource"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(a.Body, &b); err != nil {
		t.Fatalf("%v: %s", err, a.Body)
	}
	if b.Type != "Bundle" {
		return []string{b.Type + "/" + b.ID}
	}
	var out []string
	if b.Total != nil {
		out = append(out, fmt.Sprint("total ", *b.Total))
	}
	for _, e := range b.Entry {
		if e.Resource.Type != "OperationOutcome" {
			out = append(out, e.Resource.Type+"/"+e.Resource.ID)
		}
	}
	slices.Sort(out)
	return out
}

func sortedScopes(list string) string {
	all := strings.Fields(list)
	slices.Sort(all)
	return strings.Join(all, " ")
}

// TestS004_02_AllPermissionsUpFront: one interaction for the flu clinic's scopes, and nothing is asked later.
func TestS004_02_AllPermissionsUpFront(t *testing.T) {
	w := common(t, "common")
	g := w.give(t, "fiona", fluAsk, fluTicks...) // one visit to the authorization server: decide fails if there were more
	for range 2 {
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/AllergyIntolerance?patient=fiona", ""},
			{"POST", "/Immunization", immunization("fiona")},
		} {
			a := send(t, c.method, g.Launch.FHIRBase+c.path, http.Header{"Authorization": {"Bearer " + g.RPT}, "Content-Type": {"application/fhir+json"}}, strings.NewReader(c.body))
			if a.Status >= 300 || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("%s %s: %d, asked again with %q", c.method, c.path, a.Status, a.Header.Get("WWW-Authenticate"))
			}
		}
	}
}

// TestS004_04_Bootstrapping: from the hospital's address alone an app finds what it may ask for: metadata, resolution,
// context URL, FHIR base.
func TestS004_04_Bootstrapping(t *testing.T) {
	w := common(t, "common")
	a := send(t, http.MethodGet, w.World.RS+"/.well-known/oauth-protected-resource", nil, http.NoBody)
	var meta struct {
		Resource string   `json:"resource"`
		AS       []string `json:"authorization_servers"`
		Resolver string   `json:"uma_context_resolution_endpoint"`
		Levels   []string `json:"uma_context_levels"`
	}
	check(t, json.Unmarshal(a.Body, &meta))
	if a.Status != http.StatusOK || meta.Resource != w.World.FHIRBase || !slices.Equal(meta.AS, []string{w.World.Issuer}) || !slices.Equal(meta.Levels, []string{"user", "patient"}) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if meta.Resolver+"/patient" != w.World.Resolver.Patient {
		t.Errorf("resolver %q", meta.Resolver)
	}
	g := w.give(t, "layla", "AllergyIntolerance.read", "See your allergies")
	if g.Launch.FHIRBase != meta.Resource || g.Launch.Patient != "layla" || g.Launch.Level != "patient" {
		t.Errorf("the context tells %+v", g.Launch)
	}
}

// TestS004_08_09_ThroughTheWholeProduct: a user-level context reaches whom the user may see and nobody else; a parent's
// context for a child reaches the child.
func TestS004_08_09_ThroughTheWholeProduct(t *testing.T) {
	w := common(t, "common")
	t.Run("child", func(t *testing.T) {
		daniel := w.who(t, "daniel")
		v, app := w.visitor(t, daniel.Name), w.app()
		link := w.link(t, v, daniel, "noah")
		p := ask(t, app, link, "AllergyIntolerance.read")
		back := w.decide(t, v, daniel, p, "Share with", "See")
		p, err := app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: back.Get("ticket")})
		check(t, err)
		launch, err := app.Context(t.Context(), link, p.RPT)
		check(t, err)
		if launch.Patient != "noah" {
			t.Errorf("%+v", launch)
		}
		if a := get(t, launch.FHIRBase+"/AllergyIntolerance?patient=noah", p.RPT); a.Status != http.StatusOK || len(visible(t, a)) < 1 {
			t.Errorf("child: %d %s", a.Status, a.Body)
		}
		if a := get(t, launch.FHIRBase+"/AllergyIntolerance?patient=daniel", p.RPT); a.Status != http.StatusUnauthorized {
			t.Errorf("the parent's own record: %d", a.Status)
		}
	})
	t.Run("whom a practitioner treats", func(t *testing.T) {
		kim := w.who(t, "kim")
		v, app := w.visitor(t, kim.Name), w.app()
		link := w.resolve(t, v, kim, "user", "").Get("resolved")
		p := ask(t, app, link, "AllergyIntolerance.read")
		back := w.decide(t, v, kim, p, "Share with", "See")
		p, err := app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: back.Get("ticket")})
		check(t, err)
		launch, err := app.Context(t.Context(), link, p.RPT)
		check(t, err)
		if launch.Patient != "" || launch.Level != "user" {
			t.Errorf("%+v", launch)
		}
		for patient, want := range map[string]int{"grace": http.StatusOK, "noah": http.StatusOK, "maria": http.StatusUnauthorized, "erik": http.StatusUnauthorized} {
			if a := get(t, launch.FHIRBase+"/AllergyIntolerance?patient="+patient, p.RPT); a.Status != want {
				t.Errorf("%s: %d, want %d", patient, a.Status, want)
			}
		}
	})
}

// TestS004_19_StandardUMAContinues: from the ticket on it is UMA as any client knows it: need_info, claims interaction, a
// new ticket each time, an RPT, and an upgrade of it when more is needed later.
func TestS004_19_StandardUMAContinues(t *testing.T) {
	w := common(t, "common")
	ravi := w.who(t, "ravi")
	v, app := w.visitor(t, ravi.Name), w.app()
	link := w.link(t, v, ravi, ravi.Patient)
	first, err := app.Ask(t.Context(), link, "AllergyIntolerance.read")
	check(t, err)
	second, err := app.Redeem(t.Context(), first)
	check(t, err)
	third := w.decide(t, v, ravi, second, "Share with", "See your allergies").Get("ticket")
	if first.Ticket == second.Ticket || second.Ticket == third || third == "" {
		t.Fatal("a ticket came twice")
	}
	for name, dead := range map[string]string{"first": first.Ticket, "second": second.Ticket} {
		if code, _ := w.redeem(t, dead, ""); code != "invalid_grant" {
			t.Errorf("%s ticket: %s", name, code)
		}
	}
	code, got := w.redeem(t, third, "")
	if code != "" || got.AccessToken == "" || got.Upgraded {
		t.Fatalf("%s %+v", code, got)
	}
	refused := get(t, w.World.FHIRBase+"/Condition?patient=ravi", got.AccessToken)
	ticket := challenged(t, refused)
	_, info := w.redeemInfo(t, ticket, got.AccessToken)
	fourth := w.decide(t, v, ravi, info.process(w), "Share with", "See your health problems").Get("ticket")
	code, more := w.redeem(t, fourth, got.AccessToken)
	if code != "" || !more.Upgraded || more.AccessToken == got.AccessToken {
		t.Fatalf("upgrade: %s %+v", code, more)
	}
	for _, path := range []string{"/AllergyIntolerance?patient=ravi", "/Condition?patient=ravi"} {
		if a := get(t, w.World.FHIRBase+path, more.AccessToken); a.Status != http.StatusOK {
			t.Errorf("upgraded: %s %d", path, a.Status)
		}
	}
	if a := w.introspect(t, got.AccessToken); !bytes.Equal(bytes.TrimSpace(a.Body), []byte(`{"active":false}`)) {
		t.Errorf("the old RPT after the upgrade: %s", a.Body)
	}
}

// TestS004_20_AppRunByTheOwner: where the owner runs the app herself, discovery is a redirect, her consent settles it, and
// nobody has to wait for anybody.
func TestS004_20_AppRunByTheOwner(t *testing.T) {
	w := common(t, "common")
	fiona := w.who(t, "fiona")
	v, app := w.visitor(t, fiona.Name), w.app()
	back := w.resolve(t, v, fiona, "patient", fiona.Patient)
	if back.Get("iss") != w.World.RS || back.Get("error") != "" {
		t.Errorf("%v", back)
	}
	p := ask(t, app, back.Get("resolved"), "Condition.read")
	after := w.decide(t, v, fiona, p, "Share with", "See your health problems")
	p, err := app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: after.Get("ticket")})
	check(t, err)
	if p.RPT == "" || p.Waiting {
		t.Errorf("%+v", p)
	}
	if boss := w.dashboard(t, fiona, "/me/requests"); !strings.Contains(boss.Page.Text, "Nothing is waiting") {
		t.Errorf("the owner was asked about her own request: %s", boss.Page.Text)
	}
}

// TestS004_21_AppLearnsWhichHospital: the person chooses the hospital in the app; a link of any other server is refused
// there before anything is sent to it.
func TestS004_21_AppLearnsWhichHospital(t *testing.T) {
	w := common(t, "common")
	v, err := demo.NewVisitor("Somebody", "", http.DefaultTransport)
	check(t, err)
	check(t, v.Open(t.Context(), w.World.Clinic+"/"))
	if !v.Has("Connect Harborview Clinic") {
		t.Fatalf("no choice of a hospital: %s", v.Page.Text)
	}
	check(t, v.Press(t.Context(), "Connect Harborview Clinic", nil))
	if got := v.Page.URL.Scheme + "://" + v.Page.URL.Host; got != w.World.RS {
		t.Errorf("it leads to %s", got)
	}
	for _, foreign := range []string{"http://localhost:1/uma-context/abc", w.World.RS + ".example/uma-context/abc", "javascript:alert(1)"} {
		check(t, v.Open(t.Context(), w.World.Clinic+"/"))
		check(t, v.Press(t.Context(), "Use this link", map[string]string{"link": foreign}))
		if !strings.Contains(v.Page.Text, "not a connect link of this hospital") {
			t.Errorf("%s: %s", foreign, v.Page.Text)
		}
	}
}
