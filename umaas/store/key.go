package store

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/umaas/umaas/umaas"
)

// The syntax of keys. "·" is the zero byte that ends an id (no id contains it); key is the 16 bytes of an umaas.Key, which
// grow with time, and ^key the same bytes inverted, so that an ascending scan gives the newest first; hash is the first 16
// bytes of a SHA-256 (12 in the policy index) over the named parts, each with its length before it.
//
//	key                                    value                    written by
//	o account · @                          account                  PutAccount        all that belongs to one account
//	o account · a ^key                     audit event              AppendAudit       lies under one prefix; the server's
//	o party   · b ^key owner               (empty)                  PutRequest        own audit has the account ""
//	o party   · c ^key                     (empty)                  PutPCT
//	o owner   · d delegation               delegation               PutDelegation
//	o party   · g ^key                     (empty)                  PutGrant
//	o owner   · i hash(rs,resource)|0 hash(who) policy end          PutPolicy         0: policies of many resources
//	o owner   · p policy                   policy                   PutPolicy
//	o owner   · q ^key                     request                  PutRequest
//	o owner   · r rs · resource            resource                 PutResource
//	o owner   · v ^key                     (empty)                  PutInvitation
//	o owner   · w hash(party,client,ids)   key of the request       PutRequest
//	l login                                account id               PutAccount        unique
//	e address                              account id               PutAccount        unique, verified ones only
//	I hash(issuer,subject)                 account id               PutAccount        unique
//	C client                               client                   PutClient
//	D hash(who) owner · delegation         (empty)                  PutDelegation     those in force
//	R hash(rs,resource)                    account id of the owner  PutResource
//	S hash(scopes)                         scope list               PutResource       by content: never changed
//	T issuer                               trusted issuer           PutTrustedIssuer
//	c|f|g|k|n|t key                        code, flow, grant, token, session, ticket  expire
//	E seconds owner · policy               end of a policy          PutPolicy         taken out of the index then
//	F number                               change                   AppendChange      expire
//	P|v key                                PCT, invitation          expire
//	u hash(space,id)                       end of its life          Spend, MarkEvent  expire
//	x name                                 setting                  PutSetting
//	= schema, = gc                         schema version; lease of the garbage collection
//
// Short-lived records have regions of their own, in the order of time, because a commit rewrites every page it touches:
// neighbours in time share pages, random keys have one each.
const (
	regionAccount    = 'o'
	regionLogin      = 'l'
	regionEmail      = 'e'
	regionClient     = 'C'
	regionOwnerOf    = 'R'
	regionScopes     = 'S'
	regionCode       = 'c'
	regionFlow       = 'f'
	regionGrant      = 'g'
	regionToken      = 'k'
	regionSession    = 'n'
	regionTicket     = 't'
	regionUsed       = 'u'
	regionSetting    = 'x'
	regionIdentity   = 'I'
	regionIssuer     = 'T'
	regionPCT        = 'P'
	regionInvitation = 'v'
	regionDelegated  = 'D'
	regionChange     = 'F'
	regionPolicyEnd  = 'E'
	regionMeta       = '='

	kindAccount      = '@' // the lowest: the first key of an account's prefix
	kindAudit        = 'a'
	kindAskedBy      = 'b'
	kindPartyGrant   = 'g'
	kindPolicyIndex  = 'i'
	kindPolicy       = 'p'
	kindRequest      = 'q'
	kindResource     = 'r'
	kindPartyPCT     = 'c'
	kindDelegation   = 'd'
	kindInvitation   = 'v'
	kindOpenRequest  = 'w'
	kindUnlisted     = 'u'
	kindsEnd         = 0xff // above every kind: the cursor behind an account's data
	maxID            = 255
	indexHashLength  = 12
	lookupHashLength = 16
)

// accountKey is a key under an account's prefix; with no tail it is the prefix of a kind.
func accountKey(account umaas.AccountID, kind byte, tail ...string) []byte {
	n := len(account) + 3
	for _, s := range tail {
		n += len(s) + 1
	}
	k := make([]byte, 0, n)
	k = append(append(append(k, regionAccount), account...), 0, kind)
	for _, s := range tail {
		k = append(k, s...)
	}
	return k
}

func plainKey(region byte, name string) []byte {
	return append(append(make([]byte, 0, 1+len(name)), region), name...)
}

func timeKey(region byte, k umaas.Key) []byte {
	return append(append(make([]byte, 0, 1+len(k)), region), k[:]...)
}

// newestFirst is ^key under an account's prefix.
func newestFirst(account umaas.AccountID, kind byte, k umaas.Key) []byte {
	inverted := invert(k)
	return accountKey(account, kind, string(inverted[:]))
}

func invert(k umaas.Key) umaas.Key {
	for i := range k {
		k[i] = ^k[i]
	}
	return k
}

// cursor is the scan position behind before; the zero key starts with the newest.
func cursor(account umaas.AccountID, kind byte, before umaas.Key) []byte {
	if before.IsZero() {
		return nil
	}
	return newestFirst(account, kind, before)
}

// hashOf names a list of parts in a fixed length; the lengths keep ("ab","c") apart from ("a","bc").
func hashOf(length int, parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p) + 4
	}
	buf := make([]byte, 0, n)
	for _, p := range parts {
		buf = binary.BigEndian.AppendUint32(buf, uint32(len(p))) //nolint:gosec // parts are far below 4 GiB
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	return string(sum[:length])
}
