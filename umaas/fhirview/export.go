package fhirview

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// Core is what this package needs of the core; *umaas.Service has it.
type Core interface {
	Account(ctx context.Context, id umaas.AccountID) (umaas.Account, error)
}

// View puts policies of one authorization server into FHIR Consents and back. It holds no state.
type View struct {
	Core   Core
	Issuer string // the authorization server's
	Now    func() time.Time
}

type element = map[string]any

// Export writes one policy as a Consent, or with an empty id all that are in force as a Bundle. Errors: those of Acting.Share.
func (v View) Export(ctx context.Context, a umaas.Acting, id umaas.PolicyID) ([]byte, error) {
	if id != "" {
		share, err := a.Share(ctx, id)
		if err != nil {
			return nil, err
		}
		owner, err := v.Core.Account(ctx, a.Owner())
		if err != nil {
			return nil, err
		}
		return json.Marshal(v.consent(share, owner))
	}
	shares, err := a.Shares(ctx)
	if err != nil {
		return nil, err
	}
	owner, err := v.Core.Account(ctx, a.Owner())
	if err != nil {
		return nil, err
	}
	entries := []element{}
	for _, share := range shares {
		if share.InForce(v.Now()) {
			entries = append(entries, element{"fullUrl": v.Issuer + "/owner/policies/" + string(share.ID), "resource": v.consent(share, owner)})
		}
	}
	bundle := element{"resourceType": "Bundle", "type": "collection", "timestamp": moment(v.Now())}
	if len(entries) > 0 {
		bundle["entry"] = entries
	}
	return json.Marshal(bundle)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func coding(system, code string) element { return element{"system": system, "code": code} }

func concept(system, code string) element { return element{"coding": []element{coding(system, code)}} }

func identifier(system, value string) element { return element{"system": system, "value": value} }

func (v View) consent(s umaas.ShareView, owner umaas.Account) element {
	status := "active"
	if !s.InForce(v.Now()) {
		status = "inactive"
	}
	patient := element{"identifier": identifier(accountSystem(v.Issuer), string(owner.ID))}
	if strings.HasPrefix(owner.FHIRUser, "Patient/") {
		patient["reference"] = owner.FHIRUser
	}
	root := element{"period": v.period(s.Policy)}
	if permits := v.permits(s); len(permits) > 0 {
		root["provision"] = permits
	}
	c := element{
		"resourceType": "Consent", "id": string(s.ID), "status": status, "scope": concept(systemScope, "patient-privacy"),
		"category": []element{concept(systemLOINC, "59284-0")}, "patient": patient, "dateTime": moment(s.Created),
		"policyRule": concept(systemActCode, "OPTOUT"), "provision": root,
	}
	performer := owner.ID
	if s.By != "" {
		performer = s.By
	}
	c["performer"] = []element{{"identifier": identifier(accountSystem(v.Issuer), string(performer))}}
	if m := v.modifiers(s.Policy); len(m) > 0 {
		c["modifierExtension"] = m
	}
	if s.Label != "" {
		c["extension"] = []element{{"url": extensionLabel, "valueString": s.Label}}
	}
	return c
}

func (v View) period(p umaas.Policy) element {
	out := element{"start": moment(p.Created)}
	switch {
	case !p.Revoked.IsZero():
		out["end"] = moment(p.Revoked)
	case !p.NotAfter.IsZero():
		out["end"] = moment(p.NotAfter)
	}
	return out
}

// modifiers are the conditions of a policy for which a Consent has no element. A reader that does not know them must not use it.
func (v View) modifiers(p umaas.Policy) []element {
	var out []element
	if p.Client != "" {
		out = append(out, element{"url": extensionApp, "valueIdentifier": identifier(clientSystem(v.Issuer), string(p.Client))})
	}
	for _, c := range p.Also {
		out = append(out, element{"url": extensionAlso, "valueIdentifier": claimIdentifier(c)})
	}
	if p.MinACR != "" {
		out = append(out, element{"url": extensionACR, "valueString": p.MinACR})
	}
	if p.Terms != "" {
		out = append(out, element{"url": extensionTerms, "valueString": p.Terms})
	}
	if p.BreakGlass {
		out = append(out, element{"url": extensionBreakGlass, "valueBoolean": true})
	}
	return out
}

func claimIdentifier(c umaas.Claim) element {
	return element{"type": concept(systemClaim, c.Name), "system": c.Issuer, "value": c.Value}
}

// actor names the party of a policy, as information recipient.
func (v View) actor(w umaas.Who) element {
	ref := element{}
	switch w.Kind {
	case umaas.WhoAccount:
		ref["identifier"] = identifier(accountSystem(v.Issuer), string(w.Account))
	case umaas.WhoEmail:
		ref["identifier"] = identifier(systemURI, "mailto:"+w.Email)
	case umaas.WhoClaim:
		ref["identifier"] = claimIdentifier(w.Claim)
	case umaas.WhoClient:
		ref["identifier"] = identifier(clientSystem(v.Issuer), string(w.Client))
	}
	if w.Name != "" {
		ref["display"] = w.Name
	}
	return element{"role": concept(systemParticipate, "IRCP"), "reference": ref}
}

// permits are the rules of a policy.
func (v View) permits(s umaas.ShareView) []element {
	var out []element
	for _, rule := range s.Rules {
		var registered []string
		for _, r := range s.Records {
			if r.Resource.ID == rule.Resource && r.Resource.RS == rule.RS {
				registered = r.Resource.Description.Scopes
			}
		}
		products, others := groups(rule.Scopes, registered)
		for _, g := range products {
			p := v.permit(s.Policy, rule)
			var classes, actions []element
			for _, t := range g.types {
				classes = append(classes, coding(systemTypes, t))
			}
			for _, i := range interactions {
				if strings.Contains(g.letters, i.letter) {
					actions = append(actions, concept(systemRESTful, i.code))
				}
			}
			p["class"], p["action"] = classes, actions
			out = append(out, p)
		}
		if len(others) > 0 {
			p := v.permit(s.Policy, rule)
			var classes []element
			for _, scope := range others {
				classes = append(classes, coding(systemOwnScope, scope))
			}
			p["class"] = classes
			out = append(out, p)
		}
	}
	return out
}

func (v View) permit(p umaas.Policy, rule umaas.Rule) element {
	out := element{
		"type": "permit", "actor": []element{v.actor(p.Who)},
		"data": []element{{"meaning": "instance", "reference": element{"identifier": identifier(resourceSystem(v.Issuer, rule.RS), string(rule.Resource))}}},
	}
	var purposes []element
	for _, code := range p.Purposes {
		purposes = append(purposes, coding(systemActReason, code))
	}
	if len(purposes) > 0 {
		out["purpose"] = purposes
	}
	limits(out, rule.Constraints)
	return out
}

// limits puts constraints into the elements FHIR has for them, each at most once, and the others into modifier extensions.
func limits(out element, constraints []uma.Constraint) {
	var others []element
	for _, c := range constraints {
		if c.Type == uma.ConstraintPeriod && out["dataPeriod"] == nil {
			start, end, ok := strings.Cut(c.Value, "/")
			if ok && (start == "" || isDate(start)) && (end == "" || isDate(end)) && start+end != "" {
				period := element{}
				if start != "" {
					period["start"] = start
				}
				if end != "" {
					period["end"] = end
				}
				out["dataPeriod"] = period
				continue
			}
		}
		if param, list, ok := readQuery(c.Value); ok && c.Type == uma.ConstraintQuery {
			switch {
			case param == paramCode && out["code"] == nil:
				out["code"] = concepts(list)
				continue
			case param == paramSecurity && out["securityLabel"] == nil:
				out["securityLabel"] = codings(list)
				continue
			}
		}
		others = append(others, element{"url": extensionConstraint, "valueString": fmt.Sprintf("%s=%s", c.Type, c.Value)})
	}
	if others != nil {
		out["modifierExtension"] = others
	}
}

func concepts(list tokens) []element {
	var out []element
	for _, t := range list {
		out = append(out, concept(t.system, t.code))
	}
	return out
}

func codings(list tokens) []element {
	var out []element
	for _, t := range list {
		out = append(out, coding(t.system, t.code))
	}
	return out
}
