// Package asclienttest is an authorization server for the resource server's own tests: the wire of UMA 2.0 Federated
// Authorization, OAuth 2.0 and OpenID Connect as far as a resource server sees it, over real HTTP on loopback, with every
// request counted and everything registered open to inspection. It decides nothing: tests say who signs in and what a
// token is good for. It is written from the specifications alone and shares no code with the real server.
package asclienttest
