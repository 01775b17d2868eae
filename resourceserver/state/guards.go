package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type guardRecord struct {
	Issuer string    `json:"i"`
	User   string    `json:"u"`
	Since  time.Time `json:"s"`
}

func guardKey(home string) []byte { return key("g", home) }

func homeKey(account string) []byte { return key("h", account) }

type homeRecord struct {
	Home   string `json:"h"`
	Issuer string `json:"i"`
}

// GuardOf implements resourceserver.Guards.
func (s *Store) GuardOf(ctx context.Context, home string) (rs.Guard, error) {
	if checked(home) != nil {
		return rs.Guard{}, rs.ErrNotKept
	}
	var r guardRecord
	if err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, guardKey(home), &r) }); err != nil {
		return rs.Guard{}, err
	}
	return rs.Guard{Home: home, Owner: rs.Owner{Issuer: r.Issuer, User: r.User}, Since: r.Since}, nil
}

// HomeOf implements resourceserver.Guards.
func (s *Store) HomeOf(ctx context.Context, account string) (string, error) {
	if checked(account) != nil {
		return "", rs.ErrNotKept
	}
	var r homeRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, homeKey(account), &r) })
	return r.Home, err
}

// LinkAccount implements resourceserver.Guards.
func (s *Store) LinkAccount(ctx context.Context, account rs.Owner, home string) error {
	if err := checked(account.User, home); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var linked homeRecord
		err := load(tx, homeKey(account.User), &linked)
		if err == nil && linked.Home != home {
			return rs.ErrTaken
		}
		if err == nil || !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		_, err = tx.Get(key("u", account.User)) // a person who signs in here with it stays who she is
		if err == nil {
			return rs.ErrTaken
		}
		if !errors.Is(err, kv.ErrNotFound) {
			return err
		}
		if err := linkedAt(tx, account.Issuer, 1); err != nil {
			return err
		}
		return save(tx, homeKey(account.User), homeRecord{Home: home, Issuer: account.Issuer})
	})
}

// UnlinkAccount implements resourceserver.Guards.
func (s *Store) UnlinkAccount(ctx context.Context, account string) error {
	if err := checked(account); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var linked homeRecord
		err := load(tx, homeKey(account), &linked)
		if errors.Is(err, rs.ErrNotKept) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, guards, err := whose(tx, account); err != nil {
			return err
		} else if guards {
			return rs.ErrBusy
		}
		if err := linkedAt(tx, linked.Issuer, -1); err != nil {
			return err
		}
		return tx.Delete(homeKey(account))
	})
}

// linkedAt counts the linked accounts of an authorization server; with the last one it is forgotten.
func linkedAt(tx kv.Tx, issuer string, change int) error {
	at := key("i", knownKey(issuer))
	var r issuerRecord
	if err := load(tx, at, &r); err != nil && !errors.Is(err, rs.ErrNotKept) {
		return err
	}
	r.Issuer = issuer
	if r.Linked += change; r.Linked <= 0 {
		return tx.Delete(at)
	}
	return save(tx, at, r)
}

// whose is the person an account belongs to, and whether the account guards what is hers. home is "" for nobody's.
func whose(tx kv.Tx, account string) (home string, guards bool, err error) {
	if unkeyable(account) {
		return "", false, nil
	}
	var linked homeRecord
	err = load(tx, homeKey(account), &linked)
	if errors.Is(err, rs.ErrNotKept) {
		linked.Home = account
		if _, err = tx.Get(key("u", account)); errors.Is(err, kv.ErrNotFound) {
			return "", false, nil
		}
	}
	if err != nil {
		return "", false, err
	}
	var g guardRecord
	err = load(tx, guardKey(linked.Home), &g)
	if errors.Is(err, rs.ErrNotKept) {
		return linked.Home, linked.Home == account, nil
	}
	return linked.Home, err == nil && g.User == account, err
}

// SwitchGuard implements resourceserver.Guards.
func (s *Store) SwitchGuard(ctx context.Context, w rs.Switch) error {
	if err := checked(w.Home, w.To.User, w.Record.ResourceID); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		home, guards, err := whose(tx, w.From.User)
		if err != nil {
			return err
		}
		if home != w.Home || !guards {
			return rs.ErrBusy
		}
		if home, _, err = whose(tx, w.To.User); err != nil {
			return err
		}
		if home != w.Home {
			return rs.ErrTaken
		}
		if w.To.User == w.Home {
			err = tx.Delete(guardKey(w.Home))
		} else {
			err = save(tx, guardKey(w.Home), guardRecord{Issuer: w.To.Issuer, User: w.To.User, Since: w.Since})
		}
		if err != nil {
			return err
		}
		return put(tx, w.Record)
	})
}

