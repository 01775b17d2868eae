// An unmodified third-party client binds an RPT to a key (RFC 9449) and uses it. Arguments as JSON on the command line: issuer,
// client_id, client_secret, ticket, resource. Prints one JSON line: the token's type, the status of two reads with the key, and
// of one with another.
import * as client from 'openid-client'

const given = JSON.parse(process.argv[2])
const config = await client.discovery(new URL(given.issuer), given.client_id, given.client_secret,
  client.ClientSecretBasic(given.client_secret), { execute: [client.allowInsecureRequests] })
const handle = async () => client.getDPoPHandle(config, await client.randomDPoPKeyPair())
const DPoP = await handle()
const tokens = await client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:uma-ticket', { ticket: given.ticket }, { DPoP })
const read = async (DPoP) => {
  try {
    const res = await client.fetchProtectedResource(config, tokens.access_token, new URL(given.resource), 'GET', undefined, undefined, { DPoP })
    return res.status
  } catch (err) {
    if (err instanceof client.WWWAuthenticateChallengeError) return String(err.status)
    throw err
  }
}
console.log(JSON.stringify({ token_type: tokens.token_type, same: await read(DPoP), again: await read(DPoP), other: await read(await handle()) }))
