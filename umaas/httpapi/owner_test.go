package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/httpapi"
	"github.com/umaas/umaas/umaas/uma"
)

func asError(err error, e **uma.Error) bool { return errors.As(err, e) }

func (w *ownerWorld) newPolicy(more string) string {
	return fmt.Sprintf(`{"who":{"kind":"email","email":"bob@example.org","name":"Bobby"},"rules":[{"resource_id":%q,"resource_scopes":["patient/Observation.r","patient/Condition.r"]}]%s}`, w.record, more)
}

// TestOwnerAPI_Policies walks the life of a share over HTTP: check, make, read, narrow, stop, restore.
func TestOwnerAPI_Policies(t *testing.T) {
	w := newOwnerWorld(t)
	resources := w.want(200, "", "", w.aliceToken, "GET", "/owner/resources", "").list("resources")
	if len(resources) != 1 || resources[0]["resource_id"] != string(w.record) || strings.Contains(fmt.Sprint(resources[0]["items"]), "btg") {
		t.Fatalf("%v", resources)
	}
	until := soon(48 * time.Hour)
	body := w.newPolicy(`,"until":"` + until + `","purposes":["TREAT"],"label":"for the holidays","also":[{"issuer":"https://idp.example","name":"role","value":"nurse"}],"min_acr":"mfa","terms":"Do not copy.","constraints":[{"type":"period","value":"2024-01-01/"}]`)
	checked := w.want(200, "", "", w.aliceToken, "POST", "/owner/policies?check=true", body)
	if checked.text("id") != "" || len(w.want(200, "", "", w.aliceToken, "GET", "/owner/policies", "").list("policies")) != 0 {
		t.Fatalf("a check stored something: %s", checked.raw)
	}
	made := w.want(201, "", "", w.aliceToken, "POST", "/owner/policies", body)
	id, tag := made.text("id"), made.header.Get("ETag")
	if made.header.Get("Location") != w.url+"/owner/policies/"+id || len(tag) < 3 || made.text("until") != until || made.text("who_words") != "Bobby" ||
		made.text("min_acr") != "mfa" || made.text("terms") != "Do not copy." || !strings.Contains(string(made.raw), `"constraints":[{"type":"period","value":"2024-01-01/"}]`) {
		t.Fatalf("%s", made.raw)
	}
	path := "/owner/policies/" + id
	if got := w.want(200, "", "", w.aliceToken, "GET", path, ""); got.header.Get("ETag") != tag || string(got.raw) != string(made.raw) {
		t.Errorf("read differs from what was made: %s", got.raw)
	}
	limit := `"constraints":[{"type":"period","value":"2024-01-01/"}]`
	narrower := fmt.Sprintf(`{"rules":[{"resource_id":%q,"resource_scopes":["patient/Condition.r"],%s}]}`, w.record, limit)
	w.want(412, "precondition_failed", "it changed since you read it: read it again", w.aliceToken, "PATCH", path, narrower, "If-Match", `"other"`)
	w.want(400, "invalid_request", "If-Match: want one strong entity tag, as ETag gave it", w.aliceToken, "PATCH", path, narrower, "If-Match", `W/"x"`)
	narrowed := w.want(200, "", "", w.aliceToken, "PATCH", path, narrower, "If-Match", tag)
	if !strings.Contains(string(narrowed.raw), `"rules":[{"resource_id":"`+string(w.record)+`","resource_server":"`+string(w.rs.ID)+`","resource_scopes":["patient/Condition.r"],`) || !strings.HasSuffix(narrowed.text("effect", "words"), "follows within 2 seconds.") {
		t.Errorf("%s", narrowed.raw)
	}
	wider := "a share can be made smaller, never wider; give the rest in a share of its own"
	for name, rules := range map[string]string{
		"scope back":      fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/Observation.r"],%s}]`, w.record, limit),
		"without limit":   fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/Condition.r"]}]`, w.record),
		"SEC-40 foreign":  fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/Condition.r"],%s}]`, w.other, limit),
		"SEC-40 nested":   fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/Condition.r"],%s},{"resource_id":%q,"resource_scopes":["patient/Condition.r"]}]`, w.record, limit, w.other),
		"SEC-41 prefix":   fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/Condition.r"],%s}]`, w.record[:8], limit),
		"no scopes":       fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":[],%s}]`, w.record, limit),
		"nothing at all":  `[]`,
		"SEC-41 wildcard": fmt.Sprintf(`[{"resource_id":%q,"resource_scopes":["patient/*.r"],%s}]`, w.record, limit),
	} {
		t.Run(name, func(t *testing.T) {
			w.want(400, "invalid_request", wider, w.aliceToken, "PATCH", path, `{"rules":`+rules+`}`)
		})
	}
	w.want(400, "invalid_request", "a share cannot be made longer", w.aliceToken, "PATCH", path, `{"until":"`+soon(72*time.Hour)+`"}`)
	w.want(400, "invalid_request", "say what changes: items, rules or until", w.aliceToken, "PATCH", path, `{}`)
	w.want(200, "", "", w.aliceToken, "PATCH", path, `{"until":"`+soon(24*time.Hour)+`"}`)

	w.want(412, "precondition_failed", "", w.aliceToken, "DELETE", path, "", "If-Match", tag)
	first := w.want(200, "", "", w.aliceToken, "DELETE", path, "")
	second := w.want(200, "", "", w.aliceToken, "DELETE", path, "")
	if first.text("effect", "at") != second.text("effect", "at") || first.text("policy", "revoked") == "" {
		t.Errorf("a second stop changed something: %s %s", first.raw, second.raw)
	}
	restored := w.want(201, "", "", w.aliceToken, "POST", path+"/restore", "")
	again := w.want(201, "", "", w.aliceToken, "POST", path+"/restore", "")
	if restored.text("id") == id || restored.text("id") == "" || again.text("id") != restored.text("id") {
		t.Errorf("SEC-35, SEC-46: %s %s", restored.raw, again.raw)
	}
	if all, now := w.want(200, "", "", w.aliceToken, "GET", "/owner/policies", "").list("policies"), w.want(200, "", "", w.aliceToken, "GET", "/owner/policies?in_force=true", "").list("policies"); len(all) != 2 || len(now) != 1 {
		t.Errorf("%d policies, %d in force", len(all), len(now))
	}
}

