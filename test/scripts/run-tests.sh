#!/bin/bash
# run-tests.sh
#	What `make test` runs inside the sandbox.  Every group says what it counted, and prints its
#	whole log when something failed.  The last line adds up: "N passed, M failed".  With BRIEF set
#	only what depends on the server: builds, and tests in it.
set -euo pipefail
. test/scripts/common.sh

passed=0
failed=0
log=$(mktemp)
trap 'stop_server; rm -f "$log"' EXIT

# Compilers to build with; the last one's build is installed and tested.
compilers() {
	if [ -n "${CC:-}" ]; then
		say "$CC"
		return
	fi
	find_clang
	say gcc
}

report() {
	local name=$1 good=$2 bad=$3

	passed=$((passed + good))
	failed=$((failed + bad))
	if [ "$bad" -gt 0 ]; then cat "$log"; fi
	say "$name: $good passed, $bad failed"
}

# step NAME COMMAND...: a command that passes or fails as one, or says that it had to be skipped
step() {
	local name=$1

	shift
	if ! "$@" >"$log" 2>&1; then
		report "$name" 0 1
	elif ! grep '^SKIPPED: ' "$log"; then
		report "$name" 1 0
	fi
}

# Lines of tests in the log: TAP, which pg_regress speaks since 16, and what it printed before.
# A test that was skipped did not pass; one that is still to do did not fail.
count() {
	local verdict=$1

	awk -v verdict="$verdict" '
		/# (SKIP|TODO)/ { next }
		/^ok [0-9]/ || /^test .* \.\.\. ok/ { n["passed"]++ }
		/^not ok [0-9]/ || /^test .* \.\.\. FAILED/ { n["failed"]++ }
		END { print n[verdict] + 0 }' "$log"
}

# suite NAME COMMAND...: a command that prints one line for each test.  One that crashed, ended
# early or ran nothing has failed, whatever it printed; a file that says why it can't run was skipped.
suite() {
	local name=$1 status=0 good bad

	shift
	"$@" >"$log" 2>&1 || status=$?
	good=$(count passed)
	bad=$(count failed)
	if [ $status = 0 ] && grep -x 'Result: NOTESTS' "$log" >/dev/null; then
		grep ' skipped: ' "$log"
		return
	fi
	if [ "$bad" = 0 ] && { [ $status != 0 ] || [ "$good" = 0 ]; }; then bad=1; fi
	grep '# SKIP' "$log" || true
	report "$name" "$good" "$bad"
}

build() {
	make clean &&
		make --jobs="$(nproc)" WERROR=1 CC="$1"
}

# In another folder, as packagers do; objects in the tree would be taken for it.
build_elsewhere() {
	local folder=$PWD/build/elsewhere

	make clean &&
		mkdir -p "$folder" &&
		make -C "$folder" -f "$PWD/Makefile" --jobs="$(nproc)" with_llvm=no install DESTDIR="$folder/root" &&
		[ "$(nm --dynamic --defined-only "$folder/clustering.so" | grep -c ' clu_')" -gt 100 ] &&
		[ -n "$(find "$folder/root" -name 'clustering--*.sql')" ]
}

# The core must not be able to see the server.
core_is_apart() {
	local status=0

	echo '#include "postgres.h"' >src/core/boundary.c
	! make src/core/boundary.o || status=1
	rm -f src/core/boundary.*
	return $status
}

unit_tests() {
	make --jobs="$(nproc)" unit WERROR=1 PROVE_FLAGS=--verbose "$@"
}

# Inputs made up for as long as FUZZ_SECONDS says; the corpora of the tree are always run.
fuzz() {
	if has_fuzzer "$(find_clang)"; then
		suite fuzzing make --jobs="$(nproc)" fuzz WERROR=1 FUZZ_CC="$(find_clang)" FUZZ_SECONDS="${FUZZ_SECONDS:-5}"
	else
		say 'SKIPPED: fuzzing: there is no clang with libFuzzer'
	fi
}

sql_tests() {
	local status=0

	make installcheck TAP_TESTS= || status=$?
	[ $status = 0 ] || { cat regression.diffs; tail -n 50 "$server/log"; }
	return $status
}

tap_test() {
	local status=0

	make prove_installcheck PROVE_TESTS="$1" PROVE_FLAGS=--verbose || status=$?
	[ $status = 0 ] || tail -n 100 tmp_check/log/*
	return $status
}

# Both compilers' builds; the last one's stays, and is the one that a server gets.
builds_and_core() {
	local compiler

	if [ -z "${BRIEF:-}" ]; then
		step format make format-check
		step 'boundary of the core' core_is_apart
		step 'build in another folder' build_elsewhere
	fi
	for compiler in $(compilers); do
		step "build with ${compiler##*/}" build "$compiler"
		[ -n "${BRIEF:-}" ] || suite "unit tests as shipped, ${compiler##*/}" unit_tests SANITIZE= CC="$compiler"
	done
	if [ -z "${BRIEF:-}" ]; then
		suite "unit tests with sanitizers, ${compiler##*/}" unit_tests CC="$compiler"
		fuzz
	fi
}

# Each TAP file is a group, so that one that takes long leaves those before it counted.
tests_in_a_server() {
	local file

	step install make install
	step 'start a server' start_server
	suite 'SQL tests' sql_tests
	stop_server
	for file in test/t/*.pl; do
		suite "$file" tap_test "$file"
	done
}

main() {
	say "PostgreSQL: $("$PG_CONFIG" --version)"
	builds_and_core
	tests_in_a_server
	say "$passed passed, $failed failed"
	[ "$failed" = 0 ]
}

main
