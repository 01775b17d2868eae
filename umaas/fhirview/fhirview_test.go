package fhirview_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// shares draws anything an owner can share.
func (w *world) shares(t *rapid.T) umaas.NewShare {
	who := rapid.SampledFrom([]umaas.Who{
		{Kind: umaas.WhoAccount, Account: w.bob, Name: "Bob"}, {Kind: umaas.WhoEmail, Email: "dora@example.org"},
		{Kind: umaas.WhoClaim, Claim: umaas.Claim{Issuer: "https://idp.example", Name: "org", Value: "https://clinic.example"}, Name: "The clinic"},
		{Kind: umaas.WhoClient, Client: w.app},
	}).Draw(t, "who")
	n := umaas.NewShare{
		Who: who, MinACR: rapid.SampledFrom([]string{"", "mfa"}).Draw(t, "acr"), Terms: rapid.SampledFrom([]string{"", "Do not\ncopy."}).Draw(t, "terms"),
		Label: rapid.SampledFrom([]string{"", "a <b> & c"}).Draw(t, "label"), Client: rapid.SampledFrom([]umaas.ClientID{"", w.app}).Draw(t, "app"),
		Purposes: rapid.SampledFrom([][]string{nil, {"TREAT"}, {"TREAT", "HRESCH"}}).Draw(t, "purposes"),
	}
	if who.Kind == umaas.WhoClaim {
		n.BreakGlass = rapid.Bool().Draw(t, "emergency")
	}
	if rapid.Bool().Draw(t, "also") {
		n.Also = []umaas.Claim{{Issuer: issuer, Name: "role", Value: "nurse"}, {Issuer: "https://idp.example", Name: "pro", Value: "a|b"}}
	}
	if rapid.Bool().Draw(t, "ends") {
		n.Until = time.Date(2090, 1, 1, 0, 0, 0, rapid.IntRange(0, 999_999_999).Draw(t, "nanoseconds"), time.UTC)
	}
	constraint := rapid.SampledFrom([]uma.Constraint{
		{Type: uma.ConstraintPeriod, Value: "2024-01-01/2025"}, {Type: uma.ConstraintPeriod, Value: "/2026-03"}, {Type: uma.ConstraintOnce},
		{Type: uma.ConstraintQuery, Value: "category=laboratory"}, {Type: uma.ConstraintQuery, Value: "code=http://loinc.org|1-8,http://loinc.org|2-6"},
		{Type: uma.ConstraintQuery, Value: "code=http://loinc.org|3-4"}, {Type: uma.ConstraintQuery, Value: "_security=http://x.example|R"},
		{Type: uma.ConstraintQuery, Value: `code=a\,b|c`}, {Type: uma.ConstraintQuery, Value: "code=laboratory"}, {Type: uma.ConstraintQuery, Value: "code:not=a|b"},
	})
	for i := range rapid.IntRange(1, 3).Draw(t, "rules") {
		set, rs, scopes := w.record, w.hospital, recordScopes[:10]
		if rapid.Bool().Draw(t, fmt.Sprint("laboratory", i)) {
			set, rs, scopes = w.labs, w.lab, []string{"patient/Observation.r", "patient/DiagnosticReport.r"}
		}
		n.Rules = append(n.Rules, umaas.Rule{
			Resource: set, RS: rs, Scopes: rapid.SliceOfNDistinct(rapid.SampledFrom(scopes), 1, -1, rapid.ID).Draw(t, fmt.Sprint("scopes", i)),
			Constraints: rapid.SliceOfN(constraint, 0, 3).Draw(t, fmt.Sprint("limits", i)),
		})
	}
	return n
}

