package clientduty

import (
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
)

func interactionClient(t *conformance.T) {
	if sent(t).to.Query().Get("client_id") == "" {
		t.Errorf("there is no client_id")
	}
}

func interactionURI(t *conformance.T) {
	raw := sent(t).to.Query().Get("claims_redirect_uri")
	if raw == "" {
		t.Skipf("the client names no claims_redirect_uri, as one that registered exactly one may (Grant §3.3.2)")
	}
	if u, err := url.Parse(raw); err != nil || !u.IsAbs() || u.Host == "" && u.Opaque == "" {
		t.Errorf("claims_redirect_uri %q is not absolute", raw)
	}
	if strings.Contains(raw, "#") {
		t.Errorf("claims_redirect_uri %q has a fragment", raw)
	}
}

func unknownParameter(t *conformance.T) {
	v := sent(t)
	ticket := v.back(t, func(q url.Values) { q.Set("conformance_unknown", "1") })
	if !presented(v.requests(), ticket) {
		plain := sent(t)
		if again := plain.back(t, same); !presented(plain.requests(), again) {
			t.Blockf("the client presents no ticket that comes back, without that parameter either")
		}
		t.Errorf("the ticket that came back was not presented: a parameter beside it is unknown to the client")
	}
}

// pctOf is the PCT that the world issues with an RPT.
func pctOf(rpt string) string { return "pct" + strings.TrimPrefix(rpt, "rpt") }

// pctOfAnother: the client cannot know that a new browser is the same person's (Grant §3.3.1, §5.2).
func pctOfAnother(t *conformance.T) {
	whole(t)
	v := start(t)
	for _, f := range asked(t, v) {
		if f.Get("pct") != "" {
			t.Errorf("a browser that had begun nothing was given the claims of another: a pct was sent")
		}
	}
}

func pctSecret(t *conformance.T) {
	v := whole(t)
	for _, address := range v.seen().pctLeaks[len(v.before.pctLeaks):] {
		t.Errorf("the PCT was in the address of a request for %s", address)
	}
	for _, rpt := range v.seen().issued[len(v.before.issued):] {
		for _, text := range v.shown {
			if strings.Contains(text, pctOf(rpt)) {
				t.Errorf("the browser was given the PCT")
			}
		}
	}
}
