package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/umaas/uma"
)

// RegistrarConfig is what a Registrar needs; every member without a default is required.
type RegistrarConfig struct {
	State     State
	Tokens    *Tokens
	Relations *AdministeredRelations
	Patients  PatientDirectory
	Issuer    string   // default authorization server: the custodian's, and the one of every decoy
	Base      string   // {rs}, no closing slash
	FHIRBase  string   // {fhir}, no closing slash
	Types     []string // resource types served; they make the finite list of scopes (F-057)
	EagerMax  int      // register.eager_max: patients per user registered ahead; default 500 (flows.md A1)
	// ForeignLimit bounds one run, and one turn in the queue, at a server that is not the operator's own; default 30 s.
	ForeignLimit time.Duration
	Now          func() time.Time
	Logger       *slog.Logger
}

// PatientDirectory tells the registrar and the pages which patients this server has. It answers from the server's own
// side and is never shown to a client.
type PatientDirectory interface {
	// PatientIDs lists logical ids in order, after one of them.
	PatientIDs(ctx context.Context, after string, limit int) ([]string, error)
	// Patient tells how people call a patient. ErrNotKept where there is none.
	Patient(ctx context.Context, id string) (PatientName, error)
}

// PatientName is how a patient is shown to people who may see her.
type PatientName struct {
	Name      string
	BirthYear string // "" unknown
}

// Registrar keeps the resource sets at the authorization servers equal to what should be there (flows.md A1, decisions 2):
//
//	record(p)    under the patient once she has signed in, under her representative before, else under the custodian
//	access(u,*)  under every user with a PAT
//	access(u,p)  under her for each other patient she may see, resting on record(p) or on the custodian's relation
//
// Reconcile may be called at any time and any number of times: it changes only what differs.
type Registrar struct {
	cfg    RegistrarConfig
	events *EventSpool // to empty an account's spool before its sets are deleted
}

// Work bounds.
const (
	workLease   = 2 * time.Minute
	reviewEvery = 200
	// foreignLimit is the default of RegistrarConfig.ForeignLimit.
	foreignLimit = 30 * time.Second
	// foreignLeftovers bounds the sets nobody here knows that one run looks at because a foreign server lists them.
	foreignLeftovers = 100
)

// NewRegistrar checks cfg.
func NewRegistrar(cfg RegistrarConfig) (*Registrar, error) {
	switch {
	case cfg.State == nil || cfg.Tokens == nil || cfg.Relations == nil || cfg.Patients == nil || cfg.Now == nil:
		return nil, errors.New("registrar: State, Tokens, Relations, Patients and Now are required")
	case cfg.Issuer == "" || len(cfg.Types) == 0:
		return nil, errors.New("registrar: Issuer and Types are required")
	}
	for name, base := range map[string]string{"Base": cfg.Base, "FHIRBase": cfg.FHIRBase} {
		if u, err := url.Parse(base); err != nil || u.Host == "" || base[len(base)-1] == '/' {
			return nil, fmt.Errorf("registrar: %s %q: want an absolute URL without a closing slash", name, base)
		}
	}
	if cfg.EagerMax <= 0 {
		cfg.EagerMax = 500
	}
	if cfg.ForeignLimit <= 0 {
		cfg.ForeignLimit = foreignLimit
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Registrar{cfg: cfg, events: NewEventSpool(cfg.State, cfg.Tokens, cfg.Tokens.clients, cfg.Now, cfg.Logger)}, nil
}

// custodian is the owner that stands for the organization of this resource server.
func (r *Registrar) custodian() Owner { return Owner{Issuer: r.cfg.Issuer} }

// Enqueue has users' sets reconciled soon; with nobody named, the custodian's.
func (r *Registrar) Enqueue(ctx context.Context, users ...string) error {
	owners := []Owner{}
	for _, key := range users {
		u, err := r.cfg.State.User(ctx, key)
		if errors.Is(err, ErrNotKept) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read user: %w", err)
		}
		guard, err := r.guard(ctx, u)
		if err != nil {
			return err
		}
		owners = append(owners, guard)
		if home := homeOwner(u); home != guard {
			owners = append(owners, home)
		}
	}
	if len(users) == 0 {
		owners = append(owners, r.custodian())
	}
	return r.enqueue(ctx, false, owners...)
}

