// Package keys holds the signing keys of the authorization server: making, rotation, signing and verification. It is the
// only package of the server that sees the JOSE library, so a change of that library is a change of this package.
package keys

// Ring is the set of signing keys: one that signs per algorithm, one that comes next, and those still published for
// verification.
type Ring struct{}
