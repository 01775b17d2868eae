package state

import (
	"context"
	"errors"
	"strings"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/store/kv"
)

type credentialsRecord struct {
	Issuer string `json:"i"`
	ID     string `json:"c"`
	Secret string `json:"s"`
	Token  string `json:"t,omitempty"`
	URI    string `json:"u,omitempty"`
	Key    string `json:"k,omitempty"`
}

// LoadCredentials implements asclient.CredentialStore.
func (s *Store) LoadCredentials(ctx context.Context, issuer string) (asclient.Credentials, error) {
	var r credentialsRecord
	err := s.engine.View(ctx, func(tx kv.Tx) error { return s.loadSealed(tx, key("c", issuerPart(issuer)), &r) })
	if errors.Is(err, rs.ErrNotKept) || err == nil && r.Issuer != issuer {
		return asclient.Credentials{}, asclient.ErrNoCredentials
	}
	return r.credentials(), err
}

func (r credentialsRecord) credentials() asclient.Credentials {
	return asclient.Credentials{Issuer: r.Issuer, ClientID: r.ID, ClientSecret: r.Secret, RegistrationToken: r.Token, RegistrationURI: r.URI, Key: r.Key}
}

// SaveNewCredentials implements asclient.CredentialStore: the first to save wins.
func (s *Store) SaveNewCredentials(ctx context.Context, c asclient.Credentials) (asclient.Credentials, error) {
	at := key("c", issuerPart(c.Issuer))
	var kept credentialsRecord
	err := s.engine.Update(ctx, func(tx kv.Tx) error {
		kept = credentialsRecord{}
		err := s.loadSealed(tx, at, &kept)
		if !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		kept = credentialsRecord{Issuer: c.Issuer, ID: c.ClientID, Secret: c.ClientSecret, Token: c.RegistrationToken, URI: c.RegistrationURI, Key: c.Key}
		return s.saveSealed(tx, at, kept)
	})
	return kept.credentials(), err
}

// DropCredentials implements asclient.CredentialDropper.
func (s *Store) DropCredentials(ctx context.Context, issuer, clientID string) error {
	at := key("c", issuerPart(issuer))
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var kept credentialsRecord
		err := s.loadSealed(tx, at, &kept)
		if errors.Is(err, rs.ErrNotKept) || err == nil && (kept.Issuer != issuer || kept.ID != clientID) {
			return nil
		}
		if err != nil {
			return err
		}
		return tx.Delete(at)
	})
}

type patRecord struct {
	Issuer  string    `json:"i"`
	User    string    `json:"u,omitempty"`
	Access  string    `json:"a,omitempty"`
	Refresh string    `json:"r,omitempty"`
	Expires time.Time `json:"x"`
	Dead    bool      `json:"d,omitempty"`
	Updated time.Time `json:"m"`
	Lease   time.Time `json:"l"`
}

func (r patRecord) pat() rs.PAT {
	return rs.PAT{
		Owner: rs.Owner{Issuer: r.Issuer, User: r.User}, Access: r.Access, Refresh: r.Refresh, Expires: r.Expires, Dead: r.Dead, Updated: r.Updated,
	}
}

func patKey(o rs.Owner) []byte { return key("o", ownerPart(o), "pat") }

// PAT implements resourceserver.PATs.
func (s *Store) PAT(ctx context.Context, o rs.Owner) (rs.PAT, error) {
	var r patRecord
	if err := s.engine.View(ctx, func(tx kv.Tx) error { return s.loadSealed(tx, patKey(o), &r) }); err != nil {
		return rs.PAT{}, err
	}
	if p := r.pat(); p.Owner == o { // one server's token never goes to another, however its issuer was chosen
		return p, nil
	}
	return rs.PAT{}, rs.ErrNotKept
}

// PutPAT implements resourceserver.PATs.
func (s *Store) PutPAT(ctx context.Context, p rs.PAT) error {
	if err := checked(ownerPart(p.Owner)); err != nil {
		return err
	}
	r := patRecord{
		Issuer: p.Owner.Issuer, User: p.Owner.User, Access: p.Access, Refresh: p.Refresh, Expires: p.Expires, Dead: p.Dead, Updated: p.Updated,
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error { return s.saveSealed(tx, patKey(p.Owner), r) })
}

