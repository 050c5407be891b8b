#!/bin/bash
# format.sh [--check]
#	Format the C sources in place, or with --check only say where they differ.  Every major version
#	of clang-format has an opinion of its own; the reference is 14.
set -euo pipefail
cd "$(dirname "$0")/../.."

reference=14

for clang_format in "clang-format-$reference" clang-format; do
	"$clang_format" --version 2>/dev/null | grep -q "version $reference\." && break
	clang_format=
done
if [ -z "$clang_format" ]; then
	echo "SKIPPED: clang-format $reference is not installed"
	exit
fi

if [ "${1:-}" = --check ]; then mode=(--dry-run -Werror); else mode=(-i); fi
find src test '(' -name '*.c' -o -name '*.h' -o -name '*.inc' ')' -exec "$clang_format" "${mode[@]}" {} +
