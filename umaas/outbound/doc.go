// Package outbound is the one HTTP client with which the authorization server reaches other servers. Whoever makes it fetch
// something may be an attacker (SEC-75), so it goes nowhere by default but to public addresses over https:
//
//	parse URL ─► scheme, no user info ─► resolve once ─► every address allowed? ─► dial that address ─► no redirect,
//	no cookies, no proxy, no compression ─► status, media type, size and time limits
//
// The address that was checked is the address that is dialled, so a name that changes its answer in between gains nothing.
// The package knows nothing of the protocol spoken; it signs nothing and stores nothing.
package outbound
