// Package keys holds the signing keys of the authorization server: making, keeping, rotation, signing and verification. It
// is the only package of the server that sees the JOSE library, so a change of that library is a change of this package.
//
// A key goes through three states, each published in the key set (JWKS), so that a verifier which fetched the set at any
// time before the signature knows the key:
//
//	Prepare            Rotate              Overlap later, or Drop
//	  ──► next ──────────► active ─────────────► retiring ─────────► gone
//	      published        signs                 verifies only
//
// There is one active key per algorithm: RS256 (ID tokens, OpenID Connect Core §15.1 wants it) and ES256 (everything else).
// The package does not know what it signs: payloads are prepared by the caller, header and signature are made here.
//
// Keys live behind Storage as one sealed value, written by compare-and-swap; every service on one storage re-reads it at
// most Options.Reload after a change. With Options.Seal the value is encrypted (AES-256-GCM); without, it is as safe as the
// storage file.
package keys
