package umaas

import (
	"time"

	"github.com/umaas/umaas/umaas/uma"
)

// RequestState is where a request in an owner's inbox stands.
type RequestState string

// The states of a request.
const (
	RequestWaiting RequestState = "waiting"
	RequestAllowed RequestState = "allowed"
	RequestDenied  RequestState = "denied"
)

// Request is an authorization process that waits for its owner (Grant §3.3.6 request_submitted). Its Permissions are
// frozen when it is shown: an answer can narrow them, never widen them (SEC-47).
type Request struct {
	Key         Key
	Owner       AccountID
	Process     Key
	RS          ClientID
	Client      ClientID
	Party       Party
	PartyName   string
	PartyEmail  string // verified address, "" none
	Permissions []uma.Permission
	Purpose     string
	Note        string
	State       RequestState
	Policy      PolicyID  // made by the answer
	Silent      time.Time // denied: the same ask is refused without asking until then
	Repeats     int
	Created     time.Time
	Answered    time.Time
	By          AccountID // who answered: the owner, or a delegate
	Undone      time.Time // when the last answer was taken back
	BreakGlass  bool
	Says        []Claim // what the party said about herself, nobody's claims
	Unlisted    bool    // came above the owner's limits of attention: kept for its party alone, in no inbox (SEC-46)
	Expires     time.Time
}
