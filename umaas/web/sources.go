package web

import (
	"slices"

	"github.com/umaas/umaas/umaas"
)

// source is somebody whose word about people counts here: this server, or a trusted issuer.
type source struct {
	ID     string // in forms; an issuer's address never travels
	Name   string
	issuer string // "" this server
}

const (
	sourceHere = "here"
	maxSources = 200
)

// statedOptions are the kinds of parties that somebody trusted states, each with its sources. Disabled issuers, and those not
// believed for that kind, are not offered (SEC-17, SEC-20).
func (s *Site) statedOptions(v *visit) ([]statedOption, error) {
	issuers, err := s.Service.TrustedIssuers(v.Request.Context(), "", maxSources)
	if err != nil {
		return nil, err
	}
	var out []statedOption
	for _, whom := range []string{"org", "role", "pro", "er"} {
		option := statedOption{Whom: whom, Sources: []source{{ID: sourceHere, Name: s.DeploymentName}}}
		for _, i := range issuers {
			states := i.Trusts(umaas.UseIDToken) || i.Trusts(umaas.UseClaims) || i.Trusts(umaas.UseSignIn)
			if states && slices.Contains(i.Claims, whom) {
				option.Sources = append(option.Sources, source{ID: umaas.IssuerID(i.Issuer), Name: i.Name, issuer: i.Issuer})
			}
		}
		out = append(out, option)
	}
	return out, nil
}

func sourceByID(list []source, id string) (source, bool) {
	i := slices.IndexFunc(list, func(s source) bool { return s.ID == id })
	if i < 0 {
		return source{}, false
	}
	return list[i], true
}
