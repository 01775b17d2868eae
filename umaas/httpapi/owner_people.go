package httpapi

import (
	"net/http"
	"time"

	"github.com/umaas/umaas/umaas"
)

type invitationShape struct {
	ID       string                `json:"id"`
	State    umaas.InvitationState `json:"state"`
	Who      whoShape              `json:"who"`
	WhoWords string                `json:"who_words"`
	Records  []recordShape         `json:"records"`
	Until    *time.Time            `json:"until,omitempty"` // of the share
	Ends     time.Time             `json:"ends"`            // of the invitation
	By       umaas.AccountID       `json:"by,omitempty"`
	Created  time.Time             `json:"created"`
	Accepted *time.Time            `json:"accepted,omitempty"`
}

func (a *api) listInvitations(c ownerCall) error {
	list, err := c.Invitations(c.ctx())
	if err != nil {
		return err
	}
	out := []invitationShape{}
	for _, v := range list {
		out = append(out, invitationShape{
			ID: v.Key.String(), State: v.State, Who: shapeWho(v.Policy.Who), WhoWords: v.Who, Records: shapeRecords(v.Records),
			Until: optional(v.Policy.NotAfter), Ends: v.Until.UTC(), By: v.By, Created: v.Created.UTC(), Accepted: optional(v.Accepted),
		})
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"invitations": out})
}

type invitedAnswer struct {
	ID     string    `json:"id"`
	Link   string    `json:"link,omitempty"` // shown this once, to be handed over; absent where it was mailed
	Mailed bool      `json:"mailed"`
	Ends   time.Time `json:"ends"`
}

func (a *api) invite(c ownerCall) error {
	var body newPolicy
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	share, err := body.share()
	if err != nil {
		return err
	}
	i, err := c.Invite(c.ctx(), share, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusCreated, invitedAnswer{ID: i.Key.String(), Link: i.Link, Mailed: i.Mailed, Ends: i.Until.UTC()})
}

func (a *api) revokeInvitation(c ownerCall) error {
	key, err := recordKey(c)
	if err != nil {
		return err
	}
	effect, err := c.RevokeInvitation(c.ctx(), key, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"effect": effectOf(effect)})
}

type delegationShape struct {
	ID        umaas.PolicyID         `json:"id"`
	Owner     umaas.AccountID        `json:"owner"`
	OwnerName string                 `json:"owner_name"`
	Who       whoShape               `json:"who"`
	WhoWords  string                 `json:"who_words"`
	Rights    []umaas.DelegatedRight `json:"rights"`
	Reason    string                 `json:"reason,omitempty"`
	By        umaas.AccountID        `json:"by"`
	ByName    string                 `json:"by_name,omitempty"`
	Until     *time.Time             `json:"until,omitempty"`
	Created   time.Time              `json:"created"`
	Revoked   *time.Time             `json:"revoked,omitempty"`
	InForce   bool                   `json:"in_force"`
}

func (a *api) shapeDelegations(list []umaas.DelegationView) []delegationShape {
	out := []delegationShape{}
	for _, v := range list {
		out = append(out, delegationShape{
			ID: v.ID, Owner: v.Owner, OwnerName: v.OwnerName, Who: shapeWho(v.Who), WhoWords: v.WhoName, Rights: v.Rights, Reason: v.Reason,
			By: v.By, ByName: v.ByName, Until: optional(v.NotAfter), Created: v.Created.UTC(), Revoked: optional(v.Revoked), InForce: v.InForce(a.Now()),
		})
	}
	return out
}

func (a *api) listDelegations(c ownerCall) error {
	list, err := c.Delegations(c.ctx())
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"delegations": a.shapeDelegations(list)})
}

type newDelegation struct {
	Who    whoShape               `json:"who"`
	Rights []umaas.DelegatedRight `json:"rights"`
	Reason string                 `json:"reason"`
	Until  string                 `json:"until"`
}

func (a *api) delegate(c ownerCall) error {
	var body newDelegation
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	until, err := moment("until", body.Until)
	if err != nil {
		return err
	}
	id, err := c.Delegate(c.ctx(), umaas.NewDelegation{Who: body.Who.who(), Rights: body.Rights, Reason: body.Reason, Until: until}, requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusCreated, map[string]any{"id": id})
}

func (a *api) revokeDelegation(c ownerCall) error {
	effect, err := c.RevokeDelegation(c.ctx(), umaas.PolicyID(c.Param("id")), requestID(c.Context))
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"effect": effectOf(effect)})
}

// actingFor lists for whom the bearer may act; their ids are what the parameter for takes.
func (a *api) actingFor(c ownerCall) error {
	if c.query.Has("for") {
		return umaas.ErrNotFound // nobody passes delegation on
	}
	list, err := a.Service.ActingFor(c.ctx(), c.Actor())
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"acting_for": a.shapeDelegations(list)})
}
