#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every test of the project, in the order in which failures are cheapest to understand. Called by
# `./keel test`; the last line is "N passed, N failed".

# shellcheck source=keel
. "$(dirname -- "${BASH_SOURCE[0]}")/../keel"

BOOTS=50
POWERCUTS=2
SCALE=100
ONLY=
PASSED=0
FAILED=()
EMULATOR_FAULTS=0
BESIDE_NAME=
OUT=$BUILD/test-results

usage_test() {
	cat <<-'EOT'
	usage: ./keel test [--only PATTERN] [--boots N] [--power-cuts N] [--long]

	Build and run the style checks, the unit tests and bounded fuzz runs (AddressSanitizer and
	UndefinedBehaviorSanitizer), a second compiler, and the end-to-end tests that boot real guests.

	  --only PATTERN  only the cases whose name contains PATTERN (names are printed as they run)
	  --boots N       how many boots in a row the endurance case makes (default 50)
	  --power-cuts N  how many times the power-cut case kills everything (default 2)
	  --long          hours instead of minutes: 300 boots, 300 power cuts, ten times the data

	Logs of every case: build/test-results. The exit status is 0 when everything passed. A fault of
	the emulator itself, where one is used, is told from a failure, repeated and counted.
	EOT
}

# log_of NAME: where the output of a case goes; the folder for its files is the same with .d.
log_of() { printf '%s/%s.log\n' "$OUT" "${1//\//-}"; }

wanted() { [[ $1 == *"$ONLY"* ]]; }

# attempt NAME COMMAND...: a case in a shell of its own whose commands must all succeed. Leaves
# errexit off.
attempt() {
	local log rc
	log=$(log_of "$1")
	shift
	CASE_DIR=${log%.log}.d
	set +e
	umount -q "$CASE_DIR"/* 2>/dev/null # what a killed run left mounted
	rm -rf "$CASE_DIR"
	mkdir -p "$CASE_DIR"
	(set -e; "$@") >"$log" 2>&1 </dev/null
	rc=$?
	return "$rc"
}

# verdict NAME STATUS SECONDS
verdict() {
	local log
	log=$(log_of "$1")
	EMULATOR_FAULTS=$((EMULATOR_FAULTS + $(grep -c 'the emulator failed' "$log" || true)))
	if [ "$2" -eq 0 ]; then
		PASSED=$((PASSED + 1))
		printf 'ok      %4d s\n' "$3"
	else
		FAILED+=("$1")
		printf 'FAILED  %4d s  (status %d, log %s)\n' "$3" "$2" "$log"
		tail -n 25 "$log" | sed 's/^/    | /'
	fi
}

# run_case NAME COMMAND...: one line of progress, one log, one verdict.
run_case() {
	local start=$SECONDS rc=0
	wanted "$1" || return 0
	printf '%-44s ' "$1"
	attempt "$@"
	rc=$?
	set -e
	verdict "$1" "$rc" $((SECONDS - start))
}

# start_beside NAME COMMAND...: a long case that runs beside the ones that follow;
# finish_beside waits for it and gives the verdict.
start_beside() {
	wanted "$1" || return 0
	printf '%-44s started, runs beside the following\n' "$1"
	BESIDE_NAME=$1
	BESIDE_START=$SECONDS
	(attempt "$@") &
	BESIDE_PID=$!
}

finish_beside() {
	local rc=0
	[ -n "$BESIDE_NAME" ] || return 0
	printf '%-44s ' "$BESIDE_NAME"
	wait "$BESIDE_PID" || rc=$?
	verdict "$BESIDE_NAME" "$rc" $((SECONDS - BESIDE_START))
	BESIDE_NAME=
}

build_test_closure() {
	TEST_DIR=$(closure_dir test "$DEPS_HOST")
	meson_build test "$TEST_DIR" --buildtype=debugoptimized
}

# The second compiler: same warnings, no sanitizers, nothing is run.
build_with_clang() {
	local dir
	need_packages
	dir=$(closure_dir clang "$DEPS_HOST")
	CC=clang meson_build test "$dir" -Dsanitize=false
}

meson_suite() {
	meson test -C "$TEST_DIR" --no-rebuild --print-errorlogs --num-processes 2 --suite "$1"
}

main_test() {
	while [ $# -gt 0 ]; do
		case $1 in
		--help) usage_test; return ;;
		--only) ONLY=${2:?}; shift ;;
		--boots) BOOTS=${2:?}; shift ;;
		--power-cuts) POWERCUTS=${2:?}; shift ;;
		--long) BOOTS=300 POWERCUTS=300 SCALE=1000 ;;
		*) die "unknown option $1; see ./keel test --help" ;;
		esac
		shift
	done
	mkdir -p "$OUT"
	rm -f "$OUT/figures.txt"
	build_all auto
	lock_build
	build_test_closure
	unlock_build
	printf 'logs: %s\n' "$OUT"

	run_case build/clang build_with_clang
	for suite in style unit fuzz; do
		run_case "$suite" meson_suite "$suite"
	done
	# shellcheck source=tests/e2e/cases.sh
	. "$ROOT/tests/e2e/cases.sh"
	# shellcheck source=tests/e2e/storage.sh
	. "$ROOT/tests/e2e/storage.sh"
	e2e_all

	[ ! -s "$OUT/figures.txt" ] || cat "$OUT/figures.txt"
	[ "$EMULATOR_FAULTS" -eq 0 ] ||
		printf 'faults of the emulator itself, recognised and repeated: %d\n' "$EMULATOR_FAULTS"
	[ ${#FAILED[@]} -eq 0 ] || printf 'failed: %s\n' "${FAILED[@]}"
	printf '%d passed, %d failed\n' "$PASSED" "${#FAILED[@]}"
	[ ${#FAILED[@]} -eq 0 ]
}

main_test "$@"
