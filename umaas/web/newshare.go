package web

import (
	"errors"
	"net/http"
	"net/mail"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// newShareView is PG-10 as one well-ordered form, then a page of answers to check (UI-12).
type newShareView struct {
	Token   string
	Records []record
	Apps    []umaas.AppView // known from earlier shares and requests
	Ends    []string
	Check   *newShareCheck // nil: the form
	Form    map[string]string
	answers
}

// newShareCheck is the page "check your answers".
type newShareCheck struct {
	Who   Name
	App   *umaas.AppView
	Items []umaas.Item
	Until time.Time
	IDs   []string
}

var (
	shareEnds     = []string{"day", "month", "year", "date", "none"}
	shareFields   = []string{"whom", "email", "app", "label", "purpose"}
	sharePurposes = map[string]bool{"": true, "TREAT": true, "FAMRQT": true, "HRESCH": true}
)

const maxLabel = 80

func (s *Site) newSharePage(v *visit) error {
	records, apps, err := s.shareable(v)
	if err != nil {
		return err
	}
	return s.drawNewShare(v, http.StatusOK, records, newShareView{Apps: apps})
}

// shareable reads what could be shared, and the apps the owner knows.
func (s *Site) shareable(v *visit) ([]umaas.RecordView, []umaas.AppView, error) {
	ctx := v.Request.Context()
	records, err := v.acts().Shareable(ctx)
	if err != nil {
		return nil, nil, err
	}
	records = v.worded(records)
	shares, err := v.acts().Shares(ctx)
	if err != nil {
		return nil, nil, err
	}
	known := map[umaas.ClientID]umaas.AppView{}
	for _, share := range shares {
		if share.App != nil {
			known[share.App.ID] = *share.App
		}
	}
	apps := make([]umaas.AppView, 0, len(known))
	for _, a := range known {
		apps = append(apps, a)
	}
	sort.Slice(apps, func(i, j int) bool { return apps[i].Name+string(apps[i].ID) < apps[j].Name+string(apps[j].ID) })
	return records, apps, nil
}

func (s *Site) drawNewShare(v *visit, status int, records []umaas.RecordView, d newShareView) error {
	d.Token, d.Records, d.Ends = v.formToken("share", ""), recordsOf(records, d.Ticked), shareEnds
	if d.Form == nil {
		d.Form = map[string]string{"whom": "person", "email": "", "app": "", "label": "", "purpose": ""}
	}
	page := "newshare"
	if d.Check != nil {
		page = "checkshare"
	}
	return s.render(v, status, page, frame{Title: "newshare.title", Here: "sharing", IsError: len(d.Problems) > 0}, d)
}

// newShare reads the form. "check" shows the answers, "edit" the form again, "share" makes the share: every time the whole
// form is checked anew, so that nothing rests on the page before.
func (s *Site) newShare(v *visit) error {
	if err := v.readForm(append(append([]string{}, shareFields...), untilFields...), "item"); err != nil {
		return err
	}
	if err := v.checkToken("share", ""); err != nil {
		return err
	}
	records, apps, err := s.shareable(v)
	if err != nil {
		return err
	}
	d := newShareView{Apps: apps, answers: v.answers(), Form: map[string]string{}}
	for _, field := range shareFields {
		d.Form[field] = v.form.Get(field)
	}
	if v.form.Get("answer") == "edit" {
		return s.drawNewShare(v, http.StatusOK, records, d)
	}
	n, check, problems := s.readNewShare(v, records, apps)
	if d.Problems = problems; len(problems) > 0 {
		return s.drawNewShare(v, http.StatusUnprocessableEntity, records, d)
	}
	switch v.form.Get("answer") {
	case "check":
		d.Check = &check
		return s.drawNewShare(v, http.StatusOK, records, d)
	case "share":
	default:
		return errOutOfDate
	}
	id, err := v.acts().CreateShare(v.Request.Context(), n, v.requestID())
	if errors.Is(err, umaas.ErrBadAnswer) && n.Who.Kind == umaas.WhoClient {
		d.Problems = []problem{{"app", "problem.app-alone"}}
		return s.drawNewShare(v, http.StatusUnprocessableEntity, records, d)
	}
	if err != nil {
		return err
	}
	v.leaveNotice("shared")
	return v.seeOther(v.me() + "/sharing/" + string(id))
}

// readNewShare turns the form into a share. The answer does not tell whether an account with that address exists (SEC-44).
func (s *Site) readNewShare(v *visit, records []umaas.RecordView, apps []umaas.AppView) (n umaas.NewShare, check newShareCheck, problems []problem) {
	switch v.form.Get("whom") {
	case "person":
		address, ok := emailAddress(v.form.Get("email"))
		if !ok {
			problems = append(problems, problem{"email", "problem.email"})
		}
		n.Who = umaas.Who{Kind: umaas.WhoEmail, Email: address, Name: address}
		check.Who = name(address)
	case "app":
		for _, a := range apps {
			if string(a.ID) == v.form.Get("app") {
				n.Who = umaas.Who{Kind: umaas.WhoClient, Client: a.ID, Name: a.Name}
				check.Who, check.App = name(a.Name), &a
			}
		}
		if check.App == nil {
			problems = append(problems, problem{"app", "problem.app"})
		}
	default:
		problems = append(problems, problem{"whom", "problem.whom"})
	}
	n.Items = map[umaas.ResourceID][]string{}
	for _, r := range records {
		for _, item := range r.Items {
			for _, id := range v.form["item"] {
				if id == item.ID {
					n.Items[r.Resource.ID] = append(n.Items[r.Resource.ID], id)
					check.Items, check.IDs = append(check.Items, item), append(check.IDs, id)
				}
			}
		}
	}
	if len(check.Items) == 0 {
		problems = append(problems, problem{"items", "problem.nothing"})
	}
	end, wrong := v.until(shareEnds)
	n.Until, check.Until, problems = end, end, append(problems, wrong...)
	if n.Label = strings.TrimSpace(v.form.Get("label")); utf8.RuneCountInString(n.Label) > maxLabel {
		problems = append(problems, problem{"label", "problem.label"})
	}
	switch p := v.form.Get("purpose"); {
	case !sharePurposes[p]:
		problems = append(problems, problem{"purpose", "problem.purpose"})
	case p != "":
		n.Purposes = []string{p}
	}
	return n, check, problems
}

func emailAddress(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > 254 || !strings.Contains(s, "@") {
		return "", false
	}
	return s, true
}
