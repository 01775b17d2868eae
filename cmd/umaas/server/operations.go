package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/umaas/umaas/cmd/umaas/control"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/keys"
	"github.com/umaas/umaas/umaas/signin"
)

// operator is the actor of operations on the machine itself.
const operator umaas.AccountID = "operator"

// NewUser are the arguments of user-add.
type NewUser struct {
	Login, Name, Email, FHIRUser, Password string
	Verified, Admin                        bool
	Organization                           bool
	Claims                                 []umaas.Claim
}

// UserView is an account for an operator: never with its password.
type UserView struct {
	ID       umaas.AccountID
	Login    string
	Name     string
	Email    string
	FHIRUser string
	Admin    bool
	Disabled bool

	Identities []string // how issuers know her: "subject at issuer"
}

// Named points to one thing.
type Named struct {
	Name  string
	Value string
	Yes   bool
}

// NewClient are the arguments of client-add.
type NewClient struct {
	Name               string
	AuthMethod         umaas.AuthMethod
	RedirectURIs       []string
	ClaimsRedirectURIs []string
	GrantTypes         []string
	Scopes             []string
	Audience           []string
	RPTFormat          umaas.RPTFormat
	Account            string // login of the organization it acts for
	CheckedBy          string
	PushClaims         bool
	JWKS               []byte // public keys, for private_key_jwt and self_signed_tls_client_auth
	DPoPBound          bool
	TLSBound           bool
	TLSSubject         string // distinguished name (RFC 4514), for tls_client_auth
	TLSName            string // in its place: dns:, uri:, ip: or email: and the name
}

// ClientView is a client for an operator; Secret is set once, at creation.
type ClientView struct {
	ID       umaas.ClientID
	Name     string
	Kind     string
	Dynamic  bool
	Disabled bool
	Secret   string
}

// Operations are what an operator can ask of the authorization server.
func (a *AS) Operations() control.Operations {
	return control.Operations{
		"user-add":      control.Op(a.AddUser),
		"user-list":     control.Op(a.users),
		"user-show":     control.Op(a.showUser),
		"user-lock":     control.Op(a.lockUser),
		"user-password": control.Op(a.setPassword),
		"client-add":    control.Op(a.AddClient),
		"client-list":   control.Op(a.clients),
		"client-lock":   control.Op(a.lockClient),
		"client-secret": control.Op(a.renewSecret),
		"key-list":      control.Op(func(context.Context, struct{}) ([]keys.Info, error) { return a.Keys.Keys(), nil }),
		"key-rotate":    control.Op(a.rotate),
		"policy-list":   control.Op(a.policies),
		"policy-stop":   control.Op(a.stopPolicy),
		"policy-export": control.Op(a.exportPolicies),
		"policy-import": control.Op(a.importPolicies),
		"emergency-set": control.Op(a.setEmergency),

		"delegation-add":  control.Op(a.addDelegation),
		"delegation-list": control.Op(a.delegations),
		"delegation-end":  control.Op(a.endDelegation),
		"explain":         control.Op(a.explain),
		"client-push":     control.Op(a.pushClaims),
		"ticket-export":   control.Op(a.exportTicket),
		"issuer-put":      control.Op(a.putIssuer),
		"issuer-list":     control.Op(a.issuers),
		"issuer-lock":     control.Op(a.lockIssuer),
		"issuer-remove":   control.Op(a.removeIssuer),
		"issuer-scan":     control.Op(a.scanIssuer),
		"sign-in-set":     control.Op(a.setSignIn),
		"sign-in-list":    control.Op(a.signIns),
		"sign-in-back":    control.Op(a.backTo),
	}
}

// Streams are the answers too big for JSON.
func (a *AS) Streams() map[string]control.Stream {
	return map[string]control.Stream{"backup": a.Backup}
}

