// An unmodified third-party client obtains an RPT. Arguments as JSON on the command line: issuer, client_id, client_secret,
// ticket. Prints one JSON line per answer; after need_info it waits for the next ticket on stdin.
import * as oauth from 'oauth4webapi'
import { createInterface } from 'node:readline'

const given = JSON.parse(process.argv[2])
const http = { [oauth.allowInsecureRequests]: true }
const issuer = new URL(given.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...http }))
const client = { client_id: given.client_id }
const auth = oauth.ClientSecretBasic(given.client_secret)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
let ticket = given.ticket
for (let turn = 0; turn < 5; turn++) {
  try {
    const response = await oauth.genericTokenEndpointRequest(as, client, auth, 'urn:ietf:params:oauth:grant-type:uma-ticket', { ticket }, http)
    const tokens = await oauth.processGenericTokenEndpointResponse(as, client, response)
    console.log(JSON.stringify({ access_token: tokens.access_token, token_type: tokens.token_type, expires_in: tokens.expires_in }))
    process.exit(0)
  } catch (err) {
    if (!(err instanceof oauth.ResponseBodyError)) throw err
    console.log(JSON.stringify({ error: err.error, status: err.status, ticket: err.cause.ticket, redirect_user: err.cause.redirect_user, interval: err.cause.interval }))
    if (!['need_info', 'request_submitted'].includes(err.error)) process.exit(1)
    const next = await lines.next()
    if (next.done) process.exit(1)
    ticket = next.value.trim()
  }
}
process.exit(1)
