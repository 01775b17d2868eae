package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/config"
)

// PushRule is the configuration's word for who may push claims.
func PushRule(c config.Claims) umaas.PushRule {
	if c.Push == "confidential" {
		return umaas.PushConfidential
	}
	return umaas.PushMarked
}

// Issuers are the trusted issuers of a configuration.
func Issuers(list []config.TrustedIssuer) []umaas.TrustedIssuer {
	var out []umaas.TrustedIssuer
	for _, i := range list {
		t := umaas.TrustedIssuer{
			Issuer: i.Issuer, Name: i.Name, Claims: i.Claims, EmailDomains: i.EmailDomains, Algorithms: i.Algorithms, JWKSURI: i.JWKSURI,
			JWKS: []byte(i.JWKS), Audience: i.Audience, ClientAudience: i.ClientAudience, ACRs: i.ACRs, Disabled: i.Disabled,
		}
		for _, u := range i.Uses {
			t.Uses = append(t.Uses, umaas.IssuerUse(u))
		}
		t.InFile = true
		out = append(out, t)
	}
	return out
}

// trust brings the configuration's issuers into the store. What other commands added to an entry (how people sign in there) and
// whether it was disabled stays. An entry that asks for what cannot be, such as unsigned tokens, stops the start (SEC-13). One
// that came from the file and stands there no more is disabled: the file wins (SEC-17).
func trust(ctx context.Context, core *umaas.Service, list []umaas.TrustedIssuer, log *slog.Logger) error {
	for _, i := range list {
		old, err := core.TrustedIssuer(ctx, i.Issuer)
		switch {
		case err == nil:
			keepSignIn(&i, old)
			if len(i.ACRs) == 0 && i.Trusts(umaas.UseSignIn) {
				i.ACRs = old.ACRs // the file says nothing of them; set with the sign-in
			}
			i.Disabled = i.Disabled || old.Disabled && !old.Dropped
			if equalIssuers(i, old) {
				continue
			}
		case !errors.Is(err, umaas.ErrNotFound):
			return err
		}
		if _, err := core.PutTrustedIssuer(ctx, i, operator); err != nil {
			return err
		}
	}
	return distrust(ctx, core, list, log)
}

func equalIssuers(a, b umaas.TrustedIssuer) bool {
	return a.Name == b.Name && slices.Equal(a.Uses, b.Uses) && slices.Equal(a.Claims, b.Claims) && slices.Equal(a.EmailDomains, b.EmailDomains) &&
		slices.Equal(a.Algorithms, b.Algorithms) && a.JWKSURI == b.JWKSURI && string(a.JWKS) == string(b.JWKS) && a.Audience == b.Audience &&
		a.ClientAudience == b.ClientAudience && slices.Equal(a.ACRs, b.ACRs) && a.Disabled == b.Disabled && a.InFile == b.InFile && a.Dropped == b.Dropped
}

// NewIssuer are the arguments of issuer-put.
type NewIssuer struct {
	Issuer, Name   string
	Uses, Claims   []string
	EmailDomains   []string
	Algorithms     []string
	JWKSURI        string
	JWKS           string
	Audience       string
	ClientAudience bool
	ACRs           []string
	Scan           bool // read addresses and algorithms from the issuer's configuration document
}

// IssuerView is a trusted issuer for an operator.
type IssuerView struct {
	Issuer, Name   string
	Uses, Claims   []string
	EmailDomains   []string
	Algorithms     []string
	JWKSURI        string
	Keys           string // "at jwks_uri" or "in the record"
	Audience       string
	ClientAudience bool
	ACRs           []string
	Disabled       bool
	Dropped        bool // disabled since as.trusted_issuers names it no more
	Created        time.Time
}

func viewIssuer(i umaas.TrustedIssuer) IssuerView {
	v := IssuerView{
		Issuer: i.Issuer, Name: i.Name, Claims: i.Claims, EmailDomains: i.EmailDomains, Algorithms: i.Algorithms, JWKSURI: i.JWKSURI, Keys: "at jwks_uri",
		Audience: i.Audience, ClientAudience: i.ClientAudience, ACRs: i.ACRs, Disabled: i.Disabled, Dropped: i.Dropped, Created: i.Created,
	}
	if len(i.JWKS) > 0 {
		v.Keys = "in the record"
	}
	for _, u := range i.Uses {
		v.Uses = append(v.Uses, string(u))
	}
	return v
}

