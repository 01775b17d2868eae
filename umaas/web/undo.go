package web

import (
	"errors"
	"math"
	"net/url"
	"time"

	"github.com/umaas/umaas/umaas"
)

// undoBar says who answered, and until when the answer can be taken back. The limit is written as clock time and nothing moves by
// itself (AX-04).
type undoBar struct {
	Mine    bool // the signed-in person answered
	UndoBy  time.Time
	Minutes int    // left
	Of      int    // minutes in all
	Undoing string // token; "" where it is too late, or somebody else's answer
	Ending  string // token of the form that ends emergency access
}

func (s *Site) undoBarOf(v *visit, r umaas.RequestView) undoBar {
	b := undoBar{Mine: r.By == v.person.ID}
	if r.EmergencyNotice() && r.State == umaas.RequestAllowed {
		b.Ending = v.formToken("end "+r.Key.String(), "")
	}
	if r.Undo.IsZero() || v.principal != nil && !b.Mine {
		return b
	}
	minutes := func(d time.Duration) int { return int(math.Ceil(d.Minutes())) }
	b.UndoBy, b.Minutes, b.Of = r.Undo, minutes(r.Undo.Sub(s.Now())), minutes(r.Undo.Sub(r.Answered))
	b.Undoing = v.formToken("undo "+r.Key.String(), "")
	return b
}

// undoAnswer takes a wrong tap back; a second press changes nothing (SEC-46).
func (s *Site) undoAnswer(v *visit) error {
	key, err := v.tapped("undo")
	if err != nil {
		return err
	}
	switch _, _, err := v.acts().UndoAnswer(v.Request.Context(), key, v.requestID()); {
	case errors.Is(err, umaas.ErrTooLate), errors.Is(err, umaas.ErrNothingToUndo):
		v.leaveNotice("too-late")
	case err != nil:
		return err
	default:
		v.leaveNotice("undone")
	}
	return v.seeOther(v.me() + "/requests/" + key.String())
}

// endEmergency ends what an emergency gave, at once (H-20).
func (s *Site) endEmergency(v *visit) error {
	key, err := v.tapped("end")
	if err != nil {
		return err
	}
	if _, err := v.acts().EndEmergency(v.Request.Context(), key, v.requestID()); err != nil {
		return err
	}
	v.leaveNotice("emergency-ended")
	return v.seeOther(v.me() + "/requests/" + key.String())
}

// tapped reads a form that is one button about the record named in the address.
func (v *visit) tapped(purpose string) (umaas.Key, error) {
	if err := v.readForm(nil); err != nil {
		return umaas.Key{}, err
	}
	key, err := umaas.ParseKey(v.Param("key"))
	if err != nil {
		return key, errors.Join(errNoPage, err)
	}
	return key, v.checkToken(purpose+" "+key.String(), "")
}

// restorable: a consent is not given again here, the app asks anew; nor is a share whose time is over.
func (s *Site) restorable(share umaas.ShareView) bool {
	return share.Origin != umaas.OriginConsent && !share.Revoked.IsZero() && len(share.Rules) > 0 &&
		(share.NotAfter.IsZero() || share.NotAfter.After(s.Now()))
}

// restore gives a stopped share again as it was, as a new one: nothing old revives (SEC-35).
func (s *Site) restore(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	id := umaas.PolicyID(v.Param("id"))
	if err := v.checkToken("restore "+string(id), ""); err != nil {
		return err
	}
	again, err := v.acts().RestoreShare(v.Request.Context(), id, v.requestID())
	switch {
	case errors.Is(err, umaas.ErrBadAnswer), errors.Is(err, umaas.ErrOwnInterest):
		v.leaveNotice("cannot-restore")
		again = id
	case err != nil:
		return err
	default:
		v.leaveNotice("restored")
	}
	return v.seeOther(v.me() + "/sharing/" + url.PathEscape(string(again)))
}
