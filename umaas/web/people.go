package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/umaas/umaas/umaas"
)

// peopleView is PG-17: for whom I act, and who acts for me.
type peopleView struct {
	For   []forRow
	Mine  []actorRow
	Ended []actorRow
}

// forRow is somebody for whom the reader acts.
type forRow struct {
	umaas.DelegationView
	Rights []string // text keys
	Resign string   // token, "" where it rests on a role
}

// actorRow is somebody who acts for the reader.
type actorRow struct {
	umaas.DelegationView
	Rights []string
	End    string // token, "" where the help desk has to end it
	Live   bool
}

func rightKeys(rights []umaas.DelegatedRight) []string {
	var out []string
	for _, r := range rights {
		out = append(out, "right."+string(r))
	}
	return out
}

func (s *Site) people(v *visit) error {
	ctx := v.Request.Context()
	others, err := s.Service.ActingFor(ctx, v.person.ID)
	if err != nil {
		return err
	}
	mine, err := v.acts().Delegations(ctx)
	if err != nil {
		return err
	}
	var d peopleView
	for _, o := range others {
		row := forRow{DelegationView: o, Rights: rightKeys(o.Rights)}
		if o.Who.Kind != umaas.WhoClaim {
			row.Resign = v.formToken("resign "+string(o.Owner)+" "+string(o.ID), "")
		}
		d.For = append(d.For, row)
	}
	for _, m := range mine {
		row := actorRow{DelegationView: m, Rights: rightKeys(m.Rights), Live: m.InForce(s.Now())}
		if !row.Live {
			d.Ended = append(d.Ended, row)
			continue
		}
		if m.By == v.person.ID {
			row.End = v.formToken("undelegate "+string(m.ID), "")
		}
		d.Mine = append(d.Mine, row)
	}
	return s.render(v, http.StatusOK, "people", frame{Title: "people.title", Here: "people"}, d)
}

// endDelegation ends one of the reader's own; a second press changes nothing.
func (s *Site) endDelegation(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	id := umaas.PolicyID(v.Param("id"))
	if err := v.checkToken("undelegate "+string(id), ""); err != nil {
		return err
	}
	switch _, err := v.acts().RevokeDelegation(v.Request.Context(), id, v.requestID()); {
	case errors.Is(err, umaas.ErrBadAnswer):
		v.leaveNotice("appointed")
	case err != nil:
		return err
	default:
		v.leaveNotice("delegation-ended")
	}
	return v.seeOther("/me/people")
}

// resign is the delegate's own no (PG-17: either side ends it).
func (s *Site) resign(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	owner, id := umaas.AccountID(v.Param("id")), umaas.PolicyID(v.Param("entry"))
	if err := v.checkToken("resign "+string(owner)+" "+string(id), ""); err != nil {
		return err
	}
	if _, err := s.Service.ResignDelegation(v.Request.Context(), v.person.ID, owner, id, v.requestID()); err != nil {
		return err
	}
	v.leaveNotice("resigned")
	return v.seeOther("/me/people")
}

// delegateView is the form that lets somebody act for the reader, then its answers to check (UI-12).
type delegateView struct {
	Token   string
	Form    map[string]string
	Chosen  map[string]bool // rights
	Rights  []string
	Ends    []string
	Sources []source
	Check   *umaas.NewDelegation
	Who     []segment
	Keys    []string // of the rights chosen
	answers
}

var (
	delegateFields = []string{"whom", "email", "role", "role-source", "reason"}
	allRights      = []string{"answer", "share", "history"}
)

func (s *Site) delegatePage(v *visit) error {
	v.form = url.Values{}
	return s.drawDelegate(v, http.StatusOK, nil, nil, nil)
}

