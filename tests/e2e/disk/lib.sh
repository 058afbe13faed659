# SPDX-License-Identifier: MIT
# shellcheck shell=dash
#
# Put before every script of this folder. They run in VTL0, from its disk, on disks whose contents
# do not matter, and say "ok WHAT" for all that held. The first thing that does not ends them.

export LC_ALL=C
LOG=/run/disk-test.log

# A disk that is gone must not hold us; functions of the shell cannot be timed.
limited() {
	case $(command -v "$1") in
	*/*) timeout 200 "$@" ;;
	*) "$@" ;;
	esac
}

# lun N: the node of the disk that is LUN N of the SCSI controller. Disks are probed side by side, so
# which of them is sda differs from boot to boot.
lun() {
	local disk
	for disk in /sys/block/sd*; do
		case $(readlink -f "$disk/device") in
		*VMBUS*:0:0:"$1") echo "/dev/${disk##*/}" ;;
		esac
	done
}

# check WHAT COMMAND...: it must work.
check() {
	local what=$1
	shift
	if ! limited "$@" >"$LOG" 2>&1; then
		printf 'FAILED %s: %s\n' "$what" "$*"
		tail -n 30 "$LOG"
		dmesg | tail -n 30
		exit 1
	fi
	printf 'ok %s\n' "$what"
}

# says PATTERN: what the last check printed.
says() {
	if ! grep -qE -- "$1" "$LOG"; then
		printf 'FAILED: expected /%s/ in:\n' "$1"
		cat "$LOG"
		exit 1
	fi
}

# refused WHAT COMMAND...: it must not work.
refused() {
	local what=$1
	shift
	if limited "$@" >"$LOG" 2>&1; then
		printf 'FAILED %s: %s was not refused\n' "$what" "$*"
		exit 1
	fi
	printf 'ok %s\n' "$what"
}

# The kernel itself must have seen no trouble.
kernel_quiet() {
	if dmesg | grep -E 'I/O error|Buffer I/O|hung_task|blocked for more|Call Trace|EXT4-fs error|BTRFS (error|critical)|timing out command|nvme.*(timeout|reset)'; then
		printf 'FAILED: the kernel complained\n'
		exit 1
	fi
	printf 'ok kernel\n'
}
