package client_test

import (
	"net/url"
	"testing"

	"github.com/umaas/umaas/resolver/client"
)

// TestG_058_UnknownParameters: parameters that the client does not know change nothing when the person comes back, once or
// repeated (as Grant §3.3.3 has it for claims redirects, and RFC 6749 §4.1.2 before it).
func TestG_058_UnknownParameters(t *testing.T) {
	const server, link = "https://hospital.example", "https://hospital.example/uma-context/abc"
	for _, more := range []url.Values{{}, {"session_state": {"x"}}, {"Resolved": {"https://evil.example"}}, {"a": {"1", "2"}, "": {""}}} {
		q := url.Values{"state": {"s"}, "iss": {server}, "resolved": {link}}
		for name, values := range more {
			q[name] = values
		}
		if got, err := client.Return(q, server, "s"); err != nil || got != link {
			t.Errorf("with %v: %q, %v", more, got, err)
		}
	}
}
