package outbound

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Preview asks a resource server what permissions would show today: POST {"request": signed request}, answered by
// {"counts": {FHIR type: number}}. The address must have the origin of one of origins, the URLs the resource server is
// registered for: a preview_uri is a resource server's word, and must not lead elsewhere (SEC-73, SEC-75).
func (c *Client) Preview(ctx context.Context, uri string, origins []string, request string) (map[string]int, error) {
	target, err := c.check(uri)
	if err != nil {
		return nil, err
	}
	if !sameOrigin(target, origins) {
		return nil, fmt.Errorf("%w: the preview address is not at the resource server's own origin", ErrRefused)
	}
	body, err := json.Marshal(map[string]string{"request": request})
	if err != nil {
		return nil, fmt.Errorf("encode preview request: %w", err)
	}
	raw, err := c.do(ctx, http.MethodPost, uri, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Counts map[string]int `json:"counts"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, fmt.Errorf("%w: preview answer: %w", ErrRefused, err)
	}
	const maxTypes = 200
	if answer.Counts == nil || len(answer.Counts) > maxTypes {
		return nil, fmt.Errorf("%w: preview answer without counts, or with too many", ErrRefused)
	}
	for name, n := range answer.Counts {
		// The names are shown to the owner: nothing but a type's name may come this way.
		if n < 0 || name == "" || len(name) > 64 || strings.Trim(name, letters) != "" {
			return nil, fmt.Errorf("%w: preview answer counts something that is no resource type", ErrRefused)
		}
	}
	return answer.Counts, nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func sameOrigin(target *url.URL, origins []string) bool {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err == nil && u.Scheme == target.Scheme && u.Hostname() != "" && strings.EqualFold(u.Hostname(), target.Hostname()) && port(u) == port(target) {
			return true
		}
	}
	return false
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}
