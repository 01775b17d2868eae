package umaas

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// HistoryFilter says which events to show. The zero value shows all; every member that is set must fit.
type HistoryFilter struct {
	Kinds    []string // event types
	Party    AccountID
	Client   ClientID
	RS       ClientID // with Resource: one record
	Resource ResourceID
	Policy   PolicyID
	From, To time.Time // From inclusive, To exclusive
	Before   Key       // go on from: HistoryPage.Next
	Limit    int       // entries, 1 to 500; 0: 100
}

// HistoryPage is one page, newest first. Next is where to go on; zero at the end. A page may hold fewer entries than its limit
// and still have a Next: looking is bounded too.
type HistoryPage struct {
	Entries []HistoryEntry
	Next    Key
}

const (
	historyDefault = 100
	historyLooks   = 5000 // events read for one page
)

// History pages the owner's events, newest first.
func (s *Service) History(ctx context.Context, owner AccountID, before Key, limit int) ([]HistoryEntry, error) {
	page, err := s.Acting(owner, owner).History(ctx, HistoryFilter{Before: before, Limit: max(limit, 1)})
	return page.Entries, err
}

// History pages what happened to the owner's records and sharing. Errors: ErrNotFound, ErrBadAnswer.
func (a Acting) History(ctx context.Context, f HistoryFilter) (HistoryPage, error) {
	if err := f.prepare(); err != nil {
		return HistoryPage{}, err
	}
	var out HistoryPage
	err := a.s.Store.View(ctx, func(r Reader) error {
		if err := a.may(r, guardHistory); err != nil {
			return err
		}
		var err error
		out, err = historyPage(r, a.owner, f)
		return err
	})
	return out, err
}

func (f *HistoryFilter) prepare() error {
	switch {
	case f.Limit < 0:
		return fmt.Errorf("%w: a page has at least one entry", ErrBadAnswer)
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return fmt.Errorf("%w: the beginning lies after the end", ErrBadAnswer)
	}
	for _, kind := range f.Kinds {
		if kind == "" || len(kind) > maxText {
			return fmt.Errorf("%w: unknown kind of event", ErrBadAnswer)
		}
	}
	if f.Limit == 0 {
		f.Limit = historyDefault
	}
	f.Limit = min(f.Limit, maxHistory)
	if !f.To.IsZero() {
		if at := firstKey(f.To); f.Before.IsZero() || slices.Compare(at[:], f.Before[:]) < 0 {
			f.Before = at
		}
	}
	return nil
}

// firstKey is the lowest key of a moment: every event before it has a lower one.
func firstKey(at time.Time) Key {
	var k Key
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(max(at.UnixMilli(), 0)))
	copy(k[:6], b[2:])
	if k.IsZero() {
		k[len(k)-1] = 1 // the zero key means "from the newest"
	}
	return k
}

func historyPage(r Reader, owner AccountID, f HistoryFilter) (HistoryPage, error) {
	var out HistoryPage
	names := directory{reader: r}
	before := f.Before
	for looked := 0; looked < historyLooks; looked += auditPage {
		events, err := r.Audit(owner, before, auditPage)
		if err != nil {
			return HistoryPage{}, fmt.Errorf("read history: %w", err)
		}
		for _, e := range events {
			if !f.From.IsZero() && e.Time.Before(f.From) {
				return out, nil
			}
			before = e.Key
			if !f.fits(e) {
				continue
			}
			entry, err := historyEntry(&names, owner, e)
			if err != nil {
				return HistoryPage{}, err
			}
			if out.Entries = append(out.Entries, entry); len(out.Entries) == f.Limit {
				out.Next = before
				return out, nil
			}
		}
		if len(events) < auditPage {
			return out, nil
		}
	}
	out.Next = before
	return out, nil
}

func (f HistoryFilter) fits(e AuditEvent) bool {
	return (len(f.Kinds) == 0 || contains(f.Kinds, e.Type)) && (f.Party == "" || f.Party == e.Actor) &&
		(f.Client == "" || f.Client == e.Client) && (f.RS == "" || f.RS == e.RS) &&
		(f.Resource == "" || f.Resource == e.Resource) && (f.Policy == "" || f.Policy == e.Policy)
}

func historyEntry(names *directory, owner AccountID, e AuditEvent) (HistoryEntry, error) {
	entry := HistoryEntry{AuditEvent: e}
	var err error
	if entry.ActorName, err = names.account(e.Actor); err != nil {
		return entry, err
	}
	if entry.AppName, err = names.client(e.Client); err != nil {
		return entry, err
	}
	entry.Label, err = names.resource(owner, e.RS, e.Resource)
	return entry, err
}

// exportPages bounds an export: 2,000,000 events.
const exportPages = 4000

// ExportHistory writes everything a filter fits as NDJSON, newest first: one event a line, in the form of HistoryLine. Limit
// is ignored.
func (a Acting) ExportHistory(ctx context.Context, f HistoryFilter, w io.Writer) error {
	f.Limit = maxHistory
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for range exportPages {
		page, err := a.History(ctx, f)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := enc.Encode(e.Line()); err != nil {
				return fmt.Errorf("write history: %w", err)
			}
		}
		if page.Next.IsZero() {
			return nil
		}
		f.Before = page.Next
	}
	return fmt.Errorf("%w: too long for one export; give a shorter time", ErrBadAnswer)
}

// HistoryLine is one event for programs.
type HistoryLine struct {
	ID         string      `json:"id"`
	Time       time.Time   `json:"time"`
	Kind       string      `json:"kind"`
	Outcome    string      `json:"outcome"` // success, mistake, refused, failed
	Reason     string      `json:"reason,omitempty"`
	Actor      AccountID   `json:"actor,omitempty"`
	ActorName  string      `json:"actor_name,omitempty"`
	Client     ClientID    `json:"client_id,omitempty"`
	ClientName string      `json:"client_name,omitempty"`
	RS         ClientID    `json:"resource_server,omitempty"`
	Resource   ResourceID  `json:"resource_id,omitempty"`
	Label      string      `json:"label,omitempty"`
	Policy     PolicyID    `json:"policy_id,omitempty"`
	Scopes     []string    `json:"scopes,omitempty"`
	Access     *AccessLine `json:"access,omitempty"`
	RequestID  string      `json:"request_id,omitempty"`
}

// AccessLine is what a resource server reported of one access.
type AccessLine struct {
	Interaction string   `json:"interaction"`
	Types       []string `json:"types,omitempty"`
	Count       int      `json:"count"`
}

var outcomeWords = map[Outcome]string{
	OutcomeSuccess: "success", OutcomeMistake: "mistake", OutcomeRefused: "refused", OutcomeFailed: "failed",
}

// Line is the entry for programs.
func (e HistoryEntry) Line() HistoryLine {
	l := HistoryLine{
		ID: e.Key.String(), Time: e.Time.UTC(), Kind: e.Type, Outcome: outcomeWords[e.Outcome], Reason: e.Reason, Actor: e.Actor,
		ActorName: e.ActorName, Client: e.Client, ClientName: e.AppName, RS: e.RS, Resource: e.Resource, Label: e.Label,
		Policy: e.Policy, Scopes: e.Scopes, RequestID: e.RequestID,
	}
	if e.Access != nil {
		l.Access = &AccessLine{Interaction: e.Access.Interaction, Types: e.Access.Types, Count: e.Access.Count}
	}
	return l
}
