package httpapi

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// permissionRequest is one object of FedAuthz §4.1 with the extension members that bind the ticket to an app's PKCE
// challenge (SEC-03).
type permissionRequest struct {
	ResourceID  string           `json:"resource_id"`
	Scopes      []string         `json:"resource_scopes"`
	Constraints []uma.Constraint `json:"constraints"`
	Challenge   string           `json:"code_challenge"`
	Method      string           `json:"code_challenge_method"`
}

// permission is the permission endpoint: one object or an array of at least one (F-054).
func (a *api) permission(c *gin.Context, p umaas.PAT) error {
	raw, err := readJSON(c.Request)
	if err != nil {
		return err
	}
	permissions, challenge, err := parsePermissions(raw)
	if err != nil {
		return err
	}
	ticket, err := a.Service.RequestPermission(c.Request.Context(), p, permissions, challenge, requestID(c))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusCreated, uma.PermissionTicket{Ticket: ticket})
}

func parsePermissions(raw []byte) (permissions []uma.Permission, challenge string, err error) {
	var asked []permissionRequest
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		asked = make([]permissionRequest, 1)
		err = decode(raw, &asked[0])
	} else {
		err = decode(raw, &asked)
	}
	if err != nil {
		return nil, "", err
	}
	if len(asked) == 0 {
		return nil, "", uma.ErrInvalidRequest.With("name at least one permission")
	}
	for i, r := range asked {
		if err := r.check(i, asked[0].Challenge); err != nil {
			return nil, "", err
		}
		permissions = append(permissions, uma.Permission{ResourceID: r.ResourceID, Scopes: r.Scopes, Constraints: r.Constraints})
	}
	return permissions, asked[0].Challenge, nil
}

func (r permissionRequest) check(i int, challenge string) error {
	at := "permission " + strconv.Itoa(i) + ": "
	switch {
	case r.ResourceID == "": // F-055
		return uma.ErrInvalidRequest.With(at + "resource_id is missing")
	case r.Scopes == nil: // F-056: required, though it may be empty
		return uma.ErrInvalidRequest.With(at + "resource_scopes is missing (an empty array is allowed)")
	case r.Challenge != challenge:
		return uma.ErrInvalidRequest.With(at + "code_challenge must be the same in all permissions")
	case r.Challenge != "" && r.Method != "S256", r.Challenge == "" && r.Method != "":
		return uma.ErrInvalidRequest.With(at + "code_challenge comes with code_challenge_method S256")
	}
	for _, constraint := range r.Constraints {
		if constraint.Type == "" {
			return uma.ErrInvalidRequest.With(at + "a constraint needs a type")
		}
	}
	return nil
}
