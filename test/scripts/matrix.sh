#!/bin/bash
# matrix.sh [VERSION...]
#	Run `make test` on each of these versions of PostgreSQL, by default 15, 17 and 18, each in a minimal
#	system of the Debian release that has it.  Needs root.
#
#	A version whose system can't be made, because the network failed or it took too long, is
#	reported as "not run": neither passed nor failed.  Of tests that take too long, what ran until
#	then counts.  The last line is "N passed, M failed".  The exit status is 1 where something
#	failed, else 75 where something was not run, or not to its end, else 0.
#
#	MATRIX_FOLDER	where to keep the systems and use them again; by default they're removed
#	MATRIX_MINUTES	how long one version may take in all; by default 60
#	CC, BRIEF		as for `make test`
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh
. test/scripts/debian-root.sh

minutes=${MATRIX_MINUTES:-60}
scratch=$(mktemp -d)
folder=${MATRIX_FOLDER:-$scratch}
trap 'remove "$scratch"' EXIT

passed=0
failed=0
summary=()
incomplete=

# The Debian release that has a version.
release_of() {
	case $1 in
		15) say bookworm ;;
		17) say trixie ;;
		18) say forky ;;
		*) die "there is no Debian release with PostgreSQL $1, or it isn't known here" ;;
	esac
}

# ---- in a shell of their own, so that they can be given a time limit ----

can_make_systems() {
	[ "$(id -u)" = 0 ] || { say 'needs root'; return 1; }
	command -v debootstrap >/dev/null || install_packages debootstrap || return 1
	apart true
}

# Make the system, with all that the tests need.
prepare() {
	make_root
	copy_sources
	in_root env ${BRIEF:+BRIEF="$BRIEF"} bash -c "cd /root/clustering && . test/scripts/common.sh
		[ -n \"\$(installed_server)\" ] || install_packages \$(missing_packages $version)
		prepare_machine"
}

run_tests() {
	in_root make --directory=/root/clustering test ${CC:+CC="$CC"} ${BRIEF:+BRIEF="$BRIEF"}
}

timed_out=137

# One of the above, until SECONDS is $end.  Killed are all of its processes, wherever they are.
limited() {
	timeout --signal=KILL $((end > SECONDS ? end - SECONDS : 1)) bash -c "
		set -euo pipefail
		. test/scripts/common.sh
		. test/scripts/debian-root.sh
		$(declare -f can_make_systems prepare run_tests)
		$1"
}

# ---- what came of it ----

# A process that was killed may take a moment to let go of its files.
remove() {
	rm -rf "$1" 2>/dev/null || { sleep 3; rm -rf "$1"; }
}

not_run() {
	incomplete=1
	summary+=("PostgreSQL $version: not run ($1)")
	say "${summary[-1]}"
	# without the shell's word on what it killed
	sed -n '/ Killed  /q; s/^/    /p' "$scratch/log" | tail -n 5
}

# The last line of the log, or that it took too long.
reason() {
	if [ "$1" = $timed_out ]; then
		say "no system within $minutes minutes"
	else
		tail -n 1 "$scratch/log"
	fi
}

add_up() {
	local status=$1 good bad note=

	if [ "$status" = $timed_out ]; then
		incomplete=1
		note=", and then the $minutes minutes were over"
		read -r good bad < <(tally_of_groups "$scratch/log")
	else
		read -r good bad < <(tally "$scratch/log" "$status")
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	summary+=("PostgreSQL $version: $good passed, $bad failed$note")
}

run_version() {
	local status=0 end=$((SECONDS + minutes * 60))

	release=$(release_of "$version")
	root=$folder/$release
	export version release root
	limited can_make_systems >"$scratch/log" 2>&1 || { not_run "$(reason $?)"; return; }
	say "---- PostgreSQL $version: making a system of Debian $release"
	limited prepare >"$scratch/log" 2>&1 || { not_run "$(reason $?)"; return; }
	say "---- PostgreSQL $version: make test"
	limited run_tests 2>&1 | tee "$scratch/log" || status=$?
	add_up $status
}

if [ $# = 0 ]; then set -- 15 17 18; fi
for version in "$@"; do
	run_version
	[ -n "${MATRIX_FOLDER:-}" ] || remove "$root"
done
printf '%s\n' "${summary[@]}"
say "$passed passed, $failed failed"
[ "$failed" = 0 ] || exit 1
[ -z "$incomplete" ] || exit $not_run_status
