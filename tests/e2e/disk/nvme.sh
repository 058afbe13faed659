# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# nvme-cli against our controller model, whose first namespace is NS (nvme0n1) of CTRL (nvme0).

check 'nvme list' nvme list
says "/dev/$NS"
check 'Identify Controller' nvme id-ctrl "/dev/$CTRL" -H
says '^nn +: '
check 'Identify Namespace' nvme id-ns "/dev/$NS" -H
says 'nsze'
check 'namespaces' nvme list-ns "/dev/$CTRL"
says '0x1'
check 'namespace descriptors' nvme ns-descs "/dev/$NS"
for page in error-log smart-log fw-log changed-ns-list-log effects-log; do
	check "log page: $page" nvme "$page" "/dev/$CTRL"
done
check 'Get Features: queues' nvme get-feature "/dev/$CTRL" -f 7
check 'Get Features: asynchronous events' nvme get-feature "/dev/$CTRL" -f 0xb
check 'Get Features: temperature' nvme get-feature "/dev/$CTRL" -f 4
refused 'a feature that there is not' nvme get-feature "/dev/$CTRL" -f 0x7e
check 'Flush' nvme flush "/dev/$NS"
dd if=/dev/urandom of=/run/pattern bs=4096 count=4 status=none
check 'Write' nvme write "/dev/$NS" -s 64 -c 31 -z 16384 -d /run/pattern
check 'Read' nvme read "/dev/$NS" -s 64 -c 31 -z 16384 -d /run/back
check 'the same bytes' cmp /run/pattern /run/back
check 'Write with FUA' nvme write "/dev/$NS" -s 64 -c 31 -z 16384 -d /run/pattern -f
refused 'Read behind the end' nvme read "/dev/$NS" -s "$(blockdev --getsz "/dev/$NS")" -c 0 -z 512 -d /run/back
check 'Write Zeroes is an answer' sh -c "nvme write-zeroes /dev/$NS -s 64 -c 7; [ \$? -le 1 ]"
check 'Dataset Management is an answer' sh -c "nvme dsm /dev/$NS -d -s 64 -b 8; [ \$? -le 1 ]"
refused 'Format' nvme format "/dev/$NS" -s 0 -f
refused 'an unknown admin command' nvme admin-passthru "/dev/$CTRL" -o 0xc1
refused 'an unknown command' nvme io-passthru "/dev/$NS" -o 0xc1 -n 1
check 'reset' nvme reset "/dev/$CTRL"
check 'after the reset' nvme read "/dev/$NS" -s 64 -c 0 -z 512 -d /run/back
