package umaas

import (
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// maxInterval bounds the doubling of polls that come too fast.
const maxInterval = 3600

// permit stores the grant and its tokens (Grant §3.3.5). The RPT is built from the assessment's result and nothing else
// (SEC-29); it is good for this party, client, resource server and owner (G-006).
func (run *redemption) permit(tx Tx, t Ticket, q Question, d Permit) error {
	g := Grant{
		Kind: GrantRPT, Client: run.client.ID, Owner: t.Owner, RS: t.RS, Permissions: d.Granted, Process: t.Process,
		Once: slices.ContainsFunc(d.Granted, func(p Granted) bool { return hasOnce(p.Constraints) }),
	}
	if q.Party != nil {
		g.Party, g.AuthTime, g.AMR = q.Party.Account, q.Party.AuthTime, q.Party.AMR
		g.ACR, g.Claims = q.Party.ACR, q.Party.Claims
	}
	run.limit(&g, t.Until)
	g.BreakGlass = restsOnBreakGlass(q, d.Granted)
	g.Confirm = t.Confirm // set by binds: the presenter's key, if it has one (SEC-33)
	upgraded, err := run.upgrade(tx, &g)
	if err != nil {
		return err
	}
	lasting := mayLast(run.client, t)
	refresh := lasting && run.client.MayUse(uma.GrantTypeRefreshToken) && !g.Once && t.Until.IsZero() && !holdsTicket(g.Claims)
	if run.issued, err = run.s.issue(tx, g, refresh, run.now); err != nil {
		return err
	}
	run.issued.upgraded = upgraded
	if lasting {
		if run.issued.pct, err = run.remember(tx, t); err != nil {
			return err
		}
	}
	if run.issued.grant.BreakGlass {
		if err := run.tellEmergency(tx, t, q, run.issued.grant); err != nil {
			return err
		}
	}
	e := AuditEvent{Type: EventRPTIssued, Grant: run.issued.grant.Key}
	for _, p := range d.Granted {
		e.Scopes = union(e.Scopes, p.Scopes)
		if e.Policy == "" && len(p.Policies) > 0 {
			e.Policy = p.Policies[0]
		}
	}
	return run.tell(tx, t, e)
}

// upgrade carries an old RPT's permissions over (Grant §3.3.5.1): only of the same client, party, resource server and owner,
// and only what is still permitted (SEC-26, SEC-27). Anything else is as if no rpt was sent. The old grant ends, so that of
// two upgrades of one RPT only the first carries.
func (run *redemption) upgrade(tx Tx, g *Grant) (bool, error) {
	if run.old == nil || g.Once {
		return false, nil
	}
	token, err := run.old.find(tx, run.now)
	if gone, err := absent(err); gone || err != nil || token.Kind != TokenAccess || token.Client != g.Client {
		return false, err
	}
	old, err := tx.Grant(token.Grant, run.now)
	if gone, err := absent(err); gone || err != nil {
		return false, err
	}
	if old.Kind != GrantRPT || old.Once || old.BreakGlass || holdsTicket(old.Claims) || old.Client != g.Client || old.Party != g.Party || old.RS != g.RS || old.Owner != g.Owner {
		return false, nil
	}
	effective, ok, err := run.s.live(tx, old, run.now)
	if err != nil || !ok {
		return false, err
	}
	permissions := carry(g.Permissions, effective)
	size := 0
	for _, p := range permissions {
		size += weightOf(p.Scopes, p.Constraints)
	}
	if len(permissions) > run.s.Limits.MaxPermissions || size > maxAsked {
		return false, nil
	}
	old.Revoked = run.now
	if err := tx.PutGrant(old); err != nil {
		return false, fmt.Errorf("end upgraded grant: %w", err)
	}
	g.Permissions, g.Claims = permissions, joinClaims(g.Claims, old.Claims)
	return true, run.s.tell(tx, run.now, AuditEvent{
		Type: EventGrantUpgraded, Owner: old.Owner, Actor: old.Party, Client: old.Client, RS: old.RS, Grant: old.Key,
		Process: old.Process, RequestID: run.requestID,
	})
}

// carry appends the old permissions without the scopes that the new ones hold under the same constraints.
func carry(fresh, old []Granted) []Granted {
	out := slices.Clone(fresh)
	for _, p := range old {
		for _, f := range fresh {
			if f.Resource == p.Resource && slices.Equal(f.Constraints, p.Constraints) && (len(p.Scopes) == 0 || f.Expires.IsZero() || f.Expires.Equal(p.Expires)) {
				p.Scopes = slices.DeleteFunc(slices.Clone(p.Scopes), func(s string) bool { return contains(f.Scopes, s) })
			}
		}
		if len(p.Scopes) > 0 || !slices.ContainsFunc(out, func(f Granted) bool { return f.Resource == p.Resource }) {
			out = append(out, p)
		}
	}
	return out
}

// needInfo sends the client to the claims interaction endpoint, and tells one that may push claims what would be accepted
// (Grant §3.3.6). redirect_user is always there (G-088). The reason why a pushed token did not count stays here.
func (run *redemption) needInfo(tx Tx, t Ticket, reason string) error {
	value, err := run.succeed(tx, t, run.s.Limits.Ticket)
	if err != nil {
		return err
	}
	answer := *uma.ErrNeedInfo
	answer.Ticket, answer.RedirectUser = value, run.s.claimsEndpoint()
	if answer.RequiredClaims, err = run.s.requiredClaims(tx, run.client); err != nil {
		return err
	}
	run.answer = &answer
	return run.tell(tx, t, AuditEvent{Type: EventNeedInfo, Reason: reason})
}

// claimsEndpoint is the static claims interaction endpoint (Grant §2).
func (s *Service) claimsEndpoint() string { return s.Issuer + "/claims" }

// deny ends the process: no ticket (Grant §3.3.6, G-092). The reason stays here.
func (run *redemption) deny(tx Tx, t Ticket, reason string) error {
	run.answer = uma.ErrRequestDenied
	return run.tell(tx, t, AuditEvent{Type: EventRequestDenied, Reason: reason})
}

// submit tells the client to wait for the owner (Grant §3.3.6): each poll gets a new ticket, and one that comes too early
// a doubled interval (decisions 7). The inbox entry is made, or found, at the first time.
func (run *redemption) submit(tx Tx, t Ticket, q Question) error {
	if t.Request.IsZero() {
		refused, err := run.file(tx, &t, q)
		if err != nil {
			return err
		}
		if refused != "" {
			return run.deny(tx, t, refused)
		}
		t.Interval = max(1, int(run.s.Limits.Poll/time.Second))
	} else if run.now.Before(t.NotBefore) {
		t.Interval = min(2*t.Interval, maxInterval)
	}
	pause := time.Duration(t.Interval) * time.Second
	t.NotBefore = run.now.Add(pause)
	value, err := run.succeed(tx, t, pause+run.s.Limits.Ticket) // SEC-11
	if err != nil {
		return err
	}
	answer := *uma.ErrRequestSubmitted
	answer.Ticket, answer.Interval = value, t.Interval
	run.answer = &answer
	return nil
}

// succeed stores the successor of a spent ticket under a new key (G-089, G-094, SEC-02).
func (run *redemption) succeed(tx Tx, t Ticket, life time.Duration) (string, error) {
	return run.s.successor(tx, t, life, run.now)
}

func (s *Service) successor(tx Tx, t Ticket, life time.Duration, now time.Time) (string, error) {
	value, key, secret, err := s.handles.New(now)
	if err != nil {
		return "", err
	}
	t.Key, t.Secret, t.Expires = key, secret, now.Add(life)
	if err := tx.PutTicket(t); err != nil {
		return "", fmt.Errorf("store successor ticket: %w", err)
	}
	return value, nil
}

// tell fills in what every event of a process shares. Before a party is known, and for decoys, the event belongs to the
// server's own stream: nothing has happened to an owner yet.
func (run *redemption) tell(tx Tx, t Ticket, e AuditEvent) error {
	e.Owner, e.Client, e.RS, e.Process, e.RequestID = t.Owner, run.client.ID, t.RS, t.Process, run.requestID
	if t.Party != nil {
		e.Actor = t.Party.Account
	}
	if t.Decoy || e.Type == EventNeedInfo || e.Type == EventTicketRefused {
		e.Owner = ""
	}
	if ids := resourceIDs(t.Permissions); len(ids) == 1 {
		e.Resource = ids[0]
	}
	return run.s.tell(tx, run.now, e)
}

// resourceIDs lists the resources of permissions, sorted, once each.
func resourceIDs(perms []uma.Permission) []ResourceID {
	ids := make([]ResourceID, 0, len(perms))
	for _, p := range perms {
		ids = append(ids, ResourceID(p.ResourceID))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
