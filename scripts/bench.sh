#!/bin/sh
# Measures fanout's binary beside the most that redis-server can serve: see
# test/bench. Installs redis-server when it is missing. Takes a quarter of an hour
# with its defaults, and a machine that has nothing else to do.
#   scripts/bench.sh [FLAG...]     scripts/bench.sh -help lists the flags
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}

scripts/install-redis.sh
$go build -o bin/bench ./test/bench
exec bin/bench "$@"
