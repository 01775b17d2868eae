// Package control is how the operator's commands reach the servers on the same machine. While a server runs, it owns its
// store; commands then speak to it over a socket in the data folder that only its own user can open. While
// none runs, the same operations run on the store directly. Either way there is one implementation: Operations.
package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Operation takes and returns JSON. Its error is shown to the operator as it is.
type Operation func(ctx context.Context, args json.RawMessage) (any, error)

// Operations are what an operator can ask for, by name.
type Operations map[string]Operation

// Stream writes an answer that is too big for JSON: a backup.
type Stream func(ctx context.Context, w io.Writer) error

// Op makes an Operation of a function with typed arguments; unknown members, and anything after the value, refuse.
func Op[In, Out any](fn func(context.Context, In) (Out, error)) Operation {
	return func(ctx context.Context, args json.RawMessage) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(args))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, fmt.Errorf("arguments: %w", err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("arguments: more than one JSON value")
		}
		return fn(ctx, in)
	}
}

// The sockets of a data folder, one for each role that has operations: roles apart may share the folder.
const (
	AS      = "control.sock"
	Gateway = "gateway.sock"
)

// longest is what every system takes as the path of a socket (sun_path of the BSDs, less its end).
const longest = 103

// Listen opens a socket in the data folder. Only a process that holds the role's store may call it: what an earlier one left
// behind is removed.
func Listen(ctx context.Context, folder, socket string) (net.Listener, error) {
	path := filepath.Join(folder, socket)
	if len(path) > longest {
		return nil, fmt.Errorf("control socket: the path of the data folder is too long for a socket in it (%d bytes, at most %d): choose a shorter one", len(folder), longest-len(socket)-1)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("control socket: %w", err), l.Close())
	}
	return l, nil
}

// Serve answers on a socket until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, ops Operations, streams map[string]Stream) error {
	s := &http.Server{Handler: handler(ops, streams), ReadHeaderTimeout: 5 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = s.Close() }) // the store closes next; nothing is left to save here
	defer stopped()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

const argumentLimit = 1 << 20

func handler(ops Operations, streams map[string]Stream) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{name}", func(w http.ResponseWriter, r *http.Request) {
		op, ok := ops[r.PathValue("name")]
		if !ok {
			http.Error(w, "this server does not know the command; is it an older version?", http.StatusNotFound)
			return
		}
		args, err := io.ReadAll(http.MaxBytesReader(w, r.Body, argumentLimit))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, err := op(r.Context(), args)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // a command that went away needs no answer
	})
	mux.HandleFunc("GET /{name}", func(w http.ResponseWriter, r *http.Request) {
		stream, ok := streams[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Trailer", "X-Complete")
		if err := stream(r.Context(), w); err == nil {
			w.Header().Set("X-Complete", "yes")
		}
	})
	return mux
}

// Local is a server opened for one command.
type Local struct {
	Operations Operations
	Streams    map[string]Stream
	Close      func() error
}

// Caller runs operations on the running server, or on the store itself.
type Caller struct {
	http  *http.Client
	local *Local
}

// Dial finds the process that serves a socket of a data folder, or opens the store with open.
func Dial(ctx context.Context, folder, socket string, open func(context.Context) (*Local, error)) (*Caller, error) {
	path := filepath.Join(folder, socket)
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		if err := conn.Close(); err != nil {
			return nil, fmt.Errorf("control socket: %w", err)
		}
		return &Caller{http: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
		}}}, nil
	}
	local, err := open(ctx)
	if err != nil {
		return nil, err
	}
	return &Caller{local: local}, nil
}

// Close gives the store back.
func (c *Caller) Close() error {
	if c.local == nil {
		return nil
	}
	return c.local.Close()
}

// Call runs one operation and decodes its answer into out.
func (c *Caller) Call(ctx context.Context, name string, in, out any) error {
	args, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	answer, err := c.call(ctx, name, args)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: answer: %w", name, err)
	}
	return nil
}

func (c *Caller) call(ctx context.Context, name string, args []byte) ([]byte, error) {
	if c.local != nil {
		op, ok := c.local.Operations[name]
		if !ok {
			return nil, fmt.Errorf("no such operation: %s", name)
		}
		value, err := op(ctx, args)
		if err != nil {
			return nil, err
		}
		return json.Marshal(value)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/"+name, bytes.NewReader(args))
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("running server: %w", err)
	}
	answer, err := io.ReadAll(res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, fmt.Errorf("running server: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(answer)))
	}
	return answer, nil
}

// Stream copies a streamed answer to w; a torn one is an error.
func (c *Caller) Stream(ctx context.Context, name string, w io.Writer) error {
	if c.local != nil {
		stream, ok := c.local.Streams[name]
		if !ok {
			return fmt.Errorf("no such operation: %s", name)
		}
		return stream(ctx, w)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://control/"+name, nil)
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("running server: %w", err)
	}
	_, err = io.Copy(w, res.Body)
	if closed := res.Body.Close(); err == nil {
		err = closed
	}
	if err == nil && res.Trailer.Get("X-Complete") != "yes" {
		err = errors.New("the running server did not finish")
	}
	return err
}
