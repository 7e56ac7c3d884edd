#!/bin/sh
# Installs Chromium, in which the tests of the page run, from the packages of
# this system (Debian, Fedora, Alpine, macOS). Does nothing when it is there
# already, or Chrome is.
set -eu
. "$(dirname "$0")/packages.sh"

manual="put chromium into the PATH by hand: https://www.chromium.org/getting-involved/download-chromium/"

# found reports whether there is a browser under one of the names that the tests
# look for.
found() {
	for name in chromium chromium-browser google-chrome chrome; do
		if have "$name"; then
			return 0
		fi
	done
	[ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

if found; then
	exit 0
fi

manager=$(package_manager)
say "chromium is missing; installing it with ${manager:-nothing}"
case $manager in
apt-get) apt_install chromium fonts-dejavu-core || die "apt-get could not install chromium; $manual" ;;
dnf) as_root dnf install -y -q chromium dejavu-sans-fonts >&2 || die "dnf could not install chromium; $manual" ;;
apk) as_root apk add --quiet chromium font-dejavu >&2 || die "apk could not install chromium (is the community repository on?); $manual" ;;
*) die "knows no package of chromium here; $manual" ;;
esac

found || die "the package has no chromium; $manual"
say "installed chromium"
