package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/umaas/umaas/umaas"
)

// askedView is PG-06: what somebody asked of others, and where it stands.
type askedView struct {
	Requests []askedRow
}

type askedRow struct {
	umaas.RequestView
	State string // text key
	What  summary
	Open  bool
	Token string
}

func (s *Site) asked(v *visit) error {
	list, err := s.Service.Asked(v.Request.Context(), v.person.ID)
	if err != nil {
		return err
	}
	var d askedView
	for _, r := range list {
		row := askedRow{RequestView: r, What: ofOthers(summaryOf(r.Records, 3)), Open: s.waits(r)}
		switch {
		case row.Open:
			row.State = "asked.waiting"
			row.Token = v.formToken(withdrawal(r.Key), "")
		case r.State == umaas.RequestAllowed:
			row.State = "asked.allowed"
		case r.State == umaas.RequestDenied:
			row.State = "asked.denied"
		default:
			row.State = "asked.old"
		}
		d.Requests = append(d.Requests, row)
	}
	return s.render(v, http.StatusOK, "asked", frame{Title: "asked.title", Here: "asked"}, d)
}

func withdrawal(key umaas.Key) string { return "withdraw " + key.String() }

func (s *Site) withdraw(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	key, err := umaas.ParseKey(v.Param("key"))
	if err != nil {
		return errors.Join(errNoPage, err)
	}
	if err := v.checkToken(withdrawal(key), ""); err != nil {
		return err
	}
	if err := s.Service.WithdrawRequest(v.Request.Context(), v.person.ID, key); err != nil {
		return err
	}
	v.leaveNotice("withdrawn")
	return v.seeOther("/me/asked")
}

// ofOthers words what an owner reads as "your" for somebody else, without telling whose it is (F-076).
func ofOthers(what summary) summary {
	for i, w := range what.Words {
		what.Words[i] = strings.ReplaceAll(w, " your ", " the ")
	}
	return what
}
