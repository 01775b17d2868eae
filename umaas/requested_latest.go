package umaas

import "slices"

// latest makes ready for the scopes of a token request: of what a client asked for in several requests of one process, the
// most recent counts (Grant §3.3.4, G-204). A request without scopes asks for nothing anew and leaves the earlier ones.
func latest(t Ticket, scopes []string) Ticket {
	switch {
	case len(scopes) == 0:
	case t.AskedByRS == nil:
		t.AskedByRS = slices.Clone(t.Permissions)
	case len(t.AskedByRS) == 0: // a permission ticket left nothing of it; what it left of the rest stays the bound
	default:
		t.Permissions = slices.Clone(t.AskedByRS)
	}
	return t
}
