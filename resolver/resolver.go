package resolver

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
)

// Config is everything the pages need; only Logger, CookieName, Limiter and Guardian may be left out.
type Config struct {
	Base       string // {rs}: origin of this resource server, no closing slash
	Name       string // {Hospital}: what people call it
	State      rs.State
	SignIn     *rs.SignIn
	Contexts   *rs.ContextURLs
	Relations  *rs.AdministeredRelations
	Patients   rs.PatientDirectory
	Guardian   *rs.Guardian // nil: people cannot choose who guards their records
	FormKey    []byte       // 32 bytes of secret configuration for form tokens
	CookieName string       // default "umaas-rs"; give every role of a machine its own: cookies ignore ports
	Limiter    *rs.AddressLimiter
	Now        func() time.Time
	Logger     *slog.Logger
}

// Resolver serves the pages.
type Resolver struct {
	cfg    Config
	pages  *template.Template
	secure bool
	style  asset
}

//go:embed templates/*.html static/style.css
var files embed.FS

// New checks cfg.
func New(cfg Config) (*Resolver, error) {
	base, err := url.Parse(cfg.Base)
	switch {
	case err != nil || base.Host == "" || base.Path != "":
		return nil, errors.New("resolver: Base must be an origin such as https://hospital.example, without path")
	case cfg.State == nil || cfg.SignIn == nil || cfg.Contexts == nil || cfg.Relations == nil || cfg.Patients == nil || cfg.Now == nil:
		return nil, errors.New("resolver: State, SignIn, Contexts, Relations, Patients and Now are required")
	case cfg.Name == "":
		return nil, errors.New("resolver: Name is required")
	case len(cfg.FormKey) != 32:
		return nil, errors.New("resolver: FormKey must have 32 bytes")
	}
	if cfg.CookieName == "" {
		cfg.CookieName = "umaas-rs"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	pages, err := template.ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	style, err := loadAsset(files, "static/style.css")
	if err != nil {
		return nil, err
	}
	return &Resolver{cfg: cfg, pages: pages, secure: base.Scheme == "https", style: style}, nil
}

// Routes are the paths Handler serves, as http.ServeMux patterns, for the wiring.
func Routes() []string {
	return []string{"/resolve-uma-context/", "/resolve/", "/signin", "/signin/", "/signout", "/connect", "/connect/", "/guard", "/guard/", staticPath}
}

// Handler is the one route table of the pages.
func (s *Resolver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /resolve-uma-context/user", s.page(s.start(rs.LevelUser)))
	mux.HandleFunc("GET /resolve-uma-context/patient", s.page(s.start(rs.LevelPatient)))
	mux.HandleFunc("GET /resolve/{flow}", s.page(s.showFlow))
	mux.HandleFunc("POST /resolve/{flow}", s.page(s.answerFlow))
	mux.HandleFunc("POST /resolve/{flow}/signin", s.page(s.signInFlow))
	mux.HandleFunc("GET /signin", s.page(s.showSignIn))
	mux.HandleFunc("POST /signin", s.page(s.signInConnect))
	mux.HandleFunc("GET "+rs.CallbackPath, s.page(s.callback))
	mux.HandleFunc("POST /signout", s.page(s.signOut))
	mux.HandleFunc("GET /connect", s.page(s.showLinks))
	mux.HandleFunc("POST /connect", s.page(s.newLink))
	mux.HandleFunc("GET /connect/link/{shown}", s.page(s.showNewLink))
	mux.HandleFunc("POST /connect/remove", s.page(s.removeLink))
	mux.HandleFunc("GET /guard", s.page(s.showGuard))
	mux.HandleFunc("POST /guard", s.page(s.findGuard))
	mux.HandleFunc("GET /guard/check/{step}", s.page(s.showGuardCheck))
	mux.HandleFunc("POST /guard/check/{step}", s.page(s.answerGuardCheck))
	mux.HandleFunc("GET "+rs.GuardBack+"{issuer}", s.page(s.guardBack))
	mux.HandleFunc("POST /guard/renew", s.page(s.renewGuard))
	mux.HandleFunc("POST /guard/return", s.page(s.returnGuard))
	mux.HandleFunc("POST /guard/people", s.page(s.guardPeople))
	mux.HandleFunc("GET "+staticPath+"{name}", s.style.serve)
	mux.HandleFunc("/", s.page(func(http.ResponseWriter, *http.Request) error { return errNotFound }))
	// Forms come from these pages alone (PS-03); the cookie is SameSite=Lax, and each form has a token of its own besides.
	return http.NewCrossOriginProtection().Handler(mux)
}

// page wraps a handler that returns errors: headers before, the one error page after.
func (s *Resolver) page(next func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.headers(w, "'self'")
		if s.cfg.Limiter != nil && !s.cfg.Limiter.Allow(r) {
			w.Header().Set("Retry-After", "60")
			s.fail(w, r, errTooMany)
			return
		}
		if err := next(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

// person is who is signed in; ok is false for nobody.
func (s *Resolver) person(r *http.Request) (u rs.User, cookie string, ok bool, err error) {
	c, missing := r.Cookie(s.cookieName("session"))
	if missing != nil {
		return rs.User{}, "", false, nil //nolint:nilerr // no cookie: nobody is signed in
	}
	u, err = s.cfg.SignIn.Session(r.Context(), c.Value)
	if errors.Is(err, rs.ErrNotKept) {
		return rs.User{}, "", false, nil
	}
	return u, c.Value, err == nil, err
}

// cookieName is __Host- bound on https; plain on a loopback demo, which browsers keep no Secure cookies for (PS-10).
func (s *Resolver) cookieName(role string) string {
	if s.secure {
		return "__Host-" + s.cfg.CookieName + "-" + role
	}
	return s.cfg.CookieName + "-" + role
}

func (s *Resolver) setCookie(w http.ResponseWriter, role, value string, life time.Duration) {
	c := &http.Cookie{ //nolint:gosec // Secure wherever the base is https; browsers keep no Secure cookie for a loopback demo
		Name: s.cookieName(role), Value: value, Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds()),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// records are the patients a person may see, as cards (PG-04).
func (s *Resolver) records(ctx context.Context, user string) ([]recordCard, error) {
	seen, err := s.cfg.Relations.Seen(ctx, user)
	if err != nil {
		return nil, err
	}
	cards := make([]recordCard, 0, min(len(seen), maxCards))
	for _, p := range seen {
		card := recordCard{Patient: p.Patient, Self: p.Self, Relation: p.Kind, Label: p.Label}
		name, err := s.cfg.Patients.Patient(ctx, p.Patient)
		if errors.Is(err, rs.ErrNotKept) {
			continue
		}
		if err != nil {
			return nil, err
		}
		card.Name, card.BirthYear = name.Name, name.BirthYear
		cards = append(cards, card)
	}
	return cards, nil
}

// maxCards is how many records are shown at once; with more, people search by name (PG-04).
const maxCards = 20

type recordCard struct {
	Patient   string
	Self      bool
	Name      string
	Label     string
	Relation  string
	BirthYear string
	Checked   bool
}

// Title is the card's first line.
func (c recordCard) Title() string {
	switch {
	case c.Self:
		return "My own record"
	case c.Label != "":
		return c.Label
	default:
		return c.Name
	}
}

// Detail is the card's second line: name, relation, year of birth, as far as known.
func (c recordCard) Detail() string {
	var parts []string
	if c.Self || c.Label != "" {
		parts = append(parts, c.Name)
	}
	if c.Relation != "" {
		parts = append(parts, c.Relation)
	}
	if c.BirthYear != "" {
		parts = append(parts, "born "+c.BirthYear)
	}
	return strings.Join(parts, " · ")
}
