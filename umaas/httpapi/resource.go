package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/umaas/umaas/umaas"
	"github.com/umaas/umaas/umaas/uma"
)

// resourceAnswer is FedAuthz §3.2.1.
type resourceAnswer struct {
	ID string `json:"_id"`
}

func (a *api) createResource(c *gin.Context, p umaas.PAT) error {
	d, err := readDescription(c.Request)
	if err != nil {
		return err
	}
	id, err := a.Service.CreateResource(c.Request.Context(), p, d, requestID(c))
	if err != nil {
		return err
	}
	c.Header("Location", a.Issuer+"/resource_set/"+url.PathEscape(string(id)))
	return writeJSON(c, http.StatusCreated, resourceAnswer{ID: string(id)})
}

func (a *api) readResource(c *gin.Context, p umaas.PAT) error {
	id := umaas.ResourceID(c.Param("id"))
	d, err := a.Service.ReadResource(c.Request.Context(), p, id)
	if err != nil {
		return err
	}
	d.ID = string(id)
	return writeJSON(c, http.StatusOK, description(d))
}

func (a *api) updateResource(c *gin.Context, p umaas.PAT) error {
	d, err := readDescription(c.Request)
	if err != nil {
		return err
	}
	id := umaas.ResourceID(c.Param("id"))
	if err := a.Service.UpdateResource(c.Request.Context(), p, id, d, requestID(c)); err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, resourceAnswer{ID: string(id)})
}

func (a *api) deleteResource(c *gin.Context, p umaas.PAT) error {
	if err := a.Service.DeleteResource(c.Request.Context(), p, umaas.ResourceID(c.Param("id")), requestID(c)); err != nil {
		return err
	}
	return noContent(c) // F-047
}

func (a *api) listResources(c *gin.Context, p umaas.PAT) error {
	ids, err := a.Service.ListResources(c.Request.Context(), p)
	if err != nil {
		return err
	}
	if ids == nil {
		ids = []umaas.ResourceID{} // FedAuthz §3.2.5: an array, also when empty
	}
	return writeJSON(c, http.StatusOK, ids)
}

func readDescription(r *http.Request) (uma.ResourceDescription, error) {
	raw, err := readJSON(r)
	if err != nil {
		return uma.ResourceDescription{}, err
	}
	return parseDescription(raw)
}

// parseDescription keeps unknown members (name#fr and the like) for the next read. _id is the server's to choose.
func parseDescription(raw []byte) (uma.ResourceDescription, error) {
	var d uma.ResourceDescription
	if err := decode(raw, &d); err != nil {
		return uma.ResourceDescription{}, err
	}
	if d.Scopes == nil { // F-027
		return uma.ResourceDescription{}, uma.ErrInvalidRequest.With("resource_scopes is missing: an array of strings")
	}
	d.ID = ""
	all, err := members(bytes.TrimSpace(raw))
	if err != nil {
		return uma.ResourceDescription{}, uma.ErrInvalidRequest.With("the body must be an object")
	}
	for name, value := range all {
		if !describedMembers[name] {
			if d.Extra == nil {
				d.Extra = map[string]json.RawMessage{}
			}
			d.Extra[name] = append(json.RawMessage(nil), value...)
		}
	}
	return d, nil
}

var describedMembers = map[string]bool{
	"_id": true, "name": true, "type": true, "description": true, "icon_uri": true, "resource_scopes": true,
	"context": true, "derived_from": true, "preview_uri": true,
}

// description writes a resource description with its kept members among the known ones.
type description uma.ResourceDescription

func (d description) MarshalJSON() ([]byte, error) {
	type plain uma.ResourceDescription
	known, err := json.Marshal(plain(d))
	if err != nil || len(d.Extra) == 0 {
		return known, err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(known, &all); err != nil {
		return nil, err
	}
	for name, value := range d.Extra {
		if !describedMembers[name] {
			all[name] = value
		}
	}
	return json.Marshal(all)
}
