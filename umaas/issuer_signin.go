package umaas

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// SignInSetup is how people sign in at an issuer: this server as the issuer's client. Empty members leave what the record has.
type SignInSetup struct {
	Issuer        string // exactly as in iss
	Name          string // as people know it
	ClientID      string
	Secret        string // "" keeps the one there is
	Public        bool   // a client without a secret: one that is there is forgotten
	Authorization string
	Token         string
	JWKSURI       string
	ACRs          []string // values that count here, or theirs=ours; nil leaves them
}

// SetSignIn trusts an issuer for sign-in, or changes how people sign in there. What the issuer is believed about people is not
// touched: a new record starts with no claim. It reports every mistake at once.
func (s *Service) SetSignIn(ctx context.Context, n SignInSetup, actor AccountID) (TrustedIssuer, error) {
	sealed, err := s.SealSecret(n.Issuer, n.Secret)
	if err != nil {
		return TrustedIssuer{}, err
	}
	now := s.Now()
	var i TrustedIssuer
	err = s.Store.Update(ctx, func(tx Tx) error {
		var err error
		i, err = tx.TrustedIssuer(n.Issuer)
		if gone, err := absent(err); err != nil {
			return fmt.Errorf("read issuer: %w", err)
		} else if gone {
			i = TrustedIssuer{Issuer: n.Issuer, Created: now}
		}
		for _, m := range []struct {
			into *string
			from string
		}{
			{&i.Name, strings.TrimSpace(n.Name)}, {&i.ClientID, n.ClientID}, {&i.Endpoints.Authorization, n.Authorization}, {&i.Endpoints.Token, n.Token}, {&i.JWKSURI, n.JWKSURI},
		} {
			if m.from != "" {
				*m.into = m.from
			}
		}
		if n.ACRs != nil {
			i.ACRs = n.ACRs
		}
		switch {
		case n.Public:
			i.ClientSecret = nil
		case n.Secret != "":
			i.ClientSecret = sealed
		}
		if !i.Trusts(UseSignIn) && !hasUse(i, UseSignIn) {
			i.Uses = append(append([]IssuerUse(nil), i.Uses...), UseSignIn)
		}
		if err := s.checkSignIn(i); err != nil {
			return err
		}
		if err := tx.PutTrustedIssuer(i); err != nil {
			return fmt.Errorf("store issuer: %w", err)
		}
		return s.auditOAuth(tx, now, AuditEvent{Type: "issuer-changed", Outcome: OutcomeSuccess, Actor: actor})
	})
	return i, err
}

func hasUse(i TrustedIssuer, use IssuerUse) bool {
	for _, u := range i.Uses {
		if u == use {
			return true
		}
	}
	return false
}

// checkSignIn tells all mistakes of a record at once.
func (s *Service) checkSignIn(i TrustedIssuer) error {
	var mistakes []error
	address := func(name, value string) {
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
			mistakes = append(mistakes, fmt.Errorf("%s: want an absolute address", name))
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
			mistakes = append(mistakes, fmt.Errorf("%s: want https (http is accepted for localhost alone)", name))
		}
	}
	address("issuer", i.Issuer)
	if i.Issuer == s.Issuer {
		mistakes = append(mistakes, errors.New("issuer: this is the server itself"))
	}
	if cleanText(i.Name) == "" {
		mistakes = append(mistakes, errors.New("name: say how people know it"))
	}
	if i.ClientID == "" {
		mistakes = append(mistakes, errors.New("client id: register this server there first"))
	}
	address("authorization endpoint", i.Endpoints.Authorization)
	address("token endpoint", i.Endpoints.Token)
	if len(i.JWKS) == 0 {
		address("jwks_uri", i.JWKSURI)
	}
	for _, entry := range i.ACRs {
		if _, ours := splitACR(entry); ours == "" {
			mistakes = append(mistakes, fmt.Errorf("acr %q counts for nothing: want one of %s, or theirs=ours", entry, strings.Join(acrOrder[:], ", ")))
		}
	}
	return errors.Join(mistakes...)
}

// SignInRecords lists the issuers trusted for sign-in or disabled, for administration.
func (s *Service) SignInRecords(ctx context.Context) ([]TrustedIssuer, error) {
	var out []TrustedIssuer
	err := s.Store.View(ctx, func(r Reader) error {
		out = nil
		list, err := r.TrustedIssuers("", mostIssuers)
		for _, i := range list {
			if hasUse(i, UseSignIn) {
				out = append(out, i)
			}
		}
		return err
	})
	return out, err
}
