package resourceserver

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// unowned is the proof for answers about which no owner can be told: malformed requests, and refusals before a token named
// anybody's set. They go to the log.
func unowned() audited { return audited{done: true} }

// record hands the noted events to the recorder and returns once they are durable (decisions 10).
func (c *call) record(ctx context.Context) (audited, error) {
	if len(c.used) > 0 {
		// The access has happened in the upstream or is about to be shown: the client's leaving must not lose its record.
		if err := c.Recorder.Record(context.WithoutCancel(ctx), c.used); err != nil {
			return audited{}, err
		}
		c.used = nil
	}
	return audited{done: true}, nil
}

// note adds what was shown: one event per set and patient (audit.md AU-03).
func (c *call) note(shown ...*Shown) {
	for _, s := range shown {
		if s == nil || s.By == nil {
			continue
		}
		patients := s.Patients
		if len(patients) == 0 {
			patients = []string{s.By.Set.Patient}
		}
		for _, p := range patients {
			c.noteOne(s.By.Set, p, s.Resource.Type(), 1)
		}
	}
}

func (c *call) noteOne(set Set, patient, resourceType string, count int) {
	for i := range c.used {
		if c.used[i].Set == set && c.used[i].Patient == patient && c.used[i].Outcome == "success" {
			c.used[i].Count += count
			if resourceType != "" && !slices.Contains(c.used[i].Types, resourceType) {
				c.used[i].Types = append(c.used[i].Types, resourceType)
			}
			return
		}
	}
	c.used = append(c.used, c.event(set, patient, "success", "", resourceType, count))
}

func (c *call) event(set Set, patient, outcome, reason, resourceType string, count int) Event {
	g := c.rights.Grant
	e := Event{Set: set, Patient: patient, AccessEvent: uma.AccessEvent{
		ID: rand.Text(), Time: c.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"), JTI: g.JTI, ClientID: g.ClientID, Sub: g.Sub,
		ResourceID: set.ResourceID, Interaction: string(c.access.Interaction), Count: count, Outcome: outcome, Reason: reason, RequestID: c.requestID,
	}}
	if resourceType != "" {
		e.Types = []string{resourceType}
	}
	return e
}

// noteNothing tells the owners whose data was searched that nothing was found (audit.md §2).
func (c *call) noteNothing(entries []*Entry) {
	if len(c.used) > 0 {
		return
	}
	for _, e := range entries {
		if e.Set.Level != LevelUser || len(entries) == 1 {
			c.noteOne(e.Set, e.Set.Patient, c.access.Type, 0)
		}
	}
}

// noteRefusal tells the owner of the token's set that an access beyond it was tried. Where the token has several sets the one
// about the named patient is told, else the first.
func (c *call) noteRefusal(ctx context.Context, reason string) {
	if c.rights == nil || len(c.rights.entries) == 0 {
		return
	}
	named := c.access.namedPatient()
	set := c.rights.entries[0].Set
	for _, e := range c.rights.entries {
		if named != "" && e.Set.Patient == named {
			set = e.Set
		}
	}
	c.used = append(c.used, c.event(set, set.Patient, "refused", reason, c.access.Type, 0))
	c.noteBehind(ctx, named, reason)
}

// noteBehind tells the owners of records that were tried to be reached with a token which is not about them (audit.md §2). The event
// rides with the one above, so that the answer, its calls and its commits are the same whether or not there is such a record.
func (c *call) noteBehind(ctx context.Context, named, reason string) {
	if c.Owners == nil {
		return
	}
	const most = 5
	patients := c.behind[:min(len(c.behind), most)]
	if named != "" && !slices.Contains(patients, named) {
		patients = append(slices.Clone(patients), named)
	}
	for _, p := range patients {
		if slices.ContainsFunc(c.rights.entries, func(e *Entry) bool { return e.Set.Patient == p }) {
			continue // it is her own set that was told
		}
		reg, err := c.Owners.RecordOf(ctx, p)
		if errors.Is(err, ErrNotKept) {
			continue
		}
		if err != nil {
			c.Logger.ErrorContext(ctx, "an owner is not told of a refusal", "request_id", c.requestID, "error", err)
			continue
		}
		e := c.event(reg.Set, p, "refused", reason, c.access.Type, 0)
		if reg.Issuer != c.rights.Grant.Issuer { // its names mean nothing, or somebody else, at another authorization server
			e.JTI, e.Sub, e.ClientID = "", "", ""
		}
		c.used = append(c.used, e)
	}
}

// intent records a write before it is tried: a crash between leaves it standing open (AU-02).
func (c *call) intent(ctx context.Context, s *Shown) (answer, bool) {
	patient := s.By.Set.Patient
	if len(s.Patients) > 0 {
		patient = s.Patients[0]
	}
	// The history's words are success, refused and failed: the intent is the permission's success, marked as such; what came
	// of it follows under the same request id.
	e := c.event(s.By.Set, patient, "success", "intent", s.Resource.Type(), 0)
	if err := c.Recorder.Record(ctx, []Event{e}); err != nil {
		c.Logger.ErrorContext(ctx, "write not recorded", "request_id", c.requestID, "error", err)
		a := outcome(http.StatusServiceUnavailable, "transient", textAudit)
		a.retryAfter = 5
		return a, false
	}
	return answer{}, true
}
