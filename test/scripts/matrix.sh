#!/bin/bash
# matrix.sh [RELEASE...]
#	Run `make test` on the PostgreSQL of each of these Debian releases, by default 15 (bookworm),
#	17 (trixie) and 18 (forky), each in a minimal system of its own.  Needs root.
#
#	A system that could not be made, because the network failed or it took too long, or whose tests
#	took too long without a failure so far, is reported as "not run": neither passed nor failed.  The last line is "N passed, M failed".  The exit status
#	is 1 where something failed, else 75 where something was not run, else 0.
#
#	MATRIX_FOLDER	where to keep the systems and use them again; by default they're removed
#	MATRIX_MINUTES	how long making one system may take, and how long its tests; by default 30
#	CC, BRIEF		as for `make test`
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh
. test/scripts/debian-root.sh

minutes=${MATRIX_MINUTES:-30}
scratch=$(mktemp -d)
folder=${MATRIX_FOLDER:-$scratch}
trap 'rm -rf "$scratch"' EXIT

passed=0
failed=0
summary=()

# Runs in a shell of its own, so that it can be given a time limit: make the system, with all that
# the tests need.
prepare() {
	make_root
	copy_sources
	in_root bash -c 'cd /root/clustering && . test/scripts/common.sh && prepare_machine'
}

run_tests() {
	in_root make --directory=/root/clustering test ${CC:+CC="$CC"} ${BRIEF:+BRIEF="$BRIEF"}
}

limited() {
	timeout --signal=KILL "${minutes}m" bash -c "
		set -euo pipefail
		. test/scripts/common.sh
		. test/scripts/debian-root.sh
		$(declare -f prepare run_tests)
		$1"
}

can_make_systems() {
	[ "$(id -u)" = 0 ] || { say 'needs root'; return 1; }
	command -v debootstrap >/dev/null || install_packages debootstrap || return 1
	apart true
}

not_run() {
	say "$release: not run"
	sed 's/^/    /' "$scratch/log" | tail -n 5
	summary+=("$release: not run: $(tail -n 1 "$scratch/log")")
}

add_up() {
	local good bad

	read -r good bad < <(tally "$scratch/log" "$1")
	passed=$((passed + good))
	failed=$((failed + bad))
	summary+=("$release: $(grep -m 1 '^PostgreSQL: ' "$scratch/log" || say 'PostgreSQL: none'), $good passed, $bad failed")
}

run_release() {
	local status=0

	export release=$1 root=$folder/$1
	say "---- $release: making the system"
	if ! limited prepare >"$scratch/log" 2>&1; then
		not_run
		return
	fi
	say "---- $release: make test"
	limited run_tests 2>&1 | tee "$scratch/log" || status=$?
	if [ $status = 137 ] && ! grep -qE '^(not ok|test .* FAILED)|, [1-9][0-9]* failed$' "$scratch/log"; then
		say "took longer than $minutes minutes" >>"$scratch/log"
		not_run
	else
		add_up $status
	fi
	[ -n "${MATRIX_FOLDER:-}" ] || rm -rf "$root"
}

main() {
	local able=1

	can_make_systems >"$scratch/able" 2>&1 || able=
	for release in "$@"; do
		if [ -n "$able" ]; then
			run_release "$release"
		else
			cp "$scratch/able" "$scratch/log"
			not_run
		fi
	done
	printf '%s\n' "${summary[@]}"
	say "$passed passed, $failed failed"
	[ "$failed" = 0 ] || return 1
	[[ "${summary[*]}" != *': not run'* ]] || return $not_run_status
}

if [ $# = 0 ]; then set -- bookworm trixie forky; fi
main "$@"
