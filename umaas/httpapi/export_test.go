package httpapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/outbound"
	"github.com/umaas/umaas/umaas/uma"
)

// TestExportedTicketBetweenServers: a share with somebody outside travels as a permission ticket to another server, gives
// there what the share says, and no more once the share is stopped.
func TestExportedTicketBetweenServers(t *testing.T) {
	var skew time.Duration // only this test moves it, between requests
	clock := func() time.Time { return time.Now().Add(skew) }
	here := newClaimsAS(t, func(d *umaas.Deps) { d.Now = clock })
	now := time.Now()
	get := outbound.New(outbound.Options{InsecureHTTP: true, Private: outbound.Loopback()})
	there := newClaimsAS(t, func(d *umaas.Deps) {
		d.IssuerKeys, d.Statuses = outbound.NewKeySource(get, clock), outbound.NewStatusSource(get, clock)
	})
	_, err := there.core.PutTrustedIssuer(t.Context(), umaas.TrustedIssuer{
		Issuer: here.url, Name: "The other server", Uses: []umaas.IssuerUse{umaas.UsePermissionTicket}, JWKSURI: here.url + "/jwks",
	}, "")
	must(t, err)
	there.allow(byClaim(here.url, "permission_ticket", umaas.TicketKind), nil, "patient/Observation.r", "patient/Condition.r")
	share := here.allow(umaas.Who{Kind: umaas.WhoEmail, Email: "gp@practice.example", Name: "Dr. Gray"}, func(p *umaas.Policy) {
		p.NotAfter = now.Add(time.Hour)
		p.Rules[0].Constraints = []uma.Constraint{{Type: uma.ConstraintPeriod, Value: "2024-01-01/"}}
	}, "patient/Observation.r", "patient/Observation.s")
	ticket, err := here.core.ExportTicket(t.Context(), here.patient, share, umaas.TicketExport{
		Audience: there.url, JKT: thumb(t, there.signing), Life: 48 * time.Hour,
	}, "")
	must(t, err)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(ticket, ".")[1])
	must(t, err)
	var said struct {
		Exp        int64
		Requester  json.RawMessage
		Access     json.RawMessage
		Revocation struct {
			URL   string
			Index int
		}
	}
	must(t, json.Unmarshal(payload, &said))
	if said.Exp != now.Add(time.Hour).Unix() && said.Exp != now.Add(time.Hour).Unix()+1 {
		t.Errorf("exp %d is not the share's end", said.Exp)
	}
	if string(said.Access) != `{"permissions":[{"kind":"data","resource_type":"Observation","interactions":["read","search"]}],"data_period":{"start":"2024-01-01"},"sensitive_data":"exclude"}` ||
		string(said.Requester) != `{"name":[{"text":"Dr. Gray"}],"resourceType":"RelatedPerson","telecom":[{"system":"email","value":"gp@practice.example"}]}` ||
		said.Revocation.URL != here.url+"/status/0" || said.Revocation.Index != 0 {
		t.Errorf("%s", payload)
	}
	status, got := there.asSigner(there.ticket("patient/Observation.r", "patient/Condition.r"), permTicket, ticket)
	if told := permissionsOf(t, there.inspect(got["access_token"])); status != 200 ||
		told != `{"constraints":[{"type":"period","value":"2024-01-01/"}],"resource_scopes":["patient/Observation.r"]}` {
		t.Errorf("%d %v %s", status, got, told)
	}
	if status, got := there.push(there.ticket("patient/Observation.r"), permTicket, ticket); status != 403 || got["error"] != "need_info" {
		t.Errorf("without the key: %d %v", status, got)
	}
	// Here the bit is set at once; a list that was read lately counts there for a minute.
	_, err = here.core.StopShare(t.Context(), here.patient, share, "")
	must(t, err)
	list, err := here.core.StatusList(t.Context(), 0)
	must(t, err)
	bits, err := outbound.ParseStatusList(list)
	must(t, err)
	if bits[0] != 1 {
		t.Errorf("bits %b", bits[0])
	}
	skew = 2 * time.Minute
	status, got = there.asSigner(there.ticket("patient/Observation.r"), permTicket, ticket)
	if status != 403 || got["error"] != "need_info" {
		t.Errorf("after the share was stopped: %d %v", status, got)
	}
}

