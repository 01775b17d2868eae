package web

import (
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// draft is the form of a new share, read, with what is wrong per step.
type draft struct {
	share    umaas.NewShare
	link     bool // somebody gets a link to take it up
	who      []segment
	items    []umaas.Item
	labels   []Name // of the records they are of, where there are several to choose from
	ticked   map[string]bool
	purposes map[string]bool
	problems map[string][]problem
}

const (
	maxLabel       = 80
	maxShareTerms  = 2000
	maxDoubleClick = time.Minute
)

func (d *draft) wrong(step, field, key string) {
	d.problems[step] = append(d.problems[step], problem{field, key})
}

// readDraft reads all answers. It never tells whether an account with an address exists (SEC-44).
func (s *Site) readDraft(v *visit, o shareOffer) draft {
	d := draft{ticked: map[string]bool{}, purposes: map[string]bool{}, problems: map[string][]problem{}}
	s.readWhom(v, o, &d)
	d.share.Items = map[umaas.ResourceID][]string{}
	for _, r := range o.records {
		for _, item := range r.Items {
			if slices.Contains(v.form["item"], item.ID) && !d.ticked[item.ID] {
				d.ticked[item.ID] = true
				d.items = append(d.items, item)
				d.share.Items[r.Resource.ID] = append(d.share.Items[r.Resource.ID], item.ID)
				if label := name(r.Label); len(o.records) > 1 && !slices.Contains(d.labels, label) {
					d.labels = append(d.labels, label)
				}
			}
		}
	}
	if len(d.items) == 0 {
		d.wrong("what", "items", "problem.nothing")
	}
	end, problems := v.until(shareEnds)
	d.share.Until, d.problems["until"] = end, problems
	for _, p := range v.form["purpose"] {
		if !slices.Contains(sharePurposes, p) {
			d.wrong("why", "purpose", "problem.purpose")
		} else if !d.purposes[p] {
			d.purposes[p] = true
			d.share.Purposes = append(d.share.Purposes, p)
		}
	}
	s.readRules(v, o, &d)
	return d
}

// readRules reads the conditions: all of them can be left as they are.
func (s *Site) readRules(v *visit, o shareOffer, d *draft) {
	switch v.form.Get("signin") {
	case "", "any":
	case "two":
		d.share.MinACR = umaas.ACRMultiFactor
	case "key":
		d.share.MinACR = umaas.ACRPhishingResistant
	default:
		d.wrong("rules", "signin", "problem.signin-kind")
	}
	if id := v.form.Get("through"); id != "" {
		if !slices.ContainsFunc(o.apps, func(a umaas.AppView) bool { return string(a.ID) == id }) {
			d.wrong("rules", "through", "problem.app")
		}
		d.share.Client = umaas.ClientID(id)
	}
	d.share.Terms = strings.TrimSpace(lines(v.form.Get("terms")))
	if utf8.RuneCountInString(d.share.Terms) > maxShareTerms {
		d.wrong("rules", "terms", "problem.terms")
	}
	if d.share.Label = strings.TrimSpace(v.form.Get("label")); utf8.RuneCountInString(d.share.Label) > maxLabel {
		d.wrong("rules", "label", "problem.label")
	}
}

func (s *Site) readWhom(v *visit, o shareOffer, d *draft) {
	whom := v.form.Get("whom")
	switch whom {
	case "person", "link":
		field := map[string]string{"person": "email", "link": "invitee"}[whom]
		address, ok := emailAddress(v.form.Get(field))
		if !ok {
			d.wrong("who", field, "problem.email")
		}
		d.link = whom == "link"
		d.share.Who = umaas.Who{Kind: umaas.WhoEmail, Email: address, Name: address}
		d.who = []segment{{Text: string(name(address)), Foreign: true}}
	case "app":
		i := slices.IndexFunc(o.apps, func(a umaas.AppView) bool { return string(a.ID) == v.form.Get("app") })
		if i < 0 {
			d.wrong("who", "app", "problem.app")
			return
		}
		d.share.Who = umaas.Who{Kind: umaas.WhoClient, Client: o.apps[i].ID, Name: o.apps[i].Name}
		d.who = []segment{{Text: string(name(o.apps[i].Name)), Foreign: true}}
	case "org", "role", "pro", "er":
		s.readStated(v, o, d, whom)
	default:
		d.wrong("who", "whom", "problem.whom")
	}
}

// readStated reads a party that a source states. Values are compared whole, so they are kept as they were written (SEC-41).
func (s *Site) readStated(v *visit, o shareOffer, d *draft, whom string) {
	i := slices.IndexFunc(o.stated, func(so statedOption) bool { return so.Whom == whom })
	if i < 0 {
		d.wrong("who", "whom", "problem.whom")
		return
	}
	from, ok := sourceByID(o.stated[i].Sources, v.form.Get(whom+"-source"))
	if !ok {
		d.wrong("who", whom+"-source", "problem.source")
	}
	value := "true"
	if whom == "er" {
		d.share.BreakGlass = true
	} else if value = strings.TrimSpace(v.form.Get(whom)); value == "" || utf8.RuneCountInString(value) > maxLabel {
		d.wrong("who", whom, "problem.stated")
	}
	shown := value
	if whom == "er" {
		shown = s.texts["states.er"]
	}
	d.share.Who = umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: from.issuer, Name: whom, Value: value}, Name: shown}
	if at := strings.TrimSpace(v.form.Get(whom + "-at")); at != "" && (whom == "role" || whom == "pro") {
		if utf8.RuneCountInString(at) > maxLabel {
			d.wrong("who", whom+"-at", "problem.words")
		}
		d.share.Also = []umaas.Claim{{Issuer: from.issuer, Name: "org", Value: at}}
	}
	if said, err := s.texts.say("meaning.who-"+whom, "value", name(value), "source", name(from.Name)); err == nil {
		d.who = said
	}
}

