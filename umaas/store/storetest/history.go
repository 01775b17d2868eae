package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func ask(key umaas.Key, party umaas.AccountID, resources ...string) umaas.Request {
	r := umaas.Request{Key: key, Owner: "ann", Client: "app", Party: umaas.Party{Account: party}, State: umaas.RequestWaiting, Expires: start.Add(time.Hour)}
	for _, id := range resources {
		r.Permissions = append(r.Permissions, uma.Permission{ResourceID: id, Scopes: []string{"read"}})
	}
	return r
}

// Key lists make the order of keys, given n seconds apart, readable.
func seconds(k umaas.Key) string {
	return fmt.Sprint(int(k.Time().Sub(start.Truncate(time.Millisecond)).Seconds()))
}

func testRequests(_ *testing.T, f *fixture) {
	var keys []umaas.Key
	for i, n := range []int{2, 1, 4, 3} { // not written in the order of time
		r := ask(f.key(n), "bob", "set")
		if i%2 == 1 {
			r.Owner = "other"
		}
		keys = append(keys, r.Key)
		f.update(func(tx umaas.Tx) error { return tx.PutRequest(r) })
		r.Note = "changed"
		f.update(func(tx umaas.Tx) error { return tx.PutRequest(r) }) // an update is no second request
	}
	show := func(read func(umaas.Reader) ([]umaas.Request, error)) string {
		list := get(f, read)
		return strings.Join(ids(list, func(r umaas.Request) string { return seconds(r.Key) + r.Note[:1] }), " ")
	}
	inbox := func(before umaas.Key, limit int) func(umaas.Reader) ([]umaas.Request, error) {
		return func(r umaas.Reader) ([]umaas.Request, error) { return r.Requests("ann", before, limit) }
	}
	asked := func(before umaas.Key, limit int) func(umaas.Reader) ([]umaas.Request, error) {
		return func(r umaas.Reader) ([]umaas.Request, error) { return r.RequestsBy("bob", before, limit) }
	}
	equal(f, "inbox", show(inbox(umaas.Key{}, 10)), "4c 2c")
	equal(f, "inbox, first page", show(inbox(umaas.Key{}, 1)), "4c")
	equal(f, "inbox, next page", show(inbox(keys[2], 1)), "2c")
	equal(f, "inbox, end", show(inbox(keys[0], 1)), "")
	equal(f, "asked", show(asked(umaas.Key{}, 10)), "4c 3c 2c 1c")
	equal(f, "asked, a page", show(asked(keys[3], 2)), "2c 1c")
	third := ask(f.key(9), "eve", "set")
	f.update(func(tx umaas.Tx) error { return tx.PutRequest(third) })
	equal(f, "asked by another", get(f, func(r umaas.Reader) ([]umaas.Request, error) { return r.RequestsBy("eve", umaas.Key{}, 10) })[0].Key, third.Key)
	absent(f, "another owner's request", func(r umaas.Reader) (umaas.Request, error) { return r.Request("ann", keys[1]) })
}

func testOpenRequest(_ *testing.T, f *fixture) {
	r := ask(f.key(1), "bob", "b", "a")
	put := func(r umaas.Request) { f.t.Helper(); f.update(func(tx umaas.Tx) error { return tx.PutRequest(r) }) }
	find := func(now time.Time, party umaas.AccountID, client umaas.ClientID, resources ...umaas.ResourceID) func(umaas.Reader) (umaas.Request, error) {
		return func(x umaas.Reader) (umaas.Request, error) {
			return x.OpenRequest("ann", party, client, resources, now)
		}
	}
	same := func(now time.Time) func(umaas.Reader) (umaas.Request, error) {
		return find(now, "bob", "app", "a", "b", "a")
	}
	absent(f, "before", same(start))
	put(r)
	equal(f, "waiting", get(f, same(start)).Key, r.Key)
	absent(f, "waiting, expired", same(r.Expires))
	absent(f, "another party", find(start, "eve", "app", "a", "b"))
	absent(f, "another client", find(start, "bob", "other", "a", "b"))
	absent(f, "fewer resources", find(start, "bob", "app", "a"))
	absent(f, "more resources", find(start, "bob", "app", "a", "b", "c"))
	absent(f, "other resources", find(start, "bob", "app", "ab"))

	r.State, r.Silent = umaas.RequestDenied, start.Add(2*time.Hour)
	put(r)
	equal(f, "denied and silent", get(f, same(start.Add(90*time.Minute))).State, umaas.RequestDenied)
	absent(f, "silence over", same(r.Silent))
	next := ask(f.key(2), "bob", "a", "b")
	put(next)
	equal(f, "asked again", get(f, same(start)).Key, next.Key)
	r.Repeats++
	r.State, r.Silent = umaas.RequestDenied, time.Time{}
	put(r) // the older one changes; the newer one stays open
	equal(f, "after a change of the older", get(f, same(start)).Key, next.Key)
	next.State = umaas.RequestAllowed
	put(next)
	absent(f, "allowed", same(start))

	third := ask(f.key(3), "bob", "a", "b")
	put(third)
	third.Permissions = third.Permissions[:1]
	put(third)
	absent(f, "narrowed, by its former resources", same(start))
	equal(f, "narrowed", get(f, find(start, "bob", "app", "a")).Key, third.Key)
	third.State = umaas.RequestDenied // at once, without silence
	put(third)
	absent(f, "denied without silence", find(start, "bob", "app", "a"))
}

