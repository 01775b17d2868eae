package asclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/umaas/umaas/umaas/uma"
)

// Introspect asks what a token is good for at this resource server (RFC 7662 §2.1, FedAuthz §5.1). With the PAT of the
// resource server itself the answer holds the permissions on this server's sets whoever owns them. An answer that names
// another issuer is refused.
func (c *Client) Introspect(ctx context.Context, pat, token string) (uma.Introspection, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return uma.Introspection{}, err
	}
	var got uma.Introspection
	err = c.do(ctx, call{
		method: http.MethodPost, url: m.IntrospectionEndpoint, bearer: pat, repeatable: true, accept: []int{http.StatusOK},
		form: url.Values{"token": {token}, "token_type_hint": {"access_token"}},
	}, &got)
	if err != nil {
		return uma.Introspection{}, fmt.Errorf("introspect: %w", err)
	}
	if got.Active && got.Iss != "" && got.Iss != c.cfg.Issuer {
		return uma.Introspection{}, fmt.Errorf("%w: introspection names issuer %q", ErrUntrusted, got.Iss)
	}
	return got, nil
}

// Consume spends a single-use grant (decisions 8). Only one of any number of parallel calls succeeds; the others get an
// *uma.Error. It is sent once.
func (c *Client) Consume(ctx context.Context, pat, token string) error {
	m, err := c.Metadata(ctx)
	if err != nil {
		return err
	}
	to, err := endpoint("urn:umaas:grant_consumption_endpoint", m.GrantConsumptionEndpoint)
	if err != nil {
		return err
	}
	err = c.do(ctx, call{
		method: http.MethodPost, url: to, bearer: pat, form: url.Values{"token": {token}},
		accept: []int{http.StatusOK, http.StatusNoContent},
	}, nil)
	if err != nil {
		return fmt.Errorf("consume grant: %w", err)
	}
	return nil
}

// ReportAccess tells an owner's history of accesses here (a documented extension). Events are idempotent by id, so the
// call may be repeated. A server without the endpoint is told nothing: ErrNoAccessEvents.
func (c *Client) ReportAccess(ctx context.Context, pat string, events []uma.AccessEvent) error {
	m, err := c.Metadata(ctx)
	if err != nil {
		return err
	}
	if m.AccessEventsEndpoint == "" {
		return ErrNoAccessEvents
	}
	to, err := endpoint("urn:umaas:access_events_endpoint", m.AccessEventsEndpoint)
	if err != nil {
		return err
	}
	err = c.do(ctx, call{
		method: http.MethodPost, url: to, bearer: pat, json: events, repeatable: true,
		accept: []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent},
	}, nil)
	if err != nil {
		return fmt.Errorf("report access: %w", err)
	}
	return nil
}

// ErrNoAccessEvents says that the authorization server takes no access events.
var ErrNoAccessEvents = fmt.Errorf("the authorization server has no access events endpoint")
