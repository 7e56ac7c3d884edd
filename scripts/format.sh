#!/bin/sh
# Formats the Go files of the tree, or with "check" names those that are not
# formatted and fails.
set -eu
cd "$(dirname "$0")/.."

if [ "${1:-}" != check ]; then
	exec gofmt -l -w cmd pkg test
fi
unformatted=$(gofmt -l cmd pkg test)
if [ -n "$unformatted" ]; then
	echo "not formatted, run \"make fmt\":" >&2
	echo "$unformatted" >&2
	exit 1
fi
