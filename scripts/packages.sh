# Sourced by the install scripts: how to install a package of this system.
# Plain POSIX sh, because a bare Alpine has nothing else.

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }

die() {
	say "$*"
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root runs a command as root: directly, or through sudo when we are not.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		die "needs root to run \"$*\": run it as root, or install sudo"
	fi
}

# package_manager prints the one of this system, or nothing.
package_manager() {
	if [ "$(uname -s)" = Darwin ]; then
		if have brew; then echo brew; fi
		return
	fi
	for manager in apt-get dnf apk; do
		if have "$manager"; then
			echo "$manager"
			return
		fi
	done
}

# apt_install installs Debian packages and starts none of their services: for
# the time of the installation a policy-rc.d answers "not allowed". A policy
# that is there already is left as it is.
apt_install() {
	as_root apt-get update -qq >&2 || say "apt-get update failed; going on with the lists that are there"
	policy=/usr/sbin/policy-rc.d
	ours=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
		ours=yes
		trap 'as_root rm -f "$policy"' EXIT
		trap 'exit 130' INT TERM
	fi
	status=0
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2 || status=$?
	if [ -n "$ours" ]; then
		as_root rm -f "$policy"
		trap - EXIT INT TERM
	fi
	return "$status"
}
