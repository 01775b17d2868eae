package resourceserver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	rs "github.com/umaas/umaas/resourceserver"
	"github.com/umaas/umaas/umaas/uma"
)

type counter struct {
	set         rs.Set
	permissions []uma.Permission
	calls       int
	err         error
}

func (c *counter) Count(_ context.Context, set rs.Set, permissions []uma.Permission) (map[string]int, error) {
	c.calls++
	c.set, c.permissions = set, permissions
	return map[string]int{"AllergyIntolerance": 3}, c.err
}

func TestPreview(t *testing.T) {
	w := newWorld(t)
	w.custodian()
	w.signInAs(john)
	set := w.set("sub-john", "record", "john")
	count := &counter{}
	p := &rs.Preview{Clients: w.clients, Sets: w.state, Counter: count, Base: base, Logger: slog.New(slog.DiscardHandler)}
	claims := func(change ...any) map[string]any {
		c := map[string]any{
			"iss": w.as.Issuer(), "aud": base + "/uma/preview", "iat": w.clock.now().Unix(), "exp": w.clock.now().Add(time.Minute).Unix(),
			"resource_id": set.ResourceID, "permissions": []uma.Permission{{ResourceID: set.ResourceID, Scopes: []string{"patient/AllergyIntolerance.r"}}},
		}
		for i := 0; i+1 < len(change); i += 2 {
			c[fmt.Sprint(change[i])] = change[i+1]
		}
		return c
	}
	post := func(body, contentType string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", base+"/uma/preview", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		rec := httptest.NewRecorder()
		p.ServeHTTP(rec, r)
		return rec
	}
	request := func(typ string, c map[string]any) string {
		raw, err := json.Marshal(map[string]string{"request": w.as.Sign(typ, c)})
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const typ = "preview-request+jwt"
	const refused = `{"error":"invalid_token","error_description":"a preview request is signed by the authorization server, for this address, within the last minute"}`
	for _, c := range []struct {
		name, body, contentType string
		status                  int
		want                    string
		counted                 bool
	}{
		{"good", request(typ, claims()), "application/json", 200, `{"counts":{"AllergyIntolerance":3}}`, true},
		{"unknown set", request(typ, claims("resource_id", "set-x")), "application/json", 200, `{"counts":{}}`, false},
		{"no set", request(typ, claims("resource_id", "")), "application/json", 401, refused, false},
		{"old", request(typ, claims("iat", w.clock.now().Add(-61*time.Second).Unix())), "application/json", 401, refused, false},
		{"no iat", request(typ, claims("iat", 0)), "application/json", 401, refused, false},
		{"from the future", request(typ, claims("iat", w.clock.now().Add(10*time.Second).Unix())), "application/json", 401, refused, false},
		{"expired", request(typ, claims("exp", w.clock.now().Unix())), "application/json", 401, refused, false},
		{"other address", request(typ, claims("aud", "https://elsewhere.example/uma/preview")), "application/json", 401, refused, false},
		{"two addresses", request(typ, claims("aud", []string{base + "/uma/preview", "https://b.example"})), "application/json", 401, refused, false},
		{"other issuer", request(typ, claims("iss", "https://evil.example")), "application/json", 401, refused, false},
		{"an access token", request("at+jwt", claims()), "application/json", 401, refused, false},
		{"form", "request=x", "application/x-www-form-urlencoded", 401, refused, false},
		{"no JSON", "{", "application/json", 401, refused, false},
		{"huge", `{"request":"` + strings.Repeat("a", 70<<10) + `"}`, "application/json", 401, refused, false},
	} {
		before := count.calls
		rec := post(c.body, c.contentType)
		if rec.Code != c.status || strings.TrimSpace(rec.Body.String()) != c.want || rec.Header().Get("Cache-Control") != "no-store" || count.calls-before != map[bool]int{true: 1}[c.counted] {
			t.Errorf("%s: %d %s, counted %d times", c.name, rec.Code, rec.Body, count.calls-before)
		}
	}
	if count.set != set || len(count.permissions) != 1 {
		t.Errorf("counted %+v %+v", count.set, count.permissions)
	}
	get := httptest.NewRecorder()
	p.ServeHTTP(get, httptest.NewRequestWithContext(t.Context(), "GET", base+"/uma/preview", nil))
	if get.Code != 405 || get.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d", get.Code)
	}
}