// TestSEC_40_OwnerAPIRefuses: each body that names what is not hers, or says what this server does not know, gets its status and
// sentence, and nothing is stored.
func TestSEC_40_OwnerAPIRefuses(t *testing.T) {
	w := newOwnerWorld(t)
	rule := func(id umaas.ResourceID, scopes string) string {
		return fmt.Sprintf(`{"resource_id":%q,"resource_scopes":%s}`, id, scopes)
	}
	good := rule(w.record, `["patient/Condition.r"]`)
	who := `"who":{"kind":"email","email":"bob@example.org"}`
	for name, c := range map[string]struct {
		body     string
		status   int
		sentence string
	}{
		"foreign record":        {`{` + who + `,"rules":[` + rule(w.other, `["patient/Condition.r"]`) + `]}`, 404, "no such resource"},
		"foreign record nested": {`{` + who + `,"rules":[` + good + `,` + rule(w.other, `["patient/Condition.r"]`) + `]}`, 404, "no such resource"},
		"foreign items":         {fmt.Sprintf(`{%s,"items":{%q:["x"]}}`, who, w.other), 404, "no such resource"},
		"unknown record":        {`{` + who + `,"rules":[` + rule("x", `["patient/Condition.r"]`) + `]}`, 404, "no such resource"},
		"empty record":          {`{` + who + `,"rules":[` + rule("", `["patient/Condition.r"]`) + `]}`, 404, "no such resource"},
		"foreign account":       {`{"who":{"kind":"account","account":"u_x"},"rules":[` + good + `]}`, 404, "no such resource"},
		"unknown app":           {`{` + who + `,"client_id":"c_x","rules":[` + good + `]}`, 404, "no such resource"},
		"unregistered scope":    {`{` + who + `,"rules":[` + rule(w.record, `["patient/Condition.r","patient/Patient.r"]`) + `]}`, 400, "a scope is not one of this record's that can be shared"},
		"wildcard scope":        {`{` + who + `,"rules":[` + rule(w.record, `["patient/*.r"]`) + `]}`, 400, "a scope is not one of this record's that can be shared"},
		"emergency scope":       {`{` + who + `,"rules":[` + rule(w.record, `["btg"]`) + `]}`, 400, "a scope is not one of this record's that can be shared"},
		"no scopes":             {`{` + who + `,"rules":[` + rule(w.record, `[]`) + `]}`, 400, "a rule needs scopes"},
		"type for id":           {`{` + who + `,"rules":[{"resource_type":"Record","resource_scopes":["patient/Condition.r"]}]}`, 400, "rules[0] has a member this server does not know: resource_type"},
		"type of policy":        {`{` + who + `,"type":"resource","rules":[` + good + `]}`, 400, "the body has a member this server does not know: type"},
		"slip in a limit":       {`{` + who + `,"rules":[` + good + `],"constraint":[]}`, 400, "the body has a member this server does not know: constraint"},
		"case of a member":      {`{` + who + `,"rules":[` + good + `],"Until":"x"}`, 400, "the body has a member this server does not know: Until"},
		"unknown limit":         {`{` + who + `,"rules":[` + good + `],"constraints":[{"type":"moon"}]}`, 400, "unknown kind of limit"},
		"wildcard address":      {`{"who":{"kind":"email","email":"*@example.org"},"rules":[` + good + `]}`, 400, "that is no e-mail address"},
		"nobody":                {`{"rules":[` + good + `]}`, 400, "say with whom"},
		"herself":               {fmt.Sprintf(`{"who":{"kind":"account","account":%q},"rules":[%s]}`, w.alice, good), 400, "name another person"},
		"nothing":               {`{` + who + `}`, 400, "nothing is chosen: name items or rules"},
		"both":                  {fmt.Sprintf(`{%s,"rules":[%s],"items":{%q:["x"]}}`, who, good, w.record), 400, "give items or rules, not both"},
		"end is no time":        {`{` + who + `,"rules":[` + good + `],"until":"tomorrow"}`, 400, "until: want a time like 2027-01-31T18:00:00Z"},
		"end in the past":       {`{` + who + `,"rules":[` + good + `],"until":"2001-01-01T00:00:00Z"}`, 400, "the end lies in the past"},
		"unknown purpose":       {`{` + who + `,"rules":[` + good + `],"purposes":["FUN"]}`, 400, "unknown purpose"},
		"empty claim":           {`{"who":{"kind":"claim","claim":{"name":"","value":""}},"rules":[` + good + `]}`, 400, "a claim needs a name and a value"},
		"empty further claim":   {`{` + who + `,"rules":[` + good + `],"also":[{"name":"org","value":""}]}`, 400, "a further claim needs a name and a value"},
		"emergency for one":     {`{` + who + `,"rules":[` + good + `],"break_glass":true}`, 400, "emergency access is for those a trusted issuer calls emergency staff: name a claim"},
		"array":                 {`[]`, 400, "the body must be an object"},
		"twice":                 {`{` + who + `,` + who + `}`, 400, "a JSON member stands twice"},
		"empty":                 {` `, 400, "the body is empty: JSON expected"},
		"public app by itself":  {`{"who":{"kind":"client","client_id":""},"rules":[` + good + `]}`, 400, "name an app"},
	} {
		t.Run(name, func(t *testing.T) {
			code := map[int]string{400: "invalid_request", 404: "not_found"}[c.status]
			for _, path := range []string{"/owner/policies", "/owner/policies?check=true"} {
				w.want(c.status, code, c.sentence, w.aliceToken, "POST", path, c.body)
			}
			if strings.Contains(c.body, `"kind":"email"`) || strings.Contains(c.body, `"kind":"claim"`) {
				w.want(c.status, code, c.sentence, w.aliceToken, "POST", "/owner/invitations", c.body)
			}
		})
	}
	if all := w.want(200, "", "", w.aliceToken, "GET", "/owner/policies", "").list("policies"); len(all) != 0 {
		t.Errorf("%d policies stored", len(all))
	}
	if all := w.want(200, "", "", w.aliceToken, "GET", "/owner/invitations", "").list("invitations"); len(all) != 0 {
		t.Errorf("%d invitations stored", len(all))
	}
}

