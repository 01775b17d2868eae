package umaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// verifyClaims looks at the pushed claim token of a presentation. It runs before the transaction, because keys may have to be
// fetched; but only for a ticket that this client can present: a forged one is to cost no signature and no request to anybody
// (SEC-10).
func (run *redemption) verifyClaims(ctx context.Context, c VerifiedClient, key Key, secret []byte) error {
	q := run.request
	if q.ClaimToken == "" {
		return nil
	}
	err := run.s.Store.View(ctx, func(r Reader) error {
		t, err := run.s.presentedTicket(r, key, secret, c.Client, run.now)
		if err != nil {
			return err
		}
		if err := run.binds(r, &t); err != nil {
			return err
		}
		if !verifies(q.Verifier, t.Challenge) {
			return errTicket
		}
		return nil
	})
	if err != nil {
		return err
	}
	run.pushed, run.refusedClaim, err = run.s.verifyPushed(ctx, c, q.ClaimFormat, q.ClaimToken, run.now)
	return err
}

// holding lists the keys a client proved to hold, for tokens bound to one of them.
func (c VerifiedClient) holding() []string {
	var out []string
	for _, key := range []string{c.assertionKey, c.held.JKT} {
		if key != "" {
			out = append(out, key)
		}
	}
	return out
}

// accept takes a verified claim token into the process. refused is why it counts for nothing: the client is then told what
// would count (need_info), and gets no grant, whatever else is known.
func (run *redemption) accept(tx Tx, t *Ticket, resources map[ResourceID]Resource) (refused string, err error) {
	p := run.pushed
	run.ownerPushed = nil
	if p == nil {
		return run.refusedClaim, nil
	}
	issuer, trusted, err := run.s.trusts(tx, p)
	if err != nil || !trusted {
		return ReasonClaimIssuer, err
	}
	account, subject, refused, err := run.s.partyOf(tx, p, issuer, run.client, t.Party, run.now)
	if err != nil || refused != "" {
		return refused, err
	}
	said := slices.Clone(p.Claims)
	if p.Bounds != nil {
		about, refused, err := run.s.bound(tx, t, *p.Bounds, resources)
		if err != nil || refused != "" {
			return refused, err
		}
		if !about {
			said = nil // a ticket about somebody else states nothing here; the answer is a silent owner's (decisions 6)
		}
	}
	if subject != "" && !p.own {
		said = append(said, Claim{Name: claimSubject, Value: subject}, Claim{Name: claimPushedAs, Value: string(p.format.Use())})
	}
	if spent, err := p.spend(tx, run.client.ID, run.now); err != nil || spent {
		return ReasonClaimReplay, err
	}
	if party := p.joined(t.Party, account, said, run.now); account == t.Owner && t.Party == nil {
		run.ownerPushed = party
	} else {
		t.Party = party
	}
	return "", run.s.tell(tx, run.now, AuditEvent{
		Type: EventClaimsGiven, Owner: account, Actor: account, Client: run.client.ID, Process: t.Process, RequestID: run.requestID,
	})
}

// asked is the ticket with whoever brings it.
func (run *redemption) asked(t Ticket) Ticket {
	if run.ownerPushed != nil {
		t.Party = run.ownerPushed
	}
	return t
}

// ownersToken answers an owner who came by a pushed token alone: what her policies give in full she has; for anything else she
// must see the consent page, so she is sent there as somebody yet unknown.
func (run *redemption) ownersToken(tx Tx, t Ticket, q Question) error {
	if d, ok := Assess(q).(Permit); ok && !d.Partial {
		return run.permit(tx, run.asked(t), q, d)
	}
	return run.needInfo(tx, t, "")
}

// trusts looks the issuer up again in the transaction that acts on its word (SEC-17).
func (s *Service) trusts(r Reader, p *pushed) (TrustedIssuer, bool, error) {
	if p.own {
		return TrustedIssuer{Issuer: s.Issuer}, true, nil
	}
	i, err := r.TrustedIssuer(p.issuer)
	if gone, err := absent(err); gone || err != nil {
		return i, false, err
	}
	return i, i.Trusts(p.format.Use()), nil
}

// partyOf finds the account of a claim token's subject, making one for somebody known by this issuer's word alone. A process
// has one party: another person's token does not change it (SEC-24). A token about no party speaks for the client's
// organization, else for whoever stands behind the client at this issuer. subject is who the party is at the issuer, "" where
// its word did not identify her.
func (s *Service) partyOf(tx Tx, p *pushed, i TrustedIssuer, c Client, known *Party, at time.Time) (id AccountID, subject, refused string, err error) {
	subject = p.Subject
	if subject == "" {
		switch {
		case known != nil:
			return known.Account, "", "", nil
		case c.Account != "":
			return c.Account, "", "", nil
		}
		subject = "client:" + string(c.ID)
	}
	var a Account
	if p.own {
		a, err = tx.Account(AccountID(subject))
	} else {
		a, err = tx.AccountByIdentity(Identity{Issuer: p.issuer, Subject: subject})
	}
	switch {
	case err == nil && known != nil && known.Account != a.ID:
		return "", "", ReasonClaimParty, nil
	case err == nil:
		return a.ID, subject, "", nil
	case !errors.Is(err, ErrNotFound):
		return "", "", "", fmt.Errorf("read party of claim token: %w", err)
	case known != nil || p.own:
		return "", "", ReasonClaimParty, nil // a stranger, where the party is known already; somebody whose account is gone
	}
	id, err = s.newcomer(tx, p, i, c, subject, at)
	return id, subject, "", err
}

