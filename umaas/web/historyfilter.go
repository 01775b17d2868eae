package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"time"

	"github.com/umaas/umaas/umaas"
)

// historyKinds are what people choose among, as the events of the core.
var historyKinds = map[string][]string{
	"looks":     {umaas.EventAccess},
	"emergency": {umaas.EventEmergency, umaas.EventEmergencyEnded},
	"requests": {
		umaas.EventRequestSubmitted, umaas.EventRequestRepeated, umaas.EventRequestAllowed, umaas.EventRequestRefused, umaas.EventRequestWithdrawn,
		umaas.EventRequestDenied, umaas.EventAnswerUndone,
	},
	"sharing": {
		umaas.EventConsentGiven, umaas.EventConsentRefused, umaas.EventShareCreated, umaas.EventShareNarrowed, umaas.EventShareStopped,
		umaas.EventShareExported, umaas.EventShareRestored, umaas.EventInvited, umaas.EventInviteAccepted, umaas.EventInviteEnded,
	},
	"people": {umaas.EventDelegationMade, umaas.EventDelegationEnded},
}

var historyKindOrder = []string{"looks", "emergency", "requests", "sharing", "people"}

// historyForm is the filter as a page shows it.
type historyForm struct {
	Kind, Who, App, Record, Share, From, To string
	Kinds                                   []string
	People, Apps, Records                   []choice
	Set                                     bool // something is chosen
	Problems                                []problem
}

// choice is one entry of a list to choose from; ids are random and tell nothing (PS-06).
type choice struct{ ID, Name string }

var historyFields = []string{"kind", "who", "app", "record", "share", "from", "to"}

// historyQuery reads the filter from the address. It is no secret, and no name stands in it.
func (s *Site) historyQuery(v *visit) (umaas.HistoryFilter, historyForm, error) {
	q := v.Request.URL.Query()
	f := umaas.HistoryFilter{Limit: historyPage, Party: umaas.AccountID(q.Get("who")), Client: umaas.ClientID(q.Get("app")), Policy: umaas.PolicyID(q.Get("share"))}
	form := historyForm{
		Kind: q.Get("kind"), Who: q.Get("who"), App: q.Get("app"), Record: q.Get("record"), Share: q.Get("share"), From: q.Get("from"), To: q.Get("to"),
		Kinds: historyKindOrder,
	}
	for _, field := range historyFields {
		form.Set = form.Set || q.Get(field) != ""
	}
	if form.Kind != "" {
		kinds, known := historyKinds[form.Kind]
		if !known {
			return f, form, errNoPage
		}
		f.Kinds = kinds
	}
	f.Resource = umaas.ResourceID(form.Record)
	var err error
	if at := q.Get("before"); at != "" {
		if f.Before, err = umaas.ParseKey(at); err != nil {
			return f, form, errors.Join(errNoPage, err)
		}
	}
	for _, end := range []struct {
		field, text string
		to          *time.Time
		days        int
	}{{"from", form.From, &f.From, 0}, {"to", form.To, &f.To, 1}} {
		if end.text == "" {
			continue
		}
		day, err := time.ParseInLocation(time.DateOnly, end.text, s.Zone)
		if err != nil {
			form.Problems = append(form.Problems, problem{end.field, "problem.history-date"})
			continue
		}
		*end.to = day.AddDate(0, 0, end.days)
	}
	if !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To) {
		form.Problems = append(form.Problems, problem{"from", "problem.history-order"})
	}
	return f, form, nil
}

// address is this filter as the address of a page.
func (f historyForm) address(path string, before umaas.Key) string {
	q := url.Values{}
	for field, value := range map[string]string{"kind": f.Kind, "who": f.Who, "app": f.App, "record": f.Record, "share": f.Share, "from": f.From, "to": f.To} {
		if value != "" {
			q.Set(field, value)
		}
	}
	if !before.IsZero() {
		q.Set("before", before.String())
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// offer fills the lists to choose from with whom and what the newest entries name.
func (f *historyForm) offer(entries []umaas.HistoryEntry) {
	people, apps, records := map[string]string{}, map[string]string{}, map[string]string{}
	for _, e := range entries {
		people[string(e.Actor)], apps[string(e.Client)], records[string(e.Resource)] = e.ActorName, e.AppName, e.Label
	}
	f.People, f.Apps, f.Records = choices(people), choices(apps), choices(records)
}

func choices(names map[string]string) []choice {
	var out []choice
	for id, n := range names {
		if id != "" && n != "" {
			out = append(out, choice{id, string(name(n))})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name+out[i].ID < out[j].Name+out[j].ID })
	return out
}

// exportHistory writes what the filter shows as a file for programs; its name holds the date alone (PS-06).
func (s *Site) exportHistory(v *visit) error {
	f, form, err := s.historyQuery(v)
	if err != nil {
		return err
	}
	if len(form.Problems) > 0 {
		return errNoPage
	}
	f.Before = umaas.Key{}
	if _, err := v.acts().History(v.Request.Context(), umaas.HistoryFilter{Limit: 1}); err != nil {
		return err // before the first byte: an error needs a status of its own
	}
	v.Header("Content-Type", "application/x-ndjson")
	v.Header("Content-Disposition", fmt.Sprintf(`attachment; filename="history-%s.ndjson"`, s.Now().In(s.Zone).Format(time.DateOnly)))
	v.Status(http.StatusOK)
	if err := v.acts().ExportHistory(v.Request.Context(), f, v.Writer); err != nil {
		s.Logger.Error("export history", "request_id", v.requestID(), "error", err)
	}
	return nil
}