// AddUser makes an account.
func (a *AS) AddUser(ctx context.Context, n NewUser) (UserView, error) {
	hash := ""
	if n.Password != "" {
		cost := a.cost
		if cost == (signin.Cost{}) {
			cost = signin.DefaultCost()
		}
		var err error
		if hash, err = signin.HashPassword(n.Password, cost, rand.Reader); err != nil {
			return UserView{}, err
		}
	}
	account := umaas.Account{
		Kind: umaas.KindPerson, Login: strings.ToLower(n.Login), Name: n.Name, Email: strings.ToLower(n.Email), EmailVerified: n.Verified && n.Email != "",
		PasswordHash: hash, FHIRUser: n.FHIRUser, Claims: n.Claims,
	}
	if n.Organization {
		account.Kind = umaas.KindOrganization
	}
	if n.Admin {
		account.Roles = []umaas.Role{umaas.RoleAdmin}
	}
	account, err := a.Service.PutAccount(ctx, account, operator)
	return viewUser(account), err
}

func viewUser(a umaas.Account) UserView {
	v := UserView{ID: a.ID, Login: a.Login, Name: a.Name, Email: a.Email, FHIRUser: a.FHIRUser, Admin: a.Has(umaas.RoleAdmin), Disabled: a.Disabled}
	for _, i := range a.Identities {
		v.Identities = append(v.Identities, i.Subject+" at "+i.Issuer)
	}
	return v
}

const pageSize = 500

