#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Prepares the VTL0 guest: Debian's own kernel, unmodified, and an initramfs made of Debian
# packages. Prints the folder with vmlinuz, vmlinux, initrd.cpio and the modules of a guest on disk.
# Usage: tools/guest.sh [SUITE]

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# What the initramfs takes besides busybox: packages, then files of them.
PACKAGES=(util-linux libsmartcols1 libc6 libc-bin)
PROGRAMS=(usr/bin/lscpu)
# In the initramfs: what finds a root file system on any of our disks; msr and cpuid give a root
# program access to model-specific registers and CPUID of each processor.
MODULES=(msr cpuid hv_vmbus hv_storvsc hv_utils pci-hyperv nvme ata_piix ata_generic sd_mod sr_mod
	'crc32c_generic?' ext4)
# On the disk (tools/diskimage.sh) there are these, too.
DISK_MODULES=(sg btrfs hv_balloon hv_netvsc hv_sock isofs loop dm-mod dm-flakey dm-log-writes
	scsi_debug null_blk 'autofs4?')

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/guest.sh [SUITE]
	Prepares the VTL0 guest from Debian SUITE (default: this machine's release) and prints the
	folder with vmlinuz, vmlinux, initrd.cpio, disk (lib/modules for a root file system on disk)
	and build-info.json.
	EOT
	exit "$1"
}

# u8/u16/u32 FILE OFFSET: a little-endian number.
number() {
	od -An -v -t "u$1" -j "$3" -N "$1" -- "$2" | tr -d ' \n'
}

# The kernel proper lies compressed in the boot image; its place is in the boot protocol's header.
extract_vmlinux() {
	local image=$1 out=$2 sects offset length magic unpack

	[ "$(od -An -c -j 514 -N 4 -- "$image" | tr -d ' \n')" = HdrS ] ||
		die "$image is not a bootable x86 kernel."
	sects=$(number 1 "$image" 497)
	[ "$sects" -gt 0 ] || sects=4
	offset=$(((sects + 1) * 512 + $(number 4 "$image" 584)))
	length=$(number 4 "$image" 588)
	magic=$(od -An -v -t x1 -j "$offset" -N 6 -- "$image" | tr -d ' \n')
	case $magic in
	fd377a585a00) unpack=(xz -dc --single-stream) ;;
	28b52ffd*) unpack=(zstd -dcq) ;;
	1f8b*) unpack=(gzip -dcq) ;;
	04224d18* | 02214c18*) unpack=(lz4 -dcq) ;;
	425a68*) unpack=(bzip2 -dcq) ;;
	*) die "$image is compressed in an unknown way (magic $magic)." ;;
	esac
	# All formats but gzip are followed by the unpacked size, four bytes that are not part of
	# the stream; in gzip's case they are its own.
	[ "${unpack[0]}" = gzip ] || length=$((length - 4))
	tail -c "+$((offset + 1))" -- "$image" | head -c "$length" | "${unpack[@]}" >"$out" ||
		[ "$(od -An -v -t x1 -N 4 -- "$out" | tr -d ' \n')" = 7f454c46 ]
	[ "$(od -An -v -t x1 -N 4 -- "$out" | tr -d ' \n')" = 7f454c46 ] ||
		die "the kernel inside $image is not an ELF file."
}

# unpack_some DEB PATTERN...: only the members that match.
unpack_some() {
	local deb=$1

	shift
	dpkg-deb --fsys-tarfile "$deb" | tar -x --wildcards "$@" ||
		die "${deb##*/} does not hold $*."
}

