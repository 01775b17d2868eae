package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
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

func (a *api) listPolicies(c ownerCall) error {
	if consent, err := asConsent(c); err != nil || consent {
		if err != nil {
			return err
		}
		return a.exportConsents(c, "")
	}
	inForce, err := yes(c, "in_force")
	if err != nil {
		return err
	}
	shares, err := c.Shares(c.ctx())
	if err != nil {
		return err
	}
	out := []policyShape{}
	for _, v := range shares {
		if p := a.shapePolicy(v); p.InForce || !inForce {
			out = append(out, p)
		}
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"policies": out})
}

func (a *api) createPolicy(c ownerCall) error {
	var body newPolicy
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	share, err := body.share()
	if err != nil {
		return err
	}
	check, err := yes(c, "check")
	if err != nil {
		return err
	}
	if check {
		v, err := c.CheckShare(c.ctx(), share)
		if err != nil {
			return err
		}
		return writeJSON(c.Context, http.StatusOK, a.shapePolicy(v))
	}
	id, err := c.CreateShare(c.ctx(), share, requestID(c.Context))
	if err != nil {
		return err
	}
	return a.writePolicy(c, http.StatusCreated, id)
}

// writePolicy answers with one policy, its version as entity tag (RFC 9110 §8.8.3).
func (a *api) writePolicy(c ownerCall, status int, id umaas.PolicyID) error {
	v, err := c.Share(c.ctx(), id)
	if err != nil {
		return err
	}
	if status == http.StatusCreated {
		c.Header("Location", a.Issuer+"/owner/policies/"+url.PathEscape(string(id)))
	}
	c.Header("ETag", entityTag(v.Policy))
	return writeJSON(c.Context, status, a.shapePolicy(v))
}

func entityTag(p umaas.Policy) string { return `"` + p.Version() + `"` }

// ifMatch reads the version a change is meant for (RFC 9110 §13.1.1): one strong tag, "*" or nothing.
func ifMatch(c ownerCall) (string, error) {
	lines := c.Request.Header.Values("If-Match")
	switch {
	case len(lines) == 0 || len(lines) == 1 && strings.TrimSpace(lines[0]) == "*":
		return "", nil
	case len(lines) > 1:
		return "", uma.ErrInvalidRequest.With("If-Match: send one entity tag")
	}
	tag := strings.TrimSpace(lines[0])
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' || strings.ContainsAny(tag[1:len(tag)-1], `",`) {
		return "", uma.ErrInvalidRequest.With(`If-Match: want one strong entity tag, as ETag gave it`)
	}
	return tag[1 : len(tag)-1], nil
}

func (a *api) readPolicy(c ownerCall) error {
	id := umaas.PolicyID(c.Param("id"))
	if consent, err := asConsent(c); err != nil || consent {
		if err != nil {
			return err
		}
		return a.exportConsents(c, id)
	}
	return a.writePolicy(c, http.StatusOK, id)
}

// narrowing is the body of PATCH: what stays, and an earlier end.
type narrowing struct {
	Items *[]string   `json:"items"`
	Rules []ruleShape `json:"rules"`
	Until string      `json:"until"`
}

type changedPolicy struct {
	Policy policyShape  `json:"policy"`
	Effect effectAnswer `json:"effect"`
}

func (a *api) narrowPolicy(c ownerCall) error {
	var body narrowing
	if err := readStrict(c.Request, &body); err != nil {
		return err
	}
	until, err := moment("until", body.Until)
	if err != nil {
		return err
	}
	n := umaas.Narrowing{Rules: rulesOf(body.Rules), Until: until}
	switch {
	case body.Items != nil && body.Rules != nil:
		return uma.ErrInvalidRequest.With("say what stays by items or by rules, not both")
	case body.Items == nil && body.Rules == nil && until.IsZero():
		return uma.ErrInvalidRequest.With("say what changes: items, rules or until")
	case body.Items != nil:
		n.ByItems, n.Items = true, *body.Items
	}
	if n.Version, err = ifMatch(c); err != nil {
		return err
	}
	id := umaas.PolicyID(c.Param("id"))
	effect, err := c.NarrowShare(c.ctx(), id, n, requestID(c.Context))
	if err != nil {
		return changedSince(err)
	}
	v, err := c.Share(c.ctx(), id)
	if err != nil {
		return err
	}
	c.Header("ETag", entityTag(v.Policy))
	return writeJSON(c.Context, http.StatusOK, changedPolicy{a.shapePolicy(v), effectOf(effect)})
}

func changedSince(err error) error {
	if errors.Is(err, umaas.ErrChanged) {
		return errPrecondition
	}
	return err
}

func (a *api) stopPolicy(c ownerCall) error {
	version, err := ifMatch(c)
	if err != nil {
		return err
	}
	v, effect, err := c.StopShareAt(c.ctx(), umaas.PolicyID(c.Param("id")), version, requestID(c.Context))
	if err != nil {
		return changedSince(err)
	}
	return writeJSON(c.Context, http.StatusOK, changedPolicy{a.shapePolicy(v), effectOf(effect)})
}

func (a *api) restorePolicy(c ownerCall) error {
	id, err := c.RestoreShare(c.ctx(), umaas.PolicyID(c.Param("id")), requestID(c.Context))
	if err != nil {
		return err
	}
	return a.writePolicy(c, http.StatusCreated, id)
}

func (a *api) listShareable(c ownerCall) error {
	records, err := c.Shareable(c.ctx())
	if err != nil {
		return err
	}
	return writeJSON(c.Context, http.StatusOK, map[string]any{"resources": shapeRecords(records)})
}
