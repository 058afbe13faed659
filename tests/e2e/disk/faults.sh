# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# A disk that fails, in the small guest: DEV is used past its caches while the host's side breaks what
# is behind it (the scenario of case_disk_faults). After each "host:" what that changes is waited for.

for m in hv_storvsc sd_mod; do modprobe $m; done
until [ -b "$DEV" ]; do sleep 0.2; done

# once read|write N: 4 KiB at block N; good or bad as IS, and that within a SCSI command's time.
once() {
	begin=$(cut -d. -f1 /proc/uptime)
	IS=good
	if [ "$1" = read ]; then
		dd if="$DEV" of=/dev/null bs=4k count=1 skip="$2" iflag=direct 2>/dev/null || IS=bad
	else
		dd if=/dev/zero of="$DEV" bs=4k count=1 seek="$2" oflag=direct 2>/dev/null || IS=bad
	fi
	end=$(cut -d. -f1 /proc/uptime)
	[ $((end - begin)) -lt 60 ] || echo "FAILED: $1 of block $2 took $((end - begin)) s"
}

# becomes WHAT read|write N good|bad: tell the host, then look until it is so.
becomes() {
	echo "host: $1"
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		once "$2" "$3"
		[ $IS != "$4" ] || break
		sleep 0.5
	done
	[ $IS = "$4" ] || echo "FAILED: $1: $2 of block $3 stays $IS"
	echo "$1: $2 of block $3 is $IS"
}

once read 100
[ $IS = good ] || echo "FAILED: the disk cannot be read to begin with"
becomes medium read 100 bad
once read 101
[ $IS = good ] || echo "FAILED: other blocks are bad, too"
dmesg | grep -i 'medium error' >/dev/null || echo "FAILED: the guest was not told of a medium error"
becomes whole read 100 good
becomes 'no write' write 200 bad
once read 200
[ $IS = good ] || echo "FAILED: reads fail with writes"
becomes writable write 200 good
# A controller that fails is reset by VTL2; one that is late is waited for.
echo 'host: fatal'
sleep 2
becomes recovered read 300 good
echo 'host: slow'
sleep 1
becomes late read 400 good
