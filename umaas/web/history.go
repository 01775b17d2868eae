package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

// historyView is PG-13: day → who → what, newest first.
type historyView struct {
	Form   historyForm
	Chart  chart
	Days   []day
	Next   string // address of the next page, "" at the end
	Export string // address of the file for programs
}

type day struct {
	Date   time.Time
	Groups []lookGroup
}

// lookGroup is one line: equal entries of one day by one actor, opening into single ones.
type lookGroup struct {
	Key      string // text key of the sentence
	Sentence []segment
	Access   bool
	Refused  bool
	Alarm    bool           // emergency access
	Why      umaas.PolicyID // the share that allowed it
	Actor    Name           // "" the reader herself
	App      Name
	Label    Name
	Kinds    []string // text keys of kinds of information
	Times    int
	From     time.Time
	To       time.Time
	Entries  []historyEntry
}

type historyEntry struct {
	Time  time.Time
	Count int
}

const (
	historyPage  = 100
	historyNames = 500 // entries whose names a filter offers
)

func (s *Site) history(v *visit) error {
	f, form, err := s.historyQuery(v)
	if err != nil {
		return err
	}
	ctx := v.Request.Context()
	newest, err := v.acts().History(ctx, umaas.HistoryFilter{Limit: historyNames})
	if err != nil {
		return err
	}
	form.offer(newest.Entries)
	d := historyView{Form: form, Export: form.address(s.Base+v.me()+"/history/export", umaas.Key{})}
	if d.Chart, err = s.chart(ctx, v); err != nil {
		return err
	}
	fr := frame{Title: "history.title", Here: "history"}
	if len(form.Problems) > 0 {
		fr.IsError = true
		return s.render(v, http.StatusUnprocessableEntity, "history", fr, d)
	}
	found, err := v.acts().History(ctx, f)
	if err != nil {
		return err
	}
	d.Days = s.days(v, found.Entries)
	if !found.Next.IsZero() {
		d.Next = form.address(s.Base+v.me()+"/history", found.Next)
	}
	return s.render(v, http.StatusOK, "history", fr, d)
}

// days groups entries that read the same.
func (s *Site) days(v *visit, entries []umaas.HistoryEntry) []day {
	var out []day
	for _, e := range settled(entries) {
		g, ok := s.groupOf(v, e)
		if !ok {
			continue
		}
		local := e.Time.In(s.Zone)
		date := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, s.Zone)
		if len(out) == 0 || !out[len(out)-1].Date.Equal(date) {
			out = append(out, day{Date: date})
		}
		today := &out[len(out)-1]
		i := slices.IndexFunc(today.Groups, func(o lookGroup) bool {
			return o.Key == g.Key && o.Actor == g.Actor && o.App == g.App && o.Label == g.Label && o.Why == g.Why && slices.Equal(o.Kinds, g.Kinds)
		})
		if i < 0 {
			today.Groups = append(today.Groups, g)
			continue
		}
		o := &today.Groups[i]
		o.Times, o.From, o.Entries = o.Times+1, e.Time, append(o.Entries, g.Entries...)
	}
	return out
}

// settled leaves out a write's intent where its outcome stands beside it: one write is one line. An intent alone is a
// write that was cut short, and stays.
func settled(entries []umaas.HistoryEntry) []umaas.HistoryEntry {
	const intent = "intent"
	done := map[string]bool{}
	for _, e := range entries {
		if e.Access != nil && e.Access.Reason != intent && e.RequestID != "" {
			done[e.RequestID+" "+e.Access.Interaction] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e umaas.HistoryEntry) bool {
		return e.Access != nil && e.Access.Reason == intent && done[e.RequestID+" "+e.Access.Interaction]
	})
}

// groupOf words one entry. Steps of the protocol that tell an owner nothing are left out.
func (s *Site) groupOf(v *visit, e umaas.HistoryEntry) (lookGroup, bool) {
	g := lookGroup{
		Key: "history." + e.Type, Actor: name(e.ActorName), App: name(e.AppName), Label: name(e.Label), Times: 1, From: e.Time, To: e.Time,
		Entries: []historyEntry{{Time: e.Time}},
	}
	if e.Access != nil {
		g.Access, g.Refused = true, e.Access.Outcome != "success"
		g.Key = "history.access." + verbOf(e.Access.Interaction)
		if g.Refused {
			g.Key = "history.access.refused"
		}
		for _, kind := range e.Access.Types {
			if key := s.countKey(kind); !slices.Contains(g.Kinds, key) {
				g.Kinds = append(g.Kinds, key)
			}
		}
		g.Entries[0].Count = e.Access.Count
	}
	if shareTold[e.Type] && !g.Refused {
		g.Why = e.Policy
	}
	g.Alarm = e.Type == umaas.EventEmergency
	switch {
	case e.Actor != "" && e.Actor == v.person.ID:
		g.Actor = ""
		g.Key += ".you"
	case g.Actor == "" && g.App != "":
		g.Actor, g.App = g.App, ""
		g.Key += ".other"
	default:
		g.Key += ".other"
	}
	if !s.texts.has(g.Key) {
		return lookGroup{}, false
	}
	var err error
	if g.Sentence, err = s.sentence(v, g); err != nil {
		s.Logger.Error("history sentence", "key", g.Key, "error", err)
		return lookGroup{}, false
	}
	return g, true
}

// shareTold are the events whose policy is a share that explains them.
var shareTold = map[string]bool{
	umaas.EventAccess: true, umaas.EventEmergency: true, umaas.EventRequestAllowed: true, umaas.EventConsentGiven: true, umaas.EventShareCreated: true,
	umaas.EventShareNarrowed: true, umaas.EventShareStopped: true, umaas.EventShareRestored: true, umaas.EventInviteAccepted: true,
}

// sentence fills the words of one line.
func (s *Site) sentence(v *visit, g lookGroup) ([]segment, error) {
	var what []string
	for _, kind := range g.Kinds {
		words := s.texts[kind+".name"]
		if v.principal != nil {
			words = others(words)
		}
		what = append(what, words)
	}
	if len(what) == 0 {
		what = []string{s.texts["history.whole"]}
	}
	actor, app := g.Actor, g.App
	if actor == "" {
		actor = Name(s.texts["history.someone"])
	}
	if app == "" {
		app = Name(s.texts["history.an-app"])
	}
	return s.texts.say(g.Key, "actor", actor, "app", app, "what", strings.Join(what, ", "))
}

// verbOf puts a FHIR interaction into one of the verbs of PG-13.
func verbOf(interaction string) string {
	switch interaction {
	case "create":
		return "added"
	case "update", "patch":
		return "changed"
	case "delete":
		return "deleted"
	}
	return "looked"
}
