package umaas_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// TestSEC_40_SharesNameOwnThingsOnly: foreign ids at every position, unknown items, bad parties; nothing is stored.
func TestSEC_40_SharesNameOwnThingsOnly(t *testing.T) {
	eachStore(t, func(w *world) {
		r, s := w.set(w.alice, rs1, "view", "edit"), w.set(w.alice, rs1, "view")
		foreign := w.set(w.carol, rs1, "view")
		sets, err := w.Shareable(t.Context(), w.alice)
		w.must(err)
		if len(sets) != 2 {
			t.Fatalf("%d sets", len(sets))
		}
		items := map[umaas.ResourceID][]string{}
		for _, v := range sets {
			items[v.Resource.ID] = itemIDs([]umaas.RecordView{v})
		}
		bob := umaas.Who{Kind: umaas.WhoAccount, Account: w.bob}
		for name, c := range map[string]struct {
			share umaas.NewShare
			want  error
		}{
			"foreign set":          {umaas.NewShare{Who: bob, Items: map[umaas.ResourceID][]string{r: items[r], foreign: items[s]}}, umaas.ErrNotFound},
			"unknown set":          {umaas.NewShare{Who: bob, Items: map[umaas.ResourceID][]string{"x": items[s]}}, umaas.ErrNotFound},
			"item of another set":  {umaas.NewShare{Who: bob, Items: map[umaas.ResourceID][]string{r: items[s]}}, umaas.ErrBadAnswer},
			"nothing":              {umaas.NewShare{Who: bob}, umaas.ErrNothingChosen},
			"no items":             {umaas.NewShare{Who: bob, Items: map[umaas.ResourceID][]string{r: nil}}, umaas.ErrNothingChosen},
			"nobody":               {umaas.NewShare{Items: items}, umaas.ErrBadAnswer},
			"herself":              {umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoAccount, Account: w.alice}, Items: items}, umaas.ErrBadAnswer},
			"unknown account":      {umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoAccount, Account: "x"}, Items: items}, umaas.ErrNotFound},
			"no address":           {umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoEmail, Email: "bob"}, Items: items}, umaas.ErrBadAnswer},
			"empty claim":          {umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoClaim}, Items: items}, umaas.ErrBadAnswer},
			"public app as itself": {umaas.NewShare{Who: umaas.Who{Kind: umaas.WhoClient, Client: p1}, Items: items}, umaas.ErrBadAnswer},
			"unknown app":          {umaas.NewShare{Who: bob, Client: "x", Items: items}, umaas.ErrNotFound},
			"end in the past":      {umaas.NewShare{Who: bob, Items: items, Until: w.now()}, umaas.ErrBadAnswer},
			"unknown purpose":      {umaas.NewShare{Who: bob, Items: items, Purposes: []string{"FUN"}}, umaas.ErrBadAnswer},
			"unknown limit":        {umaas.NewShare{Who: bob, Items: items, Constraints: []uma.Constraint{{Type: "moon"}}}, umaas.ErrBadAnswer},
		} {
			if id, err := w.CreateShare(t.Context(), w.alice, c.share, ""); !errors.Is(err, c.want) || id != "" {
				t.Fatalf("%s: %q %v, want %v", name, id, err, c.want)
			}
		}
		all, err := w.Shares(t.Context(), w.alice)
		w.must(err)
		if len(all) != 0 {
			t.Fatalf("%d shares stored", len(all))
		}

		id, err := w.CreateShare(t.Context(), w.alice, umaas.NewShare{
			Who: umaas.Who{Kind: umaas.WhoEmail, Email: " Bob@Example.org", Name: "Bobby"}, Items: map[umaas.ResourceID][]string{r: items[r]},
			Constraints: []uma.Constraint{{Type: "period", Value: "2024-01-01/"}}, Label: "for the holidays",
		}, "")
		w.must(err)
		v, err := w.Share(t.Context(), w.alice, id)
		w.must(err)
		if v.Who != "Bobby" || v.Label != "for the holidays" || len(v.Records) != 1 || len(v.Records[0].Items) != 2 || v.Origin != umaas.OriginShare {
			t.Fatalf("%+v", v)
		}
		token := w.rpt(c1, w.gather(c1, w.ticket(limited(perm(r, "view"), "period", "2024-01-01/")), w.bob)).AccessToken
		w.wantRights(token, "r{view}[period=2024-01-01/]", map[umaas.ResourceID]string{r: "r"})
		w.refused(c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob), 403, "request_submitted", "")

		for _, other := range []umaas.AccountID{w.carol, w.bob, ""} { // foreign id = unknown id
			_, e1 := w.Share(t.Context(), other, id)
			_, e2 := w.StopShare(t.Context(), other, id, "")
			e3 := w.NarrowShare(t.Context(), other, id, itemIDs(v.Records), time.Time{}, "")
			for _, err := range []error{e1, e2, e3} {
				if !errors.Is(err, umaas.ErrNotFound) {
					t.Fatalf("%q: %v", other, err)
				}
			}
		}
	})
}

