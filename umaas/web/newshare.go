package web

import (
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/umaas/umaas/umaas"
)

// shareSteps are the pages of a new share, one decision each (UI-01, PG-10). Nothing is kept between them but the form itself:
// every answer travels along, and every page checks all of them anew.
var shareSteps = []string{"who", "what", "until", "why", "rules", "check"}

// stepFields are the fields a step shows; the others travel hidden.
var stepFields = map[string][]string{
	"who": {
		"whom", "email", "invitee", "org", "org-source", "role", "role-source", "role-at", "pro", "pro-source", "pro-at", "er-source", "app",
	},
	"what": {"item"}, "until": untilFields, "why": {"purpose"}, "rules": {"signin", "through", "terms", "label"}, "check": nil,
}

// shareFields are all single fields of the form.
func shareFields() []string {
	fields := []string{"step", "seen"}
	for _, step := range shareSteps {
		for _, f := range stepFields[step] {
			if f != "item" && f != "purpose" {
				fields = append(fields, f)
			}
		}
	}
	return fields
}

var (
	shareEnds     = []string{"day", "month", "year", "date", "none"}
	sharePurposes = []string{"TREAT", "FAMRQT", "PATRQT", "HRESCH", "HPAYMT", "HOPERAT", "HQUALIMP", "PWATRNY", "PUBHLTH"}
	shareSignIns  = []string{"any", "two", "key"}
)

// newShareView is one of the pages of PG-10.
type newShareView struct {
	Token    string
	Step     string
	Number   int // of the step, from 1
	Of       int
	Editing  bool // from the last page: Continue leads back there
	Meaning  []segment
	Records  []record
	Any      bool // there is something to share
	Apps     []umaas.AppView
	Stated   []statedOption
	Ends     []string
	Purposes []string
	SignIns  []string
	Hidden   []hidden
	Form     map[string]string
	Chosen   map[string]bool // purposes
	Check    *umaas.ShareView
	Blocks   []record
	Link     bool
	Seen     string
	answers
}

type hidden struct{ Name, Value string }

// statedOption is a kind of party that a source states: an organization, a role, a profession, emergency staff.
type statedOption struct {
	Whom    string
	Sources []source
}

func (s *Site) newSharePage(v *visit) error {
	o, err := s.shareOffer(v)
	if err != nil {
		return err
	}
	v.form = url.Values{"seen": {o.newest}}
	return s.drawNewShare(v, http.StatusOK, o, s.readDraft(v, o), "who", nil, false)
}

// newShare reads the form and goes to the next page, back, to a page to change, to the answers to check, or makes the share.
func (s *Site) newShare(v *visit) error {
	if err := v.readForm(shareFields(), "item", "purpose"); err != nil {
		return err
	}
	if err := v.checkToken("share", v.form.Get("seen")); err != nil {
		return err
	}
	o, err := s.shareOffer(v)
	if err != nil {
		return err
	}
	at := slices.Index(shareSteps, v.form.Get("step"))
	answer := v.form.Get("answer")
	if at < 0 || o.records == nil {
		return errOutOfDate
	}
	d := s.readDraft(v, o)
	edit, editing := strings.CutPrefix(answer, "edit-")
	switch {
	case answer == "back":
		return s.drawNewShare(v, http.StatusOK, o, d, shareSteps[max(at-1, 0)], nil, false)
	case editing && slices.Contains(shareSteps[:len(shareSteps)-1], edit):
		return s.drawNewShare(v, http.StatusOK, o, d, edit, nil, true)
	case answer == "next" && at < len(shareSteps)-1:
	case answer == "check", answer == "share":
		at = len(shareSteps) - 1
	default:
		return errOutOfDate
	}
	for _, step := range shareSteps[:min(at+1, len(shareSteps)-1)] {
		if problems := d.problems[step]; len(problems) > 0 {
			return s.drawNewShare(v, http.StatusUnprocessableEntity, o, d, step, problems, answer == "check")
		}
	}
	if answer == "share" {
		return s.makeShare(v, o, d)
	}
	return s.drawNewShare(v, http.StatusOK, o, d, shareSteps[min(at+1, len(shareSteps)-1)], nil, false)
}

// shareOffer is what a new share can be made of.
type shareOffer struct {
	records []umaas.RecordView
	apps    []umaas.AppView
	stated  []statedOption
	newest  string // the newest share and link: what a form made later has not seen
	last    *umaas.ShareView
	invited *umaas.InvitationView
}

func (s *Site) shareOffer(v *visit) (shareOffer, error) {
	var o shareOffer
	ctx := v.Request.Context()
	records, err := v.acts().Shareable(ctx)
	if err != nil {
		return o, err
	}
	o.records = v.worded(records)
	shares, err := v.acts().Shares(ctx)
	if err != nil {
		return o, err
	}
	links, err := v.acts().Invitations(ctx)
	if err != nil {
		return o, err
	}
	if len(shares) > 0 {
		o.last, o.newest = &shares[0], string(shares[0].ID)
	}
	if len(links) > 0 {
		o.invited = &links[0]
		o.newest += " " + links[0].Key.String()
	}
	if o.stated, err = s.statedOptions(v); err != nil {
		return o, err
	}
	requests, err := v.acts().Inbox(ctx, umaas.Key{})
	if err != nil && (v.principal == nil || !errors.Is(err, umaas.ErrNotFound)) { // who shares for her need not see her requests
		return o, err
	}
	o.apps = knownApps(shares, requests)
	return o, nil
}

