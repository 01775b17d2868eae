package umaas

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Members are the claims of a verified token by exact name, undecoded.
type Members map[string]json.RawMessage

// text is a string member; "" where it is absent or something else.
func (m Members) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

// moment is a NumericDate (RFC 7519 §2); ok is false where the member is absent or no sane number.
func (m Members) moment(name string) (time.Time, bool) {
	var f float64
	const year9999 = 253402300799
	if raw, has := m[name]; !has || json.Unmarshal(raw, &f) != nil || f <= 0 || f > year9999 {
		return time.Time{}, false
	}
	return time.Unix(int64(f), 0), true
}

// audience is aud: one string or several (RFC 7519 §4.1.3).
func (m Members) audience() []string {
	var a audience
	if json.Unmarshal(m["aud"], &a) != nil {
		return nil
	}
	return a
}

// strings is a member that is a list of strings.
func (m Members) strings(name string) []string {
	var out []string
	if json.Unmarshal(m[name], &out) != nil {
		return nil
	}
	return out
}

func (m Members) has(name string) bool { _, ok := m[name]; return ok }

// maxTokenLife bounds how long an ID token or claims JWT may be good for, freshness how long ago it may have been issued
// (SEC-14).
const (
	freshness    = 10 * time.Minute
	maxTokenLife = 24 * time.Hour
)

// period checks exp, nbf and, if it must be fresh, iat. exp is required always: a claim without an end is no claim.
func (m Members) period(now time.Time, fresh bool) (until time.Time, err error) {
	exp, ok := m.moment("exp")
	if !ok || !now.Before(exp) {
		return time.Time{}, errors.New("exp is missing, or the token has expired")
	}
	if m.has("nbf") {
		if nbf, ok := m.moment("nbf"); !ok || nbf.After(now.Add(clockSkew)) {
			return time.Time{}, errors.New("not valid yet")
		}
	}
	iat, ok := m.moment("iat")
	switch {
	case m.has("iat") && !ok, ok && iat.After(now.Add(clockSkew)):
		return time.Time{}, errors.New("iat lies in the future, or is no date")
	case fresh && (!ok || now.Sub(iat) > freshness):
		return time.Time{}, errors.New("iat is missing, or more than 10 minutes ago")
	case fresh && exp.Sub(iat) > maxTokenLife:
		return time.Time{}, errors.New("good for more than a day: too long for a statement about a person")
	}
	return exp, nil
}

// forUs judges aud and azp (OpenID Connect Core §3.1.3.7 steps 3 to 5, SEC-14): this server, or the client that pushes where the
// issuer's tokens for our clients count. Of several audiences azp must say which is meant, and azp is never somebody else.
func (m Members) forUs(to Recipient) error {
	self := []string{to.Self}
	if to.Issuer.Audience != "" {
		self = []string{to.Issuer.Audience}
	}
	mine := self
	if to.Issuer.ClientAudience {
		if mine = []string{string(to.Client)}; !to.Own {
			mine = append(mine, self...)
		}
	}
	aud, azp := m.audience(), m.text("azp")
	switch {
	case !slices.ContainsFunc(aud, func(a string) bool { return a != "" && slices.Contains(mine, a) }):
		return errors.New("aud names somebody else")
	case len(aud) > 1 && azp == "":
		return errors.New("several audiences, and no azp")
	case m.has("azp") && !slices.Contains(mine, azp) && azp != string(to.Client):
		return errors.New("azp names somebody else")
	}
	return nil
}

// reserved are members with a meaning of their own: no issuer is believed on them as a claim, whatever its configuration says.
// Time, place, client, owner and purpose of a request are never anybody's to state (SEC-18).
var reserved = []string{
	claimSubject, claimTicket, claimSignIn, claimPushedAs, "iss", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "at_hash", "c_hash", "acr", "amr", "auth_time", "sid",
	"cnf", "act", "may_act", "scope", "client_id", "time", "now", "date", "ip", "ip_address", "remote_addr", "realm", "purpose",
	"purpose_of_use", "resource_owner", "owner", "resource_id", "permissions", "email_verified",
}

// Names of claims that this server itself derives from a token.
const (
	claimSubject = "sub"               // who the party is at the issuer: a grant rests on it (SEC-17)
	claimTicket  = "permission_ticket" // the kind of Permission Ticket that was presented
)

// stated reads the claims the issuer is believed on, in their one form:
//
//	org, role, … text, or a list of texts     one claim each (HEART FHIR-UMA2 §3.1)
//	pro          [{src, val}]                 "src|val" each (ibid. §3.2)
//	email        text, with email_verified    lower case; without email_verified it is no claim (ibid. §3.3)
//	er, …        true                         "true"; false is no claim (ibid. §3.4)
func (m Members) stated(believed []string) ([]Claim, error) {
	var out []Claim
	for _, name := range believed {
		if slices.Contains(reserved, name) || !m.has(name) {
			continue
		}
		for _, value := range m.values(name) {
			if value == "" || len(value) > maxClaimValue {
				return nil, fmt.Errorf("claim %s: empty, or too long", name)
			}
			if c := (Claim{Name: name, Value: value}); !slices.Contains(out, c) {
				out = append(out, c)
			}
		}
		if len(out) > maxStated {
			return nil, fmt.Errorf("more than %d claims", maxStated)
		}
	}
	return out, nil
}

func (m Members) values(name string) []string {
	raw := m[name]
	switch name {
	case "pro":
		return professional(raw)
	case "email":
		var verified bool
		if json.Unmarshal(m["email_verified"], &verified) != nil || !verified || !isAddress(strings.ToLower(m.text(name))) {
			return nil
		}
		return []string{strings.ToLower(m.text(name))}
	}
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var yes bool
	if json.Unmarshal(raw, &yes) == nil {
		if yes {
			return []string{"true"}
		}
		return nil
	}
	var many []string
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	return nil // numbers and objects say nothing here
}

// professional reads pro. A src with "|" in it could pass for another pair.
func professional(raw json.RawMessage) []string {
	var pairs []struct {
		Src string `json:"src"`
		Val string `json:"val"`
	}
	if json.Unmarshal(raw, &pairs) != nil {
		return nil
	}
	var out []string
	for _, p := range pairs {
		if p.Src != "" && p.Val != "" && !strings.Contains(p.Src, "|") {
			out = append(out, p.Src+"|"+p.Val)
		}
	}
	return out
}
