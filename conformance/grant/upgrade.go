package grant

import (
	"net/url"
	"slices"

	"github.com/umaas/umaas/conformance"
)

// upgrade checks what becomes of an RPT sent along, Grant §3.3.1, §3.3.5 and §3.3.5.1.
func upgrade() []check {
	needs := []need{conformance.NeedPolicy, conformance.NeedParty, conformance.NeedIntrospection}
	offered := append([]need{conformance.NeedUpgrade}, needs...)
	return []check{
		{
			ID: "grant.upgrade.flag-when-included", Level: must, Covers: []string{"G-073", "G-079", "G-137"}, Needs: needs, Run: flagWhenIncluded,
			Title: "Where the new RPT has the permissions of the one sent along, upgraded is true",
		},
		{
			ID: "grant.upgrade.included-when-flagged", Level: must, Covers: []string{"G-077", "G-079"}, Needs: needs, Run: includedWhenFlagged,
			Title: "Where upgraded is true, the new RPT has the permissions of the one sent along, and the new ones",
		},
		{
			ID: "grant.upgrade.old-revoked", Level: should, Covers: []string{"G-080"}, Needs: offered, Run: oldRevoked,
			Title: "Where the upgraded RPT is a new string, the old one is revoked",
		},
		{
			ID: "grant.upgrade.consistent", Level: should, Covers: []string{"G-078"}, Needs: needs, Run: consistent,
			Title: "An RPT is upgraded each time it is sent along, or never",
		},
		{
			ID: "grant.upgrade.not-without-rpt", Level: must, Covers: []string{"G-073", "G-074"}, Needs: needs, Run: notWithoutRPT,
			Title: "Without an RPT sent along nothing is upgraded: no flag, and no permissions of earlier RPTs",
		},
		{
			ID: "grant.upgrade.old-kept", Level: should, Covers: []string{"G-082"}, Needs: needs, Run: oldKept,
			Title: "Where an RPT was not upgraded it stays good beside the new one",
		},
		{
			ID: "grant.upgrade.foreign-client", Level: must, Covers: []string{"G-006", "G-034"}, Run: foreignClientRPT,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "The permissions of another client's RPT are not added",
		},
		{
			ID: "grant.upgrade.foreign-stays-active", Level: should, Covers: []string{"G-034", "G-080"}, Run: foreignStaysActive,
			Needs: append([]need{conformance.NeedSecondClient}, needs...),
			Title: "Another client's RPT is not revoked by sending it along",
		},
		{
			ID: "grant.upgrade.foreign-party", Level: must, Covers: []string{"G-006", "G-034"}, Run: foreignPartyRPT,
			Needs: append([]need{conformance.NeedGather}, needs...),
			Title: "The permissions of another requesting party's RPT are not added",
		},
		{
			ID: "grant.upgrade.garbage", Level: must, Covers: []string{"G-034"}, Needs: needs, Run: garbageRPT,
			Title: "Garbage sent as an RPT does no harm: an RPT of the new permissions alone, or a refusal",
		},
		{
			ID: "grant.upgrade.revoked-not-revived", Level: must, Covers: []string{"G-034", "G-079", "G-133"}, Run: revokedNotRevived,
			Needs: append([]need{conformance.NeedRevocation}, needs...),
			Title: "An RPT that was revoked adds nothing",
		},
	}
}

// upgraded is an RPT, and another one for which it was sent along.
type upgraded struct {
	old, fresh conformance.Resource
	first, rpt string
	answer     *exchange
}

// upgrades gets an RPT for one resource and sends it along for another.
func upgrades(t *conformance.T) upgraded {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	r, ticket := shared(t)
	rpt, x := grantedTo(t, c1(t), ticket, url.Values{"rpt": {g.RPT}})
	return upgraded{old: g.Resource, fresh: r, first: g.RPT, rpt: rpt, answer: x}
}

// flagged is the member upgraded.
func flagged(t *conformance.T, x *exchange) bool {
	v, _ := x.JSON(t)["upgraded"].(bool)
	return v
}

func flagWhenIncluded(t *conformance.T) {
	u := upgrades(t)
	if t.Permissions(alicePAT(t), u.rpt)[u.old.ID] == nil {
		t.Logf("not upgraded: the new RPT has the new permissions alone")
		return
	}
	if !flagged(t, u.answer) {
		t.Errorf("the new RPT has the old permissions, but upgraded is not true")
	}
}

func includedWhenFlagged(t *conformance.T) {
	u := upgrades(t)
	if !flagged(t, u.answer) {
		t.Skipf("not offered: the RPT was not upgraded")
	}
	wantPermissions(t, t.Permissions(alicePAT(t), u.rpt), map[string][]string{u.old.ID: u.old.Scopes, u.fresh.ID: u.fresh.Scopes[:1]})
}

