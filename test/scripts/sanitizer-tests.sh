#!/bin/bash
# sanitizer-tests.sh
#	What `make check-sanitizers` runs inside the sandbox: the SQL tests, and hostile bytes, on a
#	server with the address sanitizer, and in it the extension with that for undefined behaviour
#	as well.  What they find ends a process of the server, and the test.
set -euo pipefail
. test/scripts/common.sh

trap stop_server EXIT

export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1

# Names of the files that are tested, or all.
tests=${REGRESS:-$(find test/sql -name '*.sql' -printf '%f\n' | sed 's/\.sql$//' | sort | xargs)}

make --jobs="$(nproc)" install OPTIMISE=-O1 COPT='-fsanitize=undefined -fno-sanitize-recover=all' >/dev/null
start_server
status=0
make installcheck TAP_TESTS= REGRESS="$tests" || { status=1; cat regression.diffs; }
if [ -z "${REGRESS:-}" ]; then
	make prove_installcheck PROVE_TESTS=test/t/020_hostile_bytes.pl PROVE_FLAGS= || status=1
fi
reports=$(cat "$server/log" tmp_check/log/* 2>/dev/null | grep -cE 'ERROR: AddressSanitizer|runtime error:' || true)
[ "$reports" = 0 ] || { status=1; grep -h -A 40 -E 'ERROR: AddressSanitizer|runtime error:' "$server/log" tmp_check/log/* | head -n 400; }
say "sanitizers: $reports reports"
exit $status
