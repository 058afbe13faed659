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
UNSTABLE=()
OBSERVED=
EMULATOR_FAULTS=0
OUT=$BUILD/test-results

usage_test() {
	cat <<-'EOT'
	usage: ./keel test [--only PATTERN] [--boots N]

	Build and run the style checks, the unit tests and bounded fuzz runs (AddressSanitizer and
	UndefinedBehaviorSanitizer), a second compiler, and the end-to-end tests that boot real guests.

	  --only PATTERN  only the cases whose name contains PATTERN (names are printed as they run)
	  --boots N       how many boots in a row the endurance case makes (default 50)

	Logs of every case: build/test-results. The exit status is 0 when everything that decides passed.
	Where the outer VM is emulated, an end-to-end case may be tried three times, and the hostile and
	endurance cases are run once and only reported; the summary lists both.
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

# Under emulation an end-to-end case gets up to three tries: what runs there suffers from the
# emulator in more ways than the ones that can be told for certain. Repeats are listed in the
# summary, never hidden. Cases run by observe_case (storms, endurance) are tried once; where the
# outer VM is emulated their result is listed but does not decide.
#
# run_case NAME COMMAND...: one line of progress, one log, one verdict.
run_case() {
	local name=$1 log start=$SECONDS rc=0 try
	shift
	[[ $name == *"$ONLY"* ]] || return 0
	log=$OUT/${name//\//-}.log
	printf '%-44s ' "$name"
	CASE_DIR=$OUT/${name//\//-}.d
	for try in 1 2 3; do
		attempt "$log" "$@"
		rc=$?
		if [ "$rc" -eq 0 ] || [ -z "${OUTER:-}" ] || [[ $name != e2e/* ]] || [ -n "$OBSERVED" ]; then
			break
		fi
		REPEATED+=("$name, try $try: $(grep -hm 1 -E 'hvhost: |expected:' "$log")")
		cp -f "$log" "${log%.log}.try$try.log"
	done
	set -e
	if [ "$rc" -eq 0 ]; then
		PASSED=$((PASSED + 1))
		printf 'ok      %4d s\n' $((SECONDS - start))
	elif [ -n "$OBSERVED" ]; then
		UNSTABLE+=("$name: $(grep -hm 1 -E 'hvhost: |expected:' "$log" || true)")
		printf 'NOT OK  %4d s  (does not decide under emulation, log %s)\n' $((SECONDS - start)) "$log"
	else
		FAILED+=("$name")
		printf 'FAILED  %4d s  (status %d, log %s)\n' $((SECONDS - start)) "$rc" "$log"
		tail -n 25 "$log" | sed 's/^/    | /'
	fi
}

observe_case() {
	OBSERVED=${OUTER:-}
	run_case "$@"
	OBSERVED=
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
	[ ${#REPEATED[@]} -eq 0 ] || printf 'repeated: %s\n' "${REPEATED[@]}"
	[ ${#UNSTABLE[@]} -eq 0 ] || printf 'not ok under emulation: %s\n' "${UNSTABLE[@]}"
	[ "$EMULATOR_FAULTS" -eq 0 ] ||
		printf 'faults of the emulator itself, recognised and repeated: %d\n' "$EMULATOR_FAULTS"
	[ ${#FAILED[@]} -eq 0 ] || printf 'failed: %s\n' "${FAILED[@]}"
	printf '%d passed, %d failed\n' "$PASSED" "${#FAILED[@]}"
	[ ${#FAILED[@]} -eq 0 ]
}

main_test "$@"