func (a *AS) putIssuer(ctx context.Context, n NewIssuer) (IssuerView, error) {
	i := umaas.TrustedIssuer{Issuer: n.Issuer}
	old, err := a.Service.TrustedIssuer(ctx, n.Issuer)
	switch {
	case err == nil:
	case !errors.Is(err, umaas.ErrNotFound):
		return IssuerView{}, err
	}
	i.Name, i.Claims, i.EmailDomains, i.Algorithms = n.Name, n.Claims, n.EmailDomains, n.Algorithms
	i.JWKSURI, i.JWKS, i.Audience, i.ClientAudience, i.ACRs = n.JWKSURI, []byte(n.JWKS), n.Audience, n.ClientAudience, n.ACRs
	for _, u := range n.Uses {
		i.Uses = append(i.Uses, umaas.IssuerUse(u))
	}
	if err == nil {
		keepSignIn(&i, old)
		i.Disabled, i.InFile, i.Dropped = old.Disabled, old.InFile, old.Dropped
		if i.ACRs == nil {
			i.ACRs = old.ACRs
		}
	}
	if n.Scan {
		found, err := a.fetch.ScanIssuer(ctx, n.Issuer)
		if err != nil {
			return IssuerView{}, err
		}
		i.JWKSURI, i.JWKS = found.JWKSURI, nil
		i.Endpoints = umaas.IssuerEndpoints{
			Authorization: cmp.Or(found.Authorization, i.Endpoints.Authorization), Token: cmp.Or(found.Token, i.Endpoints.Token), UserInfo: cmp.Or(found.UserInfo, i.Endpoints.UserInfo),
		}
		if len(i.Algorithms) == 0 {
			i.Algorithms = usable(found.Algorithms)
		}
	}
	i, err = a.Service.PutTrustedIssuer(ctx, i, operator)
	return viewIssuer(i), err
}

// usable leaves out what this server never accepts: none, and shared secrets.
func usable(algorithms []string) []string {
	var out []string
	for _, alg := range algorithms {
		if slices.Contains([]string{"ES256", "ES384", "RS256", "RS384", "PS256", "PS384"}, alg) {
			out = append(out, alg)
		}
	}
	return out
}

func (a *AS) issuers(ctx context.Context, n Named) ([]IssuerView, error) {
	if n.Name != "" {
		i, err := a.Service.TrustedIssuer(ctx, n.Name)
		return []IssuerView{viewIssuer(i)}, issuerKnown(n, err)
	}
	out := []IssuerView{}
	after := ""
	for {
		page, err := a.Service.TrustedIssuers(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, i := range page {
			out = append(out, viewIssuer(i))
		}
		after = page[len(page)-1].Issuer
	}
}

func (a *AS) lockIssuer(ctx context.Context, n Named) (struct{}, error) {
	return struct{}{}, issuerKnown(n, a.Service.SetIssuerDisabled(ctx, n.Name, n.Yes, operator))
}

func (a *AS) removeIssuer(ctx context.Context, n Named) (struct{}, error) {
	return struct{}{}, issuerKnown(n, a.Service.RemoveTrustedIssuer(ctx, n.Name, operator))
}

func issuerKnown(n Named, err error) error {
	if errors.Is(err, umaas.ErrNotFound) {
		return fmt.Errorf("no issuer %q is trusted; `umaas issuer list` shows them", n.Name)
	}
	return err
}

// ScannedIssuer is what an issuer says of itself; nothing of it is trusted yet.
type ScannedIssuer struct {
	Issuer, JWKSURI     string
	Algorithms, Unusual []string // accepted here; offered there and never accepted here
	Claims, ACRs        []string
}

func (a *AS) scanIssuer(ctx context.Context, n Named) (ScannedIssuer, error) {
	m, err := a.fetch.ScanIssuer(ctx, n.Name)
	if err != nil {
		return ScannedIssuer{}, err
	}
	s := ScannedIssuer{Issuer: m.Issuer, JWKSURI: m.JWKSURI, Algorithms: usable(m.Algorithms), Claims: m.Claims, ACRs: m.ACRs}
	for _, alg := range m.Algorithms {
		if !slices.Contains(s.Algorithms, alg) {
			s.Unusual = append(s.Unusual, alg)
		}
	}
	return s, nil
}

func (a *AS) pushClaims(ctx context.Context, n Named) (struct{}, error) {
	return struct{}{}, known(n, a.Service.SetPushClaims(ctx, umaas.ClientID(n.Name), n.Yes, operator))
}

// TicketOrder are the arguments of ticket-export.
type TicketOrder struct {
	Login, Policy, Audience, JKT string
	Life                         time.Duration
}

func (a *AS) exportTicket(ctx context.Context, o TicketOrder) (Named, error) {
	account, err := a.account(ctx, o.Login)
	if err != nil {
		return Named{}, err
	}
	ticket, err := a.Service.ExportTicket(ctx, account.ID, umaas.PolicyID(o.Policy), umaas.TicketExport{
		Audience: strings.TrimSpace(o.Audience), JKT: o.JKT, Life: o.Life,
	}, "operator")
	if errors.Is(err, umaas.ErrNotFound) {
		return Named{}, fmt.Errorf("%s has no share %q in force", o.Login, o.Policy)
	}
	return Named{Name: o.Policy, Value: ticket}, err
}
