package umaas_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// TestSEC_45_InvitationBecomesAPolicy for the person who proves the address, once; the link shows nothing before, and is of no
// use to anybody else.
func TestSEC_45_InvitationBecomesAPolicy(t *testing.T) {
	eachStore(t, func(w *world) {
		ctx := t.Context()
		id, err := w.CreateResource(ctx, umaas.PAT{Owner: w.alice, RS: rs1}, described("Psychiatry", "My HIV clinic", "view", "edit"), "")
		w.must(err)
		me := w.herself(w.alice)
		n := give(email(" Bob@Example.org"), rule("", id, "view"))
		n.Terms, n.Until = "Do not copy.", w.now().Add(30*24*time.Hour)
		i, err := me.Invite(ctx, n, "")
		w.must(err)
		handle := handleOf(t, i)
		for _, h := range []string{handle, "x", "", handle[:len(handle)-1] + "A"} { // good or not, before sign-in all links look alike
			v, err := w.OpenInvitation(ctx, h, nil)
			if err != nil || !v.SignIn || v.From != "" || v.Records != nil || v.Digest != "" || !v.Ends.IsZero() {
				t.Fatalf("%q: %+v %v", h, v, err)
			}
		}
		bob, carol, alice := w.sessions[w.bob], w.sessions[w.carol], w.sessions[w.alice]
		for name, sess := range map[string]umaas.Session{"forwarded": carol, "her own": alice} {
			if _, err := w.OpenInvitation(ctx, handle, &sess); !errors.Is(err, umaas.ErrNotFound) {
				t.Fatalf("%s: %v", name, err)
			}
			w.wantErr(w.AcceptInvitation(ctx, handle, sess, "x", ""), umaas.ErrNotFound)
		}
		v, err := w.OpenInvitation(ctx, handle, &bob)
		w.must(err)
		if v.From != "Alice Ames" || v.Terms != "Do not copy." || len(v.Records) != 1 || v.Records[0].Label != "" || v.Records[0].Resource.ID != "" || len(v.Records[0].Items) != 1 {
			t.Fatalf("%+v", v)
		}
		w.refused(c1, w.gather(c1, w.ticket(perm(id, "view")), w.bob), 403, "request_submitted", "") // not before she takes it up
		w.wantErr(w.AcceptInvitation(ctx, handle, bob, "x", ""), umaas.ErrChanged)
		w.must(w.AcceptInvitation(ctx, handle, bob, v.Digest, ""))
		w.must(w.AcceptInvitation(ctx, handle, bob, v.Digest, "")) // a double click
		shares, err := me.Shares(ctx)
		w.must(err)
		if len(shares) != 1 || shares[0].Policy.Who.Kind != umaas.WhoAccount || shares[0].Policy.Who.Account != w.bob || shares[0].Who != "bob@example.org" || shares[0].Invitation != i.Key || !shares[0].NotAfter.Equal(n.Until) {
			t.Fatalf("%+v", shares)
		}
		list, err := me.Invitations(ctx)
		w.must(err)
		if len(list) != 1 || list[0].State != umaas.InvitationAccepted || list[0].Secret != (umaas.SecretHash{}) {
			t.Fatalf("%+v", list)
		}
		_, err = me.RevokeInvitation(ctx, i.Key, "")
		w.wantErr(err, umaas.ErrTooLate)
		if n := len(w.kinds(w.alice, umaas.EventInvited, umaas.EventInviteAccepted)); n != 2 {
			t.Fatalf("%d events", n)
		}
	})
}

