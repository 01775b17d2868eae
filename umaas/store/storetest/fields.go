package storetest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
)

// filled sets every field of a record, those of nested records too, to a value of its own. A field that is added to the
// core's types and forgotten by a store does not come back equal.
func filled[T any](n *int) T {
	var v T
	fill(reflect.ValueOf(&v).Elem(), n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(start.Add(time.Duration(*n) * time.Hour)))
		return
	case json.RawMessage:
		v.SetBytes(fmt.Appendf(nil, `{"member": %d}`, *n))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d é\n", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * 1_000_003)
	case reflect.Uint8:
		v.SetUint(uint64(*n%255) + 1) //nolint:gosec // counts up
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 3 {
			key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, n)
			fill(val, n)
			v.SetMapIndex(key, val)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("storetest: a record has a field of kind " + v.Kind().String())
	}
}

// roundTrip stores a record that is full and one that is empty but for its key, and wants both back.
func roundTrip[T any](t *testing.T, f *fixture, identify func(full, bare *T), put func(umaas.Tx, T) error, read func(umaas.Reader, T) (T, error)) {
	t.Helper()
	n := 0
	full := filled[T](&n)
	var bare T
	identify(&full, &bare)
	for _, v := range []T{full, bare} {
		f.update(func(tx umaas.Tx) error { return put(tx, v) })
		got := get(f, func(r umaas.Reader) (T, error) { return read(r, v) })
		equal(f, fmt.Sprintf("%T", v), got, v)
	}
}

func testFields(t *testing.T, f *fixture) {
	now, end := start, start.Add(1)
	roundTrip(t, f, func(_, b *umaas.Account) { b.ID = "bare" }, umaas.Tx.PutAccount,
		func(r umaas.Reader, v umaas.Account) (umaas.Account, error) { return r.Account(v.ID) })
	roundTrip(t, f, func(_, b *umaas.Client) { b.ID = "bare" }, umaas.Tx.PutClient,
		func(r umaas.Reader, v umaas.Client) (umaas.Client, error) { return r.Client(v.ID) })
	roundTrip(t, f, func(_, b *umaas.Resource) { b.Owner, b.RS, b.ID = "owner", "rs", "bare" }, umaas.Tx.PutResource,
		func(r umaas.Reader, v umaas.Resource) (umaas.Resource, error) { return r.Resource(v.Owner, v.RS, v.ID) })
	roundTrip(t, f, func(_, b *umaas.Policy) { b.Owner, b.ID = "owner", "bare" }, umaas.Tx.PutPolicy,
		func(r umaas.Reader, v umaas.Policy) (umaas.Policy, error) { return r.Policy(v.Owner, v.ID) })
	roundTrip(t, f, func(_, b *umaas.Request) { b.Owner, b.Key, b.Party.Account = "owner", f.key(1), "party" }, umaas.Tx.PutRequest,
		func(r umaas.Reader, v umaas.Request) (umaas.Request, error) { return r.Request(v.Owner, v.Key) })
	roundTrip(t, f, func(_, b *umaas.AuditEvent) { b.Key = f.key(1) }, umaas.Tx.AppendAudit,
		func(r umaas.Reader, v umaas.AuditEvent) (umaas.AuditEvent, error) {
			list, err := r.Audit(v.Owner, umaas.Key{}, 10)
			return list[0], err
		})
	roundTrip(t, f, func(_, b *umaas.Ticket) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutTicket,
		func(r umaas.Reader, v umaas.Ticket) (umaas.Ticket, error) { return r.Ticket(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Flow) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutFlow,
		func(r umaas.Reader, v umaas.Flow) (umaas.Flow, error) { return r.Flow(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Grant) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutGrant,
		func(r umaas.Reader, v umaas.Grant) (umaas.Grant, error) { return r.Grant(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Token) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutToken,
		func(r umaas.Reader, v umaas.Token) (umaas.Token, error) { return r.Token(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Code) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutCode,
		func(r umaas.Reader, v umaas.Code) (umaas.Code, error) { return r.Code(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Session) { b.Key, b.Expires = f.key(1), end }, umaas.Tx.PutSession,
		func(r umaas.Reader, v umaas.Session) (umaas.Session, error) { return r.Session(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.TrustedIssuer) { b.Issuer = "bare" }, umaas.Tx.PutTrustedIssuer,
		func(r umaas.Reader, v umaas.TrustedIssuer) (umaas.TrustedIssuer, error) {
			return r.TrustedIssuer(v.Issuer)
		})
	roundTrip(t, f, func(_, b *umaas.PCT) { b.Key, b.Party.Account, b.Expires = f.key(1), "party", end }, umaas.Tx.PutPCT,
		func(r umaas.Reader, v umaas.PCT) (umaas.PCT, error) { return r.PCT(v.Key, now) })
	roundTrip(t, f, func(_, b *umaas.Invitation) { b.Key, b.Owner, b.Expires = f.key(1), "owner", end }, umaas.Tx.PutInvitation,
		func(r umaas.Reader, v umaas.Invitation) (umaas.Invitation, error) { return r.Invitation(v.Key, now) })
	roundTrip(t, f, func(full, b *umaas.Delegation) {
		full.Who.Kind = umaas.WhoAccount
		b.Owner, b.ID = "owner", "bare"
		b.Who = umaas.Who{Kind: umaas.WhoEmail, Email: "a@b.example"}
	}, umaas.Tx.PutDelegation,
		func(r umaas.Reader, v umaas.Delegation) (umaas.Delegation, error) { return r.Delegation(v.Owner, v.ID) })
}

// testExpiry: the moment named as the end is no longer inside; a record without an end has ended (SEC-11).
func testExpiry(_ *testing.T, f *fixture) {
	for _, end := range []time.Time{{}, start} {
		k := f.key(0)
		f.update(func(tx umaas.Tx) error {
			for _, err := range []error{
				tx.PutTicket(umaas.Ticket{Key: k, Expires: end}), tx.PutFlow(umaas.Flow{Key: k, Expires: end}),
				tx.PutGrant(umaas.Grant{Key: k, Expires: end}), tx.PutToken(umaas.Token{Key: k, Expires: end}),
				tx.PutCode(umaas.Code{Key: k, Expires: end}), tx.PutSession(umaas.Session{Key: k, Expires: end}),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		})
		for _, now := range []time.Time{start.Add(-1), start, start.Add(time.Hour)} {
			checkExpiry(f, k, now, now.Before(end))
		}
	}
}

func checkExpiry(f *fixture, k umaas.Key, now time.Time, alive bool) {
	f.t.Helper()
	for what, read := range map[string]func(umaas.Reader) (umaas.Key, error){
		"ticket":  func(r umaas.Reader) (umaas.Key, error) { v, err := r.Ticket(k, now); return v.Key, err },
		"flow":    func(r umaas.Reader) (umaas.Key, error) { v, err := r.Flow(k, now); return v.Key, err },
		"grant":   func(r umaas.Reader) (umaas.Key, error) { v, err := r.Grant(k, now); return v.Key, err },
		"token":   func(r umaas.Reader) (umaas.Key, error) { v, err := r.Token(k, now); return v.Key, err },
		"code":    func(r umaas.Reader) (umaas.Key, error) { v, err := r.Code(k, now); return v.Key, err },
		"session": func(r umaas.Reader) (umaas.Key, error) { v, err := r.Session(k, now); return v.Key, err },
	} {
		if alive {
			equal(f, what, get(f, read), k)
		} else {
			absent(f, what, read)
		}
	}
}
