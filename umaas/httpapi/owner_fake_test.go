package httpapi

import (
	"context"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// The fake core has no owner: the policy API is tested over the real one.

func (f *fake) PresentOwner(context.Context, umaas.Presentation) (umaas.OwnerToken, error) {
	return umaas.OwnerToken{}, uma.ErrInvalidToken
}
func (f *fake) Acting(actor, owner umaas.AccountID) umaas.Acting {
	return (*umaas.Service)(nil).Acting(actor, owner)
}
func (f *fake) ActingFor(context.Context, umaas.AccountID) ([]umaas.DelegationView, error) {
	return nil, umaas.ErrNotFound
}

func (f *fake) DelegatedInbox(context.Context, umaas.AccountID) ([]umaas.DelegatedRequest, error) {
	return nil, umaas.ErrNotFound
}
