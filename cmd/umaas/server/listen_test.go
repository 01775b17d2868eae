package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func door(t *testing.T, name string, h http.Handler) (Door, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return Door{Name: name, Listener: l, Handler: h}, "http://" + l.Addr().String()
}

// TestServeLetsRequestsFinish stops in the middle of a request, for a reason that is no context.Canceled, as a signal's is.
func TestServeLetsRequestsFinish(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	d, at := door(t, "slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		_, _ = io.WriteString(w, "whole")
	}))
	ctx, stop := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, slog.New(slog.DiscardHandler), d) }()
	got := make(chan string, 1)
	go func() {
		res, err := http.Get(at)
		if err != nil {
			got <- err.Error()
			return
		}
		raw, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		got <- string(raw)
	}()
	<-begun
	stop(errors.New("terminated signal received"))
	select {
	case err := <-ended:
		t.Fatalf("ended before the request did: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	if s := <-got; s != "whole" {
		t.Errorf("the request got %q", s)
	}
	if err := <-ended; err != nil {
		t.Errorf("a stop is no failure: %v", err)
	}
}

// TestServeEndsWithTheFirstDoorThatFails closes the other doors too, and tells which it was.
func TestServeEndsWithTheFirstDoorThatFails(t *testing.T) {
	good, at := door(t, "good", http.NotFoundHandler())
	bad, _ := door(t, "bad", http.NotFoundHandler())
	bad.CertFile, bad.KeyFile = "/nowhere.crt", "/nowhere.key"
	err := Serve(t.Context(), slog.New(slog.DiscardHandler), good, bad)
	if err == nil || !strings.HasPrefix(err.Error(), "bad: ") {
		t.Errorf("%v", err)
	}
	if _, err := http.Get(at); err == nil {
		t.Error("the good door still answers")
	}
}

func TestInsist(t *testing.T) {
	for _, c := range []struct {
		want, sent string
		status     int
	}{
		{"Bearer secret", "Bearer secret", http.StatusOK},
		{"Bearer secret", "bearer secret", http.StatusUnauthorized},
		{"Bearer secret", "Bearer secret ", http.StatusUnauthorized},
		{"Bearer secret", "", http.StatusUnauthorized},
		{"", "", http.StatusUnauthorized},
		{"", "Bearer anything", http.StatusUnauthorized},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/Patient", nil)
		if c.sent != "" {
			r.Header["Authorization"] = []string{c.sent}
		}
		Insist(c.want, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("want %q, sent %q: %d", c.want, c.sent, w.Code)
		}
	}
}

func TestQueryOfKeepsNoAddress(t *testing.T) {
	q, err := queryOf("https://elsewhere.example/steal?page=2&_count=200")
	if err != nil || q != "page=2&_count=200" {
		t.Errorf("%q %v", q, err)
	}
}
