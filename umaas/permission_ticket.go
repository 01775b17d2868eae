package umaas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// Emission of SMART Permission Tickets (flows.md F2). An owner who shares with somebody outside takes the share along as a
// ticket for other data holders: it says what the share says and no more, ends with it, is bound to one key, and its bit in the
// revocation list is set as soon as the share is stopped, narrowed or gone.

// TicketExport is what an owner asks for.
type TicketExport struct {
	Audience string        // the authorization server or network that will be shown the ticket
	JKT      string        // RFC 7638 thumbprint of the key whose holder may show it
	Life     time.Duration // at most a year; zero: a day. The share's own end comes first.
}

// ErrNotExportable is wrapped with what a ticket could not say of a share.
var ErrNotExportable = errors.New("this share cannot be put into a ticket")

// TicketKind is the ticket_type of exported shares.
const TicketKind = "urn:umaas:permission-ticket:share"

const (
	ticketLife    = 24 * time.Hour
	maxTicketLife = 366 * 24 * time.Hour
)

type ticketPeriod struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

type ticketAccess struct {
	Permissions []ticketEntry `json:"permissions"`
	Period      *ticketPeriod `json:"data_period,omitempty"`
	Sensitive   string        `json:"sensitive_data"`
}

type ticketEntry struct {
	Kind         string   `json:"kind"`
	Type         string   `json:"resource_type"`
	Interactions []string `json:"interactions"`
	Category     []coding `json:"category_any_of,omitempty"`
	Code         []coding `json:"code_any_of,omitempty"`
}

// ExportTicket signs a permission ticket for a share of the owner's. Errors: ErrNotFound; ErrBadAnswer for a request that cannot
// be; ErrNotExportable with the reason.
func (s *Service) ExportTicket(ctx context.Context, owner AccountID, id PolicyID, x TicketExport, requestID string) (string, error) {
	now := s.Now()
	if err := x.check(); err != nil {
		return "", err
	}
	var payload map[string]any
	err := s.Store.Update(ctx, func(tx Tx) error {
		p, err := tx.Policy(owner, id)
		if err != nil {
			return err
		}
		if !p.InForce(now) || p.Origin == OriginConsent {
			return ErrNotFound
		}
		if payload, err = s.ticketOf(tx, p); err != nil {
			return err
		}
		end := now.Add(x.Life)
		if x.Life == 0 {
			end = now.Add(ticketLife)
		}
		end = earlier(end, p.NotAfter)
		list, index, err := s.exported(tx, p, end)
		if err != nil {
			return err
		}
		key, err := s.handles.NewKey(now)
		if err != nil {
			return err
		}
		payload["iss"], payload["aud"], payload["jti"] = s.Issuer, x.Audience, s.handles.ID(key)
		payload["iat"], payload["exp"] = now.Unix(), end.Unix()
		payload["presenter_binding"] = map[string]string{"method": "jkt", "jkt": x.JKT}
		payload["revocation"] = map[string]any{"url": fmt.Sprintf("%s%s/%d", s.Issuer, pathStatus, list), "index": index}
		payload["must_understand"] = []string{"access", "presenter_binding", "revocation"}
		return s.tell(tx, now, shareEvent(EventShareExported, p, requestID))
	})
	if err != nil {
		return "", err
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode ticket: %w", err)
	}
	return s.Keys.Sign(keys.ES256, "JWT", raw)
}

func (x TicketExport) check() error {
	switch {
	case !issuerAddress(x.Audience):
		return fmt.Errorf("%w: name the server or network the ticket is for, as an https address", ErrBadAnswer)
	case len(x.JKT) != 43 || strings.Trim(x.JKT, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return fmt.Errorf("%w: a ticket is bound to a key: give its thumbprint", ErrBadAnswer)
	case x.Life < 0 || x.Life > maxTicketLife:
		return fmt.Errorf("%w: a ticket is good for a year at most", ErrBadAnswer)
	}
	return nil
}

// ticketOf says in a ticket's words what a policy says; what has no words there is refused, for the ticket would say more.
func (s *Service) ticketOf(r Reader, p Policy) (map[string]any, error) {
	cannot := func(why string) error { return fmt.Errorf("%w: %s", ErrNotExportable, why) }
	switch {
	case p.Client != "":
		return nil, cannot("it is for one app alone")
	case len(p.Purposes) > 0:
		return nil, cannot("it is for certain purposes alone")
	case len(p.Also) > 0 || p.MinACR != "" || p.Terms != "" || p.BreakGlass:
		return nil, cannot("it has conditions that another server would not ask for")
	case p.Who.Kind == WhoClient:
		return nil, cannot("it is with an app, not with a person or an organization")
	}
	requester, err := s.requesterOf(r, p.Who)
	if err != nil {
		return nil, err
	}
	subject, err := s.patientOf(r, p)
	if err != nil {
		return nil, err
	}
	access, err := s.accessOf(p.Rules)
	if err != nil {
		return nil, err
	}
	return map[string]any{"ticket_type": TicketKind, "subject": subject, "requester": requester, "access": access}, nil
}

// requesterOf names the party. It is recorded in the ticket; the key is what identifies (flows.md F2).
func (s *Service) requesterOf(r Reader, w Who) (map[string]any, error) {
	out := map[string]any{"resourceType": "RelatedPerson"}
	name := w.Name
	switch w.Kind {
	case WhoAccount:
		a, err := r.Account(w.Account)
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = a.Name
		}
		out["identifier"] = []map[string]string{{"system": s.Issuer, "value": string(a.ID)}}
	case WhoEmail:
		out["telecom"] = []map[string]string{{"system": "email", "value": w.Email}}
	case WhoClaim:
		out["resourceType"] = "Organization"
		out["identifier"] = []map[string]string{{"system": w.Claim.Issuer + "#" + w.Claim.Name, "value": w.Claim.Value}}
	}
	if name != "" {
		out["name"] = []map[string]string{{"text": name}}
		if out["resourceType"] == "Organization" {
			out["name"] = name
		}
	}
	return out, nil
}

