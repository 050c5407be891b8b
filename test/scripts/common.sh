# shellcheck shell=bash
# common.sh
#	What the scripts share: finding and installing PostgreSQL, and a throw-away server.
#	Sourced with the top of the source tree as the working directory.

say() { printf '%s\n' "$*"; }

die() {
	say "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# The numbers of the line "N passed, M failed" that ends a log, of a command that ended with this
# status.  One that failed otherwise, or counted nothing, is one failure.
tally() {
	local log=$1 status=$2 good=0 bad=0

	read -r good bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$log" | tail -n 1) || status=1
	if [ "$status" != 0 ] && [ "${bad:-0}" = 0 ]; then bad=1; fi
	say "${good:-0} $bad"
}

# The same of a log without its end: the sums of its groups, "NAME: N passed, M failed".
tally_of_groups() {
	sed -nE 's/^.*: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$1" |
		awk '{ good += $1; bad += $2 } END { print good + 0, bad + 0 }'
}

# The status of a command that could not run, or not all of it, where nothing else failed.
# shellcheck disable=SC2034 # used by others
not_run_status=75

# ---- packages ----

# Major version of the newest PostgreSQL server that Debian's packages installed, or nothing.
installed_server() {
	find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | cut -d / -f 5 | sort -n | tail -n 1
}

# Packages that the tests need and this machine lacks; $1 is a PostgreSQL major version, or empty.
missing_packages() {
	command -v gcc >/dev/null || echo gcc
	[ -e /usr/include/stdlib.h ] || echo libc6-dev
	command -v prove >/dev/null || echo perl
	perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	[ -z "$1" ] || [ -x "/usr/lib/postgresql/$1/bin/postgres" ] || echo "postgresql-$1"
	[ -z "$1" ] || [ -e "/usr/include/postgresql/$1/server/postgres.h" ] ||
		echo "postgresql-server-dev-$1"
}

# The clang to fuzz with, or nothing.
find_clang() {
	command -v clang || compgen -c clang- | grep -xE 'clang-[0-9]+' | sort -V | tail -n 1
}

# Whether a compiler comes with libFuzzer.
has_fuzzer() {
	[ -n "$1" ] &&
		echo 'int LLVMFuzzerTestOneInput(const char *x, long n) { return x == 0 && n; }' |
		"$1" -x c -fsanitize=fuzzer,address -o /dev/null - 2>/dev/null
}

# The package that has libFuzzer for the clang there is, where it is missing.
missing_fuzzer() {
	local clang major

	clang=$(find_clang)
	if [ -n "$clang" ] && ! has_fuzzer "$clang"; then
		major=$("$clang" -dumpversion | cut -d . -f 1)
		if apt-cache show "libclang-rt-$major-dev" >/dev/null 2>&1; then echo "libclang-rt-$major-dev"; fi
	fi
}

# The server's package creates a cluster and starts it.  This fragment of its configuration, there
# only while apt runs, asks it not to.
no_cluster=/etc/postgresql-common/createcluster.d/clustering-test.conf

apt_get() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes "$@" </dev/null >/dev/null
}

install_packages() {
	local status=0

	[ $# -gt 0 ] || return 0
	command -v apt-get >/dev/null || die "missing, and there is no apt-get to install it with: $*"
	say "installing: $*"
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	apt_get update && apt_get install --no-install-recommends "$@" || status=$?
	as_root rm -f "$no_cluster"
	as_root rmdir --ignore-fail-on-non-empty "${no_cluster%/*}"
	return $status
}

# Set pg_config to that of the PostgreSQL to test with, after installing what is missing.
prepare_machine() {
	local version=

	if [ -z "${PG_CONFIG:-}" ]; then
		[ -n "$(installed_server)" ] || install_packages postgresql
		version=$(installed_server)
	fi
	# shellcheck disable=SC2046 # words are packages
	install_packages $(missing_packages "$version")
	# shellcheck disable=SC2046 # or nothing; clang itself comes with the server's development files
	[ -n "${BRIEF:-}" ] || install_packages $(missing_fuzzer)
	pg_config=$(command -v "${PG_CONFIG:-/usr/lib/postgresql/$version/bin/pg_config}") ||
		die "no such program: $PG_CONFIG"
	[ -e "$("$pg_config" --includedir-server)/postgres.h" ] ||
		die "$pg_config: the server's header files are not installed"
}

# ---- a private copy of PostgreSQL ----

# PostgreSQL finds its files relative to its programs, so a copy of its folders under another root
# is an installation of its own: what is installed into it never reaches the system's.
copy_postgres() {
	local pg_config=$1 root=$2 folder

	for folder in "$("$pg_config" --bindir)" "$("$pg_config" --pkglibdir)" \
		"$("$pg_config" --sharedir)" "$("$pg_config" --includedir-server)"; do
		mkdir -p "$root$folder"
		cp -R --dereference "$folder/." "$root$folder"
	done
}

# ---- a throw-away server ----

server=

# Start a server of our own in a new folder and point psql and pg_regress at it.
start_server() {
	server=$(mktemp -d)
	initdb --pgdata="$server/data" --username=postgres --auth=trust --no-sync \
		--encoding=UTF8 --locale=C >"$server/initdb.log" || return
	cat >>"$server/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$server'
		fsync = off
	END
	export PGHOST=$server PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
	pg_ctl --pgdata="$server/data" --log="$server/log" --wait --silent start
}

stop_server() {
	[ -n "$server" ] || return 0
	pg_ctl --pgdata="$server/data" --mode=immediate --wait --silent stop || true
	rm -rf "$server"
	server=
}
