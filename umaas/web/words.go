package web

import (
	"github.com/umaas/umaas/umaas"
)

// signInKey is the text of a kind of sign-in.
func signInKey(acr string) string {
	if key, ok := map[string]string{
		"": "signin-kind.any", umaas.ACRPassword: "signin-kind.any", umaas.ACRMultiFactor: "signin-kind.two", umaas.ACRPhishingResistant: "signin-kind.key",
	}[acr]; ok {
		return key
	}
	return "signin-kind.other"
}

// claimKey is the text of something a trusted source states about people.
func (s *Site) claimKey(c umaas.Claim) string {
	if key := "states." + c.Name; s.texts.has(key) {
		return key
	}
	return "states.other"
}

// stated is something about a party that somebody trusted states, with the source's name.
type stated struct {
	umaas.Claim
	Source Name
}

// statedOf names the sources as people know them; one that is trusted no more is told by its address.
func (s *Site) statedOf(v *visit, claims []umaas.Claim) ([]stated, error) {
	if len(claims) == 0 {
		return nil, nil
	}
	issuers, err := s.Service.TrustedIssuers(v.Request.Context(), "", maxSources)
	if err != nil {
		return nil, err
	}
	names := map[string]string{"": s.DeploymentName, s.Issuer: s.DeploymentName}
	for _, i := range issuers {
		names[i.Issuer] = firstOf(i.Name, i.Issuer)
	}
	var out []stated
	for _, c := range claims {
		out = append(out, stated{c, name(firstOf(names[c.Issuer], c.Issuer))})
	}
	return out, nil
}
