package web

import (
	"errors"
	"net/http"

	"github.com/umaas/umaas/umaas"
)

// signInsView is how a person can sign in, and what else she could link.
type signInsView struct {
	umaas.SignInView
	Identities []identityRow
	Away       string
}

type identityRow struct {
	umaas.IdentityView
	Token string
}

func (s *Site) signIns(v *visit) error {
	list, err := s.Service.SignIns(v.Request.Context(), *v.session)
	if err != nil {
		return err
	}
	if s.Upstream == nil {
		list.Issuers = nil
	}
	d := signInsView{SignInView: list, Away: v.formToken("link", "")}
	for _, i := range list.Identities {
		d.Identities = append(d.Identities, identityRow{i, v.formToken("unlink", i.ID)})
	}
	v.allow(list.Issuers)
	return s.render(v, http.StatusOK, "signins", frame{Title: "signins.title", Here: "sign-in"}, d)
}

func (s *Site) unlink(v *visit) error {
	if err := v.readForm([]string{"id"}); err != nil {
		return err
	}
	id := v.form.Get("id")
	if err := v.checkToken("unlink", id); err != nil {
		return err
	}
	err := s.Service.Unlink(v.Request.Context(), v.owner(), id, v.requestID())
	switch {
	case errors.Is(err, umaas.ErrLastSignIn):
		v.leaveNotice("last-sign-in")
	case err != nil:
		return err
	default:
		v.leaveNotice("unlinked")
	}
	return v.seeOther(linkPage)
}

// rememberedView lists the apps that remember a requesting party (Grant §6.2).
type rememberedView struct {
	Apps []rememberedRow
}

type rememberedRow struct {
	umaas.RememberedView
	Token string
}

func (s *Site) remembered(v *visit) error {
	list, err := s.Service.Remembered(v.Request.Context(), v.owner())
	if err != nil {
		return err
	}
	var d rememberedView
	for _, r := range list {
		d.Apps = append(d.Apps, rememberedRow{r, v.formToken("forget "+r.Key.String(), "")})
	}
	return s.render(v, http.StatusOK, "remembered", frame{Title: "remembered.title", Here: "sign-in"}, d)
}

func (s *Site) forget(v *visit) error {
	if err := v.readForm(nil); err != nil {
		return err
	}
	key, err := umaas.ParseKey(v.Param("key"))
	if err != nil {
		return errors.Join(errNoPage, err)
	}
	if err := v.checkToken("forget "+key.String(), ""); err != nil {
		return err
	}
	if err := s.Service.Forget(v.Request.Context(), v.owner(), key, v.requestID()); err != nil {
		return err
	}
	v.leaveNotice("forgotten")
	return v.seeOther("/me/remembered")
}
