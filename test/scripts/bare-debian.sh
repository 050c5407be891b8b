#!/bin/bash
# bare-debian.sh RELEASE [FOLDER]
#	Install a minimal Debian (bookworm, trixie, ...) into a folder, put nothing but make and the
#	source tree into it, and run `make test` and `make demo` there; then see that they left no
#	process, no file and no cluster behind.  Needs root and debootstrap.  The system is removed
#	at the end, unless a folder is named: that one is kept and used again the next time.
# shellcheck disable=SC2016 # much here expands inside the other system
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh
. test/scripts/debian-root.sh

[ $# -ge 1 ] || die "usage: $0 RELEASE [FOLDER]"
[ "$(id -u)" = 0 ] || die "$0 needs root"
command -v debootstrap >/dev/null || die "$0 needs debootstrap"

release=$1
scratch=$(mktemp -d)
root=${2:-$scratch/root}
trap 'rm -rf "$scratch"' EXIT

# Runs inside, as the only process there.  Prints what the two commands left behind, if anything.
inside='
	set -e
	shopt -s nullglob
	cd /root/clustering
	find . | sort >/root/before
	make test
	make demo
	find . ! -path "./build*" | sort | comm -13 /root/before - >/root/left
	find /tmp /var/lib/postgresql/*/* /etc/postgresql/*/* -mindepth 1 ! -name ".*-unix" >>/root/left
	find /usr /etc /var -path "*clustering*" >>/root/left
	for process in /proc/[0-9]*; do
		[ "$process" = "/proc/$$" ] || tr "\\0" " " <"$process/cmdline" >>/root/left
	done
	if [ -s /root/left ]; then
		echo "left behind:"
		cat /root/left
		exit 1
	fi
	echo "nothing left behind"
'

make_root
copy_sources
in_root bash -c "$inside"
say "$release: all is well"
