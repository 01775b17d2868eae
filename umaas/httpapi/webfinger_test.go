package httpapi

import (
	"net/url"
	"testing"
)

// TestH_12_WebFinger: every address of this host leads to its issuer, whoever it names; others lead nowhere.
func TestH_12_WebFinger(t *testing.T) {
	h := server(t, &fake{}, nil)
	const issuer = `"links":[{"rel":"http://openid.net/specs/connect/1.0/issuer","href":"https://as.example/a"}]}`
	for _, c := range []struct {
		query  string
		status int
		want   string
	}{
		{"resource=" + url.QueryEscape("acct:alice@as.example"), 200, `{"subject":"acct:alice@as.example",` + issuer},
		{"resource=" + url.QueryEscape("acct:nobody@AS.example") + "&rel=" + url.QueryEscape(relIssuer), 200, `{"subject":"acct:nobody@AS.example",` + issuer},
		{"resource=" + url.QueryEscape("https://as.example/a") + "&rel=x&rel=" + url.QueryEscape(relIssuer), 200, `{"subject":"https://as.example/a",` + issuer},
		{"resource=" + url.QueryEscape("https://as.example/a/alice"), 200, `{"subject":"https://as.example/a/alice",` + issuer},
		{"resource=" + url.QueryEscape("acct:alice@as.example") + "&rel=x", 200, `{"subject":"acct:alice@as.example","links":[]}`},
		{"", 400, ""}, {"resource=", 400, ""}, {"resource=a&resource=b", 400, ""}, {"resource=%zz", 400, ""},
		{"resource=" + url.QueryEscape("acct:alice@other.example"), 404, ""}, {"resource=" + url.QueryEscape("acct:@as.example"), 404, ""},
		{"resource=" + url.QueryEscape("acct:a@b@as.example"), 404, ""}, {"resource=" + url.QueryEscape("https://as.example/ab"), 404, ""},
		{"resource=" + url.QueryEscape("http://as.example/a"), 404, ""}, {"resource=" + url.QueryEscape("https://u@as.example/a"), 404, ""}, {"resource=alice", 404, ""},
	} {
		w := call{method: "GET", path: wellKnownWebFinger + "?" + c.query}.do(h)
		if w.Code != c.status || c.want != "" && w.Body.String() != c.want+"\n" && w.Body.String() != c.want {
			t.Errorf("%q: %d %s, want %d %s", c.query, w.Code, w.Body, c.status, c.want)
		}
		if c.status == 200 && (w.Header().Get("Content-Type") != "application/jrd+json" || w.Header().Get("Access-Control-Allow-Origin") != "*") {
			t.Errorf("%q: %v", c.query, w.Header())
		}
	}
}
