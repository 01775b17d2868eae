package server

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/umaas/umaas/umaas"
)

// keepSignIn keeps in a changed entry how people sign in at the issuer: other commands set that, and only they take it away.
func keepSignIn(i *umaas.TrustedIssuer, old umaas.TrustedIssuer) {
	i.ClientID, i.ClientSecret, i.Endpoints, i.Created = old.ClientID, old.ClientSecret, old.Endpoints, old.Created
	if old.ClientID != "" && slices.Contains(old.Uses, umaas.UseSignIn) && !slices.Contains(i.Uses, umaas.UseSignIn) {
		i.Uses = append(slices.Clone(i.Uses), umaas.UseSignIn)
	}
}

// distrust disables what came from the file and stands there no more. It is trusted again when the file names it again, or by
// `umaas issuer enable`.
func distrust(ctx context.Context, core *umaas.Service, list []umaas.TrustedIssuer, log *slog.Logger) error {
	named := func(issuer string) bool {
		return slices.ContainsFunc(list, func(i umaas.TrustedIssuer) bool { return i.Issuer == issuer })
	}
	after := ""
	for {
		page, err := core.TrustedIssuers(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, i := range page {
			after = i.Issuer
			if !i.InFile || i.Dropped || i.Disabled || named(i.Issuer) {
				continue
			}
			err := core.DropTrustedIssuer(ctx, i.Issuer, operator)
			if errors.Is(err, umaas.ErrNotFound) {
				continue // another server was quicker
			}
			if err != nil {
				return err
			}
			log.WarnContext(ctx, "issuer disabled: as.trusted_issuers names it no more; `umaas issuer enable` trusts it without the file, `umaas issuer remove` forgets it", "issuer", i.Issuer)
		}
	}
}
