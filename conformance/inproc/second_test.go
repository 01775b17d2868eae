package inproc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/cmd/umaas/demo"
	"github.com/umaas/umaas/cmd/umaas/server"
)

// secondWorld is a world with two authorization servers and one patient whose record the second one guards.
func secondWorld(t *testing.T, o demo.Options) *world {
	t.Helper()
	w := own(t, o)
	t.Cleanup(func() {
		for _, fault := range w.Faults.taken() {
			t.Errorf("logged as an error: %s", fault)
		}
	})
	return w
}

// everywhere is the Flu Clinic with its registration at both servers.
func (w *world) everywhere() *demo.App {
	app := w.app()
	app.Elsewhere = map[string]demo.AppIdentity{w.World.Second.Issuer: w.World.Second.App}
	return app
}

// giveThere takes the streamlined way of the patient whose record the second server guards.
func (w *world) giveThere(t *testing.T, home, there demo.Credential) granted {
	t.Helper()
	v, app := w.visitor(t, home.Name), w.everywhere()
	g := granted{Link: w.link(t, v, home, home.Patient)}
	p := ask(t, app, g.Link, fluAsk)
	if p.AS != w.World.Second.Issuer || !strings.HasPrefix(p.Redirect, w.World.Second.Issuer+"/") {
		t.Fatalf("asked at %q, sent to %q", p.AS, p.Redirect)
	}
	check(t, v.Open(t.Context(), p.Redirect+"&state=st"))
	for range 6 {
		if v.Has("Share with") {
			break
		}
		check(t, v.Forward(t.Context(), there))
	}
	check(t, v.Press(t.Context(), "Share with", map[string]string{"until": "today"}, fluTicks...))
	back, err := url.Parse(v.Page.Left)
	check(t, err)
	if back.Query().Get("iss") != w.World.Second.Issuer {
		t.Fatalf("came back from %q", back.Query().Get("iss"))
	}
	p, err = app.Redeem(t.Context(), demo.Process{AS: p.AS, Ticket: back.Query().Get("ticket")})
	check(t, err)
	if g.RPT = p.RPT; g.RPT == "" {
		t.Fatalf("no RPT: %+v", p)
	}
	g.Launch, err = app.Context(t.Context(), g.Link, g.RPT)
	check(t, err)
	return g
}

// TestSecondIssuer is the whole of it with two real servers and every form of token: the narrated walk; then two patients,
// each with a token of her own server, at each other's record.
func TestSecondIssuer(t *testing.T) {
	for _, c := range []struct {
		name, second, format string
		signed               bool
	}{
		{"listed, signed", "listed", "", true}, {"listed, opaque", "listed", "opaque", false}, {"stranger", "stranger", "", true}, {"stranger, all signed", "stranger", "jwt", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := secondWorld(t, demo.Options{Second: c.second, RPTFormat: c.format})
			var told strings.Builder
			if err := (&demo.Walk{World: w.World, Out: &told, Transport: http.DefaultTransport}).Run(t.Context()); err != nil {
				t.Fatalf("%v\n%s", err, told.String())
			}
			if n := strings.Count(told.String(), "✓"); n != 36 || strings.Contains(told.String(), "✗") {
				t.Errorf("%d steps held, want all 36:\n%s", n, told.String())
			}
			linh := w.who(t, "linh")
			hers, his := w.giveThere(t, linh, w.World.Second.Person), w.give(t, "ravi", fluAsk, fluTicks...)
			if signed := strings.Count(hers.RPT, ".") == 2; signed != c.signed {
				t.Errorf("signed: %v, want %v", signed, c.signed)
			}
			for _, a := range []struct {
				token, patient string
				want           int
				at             string // whose ticket a refusal carries
			}{
				{hers.RPT, "linh", 200, ""}, {his.RPT, "ravi", 200, ""},
				{hers.RPT, "ravi", 401, w.World.Issuer}, {his.RPT, "linh", 401, w.World.Second.Issuer},
				{hers.RPT, "maria", 401, w.World.Issuer}, {"nonsense", "linh", 401, w.World.Second.Issuer}, {"", "linh", 401, w.World.Second.Issuer},
			} {
				r := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient="+a.patient, a.token)
				if r.Status != a.want {
					t.Errorf("%.8s… at %s's record: %d, want %d: %s", a.token, a.patient, r.Status, a.want, r.Body)
				}
				if challenge := strings.Join(r.Header.Values("WWW-Authenticate"), ", "); a.at != "" && !strings.Contains(challenge, `as_uri="`+a.at+`"`) {
					t.Errorf("%.8s… at %s's record is sent to %s, want %s", a.token, a.patient, challenge, a.at)
				}
			}
			w.historyThere(t, "Flu Clinic")
			// What is found by one request is readable by its own address, and everybody's search shows her own alone.
			if r := get(t, w.World.FHIRBase+"/AllergyIntolerance", hers.RPT); r.Status != 200 || !strings.Contains(string(r.Body), "Patient/linh") || strings.Contains(string(r.Body), "Patient/ravi") {
				t.Errorf("a search without a name: %d %s", r.Status, r.Body)
			}
		})
	}
}

