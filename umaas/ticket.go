package umaas

import (
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// Ticket is a permission ticket with the whole state of its authorization process. Each answer that continues the process
// deletes this record and stores a successor under a new key in the same transaction, so that a ticket lives for exactly
// one presentation (Grant §5.5, SEC-01, SEC-02).
type Ticket struct {
	Key         Key
	Secret      SecretHash
	Process     Key // the first ticket's key: names the process through all its tickets, and in audit
	Owner       AccountID
	RS          ClientID
	Permissions []uma.Permission // what the resource server asked for, with what the client asked for itself
	AskedByRS   []uma.Permission // the resource server's part of it, once the client has asked for more; nil before
	Client      ClientID         // bound at first presentation, or by the context URL's constraint; "" before (SEC-03)
	Challenge   string           // PKCE S256 challenge given with the permission request, "" none
	Party       *Party           // the requesting party once known
	Purpose     string           // purpose-of-use code the party stated
	Note        string           // the party's words to the owner
	Request     Key              // the owner's inbox entry once submitted
	Interval    int              // seconds asked of the client between polls
	NotBefore   time.Time        // a poll before this doubles the interval (decisions 7)
	Decoy       bool             // never leads anywhere (decisions 6)
	Confirm     Confirmation     // key the process is bound to since a bound client first presented the ticket (SEC-03, SEC-33)
	Remember    bool             // the party agreed to a PCT when asked (Grant §3.3.3, §6.2)
	BreakGlass  bool             // the party declared an emergency in this process
	Until       time.Time        // nothing given here lasts longer: the end of a pushed permission ticket; zero: no such end
	Answers     []Claim          // what the party stated about herself while asked (questionnaire, terms); Issuer is ""
	Expires     time.Time
}

// Party is the requesting party of one process: an account of this server, with the claims about her that trusted issuers
// stated in this process. What this server itself states stands in the account and is not repeated here.
type Party struct {
	Account  AccountID
	Claims   []Claim
	AuthTime time.Time
	AMR      []string
	ACR      string
	Stated   time.Time // since when the oldest of Claims stands; zero: nothing was stated
}

// Confirmation is the key a token is bound to (RFC 7800 cnf): at most one member is set. The zero value is a bearer token.
type Confirmation struct {
	JKT string // thumbprint of the DPoP key (RFC 9449 §6.1)
	X5T string // SHA-256 thumbprint of the client's certificate (RFC 8705 §3.1)
}

// Bound reports a key.
func (c Confirmation) Bound() bool { return c != Confirmation{} }
