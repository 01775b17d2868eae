package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type args struct{ Name string }

func operations() Operations {
	return Operations{
		"greet": Op(func(_ context.Context, a args) (args, error) {
			if a.Name == "" {
				return a, errors.New("who? Give a name")
			}
			return args{"hello " + a.Name}, nil
		}),
	}
}

func streams() map[string]Stream {
	return map[string]Stream{
		"whole": func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
			return err
		},
		"torn": func(_ context.Context, w io.Writer) error {
			_, err := io.WriteString(w, "half")
			return errors.Join(err, errors.New("the disk is gone"))
		},
	}
}

// served opens a socket in a folder until the test ends.
func served(t *testing.T, folder, socket string) {
	t.Helper()
	l, err := Listen(t.Context(), folder, socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, operations(), streams()) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if _, err := os.Stat(filepath.Join(folder, socket)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
}

func never(t *testing.T) func(context.Context) (*Local, error) {
	return func(context.Context) (*Local, error) {
		t.Error("the store was opened beside a running server")
		return nil, errors.New("busy")
	}
}

func local(context.Context) (*Local, error) {
	return &Local{Operations: operations(), Streams: streams(), Close: func() error { return nil }}, nil
}

// TestSameAnswersEitherWay asks the running server and the store itself.
func TestSameAnswersEitherWay(t *testing.T) {
	folder := t.TempDir()
	served(t, folder, AS)
	remote, err := Dial(t.Context(), folder, AS, never(t))
	if err != nil {
		t.Fatal(err)
	}
	direct, err := Dial(t.Context(), folder, Gateway, local) // nobody serves this one
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Caller{"server": remote, "store": direct} {
		t.Run(name, func(t *testing.T) {
			var out args
			if err := c.Call(t.Context(), "greet", args{"Nora"}, &out); err != nil || out.Name != "hello Nora" {
				t.Errorf("%+v %v", out, err)
			}
			if err := c.Call(t.Context(), "greet", args{}, &out); err == nil || err.Error() != "who? Give a name" {
				t.Errorf("an operation's error: %v", err)
			}
			if err := c.Call(t.Context(), "greet", map[string]string{"Nmae": "x"}, &out); err == nil || !strings.Contains(err.Error(), `unknown field "Nmae"`) {
				t.Errorf("unknown member: %v", err)
			}
			if err := c.Call(t.Context(), "nonsense", args{}, &out); err == nil {
				t.Error("unknown operation answered")
			}
			var b bytes.Buffer
			if err := c.Stream(t.Context(), "whole", &b); err != nil || b.Len() != 1<<20 {
				t.Errorf("stream: %d bytes, %v", b.Len(), err)
			}
			if err := c.Stream(t.Context(), "torn", io.Discard); err == nil {
				t.Error("a torn stream passed for a whole one")
			}
			if err := c.Stream(t.Context(), "nonsense", io.Discard); err == nil {
				t.Error("unknown stream answered")
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSocketIsForItsUserAlone(t *testing.T) {
	folder := t.TempDir()
	served(t, folder, AS)
	info, err := os.Stat(filepath.Join(folder, AS))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// TestListenAfterACrash finds the socket of a process that was killed, and takes its place.
func TestListenAfterACrash(t *testing.T) {
	folder := t.TempDir()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(folder, AS), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Dial(t.Context(), folder, AS, local); err != nil || c.local == nil {
		t.Errorf("a dead socket was taken for a server: %v", err)
	}
	served(t, folder, AS)
	if _, err := Dial(t.Context(), folder, AS, never(t)); err != nil {
		t.Error(err)
	}
}

func TestListenTellsWhatToDo(t *testing.T) {
	if _, err := Listen(t.Context(), "/tmp/"+strings.Repeat("x", 100), AS); err == nil || !strings.Contains(err.Error(), "choose a shorter one") {
		t.Errorf("long path: %v", err)
	}
	if _, err := Listen(t.Context(), filepath.Join(t.TempDir(), "none"), AS); err == nil {
		t.Error("a folder that is not there")
	}
}

// FuzzArguments holds that no argument ends the server or is taken with members it does not know.
func FuzzArguments(f *testing.F) {
	h := handler(operations(), nil)
	for _, s := range []string{`{"Name":"x"}`, `{}`, ``, `[`, `{"Name":1}`, `{"name":"x"}{"Name":"y"}`, `null`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://control/greet", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		w := &answer{header: http.Header{}, status: http.StatusOK}
		h.ServeHTTP(w, r)
		if w.status == http.StatusOK && !strings.Contains(w.String(), "hello ") {
			t.Errorf("%q → %s", body, w)
		}
		if w.status == http.StatusOK && !json.Valid([]byte(body)) {
			t.Errorf("%q was taken, and is no JSON value", body)
		}
		if w.status != http.StatusOK && w.status != http.StatusUnprocessableEntity {
			t.Errorf("%q → %d", body, w.status)
		}
	})
}

type answer struct {
	bytes.Buffer
	header http.Header
	status int
}

func (a *answer) Header() http.Header    { return a.header }
func (a *answer) WriteHeader(status int) { a.status = status }
