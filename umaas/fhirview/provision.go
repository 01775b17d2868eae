package fhirview

import (
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
)

// root reads the root provision: the period and permits below it, or, as other systems write it, one permit itself.
func (r reader) root(n node, out *umaas.NewShare) error {
	typ, err := n.text("type")
	if err != nil {
		return err
	}
	if err := r.period(n, out); err != nil {
		return err
	}
	bare := node{n.path, without(n.m, "period")}
	switch typ {
	case "permit":
		return r.permit(bare, out, true)
	case "":
	default:
		return refuse(n.at("type"), "the base rule is that nobody may: want permits, with denies within them")
	}
	if err := bare.only("provision"); err != nil {
		return err
	}
	permits, err := n.list("provision")
	if err != nil {
		return err
	}
	if len(permits) == 0 {
		return refuse(n.at("provision"), "want at least one permit")
	}
	for i, p := range permits {
		if p.m["type"] != "permit" {
			return refuse(p.at("type"), "want permit")
		}
		if err := r.permit(p, out, i == 0); err != nil {
			return err
		}
	}
	return nil
}

func without(m map[string]any, name string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// period is how long the Consent holds. A day without time and zone would be a guess of when it ends.
func (r reader) period(n node, out *umaas.NewShare) error {
	if !n.has("period") {
		return nil
	}
	p, err := n.child("period")
	if err != nil {
		return err
	}
	if err := p.only("start", "end"); err != nil {
		return err
	}
	for _, name := range []string{"start", "end"} {
		text, err := p.text(name)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return refuse(p.at(name), "want date, time and zone")
		}
		if name == "end" {
			out.Until = at.UTC()
		} else if at.After(r.now) {
			return refuse(p.at(name), "a share begins when it is made; import it then")
		}
	}
	return nil
}

var permitMembers = []string{"type", "actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision", "modifierExtension"}

// permit reads one permit. All permits of a Consent are one policy: they name one party and the same purposes.
func (r reader) permit(n node, out *umaas.NewShare, first bool) error {
	if err := n.only(permitMembers...); err != nil {
		return err
	}
	who, err := r.actor(n)
	if err != nil {
		return err
	}
	var purposes []string
	codes, err := n.codings("purpose")
	if err != nil {
		return err
	}
	for _, c := range codes {
		if c.system != systemActReason {
			return refuse(n.at("purpose"), "want codes of "+systemActReason)
		}
		purposes = append(purposes, c.code)
	}
	if first {
		out.Who, out.Purposes = who, purposes
	} else if out.Who != who {
		return refuse(n.at("actor"), "all permits of one Consent name the same party; send one Consent for each")
	} else if !slices.Equal(out.Purposes, purposes) {
		return refuse(n.at("purpose"), "all permits of one Consent name the same purposes; send one Consent for each")
	}
	constraints, err := r.limits(n)
	if err != nil {
		return err
	}
	taken, err := r.denies(n)
	if err != nil {
		return err
	}
	sets, err := r.records(n)
	if err != nil {
		return err
	}
	for _, set := range sets {
		scopes, err := r.scopes(n, set, taken)
		if err != nil {
			return err
		}
		if out.BreakGlass { // the core adds it where the record has it
			scopes = slices.DeleteFunc(scopes, func(s string) bool { return s == umaas.ScopeBreakGlass })
		}
		if len(scopes) == 0 {
			continue
		}
		out.Rules = append(out.Rules, umaas.Rule{Resource: set.ID, RS: set.RS, Scopes: scopes, Constraints: constraints})
	}
	return nil
}

// actor reads the one party of a permit.
func (r reader) actor(n node) (umaas.Who, error) {
	all, err := n.list("actor")
	if err != nil {
		return umaas.Who{}, err
	}
	if len(all) != 1 {
		return umaas.Who{}, refuse(n.at("actor"), "want exactly one party")
	}
	a := all[0]
	if err := a.only("role", "reference"); err != nil {
		return umaas.Who{}, err
	}
	role, err := a.child("role")
	if err != nil {
		return umaas.Who{}, err
	}
	if t, err := role.concept(); err != nil {
		return umaas.Who{}, err
	} else if t != (token{systemParticipate, "IRCP"}) {
		return umaas.Who{}, refuse(role.path, "want IRCP, who receives information")
	}
	ref, err := a.child("reference")
	if err != nil {
		return umaas.Who{}, err
	}
	if err := ref.only("identifier", "display", "type"); err != nil {
		return umaas.Who{}, err
	}
	id, err := ref.child("identifier")
	if err != nil {
		return umaas.Who{}, refuse(ref.path, "name the party by identifier")
	}
	name, err := ref.text("display")
	if err != nil {
		return umaas.Who{}, err
	}
	system, claim, value, err := id.identified()
	if err != nil {
		return umaas.Who{}, err
	}
	w := umaas.Who{Name: name}
	address, mail := strings.CutPrefix(value, "mailto:")
	switch {
	case claim != "":
		w.Kind, w.Claim = umaas.WhoClaim, umaas.Claim{Issuer: system, Name: claim, Value: value}
	case system == accountSystem(r.issuer):
		w.Kind, w.Account = umaas.WhoAccount, umaas.AccountID(value)
	case system == clientSystem(r.issuer):
		w.Kind, w.Client = umaas.WhoClient, umaas.ClientID(value)
	case system == systemURI && mail:
		w.Kind, w.Email = umaas.WhoEmail, address
	default:
		return umaas.Who{}, refuse(id.path, "names nobody this server knows how to find")
	}
	return w, nil
}

// records are the sets a permit is about. Without data it is about all of the patient's records, which is no guess where she has
// one.
func (r reader) records(n node) ([]umaas.Resource, error) {
	all, err := n.list("data")
	if err != nil {
		return nil, err
	}
	if all == nil {
		if len(r.sets) != 1 {
			return nil, refuse(n.at("data"), "say which record")
		}
		return []umaas.Resource{r.sets[0].Resource}, nil
	}
	var out []umaas.Resource
	for _, d := range all {
		if err := d.only("meaning", "reference"); err != nil {
			return nil, err
		}
		if d.m["meaning"] != "instance" {
			return nil, refuse(d.at("meaning"), "want instance")
		}
		ref, err := d.child("reference")
		if err != nil {
			return nil, err
		}
		if err := ref.only("identifier", "display", "type"); err != nil {
			return nil, err
		}
		id, err := ref.child("identifier")
		if err != nil {
			return nil, refuse(ref.path, "name the record by identifier")
		}
		system, claim, value, err := id.identified()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(r.sets, func(v umaas.RecordView) bool {
			return claim == "" && string(v.Resource.ID) == value && resourceSystem(r.issuer, v.Resource.RS) == system
		})
		if i < 0 {
			return nil, refuse(id.path, "is not one of this owner's records")
		}
		if slices.ContainsFunc(out, func(o umaas.Resource) bool { return o.ID == r.sets[i].Resource.ID && o.RS == r.sets[i].Resource.RS }) {
			return nil, refuse(id.path, "stands twice")
		}
		out = append(out, r.sets[i].Resource)
	}
	return out, nil
}