// Standing implements resourceserver.Guards.
func (s *Store) Standing(ctx context.Context, account, patient string) (rs.Standing, error) {
	var st rs.Standing
	if unkeyable(patient) {
		return st, nil
	}
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		st = rs.Standing{}
		home, guards, err := whose(tx, account)
		if err != nil || home == "" {
			return err
		}
		st.Person, st.Guards = home, guards
		held, err := holds(tx, patient)
		if err != nil {
			return err
		}
		if held.User == "" { // the custodian's, or nobody's yet: its relation alone decides (decisions 2)
			st.Bound = true
			return nil
		}
		holder, _, err := whose(tx, held.User)
		if err != nil {
			return err
		}
		if holder == home {
			st.Bound = true
			return nil
		}
		issuer, err := guardIssuer(tx, home)
		if err != nil {
			return err
		}
		st.Bound = issuer != "" && issuer == held.Issuer
		if _, err = tx.Get(leaveKey(patient, holder, home)); err == nil {
			st.Leave = holder != ""
		} else if errors.Is(err, kv.ErrNotFound) {
			err = nil
		}
		return err
	})
	return st, err
}

// holds is record(p) as it stands, the zero value where there is none.
func holds(tx kv.Tx, patient string) (registrationRecord, error) {
	var r registrationRecord
	at, err := tx.Get(key("p", patient))
	if err == nil {
		err = load(tx, at, &r)
	}
	if errors.Is(err, kv.ErrNotFound) || errors.Is(err, rs.ErrNotKept) {
		return registrationRecord{}, nil
	}
	return r, err
}

// guardIssuer is the authorization server at which a person's sets are.
func guardIssuer(tx kv.Tx, home string) (string, error) {
	var g guardRecord
	err := load(tx, guardKey(home), &g)
	if err == nil || !errors.Is(err, rs.ErrNotKept) {
		return g.Issuer, err
	}
	var u userRecord
	err = load(tx, key("u", home), &u)
	if errors.Is(err, rs.ErrNotKept) {
		return "", nil
	}
	return u.Issuer, err
}

func leaveKey(patient, holder, person string) []byte { return key("n", patient, holder, person) }

// PutLeave implements resourceserver.Guards.
func (s *Store) PutLeave(ctx context.Context, patient, holder, person string) error {
	if err := checked(patient, holder, person); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error { return tx.Put(leaveKey(patient, holder, person), []byte{recordVersion}) })
}

// DropLeave implements resourceserver.Guards.
func (s *Store) DropLeave(ctx context.Context, patient, holder, person string) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error { return tx.Delete(leaveKey(patient, holder, person)) })
}

// Leaves implements resourceserver.Guards.
func (s *Store) Leaves(ctx context.Context, patient, holder string) ([]string, error) {
	if err := checked(patient, holder); err != nil {
		return nil, err
	}
	prefix := under("n", patient, holder)
	var people []string
	for after := ""; ; {
		var page []string
		err := s.engine.View(ctx, func(tx kv.Tx) error {
			page = nil
			return scan(tx, prefix, after, kv.MaxScan, func(p kv.Pair) error {
				page = append(page, strings.TrimPrefix(string(p.Key), string(prefix)))
				return nil
			})
		})
		people = append(people, page...)
		if err != nil || len(page) < kv.MaxScan {
			return people, err
		}
		after = page[len(page)-1]
	}
}

type issuerRecord struct {
	Issuer string `json:"i"`
	Linked int    `json:"n"`
}

func knownKey(issuer string) string {
	sum := sha256.Sum256([]byte(issuer))
	return hex.EncodeToString(sum[:])
}

// KnownIssuer implements resourceserver.IssuerTable.
func (s *Store) KnownIssuer(ctx context.Context, issuer string) (rs.KnownIssuer, error) {
	var r issuerRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, key("i", knownKey(issuer)), &r) })
	if err == nil && r.Issuer != issuer {
		err = rs.ErrNotKept
	}
	if err != nil {
		return rs.KnownIssuer{}, err
	}
	return rs.KnownIssuer(r), nil
}

// KnownIssuers implements resourceserver.IssuerTable.
func (s *Store) KnownIssuers(ctx context.Context, after string, limit int) ([]rs.KnownIssuer, error) {
	if after != "" {
		after = knownKey(after)
	}
	var list []rs.KnownIssuer
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, under("i"), after, limit, func(p kv.Pair) error {
			var r issuerRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			list = append(list, rs.KnownIssuer(r))
			return nil
		})
	})
	return list, err
}
