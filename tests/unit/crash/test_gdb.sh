#!/bin/bash
# SPDX-License-Identifier: MIT
#
# A debugger opens the core of a live process and shows every thread with its functions.
# Usage: test_gdb.sh CORE_TOOL

set -euo pipefail
tool=$1
dir=$(mktemp -d)
mkfifo "$dir/ready"
"$tool" victim >"$dir/ready" &
pid=$!
trap 'kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
read -r line <"$dir/ready"
[ "$line" = ready ]
sleep 0.5 # its threads are on their way to where they wait
"$tool" "$pid" >"$dir/core"
[ "$(awk '$1 == "State:" { print $2 }' "/proc/$pid/status")" != t ] || { echo "it was left stopped"; exit 1; }
gdb -batch -nx -iex 'set debuginfod enabled off' -ex 'info threads' -ex 'thread apply all bt' \
	"$tool" "$dir/core" >"$dir/out" 2>&1
cat "$dir/out"
[ "$(grep -c '^Thread ' "$dir/out")" = 4 ] || { echo "expected: 4 threads"; exit 1; }
[ "$(grep -cE '^#[0-9]+ .* in keel_thread \(' "$dir/out")" = 3 ] || { echo "expected: keel_thread 3 times"; exit 1; }
grep -qE '^#[0-9]+ .* (in )?main \(' "$dir/out" || { echo "expected: main"; exit 1; }
