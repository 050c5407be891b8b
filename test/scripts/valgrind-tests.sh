#!/bin/bash
# valgrind-tests.sh
#	What `make check-valgrind` runs inside the sandbox: the SQL tests on a server under valgrind.
#	Reports of the server's own code that are known to be harmless are left out by valgrind.supp.
set -euo pipefail
. test/scripts/common.sh

logs=$(mktemp -d)
trap 'stop_server; rm -rf "$logs"' EXIT

# pg_ctl starts the program called postgres beside it; under valgrind that has to be the other one.
start_server_under_valgrind() {
	start_server
	pg_ctl --pgdata="$server/data" --wait --silent stop
	setsid valgrind --quiet --leak-check=no --time-stamp=yes --error-markers=VALGRIND,END \
		--suppressions=test/scripts/valgrind.supp --gen-suppressions=all --num-callers=30 \
		--log-file="$logs/%p" "$(command -v postgres)" -D "$server/data" >"$server/log" 2>&1 &
	for _ in $(seq 300); do
		pg_isready --quiet && return
		sleep 1
	done
	return 1
}

# Names of the files that are tested, or all.
tests=${REGRESS:-$(find test/sql -name '*.sql' -printf '%f\n' | sed 's/\.sql$//' | sort | xargs)}

make --jobs="$(nproc)" install >/dev/null
start_server_under_valgrind
status=0
make installcheck TAP_TESTS= REGRESS="$tests" || { status=1; cat regression.diffs; tail -n 50 "$server/log"; }
pg_ctl --pgdata="$server/data" --mode=fast --wait --timeout=600 --silent stop

reports=$(cat "$logs"/* | grep -c 'VALGRIND' || true)
cat "$logs"/* | head -n 400
[ "$reports" = 0 ] || status=1
say "valgrind: $reports reports"
exit $status
