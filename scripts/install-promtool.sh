#!/bin/sh
# Installs promtool, which checks metrics and alert rules, from the packages of
# this system (Debian, Ubuntu, Fedora, Alpine, macOS). Does nothing when it is
# there already. The Prometheus that comes with it is not started.
set -eu
. "$(dirname "$0")/packages.sh"

manual="put promtool into the PATH by hand: https://prometheus.io/download/"

if have promtool; then
	exit 0
fi

before=no
have prometheus && before=yes
manager=$(package_manager)
say "promtool is missing; installing it with ${manager:-nothing}"
case $manager in
apt-get)
	apt_install prometheus || die "apt-get could not install prometheus; $manual"
	# The package would start a server at the next boot. Only one that was not
	# there before is told not to.
	if [ "$before" = no ] && have systemctl; then
		as_root systemctl disable prometheus >/dev/null 2>&1 || true
	fi
	;;
dnf) as_root dnf install -y -q golang-github-prometheus >&2 || die "dnf could not install golang-github-prometheus; $manual" ;;
apk) as_root apk add --quiet prometheus >&2 || die "apk could not install prometheus (is the community repository on?); $manual" ;;
brew) brew install --quiet prometheus >&2 || die "brew could not install prometheus; $manual" ;;
*) die "knows no package manager here; $manual" ;;
esac

have promtool || die "the package has no promtool; $manual"
say "installed $(command -v promtool)"
