// Package signin proves who a person is. It owns password hashing and checking, and what keeps guessing slow; sessions and
// accounts belong to the core, the page to the web package. Upstream is the network part of signing in at trusted OpenID
// providers: code, PKCE, nonce, ID token; which of them, and what their word counts for, is the core's.
//
//	address and (account, address) still within limits? ─► account ─► argon2id, one at a time per slot ─► right?
//	  └ no: ErrSlowDown                                     └ unknown: the same work on a dummy hash    └ no: ErrWrong
//	─► rehash when the stored cost is not today's ─► new session
//
// An unknown login, a closed account, an account without password and a wrong password give the same error after the same
// work (SEC-44, PG-01).
package signin