// routesOf lists the routes of the document with a body that is well-formed for each.
func (w *ownerWorld) routesOf(policy, request, invitation, delegation string) [][3]string {
	return [][3]string{
		{"GET", "/owner/policies", ""}, {"POST", "/owner/policies", w.newPolicy("")},
		{"GET", "/owner/policies/" + policy, ""}, {"PATCH", "/owner/policies/" + policy, `{"until":"` + soon(time.Hour) + `"}`},
		{"POST", "/owner/policies/" + policy + "/restore", ""}, {"DELETE", "/owner/policies/" + policy, ""},
		{"GET", "/owner/resources", ""}, {"GET", "/owner/requests", ""}, {"GET", "/owner/requests/" + request, ""},
		{"POST", "/owner/requests/" + request + "/answer", `{"allow":false,"digest":"x"}`}, {"POST", "/owner/requests/" + request + "/undo", ""},
		{"POST", "/owner/requests/" + request + "/end", ""}, {"GET", "/owner/history", ""}, {"GET", "/owner/invitations", ""},
		{"POST", "/owner/invitations", w.newPolicy("")}, {"DELETE", "/owner/invitations/" + invitation, ""},
		{"GET", "/owner/delegations", ""}, {"POST", "/owner/delegations", `{"who":{"kind":"email","email":"bob@example.org"},"rights":["answer"]}`},
		{"DELETE", "/owner/delegations/" + delegation, ""}, {"GET", "/owner/acting-for", ""}, {"GET", "/owner/delegated-requests", ""}, {"POST", "/owner/consents", `{"resourceType":"Consent"}`},
	}
}

