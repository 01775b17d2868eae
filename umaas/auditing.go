package umaas

import (
	"fmt"
	"time"
)

// Reasons of decisions: the fixed list of audit.md AU-06 as far as this core uses it. They stand in audit and log only.
const (
	ReasonNothingAsked = "nothing_asked"
	ReasonParty        = "party_unknown"
	ReasonPolicyNone   = "policy_none"
	ReasonUnanswered   = "owner_silent"
	ReasonOwner        = "policy_deny"
	ReasonSilenced     = "asked_before"
	ReasonFlood        = "too_many_requests"
	ReasonGone         = "resource_gone"
	ReasonScope        = "scope"
	ReasonBinding      = "binding"
	ReasonExpired      = "expired"
	ReasonRevoked      = "revoked"
	ReasonWithdrawn    = "withdrawn"
	ReasonNotYet       = "not_yet_valid"
	ReasonDisabled     = "disabled"
	ReasonAudience     = "wrong_audience"
	ReasonSpent        = "spent"
	ReasonIssuer       = "issuer_untrusted"
)

// Types of audit events written by this half of the core.
const (
	EventRPTIssued        = "rpt-issued"
	EventNeedInfo         = "need-info"
	EventRequestSubmitted = "request-submitted"
	EventRequestRepeated  = "request-repeated"
	EventRequestDenied    = "request-denied"
	EventRequestAllowed   = "request-allowed"
	EventRequestRefused   = "request-refused"
	EventRequestWithdrawn = "request-withdrawn"
	EventTicketRefused    = "ticket-refused"
	EventConsentGiven     = "consent-given"
	EventConsentRefused   = "consent-refused"
	EventClaimsGiven      = "claims-given"
	EventTermsAgreed      = "terms-agreed"
	EventRemembered       = "remembered"
	EventForgotten        = "forgotten"
	EventIdentityLinked   = "identity-linked"
	EventIdentityUnlinked = "identity-unlinked"
	EventAccountMade      = "account-created"
	EventShareCreated     = "share-created"
	EventShareNarrowed    = "share-narrowed"
	EventShareStopped     = "share-stopped"
	EventShareExported    = "share-exported"
	EventGrantConsumed    = "grant-consumed"
	EventGrantUpgraded    = "grant-upgraded"
	EventResourceDeleted  = "resource-removed"
	EventAccess           = "access"
	EventShareRestored    = "share-restored"
	EventAnswerUndone     = "answer-undone"
	EventEmergency        = "emergency-access"
	EventEmergencyEnded   = "emergency-ended"
	EventDelegationMade   = "delegation-made"
	EventDelegationEnded  = "delegation-ended"
	EventInvited          = "invited"
	EventInviteAccepted   = "invitation-accepted"
	EventInviteEnded      = "invitation-ended"
)

// outcomes is the one table of event types: what may be written, and how it ended (audit.md AU-06). Access events carry
// the outcome their resource server told.
var outcomes = map[string]Outcome{
	EventRPTIssued: OutcomeSuccess, EventNeedInfo: OutcomeSuccess, EventRequestSubmitted: OutcomeSuccess,
	EventRequestRepeated: OutcomeSuccess, EventRequestDenied: OutcomeRefused, EventRequestAllowed: OutcomeSuccess,
	EventRequestRefused: OutcomeSuccess, EventRequestWithdrawn: OutcomeSuccess, EventTicketRefused: OutcomeMistake,
	EventConsentGiven: OutcomeSuccess, EventConsentRefused: OutcomeSuccess, EventClaimsGiven: OutcomeSuccess,
	EventShareCreated: OutcomeSuccess, EventShareNarrowed: OutcomeSuccess, EventShareStopped: OutcomeSuccess, EventShareExported: OutcomeSuccess,
	EventTermsAgreed: OutcomeSuccess, EventRemembered: OutcomeSuccess, EventForgotten: OutcomeSuccess,
	EventIdentityLinked: OutcomeSuccess, EventIdentityUnlinked: OutcomeSuccess, EventAccountMade: OutcomeSuccess,
	EventGrantConsumed: OutcomeSuccess, EventGrantUpgraded: OutcomeSuccess,
	EventResourceDeleted: OutcomeSuccess, EventAccess: OutcomeSuccess,
	EventShareRestored: OutcomeSuccess, EventAnswerUndone: OutcomeSuccess, EventEmergency: OutcomeSuccess,
	EventEmergencyEnded: OutcomeSuccess, EventDelegationMade: OutcomeSuccess, EventDelegationEnded: OutcomeSuccess,
	EventInvited: OutcomeSuccess, EventInviteAccepted: OutcomeSuccess, EventInviteEnded: OutcomeSuccess,
}

// tell appends one event to its owner's history in the transaction of the decision itself (decisions 10): no record, no
// decision. The outcome comes from the table, for access events from the caller.
func (s *Service) tell(tx Tx, now time.Time, e AuditEvent) error {
	outcome, known := outcomes[e.Type]
	if !known {
		return fmt.Errorf("audit event type %q is not in the table", e.Type)
	}
	if e.Type != EventAccess {
		e.Outcome = outcome
	}
	key, err := s.handles.NewKey(now)
	if err != nil {
		return err
	}
	e.Key, e.Time = key, now
	if err := tx.AppendAudit(e); err != nil {
		return fmt.Errorf("append audit event: %w", err)
	}
	return nil
}