// newcomer makes the account of somebody this server knows by a trusted issuer's word alone: an identity, no login.
func (s *Service) newcomer(tx Tx, p *pushed, i TrustedIssuer, c Client, subject string, now time.Time) (AccountID, error) {
	id, err := s.newID(accountPrefix)
	if err != nil {
		return "", err
	}
	by := i.Name
	if by == "" {
		by = i.Issuer
	}
	name := cleanText(p.Name)
	switch {
	case p.Subject == "":
		name = cleanText(c.Name + ", with a permission ticket of " + by)
	case name == "":
		name = cleanText("Somebody known to " + by)
	}
	a := Account{
		ID: AccountID(id), Kind: KindPerson, Name: name, Identities: []Identity{{Issuer: p.issuer, Subject: subject}}, Created: now,
	}
	if err := tx.PutAccount(a); err != nil {
		return "", fmt.Errorf("store account: %w", err)
	}
	return a.ID, s.auditOAuth(tx, now, AuditEvent{Owner: a.ID, Type: "account-created", Outcome: OutcomeSuccess, Client: c.ID})
}

// spend marks the token. A single-use one is good once over all clients; any other belongs to the first client that brought
// it.
func (p *pushed) spend(tx Tx, c ClientID, now time.Time) (spent bool, err error) {
	until := p.Until.Add(clockSkew)
	mark := func(space, id string) (bool, error) {
		err := tx.Spend(space, id, now, until)
		if errors.Is(err, ErrExists) {
			return true, nil
		}
		return false, err
	}
	if p.ID != "" {
		return mark("claims:"+p.issuer, p.ID)
	}
	if p.Bounds != nil {
		return false, nil // bound to the presenter's key: it may come again until its end (flows.md F2)
	}
	again, err := tx.Used("claims-of:"+string(c), p.digest, now)
	if err != nil || again {
		return false, err
	}
	if spent, err := mark("claim-token", p.digest); err != nil || spent {
		return spent, err
	}
	return mark("claims-of:"+string(c), p.digest)
}

// joined is the party of the process with what was said of her now. A newer word of an issuer replaces its older one; that a
// permission ticket was shown stays said.
func (p *pushed) joined(known *Party, account AccountID, said []Claim, now time.Time) *Party {
	party := Party{Account: account}
	if known != nil {
		party = *known
	}
	var claims []Claim
	for _, c := range party.Claims {
		if c.Issuer != p.issuer || p.Bounds != nil || c.Name == claimTicket {
			claims = append(claims, c)
		}
	}
	if len(claims) == 0 || party.Stated.IsZero() {
		party.Stated = now
	}
	for _, c := range said {
		if c.Issuer = p.issuer; !slices.Contains(claims, c) {
			claims = append(claims, c)
		}
	}
	party.Claims = claims
	if p.AuthTime.After(party.AuthTime) {
		party.AuthTime, party.AMR, party.ACR = p.AuthTime, p.AMR, p.ACR
	}
	return &party
}

// widened reports a process that a permission ticket bounds and that asks for anything beyond what the ticket left (SEC-28).
func widened(t Ticket, before []uma.Permission) bool {
	return !t.Until.IsZero() && slices.ContainsFunc(t.Permissions, func(p uma.Permission) bool { return !heldIn(p, before) })
}

// heldIn: each scope of a permission is held under the very same constraints.
func heldIn(p uma.Permission, held []uma.Permission) bool {
	holds := func(fits func(uma.Permission) bool) bool {
		return slices.ContainsFunc(held, func(h uma.Permission) bool {
			return h.ResourceID == p.ResourceID && slices.Equal(h.Constraints, p.Constraints) && fits(h)
		})
	}
	if len(p.Scopes) == 0 {
		return holds(func(h uma.Permission) bool { return len(h.Scopes) == 0 })
	}
	return !slices.ContainsFunc(p.Scopes, func(scope string) bool {
		return !holds(func(h uma.Permission) bool { return contains(h.Scopes, scope) })
	})
}

// pushesTicket reports a presentation that brings a permission ticket, which narrows what is asked anew.
func (run *redemption) pushesTicket() bool { return run.pushed != nil && run.pushed.Bounds != nil }

// withoutTickets is the party without the permission tickets shown for her.
func (p *Party) withoutTickets() *Party {
	if p == nil {
		return nil
	}
	out := *p
	out.Claims = slices.DeleteFunc(slices.Clone(p.Claims), func(c Claim) bool { return c.Name == claimTicket })
	return &out
}
