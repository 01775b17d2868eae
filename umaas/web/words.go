package web

import "github.com/umaas/umaas/umaas"

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
