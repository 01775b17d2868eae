package asclient_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/umaas/umaas/resourceserver/asclient"
	"github.com/umaas/umaas/resourceserver/asclient/asclienttest"
	"github.com/umaas/umaas/umaas/uma"
)

// TestKeysAreWaitedFor: tokens that arrive while the keys are being fetched for the first time wait for them; they are not
// called unknown, and one fetch serves all.
func TestKeysAreWaitedFor(t *testing.T) {
	as := asclienttest.New(time.Now)
	defer as.HTTP.Close()
	there, err := url.Parse(as.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	var fetches atomic.Int32
	first, slow := make(chan struct{}), make(chan struct{})
	proxy := httputil.NewSingleHostReverseProxy(there)
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fetches.Add(1) == 1 {
			close(first)
		}
		<-slow
		proxy.ServeHTTP(w, r)
	}))
	defer keys.Close()
	as.ChangeMetadata(func(m *uma.Metadata) { m.JWKSURI = keys.URL + "/jwks" })
	c := client(t, as.Issuer(), func(cfg *asclient.Config) { cfg.Audience = "https://rs.example/fhir" })
	token := as.Sign("at+jwt", map[string]any{
		"iss": as.Issuer(), "sub": "s", "aud": "https://rs.example/fhir", "exp": time.Now().Add(time.Minute).Unix(), "jti": "j", "client_id": "app",
	})
	var wg sync.WaitGroup
	verify := func() {
		if _, err := c.VerifyAccessToken(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	wg.Go(verify)
	<-first
	for range 8 {
		wg.Go(verify)
	}
	time.AfterFunc(50*time.Millisecond, func() { close(slow) }) // the others have met the fetch by then, or find its keys
	wg.Wait()
	if n := fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}