// TestExportRefuses: what a ticket could not say of a share, or nobody may export, gives none.
func TestExportRefuses(t *testing.T) {
	a := newClaimsAS(t)
	x := umaas.TicketExport{Audience: "https://other.example", JKT: thumb(t, a.signing)}
	gp := umaas.Who{Kind: umaas.WhoEmail, Email: "gp@practice.example"}
	for _, c := range []struct {
		name   string
		who    umaas.Who
		change func(*umaas.Policy)
		scope  string
		want   error
	}{
		{"good", gp, func(*umaas.Policy) {}, "patient/Observation.r", nil},
		{"for one app", gp, func(p *umaas.Policy) { p.Client = "c" }, "patient/Observation.r", umaas.ErrNotExportable},
		{"for a purpose", gp, func(p *umaas.Policy) { p.Purposes = []string{"TREAT"} }, "patient/Observation.r", umaas.ErrNotExportable},
		{"with further claims", gp, func(p *umaas.Policy) { p.Also = []umaas.Claim{{Issuer: "i", Name: "n", Value: "v"}} }, "patient/Observation.r", umaas.ErrNotExportable},
		{"with terms", gp, func(p *umaas.Policy) { p.Terms = "t" }, "patient/Observation.r", umaas.ErrNotExportable},
		{"for emergencies", gp, func(p *umaas.Policy) { p.BreakGlass = true }, "patient/Observation.r", umaas.ErrNotExportable},
		{"with an app", umaas.Who{Kind: umaas.WhoClient, Client: a.app.ID}, func(*umaas.Policy) {}, "patient/Observation.r", umaas.ErrNotExportable},
		{"good once", gp, func(p *umaas.Policy) { p.Rules[0].Constraints = []uma.Constraint{{Type: uma.ConstraintOnce}} }, "patient/Observation.r", umaas.ErrNotExportable},
		{"of a search a ticket cannot say", gp, func(p *umaas.Policy) {
			p.Rules[0].Constraints = []uma.Constraint{{Type: uma.ConstraintQuery, Value: "status=final"}}
		}, "patient/Observation.r", umaas.ErrNotExportable},
		{"of scopes a ticket cannot say", gp, func(*umaas.Policy) {}, "conf/R", umaas.ErrNotExportable},
		{"stopped", gp, func(p *umaas.Policy) { p.Revoked = time.Now() }, "patient/Observation.r", umaas.ErrNotFound},
		{"ended", gp, func(p *umaas.Policy) { p.NotAfter = time.Now() }, "patient/Observation.r", umaas.ErrNotFound},
		{"a consent", gp, func(p *umaas.Policy) { p.Origin = umaas.OriginConsent }, "patient/Observation.r", umaas.ErrNotFound},
	} {
		id := a.allow(c.who, c.change, c.scope)
		if _, err := a.core.ExportTicket(t.Context(), a.patient, id, x, ""); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := a.core.ExportTicket(t.Context(), "u_other", id, x, ""); !errors.Is(err, umaas.ErrNotFound) {
			t.Errorf("%s, another owner: %v", c.name, err)
		}
		for _, bad := range []umaas.TicketExport{{JKT: x.JKT}, {Audience: x.Audience}, {Audience: x.Audience, JKT: "short"}, {Audience: x.Audience, JKT: x.JKT, Life: 400 * 24 * time.Hour}} {
			if _, err := a.core.ExportTicket(t.Context(), a.patient, id, bad, ""); !errors.Is(err, umaas.ErrBadAnswer) {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	}
}

// TestStatusLists: bits follow the shares; numbers never used are not there.
func TestStatusLists(t *testing.T) {
	a := newClaimsAS(t)
	for _, path := range []string{"/status/0", "/status/1", "/status/00", "/status/-1", "/status/x", "/status/99999999999999999999"} {
		if status, _, got := a.send("GET", path, "", "", ""); status != 404 {
			t.Errorf("%s: %d %v", path, status, got)
		}
	}
	x := umaas.TicketExport{Audience: "https://other.example", JKT: thumb(t, a.signing)}
	gp := umaas.Who{Kind: umaas.WhoEmail, Email: "gp@practice.example"}
	var shares []umaas.PolicyID
	for range 10 {
		id := a.allow(gp, nil, "patient/Observation.r", "patient/Observation.s")
		_, err := a.core.ExportTicket(t.Context(), a.patient, id, x, "")
		must(t, err)
		shares = append(shares, id)
	}
	change := func(i int, f func(*umaas.Policy)) {
		must(t, a.store.Update(t.Context(), func(tx umaas.Tx) error {
			p, err := tx.Policy(a.patient, shares[i])
			if err != nil {
				return err
			}
			f(&p)
			return tx.PutPolicy(p)
		}))
	}
	change(1, func(p *umaas.Policy) { p.Revoked = time.Now() })
	change(3, func(p *umaas.Policy) { p.Rules[0].Scopes = p.Rules[0].Scopes[:1] })
	change(8, func(p *umaas.Policy) { p.NotAfter = time.Now().Add(time.Hour) })
	change(9, func(p *umaas.Policy) { p.Label = "renamed" })
	read := func() []byte {
		raw, err := a.core.StatusList(context.Background(), 0)
		must(t, err)
		bits, err := outbound.ParseStatusList(raw)
		must(t, err)
		return bits
	}
	if bits := read(); len(bits) != 128 || bits[0] != 0b1010 || bits[1] != 0b1 {
		t.Errorf("bits %b", bits[:2])
	}
	status, h, _ := a.send("GET", "/status/0", "", "", "")
	if status != 200 || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "public, max-age=10" {
		t.Errorf("%d %v", status, h)
	}
	org, err := a.core.Account(t.Context(), a.patient)
	must(t, err)
	org.Disabled = true
	must(t, a.store.Update(t.Context(), func(tx umaas.Tx) error { return tx.PutAccount(org) }))
	if bits := read(); bits[0] != 0xff || bits[1] != 0b11 {
		t.Errorf("owner locked: bits %b", bits[:2])
	}
}