// DropPAT implements resourceserver.PATs.
func (s *Store) DropPAT(ctx context.Context, o rs.Owner) error {
	return s.engine.Update(ctx, func(tx kv.Tx) error { return tx.Delete(patKey(o)) })
}

// LeaseRefresh implements resourceserver.PATs.
func (s *Store) LeaseRefresh(ctx context.Context, o rs.Owner, until time.Time) (rs.PAT, error) {
	var r patRecord
	err := s.engine.Update(ctx, func(tx kv.Tx) error {
		r = patRecord{}
		if err := s.loadSealed(tx, patKey(o), &r); err != nil {
			return err
		}
		if r.Lease.After(s.now()) {
			return rs.ErrBusy
		}
		r.Lease = until
		return s.saveSealed(tx, patKey(o), r)
	})
	if err != nil {
		return rs.PAT{}, err
	}
	return r.pat(), nil
}

type userRecord struct {
	Key      string    `json:"k"`
	Issuer   string    `json:"i"`
	Subject  string    `json:"s"`
	Name     string    `json:"n,omitempty"`
	FHIRUser string    `json:"f,omitempty"`
	Created  time.Time `json:"c"`
	Seen     time.Time `json:"l"`
}

// User implements resourceserver.Users.
func (s *Store) User(ctx context.Context, userKey string) (rs.User, error) {
	if checked(userKey) != nil {
		return rs.User{}, rs.ErrNotKept
	}
	var r userRecord
	if err := s.engine.View(ctx, func(tx kv.Tx) error { return load(tx, key("u", userKey), &r) }); err != nil {
		return rs.User{}, err
	}
	return rs.User(r), nil
}

// PutUser implements resourceserver.Users.
func (s *Store) PutUser(ctx context.Context, u rs.User) error {
	if err := checked(u.Key); err != nil {
		return err
	}
	return s.engine.Update(ctx, func(tx kv.Tx) error {
		var old userRecord
		err := load(tx, key("u", u.Key), &old)
		if err != nil && !errors.Is(err, rs.ErrNotKept) {
			return err
		}
		if err == nil {
			u.Created = old.Created
			if old.FHIRUser != "" && old.FHIRUser != u.FHIRUser {
				if err := tx.Delete(key("f", old.FHIRUser, u.Key)); err != nil {
					return err
				}
			}
		}
		if u.FHIRUser != "" {
			if err := tx.Put(key("f", u.FHIRUser, u.Key), []byte{recordVersion}); err != nil {
				return err
			}
		}
		return save(tx, key("u", u.Key), userRecord(u))
	})
}

// Users implements resourceserver.Users.
func (s *Store) Users(ctx context.Context, after string, limit int) ([]rs.User, error) {
	var list []rs.User
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		list = nil
		return scan(tx, under("u"), after, limit, func(p kv.Pair) error {
			var r userRecord
			if err := decode(p.Value, &r); err != nil {
				return err
			}
			list = append(list, rs.User(r))
			return nil
		})
	})
	return list, err
}

// UsersByFHIRUser implements resourceserver.Users.
func (s *Store) UsersByFHIRUser(ctx context.Context, reference string) ([]string, error) {
	if unkeyable(reference) {
		return nil, nil
	}
	var keys []string
	prefix := under("f", reference)
	err := s.engine.View(ctx, func(tx kv.Tx) error {
		keys = nil
		return scan(tx, prefix, "", kv.MaxScan, func(p kv.Pair) error {
			keys = append(keys, strings.TrimPrefix(string(p.Key), string(prefix)))
			return nil
		})
	})
	return keys, err
}

// scan calls each for at most limit pairs below prefix, after the key whose last part is after.
func scan(tx kv.Tx, prefix []byte, after string, limit int, each func(kv.Pair) error) error {
	var start []byte
	if after != "" {
		start = append(append([]byte{}, prefix...), after...)
	}
	pairs, err := tx.Scan(prefix, start, min(max(limit, 1), kv.MaxScan))
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}
