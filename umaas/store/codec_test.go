package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// kinds are the record types the fuzzer decodes as.
func kinds() []func([]byte) (any, error) {
	return []func([]byte) (any, error){
		again(accountFields), again(clientFields), again(resourceFields), again(policyFields), again(requestFields), again(auditFields),
		again(ticketFields), again(flowFields), again(grantFields), again(tokenFields), again(codeFields), again(sessionFields),
		again(changeFields), again(issuerFields), again(pctFields), again(invitationFields), again(delegationFields), again(usedFields), again(leaseFields), again(scopesFields),
	}
}

// again decodes, and wants what was decoded to survive another round.
func again[T any](fields func(*codec, *T)) func([]byte) (any, error) {
	return func(raw []byte) (any, error) {
		v, err := decode(raw, fields)
		if err != nil {
			var zero T
			if !reflect.DeepEqual(v, zero) {
				return nil, fmt.Errorf("failed and yet gave %+v", v)
			}
			return nil, nil
		}
		w, err := decode(encode(&v, fields), fields)
		if err != nil || !reflect.DeepEqual(v, w) {
			return nil, fmt.Errorf("%+v came back as %+v, %w", v, w, err)
		}
		return v, nil
	}
}

func FuzzDecode(f *testing.F) {
	n := time.Unix(1, 2)
	ticket := umaas.Ticket{Key: umaas.Key{1}, Expires: n, Permissions: []uma.Permission{
		{ResourceID: "a", Scopes: []string{"patient/A.r", "patient/A.s"}}, {ResourceID: "b", Scopes: []string{"patient/A.r", "patient/A.s"}, Exp: -1},
	}, Party: &umaas.Party{Account: "x", Claims: []umaas.Claim{{Name: "n"}}}}
	flow := umaas.Flow{Key: umaas.Key{2}, Ticket: &ticket, Authorize: &umaas.AuthorizeParams{MaxAge: -1}}
	res := resourceRecord{Resource: umaas.Resource{Description: uma.ResourceDescription{Extra: map[string]json.RawMessage{"a": json.RawMessage("1"), "b": nil}}}}
	for kind, raw := range map[int][]byte{6: encode(&ticket, ticketFields), 7: encode(&flow, flowFields), 2: encode(&res, resourceFields)} {
		f.Add(uint8(kind), raw)
		f.Add(uint8(kind), raw[:len(raw)/2])
	}
	f.Fuzz(func(t *testing.T, kind uint8, raw []byte) {
		all := kinds()
		if _, err := all[int(kind)%len(all)](raw); err != nil {
			t.Error(err)
		}
		_, _ = expiry(raw)
	})
}

func TestDecodeRefuses(t *testing.T) {
	whole := encode(&umaas.Token{Key: umaas.Key{1}, Secret: umaas.SecretHash{2}, Client: "app", Expires: time.Unix(5, 6)}, tokenFields)
	for i := range whole {
		if v, err := decode(whole[:i], tokenFields); err == nil || v != (umaas.Token{}) {
			t.Errorf("cut to %d bytes: %+v, %v", i, v, err)
		}
	}
	if _, err := decode(append(whole, 0), tokenFields); !errors.Is(err, errDamaged) {
		t.Errorf("with a byte behind: %v", err)
	}
}

// TestLongLists: however many permissions name the same scopes, the record stays far below the limit of a value.
func TestLongLists(t *testing.T) {
	var scopes []string
	for i := range 146 {
		for _, letter := range "cruds" {
			scopes = append(scopes, fmt.Sprintf("patient/ResourceType%d.%c", i, letter))
		}
	}
	raw := encode(&scopes, scopesFields)
	if len(raw) > 4000 {
		t.Errorf("%d scopes take %d bytes", len(scopes), len(raw))
	}
	ticket := umaas.Ticket{Key: umaas.Key{1}}
	for i := range 256 {
		ticket.Permissions = append(ticket.Permissions, uma.Permission{ResourceID: strings.Repeat("x", 21) + fmt.Sprint(i), Scopes: scopes})
	}
	raw = encode(&ticket, ticketFields)
	if len(raw) > 64<<10 {
		t.Errorf("a ticket of 256 permissions takes %d bytes", len(raw))
	}
	back, err := decode(raw, ticketFields)
	if err != nil || !reflect.DeepEqual(back, ticket) {
		t.Fatalf("came back changed: %v", err)
	}
	back.Permissions[0].Scopes[0] = "changed"
	if back.Permissions[1].Scopes[0] == "changed" {
		t.Error("two permissions share one list")
	}
}

func TestExpiryIsTheFirstField(t *testing.T) {
	for _, end := range []time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(1<<40, 999_999_999).UTC(), time.Unix(-5, 1).UTC()} {
		for name, raw := range map[string][]byte{
			"ticket": encode(&umaas.Ticket{Expires: end}, ticketFields), "flow": encode(&umaas.Flow{Expires: end}, flowFields),
			"grant": encode(&umaas.Grant{Expires: end}, grantFields), "token": encode(&umaas.Token{Expires: end}, tokenFields),
			"code": encode(&umaas.Code{Expires: end}, codeFields), "session": encode(&umaas.Session{Expires: end}, sessionFields),
			"used": encode(&used{expires: end}, usedFields),
		} {
			if got, err := expiry(raw); err != nil || !got.Equal(end) || got.IsZero() != end.IsZero() {
				t.Errorf("%s: %v, %v; want %v", name, got, err, end)
			}
		}
	}
}
