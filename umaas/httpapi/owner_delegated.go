package httpapi

import (
	"net/http"

	"github.com/umaas/umaas/umaas"
)

// delegatedRequestShape is a request with the owner it waits for: answers go to it with for set to that owner.
type delegatedRequestShape struct {
	Owner     umaas.AccountID `json:"owner"`
	OwnerName string          `json:"owner_name"`
	requestShape
}

// delegatedRequests lists what waits with everybody for whom the bearer may answer, oldest first.
func (a *api) delegatedRequests(c ownerCall) error {
	if c.query.Has("for") {
		return umaas.ErrNotFound // it is the bearer's own list
	}
	list, err := a.Service.DelegatedInbox(c.ctx(), c.Actor())
	if err != nil {
		return err
	}
	out := make([]delegatedRequestShape, 0, len(list))
	for _, v := range list {
		out = append(out, delegatedRequestShape{v.Owner, v.OwnerName, shapeRequest(v.RequestView)})
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"requests": out})
}
