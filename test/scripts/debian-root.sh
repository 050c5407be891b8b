# shellcheck shell=bash
# debian-root.sh
#	A minimal Debian in a folder, to run commands in.  Sourced after common.sh; $release and $root
#	say which Debian and where.  Needs root and debootstrap.
# shellcheck disable=SC2016,SC2154 # much here expands inside the other system

# Where this machine's own packages come from.
debian_mirror() {
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1
}

# Mounts and processes of the command end with it, so there are none to clean up.
apart() {
	unshare --mount --ipc --pid --fork --kill-child "$@"
}

in_root() {
	apart bash -c '
		set -e
		root=$1
		shift
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		mount -t tmpfs shm "$root/dev/shm"
		exec chroot "$root" /usr/bin/env -i HOME=/root LC_ALL=C.UTF-8 \
			PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
	' in_root "$root" "$@"
}

# Install the system with nothing but make, unless it's there.
make_root() {
	local mirror script=$release

	[ ! -e "$root/usr/bin/make" ] || return 0
	mirror=$(debian_mirror)
	# apt learns whose a mirror is from its lists, and has none on a new machine
	if [ -z "$mirror" ]; then
		apt_get update
		mirror=$(debian_mirror)
	fi
	[ -n "$mirror" ] || die "found no Debian mirror in this machine's apt configuration"
	# a release newer than this machine's debootstrap is made as the newest it knows
	[ -e "/usr/share/debootstrap/scripts/$script" ] || script=sid
	rm -rf "$root"
	apart debootstrap --variant=minbase "$release" "$root" "$mirror" "$script"
	# dpkg waits for the disk after each file otherwise, for which a busy machine takes minutes
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/clustering-test"
	# A mirror's copy of a release that isn't out yet may be older than its index says it is good
	# for.  It's still signed.
	echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/99clustering-test"
	in_root bash -c 'export DEBIAN_FRONTEND=noninteractive
		apt-get --quiet update && apt-get --quiet --yes install --no-install-recommends make'
}

# The tree without what was built in it, as /root/clustering.
copy_sources() {
	rm -rf "$root/root/clustering"
	mkdir -p "$root/root/clustering"
	tar -c --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.bc' --exclude='*.so' . |
		tar -x -C "$root/root/clustering"
}
