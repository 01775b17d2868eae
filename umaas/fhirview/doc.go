// Package fhirview shows an owner's policies as FHIR R4 Consents and reads such Consents back. It decides nothing: what it reads
// becomes a share of the core, which judges it like any other.
//
// # The form
//
// One policy is one Consent with the base rule OPTOUT (nobody may) and permits below it. The root provision carries the
// period; each permit names the party, the record (data), kinds of information (class), what may be done (action), and its
// limits: code, securityLabel, dataPeriod; denies within it leave kinds of information out. A policy whose rule has scopes that are no product of kinds and
// actions becomes several permits. What FHIR has no element for, an app, further claims, the sign-in asked for, terms, emergency
// access, other constraints, stands in modifier extensions, so that a reader who does not know them must not use the Consent.
//
// # Reading
//
// Every element is read or refused with its path; nothing is guessed and nothing skipped that could narrow. Only elements that
// say nothing of what is permitted are passed over: id, meta, text, category, dateTime, performer, organization, identifier.
// Any permit must name party, actions and, where the owner has several, the record.
//
// This package owns the mapping (mapping.go), writing (export.go) and reading (import.go, provision.go, element.go). It owns no
// transport and no storage; umaas/httpapi and the operator's commands call it.
package fhirview
