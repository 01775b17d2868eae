package httpapi_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_20_ClaimsCountWithTheirIssuer: values of HEART's claims in their one form, each with the issuer that is trusted for
// it; an address identifies a person only in the issuer's own domains.
func TestSEC_20_ClaimsCountWithTheirIssuer(t *testing.T) {
	a := newClaimsAS(t)
	other := newHospital(t)
	_, err := a.core.PutTrustedIssuer(t.Context(), umaas.TrustedIssuer{
		Issuer: other.iss, Uses: []umaas.IssuerUse{umaas.UseIDToken}, Claims: []string{"er"}, JWKSURI: other.iss + "/jwks",
	}, "")
	must(t, err)
	mail := func(address string) umaas.Who { return umaas.Who{Kind: umaas.WhoEmail, Email: address} }
	for _, c := range []struct {
		name  string
		who   umaas.Who
		also  []umaas.Claim
		said  members
		other bool
		want  bool
	}{
		{"org", byClaim(a.iss, "org", clinic), nil, members{}, false, true},
		{"org as text", byClaim(a.iss, "org", clinic), nil, members{"org": clinic}, false, true},
		{"org, another value", byClaim(a.iss, "org", clinic+"/x"), nil, members{}, false, false},
		{"SEC-41 org, a prefix", byClaim(a.iss, "org", "https://clinic"), nil, members{}, false, false},
		{"SEC-41 org with a suffix", byClaim(a.iss, "org", clinic), nil, members{"org": clinic + "/"}, false, false},
		{"SEC-41 org in other letters", byClaim(a.iss, "org", clinic), nil, members{"org": "https://Clinic.example"}, false, false},
		{"SEC-41 org that looks alike", byClaim(a.iss, "org", clinic), nil, members{"org": "https://сlinic.example"}, false, false},
		{"SEC-41 org, everything", byClaim(a.iss, "org", clinic), nil, members{"org": "*"}, false, false},
		{"org of another issuer", byClaim(other.iss, "org", clinic), nil, members{}, false, false},
		{"org of an issuer not believed on it", byClaim(other.iss, "org", clinic), nil, members{}, true, false},
		{"org without issuer", byClaim("", "org", clinic), nil, members{}, false, false},
		{"pro", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": []members{{"src": "https://board.example", "val": "MD"}}}, false, true},
		{"pro of another source", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": []members{{"src": "https://evil.example", "val": "MD"}}}, false, false},
		{"pro as text", byClaim(a.iss, "pro", "https://board.example|MD"), nil, members{"pro": "https://board.example|MD"}, false, false},
		{"pro with a pair inside", byClaim(a.iss, "pro", "https://board.example|MD|x"), nil, members{"pro": []members{{"src": "https://board.example|MD", "val": "x"}}}, false, false},
		{"er", byClaim(a.iss, "er", "true"), nil, members{"er": true}, false, true},
		{"er false", byClaim(a.iss, "er", "true"), nil, members{"er": false}, false, false},
		{"er of the other issuer", byClaim(other.iss, "er", "true"), nil, members{"er": true}, true, true},
		{"email in its domain", mail("nora@hospital.example"), nil, members{"email": "Nora@Hospital.example", "email_verified": true}, false, true},
		{"email as a claim", byClaim(a.iss, "email", "nora@elsewhere.example"), nil, members{"email": "nora@elsewhere.example", "email_verified": true}, false, true},
		{"email outside its domain", mail("nora@elsewhere.example"), nil, members{"email": "nora@elsewhere.example", "email_verified": true}, false, false},
		{"email of a subdomain", mail("nora@x.hospital.example"), nil, members{"email": "nora@x.hospital.example", "email_verified": true}, false, false},
		{"email not verified", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example"}, false, false},
		{"email verified in words", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example", "email_verified": "true"}, false, false},
		{"email of an issuer without domains", mail("nora@hospital.example"), nil, members{"email": "nora@hospital.example", "email_verified": true}, true, false},
		{"SEC-19 one of two", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{}, false, false},
		{"SEC-19 the other of two", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{"org": nil, "er": true}, false, false},
		{"SEC-19 both", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}}, members{"er": true}, false, true},
		{"SEC-19 both, one by another issuer", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: other.iss, Name: "er", Value: "true"}}, members{"er": true}, false, false},
		{"SEC-19 three of three", byClaim(a.iss, "org", clinic), []umaas.Claim{{Issuer: a.iss, Name: "er", Value: "true"}, {Issuer: a.iss, Name: "org", Value: "urn:x"}}, members{"er": true, "org": []string{"urn:x", clinic}}, false, true},
		{"SEC-19 an empty further claim", byClaim(a.iss, "org", clinic), []umaas.Claim{{}}, members{}, false, false},
		{"who she is there", byClaim(a.iss, "sub", "nora"), nil, members{}, false, true},
		{"who she is elsewhere", byClaim(a.iss, "sub", "nora"), nil, members{}, true, false},
	} {
		id := a.allow(c.who, func(p *umaas.Policy) { p.Also = c.also }, "patient/Observation.r")
		token := a.signed(c.said, members{"sub": "nora-" + rand.Text()})
		if strings.HasPrefix(c.name, "who she is") {
			token = a.signed()
		}
		if c.other {
			token = es256(t, other.ec, esHead, a.nora(c.said, members{"iss": other.iss}))
		}
		status, got := a.push(a.ticket("patient/Observation.r"), idToken, token)
		if (status == 200) != c.want || status != 200 && got["error"] != "request_submitted" {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
		_, err := a.core.StopShare(t.Context(), a.patient, id, "")
		must(t, err)
		if c.want {
			if i := a.inspect(got["access_token"]); i["active"] != false {
				t.Errorf("%s: lives on without its policy", c.name)
			}
		}
	}
}

// TestSEC_18_ClaimsDoNotOverrideTheEnvironment: claims named like attributes of the request change nothing, and nobody can be
// configured to be believed on them.
func TestSEC_18_ClaimsDoNotOverrideTheEnvironment(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), func(p *umaas.Policy) { p.NotAfter = time.Now().Add(time.Hour); p.Purposes = []string{"TREAT"} }, "patient/Observation.r")
	a.allow(byClaim(a.iss, "org", clinic), func(p *umaas.Policy) { p.Client = a.signer.ID }, "patient/Observation.r")
	for _, name := range []string{"time", "now", "ip", "client_id", "resource_owner", "purpose", "permission_ticket", "scope"} {
		value := map[string]string{"client_id": string(a.signer.ID), "resource_owner": string(a.patient), "purpose": "TREAT", "permission_ticket": shareKind}[name]
		if value == "" {
			value = "2020-01-01T00:00:00Z"
		}
		id := a.allow(byClaim(a.iss, name, value), nil, "patient/Observation.r")
		if status, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(members{name: value})); status != 403 {
			t.Errorf("%s: %d %v", name, status, got)
		}
		_, err := a.core.StopShare(t.Context(), a.patient, id, "")
		must(t, err)
		i, err := a.core.TrustedIssuer(t.Context(), a.iss)
		must(t, err)
		i.Claims = append(i.Claims, name)
		if _, err := a.core.PutTrustedIssuer(t.Context(), i, ""); err == nil {
			t.Errorf("an issuer is believed on %s", name)
		}
	}
}

