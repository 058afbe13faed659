#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `./keel bench`: prints the figures and writes them to build/bench.json. Nothing here passes or
# fails; every end-to-end figure says where it was measured.

# shellcheck source=keel
. "$(dirname -- "${BASH_SOURCE[0]}")/../../keel"
# shellcheck source=tests/bench/storage.sh
. "$ROOT/tests/bench/storage.sh"

# What OpenHCL's release image for x64 uses with 2 VPs, as published with its memory tests.
ANCHOR_USED_KIB=39482
ANCHOR_PSS_KIB=21288
PORTS=61440

usage_bench() {
	cat <<-'EOT'
	usage: ./keel bench [--output FILE]
	       ./keel bench storage [options]     disk requests; see ./keel bench storage --help

	Measure and print: user-mode instructions and nanoseconds per exit inside the daemon (scripted VP,
	native), the cost of log statements and of a full inspect with 4 VPs, exits per second end to end,
	VTL2's boot phases, VTL2 memory in use and PSS per process 10 s after VTL0's start with 2 VPs,
	image and daemon size.
	JSON goes to build/bench.json.
	EOT
}

# A number of a "stats {...}" line in the log.
stat_of() { sed -n "s/.*stats {.*\"$1\":\([0-9]*\).*/\1/p" "$2" | tail -n 1; }

guest_script() {
	cat <<-EOT
	sleep 14
	a=\$(cut -d' ' -f1 /proc/uptime)
	dd if=/dev/port of=/dev/null bs=4096 skip=1 count=$((PORTS / 4096)) 2>/dev/null
	b=\$(cut -d' ' -f1 /proc/uptime)
	echo "port \$a \$b"
	EOT
}

load_script() {
	cat <<-'EOT'
	load() { while :; do dd if=/dev/port of=/dev/null bs=4096 skip=1 count=15 2>/dev/null; done; }
	for i in 1 2 4 8; do load & taskset -p $i $!; done
	sleep 1000
	EOT
}

# What a full inspect once a second costs a guest whose 4 VPs do nothing but exit.
inspect_load() {
	local sock=$BUILD/bench.vsock vm rc=0
	"$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$BUILD/bench-load.log" --vps 4 \
		--vtl2-vsock "$sock" --timeout 400 --exec "$(load_script)" >"$BUILD/bench-load.err" 2>&1 &
	vm=$!
	python3 "$ROOT/tests/e2e/diag_replay.py" ready "$sock" 200 >&2 && sleep 30 &&
		python3 "$ROOT/tests/bench/inspect_load.py" "$sock" || rc=$?
	kill "$vm" 2>/dev/null || true
	wait "$vm" || true
	return "$rc"
}

main_bench() {
	local out=$BUILD/bench.json log=$BUILD/bench.log guest host
	while [ $# -gt 0 ]; do
		case $1 in
		--help) usage_bench; return ;;
		--output) out=${2:?}; shift ;;
		*) die "unknown option $1; see ./keel bench --help" ;;
		esac
		shift
	done
	build_all auto
	host=$("$HVHOST" probe)
	host=${host%% *}

	say "exits inside the daemon, scripted"
	"$HOST_DIR/tests/bench/bench_exit" | tee "$BUILD/bench-exit.json"
	say "log statements"
	"$HOST_DIR/tests/bench/bench_log" | tee "$BUILD/bench-log.json"
	say "inspect of a whole VM, native"
	"$HOST_DIR/tests/bench/bench_inspect" | tee "$BUILD/bench-inspect.json"

	say "end to end, 2 VPs, on $host (this takes about half a minute)"
	guest=$("$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$log" --summary --timeout 200 \
		--exec "$(guest_script)" 2>"$BUILD/bench.err") || { cat "$BUILD/bench.err" >&2; die "the run failed; see $log"; }
	sed 's/^/  /' "$BUILD/bench.err"

	say "a full inspect once a second, 4 busy VPs, on $host (this takes about two minutes)"
	inspect_load >"$BUILD/bench-load.json" || die "the run failed; see $BUILD/bench-load.log"
	cat "$BUILD/bench-load.json"

	{
		printf '{\n"host":"%s",\n' "$host"
		printf '"exit":[%s],\n' "$(paste -sd, "$BUILD/bench-exit.json")"
		printf '"log":[%s],\n' "$(paste -sd, "$BUILD/bench-log.json")"
		printf '"inspect":%s,\n' "$(cat "$BUILD/bench-inspect.json")"
		printf '"inspect_load":%s,\n' "$(cat "$BUILD/bench-load.json")"
		printf '"port_exits_per_s":%s,\n' "$(awk -v n=$PORTS '$1 == "port" { printf "%.0f", n / ($3 - $2) }' <<<"$guest")"
		printf '"paravisor":[%s],\n' "$(sed -n 's/.*stats \({.*}\).*/\1/p' "$log" | paste -sd,)"
		printf '"anchor":{"openhcl_used_kib":%d,"openhcl_pss_kib":%d},\n' $ANCHOR_USED_KIB $ANCHOR_PSS_KIB
		printf '"image_bytes":%d,\n"daemon_bytes":%d,\n"initrd_bytes":%d,\n"kernel_bytes":%d\n}\n' \
			"$(stat -c %s "$IMAGE")" "$(stat -c %s "$VTL2_DIR/keel.stripped")" \
			"$(stat -c %s "$BUILD/initrd-$FLAVOUR.gz")" "$(stat -c %s "$("$TOOLS/kernel.sh" x64)/vmlinux")"
	} >"$out"
	cat "$out"
	printf 'VTL2 memory in use: %d KiB (OpenHCL: %d KiB); PSS, vm role, control role and init: %d + %d + %d KiB (OpenHCL: %d KiB)\n' \
		$(($(stat_of mem_total_kib "$log") - $(stat_of mem_free_kib "$log"))) $ANCHOR_USED_KIB \
		"$(stat_of pss_self_kib "$log")" "$(stat_of pss_control_kib "$log")" \
		"$(stat_of pss_init_kib "$log")" $ANCHOR_PSS_KIB
	say "written to $out"
}

if [ "${1:-}" = storage ]; then
	shift
	main_storage "$@"
else
	main_bench "$@"
fi
