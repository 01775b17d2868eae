// Package state keeps what the resource-server adapter remembers (resourceserver.State) over a small ordered key-value
// engine: protection API tokens and client secrets encrypted, registered sets with their meaning, people, relations,
// context URLs and handles by hash, the queue of reconciliation, the spool of access events. It owns keys, records and
// expiry; it decides nothing and speaks to nobody.
//
// Every method is one transaction. Nothing authoritative is held in memory, so several processes may share one engine.
package state