// TestSEC_14_AudiencesOfAnIssuer: an issuer that shares our clients may name the client that pushes, and no other; one that knows
// us by another name uses that name and not ours.
func TestSEC_14_AudiencesOfAnIssuer(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	set := func(change func(*umaas.TrustedIssuer)) {
		i, err := a.core.TrustedIssuer(t.Context(), a.iss)
		must(t, err)
		i.ClientAudience, i.Audience = false, ""
		change(&i)
		_, err = a.core.PutTrustedIssuer(t.Context(), i, "")
		must(t, err)
	}
	shared := func(i *umaas.TrustedIssuer) { i.ClientAudience = true }
	named := func(i *umaas.TrustedIssuer) { i.Audience = "https://harborview.example" }
	app, signer := string(a.app.ID), string(a.signer.ID)
	for _, c := range []struct {
		name   string
		issuer func(*umaas.TrustedIssuer)
		format string
		said   members
		status int
	}{
		{"shared clients, this client", shared, idToken, members{"aud": app}, 200},
		{"shared clients, this client and azp", shared, idToken, members{"aud": []string{app, signer}, "azp": app}, 200},
		{"shared clients, another", shared, idToken, members{"aud": signer}, 403},
		{"shared clients, another is azp", shared, idToken, members{"aud": []string{app, signer}, "azp": signer}, 403},
		{"shared clients, this server", shared, idToken, members{"aud": a.url}, 200},
		{"shared clients, a JWT", shared, jwtToken, members{"aud": app}, 403},
		{"another name for us", named, idToken, members{"aud": "https://harborview.example"}, 200},
		{"another name for us, and not ours", named, idToken, members{"aud": a.url}, 403},
		{"another name for us, not its beginning", named, idToken, members{"aud": "https://harborview.example/x"}, 403},
	} {
		set(c.issuer)
		if status, got := a.push(a.ticket("patient/Observation.r"), c.format, a.signed(c.said)); status != c.status {
			t.Errorf("%s: %d %v", c.name, status, got)
		}
	}
}

