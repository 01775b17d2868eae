// Package httpapi is the authorization server's protocol over HTTP: it parses a request once at the edge, calls the core
// and writes the answer. It owns the route table, the strict reading of forms and JSON, the one writer of errors, CORS,
// request ids and the limits per address. It decides nothing about access, keeps no state but those limits, and draws no
// pages: people's pages come from whatever implements Pages.
//
//	request ── request id ── address ── route ── [CORS] ── parse (form.go, json.go, bearer.go)
//	                                                   └── core method ── JSON
//	                                          any error ──────────────── error.go
//
// Two kinds of route exist. Protocol endpoints answer JSON to programs and are reached with credentials of their own, so
// no cookie counts there. The two doors with a person before them, /authorize and /claims, store the request in the core,
// bind it to the browser with a cookie and answer 303 to /flow/{id}, where pages take over.
package httpapi
