#!/bin/sh
# Runs everything that must be green before a change lands: formatting, vet,
# unit and architecture tests, the integration tests against real servers, the
# page in a browser, and faults of every kind under load.
# Installs what it needs and this machine lacks.
#   scripts/test.sh [unit|integration|browser|chaos]   one part alone
set -eu
cd "$(dirname "$0")/.."
what=${1:-all}
go=${GO:-go}

wants() { [ "$what" = all ] || [ "$what" = "$1" ]; }

scripts/install-redis.sh
scripts/install-promtool.sh
race=-race
if ! scripts/install-cc.sh; then
	# A machine of one's own may do without; the one that decides must not.
	[ -z "${CI:-}" ] || exit 1
	echo "test.sh: no C compiler: the race detector is off" >&2
	race=
fi
if [ -n "$race" ]; then
	CGO_ENABLED=1
	export CGO_ENABLED
fi

if wants unit; then
	scripts/format.sh check
	$go vet ./...
	# shellcheck disable=SC2046,SC2086 # lists of words
	$go test $race -shuffle=on $($go list ./... | grep -vE '/test/(integration|browser|chaos)$')
fi
if wants integration; then
	# The tests mostly wait for processes of their own, so more of them run at
	# once than there are cores. They never come from the cache.
	# shellcheck disable=SC2086
	$go test $race -shuffle=on -count=1 -parallel=6 -timeout=10m ./test/integration
fi
if wants browser; then
	if scripts/install-chromium.sh; then
		# STEADY=10m leaves the page open under load for so long. -v shows what it
		# came to.
		verbose=
		[ "$what" = all ] || verbose=-v
		# shellcheck disable=SC2086
		$go test -count=1 $verbose -parallel=3 -timeout=60m ./test/browser -args -steady="${STEADY:-20s}"
	else
		# A machine of one's own may do without; the one that decides must not.
		[ -z "${CI:-}" ] || exit 1
		echo "test.sh: no chromium: the page is not opened in a browser" >&2
	fi
fi
if wants chaos; then
	if [ "$(uname -s)" = Linux ]; then
		# Two rounds of a fixed seed; CHAOS_SEED and CHAOS_ROUNDS choose another
		# run. -v shows the schedule and what became of every entry.
		verbose=
		[ "$what" = all ] || verbose=-v
		# shellcheck disable=SC2086
		$go test $race -count=1 $verbose -timeout="$(((${CHAOS_ROUNDS:-2} + 1) * 10))m" ./test/chaos
	else
		# Realtime signals and small file systems are Linux'. A machine of one's
		# own may do without; the one that decides must not.
		[ -z "${CI:-}" ] || exit 1
		echo "test.sh: the chaos suite needs Linux: it is left out" >&2
	fi
fi
