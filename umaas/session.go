package umaas

import "time"

// Session is a signed-in browser. The cookie carries a handle; the record is deleted at sign-out.
type Session struct {
	Key      Key
	Secret   SecretHash
	Account  AccountID
	AuthTime time.Time
	AMR      []string // RFC 8176
	ACR      string
	Upstream Identity // the trusted issuer's word this sign-in rests on; zero: this server's own
	Claims   []Claim  // what that issuer stated at this sign-in
	Created  time.Time
	Expires  time.Time
}
