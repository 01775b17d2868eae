// Package gateway puts any FHIR R4 server under the control of package resourceserver: it is the reverse proxy in front of a
// FHIR base URL, or of an http.Handler in the same process.
//
//	client ─▶ Gateway ─┬─ public documents (GW-41): metadata, smart-configuration, oauth-protected-resource
//	                   └─ resourceserver.Enforcer ─▶ Upstream ─┬─ Remote:   pooled connections, own credential
//	                                                           └─ InProcess: an http.Handler without a listener
//
// It owns the upstream's connections, the capability statement and the discovery documents. It decides nothing about access,
// never forwards a client's token or headers (GW-47), and follows no redirect (GW-40).
package gateway
