package fhirview

import (
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
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

// limits reads what narrows a permit as constraints.
func (r reader) limits(n node) ([]uma.Constraint, error) {
	var out []uma.Constraint
	if n.has("dataPeriod") {
		p, err := n.child("dataPeriod")
		if err != nil {
			return nil, err
		}
		if err := p.only("start", "end"); err != nil {
			return nil, err
		}
		start, err := p.text("start")
		if err != nil {
			return nil, err
		}
		end, err := p.text("end")
		if err != nil {
			return nil, err
		}
		if start+end == "" || start != "" && !isDate(start) || end != "" && !isDate(end) {
			return nil, refuse(p.path, "want dates without time")
		}
		out = append(out, uma.Constraint{Type: uma.ConstraintPeriod, Value: start + "/" + end})
	}
	narrowed, err := r.queries(n)
	if err != nil {
		return nil, err
	}
	out = append(out, narrowed...)
	extensions, err := n.list("modifierExtension")
	if err != nil {
		return nil, err
	}
	for _, e := range extensions {
		if err := e.only("url", "valueString"); err != nil {
			return nil, err
		}
		text, err := e.text("valueString")
		if err != nil {
			return nil, err
		}
		typ, value, ok := strings.Cut(text, "=")
		if e.m["url"] != extensionConstraint || !ok || typ != uma.ConstraintOnce && typ != uma.ConstraintPeriod && typ != uma.ConstraintQuery {
			return nil, refuse(e.path, "is a limit this server does not know")
		}
		out = append(out, uma.Constraint{Type: typ, Value: value})
	}
	return out, nil
}

// queries reads code and securityLabel as search expressions; the values of one list are alternatives.
func (r reader) queries(n node) ([]uma.Constraint, error) {
	var out []uma.Constraint
	codes, err := n.concepts("code")
	if err != nil {
		return nil, err
	}
	labels, err := n.codings("securityLabel")
	if err != nil {
		return nil, err
	}
	for _, l := range []struct {
		name, param string
		list        tokens
	}{{"code", paramCode, codes}, {"securityLabel", paramSecurity, labels}} {
		if l.list == nil {
			continue
		}
		c, ok := writeQuery(l.param, l.list)
		if !ok {
			return nil, refuse(n.at(l.name), "a system or code holds characters this server cannot search for")
		}
		out = append(out, c)
	}
	return out, nil
}

// denied is what a deny takes out of a permit: kinds of information, with these actions or, without any, with all.
type denied struct {
	types   []string
	letters string
}

// denies reads the exceptions within a permit: kinds of information, which are left out of it. Exceptions by label or code refuse:
// no resource server of ours could keep them out of an answer.
func (r reader) denies(n node) ([]denied, error) {
	all, err := n.list("provision")
	if err != nil {
		return nil, err
	}
	var out []denied
	for _, d := range all {
		if d.m["type"] != "deny" {
			return nil, refuse(d.at("type"), "want deny within a permit")
		}
		if err := d.only("type", "class", "action"); err != nil {
			return nil, err
		}
		classes, err := d.codings("class")
		if err != nil {
			return nil, err
		}
		if classes == nil {
			return nil, refuse(d.at("class"), "say which kinds of information are left out")
		}
		taken := denied{}
		for _, c := range classes {
			if c.system != systemTypes {
				return nil, refuse(d.at("class"), "want codes of "+systemTypes)
			}
			taken.types = append(taken.types, c.code)
		}
		if taken.letters, _, err = letters(d); err != nil {
			return nil, err
		}
		out = append(out, taken)
	}
	return out, nil
}

// letters reads actions. exact is false for FHIR's own words, which mean those of several interactions that a record has.
func letters(n node) (out string, exact bool, err error) {
	all, err := n.concepts("action")
	if err != nil {
		return "", false, err
	}
	exact = true
	for _, t := range all {
		switch {
		case t.system == systemRESTful && letterOf(t.code) != "":
			out += letterOf(t.code)
		case t == token{systemAction, "access"}:
			out, exact = out+"rs", false
		case t == token{systemAction, "correct"}:
			out += "u"
		default:
			return "", false, refuse(n.at("action"), "want read, search-type, create, update or delete of "+systemRESTful)
		}
	}
	return out, exact, nil
}

// scopes are the registered scopes of one record that a permit means.
func (r reader) scopes(n node, set umaas.Resource, taken []denied) ([]string, error) {
	classes, err := n.codings("class")
	if err != nil {
		return nil, err
	}
	actions, exact, err := letters(n)
	if err != nil {
		return nil, err
	}
	registered := set.Description.Scopes
	var types, out []string
	for _, c := range classes {
		switch {
		case c.system == systemTypes:
			types = append(types, c.code)
		case c.system == systemOwnScope && slices.Contains(registered, c.code):
			out = append(out, c.code)
		default:
			return nil, refuse(n.at("class"), "want kinds of information of "+systemTypes+" that this record has")
		}
	}
	if classes == nil { // FHIR: without class every kind
		for _, s := range registered {
			if t, _, ok := kind(s); ok && !slices.Contains(types, t) {
				types = append(types, t)
			}
		}
		exact = false
	}
	if (len(types) > 0) != (actions != "") {
		return nil, refuse(n.at("action"), "say what may be done with which kinds of information")
	}
	for _, t := range types {
		found, err := typed(n, registered, t, actions, exact)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			if !takes(taken, s) && !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		if classes != nil && len(found) == 0 {
			return nil, refuse(n.at("class"), "this record has nothing to share of that kind")
		}
	}
	return out, nil
}

func typed(n node, registered []string, typ, actions string, exact bool) ([]string, error) {
	var out []string
	for _, l := range strings.Split(actions, "") {
		found := registeredFor(registered, typ, l)
		switch {
		case len(found) > 1:
			return nil, refuse(n.at("class"), "is ambiguous on this record")
		case len(found) == 0 && exact:
			return nil, refuse(n.at("action"), "this record has no such action for that kind")
		}
		out = append(out, found...)
	}
	return out, nil
}

func takes(list []denied, scope string) bool {
	typ, letter, _ := kind(scope)
	return slices.ContainsFunc(list, func(d denied) bool {
		return slices.Contains(d.types, typ) && (d.letters == "" || strings.Contains(d.letters, letter))
	})
}
