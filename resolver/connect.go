package resolver

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/qrpath"
)

// linksPage is PG-20: a person's links with what they are for and when they were used.
type linksPage struct {
	frame
	FormToken string
	Records   []recordCard
	Links     []linkRow
	Error     string
	Label     string
	Guard     bool // she can choose who guards her record
}

type linkRow struct {
	ID    string
	Label string
	About string // "Everything I may see here" or a record's title
	App   string // "" any
	Made  string
	Used  string // "" never
}

// maxLinks is how many links one person may have and see.
const maxLinks = 200

// maxLabel bounds a person's own word for a link, in bytes.
const maxLabel = 80

func (s *Resolver) showLinks(w http.ResponseWriter, r *http.Request) error {
	return s.renderLinks(w, r, "", "", http.StatusOK)
}

func (s *Resolver) renderLinks(w http.ResponseWriter, r *http.Request, label, problem string, status int) error {
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	if !signedIn {
		http.Redirect(w, r, "/signin", http.StatusSeeOther)
		return nil
	}
	p := linksPage{frame: s.signedInFrame("Connect links", u, cookie), FormToken: s.formToken(cookie, "connect"), Label: label, Error: problem}
	if p.Records, err = s.records(r.Context(), u.Key); err != nil {
		return err
	}
	if p.Alarm, err = s.alarm(r, u); err != nil {
		return err
	}
	p.Guard = s.cfg.Guardian != nil && u.Patient() != ""
	urls, err := s.cfg.State.ContextURLs(r.Context(), u.Key, maxLinks)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	slices.SortFunc(urls, func(a, b rs.ContextURL) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(string(a.Hash[:]), string(b.Hash[:])))
	})
	for _, c := range urls {
		p.Links = append(p.Links, s.row(r, c, p.Records))
	}
	if len(p.Records) > maxCards {
		p.Records = p.Records[:maxCards]
	}
	s.render(w, r, status, "connect.html", p)
	return nil
}

func (s *Resolver) signedInFrame(title string, u rs.User, cookie string) frame {
	f := s.frame(title)
	f.Person, f.Token = u.Name, s.formToken(cookie, "signout")
	if f.Person == "" {
		f.Person = "signed in"
	}
	return f
}

func (s *Resolver) row(r *http.Request, c rs.ContextURL, records []recordCard) linkRow {
	row := linkRow{ID: hex.EncodeToString(c.Hash[:]), Label: c.Label, About: "Everything I may see here", Made: day(c.Created)}
	if c.Level == rs.LevelPatient {
		row.About = "A record you can no longer see"
		for _, card := range records {
			if card.Patient == c.Patient {
				row.About = card.Title()
			}
		}
	}
	if !c.Used.IsZero() {
		row.Used = day(c.Used)
	}
	if c.Client != "" {
		row.App = "one app"
		if a, err := s.cfg.State.App(r.Context(), c.Client); err == nil {
			row.App = a.Name
		}
	}
	if row.Label == "" {
		row.Label = "Link of " + row.Made
	}
	return row
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// shown is a new link, kept sealed for a few minutes so that a page can show it after the form (SEC-101: 303 after POST).
type shown struct {
	User string
	Link string
}

const shownLife = 5 * time.Minute

func (s *Resolver) newLink(w http.ResponseWriter, r *http.Request) error {
	form, err := s.form(r, "about", "label")
	if err != nil {
		return err
	}
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	if !signedIn || !tokenEqual(form.Get("token"), s.formToken(cookie, "connect")) {
		return errStaleForm
	}
	label := strings.TrimSpace(form.Get("label"))
	if len(label) > maxLabel {
		return s.renderLinks(w, r, "", "Choose a shorter name.", http.StatusUnprocessableEntity)
	}
	patient, whole := "", form.Get("about") == "everything"
	if !whole {
		id, ok := strings.CutPrefix(form.Get("about"), "record:")
		if !ok || id == "" {
			return s.renderLinks(w, r, label, "Choose what the link is about.", http.StatusUnprocessableEntity)
		}
		patient = id
	}
	have, err := s.cfg.State.ContextURLs(r.Context(), u.Key, maxLinks)
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	if len(have) >= maxLinks {
		return s.renderLinks(w, r, label, "You have very many links. Remove some first.", http.StatusUnprocessableEntity)
	}
	link, err := s.cfg.Contexts.Mint(r.Context(), u.Key, patient, "", label)
	if errors.Is(err, rs.ErrNotKept) {
		return errNotFound
	}
	if err != nil {
		return err
	}
	handle, err := s.cfg.State.Keep(r.Context(), rs.KindShown, shown{User: u.Key, Link: link}, s.cfg.Now().Add(shownLife))
	if err != nil {
		return fmt.Errorf("keep link: %w", err)
	}
	http.Redirect(w, r, "/connect/link/"+handle, http.StatusSeeOther)
	return nil
}

// shownPage shows a new link once, as text and as a QR code for a phone (VS-05: on a white plate).
type shownPage struct {
	frame
	Link   string
	Size   int
	Path   string // of the dark modules, in an SVG of Size × Size
	Closes string
}

func (s *Resolver) showNewLink(w http.ResponseWriter, r *http.Request) error {
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	var link shown
	err = s.cfg.State.Look(r.Context(), rs.KindShown, r.PathValue("shown"), &link)
	if errors.Is(err, rs.ErrNotKept) || err == nil && (!signedIn || link.User != u.Key) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("read link: %w", err)
	}
	p := shownPage{frame: s.signedInFrame("Your new link", u, cookie), Link: link.Link}
	if p.Size, p.Path, err = qrpath.Path(link.Link); err != nil {
		return err
	}
	s.render(w, r, http.StatusOK, "link.html", p)
	return nil
}

// removeLink withdraws a link: from then on it does not exist for anybody. Permissions given on it are the owner's to stop
// at her authorization server; the page says so.
func (s *Resolver) removeLink(w http.ResponseWriter, r *http.Request) error {
	form, err := s.form(r, "link")
	if err != nil {
		return err
	}
	u, cookie, signedIn, err := s.person(r)
	if err != nil {
		return err
	}
	if !signedIn || !tokenEqual(form.Get("token"), s.formToken(cookie, "connect")) {
		return errStaleForm
	}
	var hash [32]byte
	raw, err := hex.DecodeString(form.Get("link"))
	if err != nil || copy(hash[:], raw) != len(hash) || len(raw) != len(hash) {
		return errNotFound
	}
	err = s.cfg.State.DropContextURL(r.Context(), u.Key, hash)
	if err != nil && !errors.Is(err, rs.ErrNotKept) {
		return fmt.Errorf("remove link: %w", err)
	}
	http.Redirect(w, r, "/connect", http.StatusSeeOther)
	return nil
}
