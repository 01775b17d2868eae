package umaas

import "time"

// PCT is a persisted claims token (Grant §3.3.5): who the party was and what trusted issuers stated about her, for one client,
// so that she need not be asked again. It is given only where she agreed (Grant §6.2), bound to client and party and to the
// client's key where it has one (Grant §5.2, SEC-25), and she can see and end it.
type PCT struct {
	Key     Key
	Secret  SecretHash
	Client  ClientID
	Party   Party
	Purpose string // she stated, for this app
	Confirm Confirmation
	Created time.Time
	Used    time.Time // last
	Expires time.Time // 30 days at most
}

// PCTReader finds persisted claims tokens.
type PCTReader interface {
	PCT(key Key, now time.Time) (PCT, error)
	PartyPCTs(party AccountID, before Key, limit int) ([]PCT, error) // newest first
}

// PCTWriter keeps them. DeletePCT of an absent one is ErrNotFound.
type PCTWriter interface {
	PutPCT(p PCT) error
	DeletePCT(key Key) error
}
