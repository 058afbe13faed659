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

# need_module NAME: appends what it depends on, then itself, to LIST. modules.dep has one line per
# module: "its path: dependencies, each of which has a line too".
need_module() {
	local name=$1 pattern line path dep

	pattern=${name//[-_]/[-_]}
	if grep -qE "/$pattern\.ko$" modules.builtin; then
		return
	fi
	line=$(grep -E "/$pattern\.ko(\.[a-z]+)?:" modules.dep) ||
		die "kernel package $IMAGE has no module $name."
	path=${line%%:*}
	for dep in "${LIST[@]}"; do
		[ "$dep" != "$path" ] || return 0
	done
	for dep in ${line#*:}; do
		dep=${dep##*/}
		need_module "${dep%%.ko*}"
	done
	LIST+=("$path")
}

install_module() {
	local from=$1 to=$2

	case $from in
	*.xz) xz -dc "$from" >"$to" ;;
	*.zst) zstd -dcq "$from" >"$to" ;;
	*.gz) gzip -dc "$from" >"$to" ;;
	*) cp "$from" "$to" ;;
	esac
}

unpack_image() {
	dpkg-deb --fsys-tarfile "$1" | tar -x --wildcards './boot/vmlinuz-*' './boot/config-*' \
		'*/lib/modules/*'
}

build_outer() {
	local out=$1 version name path file mods

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
	cd "${mods[0]}"
	# Packages leave modules.dep to the machine they are installed on.
	[ -f modules.dep ] || depmod_here
	LIST=()
	for name in "${MODULES[@]}"; do
		need_module "$name"
	done
	for path in "${LIST[@]}"; do
		file=${path##*/}
		file=${file%%.ko*}.ko
		install_module "$path" "$out/modules/$file"
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

depmod_here() {
	local base release=${PWD##*/} tool

	base=${PWD%/lib/modules/*}
	tool=$(PATH=$PATH:/usr/sbin:/sbin command -v depmod) ||
		die "depmod is missing: run tools/packages.sh build."
	"$tool" -b "$base" "$release"
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
