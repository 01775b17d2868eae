package umaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EmergencyDefault is an organization's break-the-glass policy for the records of its own resource server (HEART FHIR-UMA2
// §4.1, H-20). Each record registered while it stands begins with a policy of this content in its owner's name: she sees it
// among her shares, made by the organization, and stops it like any other. Records registered before are left alone.
type EmergencyDefault struct {
	Who    Who      // a claim: who the organization's emergency staff are
	Scopes []string // of the registered ones; empty: all
	Label  string
}

func emergencySetting(rs ClientID) string { return "emergency-default/" + string(rs) }

// SetEmergencyDefault sets it for a resource server that acts for an organization, by an administrator; nil removes it.
// Errors: ErrNotFound, ErrBadAnswer.
func (s *Service) SetEmergencyDefault(ctx context.Context, admin Account, rs ClientID, d *EmergencyDefault) error {
	if !administrates(admin) {
		return ErrNotFound
	}
	var raw []byte
	if d != nil {
		share := NewShare{Who: d.Who, BreakGlass: true, Label: d.Label}
		if err := share.prepare(s, "", s.Now()); err != nil {
			return err
		}
		d = &EmergencyDefault{Who: share.Who, Scopes: d.Scopes, Label: cleanText(d.Label)}
		var err error
		if raw, err = json.Marshal(d); err != nil {
			return fmt.Errorf("emergency default: %w", err)
		}
	}
	now := s.Now()
	return s.Store.Update(ctx, func(tx Tx) error {
		c, err := tx.Client(rs)
		if err != nil {
			return err
		}
		if !c.IsResourceServer() || c.Account == "" || c.Dynamic {
			return fmt.Errorf("%w: that is no checked resource server of an organization", ErrBadAnswer)
		}
		if err := tx.PutSetting(emergencySetting(rs), raw); err != nil {
			return fmt.Errorf("store emergency default: %w", err)
		}
		return s.auditOAuth(tx, now, AuditEvent{Owner: c.Account, Type: "emergency-default-set", Outcome: OutcomeSuccess, Actor: admin.ID, Client: rs})
	})
}

// defaultEmergency gives a new record the organization's default. Sets that are no record, and decoys, get none.
func (s *Service) defaultEmergency(tx Tx, r Resource, id PolicyID, now time.Time) error {
	if isDecoy(r.Description) || needsBase(r) || r.Description.Context != nil && r.Description.Context.Level != levelRecord || len(r.Description.Scopes) == 0 {
		return nil
	}
	raw, err := tx.Setting(emergencySetting(r.RS))
	if errors.Is(err, ErrNotFound) || err == nil && len(raw) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read emergency default: %w", err)
	}
	var d EmergencyDefault
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("emergency default of %s: %w", r.RS, err)
	}
	c, err := tx.Client(r.RS)
	if err != nil {
		return fmt.Errorf("read resource server: %w", err)
	}
	scopes := slices.Clone(r.Description.Scopes)
	if len(d.Scopes) > 0 {
		scopes = keep(scopes, append(slices.Clone(d.Scopes), ScopeBreakGlass))
	}
	if len(scopes) == 0 || c.Account == "" || d.Who.Kind != WhoClaim {
		return nil
	}
	p := Policy{
		ID: id, Owner: r.Owner, Who: d.Who, Rules: []Rule{{Resource: r.ID, RS: r.RS, Scopes: scopes}}, Origin: OriginShare,
		Label: d.Label, BreakGlass: true, Created: now,
	}
	if c.Account != r.Owner {
		p.By = c.Account
	}
	if err := tx.PutPolicy(p); err != nil {
		return fmt.Errorf("store emergency default: %w", err)
	}
	e := shareEvent(EventShareCreated, p, "")
	e.Actor = c.Account
	return s.tell(tx, now, e)
}
