package server

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/cmd/umaas/control"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/scopes"
)

// RelationView is a row of "who may see whom", as arguments of relation-add and as an answer.
type RelationView struct {
	Subject string // a user's key at this resource server, or the FHIR resource she is: Practitioner/7
	Patient string
	Kind    string
	Label   string
	Scopes  string
	Holder  bool
	Until   time.Time
}

// RelationFilter chooses rows: of a subject, of a patient, or the one of both.
type RelationFilter struct {
	Subject, Patient string
}

// AppView is an app the resolution service may send people back to.
type AppView struct {
	ClientID     string
	Name         string
	RedirectURIs []string
	Checked      bool
}

// Operations are what an operator can ask of the resource server.
func (r *RS) Operations() control.Operations {
	return control.Operations{
		"relation-add":    control.Op(r.addRelation),
		"relation-list":   control.Op(r.listRelations),
		"relation-drop":   control.Op(r.dropRelation),
		"app-add":         control.Op(r.addApp),
		"app-list":        control.Op(r.listApps),
		"app-drop":        control.Op(r.dropApp),
		"explain-request": control.Op(r.explainRequest),
	}
}

func (r *RS) addRelation(ctx context.Context, v RelationView) (RelationView, error) {
	if v.Scopes == "" {
		return v, errors.New("a relation needs scopes: what may the subject see? For example patient/*.rs")
	}
	v.Patient = strings.TrimPrefix(v.Patient, "Patient/")
	set, _ := scopes.ParseSet(v.Scopes)
	if err := r.Relations.Put(ctx, rs.Relation(v)); err != nil {
		return v, err
	}
	v.Scopes = set.String()
	return v, nil
}

func (r *RS) dropRelation(ctx context.Context, f RelationFilter) (RelationFilter, error) {
	f.Patient = strings.TrimPrefix(f.Patient, "Patient/")
	_, err := r.State.Relation(ctx, f.Subject, f.Patient)
	if errors.Is(err, rs.ErrNotKept) {
		return f, fmt.Errorf("no relation of %q to patient %q; `umaas relation list` shows them", f.Subject, f.Patient)
	}
	if err != nil {
		return f, err
	}
	return f, r.Relations.Drop(ctx, f.Subject, f.Patient)
}

func (r *RS) listRelations(ctx context.Context, f RelationFilter) ([]RelationView, error) {
	f.Patient = strings.TrimPrefix(f.Patient, "Patient/")
	out := []RelationView{}
	switch {
	case f.Subject == "" && f.Patient == "":
		return nil, errors.New("whose relations? Name a subject, a patient, or both")
	case f.Subject != "" && f.Patient != "":
		one, err := r.State.Relation(ctx, f.Subject, f.Patient)
		if errors.Is(err, rs.ErrNotKept) {
			return out, nil
		}
		return append(out, RelationView(one)), err
	}
	page, next := r.State.RelationsBySubject, func(v rs.Relation) string { return v.Patient }
	of := f.Subject
	if f.Patient != "" {
		page, next, of = r.State.RelationsByPatient, func(v rs.Relation) string { return v.Subject }, f.Patient
	}
	for after := ""; ; {
		rows, err := page(ctx, of, after, pageSize)
		if err != nil || len(rows) == 0 {
			return out, err
		}
		for _, row := range rows {
			out = append(out, RelationView(row))
		}
		after = next(rows[len(rows)-1])
	}
}

func (r *RS) addApp(ctx context.Context, v AppView) (AppView, error) {
	if v.ClientID == "" || v.Name == "" {
		return v, errors.New("an app needs a client id and a name")
	}
	if len(v.RedirectURIs) == 0 {
		return v, errors.New("an app needs a redirect URI: people are sent nowhere else (SEC-02)")
	}
	for _, uri := range v.RedirectURIs {
		if !redirectable(uri) {
			return v, fmt.Errorf("redirect URI %q: want an absolute https URL without fragment (http on loopback alone)", uri)
		}
	}
	return v, r.State.PutApp(ctx, rs.App(v))
}

// redirectable takes https, http on loopback, and the private-use schemes of native apps (RFC 8252 §7.1).
func redirectable(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || strings.Contains(uri, "#") {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		return loopback(u.Hostname())
	default:
		return strings.Contains(u.Scheme, ".") && u.Opaque == ""
	}
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

func (r *RS) listApps(ctx context.Context, _ struct{}) ([]AppView, error) {
	out := []AppView{}
	for after := ""; ; {
		page, err := r.State.Apps(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, a := range page {
			out = append(out, AppView(a))
		}
		after = page[len(page)-1].ClientID
	}
}

func (r *RS) dropApp(ctx context.Context, n Named) (Named, error) {
	err := r.State.DropApp(ctx, n.Name)
	if errors.Is(err, rs.ErrNotKept) {
		return n, fmt.Errorf("no app has the client id %q; `umaas app list` shows them", n.Name)
	}
	return n, err
}
