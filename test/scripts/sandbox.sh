#!/bin/bash
# sandbox.sh COMMAND [ARGUMENT...]
#	Run a command from the tree's top in a copy of the tree, beside a copy of PostgreSQL that it may
#	install into, as an unprivileged user, in an environment that names no server.  Nothing is
#	left behind but packages that were missing, and under build/ what the command put into $OUTPUT.
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh

# Only /tmp is sure to be open to the user that root becomes.
if [ "$(id -u)" = 0 ]; then export TMPDIR=/tmp; fi

# Sources alone: what was built in the tree was built for another place.
copy_tree() {
	tar -c --exclude=./.git --exclude=./build --exclude=./results --exclude=./tmp_check \
		--exclude='*.o' --exclude='*.bc' --exclude='*.so' . |
		tar -x --no-same-owner -C "$sandbox/tree"
	chmod -R u+w "$sandbox/tree"
}

# Variables that choose longer forms of tests.
test_variables() {
	env | grep -E '^(CLUSTERING_TEST_[A-Z]+|FUZZ_SECONDS)=' || true
}

# initdb refuses to run as root, and tests need no privilege: root becomes nobody.
unprivileged() {
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups "$@"
	else
		"$@"
	fi
}

run_in_sandbox() {
	local bin variables

	bin=$sandbox/root$("$pg_config" --bindir)
	mapfile -t variables < <(test_variables)
	cd "$sandbox/tree"
	unprivileged env -i PATH="$bin:$PATH" HOME="$sandbox/tmp" TMPDIR="$sandbox/tmp" LC_ALL=C \
		PG_CONFIG="$bin/pg_config" OUTPUT="$sandbox/output" ${CC:+CC="$CC"} \
		${BRIEF:+BRIEF="$BRIEF"} ${REGRESS:+REGRESS="$REGRESS"} "${variables[@]}" "$@"
}

# Files for the user to look at, owned by whom the tree belongs to.
keep_output() {
	[ -n "$(ls "$sandbox/output")" ] || return 0
	mkdir -p build
	cp -R "$sandbox/output/." build
	if [ "$(id -u)" = 0 ]; then chown -R --reference=Makefile build; fi
	say 'Files written:'
	(cd "$sandbox/output" && find . -type f -printf "  $tree/build/%P\n")
}

tree=$PWD
prepare_machine
sandbox=$(mktemp -d "${TMPDIR:-/tmp}/clustering.XXXXXX")
trap 'rm -rf "$sandbox"' EXIT
mkdir "$sandbox"/{tree,tmp,output,root}
copy_tree
copy_postgres "$pg_config" "$sandbox/root"
if [ "$(id -u)" = 0 ]; then chown -R nobody: "$sandbox"; fi

status=0
(run_in_sandbox "$@") || status=$?
keep_output
exit $status
