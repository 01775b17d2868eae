package state

import (
	"context"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/store/kv"
)

type relationRecord struct {
	Subject string    `json:"s"`
	Patient string    `json:"p"`
	Kind    string    `json:"k,omitempty"`
	Label   string    `json:"l,omitempty"`
	Scopes  string    `json:"c"`
	Holder  bool      `json:"h,omitempty"`
	Until   time.Time `json:"u"`
}

// PutRelation implements resourceserver.RelationTable.
func (s *Store) PutRelation(ctx context.Context, r rs.Relation) error {
	if err := checked(r.Subject, r.Patient); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		if err := tx.Put(key("m", r.Patient, r.Subject), []byte{recordVersion}); err != nil {
			return err
		}
		return save(tx, key("l", r.Subject, r.Patient), relationRecord(r))
	})
}

// DropRelation implements resourceserver.RelationTable.
func (s *Store) DropRelation(ctx context.Context, subject, patient string) error {
	if err := checked(subject, patient); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		if err := tx.Delete(key("m", patient, subject)); err != nil {
			return err
		}
		return tx.Delete(key("l", subject, patient))
	})
}

// Relation implements resourceserver.RelationTable.
func (s *Store) Relation(ctx context.Context, subject, patient string) (rs.Relation, error) {
	if checked(subject, patient) != nil {
		return rs.Relation{}, rs.ErrNotKept
	}
	var r relationRecord
	if err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, key("l", subject, patient), &r) }); err != nil {
		return rs.Relation{}, err
	}
	return rs.Relation(r), nil
}

// RelationsBySubject implements resourceserver.RelationTable.
func (s *Store) RelationsBySubject(ctx context.Context, subject, after string, limit int) ([]rs.Relation, error) {
	if unkeyable(subject) {
		return nil, nil
	}
	var list []rs.Relation
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, under("l", subject), after, limit, func(p kv.Pair) error {
			var r relationRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			list = append(list, rs.Relation(r))
			return nil
		})
	})
	return list, err
}

// RelationsByPatient implements resourceserver.RelationTable.
func (s *Store) RelationsByPatient(ctx context.Context, patient, after string, limit int) ([]rs.Relation, error) {
	if unkeyable(patient) {
		return nil, nil
	}
	prefix := under("m", patient)
	var list []rs.Relation
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, prefix, after, limit, func(p kv.Pair) error {
			var r relationRecord
			if err := load(tx, key("l", string(p.Key[len(prefix):]), patient), &r); err != nil {
				return err
			}
			list = append(list, rs.Relation(r))
			return nil
		})
	})
	return list, err
}
