package umaas_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/umaas/umaas/umaas"
)

// raceOAuth redeems one value 64 times at once over three services, and returns how many won.
func raceOAuth(w *oauthWorld, ask func() umaas.TokenRequest) int32 {
	services := []*umaas.Service{w.s, w.service(), w.service()}
	var won atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 64 {
		wg.Go(func() {
			<-start
			_, err := services[i%len(services)].Token(w.t.Context(), ask())
			if err == nil {
				won.Add(1)
				return
			}
			wantOAuthError(w.t, "loser", err, 400, "invalid_grant", "")
		})
	}
	close(start)
	wg.Wait()
	return won.Load()
}

func TestSEC_104_OneWinner(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		app := w.register(appMetadata())
		code := w.code(app, w.alice)
		if won := raceOAuth(w, func() umaas.TokenRequest { return app.redeem(code) }); won != 1 {
			t.Errorf("%d of 64 redeemed one code", won)
		}
	})
}

func TestSEC_109_OneWinner(t *testing.T) {
	onEngines(t, func(t *testing.T, w *oauthWorld) {
		rs := w.resourceServer()
		r := w.pat(rs, w.alice)
		won := raceOAuth(w, func() umaas.TokenRequest {
			return rs.ask("grant_type", "refresh_token", "refresh_token", r.RefreshToken)
		})
		if won != 1 {
			t.Errorf("%d of 64 redeemed one refresh token", won)
		}
	})
}
