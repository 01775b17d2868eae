// Package store implements umaas.Store once over the small contract of package kv, so that every engine keeps the same
// records under the same keys with the same answers.
//
// It owns the syntax of keys (key.go), the disk form of records (codec.go, record*.go), indexes, the schema version
// (schema.go) and the removal of what has expired (gc.go). It does not own transactions, durability or files: those are the
// engine's; nor any decision: those are the core's.
//
//	core ── umaas.Tx ──▶ tx: record ⇄ bytes, indexes ── kv.Tx ──▶ engine (boltkv, memkv, …)
//
// Rules that hold for all records. An expired record is not found, whether or not it has been removed. Times come back in
// UTC. What is read belongs to the caller, except the scope list of a resource description, which is shared by all who read
// it and must not be changed in place. Removing what is absent is no error, except for tickets. A record that this program
// cannot read (damaged, or of a newer program) is an error, never taken for absent.
package store
