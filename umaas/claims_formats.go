package umaas

import "errors"

// Identifiers of claim token formats.
const (
	idTokenURI          = "http://openid.net/specs/openid-connect-core-1_0.html#IDToken" //nolint:gosec // an identifier, Grant §3.3.1
	jwtURI              = "urn:ietf:params:oauth:token-type:jwt"                         // RFC 8693 §3
	permissionTicketURI = "https://smarthealthit.org/token-type/permission-ticket"       // SMART Permission Tickets
)

// idTokenFormat is an OpenID Connect ID Token (Core §2, §3.1.3.7; HEART UMA2 §3.1.2, H-03, H-04). It may come again from the
// client that brought it first, for as long as it is fresh; from nobody else.
type idTokenFormat struct{}

func (idTokenFormat) URI() string     { return idTokenURI }
func (idTokenFormat) Use() IssuerUse  { return UseIDToken }
func (idTokenFormat) Types() []string { return []string{"", "JWT"} }

func (idTokenFormat) Read(m Members, to Recipient) (Statement, error) { return readParty(m, to) }

// jwtFormat is a JWT of a configured claims issuer: short-lived, for this server, good once (its jti).
type jwtFormat struct{}

func (jwtFormat) URI() string     { return jwtURI }
func (jwtFormat) Use() IssuerUse  { return UseClaims }
func (jwtFormat) Types() []string { return []string{"", "JWT"} }

func (jwtFormat) Read(m Members, to Recipient) (Statement, error) {
	to.Issuer.ClientAudience = false // a client is no audience of statements for an authorization server
	s, err := readParty(m, to)
	if err != nil {
		return Statement{}, err
	}
	if s.ID = m.text("jti"); s.ID == "" || len(s.ID) > maxJTI {
		return Statement{}, errors.New("jti must have 1 to 255 characters: the token is good once")
	}
	return s, nil
}

// readParty reads what both formats have in common: who the party is, how she signed in, what is said of her.
func readParty(m Members, to Recipient) (Statement, error) {
	until, err := m.period(to.Now, true)
	if err != nil {
		return Statement{}, err
	}
	if err := m.forUs(to); err != nil {
		return Statement{}, err
	}
	s := Statement{Subject: m.text("sub"), Until: until, AMR: m.strings("amr")}
	if s.Subject == "" || len(s.Subject) > 255 { // OpenID Connect Core §2
		return Statement{}, errors.New("sub must have 1 to 255 characters")
	}
	if s.Claims, err = m.stated(to.Issuer.Claims); err != nil {
		return Statement{}, err
	}
	if contains(to.Issuer.Claims, "name") {
		s.Name = m.text("name")
	}
	if m.has("auth_time") {
		at, ok := m.moment("auth_time")
		if !ok || at.After(to.Now.Add(clockSkew)) {
			return Statement{}, errors.New("auth_time lies in the future, or is no date")
		}
		s.AuthTime = at
	}
	if s.ACR = m.text("acr"); !to.Own {
		s.ACR = acrFrom(to.Issuer, s.ACR) // as at a sign-in there: theirs counts as what the operator says it is
	}
	return s, nil
}
