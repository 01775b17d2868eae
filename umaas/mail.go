package umaas

import (
	"context"
	"time"
)

// Mailer brings invitations to their addresses. Without one, or where it fails, the owner hands the link over herself.
type Mailer interface {
	SendInvitation(ctx context.Context, m InvitationMail) error
}

// InvitationMail is all a message says: who invites, the link, its end. What is shared is not in it (SEC-45).
type InvitationMail struct {
	To    string
	From  string // the owner's name
	Link  string
	Until time.Time
}
