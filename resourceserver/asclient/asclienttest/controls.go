package asclienttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"slices"

	"github.com/umaas/umaas/umaas/uma"
)

// SignInNext says who signs in at the following authorization requests; the zero Person refuses.
func (s *Server) SignInNext(p Person) { s.set(func() { s.next = p }) }

// Down makes every answer 503, or ends that.
func (s *Server) Down(down bool) { s.set(func() { s.down = down }) }

// Lose makes the answers of one call, "POST /resource_set/" for example, get lost after the work is done.
func (s *Server) Lose(call string, lose bool) { s.set(func() { s.lost[call] = lose }) }

// PutToken says what a token is good for.
func (s *Server) PutToken(token string, i uma.Introspection) { s.set(func() { s.tokens[token] = i }) }

// DropToken withdraws a token.
func (s *Server) DropToken(token string) { s.set(func() { delete(s.tokens, token) }) }

// ChangeMetadata alters the discovery document.
func (s *Server) ChangeMetadata(change func(*uma.Metadata)) { s.set(func() { s.meta = change }) }

// RotateKey replaces the signing key; the old one is not published any more.
func (s *Server) RotateKey() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	s.set(func() { s.key, s.keyID = key, s.id("k") })
}

// RevokePATs ends all access tokens of an owner, and with refresh also her refresh tokens.
func (s *Server) RevokePATs(owner string, refresh bool) {
	s.set(func() {
		maps.DeleteFunc(s.access, func(_ string, a access) bool { return a.owner == owner })
		if refresh {
			maps.DeleteFunc(s.refresh, func(_ string, o string) bool { return o == owner })
		}
	})
}

// ForgetClients ends all registrations with everything that was given to them.
func (s *Server) ForgetClients() {
	s.set(func() {
		clear(s.clients)
		clear(s.access)
		clear(s.refresh)
	})
}

// ForgetResource removes a set behind the resource server's back.
func (s *Server) ForgetResource(id string) { s.set(func() { delete(s.res, id) }) }

// Resources is a copy of what is registered.
func (s *Server) Resources() map[string]Resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.res)
}

// Ticket is what a ticket was given for.
func (s *Server) Ticket(value string) (Ticket, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[value]
	return t, ok
}

// Events are the distinct events reported so far, and Reports all deliveries.
func (s *Server) Events() map[string]uma.AccessEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.events)
}

// Reports are all deliveries in order.
func (s *Server) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reports)
}

// Calls is how often a call was made, "POST /permission" for example.
func (s *Server) Calls(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

func (s *Server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}
