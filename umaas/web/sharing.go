package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/umaas/umaas/umaas"
)

// sharingView is PG-08.
type sharingView struct {
	People, Apps, Organizations, Ended []shareRow
}

// shareRow is one share in a list.
type shareRow struct {
	umaas.ShareView
	What summary
	Soon bool // ends within 14 days
}

const soon = 14 * 24 * time.Hour

func (s *Site) sharing(v *visit) error {
	shares, err := v.acts().Shares(v.Request.Context())
	if err != nil {
		return err
	}
	for i := range shares {
		shares[i].Records = v.worded(shares[i].Records)
	}
	return s.render(v, http.StatusOK, "sharing", frame{Title: "sharing.title", Here: "sharing"}, s.sortShares(shares))
}

func (s *Site) sortShares(shares []umaas.ShareView) sharingView {
	var d sharingView
	for _, share := range shares {
		r := s.rowOf(share)
		switch {
		case !share.InForce(s.Now()):
			d.Ended = append(d.Ended, r)
		case share.Origin == umaas.OriginConsent || share.Policy.Who.Kind == umaas.WhoClient:
			d.Apps = append(d.Apps, r)
		case share.Policy.Who.Kind == umaas.WhoClaim:
			d.Organizations = append(d.Organizations, r)
		default:
			d.People = append(d.People, r)
		}
	}
	return d
}

func (s *Site) rowOf(share umaas.ShareView) shareRow {
	left := share.NotAfter.Sub(s.Now())
	return shareRow{ShareView: share, What: summaryOf(share.Records, 3), Soon: !share.NotAfter.IsZero() && left > 0 && left < soon}
}

// Whom names the party: for a consent the app, which acts for the owner herself.
func (r shareRow) Whom() Name {
	if r.Origin == umaas.OriginConsent && r.App != nil {
		return name(r.App.Name)
	}
	if r.Who == "" {
		return "?"
	}
	return name(r.Who)
}

// Through is the app another person must use, if the share is bound to one.
func (r shareRow) Through() Name {
	if r.App == nil || r.Origin == umaas.OriginConsent || r.Policy.Who.Kind == umaas.WhoClient {
		return ""
	}
	return name(r.App.Name)
}

// shareView is PG-09 and its two pages Stop and Change.
type shareView struct {
	shareRow
	Blocks []record
	Live   bool
	Token  string
	Stop   string // token of the one tap that stops it
	Again  string // token of "share it again", "" where that is not possible
	Effect umaas.Effect
	Stay   []string        // change: purposes to choose from
	Chosen map[string]bool // of them
	Ends   []string
	answers
}

func (s *Site) ownShare(v *visit) (shareView, error) {
	share, err := v.acts().Share(v.Request.Context(), umaas.PolicyID(v.Param("id")))
	if err != nil {
		return shareView{}, err
	}
	share.Records = v.worded(share.Records)
	d := shareView{shareRow: s.rowOf(share), Blocks: recordsOf(share.Records, nil), Live: share.InForce(s.Now()), Effect: share.Stopped()}
	switch {
	case d.Live:
		d.Stop = v.formToken("stop "+string(d.ID), "")
	case s.restorable(share):
		d.Again = v.formToken("restore "+string(d.ID), "")
	}
	return d, nil
}

func (s *Site) share(v *visit) error {
	d, err := s.ownShare(v)
	if err != nil {
		return err
	}
	return s.render(v, http.StatusOK, "share", frame{Title: "share.page", Here: "sharing"}, d)
}

// stopPage says what ends, how fast, and what stays (UI-08).
func (s *Site) stopPage(v *visit) error {
	d, err := s.ownShare(v)
	if err != nil {
		return err
	}
	if !d.Live {
		return v.seeOther(v.me() + "/sharing/" + string(d.ID))
	}
	return s.render(v, http.StatusOK, "stop", frame{Title: "stop.page", Here: "sharing"}, d)
}

// stop works at once; stopping twice is stopping once.
func (s *Site) stop(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	id := umaas.PolicyID(v.Param("id"))
	if err := v.checkToken("stop "+string(id), ""); err != nil {
		return err
	}
	if _, _, err := v.acts().StopShare(v.Request.Context(), id, v.requestID()); err != nil {
		return err
	}
	v.leaveNotice("stopped")
	return v.seeOther(v.me() + "/sharing/" + string(id))
}

// changeEnds: "keep" leaves the end as it is; an end is only ever brought forward here (PG-09).
var changeEnds = []string{"keep", "day", "month", "year", "date"}

func (s *Site) changePage(v *visit) error {
	d, err := s.ownShare(v)
	if err != nil {
		return err
	}
	ticked := map[string]bool{}
	for _, id := range every(d.Records) { // what is shared already: the page takes away
		ticked[id] = true
	}
	return s.drawChange(v, http.StatusOK, d, answers{Ticked: ticked, Until: "keep"})
}

func (s *Site) drawChange(v *visit, status int, d shareView, a answers) error {
	if !d.Live {
		return v.seeOther(v.me() + "/sharing/" + string(d.ID))
	}
	d.answers, d.Ends = a, changeEnds
	if d.Stay = d.Purposes; len(d.Stay) == 0 {
		d.Stay = sharePurposes
	}
	d.Chosen = map[string]bool{}
	for _, p := range d.Purposes {
		d.Chosen[p] = v.form == nil
	}
	for _, p := range v.form["purpose"] {
		d.Chosen[p] = true
	}
	d.Blocks = recordsOf(d.Records, a.Ticked)
	d.Token = v.formToken("change "+string(d.ID), d.Version())
	return s.render(v, status, "change", frame{Title: "change.page", Here: "sharing", IsError: len(a.Problems) > 0}, d)
}

// change narrows at once. The core refuses anything wider.
func (s *Site) change(v *visit) error {
	if err := v.readForm(append([]string{"digest"}, untilFields...), "item", "purpose"); err != nil {
		return err
	}
	d, err := s.ownShare(v)
	if err != nil {
		return err
	}
	if err := v.checkToken("change "+string(d.ID), v.form.Get("digest")); err != nil {
		return err
	}
	if !d.Live {
		return v.seeOther(v.me() + "/sharing/" + string(d.ID))
	}
	a := v.answers()
	if len(a.Ticked) == 0 {
		a.Problems = append(a.Problems, problem{"items", "problem.nothing-left"})
	}
	if len(d.Purposes) > 0 && len(v.form["purpose"]) == 0 {
		a.Problems = append(a.Problems, problem{"purpose", "problem.purpose-left"})
	}
	var end time.Time // zero keeps the end
	if a.Until != "keep" {
		var problems []problem
		end, problems = v.until(changeEnds)
		if len(problems) == 0 && !d.NotAfter.IsZero() && end.After(d.NotAfter) {
			problems = []problem{{"until", "problem.longer"}}
		}
		a.Problems = append(a.Problems, problems...)
	}
	if len(a.Problems) > 0 {
		return s.drawChange(v, http.StatusUnprocessableEntity, d, a)
	}
	narrow := umaas.Narrowing{ByItems: true, Items: v.form["item"], Until: end, Purposes: v.form["purpose"], Version: v.form.Get("digest")}
	switch _, err := v.acts().NarrowShare(v.Request.Context(), d.ID, narrow, v.requestID()); {
	case errors.Is(err, umaas.ErrChanged): // in another window meanwhile (SEC-47)
		a.Problems = []problem{{"", "problem.changed"}}
		return s.drawChange(v, http.StatusConflict, d, a)
	case err != nil:
		return err
	}
	v.leaveNotice("changed")
	return v.seeOther(v.me() + "/sharing/" + string(d.ID))
}