// TestClaimsWhileWaitingAndUpgrading: a token pushed while the owner is asked can settle the process; an upgraded RPT keeps what
// the old one rested on, claims included, while it still holds.
func TestClaimsWhileWaitingAndUpgrading(t *testing.T) {
	a := newClaimsAS(t)
	a.allow(byClaim(a.iss, "org", clinic), nil, "patient/Observation.r")
	er := a.allow(byClaim(a.iss, "er", "true"), nil, "patient/Condition.r")
	_, got := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(members{"org": nil}))
	if got["error"] != "request_submitted" {
		t.Fatal(got)
	}
	status, got := a.push(got["ticket"].(string), jwtToken, a.signed())
	if status != 200 {
		t.Fatalf("while waiting: %d %v", status, got)
	}
	status, got = a.push(a.ticket("patient/Condition.r"), idToken, a.signed(members{"org": nil, "er": true}), "rpt", got["access_token"].(string))
	if status != 200 || got["upgraded"] != true {
		t.Fatalf("upgrade: %d %v", status, got)
	}
	if told := permissionsOf(t, a.inspect(got["access_token"])); told != `{"resource_scopes":["patient/Condition.r"]},{"resource_scopes":["patient/Observation.r"]}` {
		t.Errorf("upgraded: %s", told)
	}
	_, err := a.core.StopShare(t.Context(), a.patient, er, "")
	must(t, err)
	if told := permissionsOf(t, a.inspect(got["access_token"])); told != `{"resource_scopes":["patient/Observation.r"]}` {
		t.Errorf("one share less: %s", told)
	}
	other, key, err := a.core.AddClient(t.Context(), umaas.Client{Name: "C2", AuthMethod: umaas.AuthSecretPost, GrantTypes: []string{uma.GrantTypeTicket}, ClaimsRedirectURIs: []string{"https://c.example/cb"}, PushClaims: true}, "")
	must(t, err)
	status, taken := a.push(a.ticket("patient/Observation.r"), idToken, a.signed(), "client_id", string(other.ID), "client_secret", key, "rpt", got["access_token"].(string))
	if status != 200 || taken["upgraded"] != nil {
		t.Errorf("SEC-26 another client's RPT: %d %v", status, taken)
	}
}
