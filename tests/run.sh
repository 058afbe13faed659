#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Every test of the project, in the order in which failures are cheapest to understand. Called by
# `./keel test`; the last line is "N passed, N failed".

# shellcheck source=keel
. "$(dirname -- "${BASH_SOURCE[0]}")/../keel"

BOOTS=25
POWERCUTS=2
SCALE=20 # percent of the sizes of fio's jobs
LONG=
ONLY=
LANES=()
OUT=$BUILD/test-results

usage_test() {
	cat <<-'EOT'
	usage: ./keel test [--only PATTERN] [--boots N] [--power-cuts N] [--long]

	Build and run the style checks, the unit tests and bounded fuzz runs (AddressSanitizer and
	UndefinedBehaviorSanitizer), a second compiler, and the end-to-end tests that boot real guests.

	  --only PATTERN  only the cases whose name contains PATTERN (names are printed as they run)
	  --boots N       how many boots in a row the endurance case makes (default 25)
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

# verdict NAME STATUS SECONDS: one line on the screen, in one piece, and one in the file of verdicts.
verdict() {
	local log text=ok
	log=$(log_of "$1")
	[ "$2" -eq 0 ] || text=FAILED
	printf '%s %s %d\n' "$text" "$1" "$(grep -c 'the emulator failed' "$log" || true)" >>"$OUT/verdicts"
	if [ "$2" -eq 0 ]; then
		printf '%-44s ok      %4d s\n' "$1" "$3"
	else
		printf '%-44s FAILED  %4d s  (status %d, log %s)\n%s\n' "$1" "$3" "$2" "$log" \
			"$(tail -n 25 "$log" | sed 's/^/    | /')"
	fi
}

# run_case NAME COMMAND...: one line of progress, one log, one verdict.
run_case() {
	local start=$SECONDS rc=0
	wanted "$1" || return 0
	attempt "$@"
	rc=$?
	set -e
	verdict "$1" "$rc" $((SECONDS - start))
}

# start_lane FUNCTION: its cases run one after the other, beside those of the other lanes and of the
# caller. What two lanes use at once must bear it: no case of one may build what the other runs.
start_lane() {
	("$@") &
	LANES+=($!)
}

# A lane that ends otherwise than by its last case is a failure, too.
finish_lanes() {
	local pid
	for pid in "${LANES[@]}"; do
		wait "$pid" || printf 'FAILED lane %d 0\n' "$pid" >>"$OUT/verdicts"
	done
	LANES=()
}

# count WORD: how many cases had this verdict.
count() { awk -v word="$1" '$1 == word { n++ } END { print n + 0 }' "$OUT/verdicts"; }

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
		--long) LONG=1 BOOTS=300 POWERCUTS=300 SCALE=200 ;;
		*) die "unknown option $1; see ./keel test --help" ;;
		esac
		shift
	done
	mkdir -p "$OUT"
	rm -f "$OUT/figures.txt"
	: >"$OUT/verdicts"
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
	awk '{ n += $NF } END { if (n) printf "faults of the emulator itself, recognised and repeated: %d\n", n }' \
		"$OUT/verdicts"
	awk '$1 == "FAILED" { print "failed: " $2 }' "$OUT/verdicts"
	printf '%d passed, %d failed\n' "$(count ok)" "$(count FAILED)"
	[ "$(count FAILED)" -eq 0 ]
}

main_test "$@"
