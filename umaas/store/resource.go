package store

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv"
)

func resourceKey(owner umaas.AccountID, rs umaas.ClientID, id umaas.ResourceID) []byte {
	return accountKey(owner, kindResource, string(rs), "\x00", string(id))
}

func ownerKey(rs umaas.ClientID, id umaas.ResourceID) []byte {
	return plainKey(regionOwnerOf, hashOf(lookupHashLength, string(rs), string(id)))
}

func (t tx) Resource(owner umaas.AccountID, rs umaas.ClientID, id umaas.ResourceID) (umaas.Resource, error) {
	raw, err := t.get(resourceKey(owner, rs, id))
	if err != nil {
		return umaas.Resource{}, err
	}
	return t.resource(raw, owner, rs, id)
}

// resource completes a record with what its key says and with its scopes.
func (t tx) resource(raw []byte, owner umaas.AccountID, rs umaas.ClientID, id umaas.ResourceID) (umaas.Resource, error) {
	r, err := decode(raw, resourceFields)
	if err != nil {
		return umaas.Resource{}, err
	}
	r.Owner, r.RS, r.ID = owner, rs, id
	if r.scopes != (scopeHash{}) {
		if r.Description.Scopes, err = t.scopeList(r.scopes); err != nil {
			return umaas.Resource{}, err
		}
	}
	return r.Resource, nil
}

func (t tx) Resources(owner umaas.AccountID, rs umaas.ClientID, after umaas.ResourceID, limit int) ([]umaas.Resource, error) {
	return t.resources(owner, resourceKey(owner, rs, ""), resourceKey(owner, rs, after), limit)
}

func (t tx) OwnerResources(owner umaas.AccountID, afterRS umaas.ClientID, afterID umaas.ResourceID, limit int) ([]umaas.Resource, error) {
	var after []byte
	if afterRS != "" {
		after = resourceKey(owner, afterRS, afterID)
	}
	return t.resources(owner, accountKey(owner, kindResource), after, limit)
}

func (t tx) resources(owner umaas.AccountID, prefix, after []byte, limit int) ([]umaas.Resource, error) {
	pairs, err := t.kv.Scan(prefix, after, limit)
	if err != nil {
		return nil, err
	}
	out := make([]umaas.Resource, 0, len(pairs))
	for _, p := range pairs {
		rs, id, found := bytes.Cut(p.Key[len(accountKey(owner, kindResource)):], []byte{0})
		if !found {
			return nil, errDamaged
		}
		r, err := t.resource(p.Value, owner, umaas.ClientID(rs), umaas.ResourceID(id))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func (t tx) ResourceOwner(rs umaas.ClientID, id umaas.ResourceID) (umaas.AccountID, error) {
	owner, err := t.get(ownerKey(rs, id))
	return umaas.AccountID(owner), err
}

// PutResource keeps the index to the owner with it: an id of a resource server has one owner, and another one is ErrExists.
func (t tx) PutResource(r umaas.Resource) error {
	if err := named("resource", string(r.Owner), string(r.RS), string(r.ID)); err != nil {
		return err
	}
	owner, err := t.ResourceOwner(r.RS, r.ID)
	switch {
	case errors.Is(err, umaas.ErrNotFound):
		err = t.kv.Put(ownerKey(r.RS, r.ID), []byte(r.Owner))
	case err == nil && owner != r.Owner:
		err = fmt.Errorf("resource of another owner: %w", umaas.ErrExists)
	}
	if err != nil {
		return err
	}
	record := resourceRecord{Resource: r}
	if record.scopes, err = t.putScopes(r.Description.Scopes); err != nil {
		return err
	}
	return t.kv.Put(resourceKey(r.Owner, r.RS, r.ID), encode(&record, resourceFields))
}

func (t tx) DeleteResource(owner umaas.AccountID, rs umaas.ClientID, id umaas.ResourceID) error {
	if _, err := t.kv.Get(resourceKey(owner, rs, id)); errors.Is(err, kv.ErrNotFound) {
		return nil // above all: not another owner's index entry
	} else if err != nil {
		return err
	}
	if err := t.kv.Delete(ownerKey(rs, id)); err != nil {
		return err
	}
	return t.kv.Delete(resourceKey(owner, rs, id))
}
