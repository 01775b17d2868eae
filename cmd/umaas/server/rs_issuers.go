package server

import (
	"crypto/rand"
	"net/netip"
	"net/url"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/state"
)

// FurtherIssuer is an authorization server beside the deployment's own.
type FurtherIssuer struct {
	Issuer   string
	ClientID string // empty: this server registers itself there
	Secret   string
	SignIn   bool // people sign in here with it, and it is trusted like the deployment's own
	FHIRUser bool // with SignIn: it may say which FHIR resource a person is
}

// issuers are the authorization servers of the deployment, with the client of the default one.
func (c RSConfig) issuers(st *state.Store) (*rs.Issuers, *asclient.Client, error) {
	template := asclient.Config{
		Name: c.Name, RedirectURI: c.Base + rs.CallbackPath, Audience: c.Base + FHIRPath, RPTFormat: c.RPTFormat, Store: st,
		Transport: c.Transport, Now: c.Now, Random: rand.Reader, Logger: c.Logger,
	}
	all := append([]FurtherIssuer{{Issuer: c.Issuer, ClientID: c.ClientID, Secret: c.Secret, SignIn: true}}, c.Issuers...)
	var own []*asclient.Client
	var listed []rs.ListedIssuer
	for _, i := range all {
		if !i.SignIn {
			listed = append(listed, rs.ListedIssuer{Issuer: i.Issuer, ClientID: i.ClientID, Secret: i.Secret})
			continue
		}
		cfg := template
		cfg.Issuer, cfg.ClientID, cfg.ClientSecret = i.Issuer, i.ClientID, i.Secret
		if i.Issuer == c.Issuer {
			cfg.ClientKey, cfg.ResourceAudience = c.Key, c.HEART
		}
		client, err := asclient.New(cfg)
		if err != nil {
			return nil, nil, err
		}
		own = append(own, client)
	}
	clients, err := rs.NewIssuers(rs.IssuersConfig{
		Own: own, Listed: listed, Policy: c.Foreign, Template: template, Base: c.Base, Guard: c.guard(), State: st, Logger: c.Logger,
	})
	if err != nil {
		return nil, nil, err
	}
	return clients, own[0], nil
}

// ownIssuers are those any app may be told of (RFC 9728 §2). Which server a patient has chosen, an app learns from the answer
// to its own request about her record alone.
func (c RSConfig) ownIssuers() []string {
	list := []string{c.Issuer}
	for _, i := range c.Issuers {
		if i.SignIn {
			list = append(list, i.Issuer)
		}
	}
	return list
}

// guard is what requests to foreign servers may reach: public addresses by https, and on a development machine, whose own
// authorization server is on loopback, loopback.
func (c RSConfig) guard() asclient.GuardOptions {
	o := asclient.GuardOptions{Private: append([]netip.Prefix(nil), c.Private...)}
	if u, err := url.Parse(c.Issuer); err == nil && u.Scheme == "http" {
		o.InsecureHTTP, o.Private = true, append(o.Private, asclient.LoopbackRanges()...)
	}
	return o
}

func (c RSConfig) fhirUserIssuers() []string {
	var list []string
	for _, i := range c.Issuers {
		if i.SignIn && i.FHIRUser {
			list = append(list, i.Issuer)
		}
	}
	return list
}
