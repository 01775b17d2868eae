// Package store is the embedded FHIR R4 server: one bbolt file, one http.Handler.
//
// It owns the data: current versions, history, indexes, and the FHIR REST interactions on them. It does not own access control. The
// handler has no listener and no authentication of its own; only the gateway reaches it, and the gateway judges every request before and
// every answer after.
//
// A request takes one path, whether it comes over HTTP or as an entry of a batch or transaction:
//
//	HTTP request ─ newRequest ─┐
//	                           ├─ route ─ handler(txn, request) ─ reply ─ HTTP answer or Bundle entry
//	Bundle.entry ─ entryRequest┘
//
// Reads run in a bbolt read transaction. Writes queue up for the committer, which runs all that gathered while the previous commit was
// on its way to disk in one bbolt transaction: concurrent writers share one fsync. A handler that refuses has written nothing; a handler
// that fails half way is rolled back alone and its neighbours run again.
//
// Disk layout (see layout.go): versions are appended under a global sequence, so the version list is also the system history; `ids` leads
// from Type/id to the current version; `idx` holds postings (type, parameter, term) → document. An index only proposes candidates: every
// one is confirmed by fhir.Query.Match on the stored body, so a too generous index term costs time and never correctness.
package store
