# SPDX-License-Identifier: MIT
# shellcheck shell=dash
# ext4 and btrfs on DEV: a tree of files is made, changed, read back from the disk and the file
# system checked.

work() {
	local dir=$1
	mkdir "$dir/tree" && cp -r /usr/lib/systemd /usr/lib/udev "$dir/tree" &&
		(cd "$dir/tree" && find . -type f -exec sha256sum {} + | sort >"$dir/sums") &&
		for i in $(seq 200); do printf '%s\n' "$i" >"$dir/tree/small-$i" || return; done &&
		sync -f "$dir" && rm "$dir"/tree/small-*[02468] &&
		dd if=/dev/urandom of="$dir/big" bs=1M count=12 conv=fsync status=none &&
		cp --sparse=always "$dir/big" "$dir/copy" && truncate -s 5M "$dir/big" &&
		fallocate -l 4M "$dir/reserved" && fallocate -p -o 1M -l 1M "$dir/copy" && sync -f "$dir"
}

compare() {
	(cd "$1/tree" && sha256sum --quiet -c "$1/sums") && [ "$(find "$1/tree" -name 'small-*' | wc -l)" -eq 100 ]
}

mkdir -p /mnt/fs
for fs in ext4 btrfs; do
	case $fs in
	ext4) check "$fs made" mkfs.ext4 -q -F "$DEV" 256M ;;
	btrfs) check "$fs made" mkfs.btrfs -q -f -b 256M "$DEV" ;;
	esac
	check "$fs mounted" mount -o discard "$DEV" /mnt/fs
	check "$fs, files" work /mnt/fs
	check "$fs unmounted" umount /mnt/fs
	echo 3 >/proc/sys/vm/drop_caches
	check "$fs mounted again" mount "$DEV" /mnt/fs
	check "$fs, files unchanged" compare /mnt/fs
	[ $fs != btrfs ] || check "$fs scrubbed" btrfs scrub start -B /mnt/fs
	check "$fs unmounted again" umount /mnt/fs
	case $fs in
	ext4) check "$fs consistent" e2fsck -f -n "$DEV" ;;
	btrfs) check "$fs consistent" btrfs check --check-data-csum "$DEV" ;;
	esac
done
check 'file systems gone' wipefs -a "$DEV"