// said is what a policy permits, in one form: rules with equal limits on one record are one.
func said(p umaas.Policy) string {
	rules := map[string][]string{}
	for _, r := range p.Rules {
		key := fmt.Sprintf("%s %s %q", r.RS, r.Resource, r.Constraints)
		rules[key] = append(rules[key], r.Scopes...)
	}
	var lines []string
	for key, scopes := range rules {
		slices.Sort(scopes)
		lines = append(lines, key+" "+strings.Join(slices.Compact(scopes), " "))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%q %+v %s %v %v %+v %q %q %t %q", lines, p.Who, p.Client, p.Purposes, p.NotAfter.UTC(), p.Also, p.MinACR, p.Terms, p.BreakGlass, p.Label)
}

// TestRoundTrip: import(export(p)) says what p says, for everything an owner can share, alone and in a Bundle.
func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		id, err := w.acting().CreateShare(ctx, w.shares(rt), "")
		if err != nil {
			rt.Fatal(err)
		}
		n++
		share, err := w.acting().Share(ctx, id)
		if err != nil {
			rt.Fatal(err)
		}
		raw, err := w.view.Export(ctx, w.acting(), id)
		if err != nil {
			rt.Fatal(err)
		}
		for _, text := range []string{string(raw), `{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:x","resource":` + string(raw) + `}]}`} {
			got, err := w.read(text)
			if err != nil {
				rt.Fatalf("%v\n%s", err, text)
			}
			if said(got) != said(share.Policy) {
				rt.Fatalf("said  %s\nread  %s\n%s", said(share.Policy), said(got), text)
			}
		}
	})
	if n < 50 {
		t.Fatalf("only %d policies", n)
	}
}

// TestImportStoresAllOrNothing, and the export of it is a Bundle of those in force.
func TestImportStoresAllOrNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	bundle := func(consents ...string) []byte {
		for i, c := range consents {
			consents[i] = `{"resource":` + c + `}`
		}
		return []byte(`{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(consents, ",") + `]}`)
	}
	_, _, err := w.view.Import(ctx, w.acting(), bundle(w.minimal(), w.minimal(`"active"`, `"draft"`)), false, "")
	if !errors.Is(err, umaas.ErrBadAnswer) || !strings.Contains(err.Error(), "Bundle.entry[1].resource.status") {
		t.Fatal(err)
	}
	if all, err := w.acting().Shares(ctx); err != nil || len(all) != 0 {
		t.Fatalf("%d stored, %v", len(all), err)
	}
	made, views, err := w.view.Import(ctx, w.acting(), bundle(w.minimal(), w.minimal("dora@", "emil@")), false, "")
	if err != nil || len(made) != 2 || views[1].Policy.Who.Email != "emil@example.org" || views[0].ID != made[0] {
		t.Fatal(made, err)
	}
	_, _, err = w.acting().StopShare(ctx, made[0], "")
	must(t, err)
	raw, err := w.view.Export(ctx, w.acting(), "")
	must(t, err)
	var out struct {
		ResourceType, Type string
		Entry              []struct {
			FullURL  string
			Resource struct{ ID, Status string }
		}
	}
	must(t, json.Unmarshal(raw, &out))
	if out.ResourceType != "Bundle" || out.Type != "collection" || len(out.Entry) != 1 || out.Entry[0].Resource.ID != string(made[1]) || out.Entry[0].Resource.Status != "active" {
		t.Fatalf("%s", raw)
	}
	ended, err := w.view.Export(ctx, w.acting(), made[0])
	if err != nil || !strings.Contains(string(ended), `"status":"inactive"`) {
		t.Fatalf("%s %v", ended, err)
	}
	if _, err := w.view.Export(ctx, w.core.Acting(w.bob, w.bob), made[0]); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := w.view.Export(ctx, w.core.Acting(w.bob, w.alice), ""); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
}

// TestImportReadsWhatOthersWrite: forms that are not ours and have one meaning.
func TestImportReadsWhatOthersWrite(t *testing.T) {
	w := newWorld(t)
	action := `"action":[{"coding":[{"system":"http://hl7.org/fhir/restful-interaction","code":"read"}]}]`
	class := `"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],`
	access := `"action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"access"}],"text":"see"}]`
	deny := func(inner string) string { return `"type":"permit","provision":[{"type":"deny",` + inner + `}]` }
	for name, c := range map[string]struct {
		text   string
		scopes string
	}{
		"as it is":   {w.minimal(), "patient/Observation.r"},
		"no period":  {w.minimal(`"period":{"end":"2090-01-01T00:00:00Z"},`, ""), "patient/Observation.r"},
		"access":     {w.minimal(action, access), "patient/Observation.r patient/Observation.s"},
		"root":       {w.minimal(`,"provision":[{"type":"permit",`, `,"type":"permit",`, `}]}}`, `}}`), "patient/Observation.r"},
		"every kind": {w.minimal(class, "", action, strings.ReplaceAll(access, "access", "correct")), "patient/Condition.u"},
		"but this kind": {w.minimal(class, `"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"},{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}],`,
			`"type":"permit"`, deny(`"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]`)), "patient/Observation.r"},
		"but this action": {w.minimal(action, access, `"type":"permit"`, deny(`"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],"action":[{"coding":[{"system":"http://hl7.org/fhir/restful-interaction","code":"search-type"}]}]`)), "patient/Observation.r"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := w.read(c.text)
			if err != nil {
				t.Fatalf("%v\n%s", err, c.text)
			}
			if len(p.Rules) != 1 || strings.Join(p.Rules[0].Scopes, " ") != c.scopes || p.Who.Email != "dora@example.org" {
				t.Fatalf("%+v", p)
			}
		})
	}
}

