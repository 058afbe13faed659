# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# Disks that come, grow and go while fio writes to another one, DEV. The scenario on the host's side
# (storage.sh) waits for the lines that begin with "host:".

# until_true SECONDS COMMAND...
until_true() {
	local left=$(($1 * 5))
	shift
	until "$@"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || return 1
		sleep 0.2
	done
}

# A disk that changed says so when it is asked for anything.
bigger() {
	sg_turs "$1" >/dev/null 2>&1
	[ "$(blockdev --getsize64 "$1")" -eq "$2" ]
}

is_disk() { [ -b "$1" ] && [ "$(blockdev --getsize64 "$1" 2>/dev/null)" -gt 0 ]; }
is_gone() { [ ! -e "$1" ]; }

modprobe sg
check 'the disk of fio' is_disk "$DEV"
(
	while [ ! -e /run/stop ]; do
		fio --name=job --filename="$DEV" --rw=randwrite --bs=4k --size=4m --direct=1 --ioengine=libaio \
			--iodepth=8 --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 \
			--randrepeat=0 --output-format=terse >/run/fio.log 2>&1 || { cp /run/fio.log /run/fio.failed; break; }
		echo round >>/run/fio.rounds
	done
	touch /run/fio.ended
) &

echo 'host: add'
check 'a disk came' until_true 60 is_disk /dev/sdc
check 'written to' dd if=/dev/urandom of=/run/pattern bs=64k count=16 status=none
check 'it holds data' dd if=/run/pattern of=/dev/sdc bs=64k oflag=direct status=none
echo 'host: resize'
check 'it grew' until_true 60 bigger /dev/sdc $((48 << 20))
check 'the disk of fio grew' until_true 60 bigger "$DEV" $((320 << 20))
echo 'host: remove'
check 'it went' until_true 60 is_gone /dev/sdc
echo 'host: add again'
check 'it came again' until_true 60 is_disk /dev/sdc
check 'its data' dd if=/dev/sdc of=/run/back bs=64k count=16 iflag=direct status=none
check 'the same data' cmp /run/pattern /run/back
echo 'host: pull'
(while dd if=/run/pattern of=/dev/sdc bs=4k oflag=direct status=none 2>/dev/null; do :; done; touch /run/dd.ended) &
check 'pulled: whoever wrote to it got an error' until_true 90 test -e /run/dd.ended
touch /run/stop
check 'fio ended' until_true 120 test -e /run/fio.ended
check 'fio without errors' test ! -e /run/fio.failed
check 'fio had something to do' test -s /run/fio.rounds
