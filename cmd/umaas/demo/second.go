package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
	"github.com/umaas/umaas/umaas/uma"
)

// secondName is the second authorization server as people read it; secondLogin the patient who lets it guard her record.
const (
	secondName  = "Open Guard"
	secondLogin = "linh"
)

func (d *Demo) openSecond(ctx context.Context, o Options) (err error) {
	d.Second, err = server.NewAS(ctx, server.ASConfig{
		Issuer: d.World.Second.Issuer, Name: secondName, Data: filepath.Join(o.Data, "second"), NoSync: !o.Sync, RPTLife: o.RPTLife,
		CookieName: "-second", Cost: signin.DemoCost(), Now: time.Now, Logger: o.Logger,
	})
	return err
}

func (d *Demo) breakable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.SecondAway.Load() {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// allow tells the resource server that the second one may be brought.
func (s *Second) allow(c *server.RSConfig) {
	c.Foreign = rs.ForeignAny
	if s.Listed {
		c.Issuers = []server.FurtherIssuer{{Issuer: s.Issuer}}
	}
}

// second makes the accounts at the second authorization server, which knows nothing of the hospital, and takes the way of
// the person who lets it guard her record: she names it on the hospital's page, it is asked there, she consents there.
func (s seeding) second(ctx context.Context) error {
	second := s.World.Second
	if second == nil {
		return nil
	}
	s.o.Progress("letting another server guard a record")
	home, err := s.World.mover()
	if err != nil {
		return err
	}
	second.Person = Credential{Name: home.Name, Login: home.Login, Password: random()[:12], Patient: home.Patient}
	if _, err := s.Second.AddUser(ctx, server.NewUser{
		Login: home.Login, Name: home.Name, Email: home.Login + "@example.org", Verified: true, Password: second.Person.Password,
	}); err != nil {
		return err
	}
	claims := s.World.App.ClaimsRedirectURI
	app, err := s.Second.AddClient(ctx, server.NewClient{
		Name: "Flu Clinic", AuthMethod: umaas.AuthSecretBasic, RedirectURIs: []string{s.World.Clinic + "/callback"}, ClaimsRedirectURIs: []string{claims},
		GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken}, CheckedBy: secondName, Scopes: []string{"offline_access"},
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	second.App = AppIdentity{ClientID: string(app.ID), ClientSecret: app.Secret, ClaimsRedirectURI: claims}
	return s.World.Guard(ctx, http.DefaultTransport, home)
}

// mover is the person whose record the second server guards, as she signs in at the hospital.
func (w World) mover() (Credential, error) {
	for _, c := range w.People {
		if c.Login == secondLogin || w.People[0].Login != People[0].Login && c.Patient != "" {
			return c, nil
		}
	}
	return Credential{}, errors.New("nobody can move")
}

// Guard takes the steps by which a person, signed in at the hospital, lets the second server guard her record.
func (w World) Guard(ctx context.Context, transport http.RoundTripper, home Credential) error {
	v, err := NewVisitor(home.Name, "", transport)
	if err != nil {
		return err
	}
	if err := v.Open(ctx, w.RS+"/connect"); err != nil {
		return err
	}
	for range 4 {
		if v.Has("Make a link") {
			break
		}
		if err := v.Forward(ctx, home); err != nil {
			return err
		}
	}
	if err := v.Open(ctx, w.RS+"/guard"); err != nil {
		return err
	}
	fields := map[string]string{"address": w.Second.Issuer}
	if w.Second.Listed {
		fields = map[string]string{"issuer": w.Second.Issuer}
	}
	if err := v.Press(ctx, "Look it up", fields); err != nil {
		return err
	}
	if err := v.Press(ctx, "Let ", nil); err != nil {
		return err
	}
	for range 4 {
		if v.Page.URL.Path == "/guard" {
			return nil
		}
		if err := v.Forward(ctx, w.Second.Person); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s did not come back: %s", home.Name, clip(v.Page.Text, 300))
}

// elsewhere shows that a record guarded at the second server is asked for there, shared there, and stops there.
func (w *Walk) elsewhere(ctx context.Context, app *App, second Second) error {
	home, err := w.World.mover()
	if err != nil {
		return err
	}
	w.title("3. %s lets another server guard the record: %s", home.Name, second.Issuer)
	there := *app
	there.Elsewhere = map[string]AppIdentity{second.Issuer: second.App}
	person, err := NewVisitor(home.Name, w.World.Clinic, w.Transport)
	if err != nil {
		return err
	}
	link, err := w.resolve(ctx, person, home)
	if err != nil {
		return err
	}
	p, err := there.Ask(ctx, link, Scopes)
	if err := w.holds(err, p.AS == second.Issuer, "the same hospital answers with a ticket of the server %s chose: as_uri=%s", home.Name, p.AS); err != nil {
		return err
	}
	if p, err = there.Redeem(ctx, p); err != nil {
		return w.tell(err, "the app redeems the ticket there")
	}
	p, err = w.decide(ctx, &there, person, second.Person, p, "Share with", "See your allergies", "Add to your vaccinations")
	if err != nil {
		return err
	}
	if err := w.holds(nil, p.RPT != "", "that server gives the RPT"); err != nil {
		return err
	}
	launch, err := there.Context(ctx, link, p.RPT)
	if err := w.holds(err, launch.Patient == home.Patient, "the hospital takes it, for Patient/%s", launch.Patient); err != nil {
		return err
	}
	if err := w.access(ctx, &there, launch, p.RPT, "Condition"); err != nil {
		return err
	}
	other := url.Values{"patient": {w.World.People[0].Patient}}.Encode()
	status, _, err := there.FHIR(ctx, http.MethodGet, launch.FHIRBase+"/AllergyIntolerance?"+other, p.RPT, nil)
	return w.holds(err, status != http.StatusOK, "for anybody else's record it is worth nothing: %d", status)
}
