package state

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
)

// The keys. Parts are separated by a zero byte, which no part may contain. <iss> is 8 bytes of SHA-256 of the issuer in
// hex; <owner> is a user's key, or "-<iss>" for the custodian there; an owner's data stand under one prefix.
//
//	!                                   schema version
//	c <iss>                             client credentials, sealed
//	o <owner> pat                       PAT, sealed
//	o <owner> set <level> <patient>     registration
//	o <owner> gone <resource id>        set to be deleted at the authorization server
//	o <owner> work                      intent of a running reconciliation
//	o <owner> url <hash>                context URLs of a user
//	s <iss> <resource id>               key of the registration it belongs to
//	p <patient>                         owner of record(p)
//	u <user>                            person
//	f <Type/id> <user>                  people by FHIR resource
//	j <owner>                           reconciliation that is due
//	l <subject> <patient>               relation
//	m <patient> <subject>               relations by patient
//	x <hash>                            context URL
//	a <client id>                       app
//	b <sha256 of redirect URI> <client> apps by redirect URI
//	t <kind> <time><random>             handle, sealed; time is its end, so that the oldest come first
//	g <person>                          account that guards what is hers, where it is not her home account
//	h <account>                         person whose account it is
//	i <sha256 of issuer>                authorization server with linked accounts
//	n <patient> <holder> <person>       leave of a record's holder for a person of another authorization server
//	e <iss> <time><random>              access events of one owner; time is when they came in
func key(parts ...string) []byte { return []byte(strings.Join(parts, "\x00")) }

// under is the prefix of all keys below parts.
func under(parts ...string) []byte { return append(key(parts...), 0) }

const maxPart = 300

// unkeyable reports a part under which nothing can have been kept.
func unkeyable(part string) bool { return checked(part) != nil }

// checked refuses parts from outside that would not be one part of a key.
func checked(parts ...string) error {
	for _, p := range parts {
		if p == "" || len(p) > maxPart || strings.IndexByte(p, 0) >= 0 {
			return fmt.Errorf("state: %d bytes cannot be part of a key: want 1 to %d without a zero byte", len(p), maxPart)
		}
	}
	return nil
}

func issuerPart(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return hex.EncodeToString(sum[:8])
}

func ownerPart(o rs.Owner) string {
	if o.Custodian() {
		return "-" + issuerPart(o.Issuer)
	}
	return o.User
}

func hashPart(hash [32]byte) string { return hex.EncodeToString(hash[:]) }

// timed is a key part that grows with time: 8 bytes of time, 8 of randomness.
func timed(t time.Time, random [8]byte) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(t.UnixNano()))
	copy(b[8:], random[:])
	return hex.EncodeToString(b[:])
}

var errSchema = errors.New("state: the data were written by a newer version; use that version, or restore a backup")
