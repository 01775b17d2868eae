package httpapi_test

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"strings"
	"testing"
	"time"
)

// TestPermissionTickets: what a ticket must be, and how it narrows.
func TestPermissionTickets(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r", "patient/Observation.s", "patient/Condition.r", "conf/R")
	entry := func(more members) members {
		m := members{"kind": "data", "resource_type": "Observation", "interactions": []string{"read", "search"}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	access := func(more members, entries ...any) members {
		m := members{"permissions": entries}
		for k, v := range more {
			m[k] = v
		}
		return members{"access": m}
	}
	all := []string{"patient/Observation.r", "patient/Observation.s", "patient/Condition.r", "conf/R"}
	obs := `{"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`
	for _, c := range []struct {
		name   string
		change members
		want   string // permissions of the RPT; "need" need_info, "wait" request_submitted
	}{
		{"good", nil, obs},
		{"no binding", members{"presenter_binding": nil}, "need"},
		{"bound to another key", members{"presenter_binding": members{"method": "jkt", "jkt": thumb(t, a.ec)}}, "need"},
		{"bound to no key", members{"presenter_binding": members{"method": "jkt"}}, "need"},
		{"bound by framework", members{"presenter_binding": members{"method": "framework_client", "framework": "x", "framework_type": "udap", "entity_uri": "y"}}, "need"},
		{"expired", members{"exp": time.Now().Unix()}, "need"},
		{"no jti", members{"jti": nil}, "need"},
		{"no type", members{"ticket_type": nil}, "need"},
		{"another type", members{"ticket_type": "https://tickets.example/kinds/other"}, "wait"},
		{"for another server", members{"aud": "https://as.other.example"}, "need"},
		{"for us among others", members{"aud": []string{"https://as.other.example", a.url}, "azp": nil}, "need"},
		{"must understand what we do", members{"must_understand": []string{"subject", "access"}}, obs},
		{"must understand what we do not", members{"must_understand": []string{"context"}}, "need"},
		{"must understand, no list", members{"must_understand": "access"}, "need"},
		{"revocation in another form", members{"revocation": members{"url": a.iss + "/status", "rid": "x"}}, "need"},
		{"no subject", members{"subject": nil}, "need"},
		{"about another patient", members{"subject": members{"recipient_record": members{"reference": "Patient/p2"}}}, "wait"},
		{"about a patient elsewhere", members{"subject": members{"recipient_record": members{"reference": "https://other.example/fhir/Patient/p1"}}}, "wait"},
		{"about the patient by address", members{"subject": members{"recipient_record": members{"reference": "https://hospital.example/fhir/Patient/p1"}}}, obs},
		{"about somebody by name", members{"subject": members{"patient": members{"name": []any{members{"family": "Alvarez"}}}}}, "wait"},
		{"subject with more", members{"subject": members{"group": 1}}, "need"},
		{"no access", members{"access": nil}, "need"},
		{"access to nothing", access(nil), "need"},
		{"unknown narrowing", access(members{"data_holder_filter": []any{1}}, entry(nil)), "need"},
		{"unknown narrowing of an entry", access(nil, entry(members{"security_label": "x"})), "need"},
		{"unknown kind", access(nil, members{"kind": "magic"}), "need"},
		{"type with a scope inside", access(nil, entry(members{"resource_type": "Observation.rs patient/Condition"})), "need"},
		{"operations grant nothing", access(nil, members{"kind": "operation", "name": "$everything"}), "need"},
		{"history grants nothing", access(nil, entry(members{"interactions": []string{"history"}})), "need"},
		{"another type of data alone", access(nil, entry(members{"resource_type": "Immunization"})), "need"},
		{"read alone", access(nil, entry(members{"interactions": []string{"read"}})), `{"resource_scopes":["patient/Observation.r"]}`},
		{"two entries", access(nil, entry(members{"interactions": []string{"search"}}), entry(members{"resource_type": "Condition"})), `{"resource_scopes":["patient/Observation.s","patient/Condition.r"]}`},
		{"every type", access(nil, entry(members{"resource_type": "*"})), `{"resource_scopes":["patient/Observation.r","patient/Observation.s","patient/Condition.r"]}`},
		{"category", access(nil, entry(members{"category_any_of": []any{members{"system": "http://x.example/c", "code": "laboratory"}, members{"code": "vital-signs"}}})),
			`{"constraints":[{"type":"query","value":"category=http://x.example/c|laboratory,vital-signs"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"empty category", access(nil, entry(members{"category_any_of": []any{}})), "need"},
		{"period", access(members{"data_period": members{"start": "2024", "end": "2025-06"}}, entry(nil)),
			`{"constraints":[{"type":"period","value":"2024-01-01/2025-06-30"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"period within days", access(members{"data_period": members{"start": "2024-01-01T12:00:00Z", "end": "2025-06-30T12:00:00+02:00"}}, entry(nil)),
			`{"constraints":[{"type":"period","value":"2024-01-02/2025-06-29"}],"resource_scopes":["patient/Observation.r","patient/Observation.s"]}`},
		{"period of nonsense", access(members{"data_period": members{"start": "yesterday"}}, entry(nil)), "need"},
		{"sensitive data", access(members{"sensitive_data": "include"}, entry(nil)), `{"resource_scopes":["patient/Observation.r","patient/Observation.s","conf/R"]}`},
		{"sensitive data, excluded", access(members{"sensitive_data": "exclude"}, entry(nil)), obs},
		{"sensitive data, what?", access(members{"sensitive_data": "maybe"}, entry(nil)), "need"},
	} {
		ticket := a.ticket(all...)
		status, got := a.asSigner(ticket, permTicket, a.referred(c.change))
		switch c.want {
		case "need":
			if status != 403 || got["error"] != "need_info" || got["ticket"] == nil {
				t.Errorf("%s: %d %v", c.name, status, got)
			}
		case "wait":
			if status != 403 || got["error"] != "request_submitted" {
				t.Errorf("%s: %d %v", c.name, status, got)
			}
		default:
			if status != 200 || got["refresh_token"] != nil {
				t.Errorf("%s: %d %v", c.name, status, got)
				continue
			}
			if told := permissionsOf(t, a.inspect(got["access_token"])); told != c.want {
				t.Errorf("%s: %s, want %s", c.name, told, c.want)
			}
		}
	}
}

// permissionsOf prints what an RPT is good for, without ids and times, elements of one set of constraints joined.
func permissionsOf(t *testing.T, i map[string]any) string {
	t.Helper()
	list, _ := i["permissions"].([]any)
	var out []string
	for _, p := range list {
		m := p.(map[string]any)
		out = append(out, asJSON(t, pick(m, "constraints", "resource_scopes")))
	}
	return strings.Join(out, ",")
}

func pick(m map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, n := range names {
		if v, ok := m[n]; ok {
			out[n] = v
		}
	}
	return out
}

// TestPermissionTicketEnds: the RPT ends with the ticket; a revocation list that says so, or is silent, refuses; a wider scope
// needs the ticket again; an upgrade carries nothing of it.
func TestPermissionTicketEnds(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "permission_ticket", shareKind), nil, "patient/Observation.r", "patient/Condition.r")
	end := time.Now().Add(40 * time.Second).Unix()
	status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(members{"exp": end}))
	if i := a.inspect(got["access_token"]); status != 200 || int64(i["exp"].(float64)) != end {
		t.Errorf("%d %v, end %d", status, i, end)
	}
	old, _ := got["access_token"].(string)
	status, got = a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(), "rpt", old)
	if status != 200 || got["upgraded"] != nil {
		t.Errorf("upgrade: %d %v", status, got)
	}
	for _, c := range []struct {
		status string
		index  any
		want   int
	}{{list(t, 0b100), 0, 200}, {list(t, 0b100), 2, 403}, {list(t, 0b100), 99, 403}, {list(t, 0b100), -1, 403}, {"", 0, 403}, {"[]", 0, 403}} {
		a.mu.Lock()
		a.status = c.status
		a.mu.Unlock()
		// A list of its own each time: a list is good for a minute.
		status, got := a.asSigner(a.ticket("patient/Observation.r"), permTicket, a.referred(members{"revocation": members{"url": a.iss + "/status?" + rand.Text(), "index": c.index}}))
		if status != c.want || status == 403 && got["error"] != "need_info" {
			t.Errorf("%+v: %d %v", c, status, got)
		}
	}
	_, got = a.asSigner(a.ticket("patient/Observation.s"), permTicket, a.referred(members{"ticket_type": "other"}))
	next, _ := got["ticket"].(string)
	if status, got := a.asSigner(next, "", "", "scope", "patient/Condition.r"); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("wider scope: %d %v", status, got)
	}
}

func list(t *testing.T, bits byte) string {
	t.Helper()
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, err := z.Write([]byte{bits})
	must(t, err)
	must(t, z.Close())
	return `{"status_list":{"bits":1,"lst":"` + b64(b.Bytes()) + `"}}`
}
