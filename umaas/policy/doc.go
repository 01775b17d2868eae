// Package policy teaches the authorization server the SMART scope language: what two rights have in common, whether one
// covers another, how a right reads in plain words, and how the OAuth door's scope strings map onto registered resource
// sets. The core stays free of FHIR; this package is injected as its umaas.ScopeLanguage.
//
// A registered scope is context/Type.letter, one letter each (decisions: scopes and narrowing). Everything finer is a
// constraint of the permission, so comparing two rights is comparing strings and collecting constraints: an intersection
// holds under the constraints of both sides and is never wider than either.
package policy
