#!/bin/bash
# demo.sh
#	What `make demo` runs inside the sandbox: installs the extension, loads the data of test/data and
#	runs test/demo/demo.sql over it.  The SQL writes its files, such as pictures, where it runs.
set -euo pipefail
. test/scripts/common.sh

log=$(mktemp)
trap 'stop_server; rm -f "$log"' EXIT

quietly() {
	"$@" >"$log" 2>&1 || {
		cat "$log"
		die "failed: $*"
	}
}

sql() {
	psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}

# What one line of a file is.
type_of() {
	case $1 in
	digits) say 'bit varying' ;;
	*_labels) say integer ;;
	*) say 'double precision[]' ;;
	esac
}

# A table of the file's name: id, the line's number from 0, and x, the line.
load() {
	local file=$1 name type

	name=$(basename "$file" .csv.gz)
	type=$(type_of "$name")
	sql --command="CREATE TABLE $name (id integer PRIMARY KEY, x $type)"
	gzip --decompress --stdout "$file" |
		awk -v type="$type" -v OFS='\t' '{ print NR - 1, type ~ /\[\]/ ? "{" $0 "}" : $0 }' |
		sql --command="COPY $name FROM STDIN"
}

say "Building and starting a server ..."
quietly make --jobs="$(nproc)" ${CC:+CC="$CC"}
quietly make install
quietly start_server
sql --command='CREATE EXTENSION clustering'
for file in test/data/*.csv.gz; do
	load "$file"
done
sql --command='VACUUM ANALYZE'

demo=$PWD/test/demo/demo.sql
cd "$OUTPUT"
sql --file="$demo"
