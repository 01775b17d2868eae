package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
)

// maxBody bounds what is read of an answer.
const maxBody = 1 << 20

var errNoObject = errors.New("it is null")

// Request sends one request, built from its parts; the header is sent as given.
func (t *T) Request(method, target string, body []byte, header http.Header) *Exchange {
	req, err := http.NewRequestWithContext(t.ctx, method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s %s cannot be sent: %v", method, target, err)
	}
	for name, values := range header {
		req.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	return t.Do(req, method+" "+req.URL.Path)
}

// SendJSON sends a JSON body with a bearer token; "" sends none.
func (t *T) SendJSON(method, target string, body any, bearer string) *Exchange {
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("%s %s: the body cannot be written: %v", method, target, err)
	}
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if bearer != "" {
		h.Set("Authorization", "Bearer "+bearer)
	}
	return t.Request(method, target, raw, h)
}

// Do sends a request and keeps it with its answer in the result, secrets shortened. It never follows a redirect and reads
// at most 1 MiB. A request that gets no answer is an exchange with Status 0 and Err.
func (t *T) Do(req *http.Request, label string) *Exchange {
	x := &Exchange{Label: label, Request: Message{Method: req.Method, URL: req.URL.String()}}
	if req.Body != nil {
		raw, err := io.ReadAll(io.LimitReader(req.Body, maxBody+1))
		if err != nil {
			t.Fatalf("%s: the request body cannot be read: %v", label, err)
		}
		x.Request.Body = raw
		req.Body = io.NopCloser(bytes.NewReader(raw))
		req.ContentLength = int64(len(raw))
	}
	x.Request.Header = req.Header.Clone()
	t.env.send(t.ctx, req, x)
	t.keep(x)
	return x
}

// keep puts a shortened copy of an exchange into the result.
func (t *T) keep(x *Exchange) {
	copied, secrets := shorten(x), secretsOf(x)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secrets = append(t.secrets, secrets...)
	if len(t.kept) >= maxKept {
		t.dropped++
		return
	}
	t.kept = append(t.kept, copied)
}
