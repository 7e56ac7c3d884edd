#!/bin/sh
# Runs the linters of .golangci.yml. Uses the golangci-lint of the PATH when it
# is a version 2, else builds a pinned one into bin/ (some minutes, once), else
# makes do with go vet and staticcheck. None of them is in go.mod.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
golangci=v2.12.2
staticcheck=v0.7.0

scripts/format.sh check

if command -v golangci-lint >/dev/null 2>&1 && golangci-lint version 2>/dev/null | grep -q 'version v\{0,1\}2\.'; then
	exec golangci-lint run ./...
fi
tools=$PWD/bin/tools
if [ ! -x "$tools/golangci-lint" ]; then
	echo "lint.sh: building golangci-lint $golangci into bin/tools" >&2
	GOBIN=$tools $go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$golangci" || true
fi
if [ -x "$tools/golangci-lint" ]; then
	exec "$tools/golangci-lint" run ./...
fi

echo "lint.sh: no golangci-lint; go vet and staticcheck instead" >&2
$go vet ./...
$go run "honnef.co/go/tools/cmd/staticcheck@$staticcheck" ./...
