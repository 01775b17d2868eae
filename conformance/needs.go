package conformance

import (
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// Missing says in words why the server or the profile lacks a capability, or "".
func (e *Env) Missing(n Need) string {
	if why, ok := e.Profile.Absent[n]; ok {
		return why
	}
	if why, known := e.fromDiscovery(n); known {
		return why
	}
	if why, known := e.fromProfile(n); known {
		return why
	}
	if slices.Contains(e.Profile.Offers, n) {
		return ""
	}
	return "the profile does not say that the server offers it (offers: " + string(n) + ")"
}

// fromDiscovery answers what the discovery document tells.
func (e *Env) fromDiscovery(n Need) (why string, known bool) {
	endpoint := func(value, name string) (string, bool) {
		if value == "" {
			return "not offered: no " + name + " in the discovery document", true
		}
		return "", true
	}
	m := &e.Metadata
	switch n {
	case NeedDynamicRegistration:
		return endpoint(m.RegistrationEndpoint, "registration_endpoint")
	case NeedRevocation:
		return endpoint(m.RevocationEndpoint, "revocation_endpoint")
	case NeedIntrospection:
		return endpoint(m.IntrospectionEndpoint, "introspection_endpoint")
	case NeedAuthorizationCode:
		if m.AuthorizationEndpoint != "" && len(e.Profile.Pages) == 0 {
			return "the profile does not say how the server's pages are filled in (pages)", true
		}
		return endpoint(m.AuthorizationEndpoint, "authorization_endpoint")
	case NeedRefresh:
		if len(m.GrantTypesSupported) > 0 && !slices.Contains(m.GrantTypesSupported, uma.GrantTypeRefreshToken) {
			return "not offered: grant_types_supported has no refresh_token", true
		}
		return "", true
	case NeedDPoP:
		if _, ok := e.Raw["dpop_signing_alg_values_supported"]; !ok {
			return "not offered: no dpop_signing_alg_values_supported in the discovery document", true
		}
		return "", true
	default:
		return "", false
	}
}

// fromProfile answers what the profile tells.
func (e *Env) fromProfile(n Need) (why string, known bool) {
	lacks := func(lacking bool, text string) (string, bool) {
		if lacking {
			return text, true
		}
		return "", true
	}
	p := &e.Profile
	_, custom := e.hooks.(*profileHooks)
	custom = !custom
	switch n {
	case NeedPolicy:
		return lacks(!custom && (p.Hooks.Permit == nil || p.Hooks.Revoke == nil), "the profile has no way to set and withdraw policies (hooks.permit, hooks.revoke)")
	case NeedApproval:
		return lacks(!custom && (p.Hooks.Approve == nil || p.Hooks.Deny == nil), "the profile has no way to answer an owner's requests (hooks.approve, hooks.deny)")
	case NeedBrowser:
		return lacks(len(p.Pages) == 0, "the profile does not say how the server's pages are filled in (pages)")
	case NeedGather:
		if p.Party.How != "gather" {
			return lacks(true, "the profile drives no claims interaction (party.how: gather)")
		}
		return lacks(len(p.Pages) == 0 && p.Hooks.Gather == nil, "the profile does not say how the server's pages are filled in (pages, or hooks.gather)")
	case NeedParty:
		return lacks(p.Party.How == "none", "the profile has no way to tell who the requesting party is (party)")
	case NeedSecondRS:
		return e.lacksClient(RS2)
	case NeedSecondClient:
		return e.lacksClient(C2)
	case NeedPublicClient:
		return e.lacksClient(P1)
	case NeedClaimPush:
		if e.provided == nil {
			return lacks(true, "the profile does not say that the server trusts the suite's own OpenID provider (claim_push)")
		}
		return "", true
	case NeedRS:
		return lacks(p.RS.Resource == "" || p.RS.Listen == "", "the profile names no resource server to examine (resource_server)")
	case NeedClient:
		return lacks(p.Harness.Start == "" || p.Harness.Listen == "", "the profile names no client to examine (client_harness)")
	default:
		return "", false
	}
}

func (e *Env) lacksClient(name string) (string, bool) {
	if _, given := e.Profile.Clients.Given[name]; given {
		return "", true
	}
	if !e.Profile.Clients.Dynamic {
		return "the profile gives no client " + name + " and does not register clients (clients)", true
	}
	if e.Metadata.RegistrationEndpoint == "" {
		return "the profile gives no client " + name + " and the server has no registration_endpoint", true
	}
	return "", true
}

// PartyMode tells how a requesting party is made known: "gather", "claim_token", "client", "none".
func (e *Env) PartyMode() string { return e.Profile.Party.How }
