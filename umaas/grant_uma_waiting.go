package umaas

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Bounds on what is looked at while counting (SEC-46); the numbers themselves are settings (Attention).
const (
	inboxWindow       = 200 // newest entries looked at
	maxUncheckedReads = 60  // clients looked up while counting
)

// file puts the process into the owner's inbox: a new entry, or the open one of the same party, client and resources, which
// takes over what is asked beyond it and so is shown again (SEC-47). A decoy gets an entry too, which no inbox shows: the
// party's own list must not tell what is hidden from what is there (decisions 6). refused is a reason to deny instead.
func (run *redemption) file(tx Tx, t *Ticket, q Question) (refused string, err error) {
	open, err := tx.OpenRequest(t.Owner, q.Party.Account, run.client.ID, resourceIDs(t.Permissions), run.now)
	if err == nil {
		return run.join(tx, t, open)
	}
	if !errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf("read open request: %w", err)
	}
	full, unlisted, err := run.flooded(tx, *t, q.Party.Account)
	if err != nil || full {
		return ReasonFlood, err
	}
	key, err := run.s.handles.NewKey(run.now)
	if err != nil {
		return "", err
	}
	r := Request{
		Key: key, Owner: t.Owner, Process: t.Process, RS: t.RS, Client: run.client.ID, Party: *q.Party, PartyName: q.PartyAccount.Name,
		Permissions: t.Permissions, Purpose: t.Purpose, Note: t.Note, Says: ownWords(t.Answers), State: RequestWaiting, BreakGlass: t.BreakGlass, Created: run.now,
		Expires: run.now.Add(run.s.Limits.Waiting), Unlisted: unlisted,
	}
	if q.PartyAccount.EmailVerified {
		r.PartyEmail = q.PartyAccount.Email
	}
	t.Request = key
	if err := tx.PutRequest(r); err != nil {
		return "", fmt.Errorf("store request: %w", err)
	}
	return "", run.tellWaiting(tx, *t, r, EventRequestSubmitted)
}

// maxReworded is how often the words of one entry may change: each change refuses an answer to what stood there before, and
// nobody is to be kept from answering by somebody who goes on talking.
const maxReworded = 20

// join lets a process wait with an entry that is open already. Repeats only count up. What the newer process asks beyond it, and
// its words, take the place of the older ones, so that the owner answers what is asked now; the page she has open is refused
// (SEC-47). A declared emergency stays one, and its reason stays to be read, whatever is said after it. One that stood above
// the owner's limits moves into her inbox when there is room.
func (run *redemption) join(tx Tx, t *Ticket, open Request) (refused string, err error) {
	if open.State != RequestWaiting {
		return ReasonSilenced, nil
	}
	open.Permissions = mergePermissions(slices.Concat(open.Permissions, t.Permissions))
	if len(open.Permissions) > run.s.Limits.MaxPermissions || weight(open.Permissions) > maxAsked {
		return ReasonFlood, nil // asked in ever new ways: nobody could read it
	}
	if open.reword(*t) && open.Repeats >= maxReworded {
		return ReasonFlood, nil
	}
	if open.Unlisted {
		full, unlisted, err := run.flooded(tx, *t, open.Party.Account)
		if err != nil {
			return "", err
		}
		open.Unlisted = full || unlisted
	}
	open.Repeats++
	t.Request = open.Key
	if err := tx.PutRequest(open); err != nil {
		return "", fmt.Errorf("store request: %w", err)
	}
	return "", run.tellWaiting(tx, *t, open, EventRequestRepeated)
}

// reword takes over what the party says now and reports whether that changes anything.
func (r *Request) reword(t Ticket) bool {
	purpose, note, says := t.Purpose, t.Note, ownWords(t.Answers)
	if r.BreakGlass && !t.BreakGlass {
		note = r.Note
	}
	emergency := r.BreakGlass || t.BreakGlass
	changed := purpose != r.Purpose || note != r.Note || !slices.Equal(says, r.Says) || emergency != r.BreakGlass
	r.Purpose, r.Note, r.Says, r.BreakGlass = purpose, note, says, emergency
	return changed
}

// tellWaiting records a request that waits. One that no inbox shows is not in the owner's history either: a flood is not to push
// what matters out of it.
func (run *redemption) tellWaiting(tx Tx, t Ticket, r Request, kind string) error {
	e := AuditEvent{Type: kind}
	if r.Unlisted {
		t.Decoy, e.Reason = true, ReasonFlood // told as what is hidden is told
	}
	return run.tell(tx, t, e)
}

// burdens reports a request that counts against floods: one that waits, and one taken back less than a day ago, or asking and
// taking back in turn would push everything else out of sight.
func (r Request) burdens(now time.Time) bool {
	return r.open(now) || r.State == RequestDenied && now.Before(r.Silent) && r.Silent.Sub(r.Answered) == withdrawnSilence
}

// open reports a request that still waits for its owner.
func (r Request) open(now time.Time) bool { return r.State == RequestWaiting && now.Before(r.Expires) }
