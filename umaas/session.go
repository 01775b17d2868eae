package umaas

import "time"

// Session is a signed-in browser. The cookie carries a handle; the record is deleted at sign-out.
type Session struct {
	Key      Key
	Secret   SecretHash
	Account  AccountID
	AuthTime time.Time
	AMR      []string // RFC 8176
	Created  time.Time
	Expires  time.Time
}
