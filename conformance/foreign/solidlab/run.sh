#!/usr/bin/env bash
# Starts SolidLab's User-Managed Access server on the loopback address for the conformance suite, and ends it.
#
#   run.sh start [CHECKOUT]   starts the built checkout, waits until it answers
#   run.sh stop               ends the process that start started
#
# CHECKOUT (or UMAAS_SOLIDLAB) is a folder that you made: the repository user-managed-access of SolidLabResearch on GitHub at
# commit a586f73e85fe24a91e0af2be61525f10d4234a2f, built as its own README says. Without one the server is "not here" (status 3).
# Needs node 20 or newer, curl; the profile's hook needs jq. UMAAS_SOLIDLAB_PORT is the port (default 18280; the profile names
# it, too); UMAAS_SOLIDLAB_WAIT is how many seconds it may take to start (default 120).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
run=${UMAAS_FOREIGN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/umaas-foreign}/solidlab-run
port=${UMAAS_SOLIDLAB_PORT:-18280}
checkout=${2:-${UMAAS_SOLIDLAB:-}}
pidfile=$run/pid

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
	if [ -z "$checkout" ]; then
		echo "solidlab: name a built checkout: run.sh start CHECKOUT, or UMAAS_SOLIDLAB" >&2
		exit 3
	fi
	if [ ! -f "$checkout/packages/uma/dist/index.js" ]; then
		echo "solidlab: $checkout has no packages/uma/dist: build it as its README says" >&2
		exit 1
	fi
	stop
	mkdir -p "$run"
	# Everything is kept in memory: every start begins empty.
	(cd "$checkout/packages/uma" && NODE_OPTIONS="--require $here/loopback.cjs" exec setsid node bin/main.js \
		--port "$port" --baseUrl "http://127.0.0.1:$port/uma" --loggingLevel error >"$run/log" 2>&1 </dev/null) &
	echo $! >"$pidfile"
	for _ in $(seq "${UMAAS_SOLIDLAB_WAIT:-120}"); do
		if curl -fs -o /dev/null "http://127.0.0.1:$port/uma/.well-known/uma2-configuration"; then
			echo "solidlab: answers at http://127.0.0.1:$port/uma" >&2
			return
		fi
		kill -0 "$(cat "$pidfile")" 2>/dev/null || break
		sleep 1
	done
	tail -20 "$run/log" >&2
	stop
	echo "solidlab: it did not start" >&2
	exit 1
}

case ${1:-} in
start) start ;;
stop) stop ;;
*) sed -n '2,10p' "$0" >&2 && exit 2 ;;
esac
