package demo

import (
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/umaas/umaas/resolver/client"
	"github.com/umaas/umaas/umaas/uma"
)

//go:embed clinic
var clinicFiles embed.FS

// Scopes is what the Flu Clinic needs, known ahead of time: the seed's own example.
const Scopes = "AllergyIntolerance.read Immunization.write"

// Clinic is the Flu Clinic: a small web app on an origin of its own. It reads allergies to choose a vaccine and adds the
// vaccination. Its sessions live in memory; it is an app to learn from, not a part of the server.
type Clinic struct {
	app      App
	base     string // origin of the app
	hospital string // origin of the resource server
	as       string // origin of its authorization server: forms of this app may lead there
	pages    *template.Template
	now      func() time.Time

	turn     sync.Mutex // one request at a time: an app to learn from needs no more
	mu       sync.Mutex
	sessions map[string]*visit
}

// visit is one browser's way through the app.
type visit struct {
	state     string
	context   string
	process   Process
	launch    Launch
	notice    string
	exchanges []Exchange
	touched   time.Time
}

const (
	clinicCookie = "flu_clinic"
	visitLife    = time.Hour
	mostVisits   = 1000
)

// NewClinic makes the app; app.ClaimsURI must be base + "/claims".
func NewClinic(app App, base, hospital, as string, now func() time.Time) (*Clinic, error) {
	pages, err := template.ParseFS(clinicFiles, "clinic/*.html")
	if err != nil {
		return nil, err
	}
	return &Clinic{app: app, base: base, hospital: hospital, as: as, pages: pages, now: now, sessions: map[string]*visit{}}, nil
}

// Handler is the app.
func (c *Clinic) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page)
	mux.HandleFunc("POST /start", c.start)
	mux.HandleFunc("POST /link", c.link)
	mux.HandleFunc("GET /resolved", c.resolved)
	mux.HandleFunc("GET /claims", c.claims)
	mux.HandleFunc("POST /look", c.look)
	mux.HandleFunc("POST /vaccination", c.vaccination)
	mux.HandleFunc("POST /disconnect", c.disconnect)
	mux.Handle("GET /clinic/", http.FileServerFS(clinicFiles))
	guard := http.NewCrossOriginProtection()
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' "+c.hospital+" "+c.as+"; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		c.turn.Lock()
		defer c.turn.Unlock()
		mux.ServeHTTP(w, r)
	}))
}

// start is step 1: to the hospital's resolution service, with a state that only this browser knows (flows.md A3).
func (c *Clinic) start(w http.ResponseWriter, r *http.Request) {
	v := c.fresh(w)
	v.state = random()
	q := url.Values{"redirect_uri": {c.base + "/resolved"}, "state": {v.state}, "client_id": {c.app.ClientID}}
	http.Redirect(w, r, c.hospital+"/resolve-uma-context/patient?"+q.Encode(), http.StatusSeeOther)
}

// link is the other way in: a connect link that was pasted.
func (c *Clinic) link(w http.ResponseWriter, r *http.Request) {
	v := c.fresh(w)
	link, err := client.Pasted(r.PostFormValue("link"), c.hospital)
	if err != nil {
		v.notice = "That is not a connect link of this hospital."
		c.home(w, r)
		return
	}
	v.context = link
	c.ask(w, r, v)
}

const notYours = "This answer does not belong to a question of yours. Start again."

// resolved is the way back from the resolution service.
func (c *Clinic) resolved(w http.ResponseWriter, r *http.Request) {
	v, ok := c.visit(r)
	if !ok {
		http.Error(w, notYours, http.StatusBadRequest)
		return
	}
	link, err := client.Return(r.URL.Query(), c.hospital, v.state)
	var said *client.ReturnError
	switch {
	case errors.As(err, &said):
		v.state, v.notice = "", "The hospital did not connect."
		c.home(w, r)
	case err != nil: // Grant §5.1: an unknown state is an error
		http.Error(w, notYours, http.StatusBadRequest)
	default:
		v.state, v.context = "", link
		c.ask(w, r, v)
	}
}

// ask posts all scopes once, up front, and carries the process on.
func (c *Clinic) ask(w http.ResponseWriter, r *http.Request, v *visit) {
	p, err := c.appFor(v).Ask(r.Context(), v.context, Scopes)
	if err != nil {
		v.notice = "The hospital does not know this link, or cannot be reached."
		c.home(w, r)
		return
	}
	c.redeem(w, r, v, p)
}

