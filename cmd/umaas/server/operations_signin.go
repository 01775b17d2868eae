package server

import (
	"context"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/signin"
)

// SignInIssuerView is an issuer at which people may sign in, for an operator: never with the secret.
type SignInIssuerView struct {
	Issuer   string
	Name     string
	ClientID string
	Back     string // the redirect URI to register there
	Secret   bool   // one is kept
	ACRs     []string
	Disabled bool
}

func (a *AS) viewSignIn(i umaas.TrustedIssuer) SignInIssuerView {
	return SignInIssuerView{
		Issuer: i.Issuer, Name: i.Name, ClientID: i.ClientID, Back: a.Service.Issuer + signin.BackPath + umaas.IssuerID(i.Issuer), Secret: len(i.ClientSecret) > 0,
		ACRs: i.ACRs, Disabled: i.Disabled,
	}
}

func (a *AS) setSignIn(ctx context.Context, n umaas.SignInSetup) (SignInIssuerView, error) {
	i, err := a.Service.SetSignIn(ctx, n, operator)
	return a.viewSignIn(i), err
}

func (a *AS) signIns(ctx context.Context, _ struct{}) ([]SignInIssuerView, error) {
	list, err := a.Service.SignInRecords(ctx)
	out := []SignInIssuerView{}
	for _, i := range list {
		out = append(out, a.viewSignIn(i))
	}
	return out, err
}

// backTo is where an issuer has to send browsers back to, known before the issuer knows this server.
func (a *AS) backTo(_ context.Context, n Named) (SignInIssuerView, error) {
	return a.viewSignIn(umaas.TrustedIssuer{Issuer: n.Name}), nil
}
