package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/umaas/umaas/umaas"
)

// administrator is the operator as the core sees an administrator.
func administrator() umaas.Account {
	return umaas.Account{ID: operator, Roles: []umaas.Role{umaas.RoleAdmin}}
}

// NewDelegation are the arguments of delegation-add.
type NewDelegation struct {
	Owner    string // login
	Delegate string // login; "" with Role
	Role     string // role of this server
	Rights   []umaas.DelegatedRight
	Reason   string
	Until    time.Time
}

// DelegationView is one delegation for an operator.
type DelegationView struct {
	ID      umaas.PolicyID
	Who     string
	Rights  []umaas.DelegatedRight
	Reason  string
	By      string
	Until   time.Time
	Revoked time.Time
}

func (a *AS) addDelegation(ctx context.Context, n NewDelegation) (DelegationView, error) {
	owner, err := a.account(ctx, n.Owner)
	if err != nil {
		return DelegationView{}, err
	}
	who := umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "role", Value: n.Role}}
	if n.Role == "" {
		delegate, err := a.account(ctx, n.Delegate)
		if err != nil {
			return DelegationView{}, err
		}
		who = umaas.Who{Kind: umaas.WhoAccount, Account: delegate.ID}
	}
	id, err := a.Service.AppointDelegate(ctx, administrator(), owner.ID, umaas.NewDelegation{Who: who, Rights: n.Rights, Reason: n.Reason, Until: n.Until}, "operator")
	if err != nil {
		return DelegationView{}, err
	}
	return DelegationView{ID: id, Rights: n.Rights, Reason: n.Reason, Until: n.Until}, nil
}

func (a *AS) delegations(ctx context.Context, n Named) ([]DelegationView, error) {
	owner, err := a.account(ctx, n.Name)
	if err != nil {
		return nil, err
	}
	list, err := a.Service.Acting(owner.ID, owner.ID).Delegations(ctx)
	out := []DelegationView{}
	for _, d := range list {
		v := DelegationView{ID: d.ID, Who: d.WhoName, Rights: d.Rights, Reason: d.Reason, By: d.ByName, Until: d.NotAfter, Revoked: d.Revoked}
		if d.Delegation.By == operator {
			v.By = string(operator)
		}
		out = append(out, v)
	}
	return out, err
}

func (a *AS) endDelegation(ctx context.Context, n Named) (DelegationView, error) {
	owner, err := a.account(ctx, n.Name)
	if err != nil {
		return DelegationView{}, err
	}
	effect, err := a.Service.EndDelegation(ctx, administrator(), owner.ID, umaas.PolicyID(n.Value), "operator")
	if errors.Is(err, umaas.ErrNotFound) {
		return DelegationView{}, fmt.Errorf("%s has no delegation %q", n.Name, n.Value)
	}
	return DelegationView{ID: umaas.PolicyID(n.Value), Revoked: effect.At}, err
}

// EmergencyDefault are the arguments of emergency-set. A zero claim removes it.
type EmergencyDefault struct {
	Server umaas.ClientID
	Claim  umaas.Claim
	Name   string
	Scopes []string
}

func (a *AS) setEmergency(ctx context.Context, d EmergencyDefault) (EmergencyDefault, error) {
	var set *umaas.EmergencyDefault
	if d.Claim != (umaas.Claim{}) {
		set = &umaas.EmergencyDefault{
			Who: umaas.Who{Kind: umaas.WhoClaim, Claim: d.Claim, Name: d.Name}, Scopes: d.Scopes, Label: "Emergency access",
		}
	}
	err := a.Service.SetEmergencyDefault(ctx, administrator(), d.Server, set)
	return d, known(Named{Name: string(d.Server)}, err)
}
