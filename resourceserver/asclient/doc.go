// Package asclient is a resource server's client of one authorization server: discovery, its own registration as a client,
// protection API tokens (PATs), resource registration, permission requests, introspection, the report of access events and
// the verification of what that server signs. One Client per issuer; a resource server may hold several.
//
//	New ─▶ Metadata (uma2-configuration, Grant §2) ─▶ Credentials (RFC 7591, or configured)
//	        ├─ AuthorizationURL ─ browser ─▶ Exchange ─▶ PAT of a person + verified ID token
//	        ├─ ClientCredentials ─▶ PAT of the resource server itself (FedAuthz §1.3, a legal person)
//	        └─ with a PAT: resources, permissions, introspection, access events, consumption of single-use grants
//
// It keeps no PAT and decides nothing: who owns a PAT, where it is stored and what a resource set means belong to
// package resourceserver. Redirects are never followed, answers are bounded in time and size, and only calls that may
// safely happen twice are repeated.
package asclient
