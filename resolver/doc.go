// Package resolver is the resolution service of a resource server (flows.md A3, seed 004) and its portal page "connect an
// app": the few pages people see at a resource server. It authenticates a person at her authorization server, lets her
// choose a record, has a new context URL made and takes her back to the app.
//
//	GET /resolve-uma-context/{user|patient}?redirect_uri&state[&client_id]
//	  ├─ address not registered ─▶ error page, nobody is sent anywhere
//	  └─▶ /resolve/{flow} ─ sign in ─▶ choose a record ─▶ Connect ─▶ 303 redirect_uri?resolved&state&iss
//	                                                   └─ Cancel ─▶ 303 redirect_uri?error=access_denied&state&iss
//	/connect: links made by hand, shown once, listed, removed
//
// It owns pages, cookies and the redirect; who signed in, which records there are and what a context URL means belong to
// package resourceserver. Pages work without script.
package resolver