// TestSEC_50_OwnerAPITakesOwnerTokensOnly: kind of token × address × verb.
func TestSEC_50_OwnerAPITakesOwnerTokensOnly(t *testing.T) {
	w := newOwnerWorld(t)
	identity := w.authorize(w.manager, w.managerKey, w.alice, "openid")
	id, err := w.core.CreateShare(t.Context(), w.alice, umaas.NewShare{
		Who: umaas.Who{Kind: umaas.WhoEmail, Email: "bob@example.org"}, Rules: []umaas.Rule{{Resource: w.record, Scopes: []string{"patient/Condition.r"}}},
	}, "")
	must(t, err)
	ticket := w.asks(w.bob, "patient/Observation.r")
	inbox, err := w.core.Inbox(t.Context(), w.alice, umaas.Key{})
	must(t, err)
	_, err = w.core.AnswerRequest(t.Context(), w.alice, inbox[0].Key, umaas.RequestAnswer{Allow: true, Digest: inbox[0].Digest, Items: []string{inbox[0].Records[0].Items[0].ID}}, "")
	must(t, err)
	rpt, err := w.redeem(ticket)
	must(t, err)
	pat := strings.TrimPrefix(w.pat(), "Bearer ")
	for name, c := range map[string]struct {
		token, code string
		status      int
	}{
		"none": {"", "invalid_token", 401}, "garbage": {"x.y", "invalid_token", 401}, "rpt": {rpt.AccessToken, "insufficient_scope", 403},
		"pat": {pat, "insufficient_scope", 403}, "identity": {identity, "insufficient_scope", 403},
	} {
		for _, route := range w.routesOf(string(id), inbox[0].Key.String(), inbox[0].Key.String(), string(id)) {
			out := w.want(c.status, c.code, "", c.token, route[0], route[1], route[2])
			if challenge := out.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") || c.status == 403 && !strings.Contains(challenge, `scope="owner"`) {
				t.Errorf("%s %v: challenge %q", name, route, challenge)
			}
		}
	}
	// An owner's token is none for anything else.
	for _, e := range [][2]string{{"GET", "/resource_set/"}, {"POST", "/permission"}, {"POST", "/introspect"}, {"POST", "/grants/consume"}, {"POST", "/access-events"}} {
		if status, _, _ := w.send(e[0], e[1], jsonType, "{}", "Bearer "+w.aliceToken); status != 403 {
			t.Errorf("%v takes an owner's token: %d", e, status)
		}
	}
	must(t, w.core.SetClientDisabled(t.Context(), w.manager.ID, true, ""))
	w.want(401, "invalid_token", "", w.aliceToken, "GET", "/owner/policies", "")
}