func (r *Registrar) enqueue(ctx context.Context, verify bool, owners ...Owner) error {
	for _, o := range owners {
		if err := r.cfg.State.PutJob(ctx, Job{Owner: o, Verify: verify, Due: r.cfg.Now()}); err != nil {
			return fmt.Errorf("queue reconciliation: %w", err)
		}
	}
	return nil
}

// Reconcile makes a user's sets at her authorization server what they should be. Errors: ErrNoPAT where she has not let
// this server protect her resources, ErrUnreachable, ErrBusy.
func (r *Registrar) Reconcile(ctx context.Context, user string) error {
	u, err := r.cfg.State.User(ctx, user)
	if err != nil {
		return fmt.Errorf("read user: %w", err)
	}
	o, err := r.guard(ctx, u)
	if err != nil {
		return err
	}
	if home := homeOwner(u); home != o { // what another account guards now leaves the home account, soon
		if err := r.enqueue(ctx, false, home); err != nil {
			return err
		}
	}
	if err := r.work(ctx, o, false); err != nil {
		return err
	}
	return r.watchEnds(ctx, o)
}

// ReconcileCustodian registers record(p) under the custodian for every patient nobody has claimed, and the decoy.
func (r *Registrar) ReconcileCustodian(ctx context.Context) error {
	return r.work(ctx, r.custodian(), false)
}

// ReconcileAll reconciles the custodian and every user who has signed in. It goes on after a failure and returns all.
func (r *Registrar) ReconcileAll(ctx context.Context) error {
	failed := []error{r.ReconcileCustodian(ctx)}
	for after := ""; ; {
		page, err := r.cfg.State.Users(ctx, after, reviewEvery)
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("list users: %w", err))...)
		}
		for _, u := range page {
			err := r.Reconcile(ctx, u.Key)
			if errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBusy) {
				err = errors.Join(err, r.Enqueue(ctx, u.Key))
			}
			if err != nil && !errors.Is(err, ErrNoPAT) {
				failed = append(failed, fmt.Errorf("user %s: %w", u.Key, err))
			}
		}
		if len(page) < reviewEvery {
			return errors.Join(failed...)
		}
		after = page[len(page)-1].Key
	}
}

// work is one reconciliation of one owner between an intent and its end, both in state: a process that dies in between
// leaves the intent, and the next one lists what is really there before it creates anything.
func (r *Registrar) work(ctx context.Context, o Owner, verify bool) error {
	ctx, done := lingering(ctx)
	defer done()
	now := r.cfg.Now()
	left, err := r.cfg.State.BeginWork(ctx, o, now, now.Add(workLease))
	if err != nil {
		return fmt.Errorf("begin reconciliation: %w", err)
	}
	limited, cancel := r.limited(ctx, o)
	err = r.reconcile(limited, o, verify || left)
	cancel()
	if errors.Is(err, ErrUnreachable) && (left || !errors.Is(err, errNothingSent)) {
		return err // a registration may have arrived without its answer: the intent stays, the next run lists
	}
	return errors.Join(err, r.cfg.State.EndWork(ctx, o))
}

// limited bounds the time of what is asked of a foreign server.
func (r *Registrar) limited(ctx context.Context, o Owner) (context.Context, context.CancelFunc) {
	if r.cfg.Tokens.foreign(o.Issuer) {
		return context.WithTimeout(ctx, r.cfg.ForeignLimit)
	}
	return context.WithCancel(ctx)
}

// lingering lets a run that has begun go on for a moment after its server was told to stop: broken off, it would leave its
// intent, and the owner's work would wait for the lease to end.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var late *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		late = time.AfterFunc(linger, cancel)
	})
	return out, func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if late != nil {
			late.Stop()
		}
		cancel()
	}
}

const linger = 5 * time.Second

// errNothingSent says that a run was over before it could have registered anything, for want of a protection token.
var errNothingSent = errors.New("nothing was sent")

func (r *Registrar) reconcile(ctx context.Context, o Owner, verify bool) error {
	_, guards, err := r.person(ctx, o)
	if err != nil {
		return err
	}
	if !guards && !o.Custodian() {
		return r.retire(ctx, o)
	}
	if _, err := r.cfg.Tokens.For(ctx, o); err != nil {
		return fmt.Errorf("%w: %w", errNothingSent, err)
	}
	if verify {
		if err := r.adopt(ctx, o); err != nil {
			return err
		}
	}
	if err := r.removals(ctx, o); err != nil {
		return err
	}
	if o.Custodian() {
		return r.reconcileCustodian(ctx, o)
	}
	return r.reconcileUser(ctx, o)
}

