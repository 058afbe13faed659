# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# `./keel bench storage`, sourced by run.sh: what a disk request of VTL0 costs. Natively first, the
# real storvsp and disk layers with a guest in the same process, beside fio on the same file; then
# end to end, one VM, the same program on the translated disk in VTL0 and on the disk itself in VTL2.

LOAD_MIB=256
LOAD_S=3
DISK_S=5

usage_storage() {
	cat <<-'EOT'
	usage: ./keel bench storage [--output FILE] [--native] [--dir DIR]

	Measure and print, for disk requests of VTL0: user-mode instructions from the ring to the disk and
	back, requests per second and per second of processor time beside fio's io_uring engine on the
	same file, sequential throughput, latency, requests per signal and per interrupt, memory per queue;
	and end to end the ratio to the same disk used in VTL2. JSON goes to build/bench-storage.json.

	  --native    leave out the VM
	  --dir DIR   where the files of the native part lie (default: build, and /dev/shm)
	EOT
}

# fio_case FILE DIRECT DEPTH BYTES RW [options...]: one JSON object with the same names as bench_storage.
fio_case() {
	local file=$1 direct=$2 depth=$3 bytes=$4 rw=$5
	shift 5
	fio --name=x --filename="$file" --size="${LOAD_MIB}M" --ioengine=io_uring --direct="$direct" --bs="$bytes" \
		--iodepth="$depth" --rw="$rw" --runtime="$LOAD_S" --time_based --output-format=json \
		--randrepeat=1 --norandommap --invalidate=0 --percentile_list=50:99:99.9 "$@" |
		python3 -c '
import json, sys
j = json.load(sys.stdin)["jobs"][0]
kind = "write" if "write" in sys.argv[1] else "read"
r = j[kind]
cpu = (j["usr_cpu"] + j["sys_cpu"]) / 100 * r["runtime"] / 1000
lat = r["clat_ns"].get("percentile", {})
print(json.dumps({"case": "fio_" + sys.argv[1], "depth": int(sys.argv[2]), "bytes": int(sys.argv[3]),
	"iops": round(r["iops"]), "mib_s": round(r["bw_bytes"] / 1048576, 1),
	"iops_per_core": round(r["total_ios"] / cpu) if cpu else 0,
	"us_p50": lat.get("50.000000", 0) / 1000, "us_p99": lat.get("99.000000", 0) / 1000,
	"us_p999": lat.get("99.900000", 0) / 1000, "options": sys.argv[4:]}))' \
			"$rw" "$depth" "$bytes" "$@"
}

# native_case direct|cached FILE: our path and fio in turn.
native_case() {
	local out=$BUILD/bench-storage-$1.json direct=0 batch=(--iodepth_batch_submit=32 --iodepth_batch_complete_max=32)
	[ "$1" = cached ] || direct=1
	say "storage, $1 ($2)"
	"$HOST_DIR/tests/bench/bench_storage" load "$2" "$1" "$LOAD_S" | tee "$out"
	if command -v fio >/dev/null; then
		{
			fio_case "$2" $direct 1 4096 randread
			fio_case "$2" $direct 32 4096 randread
			fio_case "$2" $direct 32 4096 randread "${batch[@]}"
			fio_case "$2" $direct 128 4096 randread
			fio_case "$2" $direct 32 4096 randwrite
			fio_case "$2" $direct 8 262144 read
			fio_case "$2" $direct 8 262144 write
		} | tee -a "$out"
	else
		say "fio is not installed: no comparison (apt-get install fio)"
	fi
}

# Our requests per second of processor time in percent of fio's, depth 32, 4 KiB.
native_ratio() {
	python3 - "$1" <<-'PY'
	import json, sys
	rows = [json.loads(line) for line in open(sys.argv[1])]
	def pick(case, batch):
	    return [r["iops_per_core"] for r in rows if r["case"] == case and r.get("depth") == 32 and bool(r.get("options")) == batch]
	ours = pick("solo_randread_4k", False)
	for name, batch in (("fio", False), ("fio in batches", True)):
	    theirs = pick("fio_randread", batch)
	    if ours and theirs and theirs[0]:
	        print("requests per second of processor time at depth 32, 4 KiB: %d, %s %d: %.0f %%"
	              % (ours[0], name, theirs[0], 100 * ours[0] / theirs[0]))
	PY
}

# The program lies at the beginning of the disk: the guest's serial port is slow. What is printed is
# seen at the end; that the loads are over is said by the first write to the disk.
vtl0_script() {
	cat <<-EOT
	modprobe hv_storvsc
	modprobe sd_mod
	for i in \$(seq 60); do [ -b /dev/sda ] && break; sleep 1; done
	dd if=/dev/sda of=/tmp/disk_load bs=4096 count=$(($(stat -c %s "$1") / 4096 + 1)) 2>/dev/null
	chmod 755 /tmp/disk_load
	/tmp/disk_load /dev/sda 1 4096 $DISK_S
	/tmp/disk_load /dev/sda 32 4096 $DISK_S
	/tmp/disk_load /dev/sda 8 262144 $DISK_S
	dd if=/dev/zero of=/dev/sda bs=4096 count=1 seek=100000 conv=fsync 2>/dev/null
	sleep $((8 * DISK_S + 20))
	EOT
}

