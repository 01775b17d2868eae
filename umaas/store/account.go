package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/umaas/umaas/umaas"
)

func (t tx) Account(id umaas.AccountID) (umaas.Account, error) {
	if named("account", string(id)) != nil {
		return umaas.Account{}, umaas.ErrNotFound // such an id could spell another kind of key
	}
	return readAgain(t, accountKey(id, kindAccount), accountFields)
}

func (t tx) AccountByLogin(login string) (umaas.Account, error) {
	return t.accountBy(plainKey(regionLogin, login))
}

func (t tx) AccountByEmail(email string) (umaas.Account, error) {
	return t.accountBy(plainKey(regionEmail, email))
}

func (t tx) accountBy(key []byte) (umaas.Account, error) {
	id, err := t.get(key)
	if err != nil {
		return umaas.Account{}, err
	}
	return t.Account(umaas.AccountID(id))
}

// Accounts goes from one account's prefix to the next: the account record is the first key of each.
func (t tx) Accounts(after umaas.AccountID, limit int) ([]umaas.Account, error) {
	var from []byte
	if after != "" {
		from = accountKey(after, kindsEnd)
	}
	var out []umaas.Account
	for len(out) < limit {
		pairs, err := t.kv.Scan([]byte{regionAccount}, from, 1)
		if err != nil || len(pairs) == 0 {
			return out, err
		}
		key := pairs[0].Key
		end := bytes.IndexByte(key, 0)
		id := umaas.AccountID(key[1:max(1, end)])
		if bytes.Equal(key, accountKey(id, kindAccount)) {
			a, err := decode(pairs[0].Value, accountFields)
			if err != nil {
				return nil, err
			}
			out = append(out, a)
		}
		from = accountKey(id, kindsEnd)
	}
	return out, nil
}

func (t tx) PutAccount(a umaas.Account) error {
	if err := named("account", string(a.ID)); err != nil {
		return err
	}
	old, err := t.Account(a.ID)
	if err != nil && !errors.Is(err, umaas.ErrNotFound) {
		return err
	}
	if err := t.moveName("login", regionLogin, old.Login, a.Login, a.ID); err != nil {
		return err
	}
	if err := t.moveName("address", regionEmail, verified(old), verified(a), a.ID); err != nil {
		return err
	}
	if err := t.moveIdentities(old, a); err != nil {
		return err
	}
	return t.kv.Put(accountKey(a.ID, kindAccount), encode(&a, accountFields))
}

func identityName(i umaas.Identity) string { return hashOf(lookupHashLength, i.Issuer, i.Subject) }

func (t tx) AccountByIdentity(i umaas.Identity) (umaas.Account, error) {
	return t.accountBy(plainKey(regionIdentity, identityName(i)))
}

// moveIdentities keeps each identity pointing to the one account that has it.
func (t tx) moveIdentities(old, a umaas.Account) error {
	for _, i := range old.Identities {
		if !slices.Contains(a.Identities, i) {
			if err := t.moveName("identity", regionIdentity, identityName(i), "", a.ID); err != nil {
				return err
			}
		}
	}
	for _, i := range a.Identities {
		if i.Issuer == "" || i.Subject == "" {
			return errors.New("account: an identity has an issuer and a subject")
		}
		before := ""
		if slices.Contains(old.Identities, i) {
			before = identityName(i)
		}
		if err := t.moveName("identity", regionIdentity, before, identityName(i), a.ID); err != nil {
			return err
		}
	}
	return nil
}

func verified(a umaas.Account) string {
	if !a.EmailVerified {
		return ""
	}
	return a.Email
}

// moveName keeps a unique name pointing to its account.
func (t tx) moveName(kind string, region byte, old, name string, id umaas.AccountID) error {
	if name != "" {
		holder, err := t.get(plainKey(region, name))
		switch {
		case err == nil && umaas.AccountID(holder) != id:
			return fmt.Errorf("%s of another account: %w", kind, umaas.ErrExists)
		case err != nil && !errors.Is(err, umaas.ErrNotFound):
			return err
		}
	}
	if old == name {
		return nil
	}
	if old != "" {
		if err := t.kv.Delete(plainKey(region, old)); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	return t.kv.Put(plainKey(region, name), []byte(id))
}

// DeleteAccount removes the account and its names. What it owned stays under its prefix, out of everybody's reach, as the
// history that the custodian may have to keep.
func (t tx) DeleteAccount(id umaas.AccountID) error {
	old, err := t.Account(id)
	if errors.Is(err, umaas.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.moveName("login", regionLogin, old.Login, "", id); err != nil {
		return err
	}
	if err := t.moveName("address", regionEmail, verified(old), "", id); err != nil {
		return err
	}
	if err := t.moveIdentities(old, umaas.Account{ID: id}); err != nil {
		return err
	}
	return t.kv.Delete(accountKey(id, kindAccount))
}
