# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# sg3-utils against the SCSI disk DEV: every command that it offers, by other people's programs.

modprobe sg
blocks=$(blockdev --getsz "$DEV")
export PATH=$PATH:/usr/share/doc/sg3-utils/examples

check 'INQUIRY' sg_inq "$DEV"
says "Vendor identification: ${VENDOR:-Msft}"
says "Product identification: ${PRODUCT:-Virtual Disk}"
says 'Peripheral device type: disk'
check 'VPD pages, list' sg_vpd "$DEV"
says "[Ss]upported VPD pages"
pages=$(sg_vpd -r -p sv "$DEV" | od -An -v -t x1 -j 4 | tr -s ' ' '\n' | grep .)
for page in $pages; do
	check "VPD page 0x$page" sg_vpd -p "0x$page" -l "$DEV"
done
case $pages in *b0*) ;; *) printf 'FAILED: no block limits page among %s\n' "$pages"; exit 1 ;; esac
check 'device identification' sg_vpd -p di "$DEV"
says 'designator type|NAA|T10 vendor'
refused 'VPD page that there is not' sg_vpd -p 0xee "$DEV"
check 'READ CAPACITY (10)' sg_readcap "$DEV"
says "$((blocks - 1)) \\("
check 'READ CAPACITY (16)' sg_readcap -l "$DEV"
says "$((blocks - 1)) \\("
check 'TEST UNIT READY' sg_turs -n 20 "$DEV"
check 'REQUEST SENSE' sg_requests "$DEV"
check 'REPORT LUNS' sg_luns "$DEV"
says 'Lun list length'
check 'MODE SENSE' sg_modes -a "$DEV"
check 'MODE SENSE (6)' sg_modes -6 "$DEV"
check 'MODE SENSE, caching' sg_modes -p 8 "$DEV"
refused 'mode page that there is not' sg_modes -p 0x2e "$DEV"
check 'commands that there are' sg_opcodes "$DEV"
says 'Inquiry'
check 'SYNCHRONIZE CACHE (10)' sg_sync "$DEV"
check 'SYNCHRONIZE CACHE (16)' sg_sync -S "$DEV"
check 'START STOP UNIT' sg_start 1 "$DEV"
check 'VERIFY (10)' sg_verify --lba=0 --count=64 "$DEV"
check 'VERIFY (16)' sg_verify --16 --lba=8 --count=64 "$DEV"
refused 'VERIFY behind the end' sg_verify --16 --lba="$blocks" --count=1 "$DEV"

dd if=/dev/urandom of=/run/pattern bs=512 count=256 status=none
for size in 6 10 12 16; do
	check "WRITE ($size)" sg_dd if=/run/pattern of="$DEV" bs=512 bpt=64 cdbsz=$size seek=64
	rm -f /run/back
	check "READ ($size)" sg_dd if="$DEV" of=/run/back bs=512 bpt=64 cdbsz=$size skip=64 count=256
	check "the same bytes ($size)" cmp /run/pattern /run/back
done
check 'WRITE AND VERIFY (10)' sg_write_verify --in=/run/pattern --ilen=4096 --lba=64 --num=8 "$DEV"
check 'WRITE AND VERIFY (16)' sg_write_verify --16 --in=/run/pattern --ilen=4096 --lba=64 --num=8 "$DEV"
check 'WRITE with FUA' sg_dd if=/run/pattern of="$DEV" bs=512 bpt=64 seek=64 oflag=fua
# shellcheck disable=SC2046 # one word for each byte
refused 'READ behind the end' sg_raw -r 512 "$DEV" 28 0 $(printf '%08x' "$blocks" | sed 's/../& /g') 0 0 1 0
says 'Logical block address out of range'

sg_vpd -p lbpv "$DEV" >"$LOG" 2>&1
if grep -q 'LBPU): 1\|(LBPU): 1\|LBPU=1' "$LOG"; then
	check 'UNMAP' sg_unmap --lba=64 --num=256 "$DEV"
	refused 'UNMAP behind the end' sg_unmap --lba="$blocks" --num=8 "$DEV"
	check 'GET LBA STATUS is an answer' sh -c "sg_get_lba_status --lba=0 $DEV; [ \$? -le 9 ]"
fi
check 'WRITE SAME (16)' sg_write_same --16 --lba=64 --num=128 --in=/run/pattern --xferlen=512 "$DEV"
head -c 512 /run/pattern >/run/one
rm -f /run/back
sg_dd if="$DEV" of=/run/back bs=512 skip=190 count=1 2>/dev/null
check 'WRITE SAME wrote the last block' cmp /run/one /run/back
check 'WRITE SAME (10)' sg_write_same --10 --lba=64 --num=8 --in=/dev/zero --xferlen=512 "$DEV"

# Reservations, if the disk knows them: a whole life.
if sg_persist --in --report-capabilities "$DEV" >"$LOG" 2>&1; then
	check 'PR: register' sg_persist --out --register --param-sark=0x6b65656c "$DEV"
	check 'PR: keys' sg_persist --in --read-keys "$DEV"
	says '0x6b65656c'
	check 'PR: reserve' sg_persist --out --reserve --param-rk=0x6b65656c --prout-type=1 "$DEV"
	check 'PR: reservation' sg_persist --in --read-reservation "$DEV"
	says '0x6b65656c'
	check 'PR: write by the holder' sg_dd if=/run/pattern of="$DEV" bs=512 seek=64 count=8
	# The guest's kernel calls a reservation conflict a transport error, which sg_persist passes over.
	head -c 24 /dev/zero >/run/other-key
	refused 'PR: release with another key' sg_raw -s 24 -i /run/other-key "$DEV" 5f 02 01 0 0 0 0 0 18 0
	says 'Reservation [Cc]onflict'
	check 'PR: release' sg_persist --out --release --param-rk=0x6b65656c --prout-type=1 "$DEV"
	check 'PR: clear' sg_persist --out --clear --param-rk=0x6b65656c "$DEV"
	check 'PR: no keys' sg_persist --in --read-keys "$DEV"
	says 'there are (NO|no) registered'
else
	printf 'ok no reservations here\n'
fi

# The package's own test scripts.
check 'scsi_ready' scsi_ready "$DEV"
check 'scsi_readcap' scsi_readcap "$DEV"
check 'scsi_mandat' scsi_mandat "$DEV"
says 'bad errors: 0'