// TestImportRefuses: whatever is not understood is refused with its path, and what narrows is never skipped.
func TestImportRefuses(t *testing.T) {
	w := newWorld(t)
	permit := `"type":"permit"`
	class := `"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],`
	more := func(inner string) string { return w.minimal(permit, permit+","+inner) }
	const at = "Consent.provision.provision[0]"
	foreign := w.minimal(string(w.record), string(w.foreign))
	for name, c := range map[string][2]string{
		"not JSON":               {`{`, "the body: is not well-formed JSON"},
		"two values":             {w.minimal() + `{}`, "the body: more than one JSON value"},
		"member twice":           {w.minimal(`"status"`, `"status":"active","status"`), "the body: has a member twice"},
		"a Patient":              {`{"resourceType":"Patient"}`, "resourceType: want Consent or Bundle"},
		"searchset":              {`{"resourceType":"Bundle","type":"searchset"}`, "Bundle.type: want collection"},
		"empty Bundle":           {`{"resourceType":"Bundle","type":"collection"}`, "Bundle.entry: want 1 to 50 Consents"},
		"status":                 {w.minimal(`"active"`, `"proposed"`), "Consent.status: only an active Consent can be taken over"},
		"research":               {w.minimal(`"patient-privacy"`, `"research"`), "Consent.scope: want http://terminology.hl7.org/CodeSystem/consentscope|patient-privacy"},
		"opt-in":                 {w.minimal(`"OPTOUT"`, `"OPTIN"`), "Consent.policyRule: want http://terminology.hl7.org/CodeSystem/v3-ActCode|OPTOUT"},
		"policy":                 {w.minimal(`"status"`, `"policy":[{"uri":"http://x"}],"status"`), "Consent.policy: is not understood here"},
		"implicit rules":         {w.minimal(`"status"`, `"implicitRules":"http://x","status"`), "Consent.implicitRules: is not understood here"},
		"source":                 {w.minimal(`"status"`, `"sourceReference":{},"status"`), "Consent.sourceReference: is not understood here"},
		"unknown modifier":       {w.minimal(`"status"`, `"modifierExtension":[{"url":"http://x","valueBoolean":true}],"status"`), "Consent.modifierExtension[0]: is a condition this server does not know"},
		"unknown extension":      {w.minimal(`"status"`, `"extension":[{"url":"http://x","valueString":"a"}],"status"`), "Consent.extension[0]: is not understood here"},
		"other patient":          {w.minimal("Patient/p1", "Patient/p2"), "Consent.patient.reference: is not the owner of these records"},
		"no patient":             {w.minimal(`{"reference":"Patient/p1"}`, `{"display":"Alice"}`), "Consent.patient: want the owner of these records, by reference or identifier"},
		"foreign identifier":     {w.minimal(`{"reference":"Patient/p1"}`, `{"reference":"Patient/p1","identifier":{"system":"`+issuer+`/account","value":"`+string(w.bob)+`"}}`), "Consent.patient.identifier: is not the owner of these records"},
		"SEC-40 foreign record":  {foreign, at + ".data[0].reference.identifier: is not one of this owner's records"},
		"other server":           {w.minimal(string(w.hospital), string(w.lab)), at + ".data[0].reference.identifier: is not one of this owner's records"},
		"which record":           {w.minimal(w.minimal()[strings.Index(w.minimal(), `,"data":`):strings.Index(w.minimal(), `}]}}`)], ""), at + ".data: say which record"},
		"related":                {w.minimal(`"instance"`, `"related"`), at + ".data[0].meaning: want instance"},
		"base deny":              {w.minimal(`"provision":{"period"`, `"provision":{"type":"deny","period"`), "Consent.provision.type: the base rule is that nobody may: want permits, with denies within them"},
		"outer condition":        {w.minimal(`"provision":{"period"`, `"provision":{"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"TREAT"}],"period"`), "Consent.provision.purpose: is not understood here"},
		"only denies":            {w.minimal(permit, `"type":"deny"`), at + ".type: want permit"},
		"no provision":           {w.minimal(`"provision":[`, `"x":[`), "Consent.provision.x: is not understood here"},
		"day for an end":         {w.minimal("2090-01-01T00:00:00Z", "2090-01-01"), "Consent.provision.period.end: want date, time and zone"},
		"ended":                  {w.minimal("2090-01-01T00:00:00Z", "2001-01-01T00:00:00Z"), "Consent: the end lies in the past"},
		"begins later":           {w.minimal(`"end":`, `"start":"2089-01-01T00:00:00Z","end":`), "Consent.provision.period.start: a share begins when it is made; import it then"},
		"two parties":            {w.minimal(`"actor":[{`, `"actor":[{},{`), at + ".actor: want exactly one party"},
		"other role":             {w.minimal("IRCP", "PRCP"), at + ".actor[0].role: want IRCP, who receives information"},
		"party by reference":     {w.minimal(`"identifier":{"system":"urn:ietf:rfc:3986","value":"mailto:dora@example.org"}`, `"display":"Dora"`), at + ".actor[0].reference: name the party by identifier"},
		"unknown party":          {w.minimal("mailto:dora@example.org", "tel:1"), at + ".actor[0].reference.identifier: names nobody this server knows how to find"},
		"SEC-41 any address":     {w.minimal("mailto:dora@", "mailto:*@"), "Consent: that is no e-mail address"},
		"no action":              {w.minimal(`"action":[{"coding":[{"system":"http://hl7.org/fhir/restful-interaction","code":"read"}]}],`, ""), at + ".action: say what may be done with which kinds of information"},
		"disclose":               {w.minimal("http://hl7.org/fhir/restful-interaction", "http://terminology.hl7.org/CodeSystem/consentaction", `"read"`, `"disclose"`), at + ".action: want read, search-type, create, update or delete of http://hl7.org/fhir/restful-interaction"},
		"two codings":            {w.minimal(`"code":"read"}`, `"code":"read"},{"system":"http://hl7.org/fhir/restful-interaction","code":"update"}`), at + ".action[0]: want exactly one coding"},
		"text only":              {w.minimal(`{"coding":[{"system":"http://hl7.org/fhir/restful-interaction","code":"read"}]}`, `{"text":"read"}`), at + ".action[0]: want exactly one coding"},
		"kind it has not":        {w.minimal(`"Observation"`, `"Encounter"`), at + ".action: this record has no such action for that kind"},
		"action it has not":      {w.minimal(`"read"`, `"delete"`), at + ".action: this record has no such action for that kind"},
		"SEC-41 any kind":        {w.minimal(`"Observation"`, `"*"`), at + ".action: this record has no such action for that kind"},
		"SEC-41 prefix":          {w.minimal(`"Observation"`, `"Observ"`), at + ".action: this record has no such action for that kind"},
		"ambiguous kind":         {w.minimal(`"Observation"`, `"Patient"`), at + ".class: is ambiguous on this record"},
		"other kinds of kind":    {w.minimal("http://hl7.org/fhir/resource-types", "http://loinc.org"), at + ".class: want kinds of information of http://hl7.org/fhir/resource-types that this record has"},
		"own scope it has not":   {w.minimal("http://hl7.org/fhir/resource-types", "urn:umaas:scope"), at + ".class: want kinds of information of http://hl7.org/fhir/resource-types that this record has"},
		"emergency scope":        {w.minimal(class, `"class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"},{"system":"urn:umaas:scope","code":"btg"}],`), "Consent: a scope is not one of this record's that can be shared"},
		"purpose system":         {more(`"purpose":[{"system":"http://x","code":"TREAT"}]`), at + ".purpose: want codes of http://terminology.hl7.org/CodeSystem/v3-ActReason"},
		"purpose unknown":        {more(`"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HMARKT"}]`), "Consent: unknown purpose"},
		"period within":          {more(`"period":{}`), at + ".period: is not understood here"},
		"data period with time":  {more(`"dataPeriod":{"start":"2024-01-01T00:00:00Z"}`), at + ".dataPeriod: want dates without time"},
		"empty data period":      {more(`"dataPeriod":{}`), at + ".dataPeriod: want dates without time"},
		"label without system":   {more(`"securityLabel":[{"code":"R"}]`), at + ".securityLabel[0]: want system and code"},
		"code with a comma":      {more(`"code":[{"coding":[{"system":"http://x","code":"a,b"}]}]`), at + ".code: a system or code holds characters this server cannot search for"},
		"empty list":             {more(`"code":[]`), at + ".code: want a list of objects"},
		"list of text":           {more(`"securityLabel":["R"]`), at + ".securityLabel[0]: want an object"},
		"version of a code":      {more(`"securityLabel":[{"system":"http://x","code":"R","version":"1"}]`), at + ".securityLabel[0].version: is not understood here"},
		"unknown limit":          {more(`"modifierExtension":[{"url":"urn:umaas:consent:constraint","valueString":"moon=full"}]`), at + ".modifierExtension[0]: is a limit this server does not know"},
		"foreign limit":          {more(`"modifierExtension":[{"url":"http://x","valueString":"once="}]`), at + ".modifierExtension[0]: is a limit this server does not know"},
		"deny by label":          {more(`"provision":[{"type":"deny","securityLabel":[{"system":"http://x","code":"R"}]}]`), at + ".provision[0].securityLabel: is not understood here"},
		"deny of everything":     {more(`"provision":[{"type":"deny"}]`), at + ".provision[0].class: say which kinds of information are left out"},
		"permit within a permit": {more(`"provision":[{"type":"permit"}]`), at + ".provision[0].type: want deny within a permit"},
		"deny for one":           {more(`"provision":[{"type":"deny","actor":[]}]`), at + ".provision[0].actor: is not understood here"},
		"nothing left":           {more(`"provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]}]`), "nothing was chosen"},
		"extension of a member":  {w.minimal(`"status"`, `"_status":{},"status"`), "Consent._status: is not understood here"},
		"foreign text in a name": {w.minimal(`"status"`, `"<script>":1,"status"`), "Consent.…: is not understood here"},
		"number for text":        {w.minimal(`"active"`, `5`), "Consent.status: want text"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, check := range []bool{true, false} {
				made, views, err := w.view.Import(context.Background(), w.acting(), []byte(c[0]), check, "")
				if err == nil || !strings.Contains(err.Error(), c[1]) || len(made) != 0 || len(views) != 0 {
					t.Fatalf("%v %v, want %q\n%s", made, err, c[1], c[0])
				}
			}
		})
	}
	if all, err := w.acting().Shares(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("%d stored, %v", len(all), err)
	}
}

// FuzzImport: whatever is sent, what is taken names the owner's own records with scopes, and anything else is a refusal.
func FuzzImport(f *testing.F) {
	w := newWorld(f)
	f.Add([]byte(w.minimal()))
	f.Add([]byte(w.minimal("dataPeriod", "x")))
	f.Add([]byte(`{"resourceType":"Bundle","type":"collection","entry":[{"resource":` + w.minimal() + `}]}`))
	f.Add([]byte(w.minimal(`"type":"permit"`, `"type":"permit","provision":[{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Condition"}]}],"code":[{"coding":[{"system":"a","code":"b"}]}]`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, views, err := w.view.Import(context.Background(), w.acting(), raw, true, "")
		if err != nil {
			if !errors.Is(err, umaas.ErrBadAnswer) && !errors.Is(err, umaas.ErrNothingChosen) && !errors.Is(err, umaas.ErrNotFound) {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, v := range views {
			for _, r := range v.Rules {
				if r.Resource != w.record && r.Resource != w.labs || len(r.Scopes) == 0 {
					t.Fatalf("%+v", r)
				}
			}
		}
	})
}
