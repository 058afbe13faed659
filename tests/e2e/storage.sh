# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# End-to-end cases of storage: VTL0 on disks that the paravisor presents. Sourced by cases.sh, whose
# functions these use. The guest's disk is a copy for each case; the data disks are empty files.

E2FS_OFFSET='?offset=1048576' # where the partition of the guest's disk begins
DISK_SET= # more for VTL2's kernel command line
PATH=$PATH:/usr/sbin:/sbin

# The guest's disk, fresh, as DISK.
new_disk() {
	local cached
	cached=$("$TOOLS/diskimage.sh")
	DISK=$CASE_DIR/system.img
	cp --sparse=always --reflink=auto "$cached/disk.img" "$DISK"
}

# disk_hv [options...]: hv with the guest booting from DISK, its first.
disk_hv() {
	hv --timeout 400 --disk "$DISK" --vtl2-cmdline "OPENHCL_CMDLINE_APPEND=root=LABEL=keel-root $DISK_SET" "$@"
}

# What the guest left behind: an unmounted file system without faults.
disk_clean() {
	local state
	state=$(dumpe2fs -h "$DISK$E2FS_OFFSET" 2>/dev/null)
	[[ $state == *"Filesystem state:         clean"* && $state != *needs_recovery* ]] ||
		want "the guest to unmount its disk: $(grep -E 'state|features' <<<"$state")"
	e2fsck -f -n "$DISK$E2FS_OFFSET" || want "no faults in the guest's file system"
}

# guest_script SETTING|FILE...: settings and scripts of tests/e2e/disk, in this order, as one text.
guest_script() {
	local part
	cat "$ROOT/tests/e2e/disk/lib.sh"
	for part in "$@"; do
		[[ $part == *.sh ]] && cat "$ROOT/tests/e2e/disk/$part" || printf '%s\n' "$part"
	done
	printf 'echo all done\nsleep 10\n'
}

# disk_counter NAME: what the counters of that name of all disks come to, in the tree that was saved.
disk_counter() {
	python3 - "$1" "$CASE_DIR/inspect" <<-'PY'
	import json, sys
	def total(node):
	    if not isinstance(node, dict):
	        return 0
	    own = node.get(sys.argv[1], 0)
	    return (own if isinstance(own, int) else 0) + sum(map(total, node.values()))
	with open(sys.argv[2]) as f:
	    print(total(json.load(f)))
	PY
}

# suite_ran OUTPUT: of a guest_script, all of it.
suite_ran() {
	printf '%s\n' "$1"
	[[ $1 == *"all done"* && $1 != *FAILED* ]] || want "every check in the guest to hold"
}

# run_suite OPTIONS...: scripts of tests/e2e/disk, all of whose checks must hold. At the end of them the
# guest waits, and what the paravisor says of its storage is saved.
run_suite() {
	local front sock=$CASE_DIR/vsock
	disk_hv --stream --vtl2-vsock "$sock" "$@" >"$CASE_DIR/out" 2>"$CASE_DIR/stderr" &
	front=$!
	until grep -aqE '^(all done|FAILED)' "$CASE_DIR/out"; do
		kill -0 "$front" 2>/dev/null || break
		sleep 0.5
	done
	"$HOST_DIR/diag/cli/keeldiag" "$sock" inspect -t 20 -j -r vm/storage >"$CASE_DIR/inspect" || true
	wait "$front" || true
	cat "$CASE_DIR/stderr"
	suite_ran "$(cat "$CASE_DIR/out")"
}

