#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every test of the project, in the order in which failures are cheapest to understand. Called by
# `./keel test`; the last line is "N passed, N failed".

# shellcheck source=keel
. "$(dirname -- "${BASH_SOURCE[0]}")/../keel"

BOOTS=50
ONLY=
PASSED=0
FAILED=()
REPEATED=()
EMULATOR_FAULTS=0
OUT=$BUILD/test-results

usage_test() {
	cat <<-'EOT'
	usage: ./keel test [--only PATTERN] [--boots N]

	Build and run the style checks, the unit tests and bounded fuzz runs (AddressSanitizer and
	UndefinedBehaviorSanitizer), a second compiler, and the end-to-end tests that boot real guests.

	  --only PATTERN  only the cases whose name contains PATTERN (names are printed as they run)
	  --boots N       how many boots in a row the endurance case makes (default 50)

	Logs of every case: build/test-results. The exit status is 0 when everything passed.
	EOT
}

# One try of a case, in a shell of its own whose commands must all succeed. Leaves errexit off.
attempt() {
	local log=$1 rc
	shift
	set +e
	umount -q "$CASE_DIR"/* 2>/dev/null # what a killed run left mounted
	rm -rf "$CASE_DIR"
	mkdir -p "$CASE_DIR"
	(set -e; "$@") >"$log" 2>&1 </dev/null
	rc=$?
	EMULATOR_FAULTS=$((EMULATOR_FAULTS + $(grep -c 'the emulator failed' "$log")))
	return "$rc"
}

# Under emulation an end-to-end case gets a second try: what runs there suffers from the emulator
# in more ways than the ones that can be told for certain. Repeats are listed, never hidden, and
# nothing gets a third one.
#
# run_case NAME COMMAND...: one line of progress, one log, one verdict.
run_case() {
	local name=$1 log start=$SECONDS rc=0
	shift
	[[ $name == *"$ONLY"* ]] || return 0
	log=$OUT/${name//\//-}.log
	printf '%-44s ' "$name"
	CASE_DIR=$OUT/${name//\//-}.d
	attempt "$log" "$@"
	rc=$?
	if [ "$rc" -ne 0 ] && [[ $name == e2e/* ]] && [ -n "${OUTER:-}" ]; then
		REPEATED+=("$name: $(grep -hm 1 -E 'expected:|hvhost: ' "$log" || true)")
		cp -f "$log" "${log%.log}.first.log"
		attempt "$log" "$@"
		rc=$?
	fi
	set -e
	if [ "$rc" -eq 0 ]; then
		PASSED=$((PASSED + 1))
		printf 'ok      %4d s\n' $((SECONDS - start))
	else
		FAILED+=("$name")
		printf 'FAILED  %4d s  (status %d, log %s)\n' $((SECONDS - start)) "$rc" "$log"
		tail -n 25 "$log" | sed 's/^/    | /'
	fi
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
		*) die "unknown option $1; see ./keel test --help" ;;
		esac
		shift
	done
	mkdir -p "$OUT"
	rm -f "$OUT/endurance.txt"
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
	e2e_all

	[ ! -s "$OUT/endurance.txt" ] || cat "$OUT/endurance.txt"
	[ ${#REPEATED[@]} -eq 0 ] || printf 'passed or failed only at the second try: %s\n' "${REPEATED[@]}"
	[ "$EMULATOR_FAULTS" -eq 0 ] ||
		printf 'faults of the emulator itself, recognised and repeated: %d\n' "$EMULATOR_FAULTS"
	[ ${#FAILED[@]} -eq 0 ] || printf 'failed: %s\n' "${FAILED[@]}"
	printf '%d passed, %d failed\n' "$PASSED" "${#FAILED[@]}"
	[ ${#FAILED[@]} -eq 0 ]
}

main_test "$@"
