package umaas

import "context"

// The short forms of tests: a token without anything beside it, as a bearer sends it.

func (s *Service) AuthenticatePAT(ctx context.Context, value string) (PAT, error) {
	return s.PresentPAT(ctx, Presentation{Token: value})
}

func (s *Service) UserInfo(ctx context.Context, value string) (map[string]any, error) {
	return s.PresentUserInfo(ctx, Presentation{Token: value})
}

func (s *Service) AuthenticateOwner(ctx context.Context, value string) (OwnerToken, error) {
	return s.PresentOwner(ctx, Presentation{Token: value})
}