// TestSEC_43_GuardTimesVerb: every address of the API for a stranger, a delegate of each right and the owner. A stranger's
// answer is the one of something that never was.
func TestSEC_43_GuardTimesVerb(t *testing.T) {
	w := newOwnerWorld(t)
	guards := map[string]umaas.DelegatedRight{
		"policies": umaas.MayShare, "resources": umaas.MayShare, "invitations": umaas.MayShare, "requests": umaas.MayAnswer,
		"consents": umaas.MayShare, "history": umaas.MayHistory, "delegations": "", "acting-for": "", "delegated-requests": "",
	}
	tokens := map[umaas.DelegatedRight]string{"none": w.bobsToken}
	for _, right := range []umaas.DelegatedRight{umaas.MayShare, umaas.MayAnswer, umaas.MayHistory} {
		who := w.person("for-" + string(right))
		_, err := w.core.Acting(w.alice, w.alice).Delegate(t.Context(), umaas.NewDelegation{Who: umaas.Who{Kind: umaas.WhoAccount, Account: who}, Rights: []umaas.DelegatedRight{right}}, "")
		must(t, err)
		tokens[right] = w.ownerToken(who)
	}
	w.asks(w.bob, "patient/Observation.r")
	inbox, err := w.core.Inbox(t.Context(), w.alice, umaas.Key{})
	must(t, err)
	rows := 0
	for right, token := range tokens {
		made := func() (string, string) {
			a := w.core.Acting(w.alice, w.alice)
			n := umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoEmail, Email: "carla@example.org"}, Rules: []umaas.Rule{{Resource: w.record, Scopes: []string{"patient/Condition.r"}}}}
			id, err := a.CreateShare(t.Context(), n, "")
			must(t, err)
			i, err := a.Invite(t.Context(), n, "")
			must(t, err)
			return string(id), i.Key.String()
		}
		policy, invitation := made()
		for _, route := range w.routesOf(policy, inbox[0].Key.String(), invitation, "none") {
			rows++
			class := strings.Split(route[1], "/")[2]
			out := w.call(token, route[0], route[1]+"?for="+string(w.alice), route[2])
			allowed := guards[class] == right && right != ""
			if refused := out.status == 404 && out.text("error") == "not_found"; refused == allowed && !strings.HasSuffix(route[1], "/end") {
				t.Errorf("%s with %q: %d %s", route, right, out.status, out.raw)
			}
		}
	}
	if rows != 88 {
		t.Errorf("%d rows", rows)
	}
	// Without for every address is the bearer's own: alice's ids are unknown there.
	for _, route := range w.routesOf("x", inbox[0].Key.String(), inbox[0].Key.String(), "x") {
		if strings.Contains(route[1], inbox[0].Key.String()) {
			w.want(404, "not_found", "", w.bobsToken, route[0], route[1], route[2])
		}
	}
}

