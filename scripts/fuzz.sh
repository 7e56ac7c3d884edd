#!/bin/sh
# Runs every fuzz target, one after the other, for FUZZTIME each (default 1m).
# The targets are those that "go test -list" finds. A target that finds
# something does not keep the others from running; it fails the whole at the
# end, and its input is in the testdata of its package, where "make test" runs
# it from then on.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
fuzztime=${FUZZTIME:-1m}

scripts/install-redis.sh # some targets compare with a real server
listed=$($go test -list '^Fuzz' ./...)
# "go test -list" names the targets of a package, then the package.
targets=$(printf '%s\n' "$listed" | awk '
	/^Fuzz/ { names[++n] = $1 }
	/^ok/   { for (i = 1; i <= n; i++) print $2 "=" names[i]; n = 0 }')
[ -n "$targets" ] || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }

findings=
for target in $targets; do
	package=${target%=*} name=${target#*=}
	echo "fuzz.sh: $name in $package for $fuzztime"
	$go test -run='^$' -fuzz="^$name\$" -fuzztime="$fuzztime" "$package" || findings="$findings $name"
done
[ -z "$findings" ] || { echo "fuzz.sh: findings of$findings" >&2; exit 1; }
