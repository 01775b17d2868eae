package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/umaas/umaas/cmd/umaas/server"
	"github.com/umaas/umaas/fhir"
	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// seeding fills an empty demo.
type seeding struct {
	*Demo
	o Options
}

// records loads the bundles named, or makes the demo's own.
func (s seeding) records(ctx context.Context) error {
	if s.o.Load != "" {
		s.o.Progress("loading " + s.o.Load)
		report, err := s.FHIR.Load(ctx, s.o.Load, nil)
		if err != nil {
			return err
		}
		if len(report.Warnings) > 0 {
			return fmt.Errorf("%d warnings, the first: %s", len(report.Warnings), report.Warnings[0])
		}
		return nil
	}
	s.o.Progress("making records")
	all, err := Records()
	if err != nil {
		return err
	}
	resources := make([]*fhir.Resource, 0, len(all))
	for _, raw := range all {
		r, err := fhir.Parse(raw)
		if err != nil {
			return err
		}
		resources = append(resources, r)
	}
	return s.FHIR.Put(ctx, resources...)
}

// accounts makes people, organizations, the resource server's and the app's registration.
func (s seeding) accounts(ctx context.Context) error {
	s.o.Progress("making accounts")
	for _, o := range Organizations {
		if _, err := s.AS.AddUser(ctx, server.NewUser{Login: "org-" + o.ID, Name: o.Name, Organization: true}); err != nil {
			return err
		}
	}
	admin, err := s.person(ctx, Person{Login: Administrator, Given: "Site", Family: "Administrator"}, true)
	if err != nil {
		return err
	}
	s.World.Admin = admin
	people := People
	if s.o.Load != "" {
		if people, err = s.loaded(ctx); err != nil {
			return err
		}
	}
	for _, p := range people {
		if !p.Doctor {
			s.World.Patients = append(s.World.Patients, p.ID)
		}
		if p.Login == "" {
			continue
		}
		c, err := s.person(ctx, p, false)
		if err != nil {
			return err
		}
		s.World.People = append(s.World.People, c)
	}
	return s.registrations(ctx)
}

func (s seeding) person(ctx context.Context, p Person, admin bool) (Credential, error) {
	c := Credential{Name: p.Name(), Login: p.Login, Password: random()[:12], Children: p.Children}
	n := server.NewUser{Login: p.Login, Name: p.Name(), Email: p.Login + "@example.org", Verified: true, Password: c.Password, Admin: admin}
	if !admin {
		n.FHIRUser = p.FHIRUser()
		c.FHIRUser = n.FHIRUser
		c.Patient = strings.TrimPrefix(n.FHIRUser, "Patient/")
		if p.Doctor {
			c.Patient = ""
			n.Claims = []umaas.Claim{{Issuer: s.World.Issuer, Name: "org", Value: p.Org}, {Issuer: s.World.Issuer, Name: "role", Value: "practitioner"}}
		}
	}
	_, err := s.AS.AddUser(ctx, n)
	return c, err
}

// loaded makes people of loaded patients: a login from the given name.
func (s seeding) loaded(ctx context.Context) ([]Person, error) {
	var people []Person
	taken := map[string]int{Administrator: 1}
	for r, err := range s.FHIR.Patients(ctx) {
		if err != nil {
			return nil, err
		}
		var p struct {
			Name []struct {
				Family string
				Given  []string
			}
			Gender    string
			BirthDate string
		}
		if err := json.Unmarshal(r.Raw(), &p); err != nil {
			return nil, fmt.Errorf("read Patient/%s: %w", r.ID(), err)
		}
		person := Person{ID: r.ID(), Given: "Patient", Family: r.ID(), Sex: p.Gender, Birth: p.BirthDate}
		if len(p.Name) > 0 && len(p.Name[0].Given) > 0 {
			person.Given, person.Family = p.Name[0].Given[0], p.Name[0].Family
		}
		login := strings.ToLower(strings.Map(letter, person.Given))
		if taken[login]++; taken[login] > 1 || login == "" {
			login = fmt.Sprintf("%s%d", login, len(people)+1)
		}
		person.Login = login
		people = append(people, person)
	}
	if len(people) < 2 {
		return nil, errors.New("the folder has fewer than two patients")
	}
	return people, nil
}

