// Package pop is proof of possession: what shows that whoever presents a token holds the key it is bound to. It knows the two
// ways this project supports, and nothing of clients, grants or storage:
//
//   - DPoP (RFC 9449): a small signed statement in the header DPoP of each request. Verify judges one, Key makes them, and
//     Transport gives one to every request of an http.Client.
//   - Mutual TLS (RFC 8705): the certificate of the connection, or the one a configured proxy names in Client-Cert (RFC
//     9440). Certificates reads it.
//
// Authorization server, resource server and apps use the same code, over the standard library alone: a proof carries its own
// key, so there is no key set to look anything up in, and the few algorithms that count are written out. Single use of a
// proof (Proof.JTI) is the caller's: the authorization server spends it in the transaction that the proof stands for, the
// resource server remembers it for as long as it could be used.
package pop
