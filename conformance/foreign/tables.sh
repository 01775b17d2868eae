#!/usr/bin/env bash
# Writes the tables of docs/conformance/results.md, between its two marks, from results.json.
#
#   tables.sh results.json results.md
set -euo pipefail
json=$1 md=$2
new=$(mktemp)
trap 'rm -f "$new"' EXIT
table() {
	jq -r '
		to_entries[] | .value as $v | "### \($v.server)\n\n| Section | pass | fail | blocked | skip |\n| --- | ---: | ---: | ---: | ---: |",
		( [$v.verdicts | to_entries[] | {section: (.key | split(".")[0:2] | join(".")), verdict: .value}]
		  | group_by(.section)[]
		  | . as $g | "| `\($g[0].section)` | \([$g[] | select(.verdict=="pass")] | length) | \([$g[] | select(.verdict=="fail")] | length) | \([$g[] | select(.verdict=="blocked")] | length) | \([$g[] | select(.verdict=="skip")] | length) |" ),
		( [$v.verdicts[]] as $all | "| **all** | **\([$all[] | select(.=="pass")] | length)** | **\([$all[] | select(.=="fail")] | length)** | **\([$all[] | select(.=="blocked")] | length)** | **\([$all[] | select(.=="skip")] | length)** |" ),
		"",
		"Not met: " + ([$v.verdicts | to_entries[] | select(.value=="fail") | "`\(.key)`"] | join(", ")) + ".",
		""
	' "$json"
}
{
	sed '/<!-- tables -->/q' "$md"
	echo
	table
	sed -n '/<!-- end of tables -->/,$p' "$md"
} >"$new"
cat "$new" >"$md"
