#!/bin/sh
# Installs redis-server 7.0 or newer from the packages of this system (Debian,
# Ubuntu, Fedora, Alpine, macOS). Does nothing when it is there already. The
# tests and `make run` start servers of their own, so no service is started, and
# one that runs already is left alone.
set -eu
. "$(dirname "$0")/packages.sh"

wanted=7
manual="install redis-server $wanted.0 or newer by hand: https://redis.io/docs/latest/operate/oss_and_stack/install/"

# major_version prints the installed server's major version, 0 when there is none.
major_version() {
	have redis-server || { echo 0; return; }
	version=$(redis-server --version 2>/dev/null | sed -n 's/.*v=\([0-9][0-9]*\)\..*/\1/p')
	echo "${version:-0}"
}

before=$(major_version)
if [ "$before" -ge "$wanted" ]; then
	exit 0
fi

manager=$(package_manager)
say "redis-server $wanted.0 or newer is missing; installing it with ${manager:-nothing}"
case $manager in
apt-get)
	apt_install redis-server || die "apt-get could not install redis-server; $manual"
	# The package would start a server at the next boot. Only one that was not
	# there before is told not to.
	if [ "$before" -eq 0 ] && have systemctl; then
		as_root systemctl disable redis-server >/dev/null 2>&1 || true
	fi
	;;
dnf)
	# Newer Fedoras carry Valkey, with a package that gives it Redis' names.
	as_root dnf install -y -q redis >&2 ||
		as_root dnf install -y -q valkey-compat-redis >&2 ||
		die "dnf could not install redis; $manual"
	;;
apk)
	as_root apk add --quiet redis >&2 || die "apk could not install redis (is the community repository on?); $manual"
	;;
brew)
	brew install --quiet redis >&2 || die "brew could not install redis; $manual"
	;;
*)
	die "knows no package manager here; $manual"
	;;
esac

after=$(major_version)
if [ "$after" -lt "$wanted" ]; then
	die "the package of this system is too old (redis-server $after); $manual"
fi
say "installed $(command -v redis-server)"
