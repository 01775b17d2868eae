package storetest

import (
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
)

func testAccounts(_ *testing.T, f *fixture) {
	none := func(r umaas.Reader) (umaas.Account, error) { return r.Account("x") }
	absent(f, "unknown account", none)
	f.update(func(tx umaas.Tx) error { return tx.DeleteAccount("x") }) // absent: no error
	for _, id := range []umaas.AccountID{"b", "a", "ab", "c"} {
		f.update(func(tx umaas.Tx) error {
			if err := tx.PutResource(umaas.Resource{Owner: id, RS: "rs", ID: umaas.ResourceID("of-" + id)}); err != nil {
				return err
			}
			return tx.PutAccount(umaas.Account{ID: id})
		})
	}
	f.update(func(tx umaas.Tx) error { // an owner's data without an account, and the server's own
		if err := tx.AppendAudit(umaas.AuditEvent{Key: f.key(0), Owner: "aa"}); err != nil {
			return err
		}
		return tx.AppendAudit(umaas.AuditEvent{Key: f.key(0)})
	})
	for _, c := range []struct {
		after umaas.AccountID
		limit int
		want  string
	}{{"", 10, "a ab b c"}, {"", 2, "a ab"}, {"ab", 1, "b"}, {"aa", 9, "ab b c"}, {"c", 9, ""}} {
		got := get(f, func(r umaas.Reader) ([]umaas.Account, error) { return r.Accounts(c.after, c.limit) })
		words := ids(got, func(a umaas.Account) string { return string(a.ID) })
		equal(f, "accounts after "+string(c.after), strings.Join(words, " "), c.want)
	}
	f.update(func(tx umaas.Tx) error { return tx.DeleteAccount("b") })
	absent(f, "deleted account", func(r umaas.Reader) (umaas.Account, error) { return r.Account("b") })
}

func testNames(_ *testing.T, f *fixture) {
	put := func(a umaas.Account) func(umaas.Tx) error {
		return func(tx umaas.Tx) error { return tx.PutAccount(a) }
	}
	login := func(s string) func(umaas.Reader) (umaas.Account, error) {
		return func(r umaas.Reader) (umaas.Account, error) { return r.AccountByLogin(s) }
	}
	email := func(s string) func(umaas.Reader) (umaas.Account, error) {
		return func(r umaas.Reader) (umaas.Account, error) { return r.AccountByEmail(s) }
	}
	ann := umaas.Account{ID: "ann", Login: "ann", Email: "a@example.org", EmailVerified: true}
	f.update(put(ann))
	f.update(put(ann)) // again: her own names are no obstacle
	equal(f, "by login", get(f, login("ann")).ID, "ann")
	equal(f, "by address", get(f, email("a@example.org")).ID, "ann")
	absent(f, "no login", login(""))
	absent(f, "no address", email(""))
	absent(f, "another login", login("Ann"))

	f.refused(umaas.ErrExists, put(umaas.Account{ID: "bob", Login: "ann"}))
	f.refused(umaas.ErrExists, put(umaas.Account{ID: "bob", Email: "a@example.org", EmailVerified: true}))
	absent(f, "a refused account", func(r umaas.Reader) (umaas.Account, error) { return r.Account("bob") })
	f.update(put(umaas.Account{ID: "bob", Email: "a@example.org"})) // claims the address, has not proved it (SEC-20)
	equal(f, "address after a claim on it", get(f, email("a@example.org")).ID, "ann")

	f.update(put(umaas.Account{ID: "ann", Login: "anna", Email: "a@example.org"}))
	absent(f, "former login", login("ann"))
	absent(f, "address no longer verified", email("a@example.org"))
	f.update(put(umaas.Account{ID: "bob", Login: "ann", Email: "a@example.org", EmailVerified: true}))
	equal(f, "freed login", get(f, login("ann")).ID, "bob")
	f.update(func(tx umaas.Tx) error { return tx.DeleteAccount("bob") })
	absent(f, "login of a deleted account", login("ann"))
	absent(f, "address of a deleted account", email("a@example.org"))
	equal(f, "the other account", get(f, login("anna")).ID, "ann")
}

