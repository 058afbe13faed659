#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a libFuzzer target so that what it finds goes to a folder of the build and never into the
# corpus of the source tree. Usage: libfuzzer.sh PROGRAM SCRATCH CORPUS [OPTION]...
set -eu
program=$1 scratch=$2 corpus=$3
shift 3
mkdir -p "$scratch"
[ ! -d "$corpus" ] || set -- "$@" "$scratch" "$corpus"
[ -d "$corpus" ] || set -- "$@" "$scratch"
# Its own status for a finding, 77, means "skipped" to meson.
exec "$program" -error_exitcode=1 -timeout_exitcode=1 -artifact_prefix="$scratch-" "$@"