func (a *AS) users(ctx context.Context, _ struct{}) ([]UserView, error) {
	out := []UserView{}
	var after umaas.AccountID
	for {
		page, err := a.Service.Accounts(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, account := range page {
			out = append(out, viewUser(account))
		}
		after = page[len(page)-1].ID
	}
}

// account finds an account by its id or by its login: who came by an issuer alone has no login.
func (a *AS) account(ctx context.Context, name string) (umaas.Account, error) {
	account, err := a.Service.Account(ctx, umaas.AccountID(name))
	if errors.Is(err, umaas.ErrNotFound) {
		account, err = a.Service.AccountByLogin(ctx, strings.ToLower(name))
	}
	if errors.Is(err, umaas.ErrNotFound) {
		return account, fmt.Errorf("nobody has the login %q, and no account has that id", name)
	}
	return account, err
}

func (a *AS) showUser(ctx context.Context, n Named) (UserView, error) {
	account, err := a.account(ctx, n.Name)
	return viewUser(account), err
}

func (a *AS) lockUser(ctx context.Context, n Named) (UserView, error) {
	account, err := a.account(ctx, n.Name)
	if err != nil {
		return UserView{}, err
	}
	account, err = a.Service.SetAccountDisabled(ctx, account.ID, n.Yes, operator)
	return viewUser(account), err
}

func (a *AS) setPassword(ctx context.Context, n Named) (UserView, error) {
	account, err := a.account(ctx, n.Name)
	if err != nil {
		return UserView{}, err
	}
	cost := a.cost
	if cost == (signin.Cost{}) {
		cost = signin.DefaultCost()
	}
	hash, err := signin.HashPassword(n.Value, cost, rand.Reader)
	if err != nil {
		return UserView{}, err
	}
	return viewUser(account), a.Service.SetPassword(ctx, account.ID, hash, operator)
}

// AddClient registers a client that an administrator vouches for.
func (a *AS) AddClient(ctx context.Context, n NewClient) (ClientView, error) {
	c := umaas.Client{
		Name: n.Name, AuthMethod: n.AuthMethod, RedirectURIs: n.RedirectURIs, ClaimsRedirectURIs: n.ClaimsRedirectURIs,
		GrantTypes: n.GrantTypes, Scopes: n.Scopes, Audience: n.Audience, RPTFormat: n.RPTFormat, CheckedBy: n.CheckedBy, PushClaims: n.PushClaims,
		JWKS: n.JWKS, DPoPBound: n.DPoPBound, TLSBound: n.TLSBound, TLSSubject: n.TLSSubject, TLSName: n.TLSName,
	}
	if n.PushClaims && c.Public() {
		return ClientView{}, errors.New("push claims: a public client cannot prove who it is, so it may not push claims")
	}
	if n.CheckedBy != "" {
		c.CheckedAt = time.Now()
	}
	if n.Account != "" {
		account, err := a.account(ctx, n.Account)
		if err != nil {
			return ClientView{}, err
		}
		c.Account = account.ID
	}
	c, secret, err := a.Service.AddClient(ctx, c, operator)
	if err != nil {
		return ClientView{}, err
	}
	v := viewClient(c)
	v.Secret = secret
	return v, nil
}

func viewClient(c umaas.Client) ClientView {
	kind := "app"
	if c.IsResourceServer() {
		kind = "resource server"
	}
	return ClientView{ID: c.ID, Name: c.Name, Kind: kind, Dynamic: c.Dynamic, Disabled: c.Disabled}
}

func (a *AS) clients(ctx context.Context, _ struct{}) ([]ClientView, error) {
	out := []ClientView{}
	var after umaas.ClientID
	for {
		page, err := a.Service.Clients(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return out, err
		}
		for _, c := range page {
			out = append(out, viewClient(c))
		}
		after = page[len(page)-1].ID
	}
}

func (a *AS) lockClient(ctx context.Context, n Named) (struct{}, error) {
	return struct{}{}, known(n, a.Service.SetClientDisabled(ctx, umaas.ClientID(n.Name), n.Yes, operator))
}

func (a *AS) renewSecret(ctx context.Context, n Named) (Named, error) {
	secret, err := a.Service.RenewClientSecret(ctx, umaas.ClientID(n.Name), operator)
	return Named{Name: n.Name, Value: secret}, known(n, err)
}

// known puts a missing client into words.
func known(n Named, err error) error {
	if errors.Is(err, umaas.ErrNotFound) {
		return fmt.Errorf("no client has the id %q; `umaas client list` shows them", n.Name)
	}
	return err
}

func (a *AS) rotate(ctx context.Context, _ struct{}) ([]keys.Info, error) {
	err := a.Keys.Rotate(ctx)
	return a.Keys.Keys(), err
}

// PolicyView is one share in words.
type PolicyView struct {
	ID       umaas.PolicyID
	Who, App string
	What     []string
	Until    time.Time
	Revoked  time.Time
}

func (a *AS) policies(ctx context.Context, n Named) ([]PolicyView, error) {
	account, err := a.account(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	shares, err := a.Service.Shares(ctx, account.ID)
	out := []PolicyView{}
	for _, s := range shares {
		out = append(out, viewPolicy(s))
	}
	return out, err
}

func viewPolicy(s umaas.ShareView) PolicyView {
	v := PolicyView{ID: s.Policy.ID, Who: s.Who, Until: s.Policy.NotAfter, Revoked: s.Policy.Revoked}
	if s.App != nil {
		v.App = s.App.Name
	}
	for _, r := range s.Records {
		for _, i := range r.Items {
			v.What = append(v.What, i.Words)
		}
	}
	return v
}

func (a *AS) stopPolicy(ctx context.Context, n Named) (PolicyView, error) {
	account, err := a.account(ctx, n.Name)
	if err != nil {
		return PolicyView{}, err
	}
	s, err := a.Service.StopShare(ctx, account.ID, umaas.PolicyID(n.Value), "operator")
	if errors.Is(err, umaas.ErrNotFound) {
		return PolicyView{}, fmt.Errorf("%s has no policy %q", n.Name, n.Value)
	}
	return viewPolicy(s), err
}

func (a *AS) explain(ctx context.Context, n Named) (umaas.Explanation, error) {
	e, err := a.Service.Explain(ctx, umaas.Account{ID: operator, Roles: []umaas.Role{umaas.RoleAdmin}}, n.Value)
	if errors.Is(err, umaas.ErrNotFound) {
		return e, errors.New("this server did not issue such a token, or it expired so long ago that it is forgotten")
	}
	return e, err
}
