package umaas_test

import (
	"fmt"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
	"github.com/umaas/umaas/umaas/uma"
)

// BenchmarkFlow is the core's share of one UMA flow without transport and signatures: permission request, RPT for a party
// known from gathering, introspection. The set has as many scopes as a whole record.
func BenchmarkFlow(b *testing.B) {
	w := benchWorld(b)
	var scopes []string
	for i := range 146 {
		for _, letter := range "cruds" {
			scopes = append(scopes, fmt.Sprintf("patient/Resource%d.%c", i, letter))
		}
	}
	r := w.set(w.alice, rs1, scopes...)
	asked := []string{scopes[1], scopes[4], scopes[201], scopes[204], scopes[400], scopes[721]}
	w.policy(w.alice, umaas.Who{Kind: umaas.WhoClient, Client: c1}, []umaas.Rule{rule(rs1, r, asked...)})
	b.Run("request+redeem", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w.rpt(c1, w.ticket(perm(r, asked...)))
		}
	})
	token := w.rpt(c1, w.ticket(perm(r, asked...))).AccessToken
	b.Run("introspect", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !w.inspect(w.alice, rs1, token).Active {
				b.Fatal("inactive")
			}
		}
	})
}

func benchWorld(b *testing.B) *world {
	b.Helper()
	return newWorld(b, memkv.New(memkv.Options{}))
}

// BenchmarkGrowth: what an RPT costs beside 10³ … 10⁶ resources of the same owner, each with a policy for the same party. The
// cost follows the ticket (SEC-48): the figures of one ticket are to stay level from the first line to the last, and those of a
// ticket of 64 resources to be a multiple of them that has nothing to do with the store.
func BenchmarkGrowth(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		w := benchWorld(b)
		w.crowd(n)
		one := w.named(0)
		b.Run(fmt.Sprintf("%d/ticket of 1", n), func(b *testing.B) {
			for b.Loop() {
				w.rpt(c1, w.ticket(perm(one, "view")))
			}
		})
		var many []uma.Permission
		for i := range 64 {
			many = append(many, perm(w.named(i*n/64), "view"))
		}
		b.Run(fmt.Sprintf("%d/ticket of 64", n), func(b *testing.B) {
			for b.Loop() {
				w.rpt(c1, w.ticket(many...))
			}
		})
	}
}

func (w *world) named(i int) umaas.ResourceID { return umaas.ResourceID(fmt.Sprintf("r%07d", i)) }

// crowd registers n resources of alice, each shared with the same app, in transactions of a bounded size.
func (w *world) crowd(n int) {
	const batch = 20
	for first := 0; first < n; first += batch {
		w.put(func(tx umaas.Tx) error {
			for i := first; i < min(first+batch, n); i++ {
				id := w.named(i)
				r := umaas.Resource{ID: id, Owner: w.alice, RS: rs1, Description: uma.ResourceDescription{Name: "Record", Scopes: []string{"edit", "view"}}}
				if err := tx.PutResource(r); err != nil {
					return err
				}
				p := umaas.Policy{
					ID: umaas.PolicyID(id), Owner: w.alice, Who: umaas.Who{Kind: umaas.WhoClient, Client: c1},
					Rules: []umaas.Rule{rule(rs1, id, "view")}, Origin: umaas.OriginShare, Created: w.now(),
				}
				if err := tx.PutPolicy(p); err != nil {
					return err
				}
			}
			return nil
		})
	}
}