// TestSecondIssuer_Away: while a patient's server is down her record opens for nobody, and nobody else notices.
func TestSecondIssuer_Away(t *testing.T) {
	w := secondWorld(t, demo.Options{Second: "listed"})
	linh := w.who(t, "linh")
	hers, his := w.giveThere(t, linh, w.World.Second.Person), w.give(t, "ravi", fluAsk, fluTicks...)
	at := func(patient, token string) answer {
		return get(t, w.World.FHIRBase+"/AllergyIntolerance?patient="+patient, token)
	}
	if a := at("linh", hers.RPT); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	w.SecondAway.Store(true)
	var a answer
	for range 100 { // an answer may serve for two seconds
		if a = at("linh", hers.RPT); a.Status != http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a.Status != http.StatusForbidden || !strings.Contains(a.Header.Get("Warning"), "UMA Authorization Server Unreachable") {
		t.Errorf("G-021: %d %q %s", a.Status, a.Header.Get("Warning"), a.Body)
	}
	if a := at("linh", ""); a.Status != http.StatusForbidden || a.Header.Get("Warning") == "" {
		t.Errorf("G-021 without a token: %d %v", a.Status, a.Header)
	}
	if a := at("ravi", his.RPT); a.Status != http.StatusOK {
		t.Errorf("everybody else: %d %s", a.Status, a.Body)
	}
	v := w.portal(t, linh)
	check(t, v.Open(t.Context(), w.World.RS+"/guard"))
	if !strings.Contains(v.Page.Text, "does not answer right now") {
		t.Errorf("she is not told: %s", v.Page.Text)
	}
	w.SecondAway.Store(false)
	if a := at("linh", hers.RPT); a.Status != http.StatusOK {
		t.Errorf("back again: %d %s", a.Status, a.Body)
	}
	w.Faults.taken() // deliveries that failed meanwhile
}

// portal signs a person in at the resource server's own pages.
func (w *world) portal(t *testing.T, who demo.Credential) *demo.Visitor {
	t.Helper()
	v, err := demo.NewVisitor(who.Name, "", http.DefaultTransport)
	check(t, err)
	check(t, v.Open(t.Context(), w.World.RS+"/connect"))
	for range 4 {
		if v.Has("Make a link") {
			return v
		}
		check(t, v.Forward(t.Context(), who))
	}
	t.Fatalf("%s does not arrive: %s", who.Name, v.Page.Text)
	return nil
}

// TestSecondIssuer_Restart stops everything while a patient is at the second server, about to consent, and starts again:
// her old server guards until she is back, then the new one; and it goes on guarding after another restart.
func TestSecondIssuer_Restart(t *testing.T) {
	data := t.TempDir() + "/data"
	w, err := start(t.Context(), demo.Options{Data: data, Second: "stranger"})
	check(t, err)
	t.Cleanup(func() { check(t, w.Close()) })
	ravi := w.who(t, "ravi")
	there := demo.Credential{Name: ravi.Name, Login: "ravi", Password: "a password of that place"}
	w.accountThere(t, there)
	before := w.give(t, "ravi", fluAsk, fluTicks...)
	v := w.portal(t, ravi)
	check(t, v.Open(t.Context(), w.World.RS+"/guard"))
	check(t, v.Press(t.Context(), "Look it up", map[string]string{"address": "ravi@" + strings.TrimPrefix(w.World.Second.Issuer, "http://")})) // WebFinger (H-12)
	for _, want := range []string{"has not checked", "Nothing is carried over", "If " + strings.TrimPrefix(w.World.Second.Issuer, "http://") + " is away, nobody gets in"} {
		if !strings.Contains(v.Page.Text, want) {
			t.Errorf("before she decides she does not read %q: %s", want, v.Page.Text)
		}
	}
	check(t, v.Press(t.Context(), "Let ", nil))
	restart := func() {
		t.Helper()
		http.DefaultClient.CloseIdleConnections()
		check(t, w.Close())
		again, err := start(t.Context(), demo.Options{Data: data})
		check(t, err)
		*w = *again
	}
	restart()
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", before.RPT); a.Status != http.StatusOK {
		t.Errorf("his own server guards meanwhile: %d %s", a.Status, a.Body)
	}
	check(t, v.Forward(t.Context(), there))
	check(t, v.Forward(t.Context(), there))
	if v.Page.URL.Path != "/guard" || !strings.Contains(v.Page.Text, "this server alone decides") {
		t.Fatalf("%s: %s", v.Page.URL.Path, v.Page.Text)
	}
	for range 2 {
		a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", before.RPT)
		if a.Status != http.StatusUnauthorized || !strings.Contains(strings.Join(a.Header.Values("WWW-Authenticate"), ", "), `as_uri="`+w.World.Second.Issuer+`"`) {
			t.Errorf("a token of the server he left: %d %v", a.Status, a.Header)
		}
		now := w.giveThere(t, ravi, there)
		if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", now.RPT); a.Status != http.StatusOK {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		restart()
	}
	// He goes back; the second server's tokens end with that, the first one's are given anew.
	now := w.giveThere(t, ravi, there)
	v = w.portal(t, ravi)
	check(t, v.Open(t.Context(), w.World.RS+"/guard"))
	check(t, v.Press(t.Context(), "Go back to", nil))
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=ravi", now.RPT); a.Status != http.StatusUnauthorized {
		t.Errorf("a token of the server he left: %d %s", a.Status, a.Body)
	}
	w.give(t, "ravi", fluAsk, fluTicks...)
}

