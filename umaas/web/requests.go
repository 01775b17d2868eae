package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sort"
	"time"

	"github.com/umaas/umaas/umaas"
)

// requestsView is PG-11: emergency access first, then known and checked senders, strangers folded.
type requestsView struct {
	Emergencies []umaas.RequestView
	Waiting     []asker
	Strangers   []umaas.RequestView
	Answered    []umaas.RequestView
	Others      []umaas.DelegatedRequest // what waits with those for whom this person answers
}

// asker is what one party has waiting: the newest request, the others folded under it (SEC-46).
type asker struct {
	First umaas.RequestView
	More  []umaas.RequestView
}

// byParty groups requests by who asks, newest first.
func byParty(list []umaas.RequestView) []asker {
	var out []asker
	for _, r := range list {
		i := slices.IndexFunc(out, func(a asker) bool { return a.First.Party.Account == r.Party.Account })
		if i < 0 {
			out = append(out, asker{First: r})
		} else {
			out[i].More = append(out[i].More, r)
		}
	}
	return out
}

const maxStrangers = 20

func (s *Site) requests(v *visit) error {
	list, err := v.acts().Inbox(v.Request.Context(), umaas.Key{})
	if err != nil {
		return err
	}
	var d requestsView
	var waiting []umaas.RequestView
	for _, r := range list {
		switch {
		case r.EmergencyNotice():
			d.Emergencies = append(d.Emergencies, r)
		case !s.waits(r):
			d.Answered = append(d.Answered, r)
		case stranger(r):
			if len(d.Strangers) < maxStrangers {
				d.Strangers = append(d.Strangers, r)
			}
		default:
			waiting = append(waiting, r)
		}
	}
	d.Waiting = byParty(waiting)
	if v.principal == nil {
		if d.Others, err = s.Service.DelegatedInbox(v.Request.Context(), v.person.ID); err != nil {
			return err
		}
	}
	return s.render(v, http.StatusOK, "requests", frame{Title: "requests.title", Here: "requests"}, d)
}

// waits: a request whose time is over is not answered any more, whatever its state says.
func (s *Site) waits(r umaas.RequestView) bool {
	return r.State == umaas.RequestWaiting && s.Now().Before(r.Expires)
}

// stranger is somebody without a proved address asking through an app nobody checked (UI-07).
func stranger(r umaas.RequestView) bool {
	return r.App.Dynamic && r.App.CheckedBy == "" && r.PartyEmail == ""
}

// waiting counts for the menu: known and checked senders only (PG-11, SEC-46).
func (v *visit) waiting() int {
	list, err := v.acts().Inbox(v.Request.Context(), umaas.Key{})
	if err != nil {
		return 0 // the page itself will say what is wrong
	}
	n := 0
	for _, r := range list {
		if v.site.waits(r) && !stranger(r) {
			n++
		}
	}
	return n
}

// requestView is PG-12.
type requestView struct {
	umaas.RequestView
	Token   string
	Blocks  []record
	Ends    []string
	Open    bool
	Heading []segment // the sentence "{who} asks to see your allergies"
	Preview preview
	Silent  string
	Stated  []stated
	undoBar
	answers
}

// preview says what the request would show today: counts per kind of information, never content.
type preview struct {
	Asked   bool // of the ticked lines; otherwise of everything asked
	Failed  bool
	Entries []previewEntry
}

type previewEntry struct {
	Type  string
	Count int
}

const previewTime = 3 * time.Second

var requestEnds = []string{"day", "month", "year", "date", "none"}

func (s *Site) request(v *visit) error {
	r, err := s.ownRequest(v)
	if err != nil {
		return err
	}
	return s.drawRequest(v, http.StatusOK, r, answers{}, s.preview(v, r, nil))
}

func (s *Site) ownRequest(v *visit) (umaas.RequestView, error) {
	key, err := umaas.ParseKey(v.Param("key"))
	if err != nil {
		return umaas.RequestView{}, errors.Join(errNoPage, err)
	}
	r, err := v.acts().RequestView(v.Request.Context(), key)
	r.Records = v.worded(r.Records)
	return r, err
}

func (s *Site) drawRequest(v *visit, status int, r umaas.RequestView, a answers, p preview) error {
	r.App.Host = "" // nobody goes back to the app from here
	heading, err := s.asks(r)
	if err != nil {
		return err
	}
	said, err := s.statedOf(v, r.Party.Claims)
	if err != nil {
		return err
	}
	d := requestView{
		Stated:      said,
		RequestView: r, Heading: heading, Token: v.formToken("request "+r.Key.String(), r.Digest), Blocks: recordsOf(r.Records, a.Ticked), Ends: requestEnds,
		Open: s.waits(r), Preview: p, Silent: v.form.Get("silent"), undoBar: s.undoBarOf(v, r), answers: a,
	}
	return s.render(v, status, "request", frame{Title: "request.page", Here: "requests", IsError: len(a.Problems) > 0}, d)
}

