package asclienttest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	d, raw, ok := description(w, r)
	if !ok {
		return
	}
	id := s.id("set")
	s.res[id] = Resource{Owner: a.owner, Description: d, Raw: raw}
	w.Header().Set("Location", s.HTTP.URL+"/resource_set/"+id)
	write(w, http.StatusCreated, map[string]string{"_id": id})
}

func description(w http.ResponseWriter, r *http.Request) (uma.ResourceDescription, json.RawMessage, bool) {
	raw, err := io.ReadAll(r.Body)
	var d uma.ResourceDescription
	if err != nil || json.Unmarshal(raw, &d) != nil || d.Scopes == nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "description")
		return d, nil, false
	}
	return d, raw, true
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	ids := []string{}
	for id, res := range s.res {
		if res.Owner == a.owner {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	write(w, http.StatusOK, ids)
}

// own finds a resource of the PAT's owner; another's is not found (F-038).
func (s *Server) own(w http.ResponseWriter, r *http.Request) (string, Resource, bool) {
	a, ok := s.pat(w, r)
	if !ok {
		return "", Resource{}, false
	}
	res, known := s.res[r.PathValue("id")]
	if !known || res.Owner != a.owner {
		refuse(w, http.StatusNotFound, "not_found", "no such resource")
		return "", Resource{}, false
	}
	return r.PathValue("id"), res, true
}

func (s *Server) read(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, res, ok := s.own(w, r); ok {
		d := res.Description
		d.ID = id
		write(w, http.StatusOK, d)
	}
}

func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, res, ok := s.own(w, r)
	if !ok {
		return
	}
	if res.Description, res.Raw, ok = description(w, r); !ok {
		return
	}
	s.res[id] = res
	write(w, http.StatusOK, map[string]string{"_id": id})
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, _, ok := s.own(w, r); ok {
		delete(s.res, id)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) permission(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	type request struct {
		uma.Permission
		Challenge string `json:"code_challenge"`
	}
	raw, err := io.ReadAll(r.Body)
	var many []request
	if err == nil && json.Unmarshal(raw, &many) != nil {
		many = make([]request, 1)
		err = json.Unmarshal(raw, &many[0])
	}
	if err != nil || len(many) == 0 {
		refuse(w, http.StatusBadRequest, "invalid_request", "permissions")
		return
	}
	t := Ticket{Owner: a.owner, Challenge: many[0].Challenge, Raw: raw}
	for _, p := range many {
		res, known := s.res[p.ResourceID]
		if !known || res.Owner != a.owner {
			refuse(w, http.StatusBadRequest, "invalid_resource_id", "unknown resource")
			return
		}
		for _, scope := range p.Scopes {
			if !slices.Contains(res.Description.Scopes, scope) {
				refuse(w, http.StatusBadRequest, "invalid_scope", "unregistered scope "+scope)
				return
			}
		}
		t.Permissions = append(t.Permissions, p.Permission)
	}
	value := s.id("ticket")
	s.tickets[value] = t
	write(w, http.StatusCreated, uma.PermissionTicket{Ticket: value})
}

func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	_ = r.ParseForm()
	t, known := s.tokens[r.PostForm.Get("token")]
	if !known || s.consumed[r.PostForm.Get("token")] {
		write(w, http.StatusOK, map[string]bool{"active": false})
		return
	}
	if a.owner != CustodianOwner { // a person's PAT shows her own sets alone (F-071)
		t.Permissions = slices.DeleteFunc(slices.Clone(t.Permissions), func(p uma.Permission) bool { return s.res[p.ResourceID].Owner != a.owner })
	}
	write(w, http.StatusOK, t)
}

func (s *Server) report(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	var events []uma.AccessEvent
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil || len(events) == 0 {
		refuse(w, http.StatusBadRequest, "invalid_request", "events")
		return
	}
	for _, e := range events {
		res, known := s.res[e.ResourceID]
		if !known || a.owner != CustodianOwner && res.Owner != a.owner {
			refuse(w, http.StatusBadRequest, "invalid_resource_id", "unknown resource")
			return
		}
	}
	s.reports = append(s.reports, Report{Owner: a.owner, Events: events})
	for _, e := range events {
		s.events[e.ID] = e
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) consume(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.pat(w, r); !ok {
		return
	}
	_ = r.ParseForm()
	token := r.PostForm.Get("token")
	if _, known := s.tokens[token]; !known || s.consumed[token] {
		refuse(w, http.StatusBadRequest, "invalid_grant", "spent or unknown")
		return
	}
	s.consumed[token] = true
	w.WriteHeader(http.StatusNoContent)
}
