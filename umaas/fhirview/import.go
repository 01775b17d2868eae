package fhirview

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

// maxConsents of one import.
const maxConsents = umaas.MaxShares

// Import reads a Consent or a Bundle of them as shares of the owner. All are stored in one transaction or none is; with check
// nothing is. The views tell what each means here. Errors: umaas.ErrBadAnswer with the path of the first element that
// is not understood, and those of Acting.CreateShare.
func (v View) Import(ctx context.Context, a umaas.Acting, raw []byte, check bool, requestID string) ([]umaas.PolicyID, []umaas.ShareView, error) {
	consents, err := consentsIn(raw)
	if err != nil {
		return nil, nil, err
	}
	sets, err := a.Shareable(ctx)
	if err != nil {
		return nil, nil, err
	}
	owner, err := v.Core.Account(ctx, a.Owner())
	if err != nil {
		return nil, nil, err
	}
	r := reader{issuer: v.Issuer, owner: owner, sets: sets, now: v.Now()}
	shares := make([]umaas.NewShare, 0, len(consents))
	views := make([]umaas.ShareView, 0, len(consents))
	for _, c := range consents {
		share, err := r.consent(c)
		if err != nil {
			return nil, nil, err
		}
		view, err := a.CheckShare(ctx, share)
		if err != nil {
			return nil, nil, located(c.path, err)
		}
		shares, views = append(shares, share), append(views, view)
	}
	if check {
		return nil, views, nil
	}
	made, at, err := a.CreateShares(ctx, shares, requestID)
	switch {
	case err != nil && at >= 0: // what was judged a moment ago changed meanwhile
		return nil, nil, located(consents[at].path, err)
	case err != nil:
		return nil, nil, err
	}
	for i, id := range made {
		views[i].ID = id
	}
	return made, views, nil
}