// knownApps are the apps an owner has met, by name.
func knownApps(shares []umaas.ShareView, requests []umaas.RequestView) []umaas.AppView {
	known := map[umaas.ClientID]umaas.AppView{}
	for _, share := range shares {
		if share.App != nil {
			known[share.App.ID] = *share.App
		}
	}
	for _, r := range requests {
		if r.App.ID != "" {
			known[r.App.ID] = r.App
		}
	}
	apps := make([]umaas.AppView, 0, len(known))
	for _, a := range known {
		apps = append(apps, a)
	}
	sort.Slice(apps, func(i, j int) bool { return apps[i].Name+string(apps[i].ID) < apps[j].Name+string(apps[j].ID) })
	return apps
}

func (s *Site) drawNewShare(v *visit, status int, o shareOffer, d draft, step string, problems []problem, editing bool) error {
	view := newShareView{
		Token: v.formToken("share", v.form.Get("seen")), Step: step, Number: slices.Index(shareSteps, step) + 1, Of: len(shareSteps), Editing: editing,
		Records: recordsOf(o.records, d.ticked), Any: len(o.records) > 0, Apps: o.apps, Stated: o.stated, Ends: shareEnds, Purposes: sharePurposes,
		SignIns: shareSignIns, Form: map[string]string{}, Chosen: d.purposes, Link: d.link, Seen: v.form.Get("seen"), answers: v.answers(),
	}
	for _, f := range shareFields() {
		view.Form[f] = v.form.Get(f)
	}
	for _, other := range shareSteps {
		if other == step {
			continue
		}
		for _, f := range stepFields[other] {
			for _, value := range v.form[f] {
				view.Hidden = append(view.Hidden, hidden{f, value})
			}
		}
	}
	if step == "check" {
		check, wrong, err := s.checkShare(v, d)
		if err != nil {
			return err
		}
		if len(wrong) > 0 {
			return s.drawNewShare(v, http.StatusUnprocessableEntity, o, d, "who", wrong, true)
		}
		view.Check, view.Blocks = &check, recordsOf(v.worded(check.Records), nil)
	}
	var err error
	if view.Meaning, err = s.meaning(d, view.Number); err != nil {
		return err
	}
	view.Problems = problems
	return s.render(v, status, "newshare", frame{Title: "newshare.title", Here: "sharing", IsError: len(problems) > 0}, view)
}

// checkShare lets the core judge the share without making it.
func (s *Site) checkShare(v *visit, d draft) (umaas.ShareView, []problem, error) {
	check, err := v.acts().CheckShare(v.Request.Context(), d.share)
	switch {
	case errors.Is(err, umaas.ErrOwnInterest):
		return check, []problem{{"whom", "trouble.own-interest"}}, nil
	case errors.Is(err, umaas.ErrBadAnswer) && d.share.Who.Kind == umaas.WhoClient:
		return check, []problem{{"app", "problem.app-alone"}}, nil
	}
	return check, nil, err
}

// makeShare makes the share or the link. A second press of the button finds what the first one made.
func (s *Site) makeShare(v *visit, o shareOffer, d draft) error {
	check, wrong, err := s.checkShare(v, d)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return s.drawNewShare(v, http.StatusUnprocessableEntity, o, d, "who", wrong, true)
	}
	again := v.form.Get("seen") != o.newest
	if d.link {
		if again && o.invited != nil && sameShare(check.Policy, o.invited.Policy) {
			return v.seeOther(v.me() + "/invitations/" + o.invited.Key.String())
		}
		return s.invite(v, d)
	}
	if again && o.last != nil && o.last.InForce(s.Now()) && sameShare(check.Policy, o.last.Policy) {
		return v.seeOther(v.me() + "/sharing/" + url.PathEscape(string(o.last.ID)))
	}
	id, err := v.acts().CreateShare(v.Request.Context(), d.share, v.requestID())
	if err != nil {
		return err
	}
	v.leaveNotice("shared")
	return v.seeOther(v.me() + "/sharing/" + url.PathEscape(string(id)))
}

// sameShare compares what two policies give; their ends differ by the time between two presses.
func sameShare(p, q umaas.Policy) bool {
	return p.Who == q.Who && p.Client == q.Client && reflect.DeepEqual(p.Rules, q.Rules) && slices.Equal(p.Purposes, q.Purposes) && p.Label == q.Label &&
		p.NotAfter.IsZero() == q.NotAfter.IsZero() && p.NotAfter.Sub(q.NotAfter).Abs() < maxDoubleClick
}
