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

[ $# -ge 1 ] || die "usage: $0 RELEASE [FOLDER]"
[ "$(id -u)" = 0 ] || die "$0 needs root"
command -v debootstrap >/dev/null || die "$0 needs debootstrap"

release=$1
scratch=$(mktemp -d)
root=${2:-$scratch/root}
trap 'rm -rf "$scratch"' EXIT

# Where this machine's own packages come from.
debian_mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

# Mounts made inside end with the process that made them, so there are none to clean up, and
# processes left behind end with it too.
in_root() {
	unshare --mount --pid --fork --kill-child bash -c '
		set -e
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
	' in_root "$root" "$@"
}

make_root() {
	local mirror script=$release

	[ ! -e "$root/usr/bin/make" ] || return 0
	mirror=$(debian_mirror)
	[ -n "$mirror" ] || die "found no Debian mirror in this machine's apt configuration"
	# a release newer than this machine's debootstrap is made as the newest it knows
	[ -e "/usr/share/debootstrap/scripts/$script" ] || script=sid
	debootstrap --variant=minbase "$release" "$root" "$mirror" "$script"
	in_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends make
}

copy_sources() {
	rm -rf "$root/root/clustering"
	mkdir -p "$root/root/clustering"
	tar -c --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.bc' --exclude='*.so' . |
		tar -x -C "$root/root/clustering"
}

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
