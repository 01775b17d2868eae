package federated

import (
	"net/http"
	"slices"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// replacement checks updating, FedAuthz §3.2.3.
func replacement() []check {
	return []check{
		{
			ID: "federated.update.status", Level: must, Covers: []string{"F-033", "F-046"}, Run: updateStatus,
			Title: "Updating answers 200",
		},
		{
			ID: "federated.update.id", Level: must, Covers: []string{"F-036", "F-046"}, Run: updateID,
			Title: "Updating answers with _id",
		},
		{
			ID: "federated.update.replaces", Level: must, Covers: []string{"F-046"}, Run: updateReplaces,
			Title: "Updating replaces the whole description: what is left out is gone",
		},
		{
			ID: "federated.update.scope-removed", Level: must, Covers: []string{"F-046", "F-057"}, Run: scopeRemoved,
			Title: "A scope that an update removed can no longer be asked for",
		},
		{
			ID: "federated.update.scope-added", Level: must, Covers: []string{"F-046", "F-057"}, Run: scopeAdded,
			Title: "A scope that an update added can be asked for",
		},
		{
			ID: "federated.update.scope-leaves-rpt", Level: must, Covers: []string{"F-046", "F-068"}, Needs: granted, Run: scopeLeavesRPT,
			Title: "A scope that an update removed is no longer in the permissions of RPTs",
		},
		{
			ID: "federated.update.refused-changes-nothing", Level: should, Covers: []string{"F-042", "F-046"}, Run: refusedUpdate,
			Title: "A refused update leaves the description as it was",
		},
	}
}

func updateStatus(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	want(t, put(t, pat, registered(t, pat, describe(t)), describe(t)), "update", http.StatusOK)
}

func updateID(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	x := put(t, pat, id, describe(t))
	if x.Status/100 != 2 {
		t.Blockf("the description could not be replaced: %d (%s)", x.Status, told(x))
	}
	if x.Text("_id") != id {
		t.Errorf("the body has no _id of the resource")
	}
}

func updateReplaces(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	first := full(t)
	delete(first, "description") // where a server does not take it, another check says so
	id := registered(t, pat, first)
	d := describe(t)
	replaced(t, pat, id, d)
	got := reread(t, pat, id)
	if got["name"] != d["name"] {
		t.Errorf("name: put %q, read %v", d["name"], got["name"])
	}
	for _, name := range []string{"icon_uri", "type"} {
		if v, there := got[name]; there && v != nil && v != "" {
			t.Errorf("%s was left out of the update and is still %v", name, v)
		}
	}
}

func scopeRemoved(t *conformance.T) {
	pat, scopes := t.PAT(alice, rs1), t.Env().Scopes(2)
	d := describe(t)
	id := registered(t, pat, d)
	d["resource_scopes"] = scopes[:1]
	replaced(t, pat, id, d)
	if x := ask(t, pat, permission(id, scopes[1])); x.Status/100 == 2 {
		t.Errorf("a ticket was given for %q, which the update removed", scopes[1])
	}
}

func scopeAdded(t *conformance.T) {
	pat, scopes := t.PAT(alice, rs1), t.Env().Scopes(3)
	d := describe(t)
	id := registered(t, pat, d)
	d["resource_scopes"] = scopes
	replaced(t, pat, id, d)
	if x := ask(t, pat, permission(id, scopes[2])); x.Status/100 != 2 {
		t.Errorf("no ticket for %q, which the update added: %d (%s)", scopes[2], x.Status, told(x))
	}
}

func scopeLeavesRPT(t *conformance.T) {
	scopes := t.Env().Scopes(2)
	g := some(t)
	if had, _ := scopesOf(activeObject(t, g), g.Resource.ID); !slices.Contains(had, scopes[1]) {
		t.Blockf("the RPT has not both scopes to begin with")
	}
	replaced(t, g.PAT, g.Resource.ID, object{"name": g.Resource.Name, "resource_scopes": scopes[:1]})
	if has, _ := scopesOf(about(t, g.PAT, g.RPT, nil).JSON(t), g.Resource.ID); slices.Contains(has, scopes[1]) {
		t.Errorf("the RPT still has %q, which is no scope of the resource any more", scopes[1])
	}
}

func refusedUpdate(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	d := describe(t)
	id := registered(t, pat, d)
	x := put(t, pat, id, object{"name": "changed"})
	if x.Status/100 == 2 {
		t.Blockf("an update without resource_scopes was taken")
	}
	if got := reread(t, pat, id); got["name"] != d["name"] {
		t.Errorf("the update was refused (%d), and yet the name is %v now", x.Status, got["name"])
	}
}

// removal checks deleting, FedAuthz §3, §3.2.4.
func removal() []check {
	return []check{
		{
			ID: "federated.delete.status", Level: must, Covers: []string{"F-033", "F-047"}, Run: deleteStatus,
			Title: "Deleting answers 200 or 204",
		},
		{
			ID: "federated.delete.gone", Level: must, Covers: []string{"F-023", "F-038", "F-047"}, Run: deleteGone,
			Title: "What was deleted cannot be read: 404",
		},
		{
			ID: "federated.delete.twice", Level: must, Covers: []string{"F-038", "F-047"}, Run: deleteTwice,
			Title: "What was deleted cannot be deleted again: 404",
		},
		{
			ID: "federated.delete.unlisted", Level: must, Covers: []string{"F-047", "F-048"}, Run: deleteUnlisted,
			Title: "What was deleted is no longer listed",
		},
		{
			ID: "federated.delete.no-tickets", Level: must, Covers: []string{"F-023", "F-055"}, Run: deleteTickets,
			Title: "No ticket is given for a resource that was deleted",
		},
		{
			ID: "federated.delete.leaves-rpt", Level: must, Covers: []string{"F-023", "F-067"}, Needs: granted, Run: deleteLeavesRPT,
			Title: "A deleted resource is no longer in the permissions of RPTs",
		},
		{
			ID: "federated.delete.open-ticket", Level: must, Covers: []string{"F-023"}, Needs: granted, Run: deleteOpenTicket,
			Title: "A ticket for a resource that was deleted since gives no access to it",
		},
	}
}

func deleted(t *conformance.T, pat, id string) {
	if x := answered(t, t.Delete(at(t, id), pat)); x.Status/100 != 2 {
		t.Blockf("the resource could not be deleted: %d (%s)", x.Status, told(x))
	}
}

func deleteStatus(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	x := answered(t, t.Delete(at(t, registered(t, pat, describe(t))), pat))
	want(t, x, "delete", http.StatusOK, http.StatusNoContent)
}

func deleteGone(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	deleted(t, pat, id)
	want(t, answered(t, t.Get(at(t, id), pat)), "read after delete", http.StatusNotFound)
}

func deleteTwice(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	deleted(t, pat, id)
	want(t, answered(t, t.Delete(at(t, id), pat)), "the second delete", http.StatusNotFound)
}

func deleteUnlisted(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	deleted(t, pat, id)
	if slices.Contains(list(t, pat), id) {
		t.Errorf("the list still holds it")
	}
}

func deleteTickets(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	id := registered(t, pat, describe(t))
	deleted(t, pat, id)
	if x := ask(t, pat, permission(id, t.Env().Scopes(1)...)); x.Status/100 == 2 {
		t.Errorf("a ticket was given for a resource that was deleted")
	}
}

func deleteLeavesRPT(t *conformance.T) {
	g := some(t)
	activeObject(t, g)
	deleted(t, g.PAT, g.Resource.ID)
	if _, named := scopesOf(about(t, g.PAT, g.RPT, nil).JSON(t), g.Resource.ID); named {
		t.Errorf("the RPT still has a permission for a resource that was deleted")
	}
}

func deleteOpenTicket(t *conformance.T) {
	pat := t.PAT(alice, rs1)
	r := own(t)
	t.Permit(conformance.PolicySpec{Resource: r, Party: bob})
	ticket := t.Ticket(alice, rs1, uma.Permission{ResourceID: r.ID, Scopes: r.Scopes})
	deleted(t, pat, r.ID)
	x := t.Obtain(t.Client(c1), ticket, bob, nil)
	token := x.Text("access_token")
	if token == "" {
		return
	}
	if _, named := scopesOf(about(t, pat, token, nil).JSON(t), r.ID); named {
		t.Errorf("the ticket gave an RPT with a permission for a resource that was deleted before")
	}
}
