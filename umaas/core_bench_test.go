package umaas_test

import (
	"fmt"
	"testing"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/store/kv/memkv"
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