// TestSecondIssuer_PutOut: the second server puts the hospital out. Her record is refused, every page of hers says so, and
// she goes back.
func TestSecondIssuer_PutOut(t *testing.T) {
	w := secondWorld(t, demo.Options{Second: "stranger"})
	linh := w.who(t, "linh")
	hers := w.giveThere(t, linh, w.World.Second.Person)
	w.putOut(t)
	var a answer
	for range 100 {
		if a = get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=linh", hers.RPT); a.Status != http.StatusOK {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if a.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	v := w.portal(t, linh)
	if !strings.Contains(v.Page.Text, "no longer lets us ask it. Nobody gets in.") {
		t.Errorf("she is not told: %s", v.Page.Text)
	}
	check(t, v.Open(t.Context(), w.World.RS+"/guard"))
	check(t, v.Press(t.Context(), "Go back to", nil))
	g := w.give(t, "linh", fluAsk, fluTicks...)
	if a := get(t, w.World.FHIRBase+"/AllergyIntolerance?patient=linh", g.RPT); a.Status != http.StatusOK {
		t.Errorf("back at the hospital's own: %d %s", a.Status, a.Body)
	}
}

// putOut disables the hospital's registration at the second server.
func (w *world) putOut(t *testing.T) {
	t.Helper()
	clients, err := w.Second.Service.Clients(t.Context(), "", 100)
	check(t, err)
	for _, c := range clients {
		if c.Dynamic {
			check(t, w.Second.Service.SetClientDisabled(t.Context(), c.ID, true, ""))
		}
	}
}

// accountThere makes an account at the second server.
func (w *world) accountThere(t *testing.T, c demo.Credential) {
	t.Helper()
	_, err := w.Second.AddUser(t.Context(), server.NewUser{Login: c.Login, Name: c.Name, Email: c.Login + "@example.org", Verified: true, Password: c.Password})
	check(t, err)
}

// historyThere waits until the second server tells its owner of what was looked at at the hospital.
func (w *world) historyThere(t *testing.T, want string) {
	t.Helper()
	v, err := demo.NewVisitor("owner", "", http.DefaultTransport)
	check(t, err)
	for range 100 {
		check(t, v.Open(t.Context(), w.World.Second.Issuer+"/me/history"))
		for range 3 {
			if !v.Has("Sign in") {
				break
			}
			check(t, v.Forward(t.Context(), w.World.Second.Person))
		}
		if strings.Contains(v.Page.Text, want) && strings.Contains(v.Page.Text, "looked") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("her history does not tell of %s: %s", want, v.Page.Text)
}
