// Package web draws what people see: sign-in, the consent and details pages of a flow, and the pages on which an owner
// answers requests, shares, narrows, stops and reads who looked. It owns templates, texts, styles, cookies of the sign-in
// and the protection of forms. It decides nothing: every page shows a view of the core and posts back item ids, an end and
// the digest of what was shown (PS-04, SEC-47, SEC-71). It never sees protocol parameters: they were stored before.
//
//	app ─ /authorize, /claims ─ 303 ─▶ /flow/{id} ─▶ sign-in ─▶ consent | protect | step-up ─▶ details ─▶ terms ─▶ send ─▶ back to the app
//	sign-in ─ /signin/away ─▶ a trusted issuer ─▶ /signin/back/{issuer} ─▶ where the sign-in was asked for
//	owner ─ /login ─▶ /me ─▶ requests · sharing · new share · history · asked · sign-in · remembered
//
// Every page is plain HTML that works without script (UI-15); one small module adds comfort. Texts stand in texts/en.json
// under page.element, never in Go or in templates (IX-01). Foreign names are cleaned and isolated (IX-04, PS-09).
package web
