package umaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// permissionTicketFormat is a SMART Permission Ticket pushed as a claim. It decides nothing: it states that its issuer gave the
// bearer of a key a ticket of some kind about a patient; the owner's policy says what that is worth, and the ticket's own
// access narrows what the process can give.
type permissionTicketFormat struct{}

func (permissionTicketFormat) URI() string     { return permissionTicketURI }
func (permissionTicketFormat) Use() IssuerUse  { return UsePermissionTicket }
func (permissionTicketFormat) Types() []string { return []string{"", "JWT"} }

// Bounds is what a permission ticket leaves of whatever is granted while it counts: its effect on a process is to take away.
type Bounds struct {
	References  []string // the patient at this data holder: Patient/id, or with a FHIR base before it
	Identifiers []string // the patient elsewhere: system|value
	Scopes      []string // what may be granted at most, as SMART scopes
	Constraints []uma.Constraint
	Sensitive   bool // the scopes for sensitive and confidential data may be granted too
	Until       time.Time
}

// Members this server understands and enforces. Anything else in must_understand, in access or in an entry of it refuses the
// ticket: to overlook a narrowing would widen (flows.md F2).
var (
	understood       = []string{"iss", "aud", "aud_type", "exp", "iat", "nbf", "jti", "ticket_type", "presenter_binding", "revocation", "must_understand", "subject", "requester", "access"}
	accessMembers    = []string{"permissions", "data_period", "sensitive_data"}
	entryMembers     = []string{"kind", "resource_type", "interactions", "category_any_of", "code_any_of"}
	ticketLetters    = map[string]string{"create": "c", "read": "r", "update": "u", "patch": "u", "delete": "d", "search": "s"}
	errNotUnderstood = errors.New("holds a member that this server does not enforce")
)

const maxTicketEntries = 64

// identifierURI is the system of identifiers that are addresses (FHIR R4 §2.24.0.7).
const identifierURI = "urn:ietf:rfc:3986"

func (permissionTicketFormat) Read(m Members, to Recipient) (Statement, error) {
	until, err := m.period(to.Now, false)
	if err != nil {
		return Statement{}, err
	}
	to.Issuer.ClientAudience = false
	if err := m.forUs(to); err != nil {
		return Statement{}, err
	}
	for _, name := range m.strings("must_understand") {
		if !slices.Contains(understood, name) {
			return Statement{}, errNotUnderstood
		}
	}
	if m.has("must_understand") && m.strings("must_understand") == nil {
		return Statement{}, errors.New("must_understand is no list of names")
	}
	if id := m.text("jti"); id == "" || len(id) > maxJTI {
		return Statement{}, errors.New("jti must have 1 to 255 characters")
	}
	if err := presenter(m["presenter_binding"], to.Holding); err != nil {
		return Statement{}, err
	}
	s := Statement{Until: until, Bounds: &Bounds{Until: until}}
	if s.Status, err = revocation(m); err != nil {
		return Statement{}, err
	}
	if err := s.Bounds.subject(m["subject"]); err != nil {
		return Statement{}, err
	}
	if err := s.Bounds.access(m["access"]); err != nil {
		return Statement{}, err
	}
	kind := m.text("ticket_type")
	if kind == "" || len(kind) > maxClaimValue {
		return Statement{}, errors.New("ticket_type is missing")
	}
	s.Claims = []Claim{{Name: claimTicket, Value: kind}}
	return s, nil
}

// presenter wants a binding to a key the client proved to hold in this very request. Without one the ticket would be a bearer's
// (flows.md F2); bindings by trust framework need a framework, and none is configured.
func presenter(raw json.RawMessage, holding []string) error {
	var b struct {
		Method string `json:"method"`
		JKT    string `json:"jkt"`
	}
	if err := strictly(raw, &b, "method", "jkt"); err != nil {
		return fmt.Errorf("presenter_binding: %w", err)
	}
	if b.Method != "jkt" || b.JKT == "" || !slices.Contains(holding, b.JKT) {
		return errors.New("presenter_binding names no key that the client proved to hold")
	}
	return nil
}

func revocation(m Members) (*StatusRef, error) {
	if !m.has("revocation") {
		return nil, nil
	}
	var ref struct {
		URL   string  `json:"url"`
		Index *uint64 `json:"index"`
	}
	if err := strictly(m["revocation"], &ref, "url", "index"); err != nil || ref.URL == "" || ref.Index == nil {
		return nil, errors.New("revocation: want url and index")
	}
	return &StatusRef{URL: ref.URL, Index: *ref.Index}, nil
}

// strictly decodes an object that has no members but the named ones.
func strictly(raw json.RawMessage, into any, names ...string) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(raw, &m); err != nil || m == nil {
		return errors.New("missing, or no object")
	}
	for name := range m {
		if !slices.Contains(names, name) {
			return errNotUnderstood
		}
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.New("a member has another form than it should")
	}
	return nil
}

// subject reads whose record the ticket is about. Names and birth dates match nobody: a patient is one by identifier or by her
// record here.
func (b *Bounds) subject(raw json.RawMessage) error {
	var s struct {
		Patient struct {
			Identifier []struct{ System, Value string } `json:"identifier"`
		} `json:"patient"`
		Record struct {
			Reference string `json:"reference"`
		} `json:"recipient_record"`
	}
	if err := strictly(raw, &s, "patient", "recipient_record"); err != nil {
		return fmt.Errorf("subject: %w", err)
	}
	if len(s.Patient.Identifier) > maxTicketEntries {
		return errors.New("subject: too many identifiers")
	}
	if s.Record.Reference != "" {
		b.References = []string{s.Record.Reference} // the issuer knows the record: nothing else decides
		return nil
	}
	for _, i := range s.Patient.Identifier {
		switch {
		case i.System == "" || i.Value == "" || strings.Contains(i.System, "|"):
		case i.System == identifierURI:
			b.References = append(b.References, i.Value)
		default:
			b.Identifiers = append(b.Identifiers, i.System+"|"+i.Value)
		}
	}
	return nil
}