// adopt compares state with the authorization server's own list: what is there and not kept is taken over if it is one of
// ours and fits nothing else, and deleted otherwise; what is kept and not there is forgotten, to be created again.
func (r *Registrar) adopt(ctx context.Context, o Owner) error {
	var ids []string
	err := r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		ids, err = c.ListResources(ctx, pat)
		return err
	})
	if err != nil {
		return err
	}
	there := make(map[string]bool, len(ids))
	for _, id := range ids {
		there[id] = true
	}
	if err := r.forgetMissing(ctx, o, there); err != nil {
		return err
	}
	return r.leftovers(ctx, o, ids, r.adoptOne)
}

// leftovers calls do with each listed id that state knows nothing of. Of a foreign server's list a bounded number is looked at:
// a set that is not known here gives nobody anything.
func (r *Registrar) leftovers(ctx context.Context, o Owner, ids []string, do func(context.Context, Owner, string) error) error {
	looked := 0
	for _, id := range ids {
		if _, err := r.cfg.State.SetByID(ctx, o.Issuer, id); err == nil {
			continue
		} else if !errors.Is(err, ErrNotKept) {
			return fmt.Errorf("read set: %w", err)
		}
		if looked >= foreignLeftovers && r.cfg.Tokens.foreign(o.Issuer) {
			r.cfg.Logger.WarnContext(ctx, "a foreign server lists more unknown sets than are looked at", "issuer", o.Issuer, "listed", len(ids), "looked_at", looked)
			return nil
		}
		looked++
		if err := do(ctx, o, id); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registrar) forgetMissing(ctx context.Context, o Owner, there map[string]bool) error {
	for after := ""; ; {
		page, next, err := r.cfg.State.Registrations(ctx, o, after, reviewEvery)
		if err != nil {
			return fmt.Errorf("list registrations: %w", err)
		}
		for _, reg := range page {
			if there[reg.ResourceID] {
				continue
			}
			if err := r.cfg.State.EndRegistration(ctx, reg); err != nil {
				return fmt.Errorf("forget registration: %w", err)
			}
			if err := r.cfg.State.RemovalDone(ctx, o, reg.ResourceID); err != nil {
				return fmt.Errorf("forget registration: %w", err)
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}

func (r *Registrar) adoptOne(ctx context.Context, o Owner, id string) error {
	var d uma.ResourceDescription
	err := r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) (err error) {
		d, err = c.ReadResource(ctx, pat, id)
		return err
	})
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if set, ok := r.meaning(o, d); ok {
		set.ResourceID = id
		_, err := r.cfg.State.Registration(ctx, o, set.Level, set.Patient)
		if errors.Is(err, ErrNotKept) && r.mayHold(ctx, o, set) {
			r.cfg.Logger.InfoContext(ctx, "a resource set left by an interrupted run is taken over", "level", set.Level)
			return r.cfg.State.PutRegistration(ctx, Registration{Set: set, Owner: o, Updated: r.cfg.Now()})
		}
		if err != nil && !errors.Is(err, ErrNotKept) {
			return fmt.Errorf("read registration: %w", err)
		}
	}
	return r.delete(ctx, o, id)
}

// mayHold keeps a left-over record set from displacing the one somebody else holds.
func (r *Registrar) mayHold(ctx context.Context, o Owner, set Set) bool {
	if set.Level != LevelRecord {
		return true
	}
	held, err := r.cfg.State.RecordOf(ctx, set.Patient)
	return errors.Is(err, ErrNotKept) || err == nil && held.Owner == o
}

// removals deletes at the authorization server what has ended here already.
func (r *Registrar) removals(ctx context.Context, o Owner) error {
	for range 1000 {
		ids, err := r.cfg.State.Removals(ctx, o, reviewEvery)
		if err != nil {
			return fmt.Errorf("list removals: %w", err)
		}
		for _, id := range ids {
			if err := r.delete(ctx, o, id); err != nil {
				return err
			}
			if err := r.cfg.State.RemovalDone(ctx, o, id); err != nil {
				return fmt.Errorf("end removal: %w", err)
			}
		}
		if len(ids) < reviewEvery {
			return nil
		}
	}
	return nil
}

func (r *Registrar) delete(ctx context.Context, o Owner, id string) error {
	err := r.cfg.Tokens.With(ctx, o, func(c *asclient.Client, pat string) error { return c.DeleteResource(ctx, pat, id) })
	if errors.Is(err, uma.ErrNotFound) {
		return nil
	}
	return err
}
