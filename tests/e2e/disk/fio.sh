# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# fio with verification, DEV and SCALE (percent of the sizes) are set. Every job writes in its way and
# reads all of it back.

run_fio() {
	local what=$1
	shift
	check "fio $what" fio --name=job --filename="$DEV" --thread --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --verify_state_save=0 --randrepeat=0 --group_reporting --output-format=terse \
		--continue_on_error=none --exitall_on_error "$@"
}

mib() { printf '%dk' $(($1 * 1024 * SCALE / 100)); }

run_fio 'sequential, 64 KiB' --rw=write --bs=64k --size="$(mib 32)" --direct=1 --ioengine=libaio --iodepth=8
run_fio 'sequential, 1 MiB' --rw=write --bs=1m --size="$(mib 32)" --direct=1 --ioengine=libaio --iodepth=4
run_fio 'random, 4 KiB, depth 32' --rw=randwrite --bs=4k --size="$(mib 8)" --direct=1 --ioengine=io_uring --iodepth=32
run_fio 'random, 512 bytes to 256 KiB' --rw=randwrite --bsrange=512-256k --blockalign=512 --size="$(mib 16)" \
	--direct=1 --ioengine=libaio --iodepth=16
run_fio 'reads and writes mixed, 4 threads' --rw=randrw --rwmixread=40 --bs=8k --size="$(mib 4)" \
	--numjobs=4 --offset_increment=16m --direct=1 --ioengine=io_uring --iodepth=8
run_fio 'FUA' --rw=randwrite --bs=4k --size="$(mib 1)" --direct=1 --sync=dsync --ioengine=psync
run_fio 'flush after every 8 writes' --rw=randwrite --bs=4k --size="$(mib 2)" --direct=1 --fsync=8 --ioengine=psync
run_fio 'through the page cache' --rw=randwrite --bs=4k --size="$(mib 8)" --direct=0 --end_fsync=1 \
	--invalidate=1 --ioengine=psync
run_fio 'vectors of many pieces' --rw=write --bs=128k --size="$(mib 8)" --direct=1 --ioengine=pvsync2 --iomem_align=512
run_fio 'odd memory addresses' --rw=randwrite --bs=4k --size="$(mib 2)" --direct=1 --ioengine=libaio \
	--iodepth=8 --mem_align=512 --mem=malloc
[ "$(cat "/sys/block/${DEV##*/}/queue/discard_max_bytes")" = 0 ] ||
	run_fio 'discards between writes' --rw=trimwrite --bs=64k --size="$(mib 16)" --direct=1 --ioengine=libaio --iodepth=4
