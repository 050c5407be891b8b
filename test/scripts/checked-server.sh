#!/bin/bash
# checked-server.sh assertions|valgrind
#	Build PostgreSQL from Debian's source package, with its assertions and with its hints to
#	valgrind, and run on it all the tests, or the SQL tests under valgrind.  Takes long.
#
#	CHECKED_FOLDER	where to keep that server and use it again; by default it is removed
#	REGRESS			with valgrind, names of the SQL tests to run instead of all
set -euo pipefail
cd "$(dirname "$0")/../.."
. test/scripts/common.sh
. test/scripts/debian-root.sh

scratch=$(mktemp -d)
prefix=${CHECKED_FOLDER:-$scratch/server}
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
	local contrib

	cd "$scratch/source"
	./configure --quiet --prefix="$prefix" --enable-cassert --enable-debug --enable-tap-tests \
		--without-readline --without-zlib --without-icu \
		CPPFLAGS=-DUSE_VALGRIND CFLAGS='-O1 -g -fno-omit-frame-pointer'
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
	command -v valgrind >/dev/null || echo valgrind
}

case ${1:-} in
	assertions) command=test/scripts/run-tests.sh ;;
	valgrind) command=test/scripts/valgrind-tests.sh ;;
	*) die "usage: $0 assertions|valgrind" ;;
esac
if [ ! -x "$prefix/bin/postgres" ]; then
	prepare_machine
	# shellcheck disable=SC2046 # words are packages
	install_packages $(needed_packages)
	fetch_source "postgresql-$(installed_server)" >"$scratch/log" 2>&1 || { cat "$scratch/log"; die 'no source of PostgreSQL'; }
	say "building PostgreSQL $(installed_server) with assertions"
	build_server >"$scratch/log" 2>&1 || { tail -n 50 "$scratch/log"; die 'PostgreSQL could not be built'; }
fi
PG_CONFIG=$prefix/bin/pg_config CC=gcc BRIEF=1 test/scripts/sandbox.sh "$command"