func testPartyGrants(_ *testing.T, f *fixture) {
	var keys []umaas.Key
	for n := range 6 {
		g := umaas.Grant{Key: f.key(n), Party: "bob", Expires: start.Add(time.Hour)}
		if n == 1 || n == 4 {
			g.Expires = start.Add(time.Minute)
		}
		keys = append(keys, g.Key)
		f.update(func(tx umaas.Tx) error { return tx.PutGrant(g) })
		g.Spent = start
		f.update(func(tx umaas.Tx) error { return tx.PutGrant(g) })
	}
	f.update(func(tx umaas.Tx) error { return tx.PutGrant(umaas.Grant{Key: f.key(7), Expires: start.Add(time.Hour)}) }) // a client's own
	f.update(func(tx umaas.Tx) error {                                                                                  // RPTs are not listed
		return tx.PutGrant(umaas.Grant{Key: f.key(8), Kind: umaas.GrantRPT, Party: "bob", Expires: start.Add(time.Hour)})
	})
	list := func(before umaas.Key, limit int) string {
		got := get(f, func(r umaas.Reader) ([]umaas.Grant, error) { return r.PartyGrants("bob", before, limit) })
		return strings.Join(ids(got, func(g umaas.Grant) string { return seconds(g.Key) }), " ")
	}
	equal(f, "all", list(umaas.Key{}, 10), "5 4 3 2 1 0")
	equal(f, "a page", list(keys[4], 2), "3 2")
	f.clock.Store(start.Add(30 * time.Minute).UnixNano())
	equal(f, "without what has expired", list(umaas.Key{}, 10), "5 3 2 0")
	equal(f, "a full page without what has expired", list(keys[5], 2), "3 2")
	equal(f, "the rest", list(keys[2], 2), "0")
}

func testAudit(t *testing.T, f *fixture) {
	var keys []umaas.Key
	for i, n := range []int{3, 1, 2, 5, 4} {
		e := umaas.AuditEvent{Key: f.key(n), Owner: []umaas.AccountID{"ann", "ann", "ann", "", "annabel"}[i], Type: "x"}
		keys = append(keys, e.Key)
		f.update(func(tx umaas.Tx) error { return tx.AppendAudit(e) })
	}
	list := func(owner umaas.AccountID, before umaas.Key, limit int) string {
		got := get(f, func(r umaas.Reader) ([]umaas.AuditEvent, error) { return r.Audit(owner, before, limit) })
		return strings.Join(ids(got, func(e umaas.AuditEvent) string { return seconds(e.Key) }), " ")
	}
	equal(f, "an owner's", list("ann", umaas.Key{}, 10), "3 2 1")
	equal(f, "a page", list("ann", keys[0], 1), "2")
	equal(f, "the server's own", list("", umaas.Key{}, 10), "5")
	equal(f, "another owner's", list("annabel", umaas.Key{}, 10), "4")
	f.refused(umaas.ErrExists, func(tx umaas.Tx) error {
		return tx.AppendAudit(umaas.AuditEvent{Key: keys[0], Owner: "ann", Type: "forged"})
	})
	if err := f.store.Update(t.Context(), func(tx umaas.Tx) error { return tx.AppendAudit(umaas.AuditEvent{Owner: "ann"}) }); err == nil {
		t.Error("an event without a key was stored")
	}
	if got := list("ann", umaas.Key{}, 10); got != "3 2 1" {
		t.Errorf("after two refused events: %s", got)
	}
}

func testSpend(t *testing.T, f *fixture) {
	spend := func(space, id string, now, expires time.Time) func(umaas.Tx) error {
		return func(tx umaas.Tx) error { return tx.Spend(space, id, now, expires) }
	}
	used := func(space, id string, now time.Time) bool {
		f.t.Helper()
		return get(f, func(r umaas.Reader) (bool, error) { return r.Used(space, id, now) })
	}
	end := start.Add(time.Minute)
	equal(f, "before", used("jti", "1", start), false)
	f.update(spend("jti", "1", start, end))
	equal(f, "spent", used("jti", "1", start), true)
	equal(f, "another id", used("jti", "2", start), false)
	equal(f, "another space", used("jt", "i1", start), false)
	f.refused(umaas.ErrExists, spend("jti", "1", end.Add(-1), end.Add(time.Hour)))
	f.update(spend("other", "1", start, end))
	equal(f, "expired", used("jti", "1", end), false)
	f.update(spend("jti", "1", end, end.Add(time.Hour)))
	if err := f.store.Update(t.Context(), spend("jti", "3", end, end)); err == nil {
		t.Error("spent until now: guards nothing, and was taken")
	}
}

func testEvents(_ *testing.T, f *fixture) {
	seen := func(rs umaas.ClientID, id string) bool {
		f.t.Helper()
		return get(f, func(r umaas.Reader) (bool, error) { return r.SeenEvent(rs, id) })
	}
	equal(f, "before", seen("rs", "1"), false)
	f.update(func(tx umaas.Tx) error { return tx.MarkEvent("rs", "1", start.Add(time.Minute)) })
	equal(f, "after", seen("rs", "1"), true)
	equal(f, "another server", seen("other", "1"), false)
	equal(f, "another event", seen("rs", "2"), false)
	f.clock.Store(start.Add(time.Minute).UnixNano())
	equal(f, "expired", seen("rs", "1"), false)
}

func testSettings(_ *testing.T, f *fixture) {
	read := func(name string) func(umaas.Reader) ([]byte, error) {
		return func(r umaas.Reader) ([]byte, error) { return r.Setting(name) }
	}
	absent(f, "before", read("key"))
	for _, v := range []string{"one", "", "\x00\xff"} {
		f.update(func(tx umaas.Tx) error { return tx.PutSetting("key", []byte(v)) })
		equal(f, "setting", string(get(f, read("key"))), v)
	}
	absent(f, "another name", read("ke"))
}