# The translated disk in VTL0, then, while that is idle, the disk itself in VTL2.
end_to_end() {
	local IMAGE=$BUILD/bench-storage.igvm VTL2_SHELL=$VTL2_DIR/tests/guest/vtl2/disk_load dev
	local disk=$BUILD/bench-storage.disk sock=$BUILD/bench-storage.vsock out=$BUILD/bench-storage.out vm rc=0
	local tree=$BUILD/bench-storage.inspect direct=$BUILD/bench-storage.direct
	build_image "$IMAGE"
	rm -f -- "$disk"
	cp -- "$VTL2_SHELL" "$disk"
	truncate -s 1G "$disk"
	"$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$BUILD/bench-storage.log" --disk "$disk" \
		--vtl2-vsock "$sock" --timeout 600 --exec "$(vtl0_script "$VTL2_SHELL")" >"$out" 2>&1 &
	vm=$!
	rm -f -- "$tree" "$direct"
	while kill -0 "$vm" 2>/dev/null && ! grep -q ' writes: [1-9]' "$tree" 2>/dev/null; do
		sleep 2
		"$HOST_DIR/diag/cli/keeldiag" "$sock" inspect -r vm/storage >"$tree" 2>/dev/null || true
	done
	for dev in "1 4096" "32 4096" "8 262144"; do
		# shellcheck disable=SC2086
		"$HOST_DIR/diag/cli/keeldiag" "$sock" run /bin/busybox /dev/nvme0n1 $dev "$DISK_S" >>"$direct" || rc=$?
	done
	wait "$vm" || rc=$?
	cat "$direct" >>"$out"
	rm -f -- "$disk" "$direct"
	[ "$rc" -eq 0 ] || { tail -n 20 "$out" >&2; return "$rc"; }
	grep '^disk_load ' "$out"
}

# Lines of disk_load as JSON, and the ratios.
end_to_end_json() {
	awk '$1 == "disk_load" { printf "%s{\"where\":\"%s\",\"depth\":%d,\"bytes\":%d,\"iops\":%.0f}",
		n++ ? "," : "", $2 ~ /nvme/ ? "vtl2" : "vtl0", $3, $4, $6 * 1000 / $8 }' "$1"
}

end_to_end_ratio() {
	awk '$1 == "disk_load" { key = $3 " " $4; v = $6 * 1000 / $8
			if ($2 ~ /nvme/) direct[key] = v; else { vtl0[key] = v; order[++n] = key } }
		END { for (i = 1; i <= n; i++) { split(order[i], w, " ")
			if (direct[order[i]]) printf "depth %d, %d bytes: VTL0 %.0f/s, the disk itself in VTL2 %.0f/s: %.0f %%\n",
				w[1], w[2], vtl0[order[i]], direct[order[i]], 100 * vtl0[order[i]] / direct[order[i]] } }' "$1"
}

main_storage() {
	local out=$BUILD/bench-storage.json vm=1 dir=$BUILD name file
	while [ $# -gt 0 ]; do
		case $1 in
		--help) usage_storage; return ;;
		--output) out=${2:?}; shift ;;
		--dir) dir=${2:?}; shift ;;
		--native) vm=0 ;;
		*) die "unknown option $1; see ./keel bench storage --help" ;;
		esac
		shift
	done
	file=$dir/bench-storage.file
	if [ "$vm" = 1 ]; then
		build_all auto
	else
		lock_build
		build_host
		unlock_build
	fi

	say "instructions per request, native"
	dd if=/dev/urandom of="$file" bs=1M count="$LOAD_MIB" conv=fsync status=none
	"$HOST_DIR/tests/bench/bench_storage" count "$file" | tee "$BUILD/bench-storage-count.json"
	native_case cached "$file"
	native_case direct "$file"
	rm -f -- "$file"
	: >"$BUILD/bench-storage.out"
	if [ "$vm" = 1 ]; then
		say "end to end, on $("$HVHOST" probe | cut -d' ' -f1) (this takes about two minutes)"
		end_to_end || die "the run failed; see $BUILD/bench-storage.log"
	fi
	{
		printf '{\n"count":[%s],\n' "$(paste -sd, "$BUILD/bench-storage-count.json")"
		printf '"cached":[%s],\n' "$(paste -sd, "$BUILD/bench-storage-cached.json")"
		printf '"direct":[%s],\n' "$(paste -sd, "$BUILD/bench-storage-direct.json")"
		printf '"end_to_end":[%s]\n}\n' "$(end_to_end_json "$BUILD/bench-storage.out")"
	} >"$out"
	for name in cached direct; do
		printf '%s: ' "$name"
		native_ratio "$BUILD/bench-storage-$name.json"
	done
	end_to_end_ratio "$BUILD/bench-storage.out"
	say "written to $out"
}