// TestOwnerAPI_RequestsAndUndo: answer, take back, answer again; what an undone answer gave is dead at once.
func TestOwnerAPI_RequestsAndUndo(t *testing.T) {
	w := newOwnerWorld(t)
	ticket := w.asks(w.bob, "patient/Observation.r", "patient/Condition.r")
	list := w.want(200, "", "", w.aliceToken, "GET", "/owner/requests?state=waiting", "").list("requests")
	if len(list) != 1 {
		t.Fatalf("%d requests", len(list))
	}
	path := "/owner/requests/" + list[0]["id"].(string)
	r := w.want(200, "", "", w.aliceToken, "GET", path, "")
	var items []string
	for _, rec := range r.list("records") {
		for _, i := range rec["items"].([]any) {
			items = append(items, i.(map[string]any)["id"].(string))
		}
	}
	if len(items) != 2 || r.text("party", "name") != "Bob" || r.text("purpose") != "TREAT" || r.text("note") != "please" {
		t.Fatalf("%s", r.raw)
	}
	ticked, err := json.Marshal(items[:1])
	must(t, err)
	for name, c := range map[string][2]string{
		"no allow":           {`{"digest":"x"}`, "allow is missing: true or false"},
		"no digest":          {`{"allow":true}`, "digest is missing: the one of the request as you read it"},
		"items of a refusal": {`{"allow":false,"digest":"x","items":["a"]}`, "a refusal takes no items and no end"},
		"silence of a yes":   {`{"allow":true,"digest":"x","silent_seconds":5}`, "silent_seconds goes with a refusal and is not negative"},
		"negative silence":   {`{"allow":false,"digest":"x","silent_seconds":-5}`, "silent_seconds goes with a refusal and is not negative"},
		"unknown member":     {`{"allow":true,"digest":"x","scopes":[]}`, "the body has a member this server does not know: scopes"},
	} {
		t.Run(name, func(*testing.T) { w.want(400, "invalid_request", c[1], w.aliceToken, "POST", path+"/answer", c[0]) })
	}
	w.want(409, "conflict", "", w.aliceToken, "POST", path+"/answer", `{"allow":true,"digest":"other","items":`+string(ticked)+`}`)
	w.want(400, "invalid_request", "nothing is chosen: name items or rules", w.aliceToken, "POST", path+"/answer", fmt.Sprintf(`{"allow":true,"digest":%q}`, r.text("digest")))
	yes := fmt.Sprintf(`{"allow":true,"digest":%q,"items":%s}`, r.text("digest"), ticked)
	one := w.want(200, "", "", w.aliceToken, "POST", path+"/answer", yes)
	two := w.want(200, "", "", w.aliceToken, "POST", path+"/answer", yes) // SEC-46: a double click
	if one.text("state") != "allowed" || one.text("policy_id") != two.text("policy_id") || one.text("undo_until") == "" || one.text("answered_by") != string(w.alice) {
		t.Fatalf("%s %s", one.raw, two.raw)
	}
	rpt, err := w.redeem(ticket)
	must(t, err)
	if !w.active(rpt.AccessToken) {
		t.Fatal("the RPT is not active")
	}
	undone := w.want(200, "", "", w.aliceToken, "POST", path+"/undo", "")
	again := w.want(200, "", "", w.aliceToken, "POST", path+"/undo", "")
	if undone.text("request", "state") != "waiting" || undone.text("effect", "at") != again.text("effect", "at") || w.active(rpt.AccessToken) {
		t.Fatalf("%s %s", undone.raw, again.raw)
	}
	w.want(409, "conflict", "", w.aliceToken, "POST", path+"/answer", yes) // the late twin of a double click is no new answer
	no := fmt.Sprintf(`{"allow":false,"digest":%q}`, undone.text("request", "digest"))
	if denied := w.want(200, "", "", w.aliceToken, "POST", path+"/answer", no); denied.text("state") != "denied" {
		t.Fatalf("%s", denied.raw)
	}
	w.want(200, "", "", w.aliceToken, "POST", path+"/undo", "")
	for _, bad := range []string{"x", strings.Repeat("0", 32), strings.Repeat("f", 32)} {
		w.want(404, "not_found", "", w.aliceToken, "GET", "/owner/requests/"+bad, "")
		w.want(404, "not_found", "", w.aliceToken, "POST", "/owner/requests/"+bad+"/undo", "")
	}
}

func (w *ownerWorld) active(token string) bool {
	w.t.Helper()
	i, err := w.core.Introspect(w.t.Context(), umaas.PAT{Owner: w.alice, RS: w.rs.ID}, token)
	must(w.t, err)
	return i.Active
}

