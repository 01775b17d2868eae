package umaas

import "time"

// AuditEvent records one decision or access. It is written in the transaction of the decision itself (decisions 10). It
// holds references and reason codes, never tokens, names, search values or clinical content (audit.md §7).
type AuditEvent struct {
	Key       Key
	Owner     AccountID // whose history it belongs to; "" for the server's own
	Type      string    // "rpt-issued", "request-submitted", "policy-revoked", "access", …
	Outcome   Outcome
	Reason    string // from a fixed list
	Actor     AccountID
	Client    ClientID
	RS        ClientID
	Resource  ResourceID
	Grant     Key
	Process   Key
	Policy    PolicyID
	Scopes    []string
	Access    *Access
	RequestID string
	Time      time.Time
}

// Outcome follows AuditEvent.outcome (audit.md AU-06).
type Outcome int

// Outcomes.
const (
	OutcomeSuccess Outcome = 0
	OutcomeMistake Outcome = 4
	OutcomeRefused Outcome = 8
	OutcomeFailed  Outcome = 12
)

// Access is what a resource server reported of one access.
type Access struct {
	ID          string
	Interaction string
	Types       []string
	Count       int
	Outcome     string
	Reason      string
}