// TestSEC_44_SharingTellsNothingOfAccounts.
func TestSEC_44_SharingTellsNothingOfAccounts(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	sets, err := w.Shareable(t.Context(), w.alice)
	w.must(err)
	for _, address := range []string{"bob@example.org", "nobody@example.org"} {
		id, err := w.CreateShare(t.Context(), w.alice, umaas.NewShare{
			Who: umaas.Who{Kind: umaas.WhoEmail, Email: address}, Items: map[umaas.ResourceID][]string{r: itemIDs(sets)},
		}, "")
		if err != nil || len(id) != 32 {
			t.Fatalf("%s: %q %v", address, id, err)
		}
		v, err := w.Share(t.Context(), w.alice, id)
		w.must(err)
		if v.Who != address {
			t.Fatalf("%q tells a name", v.Who)
		}
	}
}

// TestSEC_46_AnswersOnceAndFloodsStaySmall.
func TestSEC_46_AnswersOnceAndFloodsStaySmall(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		first := w.ask(c1, w.bob, perm(r, "view"))
		second := w.ask(c1, w.bob, perm(r, "view"))
		waiting := w.inbox(w.alice)
		if len(waiting) != 1 || waiting[0].Repeats != 1 {
			t.Fatalf("%d waiting, %+v", len(waiting), waiting)
		}
		v := waiting[0]
		yes := umaas.RequestAnswer{Allow: true, Digest: v.Digest, Items: itemIDs(v.Records)}
		one, err := w.AnswerRequest(t.Context(), w.alice, v.Key, yes, "")
		w.must(err)
		two, err := w.AnswerRequest(t.Context(), w.alice, v.Key, umaas.RequestAnswer{Digest: v.Digest}, "")
		w.must(err)
		if one.State != umaas.RequestAllowed || two.State != umaas.RequestAllowed || two.Policy != one.Policy {
			t.Fatalf("a second answer counted: %+v %+v", one.Request, two.Request)
		}
		shares, err := w.Shares(t.Context(), w.alice)
		w.must(err)
		if len(shares) != 1 {
			t.Fatalf("%d policies for one answer", len(shares))
		}
		w.rpt(c1, first)
		w.rpt(c1, second)
		if _, err := w.AnswerRequest(t.Context(), w.carol, v.Key, yes, ""); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatal(err)
		}
	})
}