// TestOwnerAPI_HistoryInvitationsDelegations.
func TestOwnerAPI_HistoryInvitationsDelegations(t *testing.T) {
	w := newOwnerWorld(t)
	made := w.want(201, "", "", w.aliceToken, "POST", "/owner/policies", w.newPolicy(""))
	i := w.want(201, "", "", w.aliceToken, "POST", "/owner/invitations", strings.ReplaceAll(w.newPolicy(""), "bob@", "mia@"))
	if !strings.HasPrefix(i.text("link"), w.url+"/invite/") || i.body["mailed"] != false {
		t.Fatalf("%s", i.raw)
	}
	listed := w.want(200, "", "", w.aliceToken, "GET", "/owner/invitations", "")
	if len(listed.list("invitations")) != 1 || listed.list("invitations")[0]["state"] != "open" || strings.Contains(string(listed.raw), strings.TrimPrefix(i.text("link"), w.url+"/invite/")) {
		t.Fatalf("%s", listed.raw)
	}
	w.want(200, "", "", w.aliceToken, "DELETE", "/owner/invitations/"+i.text("id"), "")
	d := w.want(201, "", "", w.aliceToken, "POST", "/owner/delegations", fmt.Sprintf(`{"who":{"kind":"account","account":%q},"rights":["share","history"],"reason":"parent"}`, w.mia))
	mia := w.ownerToken(w.mia)
	acting := w.want(200, "", "", mia, "GET", "/owner/acting-for", "").list("acting_for")
	if len(acting) != 1 || acting[0]["owner"] != string(w.alice) {
		t.Fatalf("%v", acting)
	}
	w.want(403, "access_denied", "", mia, "POST", "/owner/policies?for="+string(w.alice), strings.ReplaceAll(w.newPolicy(""), "bob@", "mia@"))
	w.want(201, "", "", mia, "POST", "/owner/policies?for="+string(w.alice), strings.ReplaceAll(w.newPolicy(""), "bob@", "dora@"))
	for name, c := range map[string]struct {
		query string
		want  int
	}{
		"all": {"", 5}, "kind": {"?kind=invited,invitation-ended", 2}, "party": {"?party=" + string(w.mia), 1}, "policy": {"?policy=" + made.text("id"), 1},
		"nobody": {"?party=x", 0}, "past": {"?to=2001-01-01T00:00:00Z", 0}, "future": {"?from=" + soon(time.Hour), 0}, "one": {"?limit=1", 1},
		"record": {"?resource=" + string(w.record), 4}, "now": {"?from=" + soon(-time.Hour) + "&to=" + soon(time.Hour), 5},
	} {
		got := w.want(200, "", "", w.aliceToken, "GET", "/owner/history"+c.query, "")
		if events := got.list("events"); len(events) < c.want || name != "all" && name != "now" && len(events) != c.want {
			t.Errorf("%s: %d events, want %d: %s", name, len(events), c.want, got.raw)
		}
	}
	page := w.want(200, "", "", w.aliceToken, "GET", "/owner/history?limit=2", "")
	next := w.want(200, "", "", w.aliceToken, "GET", "/owner/history?limit=2&before="+page.text("next"), "")
	if page.text("next") == "" || next.list("events")[0]["id"] == page.list("events")[1]["id"] {
		t.Errorf("paging: %s %s", page.raw, next.raw)
	}
	export := w.call(w.aliceToken, "GET", "/owner/history?_format=ndjson&kind=share-created", "")
	lines := strings.Split(strings.TrimSpace(string(export.raw)), "\n")
	if len(lines) != 2 || export.header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%q", export.raw)
	}
	for _, l := range lines {
		var line umaas.HistoryLine
		must(t, json.Unmarshal([]byte(l), &line))
		if line.Kind != "share-created" || line.Outcome != "success" || !slices.Contains([]umaas.AccountID{w.alice, w.mia}, line.Actor) {
			t.Errorf("%+v", line)
		}
	}
	for query, sentence := range map[string]string{
		"?parti=x": "this address takes no such parameter; it takes: for, kind, party, client, resource_server, resource, policy, from, to, before, limit, _format",
		"?from=x":  "from: want a time like 2027-01-31T18:00:00Z", "?limit=0": "limit: want a number from 1 to 500", "?before=x": "before: want what next of the page before was",
		"?_format=xml": "_format: want json or ndjson", "?from=2027-01-02T00:00:00Z&to=2027-01-01T00:00:00Z": "the beginning lies after the end",
	} {
		w.want(400, "invalid_request", sentence, w.aliceToken, "GET", "/owner/history"+query, "")
	}
	w.want(200, "", "", w.aliceToken, "GET", "/owner/delegations", "")
	w.want(200, "", "", w.aliceToken, "DELETE", "/owner/delegations/"+d.text("id"), "")
	w.want(404, "not_found", "", mia, "GET", "/owner/history?for="+string(w.alice), "")
}

