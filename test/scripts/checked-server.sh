#!/bin/bash
# checked-server.sh assertions|sanitizers
#	Build PostgreSQL from Debian's source package, with its assertions, and run all the tests on it;
#	or with the address sanitizer as well, and run those tests that sanitizer-tests.sh chooses.
#	Takes long.
#
#	CHECKED_FOLDER	where to keep the servers and use them again; by default they are removed
#	REGRESS			with sanitizers, names of the SQL tests to run instead of all
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh
. test/scripts/debian-root.sh

# PostgreSQL's programs leave their memory to the end of the process.
export ASAN_OPTIONS=detect_leaks=0

scratch=$(mktemp -d)
prefix=${CHECKED_FOLDER:-$scratch}/${1:-}
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

# Download with an apt configuration of our own, since the machine's may have no source packages.
fetch_source() {
	local package=$1 options codename

	codename=$(. /etc/os-release && say "$VERSION_CODENAME")
	mkdir -p "$scratch"/apt/{lists,archives}/partial
	say "deb-src $(debian_mirror) $codename main" >"$scratch/apt/sources.list"
	options=(-o "Dir::Etc::SourceList=$scratch/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$scratch/apt/lists" -o "Dir::Cache=$scratch/apt"
		-o "APT::Sandbox::User=$(id -un)" -o Acquire::Check-Valid-Until=false)
	apt-get "${options[@]}" --quiet update
	(cd "$scratch" && apt-get "${options[@]}" --quiet --download-only source "$package")
	mkdir "$scratch/source"
	tar -x --strip-components=1 --directory="$scratch/source" --file="$(echo "$scratch/${package}_"*.orig.tar.*)"
}

build_server() {
	local contrib checks=() flags='-O1 -g -fno-omit-frame-pointer'

	if [ "$1" = sanitizers ]; then
		# what the server tells valgrind of its memory contexts goes to the sanitizer
		checks=(CPPFLAGS="-I$PWD/test/sanitizer -DUSE_VALGRIND -DRANDOMIZE_ALLOCATED_MEMORY"
			LDFLAGS=-fsanitize=address)
		flags+=' -fsanitize=address'
	fi
	cd "$scratch/source"
	./configure --quiet --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests \
		--without-readline --without-zlib --without-icu \
		CFLAGS="$flags" "${checks[@]}"
	make --silent --jobs="$(nproc)"
	make --silent install
	for contrib in amcheck auto_explain; do
		make --silent -C "contrib/$contrib" install
	done
	cd - >/dev/null
}

needed_packages() {
	command -v bison >/dev/null || echo bison
	command -v flex >/dev/null || echo flex
	command -v bzip2 >/dev/null || echo bzip2
}

case ${1:-} in
	assertions) command=test/scripts/run-tests.sh ;;
	sanitizers) command=test/scripts/sanitizer-tests.sh ;;
	*) die "usage: $0 assertions|sanitizers" ;;
esac
if [ ! -x "$prefix/bin/postgres" ]; then
	prepare_machine
	# shellcheck disable=SC2046 # words are packages
	install_packages $(needed_packages)
	fetch_source "postgresql-$(installed_server)" >"$scratch/log" 2>&1 || { cat "$scratch/log"; die 'no source of PostgreSQL'; }
	say "building PostgreSQL $(installed_server) with $1"
	build_server "$1" >"$scratch/log" 2>&1 || { tail -n 50 "$scratch/log"; die 'PostgreSQL could not be built'; }
fi
PG_CONFIG=$prefix/bin/pg_config CC=gcc BRIEF=1 test/scripts/sandbox.sh "$command"
