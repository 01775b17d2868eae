package web

import (
	"errors"
	"net/http"

	"github.com/umaas/umaas/umaas"
)

// homeView is PG-07: what needs the owner first, then what is shared, then who looked.
type homeView struct {
	umaas.HomeView
	First  []umaas.RequestView // at most three
	Soon   []shareRow
	Looks  []lookGroup
	Nobody bool // nothing shared, nothing waiting: what to do first
}

func (s *Site) home(v *visit) error {
	h, err := v.acts().Home(v.Request.Context())
	if err != nil {
		return err
	}
	d := homeView{HomeView: h}
	for _, r := range h.Waiting {
		if s.waits(r) && !stranger(r) && len(d.First) < 3 {
			d.First = append(d.First, r)
		}
	}
	for _, share := range h.Shares {
		if row := s.rowOf(share); row.Soon && share.InForce(s.Now()) {
			d.Soon = append(d.Soon, row)
		}
	}
	entries, err := v.acts().History(v.Request.Context(), umaas.HistoryFilter{Kinds: []string{umaas.EventAccess}, Limit: historyPage})
	if err != nil && (v.principal == nil || !errors.Is(err, umaas.ErrNotFound)) { // who acts for her need not read her history
		return err
	}
	for _, day := range s.days(v, entries.Entries) {
		for _, g := range day.Groups {
			if g.Access && len(d.Looks) < 5 {
				d.Looks = append(d.Looks, g)
			}
		}
	}
	d.Nobody = len(h.Waiting) == 0 && len(h.Emergencies) == 0 && h.People+h.Apps+h.Organizations == 0
	return s.render(v, http.StatusOK, "home", frame{Title: "home.title", Here: "home"}, d)
}
