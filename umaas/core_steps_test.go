package umaas_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// redeemAt presents a ticket at a token endpoint.
func redeemAt(ctx context.Context, s *umaas.Service, client umaas.ClientID, ticket string, more ...string) (uma.TokenResponse, error) {
	f := form(append([]string{"grant_type", uma.GrantTypeTicket, "client_id", string(client), "ticket", ticket}, more...)...)
	if client != p1 && client != wild {
		f.Set("client_secret", secret)
	}
	return s.Token(ctx, umaas.TokenRequest{Form: f, RequestID: "req"})
}

func (w *world) redeem(client umaas.ClientID, ticket string, more ...string) (uma.TokenResponse, error) {
	return redeemAt(w.t.Context(), w.Service, client, ticket, more...)
}

// rpt redeems and must succeed.
func (w *world) rpt(client umaas.ClientID, ticket string, more ...string) uma.TokenResponse {
	w.t.Helper()
	r, err := w.redeem(client, ticket, more...)
	if err != nil {
		w.t.Fatalf("redeem: %v", err)
	}
	return r
}

// refused redeems and must get an error with this status, code and description ("" any).
func (w *world) refused(client umaas.ClientID, ticket string, status int, code, description string, more ...string) *uma.Error {
	w.t.Helper()
	r, err := w.redeem(client, ticket, more...)
	return w.wantError(r, err, status, code, description)
}

func (w *world) wantError(got any, err error, status int, code, description string) *uma.Error {
	w.t.Helper()
	var e *uma.Error
	if !errors.As(err, &e) {
		w.t.Fatalf("got %+v, %v; want error %s", got, err, code)
	}
	if e.Status != status || e.Code != code || description != "" && e.Description != description {
		w.t.Fatalf("got %d %s %q; want %d %s %q", e.Status, e.Code, e.Description, status, code, description)
	}
	return e
}

const deadTicket = "ticket expired or used"

func (w *world) dead(client umaas.ClientID, ticket string) {
	w.t.Helper()
	w.refused(client, ticket, 400, "invalid_grant", deadTicket)
}

// visit starts a flow as a browser would and returns its view for one person.
func (w *world) visit(client umaas.ClientID, ticket string, who umaas.AccountID) (umaas.FlowView, umaas.Browser) {
	w.t.Helper()
	q := form("client_id", string(client), "ticket", ticket, "state", "s t/ä=&")
	if client == c1 {
		q.Set("claims_redirect_uri", back1)
	}
	started, err := w.StartClaims(w.t.Context(), q, "", "")
	w.must(err)
	if started.Redirect != nil {
		w.t.Fatalf("redirected at once: %v", started.Redirect)
	}
	b := umaas.Browser(started.Browser)
	sess := w.sessions[who]
	v, err := w.Flow(w.t.Context(), started.ID, b, &sess)
	w.must(err)
	return v, b
}

// consent is the owner ticking what ends in one of these.
func (w *world) consent(client umaas.ClientID, ticket string, owner umaas.AccountID, until time.Time, suffixes ...string) string {
	w.t.Helper()
	v, b := w.visit(client, ticket, owner)
	r, err := w.AnswerConsent(w.t.Context(), v.ID, b, w.sessions[owner], umaas.ConsentAnswer{Digest: v.Digest, Items: itemIDs(v.Records, suffixes...), Until: until})
	w.must(err)
	return w.back(r)
}

func (w *world) gather(client umaas.ClientID, ticket string, who umaas.AccountID) string {
	w.t.Helper()
	return w.gatherFor(client, ticket, who, "", "")
}

func (w *world) gatherFor(client umaas.ClientID, ticket string, who umaas.AccountID, purpose, note string) string {
	w.t.Helper()
	v, b := w.visit(client, ticket, who)
	if v.Step != umaas.StepGather {
		w.t.Fatalf("step %q, want gather", v.Step)
	}
	w.must(w.AnswerGather(w.t.Context(), v.ID, b, w.sessions[who], umaas.GatherAnswer{Digest: v.Digest, Purpose: purpose, Note: note}))
	return w.back(w.send(v.ID, b, who, false))
}

