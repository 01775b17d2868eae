// An unmodified UMA client pushes a W3C credential, a format this server does not take. Arguments as JSON on the command line:
// resource, client_id, client_secret. Prints the token endpoint's answer as one JSON line, then what the client made of it.
import { fetchWithVc } from '@inrupt/solid-client-access-grants'

const given = JSON.parse(process.argv[2])
const credential = { '@context': ['https://www.w3.org/2018/credentials/v1'], id: 'urn:example:vc', type: ['VerifiableCredential'], proof: {} }
const asClient = async (url, init) => {
  const headers = new Headers(init.headers)
  headers.set('authorization', 'Basic ' + Buffer.from(`${given.client_id}:${given.client_secret}`).toString('base64'))
  const response = await fetch(url, { ...init, headers })
  console.log(JSON.stringify({ status: response.status, body: await response.clone().json() }))
  return response
}
try {
  await fetchWithVc(given.resource, credential, { fetch: asClient })
  console.log(JSON.stringify({ got: 'a token' }))
} catch (err) {
  console.log(JSON.stringify({ refused: err.message }))
}
