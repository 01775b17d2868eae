package store

import (
	"bytes"
	"errors"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Delegation(owner umaas.AccountID, id umaas.PolicyID) (umaas.Delegation, error) {
	return read(t, accountKey(owner, kindDelegation, string(id)), delegationFields)
}

func (t tx) Delegations(owner umaas.AccountID, after umaas.PolicyID, limit int) ([]umaas.Delegation, error) {
	var from []byte
	if after != "" {
		from = accountKey(owner, kindDelegation, string(after))
	}
	return page(t, accountKey(owner, kindDelegation), from, limit, delegationFields)
}

// PutDelegation keeps the index of those that were not revoked: what names a party is found without a search.
func (t tx) PutDelegation(d umaas.Delegation) error {
	if err := named("delegation", string(d.Owner), string(d.ID)); err != nil {
		return err
	}
	if whoHash(d.Who) == "" {
		return errors.New("delegation: it names nobody")
	}
	old, err := t.Delegation(d.Owner, d.ID)
	if err != nil && !errors.Is(err, umaas.ErrNotFound) {
		return err
	}
	if err == nil {
		if err := t.kv.Delete(delegatedKey(old.Who, old.Owner, old.ID)); err != nil {
			return err
		}
	}
	if d.Revoked.IsZero() {
		if err := t.kv.Put(delegatedKey(d.Who, d.Owner, d.ID), nil); err != nil {
			return err
		}
	}
	return t.kv.Put(accountKey(d.Owner, kindDelegation, string(d.ID)), encode(&d, delegationFields))
}

func delegatedPrefix(w umaas.Who) []byte { return plainKey(regionDelegated, whoHash(w)) }

func delegatedKey(w umaas.Who, owner umaas.AccountID, id umaas.PolicyID) []byte {
	k := append(delegatedPrefix(w), owner...)
	return append(append(k, 0), id...)
}

func (t tx) DelegatedTo(parties []umaas.Who, limit int) ([]umaas.Delegation, error) {
	var out []umaas.Delegation
	for _, w := range parties {
		if whoHash(w) == "" {
			continue // nobody, and the prefix of everybody
		}
		prefix := delegatedPrefix(w)
		pairs, err := t.kv.Scan(prefix, nil, limit-len(out))
		if err != nil {
			return nil, err
		}
		for _, p := range pairs {
			owner, id, _ := bytes.Cut(p.Key[len(prefix):], []byte{0})
			d, err := t.Delegation(umaas.AccountID(owner), umaas.PolicyID(id))
			if err != nil {
				return nil, err
			}
			out = append(out, d)
		}
		if len(out) >= limit {
			break
		}
	}
	return out, nil
}

func delegationFields(c *codec, v *umaas.Delegation) {
	text(c, &v.Owner)
	text(c, &v.ID)
	whoFields(c, &v.Who)
	slice(c, &v.Rights, text[umaas.DelegatedRight])
	text(c, &v.Reason)
	text(c, &v.By)
	c.when(&v.NotAfter)
	c.when(&v.Created)
	c.when(&v.Revoked)
}