func testClients(_ *testing.T, f *fixture) {
	for _, id := range []umaas.ClientID{"b", "a", "ab"} {
		f.update(func(tx umaas.Tx) error { return tx.PutClient(umaas.Client{ID: id, Name: "first"}) })
		f.update(func(tx umaas.Tx) error { return tx.PutClient(umaas.Client{ID: id, Name: "second"}) })
	}
	list := func(after umaas.ClientID, limit int) string {
		got := get(f, func(r umaas.Reader) ([]umaas.Client, error) { return r.Clients(after, limit) })
		return strings.Join(ids(got, func(c umaas.Client) string { return string(c.ID) + ":" + c.Name }), " ")
	}
	equal(f, "all", list("", 10), "a:second ab:second b:second")
	equal(f, "second page", list("a", 1), "ab:second")
	f.update(func(tx umaas.Tx) error { return tx.DeleteClient("ab") })
	equal(f, "after a removal", list("", 10), "a:second b:second")
	absent(f, "removed client", func(r umaas.Reader) (umaas.Client, error) { return r.Client("ab") })
}

// testStrangeIDs: no id from outside reaches another record, and absence is the worst it meets.
func testStrangeIDs(t *testing.T, f *fixture) {
	f.update(func(tx umaas.Tx) error {
		for _, err := range []error{
			tx.PutAccount(umaas.Account{ID: "ann", Login: "ann"}), tx.PutClient(umaas.Client{ID: "app"}),
			tx.PutResource(umaas.Resource{Owner: "ann", RS: "rs", ID: "set"}),
			tx.PutPolicy(umaas.Policy{Owner: "ann", ID: "p"}), tx.PutSetting("key", []byte("secret")),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, id := range []string{"", "\x00", "ann\x00@", "ann\x00rrs\x00set", "rs\x00set", "ANN", "ann ", "ann\x00", strings.Repeat("a", 5000), "\xff\xff"} {
		absent(f, "account", func(r umaas.Reader) (umaas.Account, error) { return r.Account(umaas.AccountID(id)) })
		absent(f, "login", func(r umaas.Reader) (umaas.Account, error) { return r.AccountByLogin(id) })
		absent(f, "client", func(r umaas.Reader) (umaas.Client, error) { return r.Client(umaas.ClientID(id)) })
		absent(f, "setting", func(r umaas.Reader) ([]byte, error) { return r.Setting(id) })
		absent(f, "policy", func(r umaas.Reader) (umaas.Policy, error) { return r.Policy("ann", umaas.PolicyID(id)) })
		absent(f, "resource", func(r umaas.Reader) (umaas.Resource, error) { return r.Resource("ann", "rs", umaas.ResourceID(id)) })
		absent(f, "owner", func(r umaas.Reader) (umaas.AccountID, error) { return r.ResourceOwner("rs", umaas.ResourceID(id)) })
		if id != "" && !strings.Contains(id, "\x00") && len(id) < 100 {
			continue // unusual, but allowed
		}
		for what, fn := range map[string]func(umaas.Tx) error{
			"account": func(tx umaas.Tx) error { return tx.PutAccount(umaas.Account{ID: umaas.AccountID(id)}) },
			"client":  func(tx umaas.Tx) error { return tx.PutClient(umaas.Client{ID: umaas.ClientID(id)}) },
			"resource": func(tx umaas.Tx) error {
				return tx.PutResource(umaas.Resource{Owner: "ann", RS: "rs", ID: umaas.ResourceID(id)})
			},
			"server": func(tx umaas.Tx) error {
				return tx.PutResource(umaas.Resource{Owner: "ann", RS: umaas.ClientID(id), ID: "x"})
			},
			"policy": func(tx umaas.Tx) error { return tx.PutPolicy(umaas.Policy{Owner: "ann", ID: umaas.PolicyID(id)}) },
		} {
			if err := f.store.Update(t.Context(), fn); err == nil {
				t.Errorf("%s with id %.20q was stored", what, id)
			}
		}
	}
}
