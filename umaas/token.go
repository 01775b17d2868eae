package umaas

import (
	"context"
	"net/url"

	"github.com/umaas/umaas/umaas/uma"
)

// TokenRequest is a request to the token, revocation or another client-authenticated endpoint, as the transport parsed it.
// Form comes from the body alone: credentials in a query are refused before (SEC-113). BasicID and BasicSecret are decoded
// as RFC 6749 §2.3.1 says.
type TokenRequest struct {
	Form        url.Values
	BasicID     string
	BasicSecret string
	HasBasic    bool
	RequestID   string
	Presented
}

// Token answers a token request (RFC 6749 §3.2). Every grant goes through the same phases, so that none can forget a check:
//
//  1. parse, refuse repeated parameters
//  2. authenticate the client by its registered method
//  3. what key does the client prove to hold (DPoP, mutual TLS)?
//  4. is this grant type known, and registered for the client?
//  5. the grant's own work: load, consume, decide, store, append audit, in one transaction
//  6. sign, after the commit
//
// Errors are *uma.Error; anything else is a fault of the server.
func (s *Service) Token(ctx context.Context, r TokenRequest) (uma.TokenResponse, error) {
	f, err := parseForm(r.Form) // 1
	if err != nil {
		return uma.TokenResponse{}, err
	}
	grantType, err := f.need("grant_type")
	if err != nil {
		return uma.TokenResponse{}, err
	}
	client, err := s.authenticateClient(ctx, r, f) // 2
	if err != nil {
		return uma.TokenResponse{}, err
	}
	if client.held, err = s.possess(client.Client, r); err != nil { // 3
		return uma.TokenResponse{}, err
	}
	redeem, known := s.grants()[grantType] // 4
	switch {
	case !known:
		return uma.TokenResponse{}, uma.ErrUnsupportedGrantType.With("this server does not offer that grant type")
	case !client.MayUse(grantType):
		return uma.TokenResponse{}, uma.ErrUnauthorizedClient.With("the client is not registered for that grant type")
	}
	answer, err := redeem(ctx, client, f, r.RequestID) // 5 and 6
	answer.DPoPNonce = s.nonceFor(client.Client, client.held)
	return answer, err
}
