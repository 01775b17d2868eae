// Package resourceserver is the adapter that puts an API, first of all a FHIR server, under its owners' own control by
// UMA 2.0. It classifies a request, verifies its token, lets one judge decide before the upstream is touched, filters what
// comes back, and answers refusals with a permission ticket. It speaks to authorization servers over HTTP alone.
//
//	request ─▶ classify ─▶ verify token ─▶ judge ─┬─ Permit ────▶ upstream ─▶ filter ─▶ record ─▶ answer
//	                                              ├─ Deny ──────▶ one response table (GW-37)
//	                                              ├─ NeedTicket ▶ permission request ─▶ 401 with ticket
//	                                              └─ NeedOverride
//
// It does not store tokens of clients, does not decide policy, and never forwards a client's token.
package resourceserver