// TestSEC_46_OneHonestRequestAmongManyBots: clients that registered themselves fill no inbox.
func TestSEC_46_OneHonestRequestAmongManyBots(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view", "edit")
	w.ask(c1, w.bob, perm(r, "view"))
	for i := range 14 {
		client := umaas.ClientID(fmt.Sprintf("c-bot%d", i))
		w.put(func(tx umaas.Tx) error {
			return tx.PutClient(umaas.Client{
				ID: client, Name: "Bot", AuthMethod: umaas.AuthNone, GrantTypes: []string{uma.GrantTypeTicket}, Dynamic: true,
				ClaimsRedirectURIs: []string{"https://bot.example/cb"},
			})
		})
		for j := range 5 {
			party := w.person(fmt.Sprintf("bot%d-%d", i, j), "Bot")
			f := form("grant_type", uma.GrantTypeTicket, "client_id", string(client), "ticket", w.gather(client, w.ticket(perm(r, "view")), party))
			_, err := w.Token(t.Context(), umaas.TokenRequest{Form: f})
			if !errors.Is(err, uma.ErrRequestSubmitted) { // the bots learn nothing of the limits
				t.Fatal(err)
			}
		}
	}
	home, err := w.Home(t.Context(), w.alice)
	w.must(err)
	if len(home.Waiting) != 31 || home.Waiting[0].PartyName != "Bob Berg" {
		t.Fatalf("the honest one is lost: %d", len(home.Waiting))
	}
	three := 0
	for _, v := range home.Waiting {
		if v.Client == "c-bot0" {
			three++
		}
	}
	if three != 3 {
		t.Fatalf("%d open of one unchecked client", three)
	}
}

// TestSEC_47_AnswersAreToWhatWasShown: a request that grew meanwhile is shown again, and later asks ask again.
func TestSEC_47_AnswersAreToWhatWasShown(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view", "edit")
		names := map[umaas.ResourceID]string{r: "r"}
		small := w.ask(c1, w.bob, perm(r, "view"))
		shown := w.inbox(w.alice)[0]
		big := w.ask(c1, w.bob, perm(r, "view", "edit"))
		yes := umaas.RequestAnswer{Allow: true, Digest: shown.Digest, Items: itemIDs(shown.Records)}
		for _, digest := range []string{shown.Digest, "", "x"} {
			yes.Digest = digest
			if _, err := w.AnswerRequest(t.Context(), w.alice, shown.Key, yes, ""); !errors.Is(err, umaas.ErrChanged) {
				t.Fatalf("digest %q: %v", digest, err)
			}
		}
		grown := w.inbox(w.alice)
		if len(grown) != 1 || len(itemIDs(grown[0].Records)) != 2 {
			t.Fatalf("%+v", grown)
		}
		bad := umaas.RequestAnswer{Allow: true, Digest: grown[0].Digest, Items: append(itemIDs(grown[0].Records), "x.delete")}
		if _, err := w.AnswerRequest(t.Context(), w.alice, shown.Key, bad, ""); !errors.Is(err, umaas.ErrBadAnswer) {
			t.Fatal(err)
		}
		if _, err := w.AnswerRequest(t.Context(), w.alice, shown.Key, umaas.RequestAnswer{Allow: true, Digest: grown[0].Digest}, ""); !errors.Is(err, umaas.ErrNothingChosen) {
			t.Fatal(err)
		}
		w.answer(w.alice, true)
		w.wantRights(w.rpt(c1, small).AccessToken, "r{view}", names) // each process gets no more than it asked
		w.wantRights(w.rpt(c1, big).AccessToken, "r{view,edit}", names)
	})
}

