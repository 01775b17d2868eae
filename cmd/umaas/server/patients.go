package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/fhir"
	fhirstore "github.com/umaas/umaas/fhir/store"
	rs "github.com/umaas/umaas/resourceserver"
)

// listing keeps the sorted ids of all patients for a short while: reconciliation walks them often, and no server lists them
// in order of id.
type listing struct {
	read func(context.Context) ([]string, error)
	now  func() time.Time

	mu  sync.Mutex
	ids []string
	at  time.Time
}

const directoryLife = 10 * time.Second

// PatientIDs implements resourceserver.PatientDirectory.
func (l *listing) PatientIDs(ctx context.Context, after string, limit int) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil || l.now().Sub(l.at) > directoryLife {
		ids, err := l.read(ctx)
		if err != nil {
			return nil, fmt.Errorf("list patients: %w", err)
		}
		slices.Sort(ids)
		l.ids, l.at = slices.Compact(ids), l.now()
	}
	i, found := slices.BinarySearch(l.ids, after)
	if found {
		i++
	}
	return slices.Clone(l.ids[i:min(i+limit, len(l.ids))]), nil
}

// embeddedPatients answers from the embedded FHIR server directly.
type embeddedPatients struct {
	*listing
	store *fhirstore.Store
}

var _ rs.PatientDirectory = embeddedPatients{}

func newEmbeddedPatients(store *fhirstore.Store, now func() time.Time) embeddedPatients {
	return embeddedPatients{store: store, listing: &listing{now: now, read: func(ctx context.Context) ([]string, error) {
		var ids []string
		for r, err := range store.Patients(ctx) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, r.ID())
		}
		return ids, nil
	}}}
}

// Patient implements resourceserver.PatientDirectory.
func (e embeddedPatients) Patient(_ context.Context, id string) (rs.PatientName, error) {
	r, err := e.store.Read("Patient", id)
	if err != nil {
		return rs.PatientName{}, fmt.Errorf("%w: %w", rs.ErrNotKept, err)
	}
	return nameOf(r), nil
}

// upstreamPatients asks a foreign FHIR server with the gateway's own credential.
type upstreamPatients struct {
	*listing
	upstream rs.Upstream
}

var _ rs.PatientDirectory = upstreamPatients{}

func newUpstreamPatients(upstream rs.Upstream, now func() time.Time) upstreamPatients {
	u := upstreamPatients{upstream: upstream}
	u.listing = &listing{now: now, read: u.list}
	return u
}

const directoryPages = 10_000

func (u upstreamPatients) list(ctx context.Context) ([]string, error) {
	var ids []string
	query := "_count=200&_elements=id"
	for range directoryPages {
		res, err := u.upstream.Do(ctx, rs.UpstreamRequest{Method: http.MethodGet, Path: "Patient", Query: query})
		if err != nil {
			return nil, err
		}
		var page struct {
			Entry []struct {
				Resource struct {
					Type string `json:"resourceType"`
					ID   string `json:"id"`
				} `json:"resource"`
			} `json:"entry"`
			Link []struct{ Relation, URL string } `json:"link"`
		}
		if err := json.Unmarshal(res.Body, &page); err != nil || res.Status != http.StatusOK {
			return nil, fmt.Errorf("upstream answered %d", res.Status)
		}
		for _, e := range page.Entry {
			if e.Resource.Type == "Patient" {
				ids = append(ids, e.Resource.ID)
			}
		}
		next := ""
		for _, l := range page.Link {
			if l.Relation == "next" {
				next = l.URL
			}
		}
		if next == "" {
			return ids, nil
		}
		if query, err = queryOf(next); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the upstream's pages do not end")
}

// queryOf keeps the query of a continuation alone: the address itself is the gateway's configuration, not the upstream's
// word (SEC-90).
func queryOf(link string) (string, error) {
	parsed, err := url.Parse(link)
	if err != nil {
		return "", fmt.Errorf("continuation: %w", err)
	}
	return parsed.RawQuery, nil
}

// Patient implements resourceserver.PatientDirectory.
func (u upstreamPatients) Patient(ctx context.Context, id string) (rs.PatientName, error) {
	res, err := u.upstream.Do(ctx, rs.UpstreamRequest{Method: http.MethodGet, Path: "Patient/" + url.PathEscape(id)})
	if err != nil {
		return rs.PatientName{}, fmt.Errorf("read patient: %w", err)
	}
	if res.Status != http.StatusOK {
		return rs.PatientName{}, rs.ErrNotKept
	}
	r, err := fhir.Parse(res.Body)
	if err != nil {
		return rs.PatientName{}, fmt.Errorf("read patient: %w", err)
	}
	return nameOf(r), nil
}

// nameOf is how people call a patient: given names, then family name.
func nameOf(r *fhir.Resource) rs.PatientName {
	var p struct {
		BirthDate string `json:"birthDate"`
		Name      []struct {
			Text, Family string
			Given        []string
		} `json:"name"`
	}
	if err := json.Unmarshal(r.Raw(), &p); err != nil {
		return rs.PatientName{Name: r.ID()}
	}
	out := rs.PatientName{Name: r.ID()}
	if len(p.Name) > 0 {
		n := p.Name[0]
		if out.Name = n.Text; out.Name == "" {
			out.Name = strings.TrimSpace(strings.Join(append(n.Given, n.Family), " "))
		}
	}
	if len(p.BirthDate) >= 4 {
		out.BirthYear = p.BirthDate[:4]
	}
	return out
}
