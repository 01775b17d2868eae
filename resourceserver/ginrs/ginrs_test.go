package ginrs_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/ginrs"
	"github.com/umaas/umaas/resourceserver/rstest"
)

func router(as *rstest.AS) (*gin.Engine, *int) {
	gin.SetMode(gin.ReleaseMode)
	p, err := resourceserver.NewProtection(resourceserver.Config{
		Classifier: resourceserver.APIClassifierFunc(func(r *http.Request) (resourceserver.Request, error) {
			return resourceserver.Request{Patient: "alice", Scopes: []string{"view"}, Interaction: "read"}, nil
		}),
		Verifier: as, Ticketer: as, Relations: as, Recorder: as, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
		Possession: rstest.Possession(time.Now),
	})
	if err != nil {
		panic(err)
	}
	reached := 0
	e := gin.New()
	e.GET("/album", ginrs.Protect(p), func(c *gin.Context) {
		reached++
		g, ok := ginrs.Granted(c)
		c.String(http.StatusOK, "%s %v", g.Patient, ok)
	})
	return e, &reached
}

func TestProtect(t *testing.T) {
	as := rstest.New()
	e, reached := router(as)
	record := resourceserver.Set{Issuer: as.Issuer, ResourceID: "r1", Level: resourceserver.LevelRecord, User: "u", Patient: "alice"}
	good := as.Give(resourceserver.Grant{Permissions: []resourceserver.Permitted{{Set: record, Scopes: []string{"view"}}}})
	for token, want := range map[string]int{"": 401, "x": 401, good: 200} {
		before := *reached
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/album", nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != want || (*reached > before) != (want == 200) {
			t.Errorf("%q: %d, reached %v", token, w.Code, *reached > before)
		}
		if want == 200 && w.Body.String() != "alice true" {
			t.Errorf("body %s", w.Body)
		}
	}
}

// TestProtectBound: a key-bound token counts with its proof alone, behind gin too.
func TestProtectBound(t *testing.T) {
	as := rstest.New()
	e, reached := router(as)
	record := resourceserver.Set{Issuer: as.Issuer, ResourceID: "r1", Level: resourceserver.LevelRecord, User: "u", Patient: "alice"}
	token, key := as.GiveBound(resourceserver.Grant{Permissions: []resourceserver.Permitted{{Set: record, Scopes: []string{"view"}}}})
	_, other := as.GiveBound(resourceserver.Grant{})
	for name, c := range map[string]struct {
		present func(*http.Request)
		want    int
	}{
		"with the key":    {func(r *http.Request) { rstest.Present(r, token, key, time.Now()) }, 200},
		"with another":    {func(r *http.Request) { rstest.Present(r, token, other, time.Now()) }, 401},
		"as bearer token": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 401},
	} {
		before := *reached
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/album", nil)
		c.present(r)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != c.want || (*reached > before) != (c.want == 200) {
			t.Errorf("%s: %d, reached %v", name, w.Code, *reached > before)
		}
	}
}

func ExampleProtect() {
	as := rstest.New()
	e, _ := router(as)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/album", nil))
	fmt.Println(w.Code)
	// Output: 401
}
