#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Prepares the kernel of the outer VM, in which hvhost runs when this machine's own KVM cannot be
# used: Debian's cloud kernel, unmodified. Prints the folder with vmlinuz, modules/ and modules.list
# (file names under modules/, in the order in which they must be loaded).
# Usage: tools/outer.sh

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

KERNEL_MIN=6.12
# KVM itself, then the devices through which the outer VM talks to this machine.
MODULES=(kvm kvm-amd virtio_pci virtio_blk virtio_console)

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/outer.sh
	Prepares the kernel of the outer VM and prints the folder with vmlinuz, config, modules/ and
	modules.list (load order).
	EOT
	exit "$1"
}

# Sets IMAGE to the newest-enough kernel package of the first suite that has one.
find_image() {
	local code suite meta=linux-image-cloud-amd64 entries

	code=$(debian_codename)
	for suite in "$code" "$code-backports" trixie; do
		entries=("deb $suite")
		# Backports refer to packages of the release itself.
		[ "$suite" != "$code-backports" ] || entries=("deb $code" "deb $suite")
		apt_root "$suite" "${entries[@]}"
		IMAGE=$(apt-cache -t "$suite" depends $meta 2>/dev/null |
			awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
		[ -n "$IMAGE" ] || continue
		! dpkg --compare-versions "$(apt_version "$IMAGE")" ge "$KERNEL_MIN" || return 0
	done
	die "the mirror has no $meta $KERNEL_MIN or newer: set KEEL_DEBIAN_MIRROR to a full mirror."
}

unpack_image() {
	dpkg-deb --fsys-tarfile "$1" | tar -x --wildcards './boot/vmlinuz-*' './boot/config-*' \
		'*/lib/modules/*'
}

build_outer() {
	local out=$1 version path file mods

	need_space 400
	mkdir build "$out/modules"
	cd build
	find_image
	apt_deb "$IMAGE"
	version=$(apt_version "$IMAGE")
	step "unpacking $IMAGE" unpack_image "$REPLY"
	cp boot/vmlinuz-* "$out/vmlinuz"
	cp boot/config-* "$out/config"
	mods=(lib/modules/* usr/lib/modules/*)
	modules_depmod "$PWD/${mods[0]}"
	modules_closure "${mods[0]}" "${MODULES[@]}"
	for path in "${MODULES_REPLY[@]}"; do
		file=${path##*/}
		file=${file%%.ko*}.ko
		modules_copy "${mods[0]}/$path" "$out/modules/$file"
		printf '%s\n' "$file" >>"$out/modules.list"
	done
	cat >"$out/build-info.json" <<-EOT
	{
	  "package": "$IMAGE $version",
	  "vmlinuz_sha256": "$(sha256sum <"$out/vmlinuz" | cut -d' ' -f1)"
	}
	EOT
	cd "$out"
	rm -rf build
}

main() {
	case ${1:-} in
	-h | --help) usage 0 ;;
	'') ;;
	*) usage 2 ;;
	esac
	command -v xz zstd gcc >/dev/null ||
		die "build tools are missing: run tools/packages.sh build."
	cached outer "$(hash_of "$KEEL_TOOLS/outer.sh" "$(debian_codename)")" build_outer
	result "$REPLY"
}

main "$@"
