package umaas

import "github.com/umaas/umaas/umaas/uma"

// Decision is the result of an assessment (Grant §3.3.4): exactly one of Permit, NeedInfo, Submitted and Denied. A nil
// Decision denies, as does any kind a switch does not know.
type Decision interface{ decision() }

// Permit issues what Granted says and nothing else (SEC-29). Partial: less than was asked, which happens only after the
// owner herself has answered for this process.
type Permit struct {
	Granted []Granted
	Partial bool
}

// NeedInfo asks for the requesting party (Grant §3.3.6 need_info). What would do is told by requiredClaims, which knows no
// policy; Required is for what an assessment itself misses.
type NeedInfo struct {
	Required []uma.RequiredClaim
	StepUp   string   // class of sign-in that a policy naming the party asks for, "" none
	Terms    []string // texts such policies want agreed to
	Purposes []string // purposes such policies are for, none of which was stated
}

// Submitted waits for the owner (Grant §3.3.6 request_submitted).
type Submitted struct{}

// Denied ends the process (Grant §3.3.6 request_denied). Reason is for audit and log; the client never sees it.
type Denied struct {
	Reason string
}

func (Permit) decision()    {}
func (NeedInfo) decision()  {}
func (Submitted) decision() {}
func (Denied) decision()    {}