# Debian with systemd boots from the translated disk, with the right identity, and ends in order.
case_disk_boot() {
	local out line
	new_disk
	out=$(disk_hv --vps "$1" --exec 'findmnt -no SOURCE /
		lsblk -S -n -o NAME,VENDOR,MODEL,TRAN | tr -s " " | sed "s/ *$//"
		systemctl is-system-running --wait
		nproc
		cat /sys/block/sda/queue/write_cache')
	printf '%s\n' "$out"
	mapfile -t line <<<"$out"
	[ "${line[0]}" = /dev/sda1 ] || want "the root on /dev/sda1"
	[ "${line[1]}" = 'sda Msft Virtual Disk' ] || want "the identity of a Hyper-V disk"
	[ "${line[2]}" = running ] || want "systemd to be content"
	[ "${line[3]}" = "$1" ] || want "$1 processors"
	[ "${line[4]}" = 'write back' ] || want "a write cache that is told of"
	disk_clean
}

# The same by the front door, with its own disk.
case_disk_front_door() {
	local out
	out=$("$ROOT/keel" run --no-build --disk auto --log "$CASE_DIR/run.log" --timeout 300 --exec \
		'findmnt -no SOURCE /; lsblk -S -n -o NAME,VENDOR,MODEL,TRAN; systemctl is-system-running --wait') ||
		{ tail -n 60 "$CASE_DIR/run.log"; want "status 0"; }
	[[ $out =~ ^/dev/sda1$'\n'sda\ +Msft\ +Virtual\ Disk\ *$'\n'running$ ]] || want "a content system, got: $out"
}

# The suites in one boot: a disk for data behind the same path, whose requests are not copied.
case_disk_suite() {
	new_disk
	truncate -s 300M "$CASE_DIR/data.img"
	truncate -s 64M "$CASE_DIR/nvme.img"
	run_suite --timeout 580 --disk "$CASE_DIR/data.img,id=data" ${NVME_TO_VTL0:+--disk "$CASE_DIR/nvme.img,as=nvme"} \
		--exec "$(guest_script 'DEV=$(lun 1)' SCALE="$SCALE" sg3.sh fio.sh filesystems.sh \
			${NVME_TO_VTL0:+CTRL=nvme0 NS=nvme0n1 nvme.sh} kernel_quiet)"
	[ "$(disk_counter zero_copy)" -gt 1000 ] || want "requests without a copy"
	disk_clean
}

# A guest that dies in the middle of its work, by a reset and by a panic: it comes up again on what it
# had flushed, and the last time it ends in order.
case_disk_crash() {
	local out
	new_disk
	disk_hv --exec 'mount -o remount,sync /
		for i in $(seq 50); do echo $i >/root/flushed-$i; done; sync
		cp -r /usr/lib/systemd /root/half & sleep 2
		echo b >/proc/sysrq-trigger; sleep 60' 2>"$CASE_DIR/stderr" || { cat "$CASE_DIR/stderr"; want "status 0"; }
	grep -q 'guest restarts: 1' "$CASE_DIR/stderr" || want "exactly one restart"
	disk_clean
	[ "$(debugfs -R 'ls -p /root' "$DISK$E2FS_OFFSET" 2>/dev/null | grep -c '/flushed-[0-9]*/')" -eq 50 ] ||
		want "all that was flushed before the reset"
	out=$(disk_hv --exec 'ls /root | grep -c flushed; systemctl is-system-running --wait; systemctl reboot 2>/dev/null; sleep 60' \
		2>"$CASE_DIR/stderr") || { cat "$CASE_DIR/stderr"; want "status 0"; }
	grep -q 'guest restarts: 1' "$CASE_DIR/stderr" || want "a reboot by systemd"
	[ "$out" = $'50\nrunning' ] || want "a content system with all files, got: $out"
	disk_clean
}

# Disks come, grow, go, and go without a word, while fio writes to one that stays.
case_disk_hot() {
	new_disk
	truncate -s 320M "$CASE_DIR/data.img"
	truncate -s 48M "$CASE_DIR/extra.img"
	cat >"$CASE_DIR/scenario" <<-'EOT'
	expect host: add
	disk-add extra
	refused disk-add extra
	expect host: resize
	disk-resize extra 48M
	disk-resize data 320M
	expect host: remove
	disk-remove extra
	expect host: add again
	disk-add extra
	expect host: pull
	sleep 1000
	disk-pull extra
	EOT
	run_suite --disk "$CASE_DIR/data.img,id=data,size=256M" \
		--disk "$CASE_DIR/extra.img,id=extra,later,size=32M" \
		--scenario "$CASE_DIR/scenario" --exec "$(guest_script 'DEV=$(lun 1)' hot.sh)"
	disk_clean
}

# What is behind the disk fails: errors of medium and writes, a controller that dies, late answers.
case_disk_faults() {
	local out
	truncate -s 16M "$CASE_DIR/data.img"
	cat >"$CASE_DIR/scenario" <<-'EOT'
	expect host: medium
	disk-fault disk0 op=read status=read-error blocks=800+8
	expect host: whole
	disk-fault disk0 off
	expect host: no write
	disk-fault disk0 op=write status=write-fault
	expect host: writable
	disk-fault disk0 off
	expect host: fatal
	nvme-fault disk0 fatal
	expect host: slow
	disk-fault disk0 op=read delay=2000 count=1
	EOT
	out=$(hv --timeout 400 --disk "$CASE_DIR/data.img" --scenario "$CASE_DIR/scenario" --stream \
		--exec "$(guest_script DEV=/dev/sda faults.sh)") || true
	suite_ran "$out"
}

# A namespace that VTL0 sees as one: the paravisor's own NVMe controller, on a PCI bus over VMBus.
case_disk_nvme() {
	local sum out
	head -c 2M /dev/urandom >"$CASE_DIR/nvme.img"
	sum=$(sha256sum <"$CASE_DIR/nvme.img")
	out=$(hv --disk "$CASE_DIR/nvme.img,as=nvme" --exec 'modprobe pci_hyperv; modprobe nvme
		for i in $(seq 100); do [ -b /dev/nvme0n1 ] && break; sleep 0.2; done
		sha256sum </dev/nvme0n1
		dd if=/dev/zero of=/dev/nvme0n1 bs=64k count=4 seek=4 conv=fsync 2>/dev/null
		dmesg | grep -E "nvme.*(QID|reset|error)" || echo quiet')
	[ "$out" = "$sum"$'\n'quiet ] || want "the namespace's contents and a content driver, got: $out"
	cmp -n 262144 -i 262144:0 "$CASE_DIR/nvme.img" /dev/zero || want "what was written"
}

# The same data path when the kernel cannot pin the guest's memory: everything is copied.
case_disk_bounce() {
	local DISK_SET=mshv_vtl.pin=0
	new_disk
	truncate -s 128M "$CASE_DIR/data.img"
	run_suite --disk "$CASE_DIR/data.img" \
		--exec "$(guest_script 'DEV=$(lun 1)' SCALE="$((SCALE / 2))" fio.sh kernel_quiet)"
	[ "$(disk_counter bounced)" -gt 1000 ] && [ "$(disk_counter zero_copy)" -eq 0 ] || want "copies of all requests"
	disk_clean
}

# Drives on the IDE controller, read whole through it and through the accelerator's channel; then the
# user interrupts the run, and the guest, which hears of it by its shutdown component, ends in order.
case_disk_ide_shutdown() {
	local front pid end=$((SECONDS + 300)) disk_sum cd_sum
	new_disk
	head -c 4M /dev/urandom >"$CASE_DIR/ide.img"
	head -c 2M /dev/urandom >"$CASE_DIR/cd.iso"
	disk_sum=$(sha256sum <"$CASE_DIR/ide.img" | cut -d ' ' -f 1)
	cd_sum=$(sha256sum <"$CASE_DIR/cd.iso" | cut -d ' ' -f 1)
	: >"$CASE_DIR/out"
	disk_hv --timeout 400 --disk "$CASE_DIR/ide.img,as=ide" --disk "$CASE_DIR/cd.iso,as=ide,dvd" \
		--stream --exec 'modprobe ata_piix; modprobe sr_mod; modprobe hv_utils; udevadm settle
			for d in /sys/block/sd* /sys/block/sr0; do
				[ $(cat $d/size) -gt 8192 ] || echo "sum $(sha256sum </dev/${d##*/}) $(readlink -f $d/device)"
			done
			dd if=/dev/zero of=/dev/$(lsblk -dno NAME,TRAN | sed -n "s/^\(sd.\) *ata.*/\1/p") bs=64k count=4 seek=8 conv=fsync
			systemctl is-system-running --wait; echo ready; sleep 1000' \
		>"$CASE_DIR/out" 2>"$CASE_DIR/stderr" &
	front=$!
	until grep -aq '^ready' "$CASE_DIR/out"; do
		kill -0 "$front" 2>/dev/null && [ "$SECONDS" -lt "$end" ] || { cat "$CASE_DIR/out" "$CASE_DIR/stderr"; want "the guest to be ready"; }
		sleep 0.5
	done
	cat "$CASE_DIR/out"
	[ "$(grep -c "^sum $cd_sum .*/ata" "$CASE_DIR/out")" -eq 1 ] || want "the DVD's contents by ATAPI"
	[ "$(grep -c "^sum $disk_sum .*/ata" "$CASE_DIR/out")" -eq 1 ] || want "the disk's contents by ATA"
	[ "$(grep -ci "^sum $disk_sum .*vmbus" "$CASE_DIR/out")" -eq 1 ] || want "the disk's contents by its accelerator"
	for pid in $(below "$front"); do
		[ "$(cat "/proc/$pid/comm")" != hvhost ] || { kill -INT "$pid"; break; }
	done
	wait "$front" || true
	grep -q 'VTL0 shuts itself down' "$CASE_DIR/run.log" || want "the guest to agree to its shutdown"
	grep -q 'VTL0 powered off' "$CASE_DIR/stderr" || { cat "$CASE_DIR/stderr"; want "the guest to power off"; }
	cmp -n 262144 -i 524288:0 "$CASE_DIR/ide.img" /dev/zero || want "what was written by ATA"
	disk_clean
}

# ---- power cuts --------------------------------------------------------------------------------

# below PID: the process and everything it started.
below() {
	local child
	printf '%s\n' "$1"
	for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
		below "$child"
	done
}

# The guest's programs write; the first lines of all three have come.
powercut_wait() {
	local end=$((SECONDS + 240)) what
	for what in raw file names; do
		until grep -aq "^$what [0-9]" "$1"; do
			kill -0 "$2" 2>/dev/null || return 1
			[ "$SECONDS" -lt "$end" ] || want "the guest to write ($what)"
			sleep 0.2
		done
	done
}

powercut_guest() {
	cat <<-EOT
	for m in hv_storvsc sd_mod ext4; do modprobe \$m; done
	lun() { for d in /sys/block/sd*; do case \$(readlink -f \$d/device) in *:0:0:\$1) echo /dev/\${d##*/} ;; esac; done; }
	until [ -b "\$(lun 0)" ] && [ -b "\$(lun 1)" ]; do sleep 0.2; done
	mkdir /mnt; mount -t ext4 \$(lun 1) /mnt && rm -rf /mnt/names-* || exit 1
	for w in "raw \$(lun 0)" "file /mnt/log" "names /mnt/names-$1"; do /mnt/powercut \$w $1 & done
	wait
	EOT
}

# powercut_round SEED: a run that everything is killed in, then what is on the disks. Counts in CUTS.
powercut_round() {
	local seed=$1 front pids dir=$CASE_DIR
	"$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$dir/run.log" --no-reboot --stream \
		--timeout 280 --disk "$dir/raw.img" --disk "$dir/fs.img" ${DISK_SET:+--vtl2-cmdline "$DISK_SET"} \
		--exec "$(powercut_guest "$seed")" >"$dir/acks" 2>"$dir/stderr" &
	front=$!
	if powercut_wait "$dir/acks" "$front"; then
		sleep "$((RANDOM % 5)).$((RANDOM % 10))"
	else
		grep -q 'the emulator failed' "$dir/stderr" || { cat "$dir/stderr"; tail -n 40 "$dir/run.log"; want "the guest to run"; }
		wait "$front" || true
		FAULTS=$((FAULTS + 1))
		[ "$FAULTS" -lt 20 ] || want "an emulator that runs"
		return 0
	fi
	pids=$(below "$front")
	# shellcheck disable=SC2086 # one word each
	kill -KILL $pids 2>/dev/null || true
	wait "$front" 2>/dev/null || true
	powercut_check "$seed"
	CUTS=$((CUTS + 1))
}

# The guest itself recovers fs.img in the next round; what it will find is looked at in a copy.
powercut_check() {
	local seed=$1 dir=$CASE_DIR rc=0
	cp --sparse=always "$dir/fs.img" "$dir/copy.img"
	e2fsck -f -p "$dir/copy.img" || rc=$?
	[ "$rc" -le 1 ] || want "a file system that its journal puts right (e2fsck: $rc)"
	e2fsck -f -n "$dir/copy.img" >/dev/null || want "no faults after that"
	rm -rf "$dir/out"
	mkdir "$dir/out"
	debugfs -R "dump /log $dir/out/log" "$dir/copy.img" 2>/dev/null
	debugfs -R "rdump /names-$seed $dir/out" "$dir/copy.img" 2>/dev/null
	python3 "$ROOT/tests/e2e/powercut_check.py" "$dir/state" "$seed" "$dir/acks" \
		raw="$dir/raw.img" file="$dir/out/log" names="$dir/out/names-$seed" || want "nothing to be lost"
}

# case_powercut ROUNDS: everything is killed at random moments, over and over, on the same disks.
case_powercut() {
	local dir=$CASE_DIR CUTS=0 FAULTS=0
	mkdir "$dir/root"
	cp "$VTL2_DIR/tests/guest/vtl0/powercut" "$dir/root/"
	truncate -s 16M "$dir/raw.img"
	truncate -s 128M "$dir/fs.img"
	mke2fs -q -t ext4 -d "$dir/root" "$dir/fs.img"
	while [ "$CUTS" -lt "$1" ]; do
		powercut_round "$((RANDOM * 32768 + RANDOM + 1))"
		printf 'power cut %d of %d\n' "$CUTS" "$1"
	done
	printf '%d power cuts, nothing acknowledged was lost\n' "$1" | tee -a "$OUT/figures.txt"
}

# Thousands of processes that are killed while they write, each with one of two disks.
case_powercut_process() {
	KEEL_POWER_CUTS=3000 "$TEST_DIR/tests/unit/test_storage_powercut_$1" | tee "$CASE_DIR/out" | tail -n 5
	grep -h 'none lost' "$CASE_DIR/out" | tee -a "$OUT/figures.txt"
}

e2e_storage() {
	run_case e2e/disk_boot_1 case_disk_boot 1
	run_case e2e/disk_front_door case_disk_front_door
	run_case e2e/disk_boot_4 case_disk_boot 4
	run_case e2e/disk_suite case_disk_suite
	run_case e2e/disk_nvme case_disk_nvme
	run_case e2e/disk_bounce case_disk_bounce
	run_case e2e/disk_hot case_disk_hot
	run_case e2e/disk_faults case_disk_faults
	run_case e2e/disk_crash case_disk_crash
	run_case e2e/disk_ide_shutdown case_disk_ide_shutdown
	run_case e2e/powercut case_powercut "$POWERCUTS"
	[ -n "$LONG" ] || return 0
	run_case long/powercut_cache case_powercut_process cache
	run_case long/powercut_file case_powercut_process file
}
