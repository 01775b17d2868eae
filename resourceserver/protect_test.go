package resourceserver_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/resourceserver/rstest"
	"github.com/umaas/umaas/umaas/uma"
)

// photos is an API that is not FHIR: GET /albums/{owner} needs "view", PUT "edit".
func photos(r *http.Request) (rs.Request, error) {
	owner, ok := strings.CutPrefix(r.URL.Path, "/albums/")
	if !ok {
		return rs.Request{}, errors.New("no such route")
	}
	switch r.Method {
	case http.MethodGet:
		return rs.Request{Patient: owner, Scopes: []string{"view"}, Interaction: "read", Type: "Album"}, nil
	case http.MethodPut:
		return rs.Request{Patient: owner, Scopes: []string{"view", "edit"}, Interaction: "update", Type: "Album"}, nil
	}
	return rs.Request{Patient: owner}, nil // nothing said: refused
}

func TestProtect(t *testing.T) {
	as := rstest.New()
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	reached := 0
	h := rs.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		g, ok := rs.GrantedFrom(r.Context())
		if !ok || g.Patient != "alice" || !g.Filter.All() || r.Header.Get("Authorization") != "" {
			t.Errorf("granted %+v, headers %v", g, r.Header)
		}
		_, _ = w.Write([]byte("an album"))
	}), rs.Config{
		Classifier: rs.APIClassifierFunc(photos), Verifier: as, Ticketer: as, Relations: as, Recorder: as, Spender: as,
		Now: func() time.Time { return now }, Logger: quiet(),
	})
	give := func(kind rs.TokenKind, level rs.Level, user, patient string, scopes []string, constraints ...uma.Constraint) string {
		set := rs.Set{Issuer: as.Issuer, ResourceID: "r1", Level: level, User: user, Patient: patient}
		return as.Give(rs.Grant{Kind: kind, ClientID: "app", Permissions: []rs.Permitted{{Set: set, Scopes: scopes, Constraints: constraints}}, Expires: now.Add(time.Hour)})
	}
	as.Relate("bob", "alice", "patient/*.r")
	view, edit := []string{"view"}, []string{"view", "edit"}
	once := give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view, uma.Constraint{Type: "once"})
	for _, c := range []struct {
		name, method, path, token string
		status                    int
		ticket                    string // "-" none
	}{
		{"allowed", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view), 200, "-"},
		{"all scopes in one permission", "PUT", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", edit), 200, "-"},
		{"too little", "PUT", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view), 401, "alice"},
		{"too little, OAuth", "PUT", "/albums/alice", give(rs.KindOAuth, rs.LevelRecord, "alice", "alice", view), 403, "-"},
		{"other owner", "GET", "/albums/carol", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view), 401, "carol"},
		{"by relation", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelPatient, "bob", "alice", view), 200, "-"},
		{"without relation", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelPatient, "eve", "alice", view), 401, "alice"},
		{"user level", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelUser, "bob", "", view), 200, "-"},
		{"query constraint cannot be judged here", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view, uma.Constraint{Type: "query", Value: "x=y"}), 401, "alice"},
		{"other client", "GET", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", view, uma.Constraint{Type: "client", Value: "x"}), 401, "alice"},
		{"once", "GET", "/albums/alice", once, 200, "-"},
		{"twice", "GET", "/albums/alice", once, 401, "alice"},
		{"no token", "GET", "/albums/alice", "", 401, "alice"},
		{"unknown route", "GET", "/other", "", 404, "-"},
		{"unclassified", "DELETE", "/albums/alice", give(rs.KindRPT, rs.LevelRecord, "alice", "alice", edit), 404, "-"},
		{"zero set", "GET", "/albums/alice", give(rs.KindRPT, "", "", "", view), 401, "alice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, tickets := reached, len(as.Tickets())
			r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.status || (reached > before) != (c.status == 200) {
				t.Errorf("status %d, want %d; handler reached %v", w.Code, c.status, reached > before)
			}
			got := as.Tickets()[tickets:]
			if c.ticket == "-" && len(got) != 0 || c.ticket != "-" && (len(got) != 1 || got[0].Patient != c.ticket) {
				t.Errorf("tickets %+v, want %q", got, c.ticket)
			}
			if c.status >= 400 && (w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), `"error"`)) {
				t.Errorf("body %s", w.Body)
			}
		})
	}
	if n := len(as.Events()); n != reached {
		t.Errorf("%d accesses, %d recorded", reached, n)
	}
	defer func() {
		if recover() == nil {
			t.Error("an incomplete configuration was taken")
		}
	}()
	rs.Protect(http.NotFoundHandler(), rs.Config{})
}
