package umaas

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// HomeView is the owner's first page.
type HomeView struct {
	Emergencies                 []RequestView // emergency access of the last 30 days, newest first: before all else
	Waiting                     []RequestView // checked apps first
	Shares                      []ShareView   // in force
	Recent                      []HistoryEntry
	People, Apps, Organizations int
}

// HistoryEntry is an event with the names its owner may read. Names are looked up, never stored with the event.
type HistoryEntry struct {
	AuditEvent
	ActorName string
	AppName   string
	Label     string // the owner's word for the record
}

const (
	homeRecent    = 5
	emergencyNews = 30 * day
	usesWindow    = 1000 // newest events looked at for "last used"
	maxHistory    = 500  // entries of one page
	auditPage     = 200
	maxShareable  = 2000
)

// directory looks names up once per page.
type directory struct {
	reader   Reader
	accounts map[AccountID]string
	clients  map[ClientID]Client
	labels   map[ResourceID]string
}

func (d *directory) account(id AccountID) (string, error) {
	if name, ok := d.accounts[id]; ok || id == "" {
		return name, nil
	}
	a, err := d.reader.Account(id)
	if _, err := absent(err); err != nil {
		return "", fmt.Errorf("read account: %w", err)
	}
	if d.accounts == nil {
		d.accounts = map[AccountID]string{}
	}
	d.accounts[id] = cleanText(a.Name)
	return d.accounts[id], nil
}

func (d *directory) app(id ClientID) (Client, error) {
	if c, ok := d.clients[id]; ok || id == "" {
		return c, nil
	}
	c, err := d.reader.Client(id)
	if _, err := absent(err); err != nil {
		return Client{}, fmt.Errorf("read client: %w", err)
	}
	if d.clients == nil {
		d.clients = map[ClientID]Client{}
	}
	d.clients[id] = c
	return c, nil
}

func (d *directory) client(id ClientID) (string, error) {
	c, err := d.app(id)
	return cleanText(c.Name), err
}

func (d *directory) resource(owner AccountID, rs ClientID, id ResourceID) (string, error) {
	if label, ok := d.labels[id]; ok || id == "" {
		return label, nil
	}
	res, err := d.reader.Resource(owner, rs, id)
	missing, err := absent(err)
	if err != nil {
		return "", fmt.Errorf("read resource: %w", err)
	}
	if d.labels == nil {
		d.labels = map[ResourceID]string{}
	}
	if !missing {
		d.labels[id] = labelOf(res)
	}
	return d.labels[id], nil
}

// Shareable lists the owner's sets with everything she could share of each: all that is registered, or of a derived set
// what the standing right under it carries.
func (s *Service) Shareable(ctx context.Context, owner AccountID) ([]RecordView, error) {
	return s.Acting(owner, owner).Shareable(ctx)
}

// Shareable lists the owner's sets with everything that can be shared of each.
func (a Acting) Shareable(ctx context.Context) ([]RecordView, error) {
	var out []RecordView
	err := a.s.Store.View(ctx, func(r Reader) error {
		err := a.may(r, guardShares)
		if err != nil {
			return err
		}
		out, err = a.s.shareable(r, a.owner)
		return err
	})
	return out, err
}

func (s *Service) shareable(r Reader, owner AccountID) ([]RecordView, error) {
	sets, err := ownerResources(r, owner)
	if err != nil {
		return nil, err
	}
	var out []RecordView
	for _, res := range sets {
		if isDecoy(res.Description) {
			continue
		}
		base, err := s.askedBase(r, res)
		if err != nil {
			return nil, err
		}
		all := withoutScope(res.Description.Scopes, ScopeBreakGlass) // comes with emergency access and no other way
		rights := s.grantable(res, base, Right{Scopes: all})
		if len(all) == 0 {
			rights = nil
		}
		out = append(out, RecordView{Resource: res, Label: labelOf(res), Items: s.describeRights(rights)})
	}
	tagItems(out)
	return out, nil
}

func ownerResources(r ResourceReader, owner AccountID) ([]Resource, error) {
	var out []Resource
	var rs ClientID
	var id ResourceID
	for len(out) < maxShareable {
		page, err := r.OwnerResources(owner, rs, id, pageLimit)
		if err != nil {
			return nil, fmt.Errorf("list resources: %w", err)
		}
		out = append(out, page...)
		if len(page) < pageLimit {
			break
		}
		last := page[len(page)-1]
		rs, id = last.RS, last.ID
	}
	return out, nil
}

// use is how often a policy was used lately.
type use struct {
	last  time.Time
	count int
}

// uses counts accesses per policy over the newest events of an owner.
func uses(r AuditReader, owner AccountID) (map[PolicyID]use, error) {
	out := map[PolicyID]use{}
	var before Key
	for n := 0; n < usesWindow; n += auditPage {
		page, err := r.Audit(owner, before, auditPage)
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		for _, e := range page {
			if e.Type != EventAccess || e.Policy == "" || e.Outcome != OutcomeSuccess || e.Reason == "intent" {
				continue // a refused try is no use, and a write is counted by its outcome
			}
			u := out[e.Policy]
			u.count++
			if e.Time.After(u.last) {
				u.last = e.Time
			}
			out[e.Policy] = u
		}
		if len(page) < auditPage {
			break
		}
		before = page[len(page)-1].Key
	}
	return out, nil
}

// ruleRecords shows the rules of a policy as records with items.
func (s *Service) ruleRecords(r ResourceReader, owner AccountID, rules []Rule) ([]RecordView, error) {
	var out []RecordView
	for _, rule := range rules {
		right := Right{Scopes: rule.Scopes, Constraints: rule.Constraints}
		i := slices.IndexFunc(out, func(v RecordView) bool { return v.Resource.ID == rule.Resource && v.Resource.RS == rule.RS })
		if i >= 0 {
			continue // its rules were taken together with the first
		}
		rights := []Right{right}
		for _, other := range rules {
			if other.Resource == rule.Resource && other.RS == rule.RS && !equalRule(other, rule) {
				rights = append(rights, Right{Scopes: other.Scopes, Constraints: other.Constraints})
			}
		}
		res, err := r.Resource(owner, rule.RS, rule.Resource)
		missing, err := absent(err)
		if err != nil {
			return nil, fmt.Errorf("read resource: %w", err)
		}
		v := RecordView{Resource: res, Label: labelOf(res), Items: s.describeRights(rights)}
		if missing {
			v.Resource, v.Label = Resource{ID: rule.Resource, Owner: owner, RS: rule.RS}, "A record that is no longer here"
		}
		out = append(out, v)
	}
	tagItems(out)
	return out, nil
}
