// Package scopes reads, prints and calculates with SMART on FHIR scopes, version 1 and 2, and translates them to the scopes
// of UMA resource sets and back.
//
// It owns the grammar of gateway_rules (a) ([Parse], [ParseShort], [ParseSet], [Kind]), the algebra of sets ([Set.Covers],
// [Set.Union], [Set.Intersect], shortest form) and the translation ([Scope.UMA], [FromUMA], [Registered]). It does not own
// any decision: who gets a scope (umaas/policy) and which rows it shows (resourceserver).
//
//	"patient/Observation.read"  ── Parse ──► Scope{patient, Observation, rs}
//	Scope ── UMA ──► "patient/Observation.r", "patient/Observation.s"   one registered letter each, the query aside
//
// A scope can only say less than its text: anything outside the grammar is an error and grants nothing (GW-03), and a
// constraint that this server could not evaluate itself is no scope (GW-04).
//
// In a Set every entry is a right of its own: context, type, letter and query must hold in the same entry (GW-07). "*" in
// place of a type leaves out the types that must be named: AuditEvent, Consent, Provenance, Subscription, Basic, and
// Binary on write (GW-01).
package scopes
