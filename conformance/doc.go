// Package conformance is a black-box suite for UMA 2.0 over HTTP: it asks any authorization server what both
// Recommendations demand and tells what it answered. It imports nothing of the authorization server of this project but
// the wire vocabulary, so that it can fail it like any other.
//
// It owns the engine: what a check is, how checks run, what of the traffic is kept, the fixtures checks stand on (people,
// clients, resource servers, resources, tickets, policies), the profile that says what the specifications leave open (how
// to sign in, how an owner's policy is set), and the driver of plain HTML forms. It does not own the checks (packages
// grant, federated, heart, rsduty, clientduty), the register of normative statements (register) nor the reports (report).
//
// The flow: a Profile is read; NewEnv fetches the discovery document and learns what the server offers; Run gives every
// check a T of its own, runs what may run side by side, and collects a Result per check. A check that needs something the
// server does not offer is skipped with the reason and never counts against the server.
package conformance
