// Package uma is the wire vocabulary of UMA 2.0: the JSON shapes, URIs, parameter names and errors of the Grant and of
// Federated Authorization, with the OAuth 2.0 and OpenID Connect members they rest on. It is a leaf: it imports the
// standard library alone, so that the authorization server, the resource server and the conformance suite can share it
// without sharing behaviour.
package uma
