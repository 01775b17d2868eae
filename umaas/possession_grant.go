package umaas

import "github.com/umaas/umaas/umaas/uma"

// errUpgradeKey answers an upgrade of a bound RPT by somebody who does not hold its key. It leaves ticket and RPT alone
// (SEC-10): the client repeats with the key, or without rpt.
var errUpgradeKey = uma.ErrInvalidGrant.With("the rpt is bound to another key: prove that you hold it, or leave rpt out")

// binds checks that whoever presents a ticket holds the key it is bound to, and binds it where a key is presented for the
// first time. All successors inherit the key, so that no step of the process can go back to a bearer token (SEC-03, SEC-33).
// Nothing is spent here.
func (run *redemption) binds(r Reader, t *Ticket) error {
	if !t.Confirm.confirms(run.held.Confirmation) {
		return errTicket
	}
	if run.held.Bound() {
		t.Confirm = run.held.Confirmation
	}
	return run.mayUpgrade(r, *t)
}

// mayUpgrade refuses to carry a bound RPT's permissions into a token for another key, or for none. An rpt that is unknown,
// over or somebody else's is none of this: it is as if it had not been sent (Grant §3.3.5.1).
func (run *redemption) mayUpgrade(r Reader, t Ticket) error {
	if run.old == nil {
		return nil
	}
	token, err := run.old.find(r, run.now)
	if gone, err := absent(err); gone || err != nil || token.Kind != TokenAccess || token.Client != run.client.ID {
		return err
	}
	old, err := r.Grant(token.Grant, run.now)
	if gone, err := absent(err); gone || err != nil {
		return err
	}
	if old.Kind == GrantRPT && old.over(run.now) == "" && !old.Confirm.confirms(t.Confirm) {
		return errUpgradeKey
	}
	return nil
}

// mayRefresh says whether a client may use a refresh token of a grant bound so. A public client must hold the key (RFC 9449
// §5, RFC 8705 §4). One that authenticates may come with a new key, for its refresh tokens are bound to its credentials;
// the new access token is bound to the new key. Nobody gets from a bound grant to a bearer token (SEC-33).
func mayRefresh(c VerifiedClient, bound Confirmation) bool {
	if c.Public() {
		return bound.confirms(c.held.Confirmation)
	}
	return !bound.Bound() || c.held.Bound()
}

// mayLast says whether a process may leave its client more than the RPT. A refresh token or a PCT of a public client is good
// in anybody's hands unless it is bound to a key (SEC-31, SEC-108; RFC 9449 §5). A client that redeemed a PKCE ticket has shown
// that it is the one that was sent away with it; one that has shown nothing asks again when its RPT ends.
func mayLast(c Client, t Ticket) bool {
	return !c.Public() || t.Confirm.Bound() || t.Challenge != ""
}