func (c *Clinic) redeem(w http.ResponseWriter, r *http.Request, v *visit, p Process) {
	next, err := c.appFor(v).Redeem(r.Context(), p)
	var ended *uma.Error
	switch {
	case errors.As(err, &ended) && ended.Code == "request_denied":
		v.process, v.notice = Process{}, "Access was not given. Please tell us in the clinic what we should know."
	case err != nil:
		v.process, v.notice = Process{}, "This took too long or was already used. Start again."
	case next.Redirect != "":
		v.process, v.state = next, random()
		http.Redirect(w, r, next.Redirect+"&state="+url.QueryEscape(v.state), http.StatusSeeOther)
		return
	case next.RPT != "":
		v.process, v.notice = next, ""
		v.launch, err = c.appFor(v).Context(r.Context(), v.context, next.RPT)
		if err != nil {
			v.notice = "The hospital did not tell us whose record this is."
		}
	default:
		v.process = next
	}
	c.home(w, r)
}

// claims is the way back from the authorization server: a new ticket, or an error (Grant §3.3.3).
func (c *Clinic) claims(w http.ResponseWriter, r *http.Request) {
	v, ok := c.visit(r)
	q := r.URL.Query()
	if !ok || v.state == "" || q.Get("state") != v.state {
		http.Error(w, notYours, http.StatusBadRequest)
		return
	}
	v.state = ""
	if q.Get("ticket") == "" {
		v.process, v.notice = Process{}, "You did not share anything with Flu Clinic."
		c.home(w, r)
		return
	}
	c.redeem(w, r, v, Process{AS: v.process.AS, Ticket: q.Get("ticket")})
}

// look polls once for the owner's answer.
func (c *Clinic) look(w http.ResponseWriter, r *http.Request) {
	v, ok := c.visit(r)
	if !ok || !v.process.Waiting {
		c.home(w, r)
		return
	}
	c.redeem(w, r, v, v.process)
}

// vaccination writes what was given today.
func (c *Clinic) vaccination(w http.ResponseWriter, r *http.Request) {
	v, ok := c.visit(r)
	if !ok || v.process.RPT == "" {
		c.home(w, r)
		return
	}
	status, _, err := c.appFor(v).FHIR(r.Context(), http.MethodPost, v.launch.FHIRBase+"/Immunization", v.process.RPT, object{
		"resourceType": "Immunization", "status": "completed", "patient": ref("Patient", v.launch.Patient), "primarySource": true,
		"vaccineCode": concept(cvx, "140", "Influenza, seasonal"), "occurrenceDateTime": c.now().UTC().Format(time.DateOnly),
		"lotNumber": clip(r.PostFormValue("lot"), 40),
	})
	switch {
	case err == nil && status == http.StatusCreated:
		v.notice = "The vaccination is in your record now."
	case err == nil && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		v.notice = "You did not allow us to add to your vaccinations, or you stopped sharing."
	default:
		v.notice = "The hospital cannot be reached. Nothing was written."
	}
	c.home(w, r)
}

func (c *Clinic) disconnect(w http.ResponseWriter, r *http.Request) {
	v, ok := c.visit(r)
	if ok && v.process.RPT != "" {
		if err := c.appFor(v).Revoke(r.Context(), v.process.AS, v.process.RPT); err != nil {
			v.notice = "Disconnected here. The server could not be told yet."
		} else {
			v.notice = "Disconnected."
		}
		v.process, v.launch, v.context = Process{}, Launch{}, ""
	}
	c.home(w, r)
}

func (c *Clinic) home(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// appFor is the app with this visit's log.
func (c *Clinic) appFor(v *visit) *App {
	a := c.app
	a.Log = func(e Exchange) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if v.exchanges = append(v.exchanges, e); len(v.exchanges) > 30 {
			v.exchanges = v.exchanges[1:]
		}
	}
	return &a
}

func (c *Clinic) visit(r *http.Request) (*visit, bool) {
	cookie, err := r.Cookie(clinicCookie)
	if err != nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.sessions[cookie.Value]
	if !ok || c.now().Sub(v.touched) > visitLife {
		return nil, false
	}
	v.touched = c.now()
	return v, true
}

func (c *Clinic) fresh(w http.ResponseWriter) *visit {
	id, v := random(), &visit{touched: c.now()}
	c.mu.Lock()
	for old, other := range c.sessions {
		if len(c.sessions) >= mostVisits || c.now().Sub(other.touched) > visitLife {
			delete(c.sessions, old)
		}
	}
	c.sessions[id] = v
	c.mu.Unlock()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // a loopback demo: browsers keep no Secure cookie there
		Name: clinicCookie, Value: id, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return v
}

func random() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}
