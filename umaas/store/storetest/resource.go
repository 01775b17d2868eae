package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

func testResources(_ *testing.T, f *fixture) {
	for _, name := range []string{"b/2", "a/2", "a/1", "a0/1", "b/1", "ab/3"} {
		rs, id, _ := strings.Cut(name, "/")
		f.update(func(tx umaas.Tx) error {
			for _, owner := range []umaas.AccountID{"ann", "anna"} {
				r := umaas.Resource{Owner: owner, RS: umaas.ClientID(rs), ID: umaas.ResourceID(id + string(owner))}
				if err := tx.PutResource(r); err != nil {
					return err
				}
			}
			return nil
		})
	}
	show := func(list []umaas.Resource) string {
		return strings.Join(ids(list, func(r umaas.Resource) string { return string(r.RS) + "/" + string(r.ID) }), " ")
	}
	of := func(afterRS umaas.ClientID, afterID umaas.ResourceID, limit int) string {
		return show(get(f, func(r umaas.Reader) ([]umaas.Resource, error) {
			return r.OwnerResources("ann", afterRS, afterID, limit)
		}))
	}
	equal(f, "all servers", of("", "", 10), "a/1ann a/2ann a0/1ann ab/3ann b/1ann b/2ann")
	equal(f, "all servers, first page", of("", "", 2), "a/1ann a/2ann")
	equal(f, "all servers, next page", of("a", "2ann", 2), "a0/1ann ab/3ann")
	equal(f, "all servers, last page", of("b", "1ann", 2), "b/2ann")
	at := func(rs umaas.ClientID, after umaas.ResourceID, limit int) string {
		return show(get(f, func(r umaas.Reader) ([]umaas.Resource, error) { return r.Resources("ann", rs, after, limit) }))
	}
	equal(f, "one server", at("a", "", 10), "a/1ann a/2ann")
	equal(f, "one server, next page", at("a", "1ann", 10), "a/2ann")
	equal(f, "one server, first page", at("a", "", 1), "a/1ann")
	equal(f, "unknown server", at("z", "", 10), "")
	f.update(func(tx umaas.Tx) error { return tx.DeleteResource("ann", "a", "1ann") })
	equal(f, "after a removal", at("a", "", 10), "a/2ann")
	absent(f, "owner of a removed one", func(r umaas.Reader) (umaas.AccountID, error) { return r.ResourceOwner("a", "1ann") })
}

func testResourceOwner(_ *testing.T, f *fixture) {
	f.update(func(tx umaas.Tx) error { return tx.PutResource(umaas.Resource{Owner: "ann", RS: "rs", ID: "set"}) })
	owner := func(rs umaas.ClientID) func(umaas.Reader) (umaas.AccountID, error) {
		return func(r umaas.Reader) (umaas.AccountID, error) { return r.ResourceOwner(rs, "set") }
	}
	equal(f, "owner", get(f, owner("rs")), "ann")
	absent(f, "the same id elsewhere", owner("other"))
	f.refused(umaas.ErrExists, func(tx umaas.Tx) error { return tx.PutResource(umaas.Resource{Owner: "bob", RS: "rs", ID: "set"}) })
	f.update(func(tx umaas.Tx) error { return tx.DeleteResource("bob", "rs", "set") }) // nothing of his is there
	equal(f, "owner after another's removal", get(f, owner("rs")), "ann")
	f.update(func(tx umaas.Tx) error { // a record that is claimed moves (decisions 2)
		if err := tx.DeleteResource("ann", "rs", "set"); err != nil {
			return err
		}
		return tx.PutResource(umaas.Resource{Owner: "bob", RS: "rs", ID: "set"})
	})
	equal(f, "new owner", get(f, owner("rs")), "bob")
}

func testScopeLists(t *testing.T, f *fixture) {
	var long []string
	for i := range 200 {
		long = append(long, fmt.Sprintf("patient/Type%03d.r", i))
	}
	for _, scopes := range [][]string{nil, {}, {"x"}, {"x", "x"}, {"b", "a"}, {""}, long, long[:199], {strings.Repeat("s", 2000), strings.Repeat("s", 2000)}} {
		r := umaas.Resource{Owner: "ann", RS: "rs", ID: "set"}
		r.Description.Scopes = append([]string(nil), scopes...)
		if scopes != nil && len(scopes) == 0 {
			r.Description.Scopes = []string{}
		}
		r.Description.Extra = map[string]json.RawMessage{"name#fr": json.RawMessage(`"x" `)}
		f.update(func(tx umaas.Tx) error {
			err := tx.PutResource(r)
			back, err2 := tx.Resource("ann", "rs", "set") // its own write, before the commit
			if err2 == nil && len(back.Description.Scopes) != len(scopes) {
				t.Errorf("read %d scopes of %d in the same transaction", len(back.Description.Scopes), len(scopes))
			}
			if err != nil {
				return err
			}
			return err2
		})
		if len(r.Description.Scopes) > 0 {
			r.Description.Scopes[0] = "changed by the caller"
		}
		read := func(r umaas.Reader) (umaas.Resource, error) { return r.Resource("ann", "rs", "set") }
		got := get(f, read).Description
		equal(f, "scopes", got.Scopes, scopes)
		equal(f, "other members", got.Extra, r.Description.Extra)
		_ = append(got.Scopes, "appended by a caller")
		equal(f, "scopes, read again", get(f, read).Description.Scopes, scopes)
	}
	// A list that was stored by a transaction that failed is not there for the next one to rely on.
	fail := fmt.Errorf("fail")
	other := umaas.Resource{Owner: "ann", RS: "rs", ID: "other", Description: uma.ResourceDescription{Scopes: append(long, "more")}}
	f.refused(fail, func(tx umaas.Tx) error {
		if err := tx.PutResource(other); err != nil {
			return err
		}
		if _, err := tx.Resource("ann", "rs", "other"); err != nil {
			return err
		}
		return fail
	})
	f.update(func(tx umaas.Tx) error { return tx.PutResource(other) })
	equal(f, "scopes stored at the second try", len(get(f, func(r umaas.Reader) (umaas.Resource, error) { return r.Resource("ann", "rs", "other") }).Description.Scopes), 201)
}