# Copies a program and, from the unpacked packages, every library it needs.
add_program() {
	local from=$1 root=$2 file=$3 lib found

	[ ! -e "$root/$file" ] || return 0
	mkdir -p "$root/${file%/*}"
	cp -L -- "$from/$file" "$root/$file"
	chmod 755 "$root/$file"
	for lib in $(readelf -d -- "$root/$file" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		found=$(cd "$from" && find . -name "$lib" | head -n 1)
		[ -n "$found" ] || die "no package of tools/guest.sh holds $lib, which $file needs."
		add_library "$from" "$root" "${found#./}" "$lib"
	done
	lib=$(readelf -l -- "$root/$file" 2>/dev/null | sed -n 's/.*interpreter: \/\(.*\)\]/\1/p')
	if [ -n "$lib" ] && [ ! -e "$root/$lib" ]; then
		found=$(cd "$from" && find . -name "${lib##*/}" | head -n 1)
		mkdir -p "$root/${lib%/*}"
		cp -L -- "$from/$found" "$root/$lib"
	fi
}

# Libraries all go into one folder that the loader searches by default.
add_library() {
	local from=$1 root=$2 file=$3 name=$4 lib found

	[ ! -e "$root/usr/lib/$name" ] || return 0
	cp -L -- "$from/$file" "$root/usr/lib/$name"
	for lib in $(readelf -d -- "$root/usr/lib/$name" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		found=$(cd "$from" && find . -name "$lib" | head -n 1)
		[ -n "$found" ] || die "no package of tools/guest.sh holds $lib, which $name needs."
		add_library "$from" "$root" "${found#./}" "$lib"
	done
}

add_busybox() {
	local busybox=$1 root=$2 applet

	cp -- "$busybox" "$root/usr/bin/busybox"
	chmod 755 "$root/usr/bin/busybox"
	for applet in $("$busybox" --list); do
		[ -e "$root/usr/bin/$applet" ] || ln -s busybox "$root/usr/bin/$applet"
	done
}

# Sorted, one owner, one time stamp: equal files give equal bytes.
make_cpio() {
	local root=$1 out=$2

	find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	(cd "$root" && find . -mindepth 1 | sort |
		cpio --quiet -o -H newc -R 0:0 --reproducible) >"$out"
}

build_initrd() {
	local out=$1 release=$2 root=$PWD/root file

	mkdir -p "$root"/{usr/bin,usr/lib,dev,proc,sys,run,tmp,root,etc}
	chmod 700 "$root/root"
	ln -s usr/bin "$root/bin"
	ln -s usr/bin "$root/sbin"
	ln -s bin "$root/usr/sbin"
	ln -s usr/lib "$root/lib"
	ln -s usr/lib "$root/lib64"
	for file in "${PROGRAMS[@]}"; do
		add_program "$PWD/tree" "$root" "$file"
	done
	modules_tree "$PWD/kernel/lib/modules/$release" "$root/usr/lib/modules/$release" "${MODULES[@]}"
	add_busybox "$(find "$PWD/tree" -path '*/bin/busybox')" "$root"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\n' >"$root/etc/group"
	printf "export PS1='root@vtl0:\\\\w# '\n" >"$root/etc/profile"
	cp -- "$KEEL_TOOLS/guest-init.sh" "$root/init"
	chmod 755 "$root/init"
	make_cpio "$root" "$out/initrd.cpio"
}

build_guest() {
	local out=$1 suite=$2 image version pkg release

	need_space 1200
	mkdir build
	cd build
	apt_root "$suite" "deb $suite"
	image=$(apt-cache depends linux-image-amd64 2>/dev/null |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
	[ -n "$image" ] || die "suite '$suite' has no linux-image-amd64: name a Debian release such as" \
		"$(debian_codename)."
	apt_deb "$image"
	version=$(apt_version "$image")
	mkdir kernel tree
	step "unpacking $image" in_folder kernel unpack_some "$REPLY" './boot/vmlinuz-*' \
		'./boot/config-*' '*/lib/modules/*'
	[ -d kernel/lib ] || mv kernel/usr/lib kernel/lib
	cp kernel/boot/vmlinuz-* "$out/vmlinuz"
	cp kernel/boot/config-* "$out/config"
	release=$(cd kernel/boot && printf '%s' vmlinuz-*)
	release=${release#vmlinuz-}
	step "extracting vmlinux" extract_vmlinux "$out/vmlinuz" "$out/vmlinux"
	step "finding what the modules depend on" modules_depmod "$PWD/kernel/lib/modules/$release"
	modules_tree "$PWD/kernel/lib/modules/$release" "$out/disk/lib/modules/$release" \
		"${MODULES[@]}" "${DISK_MODULES[@]}"
	for pkg in busybox-static "${PACKAGES[@]}"; do
		apt_deb "$pkg"
		dpkg-deb -x "$REPLY" tree
	done
	build_initrd "$out" "$release"
	cat >"$out/build-info.json" <<-EOT
	{
	  "suite": "$suite",
	  "kernel": "$release",
	  "package": "$image $version",
	  "vmlinuz_sha256": "$(sha256sum <"$out/vmlinuz" | cut -d' ' -f1)",
	  "initrd_sha256": "$(sha256sum <"$out/initrd.cpio" | cut -d' ' -f1)"
	}
	EOT
	cd "$out"
	rm -rf build
}

main() {
	local suite=${1:-}

	case $suite in
	-h | --help) usage 0 ;;
	-*) usage 2 ;;
	esac
	suite=${suite:-$(debian_codename)}
	command -v cpio readelf xz zstd >/dev/null ||
		die "build tools are missing: run tools/packages.sh build."
	cached "guest-$suite" "$(hash_of "$KEEL_TOOLS/guest.sh" "$KEEL_TOOLS/guest-init.sh" "$suite")" \
		build_guest "$suite"
	result "$REPLY"
}

main "$@"
