#!/bin/sh
# SPDX-License-Identifier: MIT
#
# /init of the VTL0 test guest: a root shell on the console, and on the second serial port an agent
# that runs scripts:
#	guest:  KEEL-EXEC READY\n
#	host:   RUN <bytes> <token>\n<bytes of shell script>
#	guest:  <what the script prints>\n<token> <status>\n
#
# With root=LABEL=NAME, root=UUID=ID or root=/dev/NAME on the kernel's command line it looks for that
# file system on the disks and, when there is one, hands over to the system on it, where this program
# is the agent only.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-linux}"

# In a script these end it as they end the machine; the applets only send a signal and return, and
# the host would take the script for done and go on with the next thing.
NO_RETURN='reboot() { command reboot "$@" && sleep 60; }; poweroff() { command poweroff "$@" && sleep 60; }'

agent() {
	exec 4<>/dev/ttyS1 || return
	# A port that does not exist has no settings either.
	stty raw -echo 115200 <&4 2>/dev/null || return
	printf 'KEEL-EXEC READY\n' >&4
	while :; do
		if ! IFS=' ' read -r verb bytes token <&4; then
			sleep 1
			continue
		fi
		if [ "$verb" != RUN ] || [ -z "$token" ]; then
			continue
		fi
		case $bytes in
		'' | *[!0-9]* | ????????*) continue ;;
		esac
		printf '%s\n' "$NO_RETURN" >/run/exec.sh
		[ "$bytes" -eq 0 ] ||
			dd bs="$bytes" count=1 iflag=fullblock <&4 2>/dev/null >>/run/exec.sh
		(cd / && exec setsid sh /run/exec.sh </dev/null >&4 2>&1 4<&-)
		printf '\n%s %d\n' "$token" "$?" >&4
	done
}

if [ "${1:-}" = agent ]; then
	agent
	exit
fi

# disks: the names of the disks and partitions there are.
disks() {
	cd /sys/class/block && echo sd* nvme* sr* && cd / || return
}

# find_root SPEC: waits until the file system is there, or until no disk has come for a while.
find_root() {
	before= quiet=0
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		sleep 0.5
		device=$(findfs "$1" 2>/dev/null) && return
		device=$1
		[ ! -b "$device" ] || return 0
		now=$(disks)
		quiet=$((quiet + 1))
		[ "$now" = "$before" ] || quiet=0
		[ "$quiet" -lt 8 ] || [ "$now" = 'sd* nvme* sr*' ] || break
		before=$now
	done
	echo "init: there is no file system $1" >/dev/console
	return 1
}

# start_root SPEC: hands over; returns when it cannot.
start_root() {
	for module in hv_vmbus hv_storvsc pci-hyperv nvme ata_piix ata_generic sd_mod sr_mod ext4; do
		modprobe "$module" 2>/dev/null
	done
	find_root "$1" || return
	mkdir /root.new
	mount -t ext4 "$device" /root.new || return
	umount /tmp
	for dir in dev proc sys run; do
		mount -o move "/$dir" "/root.new/$dir"
	done
	exec switch_root /root.new /sbin/init
}

mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mount -t devtmpfs -o nosuid devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts -o nosuid,noexec devpts /dev/pts
mount -t tmpfs -o nosuid,nodev tmpfs /run
mount -t tmpfs -o nosuid,nodev tmpfs /tmp
hostname vtl0

read -r cmdline </proc/cmdline
for word in $cmdline; do
	case $word in
	root=*) start_root "${word#root=}" ;;
	esac
done

# The shell runs poweroff, reboot and halt as built-in applets that send PID 1 the same signals as
# they would send to busybox's own init.
trap 'busybox halt -f' USR1
trap 'busybox poweroff -f' USR2
trap 'busybox reboot -f' TERM

# What runs for good is not started with "&", which would leave it deaf to interrupts for ever: the
# outer setsid makes a group leader, so that the inner one forks and we go on at once.
setsid setsid /init agent
cd /root || exit
setsid setsid cttyhack sh -c 'while :; do sh -l; sleep 1; done'

# Only "wait" lets a signal through at once; it also reaps orphans.
while :; do
	sleep 86400 &
	wait $!
done
