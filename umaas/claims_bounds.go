package umaas

import (
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// bound narrows a process to what a permission ticket allows: what is asked becomes less, so that whatever the owner's policies
// or her answer give, the RPT holds no more. about is false where the ticket is about another patient than this record's. A
// ticket that leaves nothing is refused.
func (s *Service) bound(r Reader, t *Ticket, b Bounds, resources map[ResourceID]Resource) (about bool, refused string, err error) {
	left := s.narrowed(t.Permissions, resources, b)
	if len(left) == 0 || len(left) > s.Limits.MaxPermissions || weight(left) > maxAsked {
		return false, ReasonClaimBounds, nil
	}
	t.Permissions, t.Until = left, earlier(t.Until, b.Until)
	if t.AskedByRS != nil { // a later scope begins from it again (latest)
		t.AskedByRS = append([]uma.Permission{}, s.narrowed(t.AskedByRS, resources, b)...)
	}
	owner, err := r.Account(t.Owner)
	if err != nil {
		return false, "", err
	}
	for _, p := range left {
		if !b.about(resources[ResourceID(p.ResourceID)], owner, s.Issuer) {
			return false, "", nil
		}
	}
	return !t.Decoy, "", nil
}

// narrowed is what bounds leave of what is asked, per resource (SEC-28).
func (s *Service) narrowed(asked []uma.Permission, resources map[ResourceID]Resource, b Bounds) []uma.Permission {
	var left []uma.Permission
	for _, p := range asked {
		if len(p.Scopes) == 0 {
			left = append(left, uma.Permission{ResourceID: p.ResourceID, Constraints: both(p.Constraints, b.Constraints)})
			continue
		}
		registered := resources[ResourceID(p.ResourceID)].Description.Scopes
		mine := Right{Scopes: p.Scopes, Constraints: p.Constraints}
		for _, scope := range b.Scopes {
			limit, ok := meant(s.Scopes, scope, registered)
			if !ok {
				continue
			}
			limit.Constraints = both(limit.Constraints, b.Constraints)
			for _, r := range common(s.Scopes, mine, limit) {
				left = append(left, uma.Permission{ResourceID: p.ResourceID, Scopes: r.Scopes, Constraints: r.Constraints})
			}
		}
		if b.Sensitive {
			if lifting := slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool {
				return !strings.HasPrefix(s, "conf/") && !strings.HasPrefix(s, "sens/")
			}); len(lifting) > 0 {
				left = append(left, uma.Permission{ResourceID: p.ResourceID, Scopes: lifting, Constraints: both(p.Constraints, b.Constraints)})
			}
		}
	}
	return mergePermissions(left)
}

// about reports whether a resource is the record of the ticket's patient: the very record the ticket names, else a record whose
// owner has one of its identifiers by this server's own word. Only exact values count.
func (b Bounds) about(r Resource, owner Account, self string) bool {
	c := r.Description.Context
	if c == nil || c.Patient == "" {
		return false
	}
	here := "Patient/" + c.Patient
	if slices.Contains(b.References, here) || c.FHIRBase != "" && slices.Contains(b.References, strings.TrimSuffix(c.FHIRBase, "/")+"/"+here) {
		return true
	}
	if owner.FHIRUser != here {
		return false // held by a representative: the identifiers of the account are not the patient's
	}
	return slices.ContainsFunc(owner.Claims, func(k Claim) bool {
		return (k.Issuer == "" || k.Issuer == self) && k.Name == claimIdentifier && slices.Contains(b.Identifiers, k.Value)
	})
}

// claimIdentifier is this server's own claim that a person has an identifier, "system|value".
const claimIdentifier = "identifier"

// limit ends a grant, and each of its permissions, with the token that bounds the process.
func (run *redemption) limit(g *Grant, until time.Time) {
	if until.IsZero() {
		return
	}
	g.Permissions = slices.Clone(g.Permissions)
	for i := range g.Permissions {
		g.Permissions[i].Expires = earlier(g.Permissions[i].Expires, until)
	}
	if until.Before(run.now.Add(run.s.Limits.RPT)) {
		g.Expires = until
	}
}

// holdsTicket reports a grant that rests on a permission ticket: it has no refresh token and is not carried into another RPT, so
// that a revoked ticket ends with the RPT it gave.
func holdsTicket(list []Claim) bool {
	return slices.ContainsFunc(list, func(c Claim) bool { return c.Name == claimTicket })
}

// joinClaims keeps, at an upgrade, what the carried permissions rest on.
func joinClaims(a, b []Claim) []Claim {
	out := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
