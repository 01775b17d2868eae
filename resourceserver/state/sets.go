package state

import (
	"context"
	"errors"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type registrationRecord struct {
	Issuer      string    `json:"i"`
	ResourceID  string    `json:"r"`
	Level       string    `json:"l"`
	User        string    `json:"u,omitempty"` // of the set and of its owner
	Patient     string    `json:"p,omitempty"`
	Fingerprint string    `json:"f,omitempty"`
	Updated     time.Time `json:"m"`
}

func (r registrationRecord) registration() rs.Registration {
	return rs.Registration{
		Set:   rs.Set{Issuer: r.Issuer, ResourceID: r.ResourceID, Level: rs.Level(r.Level), User: r.User, Patient: r.Patient},
		Owner: rs.Owner{Issuer: r.Issuer, User: r.User}, Fingerprint: r.Fingerprint, Updated: r.Updated,
	}
}

func record(g rs.Registration) registrationRecord {
	return registrationRecord{
		Issuer: g.Owner.Issuer, ResourceID: g.ResourceID, Level: string(g.Level), User: g.Owner.User, Patient: g.Patient,
		Fingerprint: g.Fingerprint, Updated: g.Updated,
	}
}

func setKey(o rs.Owner, level rs.Level, patient string) []byte {
	return key("o", ownerPart(o), "set", string(level), patient)
}

func idKey(issuer, resourceID string) []byte { return key("s", issuerPart(issuer), resourceID) }

// SetByID implements resourceserver.Sets.
func (s *Store) SetByID(ctx context.Context, issuer, resourceID string) (rs.Set, error) {
	if checked(resourceID) != nil {
		return rs.Set{}, rs.ErrNotKept
	}
	var r registrationRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		at, err := tx.Get(idKey(issuer, resourceID))
		if errors.Is(err, kv.ErrNotFound) {
			return rs.ErrNotKept
		}
		if err != nil {
			return err
		}
		return load(tx, at, &r)
	})
	if err != nil {
		return rs.Set{}, err
	}
	if r.Issuer != issuer || r.ResourceID != resourceID {
		return rs.Set{}, rs.ErrNotKept
	}
	return r.registration().Set, nil
}

// Registration implements resourceserver.Sets.
func (s *Store) Registration(ctx context.Context, o rs.Owner, level rs.Level, patient string) (rs.Registration, error) {
	var r registrationRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, setKey(o, level, patient), &r) })
	if err != nil {
		return rs.Registration{}, err
	}
	return r.registration(), nil
}

// Registrations implements resourceserver.Sets. The cursor is the tail of the last key.
func (s *Store) Registrations(ctx context.Context, o rs.Owner, after string, limit int) ([]rs.Registration, string, error) {
	prefix := under("o", ownerPart(o), "set")
	limit = min(max(limit, 1), kv.MaxScan)
	var page []rs.Registration
	var next string
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		page, next = nil, ""
		return scan(tx, prefix, after, limit, func(p kv.Pair) error {
			var r registrationRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			page = append(page, r.registration())
			if len(page) == limit {
				next = strings.TrimPrefix(string(p.Key), string(prefix))
			}
			return nil
		})
	})
	return page, next, err
}

// RecordOf implements resourceserver.Sets.
func (s *Store) RecordOf(ctx context.Context, patient string) (rs.Registration, error) {
	if checked(patient) != nil {
		return rs.Registration{}, rs.ErrNotKept
	}
	var r registrationRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		at, err := tx.Get(key("p", patient))
		if errors.Is(err, kv.ErrNotFound) {
			return rs.ErrNotKept
		}
		if err != nil {
			return err
		}
		return load(tx, at, &r)
	})
	if err != nil {
		return rs.Registration{}, err
	}
	return r.registration(), nil
}

// PutRegistration implements resourceserver.Sets.
func (s *Store) PutRegistration(ctx context.Context, g rs.Registration) error {
	if err := checked(g.ResourceID, string(g.Level), ownerPart(g.Owner)); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error { return put(tx, g) })
}

