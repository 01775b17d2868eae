package store

import (
	"errors"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
)

func (t tx) Grant(key umaas.Key, now time.Time) (umaas.Grant, error) {
	return readLive(t, timeKey(regionGrant, key), now, grantFields, func(v *umaas.Grant) time.Time { return v.Expires })
}

// PutGrant lists the grant with its party when it is new; a party does not change. RPTs are not listed: they live minutes,
// and each would dirty one more page of the store.
func (t tx) PutGrant(v umaas.Grant) error {
	if v.Party != "" && v.Kind != umaas.GrantRPT {
		if err := named("party", string(v.Party)); err != nil {
			return err
		}
		index := newestFirst(v.Party, kindPartyGrant, v.Key)
		if there, err := t.has(index); err != nil {
			return err
		} else if !there {
			if err := t.kv.Put(index, nil); err != nil {
				return err
			}
		}
	}
	return putTimed(t, regionGrant, v.Key, &v, grantFields)
}

// PartyGrants leaves out what has expired.
func (t tx) PartyGrants(party umaas.AccountID, before umaas.Key, limit int) ([]umaas.Grant, error) {
	now := t.store.now()
	return listed(t, party, kindPartyGrant, before, limit, func(key umaas.Key) (umaas.Grant, error) { return t.Grant(key, now) })
}

// listed reads the records an account's list of one kind points to, newest first, without those that have expired.
func listed[T any](t tx, account umaas.AccountID, kind byte, before umaas.Key, limit int, find func(umaas.Key) (T, error)) ([]T, error) {
	prefix := accountKey(account, kind)
	after := cursor(account, kind, before)
	var out []T
	for {
		pairs, err := t.kv.Scan(prefix, after, limit)
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			key, err := tailKey(p, prefix)
			if err != nil {
				return nil, err
			}
			v, err := find(key)
			if errors.Is(err, umaas.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if out = append(out, v); len(out) == limit {
				return out, nil
			}
		}
		if len(pairs) < limit {
			return out, nil
		}
		after = pairs[len(pairs)-1].Key
	}
}

// tailKey is the record key that stands inverted behind a prefix.
func tailKey(p kv.Pair, prefix []byte) (umaas.Key, error) {
	tail := p.Key[len(prefix):]
	if len(tail) < len(umaas.Key{}) {
		return umaas.Key{}, errDamaged
	}
	return invert(umaas.Key(tail[:len(umaas.Key{})])), nil
}

func (t tx) Token(key umaas.Key, now time.Time) (umaas.Token, error) {
	return readLive(t, timeKey(regionToken, key), now, tokenFields, func(v *umaas.Token) time.Time { return v.Expires })
}

func (t tx) PutToken(v umaas.Token) error { return putTimed(t, regionToken, v.Key, &v, tokenFields) }

func (t tx) DeleteToken(key umaas.Key) error { return t.kv.Delete(timeKey(regionToken, key)) }

func (t tx) Code(key umaas.Key, now time.Time) (umaas.Code, error) {
	return readLive(t, timeKey(regionCode, key), now, codeFields, func(v *umaas.Code) time.Time { return v.Expires })
}

func (t tx) PutCode(v umaas.Code) error { return putTimed(t, regionCode, v.Key, &v, codeFields) }