// TestOpenAPIDocument: the document is valid OpenAPI 3.1, names every route and no other, and is served.
func TestOpenAPIDocument(t *testing.T) {
	w := newOwnerWorld(t)
	res, err := http.Get(w.url + "/owner/openapi.json")
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	doc, err := openapi3.NewLoader().LoadFromIoReader(res.Body)
	must(t, err)
	if err := doc.Validate(t.Context()); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatal(doc.OpenAPI, err)
	}
	documented := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented[method+" "+path] = true
		}
	}
	key := strings.Repeat("f", 32)
	for _, route := range w.routesOf("{id}", key, key, "{id}") {
		path := strings.NewReplacer(key, "{id}").Replace(route[1])
		if !documented[route[0]+" "+path] {
			t.Errorf("%s %s is not documented", route[0], path)
		}
		delete(documented, route[0]+" "+path)
	}
	if len(documented) != 0 {
		t.Errorf("documented and not tested: %v", documented)
	}
}

// TestOwnerAPI_Consents: what is exported comes back by import as the same policy; a refusal names the element.
func TestOwnerAPI_Consents(t *testing.T) {
	w := newOwnerWorld(t)
	made := w.want(201, "", "", w.aliceToken, "POST", "/owner/policies", w.newPolicy(`,"purposes":["TREAT"],"terms":"Do not copy."`))
	one := w.call(w.aliceToken, "GET", "/owner/policies/"+made.text("id")+"?_format=consent", "")
	if one.status != 200 || one.text("resourceType") != "Consent" || one.header.Get("Content-Type") != "application/fhir+json" {
		t.Fatalf("%d %s", one.status, one.raw)
	}
	all := w.call(w.aliceToken, "GET", "/owner/policies?_format=consent", "")
	if all.text("resourceType") != "Bundle" {
		t.Fatalf("%s", all.raw)
	}
	fhir := []string{"Content-Type", "application/fhir+json"}
	checked := w.want(200, "", "", w.aliceToken, "POST", "/owner/consents?check=true", string(all.raw), fhir...)
	if len(checked.list("policies")) != 1 || len(checked.body["created"].([]any)) != 0 {
		t.Fatalf("%s", checked.raw)
	}
	taken := w.want(201, "", "", w.aliceToken, "POST", "/owner/consents", string(one.raw), fhir...)
	if taken.body["created"].([]any)[0] == made.text("id") || fmt.Sprint(taken.list("policies")[0]["rules"]) != fmt.Sprint(made.body["rules"]) || taken.list("policies")[0]["terms"] != "Do not copy." {
		t.Fatalf("%s", taken.raw)
	}
	w.want(400, "invalid_request", "Consent.policy: is not understood here", w.aliceToken, "POST", "/owner/consents", strings.Replace(string(one.raw), "{", `{"policy":[{}],`, 1), fhir...)
	w.want(400, "invalid_request", "Consent.patient.identifier: is not the owner of these records", w.bobsToken, "POST", "/owner/consents", string(one.raw), fhir...)
	w.want(404, "not_found", "", w.bobsToken, "GET", "/owner/policies/"+made.text("id")+"?_format=consent", "")
	w.want(400, "invalid_request", "_format: want json or consent", w.aliceToken, "GET", "/owner/policies?_format=xml", "")
}

// FuzzOwnerBodies: every body is read whole or refused with a sentence.
func FuzzOwnerBodies(f *testing.F) {
	for _, b := range []string{`{"who":{"kind":"email","email":"a@b.c"},"rules":[]}`, `{"items":[]}`, `{"allow":true,"digest":"x"}`, `{"who":{"kind":"claim","claim":{"name":"a","value":"b"}},"rights":["share"]}`, `[]`, `{"rules":[{"resource_id":"x","resource_scopes":[null]}]}`} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, body string) {
		raw := []byte(body)
		if !json.Valid(raw) {
			return
		}
		for _, v := range httpapi.OwnerBodies() {
			if err := httpapi.DecodeOwnerBody(raw, v); err != nil {
				var e *uma.Error
				if !asError(err, &e) || e.Status != 400 {
					t.Fatalf("%v", err)
				}
			}
		}
	})
}