func oldRevoked(t *conformance.T) {
	u := upgrades(t)
	switch {
	case t.Permissions(alicePAT(t), u.rpt)[u.old.ID] == nil:
		t.Skipf("not offered: the RPT was not upgraded")
	case u.first == u.rpt:
		t.Logf("the upgraded RPT is the same string")
	case t.Active(alicePAT(t), u.first):
		t.Errorf("the RPT was upgraded to a new string, and the old one is still active")
	}
}

func consistent(t *conformance.T) {
	one := upgrades(t)
	_, ticket := shared(t)
	_, again := grantedTo(t, c1(t), ticket, url.Values{"rpt": {one.rpt}})
	if flagged(t, one.answer) != flagged(t, again) {
		t.Errorf("of two RPTs sent along, the second got with the first, one was upgraded and one not")
	}
}

func notWithoutRPT(t *conformance.T) {
	g := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	_, ticket := shared(t)
	rpt, x := grantedTo(t, c1(t), ticket, nil)
	if flagged(t, x) {
		t.Errorf("upgraded is true although no RPT was sent along")
	}
	if got := t.Permissions(alicePAT(t), rpt)[g.Resource.ID]; len(got) > 0 {
		t.Errorf("the RPT has permissions of an earlier one that was not sent along: %q", got)
	}
}

func oldKept(t *conformance.T) {
	r, ticket := shared(t)
	first, _ := grantedTo(t, c1(t), ticket, nil)
	grantedTo(t, c1(t), t.Ticket(conformance.Alice, conformance.RS1, r.Permission(r.Scopes[1])), nil)
	if !t.Active(alicePAT(t), first) {
		t.Errorf("a new RPT ended the earlier one although nothing was upgraded")
	}
}

// foreign gets an RPT of C1's and sends it along as C2.
func foreign(t *conformance.T) (first conformance.Granted, rpt string, x *exchange) {
	first = t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	_, ticket := shared(t)
	x = t.Obtain(t.Client(conformance.C2), ticket, conformance.Bob, url.Values{"rpt": {first.RPT}})
	return first, x.Text("access_token"), x
}

func foreignClientRPT(t *conformance.T) {
	first, rpt, x := foreign(t)
	wantNotAdded(t, first, rpt, x)
}

// wantNotAdded: without an RPT the request was refused, which is fine.
func wantNotAdded(t *conformance.T, first conformance.Granted, rpt string, x *exchange) {
	if rpt == "" {
		wantRefusal(t, x, "an RPT of somebody else")
		return
	}
	if flagged(t, x) {
		t.Errorf("upgraded is true for an RPT of somebody else")
	}
	if got := t.Permissions(alicePAT(t), rpt)[first.Resource.ID]; len(got) > 0 {
		t.Errorf("permissions of somebody else's RPT were added: %q", got)
	}
}

func foreignStaysActive(t *conformance.T) {
	first, _, _ := foreign(t)
	if !t.Active(alicePAT(t), first.RPT) {
		t.Errorf("an RPT was ended by another client that sent it along")
	}
}

func foreignPartyRPT(t *conformance.T) {
	first := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	r := t.Resource(conformance.Alice, conformance.RS1)
	t.Permit(conformance.PolicySpec{Resource: r, Party: conformance.Dave})
	x := t.Obtain(c1(t), asked(t, r), conformance.Dave, url.Values{"rpt": {first.RPT}})
	wantNotAdded(t, first, x.Text("access_token"), x)
}

func garbageRPT(t *conformance.T) {
	for _, garbage := range []string{"garbage", "a.b.c", "ä ö ü", "%00", "eyJhbGciOiJub25lIn0.e30."} {
		r, ticket := shared(t)
		x := t.Obtain(c1(t), ticket, conformance.Bob, url.Values{"rpt": {garbage}})
		rpt := x.Text("access_token")
		if rpt == "" {
			wantRefusal(t, x, "garbage sent as an RPT")
			continue
		}
		if flagged(t, x) {
			t.Errorf("upgraded is true for garbage sent as an RPT")
		}
		if got := t.Permissions(alicePAT(t), rpt); len(got) != 1 || !slices.Equal(got[r.ID], r.Scopes[:1]) {
			t.Errorf("garbage sent as an RPT changed what the new one has: %q", got)
		}
	}
}

func revokedNotRevived(t *conformance.T) {
	first := t.Grant(c1(t), conformance.Alice, conformance.RS1, conformance.Bob)
	revoke(t, c1(t), first.RPT, "access_token")
	if t.Active(alicePAT(t), first.RPT) {
		t.Blockf("the revoked RPT is still active")
	}
	_, ticket := shared(t)
	x := t.Obtain(c1(t), ticket, conformance.Bob, url.Values{"rpt": {first.RPT}})
	wantNotAdded(t, first, x.Text("access_token"), x)
}