// located adds the path to a refusal of the core.
func located(path string, err error) error {
	if errors.Is(err, umaas.ErrBadAnswer) {
		_, text, _ := strings.Cut(err.Error(), umaas.ErrBadAnswer.Error()+": ")
		return refuse(path, text)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// consentsIn lists the Consents of what was sent.
func consentsIn(raw []byte) ([]node, error) {
	n, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if n.m["resourceType"] == "Consent" {
		return []node{n}, nil
	}
	if err := n.only("resourceType", "id", "meta", "type", "timestamp", "entry"); err != nil {
		return nil, err
	}
	if n.m["type"] != "collection" {
		return nil, refuse("Bundle.type", "want collection")
	}
	entries, err := n.list("entry")
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 || len(entries) > maxConsents {
		return nil, refuse("Bundle.entry", fmt.Sprintf("want 1 to %d Consents", maxConsents))
	}
	var out []node
	for _, e := range entries {
		if err := e.only("fullUrl", "resource"); err != nil {
			return nil, err
		}
		r, err := e.child("resource")
		if err != nil {
			return nil, err
		}
		if r.m["resourceType"] != "Consent" {
			return nil, refuse(r.at("resourceType"), "want Consent")
		}
		out = append(out, r)
	}
	return out, nil
}

// reader knows whose Consents it reads.
type reader struct {
	issuer string
	owner  umaas.Account
	sets   []umaas.RecordView
	now    time.Time
}

// passedOver say nothing of what is permitted.
var passedOver = []string{"resourceType", "id", "meta", "language", "text", "identifier", "category", "dateTime", "performer", "organization"}

func (r reader) consent(n node) (umaas.NewShare, error) {
	var out umaas.NewShare
	known := append([]string{"status", "scope", "patient", "policyRule", "provision", "modifierExtension", "extension"}, passedOver...)
	if err := n.only(known...); err != nil {
		return out, err
	}
	if status, err := n.text("status"); err != nil || status != "active" {
		return out, errors.Join(err, refuse(n.at("status"), "only an active Consent can be taken over"))
	}
	for _, fixed := range []struct {
		name string
		want token
		need bool
	}{{"scope", token{systemScope, "patient-privacy"}, true}, {"policyRule", token{systemActCode, "OPTOUT"}, false}} {
		if !n.has(fixed.name) && !fixed.need {
			continue
		}
		c, err := n.child(fixed.name)
		if err != nil {
			return out, err
		}
		if got, err := c.concept(); err != nil {
			return out, err
		} else if got != fixed.want {
			return out, refuse(c.path, "want "+fixed.want.system+"|"+fixed.want.code)
		}
	}
	if err := r.patient(n); err != nil {
		return out, err
	}
	if err := r.modifiers(n, &out); err != nil {
		return out, err
	}
	root, err := n.child("provision")
	if err != nil {
		return out, refuse(n.at("provision"), "want what is permitted")
	}
	return out, r.root(root, &out)
}

// patient must be the owner herself: a Consent of somebody else says nothing of her records.
func (r reader) patient(n node) error {
	p, err := n.child("patient")
	if err != nil {
		return err
	}
	if err := p.only("reference", "identifier", "type", "display"); err != nil {
		return err
	}
	reference, err := p.text("reference")
	if err != nil {
		return err
	}
	same := reference != "" && reference == r.owner.FHIRUser
	if reference != "" && !same {
		return refuse(p.at("reference"), "is not the owner of these records")
	}
	if p.has("identifier") {
		id, err := p.child("identifier")
		if err != nil {
			return err
		}
		system, claim, value, err := id.identified()
		if err != nil {
			return err
		}
		if system != accountSystem(r.issuer) || claim != "" || value != string(r.owner.ID) {
			return refuse(id.path, "is not the owner of these records")
		}
		same = true
	}
	if !same {
		return refuse(p.path, "want the owner of these records, by reference or identifier")
	}
	return nil
}

// modifiers reads the conditions FHIR has no element for; an unknown one refuses (FHIR R4, modifier extensions).
func (r reader) modifiers(n node, out *umaas.NewShare) error {
	all, err := n.list("modifierExtension")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, e := range all {
		url, err := e.text("url")
		if err != nil {
			return err
		}
		if seen[url] && url != extensionAlso {
			return refuse(e.path, "stands twice")
		}
		seen[url] = true
		if err := r.modifier(e, url, out); err != nil {
			return err
		}
	}
	labels, err := n.list("extension")
	if err != nil {
		return err
	}
	for _, e := range labels {
		if err := e.only("url", "valueString"); err != nil {
			return err
		}
		if e.m["url"] != extensionLabel || out.Label != "" {
			return refuse(e.path, "is not understood here")
		}
		if out.Label, err = e.text("valueString"); err != nil {
			return err
		}
	}
	return nil
}

func (r reader) modifier(e node, url string, out *umaas.NewShare) (err error) {
	switch url {
	case extensionApp, extensionAlso:
		if err := e.only("url", "valueIdentifier"); err != nil {
			return err
		}
		id, err := e.child("valueIdentifier")
		if err != nil {
			return err
		}
		system, claim, value, err := id.identified()
		switch {
		case err != nil:
			return err
		case url == extensionAlso && claim != "":
			out.Also = append(out.Also, umaas.Claim{Issuer: system, Name: claim, Value: value})
		case url == extensionApp && claim == "" && system == clientSystem(r.issuer):
			out.Client = umaas.ClientID(value)
		default:
			return refuse(id.path, "is not understood here")
		}
		return nil
	case extensionACR, extensionTerms:
		if err := e.only("url", "valueString"); err != nil {
			return err
		}
		text, err := e.text("valueString")
		if err != nil || text == "" {
			return errors.Join(err, refuse(e.path, "want valueString"))
		}
		if url == extensionACR {
			out.MinACR = text
		} else {
			out.Terms = text
		}
		return nil
	case extensionBreakGlass:
		if err := e.only("url", "valueBoolean"); err != nil {
			return err
		}
		if e.m["valueBoolean"] != true {
			return refuse(e.at("valueBoolean"), "want true")
		}
		out.BreakGlass = true
		return nil
	default:
		return refuse(e.path, "is a condition this server does not know")
	}
}