// asks is the request as one sentence (UI-02): who, and the first two things.
func (s *Site) asks(r umaas.RequestView) ([]segment, error) {
	who, what := name(r.PartyName), summaryOf(r.Records, 2)
	words := ""
	switch len(what.Words) {
	case 0:
		return s.texts.say("request.title-none", "who", who)
	case 1:
		words = what.Words[0]
	default:
		var err error
		if words, err = s.texts.plain("list.and", "first", what.Words[0], "second", what.Words[1]); err != nil {
			return nil, err
		}
	}
	if what.More > 0 {
		return s.texts.say("request.title-more", "who", who, "what", words, "n", what.More)
	}
	return s.texts.say("request.title", "who", who, "what", words)
}

// preview asks the resource server through the core. It never holds the page up for long, and its failing says so and
// leaves the rest standing.
func (s *Site) preview(v *visit, r umaas.RequestView, items []string) preview {
	if !s.waits(r) {
		return preview{}
	}
	p := preview{Asked: items != nil}
	if items == nil {
		items = every(r.Records)
	}
	ctx, cancel := context.WithTimeout(v.Request.Context(), previewTime)
	defer cancel()
	counts, err := v.acts().Preview(ctx, r.Key, items)
	if err != nil {
		s.Logger.InfoContext(ctx, "preview", "request_id", v.requestID(), "error", err)
		p.Failed = true
		return p
	}
	for kind, n := range counts {
		if n == 0 {
			continue
		}
		p.Entries = append(p.Entries, previewEntry{Type: s.countKey(kind), Count: n})
	}
	sort.Slice(p.Entries, func(i, j int) bool {
		if a, b := p.Entries[i], p.Entries[j]; a.Count != b.Count {
			return a.Count > b.Count
		}
		return p.Entries[i].Type < p.Entries[j].Type
	})
	return p
}

// countKey is the text key of a kind of information as something that can be counted.
func (s *Site) countKey(kind string) string {
	if key := "entry." + kind; s.texts.has(key + ".one") {
		return key
	}
	return "entry.fallback"
}

var silences = map[string]time.Duration{"week": 7 * 24 * time.Hour, "month": 30 * 24 * time.Hour, "always": 100 * 365 * 24 * time.Hour}

// answerRequest takes the owner's answer. A second answer changes nothing and shows the first (TX-17).
func (s *Site) answerRequest(v *visit) error {
	if err := v.readForm(append([]string{"digest", "silent"}, untilFields...), "item"); err != nil {
		return err
	}
	r, err := s.ownRequest(v)
	if err != nil {
		return err
	}
	digest := v.form.Get("digest")
	if err := v.checkToken("request "+r.Key.String(), digest); err != nil {
		return err
	}
	a := v.answers()
	switch {
	case !s.waits(r):
		return s.drawRequest(v, http.StatusOK, r, answers{}, preview{})
	case digest != r.Digest: // changed since it was shown (SEC-47)
		a.Problems = []problem{{"", "problem.changed"}}
		return s.drawRequest(v, http.StatusConflict, r, answers{Problems: a.Problems}, s.preview(v, r, nil))
	}
	answer := umaas.RequestAnswer{Digest: digest}
	switch v.form.Get("answer") {
	case "all":
		a.Ticked = common(r.Records)
		return s.drawRequest(v, http.StatusOK, r, a, s.preview(v, r, keysOf(a.Ticked)))
	case "preview":
		return s.drawRequest(v, http.StatusOK, r, a, s.preview(v, r, append([]string{}, v.form["item"]...)))
	case "deny":
		answer.Silent = silences[v.form.Get("silent")]
	case "allow":
		answer.Allow, answer.Items = true, v.form["item"]
		if len(answer.Items) == 0 {
			a.Problems = append(a.Problems, problem{"items", "problem.nothing"})
		}
		end, problems := v.until(requestEnds)
		answer.Until = end
		if a.Problems = append(a.Problems, problems...); len(a.Problems) > 0 {
			return s.drawRequest(v, http.StatusUnprocessableEntity, r, a, s.preview(v, r, nil))
		}
	default:
		return errOutOfDate
	}
	return s.sendAnswer(v, r, answer)
}

func (s *Site) sendAnswer(v *visit, r umaas.RequestView, answer umaas.RequestAnswer) error {
	_, err := v.acts().AnswerRequest(v.Request.Context(), r.Key, answer, v.requestID())
	if errors.Is(err, umaas.ErrChanged) {
		return v.seeOther(v.me() + "/requests/" + r.Key.String())
	}
	if errors.Is(err, umaas.ErrOwnInterest) {
		v.leaveNotice("own-interest")
		return v.seeOther(v.me() + "/requests/" + r.Key.String())
	}
	if err != nil {
		return err
	}
	if answer.Allow {
		v.leaveNotice("allowed")
	} else {
		v.leaveNotice("denied")
	}
	return v.seeOther(v.me() + "/requests/" + r.Key.String())
}

func keysOf(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
