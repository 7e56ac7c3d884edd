#!/bin/sh
# Installs a C compiler, which Go's race detector needs on Linux. Does nothing
# when there is one already, and on macOS, where the detector needs none.
set -eu
. "$(dirname "$0")/packages.sh"

if [ "$(uname -s)" = Darwin ] || have "$(go env CC)"; then
	exit 0
fi

manager=$(package_manager)
say "a C compiler is missing; installing it with ${manager:-nothing}"
case $manager in
apt-get) apt_install gcc libc6-dev ;;
dnf) as_root dnf install -y -q gcc glibc-devel >&2 ;;
apk) as_root apk add --quiet gcc musl-dev >&2 ;;
*) false ;;
esac || die "could not install a C compiler; install gcc and the headers of the C library by hand"