// meaning is what the answers so far will mean, in one or a few sentences.
func (s *Site) meaning(d draft, step int) ([]segment, error) {
	if step < 2 || len(d.problems["who"]) > 0 {
		return nil, nil
	}
	var out []segment
	say := func(key string, pairs ...any) error {
		more, err := s.texts.say(key, pairs...)
		if len(out) > 0 {
			out = append(out, segment{Text: " "})
		}
		out = append(out, more...)
		return err
	}
	what, err := s.joined(summaryWords(d.items))
	if err != nil {
		return nil, err
	}
	switch {
	case step == 2 || what == "":
		err = say("meaning.with", "who", d.who)
	case step == 3 || len(d.problems["until"]) > 0:
		err = say("meaning.may", "who", d.who, "what", what)
	case d.share.Until.IsZero():
		err = say("meaning.open", "who", d.who, "what", what)
	default:
		err = say("meaning.until", "who", d.who, "what", what, "date", d.share.Until.In(s.Zone).Add(-time.Nanosecond).Format("2 January 2006"))
	}
	if err != nil {
		return nil, err
	}
	for _, more := range s.conditions(d, step) {
		if err := say(more.key, more.pairs...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type sentence struct {
	key   string
	pairs []any
}

func (s *Site) conditions(d draft, step int) []sentence {
	var out []sentence
	if step > 2 {
		for _, label := range d.labels {
			out = append(out, sentence{"meaning.record", []any{"label", label}})
		}
	}
	if len(d.share.Also) > 0 {
		out = append(out, sentence{"meaning.at", []any{"value", name(d.share.Also[0].Value)}})
	}
	if d.share.BreakGlass {
		out = append(out, sentence{key: "meaning.emergency"})
	}
	if d.link {
		out = append(out, sentence{key: "meaning.link"})
	}
	if step > 4 && len(d.share.Purposes) > 0 {
		var why []string
		for _, p := range d.share.Purposes {
			why = append(why, lowerFirst(s.texts["purpose."+p]))
		}
		out = append(out, sentence{"meaning.why", []any{"why", strings.Join(why, ", ")}})
	}
	if step > 5 && d.share.MinACR != "" {
		out = append(out, sentence{key: map[string]string{umaas.ACRMultiFactor: "meaning.two", umaas.ACRPhishingResistant: "meaning.key"}[d.share.MinACR]})
	}
	if step > 5 && d.share.Terms != "" {
		out = append(out, sentence{key: "meaning.terms"})
	}
	return out
}

func summaryWords(items []umaas.Item) summary {
	return summaryOf([]umaas.RecordView{{Items: items}}, 3)
}

// joined lists what a summary says: "see your allergies, see your vaccinations, and 2 more".
func (s *Site) joined(what summary) (string, error) {
	if len(what.Words) == 0 {
		return "", nil
	}
	words := strings.Join(what.Words, ", ")
	if what.More == 0 {
		return words, nil
	}
	more, err := s.texts.plain("requests.more", "n", what.More)
	return words + " " + more, err
}

func emailAddress(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || len(s) > 254 || !strings.Contains(s, "@") {
		return "", false
	}
	return s, true
}