func (s *Site) drawDelegate(v *visit, status int, problems []problem, check *umaas.NewDelegation, who []segment) error {
	options, err := s.statedOptions(v)
	if err != nil {
		return err
	}
	d := delegateView{
		Token: v.formToken("delegate", ""), Form: map[string]string{}, Chosen: map[string]bool{}, Rights: allRights, Ends: shareEnds, Check: check, Who: who,
		answers: v.answers(),
	}
	for _, o := range options {
		if o.Whom == "role" {
			d.Sources = o.Sources
		}
	}
	for _, f := range delegateFields {
		d.Form[f] = v.form.Get(f)
	}
	for _, r := range v.form["right"] {
		d.Chosen[r] = true
	}
	if check != nil {
		d.Keys = rightKeys(check.Rights)
	}
	d.Problems = problems
	return s.render(v, status, "delegate", frame{Title: "delegate.title", Here: "people", IsError: len(problems) > 0}, d)
}

// delegate shows the answers to check, the form again, or lets somebody act.
func (s *Site) delegate(v *visit) error {
	if err := v.readForm(append(append([]string{}, delegateFields...), untilFields...), "right"); err != nil {
		return err
	}
	if err := v.checkToken("delegate", ""); err != nil {
		return err
	}
	if v.form.Get("answer") == "edit" {
		return s.drawDelegate(v, http.StatusOK, nil, nil, nil)
	}
	n, who, problems, err := s.readDelegation(v)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return s.drawDelegate(v, http.StatusUnprocessableEntity, problems, nil, nil)
	}
	switch v.form.Get("answer") {
	case "check":
		return s.drawDelegate(v, http.StatusOK, nil, &n, who)
	case "do":
	default:
		return errOutOfDate
	}
	standing, err := v.acts().Delegations(v.Request.Context())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(standing, func(d umaas.DelegationView) bool { // a second press finds what the first one made
		return d.InForce(s.Now()) && d.Who == n.Who && slices.Equal(d.Rights, n.Rights) && s.Now().Sub(d.Created) < maxDoubleClick
	}) {
		if _, err := v.acts().Delegate(v.Request.Context(), n, v.requestID()); err != nil {
			return err
		}
	}
	v.leaveNotice("delegated")
	return v.seeOther("/me/people")
}

func (s *Site) readDelegation(v *visit) (n umaas.NewDelegation, who []segment, problems []problem, err error) {
	wrong := func(field, key string) { problems = append(problems, problem{field, key}) }
	switch v.form.Get("whom") {
	case "person":
		address, ok := emailAddress(v.form.Get("email"))
		if !ok || address == v.person.Email {
			wrong("email", "problem.email")
		}
		n.Who = umaas.Who{Kind: umaas.WhoEmail, Email: address, Name: address}
		who = []segment{{Text: string(name(address)), Foreign: true}}
	case "role":
		options, err := s.statedOptions(v)
		if err != nil {
			return n, nil, nil, err
		}
		i := slices.IndexFunc(options, func(o statedOption) bool { return o.Whom == "role" })
		from, ok := sourceByID(options[i].Sources, v.form.Get("role-source"))
		if !ok {
			wrong("role-source", "problem.source")
		}
		value := strings.TrimSpace(v.form.Get("role"))
		if value == "" || utf8.RuneCountInString(value) > maxLabel {
			wrong("role", "problem.stated")
		}
		n.Who = umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: from.issuer, Name: "role", Value: value}, Name: value}
		if who, err = s.texts.say("meaning.who-role", "value", name(value), "source", name(from.Name)); err != nil {
			return n, nil, nil, err
		}
	default:
		wrong("whom", "problem.whom-acts")
	}
	for _, right := range allRights {
		if slices.Contains(v.form["right"], right) {
			n.Rights = append(n.Rights, umaas.DelegatedRight(right))
		}
	}
	if len(n.Rights) == 0 {
		wrong("rights", "problem.rights")
	}
	if n.Reason = strings.TrimSpace(v.form.Get("reason")); utf8.RuneCountInString(n.Reason) > maxLabel {
		wrong("reason", "problem.words")
	}
	var ends []problem
	n.Until, ends = v.until(shareEnds)
	return n, who, append(problems, ends...), nil
}
