package asclient

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"github.com/umaas/umaas/umaas/uma"
)

// CreateResource registers a resource set under the PAT's owner (FedAuthz §3.2.1) and returns its id. It is sent once: a
// repeat could register twice. After ErrUnreachable the caller lists and matches.
func (c *Client) CreateResource(ctx context.Context, pat string, d uma.ResourceDescription) (string, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return "", err
	}
	d.ID = ""
	var got uma.ResourceDescription
	err = c.do(ctx, call{
		method: http.MethodPost, url: m.ResourceRegistrationEndpoint, bearer: pat, json: d, accept: []int{http.StatusCreated},
	}, &got)
	if err != nil {
		return "", fmt.Errorf("register resource: %w", err)
	}
	if got.ID == "" {
		return "", fmt.Errorf("%w: resource registration answered without _id", ErrUntrusted)
	}
	return got.ID, nil
}

// ReadResource returns a registered description (FedAuthz §3.2.2). Unknown ids are uma.ErrNotFound.
func (c *Client) ReadResource(ctx context.Context, pat, id string) (uma.ResourceDescription, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return uma.ResourceDescription{}, err
	}
	var d uma.ResourceDescription
	err = c.do(ctx, call{
		method: http.MethodGet, url: join(m.ResourceRegistrationEndpoint, id), bearer: pat, repeatable: true, accept: []int{http.StatusOK},
	}, &d)
	if err != nil {
		return uma.ResourceDescription{}, fmt.Errorf("read resource: %w", err)
	}
	if d.ID != id {
		return uma.ResourceDescription{}, fmt.Errorf("%w: asked for one resource, got another", ErrUntrusted)
	}
	return d, nil
}

// UpdateResource replaces a description (FedAuthz §3.2.3). Unknown ids are uma.ErrNotFound.
func (c *Client) UpdateResource(ctx context.Context, pat, id string, d uma.ResourceDescription) error {
	m, err := c.Metadata(ctx)
	if err != nil {
		return err
	}
	d.ID = ""
	err = c.do(ctx, call{
		method: http.MethodPut, url: join(m.ResourceRegistrationEndpoint, id), bearer: pat, json: d, repeatable: true,
		accept: []int{http.StatusOK},
	}, nil)
	if err != nil {
		return fmt.Errorf("update resource: %w", err)
	}
	return nil
}

// DeleteResource ends the protection of a set (FedAuthz §3.2.4). Unknown ids are uma.ErrNotFound.
func (c *Client) DeleteResource(ctx context.Context, pat, id string) error {
	m, err := c.Metadata(ctx)
	if err != nil {
		return err
	}
	err = c.do(ctx, call{
		method: http.MethodDelete, url: join(m.ResourceRegistrationEndpoint, id), bearer: pat, repeatable: true,
		accept: []int{http.StatusOK, http.StatusNoContent},
	}, nil)
	if err != nil {
		return fmt.Errorf("delete resource: %w", err)
	}
	return nil
}

// ListResources returns the ids the PAT's owner has at this resource server (FedAuthz §3.2.5).
func (c *Client) ListResources(ctx context.Context, pat string) ([]string, error) {
	m, err := c.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	err = c.do(ctx, call{
		method: http.MethodGet, url: m.ResourceRegistrationEndpoint, bearer: pat, repeatable: true, limit: maxList,
		accept: []int{http.StatusOK},
	}, &ids)
	if err != nil {
		return nil, fmt.Errorf("list resources: %w", err)
	}
	return ids, nil
}

// permissionRequest is uma.Permission with the extension members of SEC-03: the ticket that comes back can then be
// redeemed only with the verifier the app kept.
type permissionRequest struct {
	uma.Permission
	Challenge string `json:"code_challenge,omitempty"`
	Method    string `json:"code_challenge_method,omitempty"`
}

// RequestPermission asks for a permission ticket (FedAuthz §4.1): one object, or an array where there are several.
// challenge is the app's PKCE S256 challenge, "" for none. A ticket nobody redeems dies by itself, so the call may be
// repeated. Errors: uma.ErrInvalidResourceID, uma.ErrInvalidScope (FedAuthz §4.3).
func (c *Client) RequestPermission(ctx context.Context, pat string, permissions []uma.Permission, challenge string) (string, error) {
	if len(permissions) == 0 {
		return "", uma.ErrInvalidRequest.With("a permission request names at least one resource")
	}
	m, err := c.Metadata(ctx)
	if err != nil {
		return "", err
	}
	asked := make([]permissionRequest, len(permissions))
	for i, p := range permissions {
		if p.Scopes == nil {
			p.Scopes = []string{} // resource_scopes is required, zero scopes are legal (F-052, F-056)
		}
		asked[i] = permissionRequest{Permission: p, Challenge: challenge}
		if challenge != "" {
			asked[i].Method = "S256"
		}
	}
	var body any = asked
	if len(asked) == 1 {
		body = asked[0]
	}
	var got uma.PermissionTicket
	err = c.do(ctx, call{
		method: http.MethodPost, url: m.PermissionEndpoint, bearer: pat, json: body, repeatable: true, accept: []int{http.StatusCreated},
	}, &got)
	if err != nil {
		return "", fmt.Errorf("request permission: %w", err)
	}
	if !headerSafe(got.Ticket) {
		return "", fmt.Errorf("%w: permission endpoint answered without a usable ticket", ErrUntrusted)
	}
	return got.Ticket, nil
}

// headerSafe holds for a value that may stand between quotation marks in a header as it is.
func headerSafe(s string) bool {
	return s != "" && len(s) <= 4096 && bytes.IndexFunc([]byte(s), func(r rune) bool {
		return r <= 0x20 || r >= 0x7f || r == '"' || r == '\\' || r == ','
	}) < 0
}