// send is the last page of gathering.
func (w *world) send(id string, b umaas.Browser, who umaas.AccountID, remember bool) umaas.Redirect {
	w.t.Helper()
	sess := w.sessions[who]
	v, err := w.Flow(w.t.Context(), id, b, &sess)
	w.must(err)
	if v.Step != umaas.StepConfirm {
		w.t.Fatalf("step %q, want confirm", v.Step)
	}
	r, err := w.ConfirmGather(w.t.Context(), id, b, sess, umaas.ConfirmAnswer{Digest: v.Digest, Remember: remember})
	w.must(err)
	return r
}

func (w *world) back(r umaas.Redirect) string {
	w.t.Helper()
	ticket := r.Query.Get("ticket")
	if ticket == "" {
		w.t.Fatalf("no ticket in %v", r)
	}
	return ticket
}

// itemIDs are the items whose technical text ends in a suffix; without suffixes all of them.
func itemIDs(records []umaas.RecordView, suffixes ...string) []string {
	var ids []string
	for _, r := range records {
		for _, i := range r.Items {
			if len(suffixes) == 0 || slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(i.ID, s) }) {
				ids = append(ids, i.ID)
			}
		}
	}
	return ids
}

// ask brings a process of a client and a party to the owner's inbox and returns the waiting ticket.
func (w *world) ask(client umaas.ClientID, who umaas.AccountID, perms ...uma.Permission) string {
	w.t.Helper()
	e := w.refused(client, w.gather(client, w.ticket(perms...), who), 403, "request_submitted", "")
	if e.Ticket == "" || e.Interval != 5 {
		w.t.Fatalf("request_submitted: ticket %q interval %d", e.Ticket, e.Interval)
	}
	return e.Ticket
}

// answer answers the newest waiting request of an owner.
func (w *world) answer(owner umaas.AccountID, allow bool, suffixes ...string) umaas.RequestView {
	w.t.Helper()
	v := w.inbox(owner)[0]
	a := umaas.RequestAnswer{Allow: allow, Digest: v.Digest}
	if allow {
		a.Items = itemIDs(v.Records, suffixes...)
	}
	v, err := w.AnswerRequest(w.t.Context(), owner, v.Key, a, "")
	w.must(err)
	return v
}

// inbox is what waits.
func (w *world) inbox(owner umaas.AccountID) []umaas.RequestView {
	w.t.Helper()
	all, err := w.Inbox(w.t.Context(), owner, umaas.Key{})
	w.must(err)
	return slices.DeleteFunc(all, func(v umaas.RequestView) bool { return v.State != umaas.RequestWaiting })
}

// inspect introspects as a resource server with a PAT of the owner.
func (w *world) inspect(owner umaas.AccountID, rs umaas.ClientID, token string) uma.Introspection {
	w.t.Helper()
	i, err := w.Introspect(w.t.Context(), umaas.PAT{Owner: owner, RS: rs}, token)
	w.must(err)
	return i
}

// rights prints an introspection's permissions: "id{scopes}[constraints] …", ids by name.
func rights(i uma.Introspection, names map[umaas.ResourceID]string) string {
	var out []string
	for _, p := range i.Permissions {
		s := names[umaas.ResourceID(p.ResourceID)] + "{" + strings.Join(p.Scopes, ",") + "}"
		for _, c := range p.Constraints {
			s += fmt.Sprintf("[%s=%s]", c.Type, c.Value)
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (w *world) wantRights(token string, want string, names map[umaas.ResourceID]string) {
	w.t.Helper()
	if got := rights(w.inspect(w.alice, rs1, token), names); got != want {
		w.t.Fatalf("permissions %q, want %q", got, want)
	}
}

func (w *world) wantInactive(i uma.Introspection) {
	w.t.Helper()
	if fmt.Sprint(i) != fmt.Sprint(uma.Introspection{}) {
		w.t.Fatalf("introspection says %+v, want active:false alone", i)
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