func letter(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

func (s seeding) registrations(ctx context.Context) error {
	hospital, err := s.AS.AddClient(ctx, server.NewClient{
		Name: Organizations[0].Name, AuthMethod: umaas.AuthSecretBasic, RedirectURIs: []string{s.World.RS + rs.CallbackPath},
		GrantTypes: []string{uma.GrantTypeAuthorizationCode, uma.GrantTypeRefreshToken, uma.GrantTypeClientCredentials},
		Scopes:     []string{uma.ScopeProtection, "openid", "fhirUser", "profile", "offline_access"},
		Audience:   []string{s.World.FHIRBase, s.World.RS}, RPTFormat: umaas.RPTFormat(s.o.RPTFormat), Account: "org-" + Organizations[0].ID, CheckedBy: Organizations[0].Name,
	})
	if err != nil {
		return fmt.Errorf("resource server: %w", err)
	}
	s.World.Server = AppIdentity{ClientID: string(hospital.ID), ClientSecret: hospital.Secret, RedirectURI: s.World.RS + rs.CallbackPath}
	a := AppIdentity{RedirectURI: s.World.Clinic + "/resolved", ClaimsRedirectURI: s.World.Clinic + "/claims"}
	app, err := s.AS.AddClient(ctx, server.NewClient{
		Name: "Flu Clinic", AuthMethod: umaas.AuthSecretBasic, RedirectURIs: []string{s.World.Clinic + "/callback"}, ClaimsRedirectURIs: []string{a.ClaimsRedirectURI},
		GrantTypes: []string{uma.GrantTypeTicket, uma.GrantTypeRefreshToken, uma.GrantTypeAuthorizationCode}, CheckedBy: Organizations[0].Name,
		Scopes: []string{"openid", "fhirUser", "offline_access", "launch/patient"},
	})
	if err != nil {
		return fmt.Errorf("app: %w", err)
	}
	a.ClientID, a.ClientSecret = string(app.ID), app.Secret
	s.World.App = a
	return nil
}

// relations tells the resource server who may see whom, and which apps it knows.
func (s seeding) relations(ctx context.Context) error {
	err := s.RS.State.PutApp(ctx, rs.App{ClientID: s.World.App.ClientID, Name: "Flu Clinic", RedirectURIs: []string{s.World.App.RedirectURI}, Checked: true})
	if err != nil || s.o.Load != "" {
		return err
	}
	holder := map[string]bool{}
	for _, p := range People {
		for _, child := range p.Children {
			err := s.RS.Relations.Put(ctx, rs.Relation{Subject: p.FHIRUser(), Patient: child, Kind: "parent", Label: "Your child", Scopes: "patient/*.cruds", Holder: !holder[child]})
			if err != nil {
				return err
			}
			holder[child] = true
		}
		for _, patient := range p.Treats {
			if err := s.RS.Relations.Put(ctx, rs.Relation{Subject: p.FHIRUser(), Patient: patient, Kind: "practitioner", Scopes: "patient/*.rs"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// claims lets every adult sign in at the hospital once, over real HTTP, as she would: that gives the hospital its
// protection token for her, and her record becomes hers.
func (s seeding) claims(ctx context.Context) error {
	s.o.Progress("signing people in for the first time")
	if err := s.custodian(ctx); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	gate := make(chan struct{}, 4)
	for _, c := range s.World.People {
		wg.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			if err := s.claim(ctx, c); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.settled(ctx)
}

// custodian waits until the records that nobody has claimed are registered; the server may be at it already.
func (s seeding) custodian(ctx context.Context) error {
	for range 200 {
		err := s.RS.Registrar.ReconcileCustodian(ctx)
		if !errors.Is(err, rs.ErrBusy) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the custodian's records are still not registered")
}

func (s seeding) claim(ctx context.Context, c Credential) error {
	v, err := NewVisitor(c.Name, "", http.DefaultTransport)
	if err != nil {
		return err
	}
	if err := v.Open(ctx, s.World.RS+"/connect"); err != nil {
		return err
	}
	for range 6 {
		if v.Has("Make a link") {
			return nil
		}
		if err := v.Forward(ctx, c); err != nil {
			return err
		}
	}
	return fmt.Errorf("did not arrive: %s", clip(v.Page.Text, 300))
}

// settled waits until what the sign-ins made due is registered.
func (s seeding) settled(ctx context.Context) error {
	for range 200 {
		if _, err := s.RS.Registrar.RunDue(ctx); err != nil {
			return err
		}
		missing := 0
		for _, c := range s.World.People {
			if c.Patient == "" {
				continue
			}
			reg, err := s.RS.State.RecordOf(ctx, c.Patient)
			if err != nil || reg.Set.User == "" {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the records of some people are still not registered")
}
