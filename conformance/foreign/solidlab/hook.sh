#!/usr/bin/env bash
# The hooks of the profile of SolidLab's server: a JSON object on standard input, the answer on standard output. Needs curl, jq.
#
# People are WebIDs, which this server takes at their word from the authorization scheme WebID; it is its way to try
# things, and no owner's page exists. A policy is ODRL in Turtle.
set -euo pipefail
ask=$(cat)
of() { jq -r --arg name "$1" '.[$name] // "" | tostring' <<<"$ask"; }
issuer=$(of issuer)
fresh=$(od -An -N12 -tx1 /dev/urandom | tr -d ' \n')
webid() { printf 'Authorization: WebID %s' "$(jq -rn --arg v "$(of owner)" '$v|@uri')"; }
curled() { curl -sS --fail-with-body --max-time 15 -H 'Accept: application/json' "$@"; }

pat() { # the owner registers a resource server, which gets a PAT by its credentials; one registration has one valid PAT
	local client token
	client=$(curled -H "$(webid)" --json "$(jq -n --arg u "https://$(of rs).conformance.invalid/$fresh" '{client_uri: $u}')" "$issuer/reg/")
	token=$(curled --user "$(jq -r '.client_id + ":" + .client_secret' <<<"$client")" \
		--data-urlencode grant_type=client_credentials --data-urlencode scope=uma_protection "$issuer/token")
	jq '{token: .access_token}' <<<"$token"
}

permit() {
	local policy=urn:conformance:policy:$fresh rule=urn:conformance:rule:$fresh limits=
	[ -z "$(of party_sub)" ] || limits+=" ; odrl:assignee <$(of party_sub)>"
	if [ -n "$(of client)" ]; then
		limits+=" ; odrl:constraint [ odrl:leftOperand odrl:deliveryChannel ; odrl:operator odrl:eq ; odrl:rightOperand <$(of client)> ]"
	fi
	if [ "$(of seconds)" -gt 0 ] 2>/dev/null; then
		limits+=" ; odrl:constraint [ odrl:leftOperand odrl:dateTime ; odrl:operator odrl:lt ; odrl:rightOperand \"$(date -u -d "+$(of seconds) seconds" +%FT%TZ)\"^^<http://www.w3.org/2001/XMLSchema#dateTime> ]"
	fi
	local actions
	actions=$(jq -r '.scopes | map("<" + . + ">") | join(", ")' <<<"$ask")
	curled -o /dev/null -H "$(webid)" -H 'Content-Type: text/turtle' --data-binary @- "$issuer/policies" <<-TURTLE
		@prefix odrl: <http://www.w3.org/ns/odrl/2/> .
		<$policy> a odrl:Set ; odrl:uid <$policy> ; odrl:permission <$rule> .
		<$rule> a odrl:Permission ; odrl:action $actions ; odrl:target <$(of resource_id)> ; odrl:assigner <$(of owner)>$limits .
	TURTLE
	jq -n --arg id "$policy" '{id: $id}'
}

revoke() {
	curled -o /dev/null -X DELETE -H "$(webid)" "$issuer/policies/$(jq -rn --arg v "$(of id)" '$v|@uri')"
	echo '{}'
}

case $(of action) in
pat) pat ;;
permit) permit ;;
revoke) revoke ;;
*) jq -n --arg a "$(of action)" '{error: ("no way to " + $a)}' ;;
esac