func put(tx kv.Tx, g rs.Registration) error {
	at := setKey(g.Owner, g.Level, g.Patient)
	if err := displace(tx, g, at); err != nil {
		return err
	}
	if g.Level == rs.LevelRecord {
		if err := tx.Put(key("p", g.Patient), at); err != nil {
			return err
		}
	}
	if err := tx.Delete(key("o", ownerPart(g.Owner), "gone", g.ResourceID)); err != nil {
		return err
	}
	if err := tx.Put(idKey(g.Owner.Issuer, g.ResourceID), at); err != nil {
		return err
	}
	return save(tx, at, record(g))
}

// displace ends what stands in the way of g: another id under the same meaning, or another holder of the same record.
func displace(tx kv.Tx, g rs.Registration, at []byte) error {
	var same registrationRecord
	err := load(tx, at, &same)
	if err != nil && !errors.Is(err, rs.ErrNotKept) {
		return err
	}
	if err == nil && same.ResourceID != g.ResourceID {
		if err := end(tx, same); err != nil {
			return err
		}
	}
	if g.Level != rs.LevelRecord {
		return nil
	}
	held, err := tx.Get(key("p", g.Patient))
	if errors.Is(err, kv.ErrNotFound) || err == nil && string(held) == string(at) {
		return nil
	}
	if err != nil {
		return err
	}
	var other registrationRecord
	err = load(tx, held, &other)
	if errors.Is(err, rs.ErrNotKept) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := yields(tx, other, g); err != nil {
		return err
	}
	return end(tx, other)
}

// end removes a mapping and makes its set due for removal.
func end(tx kv.Tx, r registrationRecord) error {
	o := rs.Owner{Issuer: r.Issuer, User: r.User}
	at := setKey(o, rs.Level(r.Level), r.Patient)
	for _, k := range [][]byte{at, idKey(r.Issuer, r.ResourceID)} {
		if err := tx.Delete(k); err != nil {
			return err
		}
	}
	if r.Level == string(rs.LevelRecord) {
		if held, err := tx.Get(key("p", r.Patient)); err == nil && string(held) == string(at) {
			if err := tx.Delete(key("p", r.Patient)); err != nil {
				return err
			}
		} else if err != nil && !errors.Is(err, kv.ErrNotFound) {
			return err
		}
	}
	return tx.Put(key("o", ownerPart(o), "gone", r.ResourceID), []byte{recordVersion})
}

// EndRegistration implements resourceserver.Sets.
func (s *Store) EndRegistration(ctx context.Context, g rs.Registration) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var kept registrationRecord
		err := load(tx, setKey(g.Owner, g.Level, g.Patient), &kept)
		if errors.Is(err, rs.ErrNotKept) || err == nil && kept.ResourceID != g.ResourceID {
			return nil
		}
		if err != nil {
			return err
		}
		return end(tx, kept)
	})
}

// Removals implements resourceserver.Sets.
func (s *Store) Removals(ctx context.Context, o rs.Owner, limit int) ([]string, error) {
	prefix := under("o", ownerPart(o), "gone")
	var ids []string
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		ids = nil
		return scan(tx, prefix, "", limit, func(p kv.Pair) error {
			ids = append(ids, strings.TrimPrefix(string(p.Key), string(prefix)))
			return nil
		})
	})
	return ids, err
}

// RemovalDone implements resourceserver.Sets.
func (s *Store) RemovalDone(ctx context.Context, o rs.Owner, resourceID string) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error { return tx.Delete(key("o", ownerPart(o), "gone", resourceID)) })
}

type workRecord struct {
	Until time.Time `json:"u"`
}

// BeginWork implements resourceserver.Sets.
func (s *Store) BeginWork(ctx context.Context, o rs.Owner, now, until time.Time) (left bool, err error) {
	at := key("o", ownerPart(o), "work")
	err = s.engine.Update(ctx, func(tx kv.Tx) error {
		var w workRecord
		err := load(tx, at, &w)
		if err != nil && !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		left = err == nil
		if left && w.Until.After(now) {
			return rs.ErrBusy
		}
		return save(tx, at, workRecord{Until: until})
	})
	return left, err
}

// EndWork implements resourceserver.Sets.
func (s *Store) EndWork(ctx context.Context, o rs.Owner) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error { return tx.Delete(key("o", ownerPart(o), "work")) })
}
