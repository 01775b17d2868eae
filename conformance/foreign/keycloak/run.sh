#!/usr/bin/env bash
# Starts Keycloak on the loopback address for the conformance suite, and ends it.
#
#   run.sh start   fetches the pinned distribution through Maven (once), imports realm.json, waits until it answers
#   run.sh stop    ends the process that start started
#
# Needs Java 17 or newer, mvn, unzip, curl; where one of them is missing, start ends with status 3.
# UMAAS_FOREIGN_CACHE is where things are kept (default: the user's cache folder); UMAAS_KEYCLOAK_PORT is the port (default
# 18180; the profile names it, too); UMAAS_KEYCLOAK_WAIT is how many seconds it may take to start (default 280).
set -euo pipefail

version=26.4.7
sha256=dd9834c023460be856f731423d86228c23b5d002194a2064642bec0cc6573eaa
here=$(cd "$(dirname "$0")" && pwd)
cache=${UMAAS_FOREIGN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/umaas-foreign}
port=${UMAAS_KEYCLOAK_PORT:-18180}
home=$cache/keycloak-$version
run=$cache/keycloak-run-$port
pidfile=$run/pid

# needed: this machine has what the server runs on. Maven is for fetching alone.
needed() {
	local tools=(java curl) tool
	[ -x "$home/bin/kc.sh" ] || tools+=(mvn unzip)
	for tool in "${tools[@]}"; do
		command -v "$tool" >/dev/null || { echo "keycloak: $tool is missing" >&2; exit 3; }
	done
}

fetch() {
	[ -x "$home/bin/kc.sh" ] && return
	mkdir -p "$cache"
	echo "keycloak: fetching $version through Maven" >&2
	mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:2.8:get -Dtransitive=false \
		-Dartifact=org.keycloak:keycloak-quarkus-dist:$version:zip -Ddest="$cache/keycloak-$version.zip" >"$cache/fetch.log" 2>&1 ||
		{ tail -5 "$cache/fetch.log" >&2; exit 1; }
	echo "$sha256  $cache/keycloak-$version.zip" | sha256sum --check --quiet
	(cd "$cache" && unzip -q -o "keycloak-$version.zip" && rm "keycloak-$version.zip")
}

stop() {
	[ -f "$pidfile" ] || return 0
	local pid
	pid=$(cat "$pidfile")
	kill "$pid" 2>/dev/null || true
	for _ in $(seq 50); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
	kill -9 "$pid" 2>/dev/null || true
	rm -f "$pidfile"
}

start() {
	needed
	fetch
	stop
	# A copy of its own: every start begins with an empty database.
	rm -rf "$run" && mkdir -p "$run" && cp -a "$home" "$run/server" && mkdir -p "$run/server/data/import"
	cp "$here/realm.json" "$run/server/data/import/uma-realm.json"
	JAVA_OPTS_APPEND="-Xmx768m" setsid "$run/server/bin/kc.sh" start-dev --import-realm \
		--http-host=127.0.0.1 --http-port="$port" --hostname="http://127.0.0.1:$port" --health-enabled=false >"$run/log" 2>&1 </dev/null &
	echo $! >"$pidfile"
	for _ in $(seq "${UMAAS_KEYCLOAK_WAIT:-280}"); do
		if curl -fs -o /dev/null "http://127.0.0.1:$port/realms/uma/.well-known/uma2-configuration"; then
			echo "keycloak: $version answers at http://127.0.0.1:$port/realms/uma" >&2
			return
		fi
		kill -0 "$(cat "$pidfile")" 2>/dev/null || break
		sleep 1
	done
	tail -20 "$run/log" >&2
	stop
	echo "keycloak: it did not start" >&2
	exit 1
}

case ${1:-} in
start) start ;;
stop) stop ;;
*) sed -n '2,9p' "$0" >&2 && exit 2 ;;
esac
