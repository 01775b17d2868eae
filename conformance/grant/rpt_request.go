package grant

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"

	"github.com/umaas/umaas/conformance"
	"github.com/umaas/umaas/umaas/uma"
)

// rptRequest checks the form of the token request, Grant §3.3.1 and RFC 6749 §3.2.
func rptRequest() []check {
	return []check{
		{
			ID: "grant.rpt-request.ticket-missing", Level: must, Covers: []string{"G-024"}, Run: ticketMissing,
			Title: "A request without ticket is invalid_request",
		},
		{
			ID: "grant.rpt-request.parameter-case", Level: must, Covers: []string{"G-002"}, Run: parameterCase,
			Title: "Parameter names are case sensitive: Ticket is not ticket",
		},
		{
			ID: "grant.rpt-request.value-case", Level: must, Covers: []string{"G-002"}, Run: valueCase,
			Title: "Parameter values are case sensitive: the grant type in capitals is another one",
		},
		{
			ID: "grant.rpt-request.grant-type", Level: must, Covers: []string{"G-023"}, Run: otherGrantType,
			Title: "An unknown grant type is unsupported_grant_type",
		},
		{
			ID: "grant.rpt-request.repeated-parameter", Level: must, Covers: []string{"G-039"}, Run: repeatedParameter,
			Title: "A parameter given twice is invalid_request",
		},
		{
			ID: "grant.rpt-request.post-only", Level: must, Covers: []string{"G-039"}, Run: postOnly,
			Title: "The token endpoint does not work with GET",
		},
		{
			ID: "grant.rpt-request.unknown-parameter", Level: must, Covers: []string{"G-003", "G-004", "G-039"}, Run: unknownParameter,
			Title: "A parameter the server does not know is ignored",
		},
		{
			ID: "grant.rpt-request.claim-token-alone", Level: should, Covers: []string{"G-026"}, Run: claimTokenAlone,
			Title: "claim_token without claim_token_format is invalid_request",
		},
		{
			ID: "grant.rpt-request.claim-format-alone", Level: should, Covers: []string{"G-027"}, Run: claimFormatAlone,
			Title: "claim_token_format without claim_token is invalid_request",
		},
		{
			ID: "grant.rpt-request.claim-token-garbage", Level: must, Covers: []string{"G-028"}, Run: claimTokenGarbage,
			Title: "A claim token that is no base64url text is refused, and the server does not fail",
		},
		{
			ID: "grant.rpt-request.claim-format-unknown", Level: must, Covers: []string{"G-030"}, Run: claimFormatUnknown,
			Needs: []need{conformance.NeedPolicy},
			Title: "A claim token of an unknown format counts for nothing, and the server does not fail",
		},
	}
}

func ticketMissing(t *conformance.T) {
	x := t.Token(c1(t), url.Values{"grant_type": {uma.GrantTypeTicket}})
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidRequest.Code)
}

func parameterCase(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Token(c1(t), url.Values{"grant_type": {uma.GrantTypeTicket}, "Ticket": {ticket}})
	if assessed(x) {
		t.Errorf("a request with Ticket in place of ticket was assessed (%s)", told(x))
	}
	wantRefusal(t, x, "a request with Ticket in place of ticket")
}

func valueCase(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Token(c1(t), url.Values{"grant_type": {strings.ToUpper(uma.GrantTypeTicket)}, "ticket": {ticket}})
	if assessed(x) {
		t.Errorf("a grant type in capitals was assessed (%s)", told(x))
	}
	wantRefusal(t, x, "a grant type in capitals")
}

func otherGrantType(t *conformance.T) {
	x := t.Token(c1(t), url.Values{"grant_type": {"urn:example:grant-type:none"}, "ticket": {"any"}})
	wantError(t, x, http.StatusBadRequest, uma.ErrUnsupportedGrantType.Code)
}

func repeatedParameter(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"ticket": {ticket, ticket}})
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidRequest.Code)
}

// postOnly: RFC 6749 §3.2, the client must use POST.
func postOnly(t *conformance.T) {
	_, ticket := fresh(t)
	form := url.Values{"grant_type": {uma.GrantTypeTicket}, "ticket": {ticket}}
	h := http.Header{"Accept": {"application/json"}}
	c1(t).Auth()(h, form)
	target, err := url.Parse(t.Env().Metadata.TokenEndpoint)
	if err != nil {
		t.Blockf("token_endpoint is no URL: %v", err)
	}
	target.RawQuery = form.Encode()
	x := t.Request(http.MethodGet, target.String(), nil, h)
	if assessed(x) {
		t.Errorf("a GET at the token endpoint was assessed (%s)", told(x))
	}
	wantRefusal(t, x, "a GET at the token endpoint")
}

// unknownParameter: RFC 6749 §3.2, unrecognized request parameters must be ignored.
func unknownParameter(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"x_umaas_conformance": {"anything"}})
	if !assessed(x) {
		t.Errorf("a request with a parameter nobody defined was not assessed (%s)", told(x))
	}
}

func claimTokenAlone(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"claim_token": {encoded(`{"sub":"somebody"}`)}})
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidRequest.Code)
}

func claimFormatAlone(t *conformance.T) {
	_, ticket := fresh(t)
	x := t.Redeem(c1(t), ticket, url.Values{"claim_token_format": {formatOpenID}})
	wantError(t, x, http.StatusBadRequest, uma.ErrInvalidRequest.Code)
}

func claimTokenGarbage(t *conformance.T) {
	for _, garbage := range []string{"%%%", "a b c", "ä.ö.ü", ".", "..", "eyJ.eyJ.", strings.Repeat("A", 5000)} {
		_, ticket := fresh(t)
		x := t.Redeem(c1(t), ticket, url.Values{"claim_token": {garbage}, "claim_token_format": {formatOpenID}})
		wantRefusal(t, x, "a claim token of garbage")
	}
}

func claimFormatUnknown(t *conformance.T) {
	_, ticket := shared(t)
	person := t.Party(conformance.Bob)
	body := encoded(`{"sub":"` + person.Login + `","email":"` + person.Login + `@example.org"}`)
	x := t.Redeem(c1(t), ticket, url.Values{"claim_token": {body}, "claim_token_format": {"urn:example:claim-token-format:none"}})
	wantRefusal(t, x, "a claim token of an unknown format")
}

func encoded(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
