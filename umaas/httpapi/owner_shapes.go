package httpapi

import (
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// Wire shapes of policies.
type (
	claimShape struct {
		Issuer string `json:"issuer,omitempty"` // "" when sent: this server
		Name   string `json:"name"`
		Value  string `json:"value"`
	}
	whoShape struct {
		Kind    string          `json:"kind"` // account, email, claim, client
		Account umaas.AccountID `json:"account,omitempty"`
		Email   string          `json:"email,omitempty"`
		Claim   *claimShape     `json:"claim,omitempty"`
		Client  umaas.ClientID  `json:"client_id,omitempty"`
		Name    string          `json:"name,omitempty"`
	}
	ruleShape struct {
		Resource    umaas.ResourceID `json:"resource_id"`
		RS          umaas.ClientID   `json:"resource_server,omitempty"`
		Scopes      []string         `json:"resource_scopes"`
		Constraints []uma.Constraint `json:"constraints,omitempty"`
	}
	itemShape struct {
		ID        string `json:"id"`
		Words     string `json:"words"`
		Sensitive bool   `json:"sensitive,omitempty"`
		Technical string `json:"technical,omitempty"`
	}
	recordShape struct {
		Resource umaas.ResourceID `json:"resource_id,omitempty"`
		RS       umaas.ClientID   `json:"resource_server,omitempty"`
		Label    string           `json:"label,omitempty"`
		Scopes   []string         `json:"resource_scopes,omitempty"` // registered
		Items    []itemShape      `json:"items"`
	}
	policyShape struct {
		ID         umaas.PolicyID  `json:"id,omitempty"`
		Who        whoShape        `json:"who"`
		WhoWords   string          `json:"who_words"`
		Client     umaas.ClientID  `json:"client_id,omitempty"`
		ClientName string          `json:"client_name,omitempty"`
		Origin     umaas.Origin    `json:"origin"`
		Label      string          `json:"label,omitempty"`
		By         umaas.AccountID `json:"by,omitempty"`
		Records    []recordShape   `json:"records"`
		Rules      []ruleShape     `json:"rules"`
		Purposes   []string        `json:"purposes,omitempty"`
		Until      *time.Time      `json:"until,omitempty"`
		Terms      string          `json:"terms,omitempty"`
		Also       []claimShape    `json:"also,omitempty"`
		MinACR     string          `json:"min_acr,omitempty"`
		BreakGlass bool            `json:"break_glass,omitempty"`
		Created    time.Time       `json:"created"`
		Revoked    *time.Time      `json:"revoked,omitempty"`
		InForce    bool            `json:"in_force"`
		LastUsed   *time.Time      `json:"last_used,omitempty"`
		Uses       int             `json:"uses"`
	}
)

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func shapeWho(w umaas.Who) whoShape {
	out := whoShape{Kind: string(w.Kind), Account: w.Account, Email: w.Email, Client: w.Client, Name: w.Name}
	if w.Kind == umaas.WhoClaim {
		out.Claim = &claimShape{w.Claim.Issuer, w.Claim.Name, w.Claim.Value}
	}
	return out
}

func (w whoShape) who() umaas.Who {
	out := umaas.Who{Kind: umaas.WhoKind(w.Kind), Account: w.Account, Email: w.Email, Client: w.Client, Name: w.Name}
	if w.Claim != nil {
		out.Claim = umaas.Claim{Issuer: w.Claim.Issuer, Name: w.Claim.Name, Value: w.Claim.Value}
	}
	return out
}

func shapeRules(rules []umaas.Rule) []ruleShape {
	out := make([]ruleShape, 0, len(rules))
	for _, r := range rules {
		out = append(out, ruleShape(r))
	}
	return out
}

func rulesOf(shapes []ruleShape) []umaas.Rule {
	if shapes == nil {
		return nil
	}
	out := make([]umaas.Rule, 0, len(shapes))
	for _, r := range shapes {
		out = append(out, umaas.Rule(r))
	}
	return out
}

func shapeRecords(records []umaas.RecordView) []recordShape {
	out := make([]recordShape, 0, len(records))
	for _, r := range records {
		shape := recordShape{
			Resource: r.Resource.ID, RS: r.Resource.RS, Label: r.Label, Scopes: r.Resource.Description.Scopes, Items: []itemShape{},
		}
		for _, i := range r.Items {
			shape.Items = append(shape.Items, itemShape{i.ID, i.Words, i.Sensitive, i.Technical})
		}
		out = append(out, shape)
	}
	return out
}

func (a *api) shapePolicy(v umaas.ShareView) policyShape {
	p := policyShape{
		ID: v.ID, Who: shapeWho(v.Policy.Who), WhoWords: v.Who, Client: v.Client, Origin: v.Origin, Label: v.Label, By: v.By,
		Records: shapeRecords(v.Records), Rules: shapeRules(v.Rules), Purposes: v.Purposes, Until: optional(v.NotAfter), Terms: v.Terms,
		MinACR: v.MinACR, BreakGlass: v.BreakGlass, Created: v.Created.UTC(), Revoked: optional(v.Revoked), InForce: v.InForce(a.Now()),
		LastUsed: optional(v.LastUsed), Uses: v.Uses,
	}
	if v.App != nil {
		p.ClientName = v.App.Name
	}
	for _, c := range v.Also {
		p.Also = append(p.Also, claimShape{c.Issuer, c.Name, c.Value})
	}
	return p
}

// newPolicy is the body of POST /owner/policies and /owner/invitations.
type newPolicy struct {
	Who         whoShape                      `json:"who"`
	Client      umaas.ClientID                `json:"client_id"`
	Items       map[umaas.ResourceID][]string `json:"items"`
	Rules       []ruleShape                   `json:"rules"`
	Constraints []uma.Constraint              `json:"constraints"`
	Until       string                        `json:"until"`
	Purposes    []string                      `json:"purposes"`
	Label       string                        `json:"label"`
	Also        []claimShape                  `json:"also"`
	MinACR      string                        `json:"min_acr"`
	Terms       string                        `json:"terms"`
	BreakGlass  bool                          `json:"break_glass"`
}

func (n newPolicy) share() (umaas.NewShare, error) {
	until, err := moment("until", n.Until)
	if err != nil {
		return umaas.NewShare{}, err
	}
	out := umaas.NewShare{
		Who: n.Who.who(), Client: n.Client, Items: n.Items, Rules: rulesOf(n.Rules), Constraints: n.Constraints, Until: until,
		Purposes: n.Purposes, Label: n.Label, MinACR: n.MinACR, Terms: n.Terms, BreakGlass: n.BreakGlass,
	}
	for _, c := range n.Also {
		out.Also = append(out.Also, umaas.Claim{Issuer: c.Issuer, Name: c.Name, Value: c.Value})
	}
	return out, nil
}