// TestApprovalIsForThisPartyAppAndPurpose.
func TestApprovalIsForThisPartyAppAndPurpose(t *testing.T) {
	eachStore(t, func(w *world) {
		r := w.set(w.alice, rs1, "view")
		ticket := w.refused(c1, w.gatherFor(c1, w.ticket(perm(r, "view")), w.bob, "TREAT", " hello\n\u202eolleh\t there "), 403, "request_submitted", "").Ticket
		v := w.inbox(w.alice)[0]
		if v.Note != "hello olleh there" || v.Purpose != "TREAT" || v.PartyName != "Bob Berg" || v.PartyEmail != "bob@example.org" || v.App.Name != "App One" {
			t.Fatalf("%+v", v)
		}
		w.answer(w.alice, true)
		w.rpt(c1, ticket)
		w.rpt(c1, w.gatherFor(c1, w.ticket(perm(r, "view")), w.bob, "TREAT", ""))
		for name, again := range map[string]func() (umaas.ClientID, string){
			"other purpose": func() (umaas.ClientID, string) {
				return c1, w.gatherFor(c1, w.ticket(perm(r, "view")), w.bob, "HRESCH", "")
			},
			"no purpose": func() (umaas.ClientID, string) { return c1, w.gather(c1, w.ticket(perm(r, "view")), w.bob) },
			"other app": func() (umaas.ClientID, string) {
				return c2, w.gatherFor(c2, w.ticket(perm(r, "view")), w.bob, "TREAT", "")
			},
			"other party": func() (umaas.ClientID, string) {
				return c1, w.gatherFor(c1, w.ticket(perm(r, "view")), w.carol, "TREAT", "")
			},
		} {
			client, ticket := again()
			if _, err := w.redeem(client, ticket); !errors.Is(err, uma.ErrRequestSubmitted) {
				t.Fatalf("%s: %v", name, err)
			}
		}
	})
}

// TestWaitingEnds: an unanswered request is denied at its end, and cannot be answered any more.
func TestWaitingEnds(t *testing.T) {
	w := inMemory(t)
	r := w.set(w.alice, rs1, "view")
	w.ask(c1, w.bob, perm(r, "view"))
	v := w.inbox(w.alice)[0]
	w.sleep(30 * 24 * time.Hour)
	if _, err := w.AnswerRequest(t.Context(), w.alice, v.Key, umaas.RequestAnswer{Allow: true, Digest: v.Digest, Items: itemIDs(v.Records)}, ""); !errors.Is(err, umaas.ErrNotFound) {
		t.Fatal(err)
	}
	if home, err := w.Home(t.Context(), w.alice); err != nil || len(home.Waiting) != 0 {
		t.Fatal(home, err)
	}
}

// TestAskedTellsNoOwner: the party's own list names no record, label or owner's name (F-076, PG-06), and withdrawing works once.
func TestAskedTellsNoOwner(t *testing.T) {
	eachStore(t, func(w *world) {
		id, err := w.CreateResource(t.Context(), umaas.PAT{Owner: w.alice, RS: rs1}, uma.ResourceDescription{
			Name: "Psychiatry", Description: "secret", Scopes: []string{"view"}, Context: &uma.ResourceContext{Level: "record", Label: "My HIV clinic", Patient: "p1"},
		}, "")
		w.must(err)
		ticket := w.ask(c1, w.bob, perm(id, "view"))
		asked, err := w.Asked(t.Context(), w.bob)
		w.must(err)
		if len(asked) != 1 || len(asked[0].Records) != 1 || len(asked[0].Records[0].Items) != 1 || asked[0].App.Name != "App One" {
			t.Fatalf("%+v", asked)
		}
		if text := fmt.Sprintf("%+v", asked); strings.Contains(text, "Psychiatry") || strings.Contains(text, "HIV") || strings.Contains(text, "secret") || strings.Contains(text, "Alice") || strings.Contains(text, string(w.alice)) || strings.Contains(text, string(id)) {
			t.Fatalf("told: %s", text)
		}
		key := asked[0].Key
		if err := w.WithdrawRequest(t.Context(), w.carol, key); !errors.Is(err, umaas.ErrNotFound) {
			t.Fatal(err)
		}
		w.must(w.WithdrawRequest(t.Context(), w.bob, key))
		w.must(w.WithdrawRequest(t.Context(), w.bob, key))
		w.refused(c1, ticket, 403, "request_denied", "")
		again := w.gather(c1, w.ticket(perm(id, "view")), w.bob)
		w.refused(c1, again, 403, "request_denied", "") // asking and withdrawing in turn fills nothing
	})
}
