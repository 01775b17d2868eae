package umaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/umaas/umaas/umaas/uma"
)

// Resource sets of the decoy kind (decisions 6): registered by a resource server, never shared, and a ticket for one never
// leads anywhere.
const (
	typeDecoy   = "urn:umaas:resource:decoy"
	levelDecoy  = "decoy"
	levelRecord = "record"
)

const (
	maxText   = 1024 // characters of a name, description or URI in a resource description
	maxExtra  = 16   // extension members kept
	pageLimit = 500  // records per page of an internal listing
)

func isDecoy(d uma.ResourceDescription) bool {
	return d.Type == typeDecoy || d.Context != nil && d.Context.Level == levelDecoy
}

// CreateResource registers a resource of the PAT's owner at the PAT's resource server (FedAuthz §3.2.1). The id is new and
// never given again. Of the protection API only the end of protection stands in the owner's history: registrations come in
// thousands and decide nothing. Errors: uma.ErrInvalidRequest.
func (s *Service) CreateResource(ctx context.Context, p PAT, d uma.ResourceDescription, _ string) (ResourceID, error) {
	if err := s.checkDescription(d); err != nil {
		return "", err
	}
	now := s.Now()
	key, err := s.handles.NewKey(now)
	if err != nil {
		return "", err
	}
	r := Resource{ID: ResourceID(s.handles.ID(key)), Owner: p.Owner, RS: p.RS, Description: kept(d), Created: now, Updated: now}
	policy, err := s.newPolicyID(now)
	if err != nil {
		return "", err
	}
	err = s.Store.Update(ctx, func(tx Tx) error {
		if err := tx.PutResource(r); err != nil {
			return err
		}
		return s.defaultEmergency(tx, r, policy, now) // H-17: without one a new record is shared with nobody
	})
	if err != nil {
		return "", fmt.Errorf("store resource: %w", err)
	}
	return r.ID, nil
}

// ReadResource returns what was registered, with its id (FedAuthz §3.2.2). Another owner's or resource server's id is
// uma.ErrNotFound like an unknown one (F-038, SEC-51).
func (s *Service) ReadResource(ctx context.Context, p PAT, id ResourceID) (uma.ResourceDescription, error) {
	var d uma.ResourceDescription
	err := s.Store.View(ctx, func(r Reader) error {
		res, err := r.Resource(p.Owner, p.RS, id)
		if err != nil {
			return err
		}
		d = res.Description
		return nil
	})
	if err != nil {
		return uma.ResourceDescription{}, notFound(err)
	}
	d.ID = string(id)
	d.Extra = maps.Clone(d.Extra)
	return d, nil
}

// UpdateResource replaces a description completely (FedAuthz §3.2.3). Scopes that vanish leave live permissions at once,
// because every use intersects with what is registered.
func (s *Service) UpdateResource(ctx context.Context, p PAT, id ResourceID, d uma.ResourceDescription, _ string) error {
	if err := s.checkDescription(d); err != nil {
		return err
	}
	now := s.Now()
	return notFound(s.Store.Update(ctx, func(tx Tx) error {
		r, err := tx.Resource(p.Owner, p.RS, id)
		if err != nil {
			return err
		}
		r.Description, r.Updated = kept(d), now
		return tx.PutResource(r)
	}))
}

// DeleteResource ends protection (FedAuthz §3.2.4): permissions on it disappear from live tokens.
func (s *Service) DeleteResource(ctx context.Context, p PAT, id ResourceID, requestID string) error {
	now := s.Now()
	return notFound(s.Store.Update(ctx, func(tx Tx) error {
		r, err := tx.Resource(p.Owner, p.RS, id)
		if err != nil {
			return err
		}
		if err := tx.DeleteResource(p.Owner, p.RS, id); err != nil {
			return fmt.Errorf("delete resource: %w", err)
		}
		return s.tell(tx, now, AuditEvent{
			Type: EventResourceDeleted, Owner: r.Owner, RS: r.RS, Client: r.RS, Resource: r.ID, RequestID: requestID,
		})
	}))
}

// ListResources lists the ids of the PAT's owner at its resource server (FedAuthz §3.2.5), never nil.
func (s *Service) ListResources(ctx context.Context, p PAT) ([]ResourceID, error) {
	ids := []ResourceID{}
	err := s.Store.View(ctx, func(r Reader) error {
		ids = ids[:0]
		var after ResourceID
		for {
			page, err := r.Resources(p.Owner, p.RS, after, pageLimit)
			if err != nil {
				return fmt.Errorf("list resources: %w", err)
			}
			for _, res := range page {
				ids = append(ids, res.ID)
			}
			if len(page) < pageLimit {
				return nil
			}
			after = page[len(page)-1].ID
		}
	})
	return ids, err
}

// kept is a description as stored: the id is the server's own.
func kept(d uma.ResourceDescription) uma.ResourceDescription {
	d.ID = ""
	return d
}

// checkDescription applies FedAuthz §3.1 and this server's bounds. URIs in it are never fetched (SEC-75, F-030).
func (s *Service) checkDescription(d uma.ResourceDescription) error {
	bad := func(format string, args ...any) error {
		return uma.ErrInvalidRequest.With(fmt.Sprintf(format, args...))
	}
	switch {
	case d.Scopes == nil:
		return bad("resource_scopes is missing: give an array of strings")
	case len(d.Scopes) > s.Limits.MaxScopes:
		return bad("resource_scopes has more than %d members", s.Limits.MaxScopes)
	case len(d.Extra) > maxExtra:
		return bad("more than %d extension members", maxExtra)
	}
	for _, scope := range d.Scopes {
		if !isScopeToken(scope) {
			return bad("resource_scopes: %q is no scope (RFC 6749 §3.3: printable ASCII without space, quote and backslash)", clip(scope))
		}
	}
	for name, text := range map[string]string{
		"name": d.Name, "type": d.Type, "description": d.Description, "icon_uri": d.IconURI, "preview_uri": d.PreviewURI,
	} {
		if len(text) > maxText {
			return bad("%s has more than %d bytes", name, maxText)
		}
	}
	if f := d.DerivedFrom; f != nil && (f.ResourceID == "") == !f.Custodian {
		return bad("derived_from names either a resource_id or the custodian, and not both")
	}
	if c := d.Context; c != nil {
		if c.Level == "" || len(c.Level) > 32 || len(c.Label) > maxText || len(c.FHIRBase) > maxText || len(c.Patient) > 64 {
			return bad("context needs a level, and members within their lengths")
		}
	}
	if raw, err := json.Marshal(d.Extra); err != nil || len(raw) > 16<<10 {
		return bad("extension members are larger than 16 KiB")
	}
	return nil
}

// clip keeps foreign text short in error descriptions.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// notFound turns the store's answer into the protocol's.
func notFound(err error) error {
	if errors.Is(err, ErrNotFound) {
		return uma.ErrNotFound
	}
	return err
}
