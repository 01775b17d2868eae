package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/qrpath"
)

// invite makes a link (SEC-45). The page that shows it has an address of its own, so that reloading makes no second one; the link
// itself travels there in a cookie that is dropped as it is shown.
func (s *Site) invite(v *visit, d draft) error {
	made, err := v.acts().Invite(v.Request.Context(), d.share, v.requestID())
	switch {
	case errors.Is(err, umaas.ErrTooMuch):
		v.leaveNotice("too-much")
		return v.seeOther(v.me() + "/invitations")
	case err != nil:
		return err
	case made.Link != "":
		v.setCookie(s.linkName(), made.Key.String()+"."+made.Link[strings.LastIndexByte(made.Link, '/')+1:])
	}
	return v.seeOther(v.me() + "/invitations/" + made.Key.String())
}

func (s *Site) linkName() string { return s.SessionCookie + "-link" }

// invitationsView lists links to shares.
type invitationsView struct {
	Open, Ended []invitationRow
}

type invitationRow struct {
	umaas.InvitationView
	What  summary
	Token string
	State string // text key
}

func (s *Site) invitationRows(v *visit) ([]invitationRow, error) {
	list, err := v.acts().Invitations(v.Request.Context())
	if err != nil {
		return nil, err
	}
	var out []invitationRow
	for _, i := range list {
		row := invitationRow{InvitationView: i, What: summaryOf(v.worded(i.Records), 3), State: "invitations." + string(i.State)}
		if i.State == umaas.InvitationOpen {
			row.Token = v.formToken("uninvite "+i.Key.String(), "")
		}
		out = append(out, row)
	}
	return out, nil
}

func (s *Site) invitations(v *visit) error {
	rows, err := s.invitationRows(v)
	if err != nil {
		return err
	}
	var d invitationsView
	for _, row := range rows {
		if row.Token != "" {
			d.Open = append(d.Open, row)
		} else {
			d.Ended = append(d.Ended, row)
		}
	}
	return s.render(v, http.StatusOK, "invitations", frame{Title: "invitations.title", Here: "sharing"}, d)
}

// invitedView is one link, with the address itself while it can be shown.
type invitedView struct {
	invitationRow
	Link string // "" after it was shown
	Size int    // of the QR code, in modules
	Path string
}

func (s *Site) invitation(v *visit) error {
	rows, err := s.invitationRows(v)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.Key.String() != v.Param("key") {
			continue
		}
		d := invitedView{invitationRow: row}
		key, handle, _ := strings.Cut(v.cookieValue(s.linkName()), ".")
		if key == row.Key.String() && handle != "" && row.Token != "" && v.Request.Method == http.MethodGet {
			v.dropCookie(s.linkName())
			d.Link = s.origin() + "/invite/" + url.PathEscape(handle)
			if d.Size, d.Path, err = qrpath.Path(d.Link); err != nil {
				return err
			}
		}
		return s.render(v, http.StatusOK, "invited", frame{Title: "invited.page", Here: "sharing"}, d)
	}
	return errNoPage
}

func (s *Site) uninvite(v *visit) error {
	key, err := v.tapped("uninvite")
	if err != nil {
		return err
	}
	switch _, err := v.acts().RevokeInvitation(v.Request.Context(), key, v.requestID()); {
	case errors.Is(err, umaas.ErrTooLate): // taken up meanwhile: it is a share now
		v.leaveNotice("too-late")
	case err != nil:
		return err
	default:
		v.leaveNotice("invitation-ended")
	}
	return v.seeOther(v.me() + "/invitations")
}

// origin is the address of this server as links name it.
func (s *Site) origin() string { return strings.TrimSuffix(s.Issuer, "/") }

// inviteView is what an invited person sees after she proved who she is.
type inviteView struct {
	umaas.InvitationOffer
	Token  string
	Blocks []record
}

const maxHandle = 200

func (s *Site) inviteName() string { return s.SessionCookie + "-invite" }

// openInvite takes the link's secret out of the address bar, the history and every log: it goes on in a cookie.
func (s *Site) openInvite(v *visit) error {
	handle := v.Param("handle")
	if len(handle) > maxHandle {
		return s.noInvite(v)
	}
	v.setCookie(s.inviteName(), url.QueryEscape(handle))
	return v.seeOther("/invite")
}

// noInvite is one page for every link that cannot be used (TX-25).
func (s *Site) noInvite(v *visit) error {
	s.drawError(v, message{http.StatusNotFound, "tx25"})
	return nil
}

func (v *visit) inviteHandle() string {
	handle, err := url.QueryUnescape(v.cookieValue(v.site.inviteName()))
	if err != nil {
		return ""
	}
	return handle
}

// invitePage shows nothing before sign-in: a link that is good and one that never was look alike (SEC-45).
func (s *Site) invitePage(v *visit) error {
	offer, err := s.Service.OpenInvitation(v.Request.Context(), v.inviteHandle(), v.session)
	switch {
	case errors.Is(err, umaas.ErrNotFound):
		return s.noInvite(v)
	case err != nil:
		return err
	case offer.SignIn:
		return s.drawSignIn(v, http.StatusOK, signInView{To: "/invite", Hint: "invite.signin"})
	}
	return s.drawInvite(v, http.StatusOK, offer)
}

func (s *Site) drawInvite(v *visit, status int, offer umaas.InvitationOffer) error {
	for i := range offer.Records {
		for j := range offer.Records[i].Items {
			item := &offer.Records[i].Items[j]
			item.Words, item.Long = others(item.Words), "" // the long text speaks to the owner
		}
	}
	d := inviteView{InvitationOffer: offer, Token: v.formToken("invite", offer.Digest), Blocks: recordsOf(offer.Records, nil)}
	return s.render(v, status, "invite", frame{Title: "invite.page", Flow: true}, d)
}

// acceptInvite takes it up, once; what is taken up is what was shown (SEC-47).
func (s *Site) acceptInvite(v *visit) error {
	if err := v.readForm([]string{"digest"}); err != nil {
		return err
	}
	if v.session == nil {
		return v.seeOther("/invite")
	}
	digest := v.form.Get("digest")
	if err := v.checkToken("invite", digest); err != nil {
		return err
	}
	switch v.form.Get("answer") {
	case "no":
		v.dropCookie(s.inviteName())
		return v.seeOther("/me")
	case "accept":
	default:
		return errOutOfDate
	}
	err := s.Service.AcceptInvitation(v.Request.Context(), v.inviteHandle(), *v.session, digest, v.requestID())
	switch {
	case errors.Is(err, umaas.ErrNotFound):
		return s.noInvite(v)
	case errors.Is(err, umaas.ErrChanged):
		return v.seeOther("/invite")
	case err != nil:
		return err
	}
	return v.seeOther("/invite")
}

// left is how many days something still lasts, the begun one counted.
func (s *Site) left(end time.Time) int {
	const day = 24 * time.Hour
	return int((end.Sub(s.Now()) + day - 1) / day)
}
