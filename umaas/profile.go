package umaas

import (
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/uma"
)

// Profile narrows what this server does to a profile of its specifications. The zero value is none.
type Profile string

// The profiles.
const (
	ProfileNone  Profile = ""
	ProfileHEART Profile = "heart" // HEART UMA2 and FHIR-UMA2, and of HEART OAuth2 what these build on
)

// Requirement is one rule of a profile: what it says, and what it changes here. Rules that this server keeps anyway change
// nothing; they stand in the table so that it can be read beside the specification.
type Requirement struct {
	ID      string
	Section string
	Says    string
	apply   func(*rules)
}

// rules are the switches of all profiles; the zero value is what the specifications themselves ask.
type rules struct {
	methods        []AuthMethod   // how clients may authenticate, nil: by every method offered
	sign           keys.Algorithm // every access token is a JWT signed so; "": where the resource server asked for one, ES256
	ownerIsSubject bool           // RPT and PAT name the resource owner as sub, and resources as aud
	introspectPAT  bool           // a resource server may introspect its own PAT
	access         time.Duration  // longest life of access tokens, 0: no rule
	refresh        time.Duration  // longest life of refresh tokens other than a PAT's, 0: no rule
}

// Requirements is the table of a profile, nil for none.
func (p Profile) Requirements() []Requirement {
	if p != ProfileHEART {
		return nil
	}
	keep := func(*rules) {}
	return []Requirement{
		{"H-01", "HEART UMA2 §2.1, §4.1.1; OAuth2 §2.2.2", "clients and resource servers authenticate with private_key_jwt alone",
			func(r *rules) { r.methods = []AuthMethod{AuthPrivateKeyJWT} }},
		{"H-02", "HEART UMA2 §3.1.1; OAuth2 §3.1.5", "discovery by uma2-configuration and by openid-configuration", keep},
		{"H-05", "HEART UMA2 §3.2", "resource servers register themselves and introspect with the PAT", keep},
		{"H-06", "HEART UMA2 §3.3; OAuth2 §3.2.1", "PAT and RPT are JWTs signed with this server's key, RS256",
			func(r *rules) { r.sign = keys.RS256 }},
		{"H-07", "HEART UMA2 §3.3.1", "a PAT names iss, aud (introspection and registration endpoint), sub (resource owner), azp; introspection too",
			func(r *rules) { r.ownerIsSubject, r.introspectPAT = true, true }},
		{"H-08", "HEART UMA2 §3.3.2", "an RPT names iss, aud (its resources), sub (resource owner), azp; introspection too",
			func(r *rules) { r.ownerIsSubject = true }},
		{"H-09", "HEART UMA2 §3.3.3", "a PCT is unguessable, holds no claims, and stands for one party and one client", keep},
		{"H-10", "HEART UMA2 §3.3.4; OAuth2 §3.3", "access tokens live an hour at most, refresh tokens a day; those of a PAT outlive their owner's absence",
			func(r *rules) { r.access, r.refresh = time.Hour, 24*time.Hour }},
		{"H-11", "HEART UMA2 §3.4", "clients register themselves; people's pages mark those that nobody has checked", keep},
		{"H-14", "HEART FHIR-UMA2 §2.1", "resource types are the addresses of FHIR compartments and resources", keep},
		{"H-15", "HEART FHIR-UMA2 §2.2", "FHIR access scopes, and besides them conf/, sens/ and btg, may be registered", keep},
	}
}

// rules folds the table.
func (p Profile) rules() rules {
	var r rules
	for _, q := range p.Requirements() {
		q.apply(&r)
	}
	return r
}

func (p Profile) check(l Limits) error {
	switch p {
	case ProfileNone, ProfileHEART:
	default:
		return fmt.Errorf("core: there is no profile %q", p)
	}
	if most := p.rules().access; most > 0 && (l.Access > most || l.RPT > most || l.PAT > most) {
		return errors.New("core: the profile lets access tokens live an hour at most") // H-10
	}
	return nil
}

// allows reports whether clients may authenticate by a method.
func (r rules) allows(m AuthMethod) bool {
	if r.methods == nil {
		return true
	}
	for _, allowed := range r.methods {
		if allowed == m {
			return true
		}
	}
	return false
}

// checkProfile is the part of checkClient that a profile adds.
func (s *Service) checkProfile(c Client) []mistake {
	if s.rules.allows(c.AuthMethod) {
		return nil
	}
	return []mistake{{"token_endpoint_auth_method", "this server follows the HEART profile: private_key_jwt, with the public keys as jwks"}}
}

// refreshLife is how long a refresh token may lie unused.
func (s *Service) refreshLife(kind GrantKind) time.Duration {
	if most := s.rules.refresh; most > 0 && kind != GrantPAT { // H-10: a PAT is for the time without its owner
		return min(most, s.Limits.Refresh)
	}
	return s.Limits.Refresh
}

// signWith is how an access token for a resource server is signed, "" for opaque.
func (s *Service) signWith(rs Client) keys.Algorithm {
	if alg := s.rules.sign; alg != "" {
		return alg
	}
	if rs.RPTFormat == RPTJWT {
		return keys.ES256
	}
	return ""
}

// parties are the members of a token that say whose it is and where it counts.
type parties struct {
	sub, azp, party string
	aud             []string
}

// partiesOf prints them: by RFC 9068 §2.2 sub is the requesting party and aud the resource server; by a profile with
// ownerIsSubject sub is the resource owner and aud what the token gives access to (H-07, H-08), and the party has a member of
// its own.
func (s *Service) partiesOf(g Grant, rs Client, resources []string) parties {
	p := parties{sub: string(g.Party), aud: g.Audience}
	if len(p.aud) == 0 {
		p.aud = rs.Audience
	}
	if !s.rules.ownerIsSubject {
		return p
	}
	p.azp = string(g.Client)
	switch {
	case g.Kind == GrantRPT:
		p.sub, p.party, p.aud = string(g.Owner), string(g.Party), resources
	case g.Kind == GrantPAT:
		p.sub, p.aud = string(g.Owner), []string{s.Issuer + pathIntrospect, s.Issuer + pathResourceSet}
	case len(p.aud) == 0:
		p.aud = []string{s.Issuer + pathUserInfo}
	}
	return p
}

// resourcesOf lists the resources of permissions, once each, in order.
func resourcesOf(permissions []uma.Permission) []string {
	var out []string
	for _, p := range permissions {
		if !contains(out, p.ResourceID) {
			out = append(out, p.ResourceID)
		}
	}
	return out
}

// profileMetadata names the profile (Grant §2), so that a resource server knows whose tokens it will see, and only what the
// profile leaves (SEC-74).
func (s *Service) profileMetadata(m uma.Metadata) uma.Metadata {
	r := s.rules
	var methods []string
	for _, method := range m.TokenEndpointAuthMethodsSupported {
		if r.allows(AuthMethod(method)) {
			methods = append(methods, method)
		}
	}
	m.TokenEndpointAuthMethodsSupported = methods
	if r.ownerIsSubject {
		m.UMAProfilesSupported = append(m.UMAProfilesSupported, uma.ProfileURIHEART)
	}
	return m
}
