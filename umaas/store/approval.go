package store

import (
	"errors"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Request(owner umaas.AccountID, key umaas.Key) (umaas.Request, error) {
	r, err := read(t, newestFirst(owner, kindRequest, key), requestFields)
	if errors.Is(err, umaas.ErrNotFound) {
		r, err = read(t, newestFirst(owner, kindUnlisted, key), requestFields)
		r.Unlisted = err == nil
	}
	return r, err
}

func (t tx) Requests(owner umaas.AccountID, before umaas.Key, limit int) ([]umaas.Request, error) {
	return page(t, accountKey(owner, kindRequest), cursor(owner, kindRequest, before), limit, requestFields)
}

// askKey names what makes two requests the same ask: party, client and the set of resources.
func askKey(owner, party umaas.AccountID, client umaas.ClientID, resources []umaas.ResourceID) []byte {
	parts := []string{string(party), string(client)}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(resources))) {
		parts = append(parts, string(id))
	}
	return accountKey(owner, kindOpenRequest, hashOf(lookupHashLength, parts...))
}

func askOf(r umaas.Request) []byte {
	ids := make([]umaas.ResourceID, len(r.Permissions))
	for i, p := range r.Permissions {
		ids[i] = umaas.ResourceID(p.ResourceID)
	}
	return askKey(r.Owner, r.Party.Account, r.Client, ids)
}

func (t tx) OpenRequest(owner, party umaas.AccountID, client umaas.ClientID, resources []umaas.ResourceID, now time.Time) (umaas.Request, error) {
	ask := askKey(owner, party, client, resources)
	key, err := t.get(ask)
	if err != nil {
		return umaas.Request{}, err
	}
	if len(key) != len(umaas.Key{}) {
		return umaas.Request{}, errDamaged
	}
	r, err := t.Request(owner, umaas.Key(key))
	if err != nil {
		return umaas.Request{}, err
	}
	if !open(r, now) || !slices.Equal(askOf(r), ask) {
		return umaas.Request{}, umaas.ErrNotFound
	}
	return r, nil
}

// open: waits for its owner, or was denied and is in its silent time.
func open(r umaas.Request, now time.Time) bool {
	return r.State == umaas.RequestWaiting && now.Before(r.Expires) || r.State == umaas.RequestDenied && now.Before(r.Silent)
}

func (t tx) RequestsBy(party umaas.AccountID, before umaas.Key, limit int) ([]umaas.Request, error) {
	prefix := accountKey(party, kindAskedBy)
	pairs, err := t.kv.Scan(prefix, cursor(party, kindAskedBy, before), limit)
	if err != nil {
		return nil, err
	}
	out := make([]umaas.Request, 0, len(pairs))
	for _, p := range pairs {
		key, err := tailKey(p, prefix)
		if err != nil {
			return nil, err
		}
		r, err := t.Request(umaas.AccountID(p.Value), key)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// PutRequest keeps two indexes: the party's list, written once, and the open ask, which follows the newest request that is
// not settled. A request stays for the history of both sides.
func (t tx) PutRequest(r umaas.Request) error {
	if err := named("request", string(r.Owner), string(r.Party.Account)); err != nil {
		return err
	}
	if r.Key.IsZero() {
		return errors.New("request without a key")
	}
	old, err := t.Request(r.Owner, r.Key)
	fresh := errors.Is(err, umaas.ErrNotFound)
	if err != nil && !fresh {
		return err
	}
	ask := askOf(r)
	switch before := askOf(old); {
	case fresh:
		err = t.kv.Put(newestFirst(r.Party.Account, kindAskedBy, r.Key), []byte(r.Owner))
	case old.Party.Account != r.Party.Account:
		err = errors.New("a request does not change its party")
	case !slices.Equal(before, ask):
		err = t.releaseAsk(before, r.Key)
	default:
		err = nil
	}
	if err != nil {
		return err
	}
	if r.State == umaas.RequestWaiting || r.State == umaas.RequestDenied && !r.Silent.IsZero() {
		err = t.kv.Put(ask, r.Key[:])
	} else {
		err = t.releaseAsk(ask, r.Key)
	}
	if err != nil {
		return err
	}
	here, other := byte(kindRequest), byte(kindUnlisted) // where it stands says whether it is listed
	if r.Unlisted {
		here, other = other, here
	}
	if !fresh && old.Unlisted != r.Unlisted {
		if err := t.kv.Delete(newestFirst(r.Owner, other, r.Key)); err != nil {
			return err
		}
	}
	return t.kv.Put(newestFirst(r.Owner, here, r.Key), encode(&r, requestFields))
}

// releaseAsk removes the open ask if it is still this request's.
func (t tx) releaseAsk(ask []byte, key umaas.Key) error {
	holder, err := t.get(ask)
	if errors.Is(err, umaas.ErrNotFound) || err == nil && !slices.Equal(holder, key[:]) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.kv.Delete(ask)
}
