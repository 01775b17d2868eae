package rstest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/pop"
	"github.com/umaas/umaas/umaas/uma"
)

// Origin is where requests of httptest.NewRequest are sent to; give it to Possession.
const Origin = "http://example.com"

// GiveBound makes a token that is bound to a fresh DPoP key. It panics where no key can be made: a fault of the test.
func (a *AS) GiveBound(g resourceserver.Grant) (token string, key *pop.Key) {
	key, err := pop.NewKey(rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("rstest: %v", err))
	}
	g.Confirm = uma.Confirmation{JKT: key.Thumbprint()}
	return a.Give(g), key
}

// Possession checks the proofs of requests to Origin.
func Possession(now func() time.Time) *resourceserver.Possession {
	p, err := resourceserver.NewPossession(resourceserver.PossessionConfig{Origin: Origin, Now: now})
	if err != nil {
		panic(fmt.Sprintf("rstest: %v", err))
	}
	return p
}

// Present puts a bound token and a fresh proof into a request made by httptest.NewRequest.
func Present(r *http.Request, token string, key *pop.Key, now time.Time) {
	proof, err := key.Prove(pop.Statement{Method: r.Method, URL: Origin + r.URL.EscapedPath(), Token: token, Now: now})
	if err != nil {
		panic(fmt.Sprintf("rstest: %v", err))
	}
	r.Header.Set("Authorization", uma.TokenTypeDPoP+" "+token)
	r.Header.Set(pop.Header, proof)
}
