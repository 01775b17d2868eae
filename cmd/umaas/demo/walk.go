package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas/pop"
)

// Walk runs the main job against the live servers as a sequence of real HTTP exchanges, and tells each step. It ends with
// the first step that does not hold.
type Walk struct {
	World     World
	Out       io.Writer
	Transport http.RoundTripper
	DPoP      bool // the app binds its RPTs to a key

	step int
}

// walkScopes is what the other person's app asks for; the owner will leave the medicines out.
const walkScopes = Scopes + " MedicationRequest.read"

// Run takes the whole way.
func (w *Walk) Run(ctx context.Context) error {
	if len(w.World.People) < 2 {
		return errors.New("the walk needs two people with accounts")
	}
	owner, other := w.World.People[0], w.World.People[1]
	app := &App{
		ClientID: w.World.App.ClientID, Secret: w.World.App.ClientSecret, ClaimsURI: w.World.App.ClaimsRedirectURI,
		HTTP: &http.Client{Transport: w.Transport, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if w.DPoP {
		var err error
		if app.Key, err = pop.NewKey(rand.Reader); err != nil {
			return err
		}
	}
	w.title("1. %s connects the Flu Clinic with an own record", owner.Name)
	link, err := w.self(ctx, app, owner)
	if err != nil {
		return err
	}
	w.title("2. %s asks for %s's record", other.Name, owner.Name)
	if err := w.another(ctx, app, owner, other, link); err != nil || w.World.Second == nil {
		return err
	}
	return w.elsewhere(ctx, app, *w.World.Second)
}

// self is the streamlined way: resolver, one request with all scopes, consent, RPT, read and write.
func (w *Walk) self(ctx context.Context, app *App, owner Credential) (string, error) {
	person, err := NewVisitor(owner.Name, w.World.Clinic, w.Transport)
	if err != nil {
		return "", err
	}
	link, err := w.resolve(ctx, person, owner)
	if err != nil {
		return "", err
	}
	p, err := app.Ask(ctx, link, Scopes)
	if err := w.tell(err, "the app posts its scopes once, “%s”, and gets 401 with a permission ticket", Scopes); err != nil {
		return "", err
	}
	p, err = app.Redeem(ctx, p)
	if err := w.holds(err, p.Redirect != "", "the ticket alone is not enough: need_info, with a place to send %s", owner.Name); err != nil {
		return "", err
	}
	p, err = w.decide(ctx, app, person, owner, p, "Share with", "See your allergies", "Add to your vaccinations")
	if err != nil {
		return "", err
	}
	if err := w.holds(nil, p.RPT != "", "the new ticket gives an RPT"); err != nil {
		return "", err
	}
	return link, w.use(ctx, app, link, p.RPT)
}

// resolve leads the person through the resolution service.
func (w *Walk) resolve(ctx context.Context, person *Visitor, who Credential) (string, error) {
	state := random()
	q := url.Values{"redirect_uri": {w.World.App.RedirectURI}, "state": {state}, "client_id": {w.World.App.ClientID}}
	err := person.Open(ctx, w.World.Resolver.Patient+"?"+q.Encode())
	if err := w.tell(err, "the app sends %s to the resolution service", who.Name); err != nil {
		return "", err
	}
	if err := person.Settle(ctx, who); err != nil {
		return "", w.tell(err, "%s signs in and chooses a record", who.Name)
	}
	back, err := url.Parse(person.Page.Left)
	if err != nil {
		return "", err
	}
	link := back.Query().Get("resolved")
	return link, w.holds(nil, link != "" && back.Query().Get("state") == state,
		"%s signs in, chooses a record, and comes back with an opaque context URL and the app's state", who.Name)
}

// decide leads the person through the claims interaction endpoint and redeems the ticket she brings back.
func (w *Walk) decide(ctx context.Context, app *App, person *Visitor, who Credential, p Process, button string, ticks ...string) (Process, error) {
	state := random()
	if err := person.Open(ctx, p.Redirect+"&state="+state); err != nil {
		return Process{}, w.tell(err, "%s opens the authorization server", who.Name)
	}
	for !person.Has(button) {
		if err := person.Forward(ctx, who); err != nil {
			return Process{}, w.tell(err, "%s is asked", who.Name)
		}
	}
	err := person.Press(ctx, button, map[string]string{"until": "today", "purpose": "PATRQT"}, ticks...)
	if err := w.tell(err, "%s reads what is asked in plain words and presses “%s …”", who.Name, button); err != nil {
		return Process{}, err
	}
	back, err := url.Parse(person.Page.Left)
	if err != nil {
		return Process{}, err
	}
	if err := w.holds(nil, back.Query().Get("state") == state && back.Query().Get("ticket") != "" && back.Query().Get("ticket") != p.Ticket,
		"%s returns to the app with a new ticket and the app's state", who.Name); err != nil {
		return Process{}, err
	}
	return app.Redeem(ctx, Process{AS: p.AS, Ticket: back.Query().Get("ticket")})
}

// use shows what the RPT allows and what it does not.
func (w *Walk) use(ctx context.Context, app *App, link, rpt string) error {
	launch, err := app.Context(ctx, link, rpt)
	if err := w.holds(err, launch.Patient != "", "with the RPT, the context URL tells whose record it is: Patient/%s", launch.Patient); err != nil {
		return err
	}
	if err := w.bound(ctx, app, launch, rpt); err != nil {
		return err
	}
	return w.access(ctx, app, launch, rpt, "Condition")
}

// bound shows that a copied RPT is worth nothing without the key (RFC 9449).
func (w *Walk) bound(ctx context.Context, app *App, launch Launch, rpt string) error {
	if app.Key == nil {
		return nil
	}
	thief := *app
	target := launch.FHIRBase + "/AllergyIntolerance?patient=" + launch.Patient
	thief.Key = nil
	status, _, err := thief.FHIR(ctx, http.MethodGet, target, rpt, nil)
	if err := w.holds(err, status == http.StatusUnauthorized, "the RPT is bound to the app's key: a copy of it, sent as a bearer token, is refused: %d", status); err != nil {
		return err
	}
	if thief.Key, err = pop.NewKey(rand.Reader); err != nil {
		return err
	}
	status, _, err = thief.FHIR(ctx, http.MethodGet, target, rpt, nil)
	return w.holds(err, status == http.StatusUnauthorized, "and with proof of another key: %d", status)
}

func (w *Walk) access(ctx context.Context, app *App, launch Launch, rpt, outside string) error {
	status, body, err := app.FHIR(ctx, http.MethodGet, launch.FHIRBase+"/AllergyIntolerance?patient="+launch.Patient, rpt, nil)
	if err := w.holds(err, status == http.StatusOK, "reading allergies is allowed: %d, %d found", status, rows(body)); err != nil {
		return err
	}
	status, _, err = app.FHIR(ctx, http.MethodGet, launch.FHIRBase+"/"+outside+"?patient="+launch.Patient, rpt, nil)
	if err := w.holds(err, status == http.StatusUnauthorized, "reading %s, which was not granted, is refused: %d with a new ticket", outside, status); err != nil {
		return err
	}
	status, _, err = app.FHIR(ctx, http.MethodPost, launch.FHIRBase+"/Immunization", rpt, object{
		"resourceType": "Immunization", "status": "completed", "patient": ref("Patient", launch.Patient), "primarySource": true,
		"vaccineCode": concept(cvx, "140", "Influenza, seasonal"), "occurrenceDateTime": day(Epoch),
	})
	return w.holds(err, status == http.StatusCreated, "writing a vaccination is allowed: %d", status)
}

// another is the asynchronous way: the owner is asked, narrows, and withdraws.
func (w *Walk) another(ctx context.Context, app *App, owner, other Credential, link string) error {
	p, err := app.Ask(ctx, link, walkScopes)
	if err := w.tell(err, "with a context URL that %s passed on, the app asks for “%s”", owner.Name, walkScopes); err != nil {
		return err
	}
	p, err = app.Redeem(ctx, p)
	if err := w.holds(err, p.Redirect != "", "need_info: who is asking?"); err != nil {
		return err
	}
	asking, err := NewVisitor(other.Name, w.World.Clinic, w.Transport)
	if err != nil {
		return err
	}
	p, err = w.decide(ctx, app, asking, other, p, "Send these details")
	if err := w.holds(err, p.Waiting && p.Ticket != "", "nobody has allowed this yet: request_submitted, look again in %d s", p.Interval); err != nil {
		return err
	}
	boss, err := NewVisitor(owner.Name, "", w.Transport)
	if err != nil {
		return err
	}
	if err := w.approve(ctx, boss, owner); err != nil {
		return err
	}
	p, err = app.Redeem(ctx, p)
	if err := w.holds(err, p.RPT != "", "the app looks again and gets an RPT for exactly what was allowed"); err != nil {
		return err
	}
	launch, err := app.Context(ctx, link, p.RPT)
	if err := w.tell(err, "the RPT opens the record of Patient/%s", launch.Patient); err != nil {
		return err
	}
	if err := w.access(ctx, app, launch, p.RPT, "MedicationRequest"); err != nil {
		return err
	}
	return w.withdraw(ctx, app, boss, launch, p.RPT)
}

// approve is the owner's narrowed answer in her dashboard.
func (w *Walk) approve(ctx context.Context, boss *Visitor, owner Credential) error {
	err := boss.Open(ctx, w.World.Issuer+"/me/requests")
	for err == nil && boss.Has("Sign in") {
		err = boss.Forward(ctx, owner)
	}
	if err == nil {
		err = boss.Follow(ctx, "/me/requests/")
	}
	if err := w.tell(err, "%s finds the request among the own pages", owner.Name); err != nil {
		return err
	}
	err = boss.Press(ctx, "Allow what I ticked", map[string]string{"until": "day"}, "See your allergies", "Add to your vaccinations")
	return w.tell(err, "%s allows the allergies and adding to the vaccinations, and leaves the medicines out", owner.Name)
}

// withdraw stops the share; the next request is refused.
func (w *Walk) withdraw(ctx context.Context, app *App, boss *Visitor, launch Launch, rpt string) error {
	err := boss.Open(ctx, w.World.Issuer+"/me/sharing")
	if err == nil {
		err = boss.Follow(ctx, "/me/sharing/")
	}
	if err == nil {
		err = boss.Open(ctx, boss.Page.URL.String()+"/stop")
	}
	if err == nil {
		err = boss.Press(ctx, "Stop sharing", nil)
	}
	if err := w.tell(err, "the owner stops sharing"); err != nil {
		return err
	}
	var status int
	for range 40 { // an introspection may be remembered for 500 ms
		if status, _, err = app.FHIR(ctx, http.MethodGet, launch.FHIRBase+"/AllergyIntolerance?patient="+launch.Patient, rpt, nil); err != nil || status != http.StatusOK {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	return w.holds(err, status == http.StatusUnauthorized, "the next look is refused: %d", status)
}

func (w *Walk) title(format string, args ...any) {
	_, _ = fmt.Fprintf(w.Out, "\n"+format+"\n", args...) // a broken terminal shows in the command's own output
}

func (w *Walk) tell(err error, format string, args ...any) error {
	return w.holds(err, true, format, args...)
}

func (w *Walk) holds(err error, held bool, format string, args ...any) error {
	w.step++
	said := fmt.Sprintf(format, args...)
	if err == nil && held {
		_, err := fmt.Fprintf(w.Out, "  ✓ %s\n", said)
		return err
	}
	if err == nil {
		err = errors.New("it did not hold")
	}
	_, _ = fmt.Fprintf(w.Out, "  ✗ %s\n", said) // the error below carries the same
	return fmt.Errorf("step %d (%s): %w", w.step, said, err)
}

func rows(body []byte) int {
	var b struct {
		Entry []json.RawMessage `json:"entry"`
	}
	if json.Unmarshal(body, &b) != nil {
		return -1
	}
	return len(b.Entry)
}
