package umaas

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// AddClient registers a client by an administrator: the rules of Register, but not marked Dynamic, and with an account, a
// checker or resource URLs that a dynamic client holds if the administrator says so. c.ID and c.SecretHash are ignored. The
// secret ("" for methods without one) is shown this once.
func (s *Service) AddClient(ctx context.Context, c Client, actor AccountID) (Client, string, error) {
	now := s.Now()
	c = withDefaults(c)
	c.Dynamic, c.Created, c.SecretHash = false, now, SecretHash{}
	if err := registrationError(slices.Concat(checkClient(c), s.checkBinding(c), s.checkProfile(c))); err != nil {
		return Client{}, "", err
	}
	if c.Account != "" {
		if _, err := s.Account(ctx, c.Account); err != nil {
			return Client{}, "", fmt.Errorf("account the client acts for: %w", err)
		}
	}
	return s.storeNewClient(ctx, c, AuditEvent{Type: "client-added", Actor: actor}, now)
}

// newSecret sets the hash of a fresh secret, where the client's method has one.
func (s *Service) newSecret(c *Client) (string, error) {
	if c.AuthMethod != AuthSecretBasic && c.AuthMethod != AuthSecretPost {
		return "", nil
	}
	var b [32]byte
	if _, err := io.ReadFull(s.Random, b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	c.SecretHash = sha256.Sum256([]byte(secret))
	return secret, nil
}

// Client finds a client.
func (s *Service) Client(ctx context.Context, id ClientID) (Client, error) {
	var c Client
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		c, err = r.Client(id)
		return err
	})
	if err != nil {
		return Client{}, fmt.Errorf("client: %w", err)
	}
	return c, nil
}

// Clients pages through all clients.
func (s *Service) Clients(ctx context.Context, after ClientID, limit int) ([]Client, error) {
	var out []Client
	err := s.Store.View(ctx, func(r Reader) error {
		var err error
		out, err = r.Clients(after, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	return out, nil
}

// SetClientDisabled shuts a client out, or lets it in again. All its tokens rest while it is disabled, for liveness is
// asked each time (SEC-38).
func (s *Service) SetClientDisabled(ctx context.Context, id ClientID, disabled bool, actor AccountID) error {
	kind := "client-enabled"
	if disabled {
		kind = "client-disabled"
	}
	return s.changeClient(ctx, id, kind, actor, func(c *Client) { c.Disabled = disabled })
}

// VouchForClient records who has checked a client, and when; pages then no longer call it unchecked.
func (s *Service) VouchForClient(ctx context.Context, id ClientID, checkedBy string, actor AccountID) error {
	if checkedBy == "" {
		return errors.New("vouch for client: name who has checked it")
	}
	now := s.Now()
	return s.changeClient(ctx, id, "client-checked", actor, func(c *Client) {
		c.Dynamic, c.CheckedBy, c.CheckedAt = false, checkedBy, now
	})
}

// RenewClientSecret replaces the secret; the old one ends at once. The new one is shown this once.
func (s *Service) RenewClientSecret(ctx context.Context, id ClientID, actor AccountID) (string, error) {
	var fresh Client
	fresh.AuthMethod = AuthSecretBasic
	secret, err := s.newSecret(&fresh)
	if err != nil {
		return "", err
	}
	c, err := s.Client(ctx, id)
	if err != nil {
		return "", err
	}
	if c.AuthMethod != AuthSecretBasic && c.AuthMethod != AuthSecretPost {
		return "", fmt.Errorf("renew client secret: the client authenticates by %s and has none", c.AuthMethod)
	}
	err = s.changeClient(ctx, id, "client-secret-renewed", actor, func(c *Client) { c.SecretHash = fresh.SecretHash })
	if err != nil {
		return "", err
	}
	return secret, nil
}

func (s *Service) changeClient(ctx context.Context, id ClientID, kind string, actor AccountID, change func(*Client)) error {
	now := s.Now()
	err := s.Store.Update(ctx, func(tx Tx) error {
		c, err := tx.Client(id)
		if err != nil {
			return err
		}
		change(&c)
		if err := tx.PutClient(c); err != nil {
			return err
		}
		return s.auditOAuth(tx, now, AuditEvent{Type: kind, Outcome: OutcomeSuccess, Actor: actor, Client: id})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// errAudienceTaken: a URL has one resource server. Otherwise a stranger could register the address of a hospital and be
// taken for it where apps name the server by its URL.
var errAudienceTaken = errors.New("another client answers for a resource URL")

func audienceSetting(url string) string {
	sum := sha256.Sum256([]byte(url))
	return "audience:" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// claimAudience enters a client's URLs into the register. An administered client takes a URL over from one that registered
// itself; a disabled or deleted holder gives way.
func claimAudience(tx Tx, c Client) error {
	for _, u := range c.Audience {
		holder, err := clientByAudience(tx, u)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err == nil && holder.ID != c.ID {
			if c.Dynamic || !holder.Dynamic {
				return errAudienceTaken
			}
			// The loser's tokens must not name the URL any more.
			holder.Audience = slices.DeleteFunc(slices.Clone(holder.Audience), func(mine string) bool { return mine == u })
			if err := tx.PutClient(holder); err != nil {
				return err
			}
		}
		if err := tx.PutSetting(audienceSetting(u), []byte(c.ID)); err != nil {
			return err
		}
	}
	return nil
}

// clientByAudience finds the enabled resource server that answers for a URL, compared byte for byte.
func clientByAudience(r Reader, u string) (Client, error) {
	id, err := r.Setting(audienceSetting(u))
	if err != nil {
		return Client{}, err
	}
	c, err := r.Client(ClientID(id))
	if err != nil {
		return Client{}, err
	}
	if c.Disabled || !contains(c.Audience, u) || !contains(c.Scopes, uma.ScopeProtection) {
		return Client{}, ErrNotFound
	}
	return c, nil
}
