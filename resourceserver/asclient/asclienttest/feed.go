package asclienttest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// feedPause is how long the fake lets a poll wait.
const feedPause = 5 * time.Millisecond

// Change tells the feed of a change to what the tags name.
func (s *Server) Change(tags ...string) { s.set(func() { s.changes = append(s.changes, tags) }) }

// ForgeChanges makes the feed sign its events for another client.
func (s *Server) ForgeChanges(forge bool) { s.set(func() { s.forged = forge }) }

func (s *Server) feed(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.pat(w, r)
	if !ok {
		return
	}
	var asked uma.FeedRequest
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "no JSON")
		return
	}
	after, err := strconv.Atoi(asked.After)
	answer := uma.Feed{Sets: []string{}, Reset: err != nil || after > len(s.changes)}
	if !answer.Reset && after == len(s.changes) {
		s.mu.Unlock()
		time.Sleep(feedPause)
		s.mu.Lock()
	}
	if !answer.Reset {
		aud := a.client
		if s.forged {
			aud = "somebody-else"
		}
		for i, tags := range s.changes[after:] {
			answer.Sets = append(answer.Sets, s.sign("secevent+jwt", map[string]any{
				"iss": s.HTTP.URL, "aud": aud, "jti": strconv.Itoa(after + i), "iat": s.now().Unix(),
				"events": map[string]any{"urn:umaas:event:changed": map[string]any{"tags": tags}},
			}))
		}
	}
	answer.After = strconv.Itoa(len(s.changes))
	write(w, http.StatusOK, answer)
}
