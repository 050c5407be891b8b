#!/bin/bash
# fuzz.sh SECONDS TARGET...
#	Run each fuzz target for so long, beginning with its corpus in test/fuzz/corpus, and print a
#	line of TAP.  What it finds to be new stays in build/fuzz, the corpus in the tree as it is.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

seconds=$1
shift
number=0
failed=0

for target in "$@"; do
	name=${target##*/fuzz_}
	found=build/fuzz/found-$name
	log=build/fuzz/$name.log
	number=$((number + 1))
	mkdir -p "$found"
	# the limits of time and memory are what "no hang" means: per input, under the sanitizers
	if "$target" -seed=1 -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="build/fuzz/$name-" "$found" "test/fuzz/corpus/$name" >"$log" 2>&1; then
		echo "ok $number - $name: $(awk '/number_of_executed_units/ { print $2 }' "$log") inputs in $seconds s"
	else
		failed=1
		tail -n 60 "$log"
		echo "not ok $number - $name"
	fi
done
echo "1..$number"
exit $failed
