// Package clientduty holds the checks of a client: what the UMA Grant demands of the app that wants access. The suite plays
// everything around it: the authorization server, the resource server and the requesting party's browser (World). The client
// is a web app that begins a process when its start address is posted to; the profile says where and with which form
// (client_harness: listen, start, form).
//
// The flow: the browser starts the client; the client asks the resource, gets a challenge, presents the ticket, is told
// need_info and sends the browser to the claims interaction endpoint; there the suite is free to send back what it likes
// and looks at what the client does with it.
package clientduty

import "github.com/umaas/umaas/conformance"

const (
	must   = conformance.LevelMust
	should = conformance.LevelShould
)

// Checks are all checks of the suite "client".
func Checks() []conformance.Check {
	all := []conformance.Check{
		{
			ID: "client.request.grant-type", Level: must, Covers: []string{"G-002", "G-023"}, Run: grantType,
			Title: "Tickets are presented with the grant type of UMA",
		},
		{
			ID: "client.request.first-ticket", Level: must, Covers: []string{"G-024"}, Run: firstTicket,
			Title: "The ticket presented first is the one from the resource server's challenge",
		},
		{
			ID: "client.request.interaction-ticket", Level: must, Covers: []string{"G-024", "G-041"}, Run: interactionTicket,
			Title: "The browser goes to the claims interaction endpoint with the ticket that came with need_info",
		},
		{
			ID: "client.request.newest-ticket", Level: must, Covers: []string{"G-024"}, Run: newestTicket,
			Title: "After claims interaction the ticket that came back is presented",
		},
		{
			ID: "client.request.claim-token", Level: must, Covers: []string{"G-026", "G-027"}, Run: claimTokenPair,
			Title: "claim_token and claim_token_format come together or not at all",
		},
		{
			ID: "client.interaction.client-id", Level: must, Covers: []string{"G-040"}, Run: interactionClient,
			Title: "The browser is sent to claims interaction with the client_id",
		},
		{
			ID: "client.interaction.redirect-uri", Level: must, Covers: []string{"G-044", "G-046"}, Run: interactionURI,
			Title: "The claims redirect URI is absolute and has no fragment",
		},
		{
			ID: "client.interaction.unknown-parameter", Level: must, Covers: []string{"G-058"}, Run: unknownParameter,
			Title: "A parameter that the client does not know is ignored when the browser comes back",
		},
		{
			ID: "client.pct.person", Level: must, Covers: []string{"G-032"}, Run: pctOfAnother,
			Title: "A PCT that came in one person's process is not sent in a process of another browser",
		},
		{
			ID: "client.pct.secret", Level: must, Covers: []string{"G-117", "G-118"}, Run: pctSecret,
			Title: "The PCT is shown to no browser and put into no address",
		},
		{
			ID: "client.state.sent", Level: should, Covers: []string{"G-111"}, Run: stateSent,
			Title: "The browser is sent to claims interaction with state",
		},
		{
			ID: "client.state.unguessable", Level: must, Covers: []string{"G-112"}, Run: stateUnguessable,
			Title: "state cannot be guessed: it is long, and no two are alike",
		},
		{
			ID: "client.state.compared", Level: must, Covers: []string{"G-113", "G-114"}, Run: stateCompared,
			Title: "A ticket that comes back with another state is not presented",
		},
		{
			ID: "client.state.missing", Level: must, Covers: []string{"G-110", "G-114"}, Run: stateMissing,
			Title: "A ticket that comes back without state is not presented",
		},
		{
			ID: "client.state.browser", Level: must, Covers: []string{"G-110"}, Run: otherBrowser,
			Title: "A ticket that another browser brings is not presented: state belongs to the browser that was sent",
		},
		{
			ID: "client.state.clear", Level: should, Covers: []string{"G-115"}, Run: stateClear,
			Title: "state holds nothing of the process in clear",
		},
		{
			ID: "client.ticket.rotated", Level: should, Covers: []string{"G-125"}, Run: sameTicket,
			Title: "A ticket that comes back unchanged is noticed: the process does not go on with it",
		},
		{
			ID: "client.rpt.header", Level: must, Covers: []string{"G-096", "G-116"}, Run: rptInHeader,
			Title: "The RPT is used in the Authorization header and put into no address",
		},
		{
			ID: "client.rpt.secret", Level: must, Covers: []string{"G-116"}, Run: rptSecret,
			Title: "The requesting party's browser never gets the RPT",
		},
	}
	for i := range all {
		all[i].Subject, all[i].Serial = conformance.SubjectClient, true
		all[i].Needs = []conformance.Need{conformance.NeedClient}
	}
	return all
}
