package umaas

import (
	"context"
	"errors"
)

// Home gathers the first page.
func (s *Service) Home(ctx context.Context, owner AccountID) (HomeView, error) {
	return s.Acting(owner, owner).Home(ctx)
}

// Home gathers the first page. A delegate finds the parts empty that she may not see; with no right at all it is ErrNotFound.
func (a Acting) Home(ctx context.Context) (HomeView, error) {
	var v HomeView
	refused := 0
	for _, part := range []func(context.Context, *HomeView) error{a.homeRequests, a.homeShares, a.homeRecent} {
		err := part(ctx, &v)
		if errors.Is(err, ErrNotFound) && a.by() != "" {
			refused++
			continue
		}
		if err != nil {
			return HomeView{}, err
		}
	}
	if refused == 3 {
		return HomeView{}, ErrNotFound
	}
	return v, nil
}

func (a Acting) homeRequests(ctx context.Context, v *HomeView) error {
	inbox, err := a.Inbox(ctx, Key{})
	if err != nil {
		return err
	}
	now := a.s.Now()
	for _, r := range inbox {
		if r.EmergencyNotice() && now.Sub(r.Created) < emergencyNews {
			v.Emergencies = append(v.Emergencies, r)
		}
	}
	for _, unchecked := range []bool{false, true} {
		for _, r := range inbox {
			if r.open(now) && r.App.Dynamic == unchecked {
				v.Waiting = append(v.Waiting, r)
			}
		}
	}
	return nil
}

func (a Acting) homeShares(ctx context.Context, v *HomeView) error {
	shares, err := a.Shares(ctx)
	if err != nil {
		return err
	}
	now := a.s.Now()
	people, apps, organizations := map[string]bool{}, map[ClientID]bool{}, map[Claim]bool{}
	for _, share := range shares {
		if !share.InForce(now) {
			continue
		}
		v.Shares = append(v.Shares, share)
		switch who := share.Policy.Who; {
		case share.Origin == OriginConsent:
			apps[share.Client] = true
		case who.Kind == WhoClient:
			apps[who.Client] = true
		case who.Kind == WhoClaim:
			organizations[who.Claim] = true
		default:
			people[string(who.Account)+"\x00"+who.Email] = true
		}
	}
	v.People, v.Apps, v.Organizations = len(people), len(apps), len(organizations)
	return nil
}

func (a Acting) homeRecent(ctx context.Context, v *HomeView) error {
	page, err := a.History(ctx, HistoryFilter{Limit: auditPage})
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		if e.Type == EventAccess && len(v.Recent) < homeRecent {
			v.Recent = append(v.Recent, e)
		}
	}
	return nil
}