// TestSEC_45_InvitationEnds: revoked, too late, its maker no longer a delegate, the owner gone, an address not proved.
func TestSEC_45_InvitationEnds(t *testing.T) {
	w := inMemory(t)
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view")
	me := w.herself(w.alice)
	bob := w.sessions[w.bob]
	invite := func(a umaas.Acting) (umaas.Invited, string) {
		t.Helper()
		w.sleep(time.Second) // or their order would be chance
		i, err := a.Invite(ctx, give(email("bob@example.org"), rule("", r, "view")), "")
		w.must(err)
		return i, handleOf(t, i)
	}
	usable := func(handle string) bool {
		t.Helper()
		_, err := w.OpenInvitation(ctx, handle, &bob)
		if err != nil && !errors.Is(err, umaas.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	i, handle := invite(me)
	_, err := w.herself(w.carol).RevokeInvitation(ctx, i.Key, "")
	w.wantErr(err, umaas.ErrNotFound)
	if !usable(handle) {
		t.Fatal("a stranger ended it")
	}
	first, err := me.RevokeInvitation(ctx, i.Key, "")
	w.must(err)
	second, err := me.RevokeInvitation(ctx, i.Key, "")
	w.must(err)
	if usable(handle) || first != second {
		t.Fatal("revoked, and usable or revoked twice")
	}

	delegation := w.delegated(w.alice, account(w.carol), umaas.MayShare)
	_, byCarol := invite(w.Acting(w.carol, w.alice))
	_, handle = invite(me)
	if !usable(byCarol) {
		t.Fatal("a delegate's invitation is not usable")
	}
	_, err = me.RevokeDelegation(ctx, delegation, "")
	w.must(err)
	if usable(byCarol) {
		t.Fatal("who no longer acts for the owner invites")
	}
	bobs, err := w.Account(ctx, w.bob)
	w.must(err)
	bobs.EmailVerified = false
	_, err = w.PutAccount(ctx, bobs, "")
	w.must(err)
	if usable(handle) {
		t.Fatal("an unproved address took it up")
	}
	bobs.EmailVerified = true
	_, err = w.PutAccount(ctx, bobs, "")
	w.must(err)
	w.sleep(7*24*time.Hour - time.Second)
	if !usable(handle) {
		t.Fatal("ended before its time")
	}
	w.sleep(time.Second)
	if usable(handle) {
		t.Fatal("older than seven days")
	}
	list, err := me.Invitations(ctx)
	w.must(err)
	if len(list) != 3 || list[0].State != umaas.InvitationExpired {
		t.Fatalf("%d, %v", len(list), list[0].State)
	}
}

// TestSEC_45_OneTakesItUp: 32 people with one address cannot be, 32 clicks of one person make one policy.
func TestSEC_45_OneTakesItUp(t *testing.T) {
	w := inMemory(t)
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view")
	role := umaas.Claim{Issuer: issuer, Name: "role", Value: "nurse"}
	i, err := w.herself(w.alice).Invite(ctx, give(umaas.Who{Kind: umaas.WhoClaim, Claim: umaas.Claim{Name: "role", Value: "nurse"}}, rule("", r, "view")), "")
	w.must(err)
	handle := handleOf(t, i)
	w.claims(w.bob, role)
	w.claims(w.carol, role)
	var taken [2]atomic.Int64
	var wait sync.WaitGroup
	both := [2]umaas.Session{w.sessions[w.bob], w.sessions[w.carol]}
	v, err := w.OpenInvitation(ctx, handle, &both[0])
	w.must(err)
	_, err = w.OpenInvitation(ctx, handle, &both[1])
	w.must(err)
	for n := range 32 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if w.AcceptInvitation(ctx, handle, both[n%2], v.Digest, "") == nil {
				taken[n%2].Add(1)
			}
		}()
	}
	wait.Wait()
	shares, err := w.herself(w.alice).Shares(ctx)
	w.must(err)
	if len(shares) != 1 || (taken[0].Load() == 0) == (taken[1].Load() == 0) {
		t.Fatalf("%d policies, taken by %d and %d", len(shares), taken[0].Load(), taken[1].Load())
	}
	holder := shares[0].Policy.Who.Account
	w.rpt(c1, w.gather(c1, w.ticket(perm(r, "view")), holder))
	if also := shares[0].Also; len(also) != 1 || also[0] != role { // what was proved by a claim goes on needing it (SEC-19)
		t.Fatalf("%+v", also)
	}
}

// TestSEC_44_InvitingTellsNothing: the answer is the same whether or not somebody has the address, and it is limited.
func TestSEC_44_InvitingTellsNothing(t *testing.T) {
	w := inMemory(t)
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view")
	me := w.herself(w.alice)
	for _, address := range []string{"bob@example.org", "nobody@example.org"} {
		i, err := me.Invite(ctx, give(email(address), rule("", r, "view")), "")
		if err != nil || len(i.Link) != len(issuer)+len("/invite/")+22+1+27 || i.Mailed {
			t.Fatalf("%s: %+v %v", address, i, err)
		}
	}
	for range 48 {
		_, err := me.Invite(ctx, give(email("a@example.org"), rule("", r, "view")), "")
		w.must(err)
		w.sleep(time.Second)
	}
	_, err := me.Invite(ctx, give(email("a@example.org"), rule("", r, "view")), "")
	w.wantErr(err, umaas.ErrTooMuch)
	w.sleep(24 * time.Hour)
	_, err = me.Invite(ctx, give(email("a@example.org"), rule("", r, "view")), "")
	w.must(err)
	for name, who := range map[string]umaas.Who{"account": account(w.bob), "app": {Kind: umaas.WhoClient, Client: robot}, "nobody": {}} {
		if _, err := me.Invite(ctx, give(who, rule("", r, "view")), ""); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// post is a mailer that may fail.
type post struct {
	sent []umaas.InvitationMail
	err  error
}

func (p *post) SendInvitation(_ context.Context, m umaas.InvitationMail) error {
	p.sent = append(p.sent, m)
	return p.err
}

// TestInvitationsAreMailed: the link goes to the address alone; where mailing fails its owner gets it, and nothing is lost.
func TestInvitationsAreMailed(t *testing.T) {
	w := inMemory(t)
	ctx := t.Context()
	r := w.set(w.alice, rs1, "view")
	mail := &post{}
	w.Mail = mail
	i, err := w.herself(w.alice).Invite(ctx, give(email("Bob@example.org"), rule("", r, "view")), "")
	w.must(err)
	if len(mail.sent) != 1 || !i.Mailed || i.Link != "" || mail.sent[0].To != "bob@example.org" || mail.sent[0].From != "Alice Ames" {
		t.Fatalf("%+v %+v", i, mail.sent)
	}
	bob := w.sessions[w.bob]
	if _, err := w.OpenInvitation(ctx, strings.TrimPrefix(mail.sent[0].Link, issuer+"/invite/"), &bob); err != nil {
		t.Fatal(err)
	}
	mail.err = errors.New("no route")
	i, err = w.herself(w.alice).Invite(ctx, give(email("bob@example.org"), rule("", r, "view")), "")
	w.must(err)
	if i.Mailed || i.Link != mail.sent[1].Link {
		t.Fatalf("%+v", i)
	}
}
