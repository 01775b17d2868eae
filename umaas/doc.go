// Package umaas is the core of the authorization server: UMA 2.0 Grant and Federated Authorization on OAuth 2.0 and OpenID
// Connect, as values and functions. It owns every decision, and it writes each with its audit event in one transaction. It
// knows no HTTP server, no database and no FHIR: transport is umaas/httpapi and umaas/web, storage is the Store interface,
// and what a scope string means is the injected ScopeLanguage.
//
// # The life of an authorization process
//
// A process is named by its first ticket. A ticket is good for one presentation; every answer that goes on carries a new
// one (Grant §5.5).
//
//	resource server                      client                                   people
//	POST /permission
//	      │ ticket
//	      ▼
//	  ┌────────┐  token endpoint   ┌──────────┐ Permit                ┌─────┐
//	  │ ticket ├──────────────────►│ Assess   ├──────────────────────►│ RPT ├─► refresh, upgrade, revoke, expire
//	  └────────┘  (ticket dies)    └┬───┬────┬┘                       └─────┘
//	      ▲                         │   │    │ Denied
//	      │                NeedInfo │   │    └──────────► request_denied, end
//	      │                         │   │ Submitted
//	      │ new ticket,             ▼   ▼
//	      │ need_info          ┌────────┐ ┌───────────────────┐  owner answers   ┌─────────┐
//	      ├────────────────────┤ claims │ │ waits in the      ├─────────────────►│ policy, │
//	      │                    │ needed │ │ owner's inbox     │                  │ or none │
//	      │ new ticket,        └────────┘ └─────────┬─────────┘                  └────┬────┘
//	      │ request_submitted                       │                                 │
//	      ├─────────────────────────────────────────┘  poll: Assess again ◄───────────┘
//	      │
//	      │ claims interaction endpoint (ticket dies): sign in ─► the owner herself: consent ─┐
//	      │                                                    └► another party: gather ──────┤
//	      └── new ticket, by redirect ◄────────────────────────────────────────────────────────┘
//
// Gathering is a machine of its own (gather.go): a flow stands at the first step that is due, and each answer is bound to the
// flow, its browser, its person and the page as it was shown.
//
//	sign in, here or at a trusted issuer ─► step-up ─► questions ─► terms ─► confirm what the owner is told ─► back
//	                                        (policy)      ▲         (policy)   │  (remember me? off)
//	                                                      └── change answers ──┘
//
// A known party comes back to it by need_info when a policy names her and lacks what she has not said yet. What an app may
// remember of her is a PCT (remember.go): a reference, hers to end.
//
// # The other door
//
// The authorization endpoint leads to the same pages and the same policies; its tokens carry the same permissions:
//
//	/authorize ─► flow ─► sign in ─► consent or protect ─► code ─► token endpoint ─► access, refresh, ID token
//
// A resource server gets its protection API token (PAT) there, or as itself by client credentials.
//
// # Where each section lives
//
//	Grant §2, FedAuthz §2, RFC 8414     metadata.go
//	Grant §3.2, FedAuthz §4             permission.go
//	Grant §3.3.1, RFC 6749 §3.2         token.go (phases), form.go, clientauth.go, assertion.go, grant.go
//	Grant §3.3.1–3.3.6                  grant_uma.go
//	Grant §3.3.1, §5.7, claim tokens    claims.go, claims_*.go, issuers.go
//	SMART Permission Tickets            claims_permission.go, claims_bounds.go; permission_ticket.go, statuslist.go
//	Grant §3.3.2, §3.3.3                claims_interaction.go, flows.go, consent.go, gather.go, acr.go, upstream.go, trip.go, identities.go
//	Grant §3.3.4                        assessment.go, assessment_said.go, decision.go, constraint.go
//	Grant §3.3.5, §5.2, §6.2            issue.go, remember.go
//	Grant §3.6, RFC 6749 §6             grant_refresh.go
//	Grant §3.7, RFC 7009                revocation.go
//	RFC 6749 §4.1, RFC 9207             authorize.go, authorize_answer.go, grant_code.go
//	RFC 6749 §4.4                       grant_client_credentials.go
//	RFC 7591                            registration.go, redirecturi.go, clients.go
//	RFC 7636                            pkce.go
//	RFC 9449, RFC 7800                  possession.go, possession_grant.go (the proofs themselves: package pop)
//	RFC 8705                            clientauth_tls.go, distinguishedname.go, registration_binding.go
//	HEART UMA2, FHIR-UMA2               profile.go
//	OpenID Connect Core §2, §5.3        idtoken.go, userinfo.go
//	FedAuthz §3                         resources.go
//	FedAuthz §5, RFC 7662               introspection.go, live.go
//	HEART FHIR-UMA2 §3, §4              shares_new.go, shares_rules.go, shares_change.go (owners' policies)
//	HEART FHIR-UMA2 §4.1                breakglass.go, emergencydefault.go
//	owners and who acts for them        acting.go (the one authorization function), delegations.go, approvals.go,
//	                                    approvals_undo.go, invitations.go, history.go, ownertoken.go
//	sessions and accounts               sessions.go, accounts.go
package umaas