// patientOf names the one patient of the share's records: by the record's address, and by the identifiers this server knows of
// her. Which record is hers at the recipient is the recipient's to say.
func (s *Service) patientOf(r Reader, p Policy) (map[string]any, error) {
	reference := ""
	for _, rule := range p.Rules {
		res, err := r.Resource(p.Owner, rule.RS, rule.Resource)
		if err != nil {
			return nil, err
		}
		c := res.Description.Context
		if c == nil || c.Patient == "" || c.FHIRBase == "" {
			return nil, fmt.Errorf("%w: it is about something else than one patient's record", ErrNotExportable)
		}
		here := strings.TrimSuffix(c.FHIRBase, "/") + "/Patient/" + c.Patient
		if reference != "" && reference != here {
			return nil, fmt.Errorf("%w: it is about more than one record", ErrNotExportable)
		}
		reference = here
	}
	owner, err := r.Account(p.Owner)
	if err != nil {
		return nil, err
	}
	identifiers := []map[string]string{{"system": identifierURI, "value": reference}}
	if strings.HasSuffix(reference, "/"+owner.FHIRUser) && owner.FHIRUser != "" {
		for _, c := range owner.Claims {
			if system, value, ok := strings.Cut(c.Value, "|"); ok && c.Name == claimIdentifier && (c.Issuer == "" || c.Issuer == s.Issuer) {
				identifiers = append(identifiers, map[string]string{"system": system, "value": value})
			}
		}
	}
	return map[string]any{"patient": map[string]any{"resourceType": "Patient", "identifier": identifiers}}, nil
}

// accessOf writes rules as access. One ticket has one period, so the rules must agree on it.
func (s *Service) accessOf(rules []Rule) (ticketAccess, error) {
	cannot := func(why string) (ticketAccess, error) {
		return ticketAccess{}, fmt.Errorf("%w: %s", ErrNotExportable, why)
	}
	a := ticketAccess{Sensitive: "exclude"}
	period := ""
	for i, rule := range rules {
		mine := ""
		var rest []uma.Constraint
		for _, c := range rule.Constraints {
			switch {
			case c.Type == uma.ConstraintPeriod && mine == "":
				mine = c.Value
			case c.Type == uma.ConstraintQuery && len(rest) == 0:
				rest = append(rest, c)
			default:
				return cannot("it has a limit that a ticket cannot say")
			}
		}
		if i > 0 && mine != period {
			return cannot("its parts are about different times")
		}
		period = mine
		printed := s.Scopes.Print([]Right{{Scopes: rule.Scopes, Constraints: rest}})
		if len(printed) == 0 {
			return cannot("it has scopes that a ticket cannot say")
		}
		for _, scope := range printed {
			e, ok := entryOf(scope, len(rest) > 0)
			if !ok {
				return cannot("it has scopes that a ticket cannot say")
			}
			a.Permissions = append(a.Permissions, e)
		}
	}
	if period != "" {
		start, end, _ := strings.Cut(period, "/")
		a.Period = &ticketPeriod{Start: start, End: end}
	}
	if len(a.Permissions) == 0 || len(a.Permissions) > maxTicketEntries {
		return cannot("it has too many parts, or none")
	}
	return a, nil
}

// entryOf reads a printed scope, patient/Type.cruds?category=…, as an entry. A query that must be there and is not would widen.
func entryOf(scope string, narrowed bool) (ticketEntry, bool) {
	rest, ok := strings.CutPrefix(scope, "patient/")
	if !ok {
		return ticketEntry{}, false
	}
	rest, query, has := strings.Cut(rest, "?")
	kind, letters, ok := strings.Cut(rest, ".")
	if !ok || kind == "" || letters == "" || has != narrowed {
		return ticketEntry{}, false
	}
	e := ticketEntry{Kind: "data", Type: kind}
	for _, l := range []struct{ letter, word string }{{"c", "create"}, {"r", "read"}, {"u", "update"}, {"d", "delete"}, {"s", "search"}} {
		if strings.Contains(letters, l.letter) {
			e.Interactions = append(e.Interactions, l.word)
		}
	}
	if !has {
		return e, true
	}
	for _, part := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if strings.ContainsAny(value, `%\`) {
			return ticketEntry{}, false // escaped codes: rare enough to be refused
		}
		var list []coding
		for _, v := range strings.Split(value, ",") {
			c := coding{Code: v}
			if system, code, ok := strings.Cut(v, "|"); ok {
				c = coding{System: system, Code: code}
			}
			if c.Code == "" || strings.Contains(c.Code, "|") {
				return ticketEntry{}, false
			}
			list = append(list, c)
		}
		switch {
		case name == "category" && e.Category == nil:
			e.Category = list
		case name == "code" && e.Code == nil:
			e.Code = list
		default:
			return ticketEntry{}, false
		}
	}
	return e, true
}
