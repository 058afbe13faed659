#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the VTL2 kernel and prints the folder with vmlinux, config and build-info.json.
# Usage: [LINUX_SOURCE=TARBALL] tools/kernel.sh [FLAVOUR]

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

PATCHES=$KEEL_ROOT/kernel-patches
MAJOR=7
# Where final releases of Linux 7 appear; release candidates are left aside.
SUITES=(trixie-backports forky sid experimental)

usage() {
	cat >&2 <<-'EOT'
	Usage: [LINUX_SOURCE=TARBALL] tools/kernel.sh [FLAVOUR]
	Builds the VTL2 kernel and prints the folder that holds vmlinux, config and build-info.json.
	FLAVOUR is x64 (default) or x64+OVERLAY, each a fragment in kernel-patches/config; LINUX_SOURCE
	is a Linux tarball to use instead of the newest Linux 7 in the mirror.
	EOT
	exit "$1"
}

series() {
	sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$PATCHES/series"
}

# The fragments of a flavour: x64+dev is x64.config, then dev.config.
fragments() {
	local part

	for part in ${1//+/ }; do
		[ -f "$PATCHES/config/$part.config" ] ||
			die "kernel flavour '$1' is unknown: '$part' is not one of" \
				"$(cd "$PATCHES/config" && printf '%s ' *.config | sed 's/\.config//g')."
		printf '%s\n' "$PATCHES/config/$part.config"
	done
}

# One line per symbol; a later fragment wins.
merge_fragments() {
	awk '/^CONFIG_[A-Z0-9_a-z]*=/ { split($0, w, "="); name = w[1] }
		/^# CONFIG_[A-Z0-9_a-z]* is not set/ { name = $2 }
		/^CONFIG_|^# CONFIG_/ { if (!(name in line)) order[++n] = name; line[name] = $0 }
		END { for (i = 1; i <= n; i++) print line[order[i]] }' "$@"
}

# Every symbol must have ended as the fragment asks.
check_config() {
	local fragment=$1 config=$2 bad

	bad=$(awk 'NR == FNR { got[$0] = 1
				if (/^CONFIG_/) { split($0, w, "="); value[w[1]] = $0 }
				next }
		/^# CONFIG_/ { if ($2 in value) print $2 " should be off but is " value[$2]; next }
		!($0 in got) { split($0, w, "=")
			print $0 " became " ((w[1] in value) ? value[w[1]] : "off") }' "$config" "$fragment")
	[ -z "$bad" ] || {
		printf '%s\n' "$bad" >&2
		die "the kernel configuration did not accept the symbols above: correct the fragments in" \
			"kernel-patches/config for this kernel version."
	}
}

# Prints "version suite package" of every final release in the mirror, newest first.
candidates() {
	local suite pkg ver err

	err=$(mktemp "$KEEL_CACHE/tmp/err.XXXXXX")
	for suite in "${SUITES[@]}"; do
		# A mirror need not carry every suite.
		if ! (apt_root "$suite" "deb $suite") 2>"$err"; then
			log "suite $suite cannot be used"
			continue
		fi
		apt_root "$suite" "deb $suite"
		for pkg in $(apt-cache search --names-only "^linux-source-$MAJOR\\." | cut -d' ' -f1); do
			ver=$(apt_version "$pkg")
			case $ver in
			'' | *~rc*) ;;
			*) printf '%s %s %s\n' "$ver" "$suite" "$pkg" ;;
			esac
		done
	done | sort -rV
	[ ! -s "$err" ] || cat "$err" >&2
	rm -f -- "$err"
}

# Unpacks TARBALL as ./linux and applies the series without fuzz; fails when it does not apply.
unpack_and_patch() {
	local tarball=$1 patch

	rm -rf linux
	mkdir linux
	step "unpacking ${tarball##*/}" tar -x -f "$tarball" -C linux --strip-components=1
	[ -f linux/Kbuild ] || die "$tarball is not a Linux source archive: give one with LINUX_SOURCE."
	for patch in $(series); do
		[ -f "$PATCHES/$patch" ] || die "kernel-patches/series names '$patch', which does not exist."
		if ! patch -d linux -p1 -F0 --no-backup-if-mismatch -s -f <"$PATCHES/$patch"; then
			log "patch $patch does not apply to ${tarball##*/} without fuzz"
			return 1
		fi
	done
}

# Sets TARBALL, ORIGIN and leaves the patched tree in ./linux.
obtain_source() {
	local list ver suite pkg found

	if [ -n "${LINUX_SOURCE:-}" ]; then
		TARBALL=$LINUX_SOURCE
		ORIGIN="file ${LINUX_SOURCE##*/}"
		unpack_and_patch "$TARBALL" ||
			die "the patch series does not apply to $LINUX_SOURCE: refresh the patches."
		return
	fi
	list=$(candidates)
	[ -n "$list" ] || die "no Linux $MAJOR source package was found in ${SUITES[*]} of the mirror:" \
		"set KEEL_DEBIAN_MIRROR to a full mirror or LINUX_SOURCE to a tarball."
	while read -r ver suite pkg; do
		apt_root "$suite" "deb $suite"
		apt_deb "$pkg"
		rm -rf deb
		step "unpacking $pkg" dpkg-deb -x "$REPLY" deb
		found=(deb/usr/src/linux-source-*.tar.*)
		TARBALL=${found[0]:-}
		[ -n "$TARBALL" ] || die "package $pkg holds no source archive: set LINUX_SOURCE to one."
		ORIGIN="$pkg $ver"
		if unpack_and_patch "$TARBALL"; then
			return
		fi
	done <<<"$list"
	die "the patch series applies to none of the kernels in the mirror: refresh the patches or set" \
		"LINUX_SOURCE."
}

# Tools that the configuration would only note down if this machine has them are hidden from it.
kmake() {
	make -C linux -j "$(nproc)" ARCH=x86_64 KCONFIG_NOTIMESTAMP=1 LOCALVERSION= \
		RUSTC=false BINDGEN=false PAHOLE=false \
		KBUILD_BUILD_TIMESTAMP="@$SOURCE_DATE_EPOCH" KBUILD_BUILD_USER=keel \
		KBUILD_BUILD_HOST=keel KBUILD_BUILD_VERSION=1 "$@"
}

build_kernel() {
	local out=$1 flavour=$2 frags sha release

	need_space 3500
	mapfile -t frags < <(fragments "$flavour")
	mkdir build
	cd build
	obtain_source
	sha=$(sha256sum <"$TARBALL" | cut -d' ' -f1)
	merge_fragments "${frags[@]}" >fragment
	step "configuring Linux ($flavour)" kmake -s allnoconfig KCONFIG_ALLCONFIG="$PWD/fragment"
	check_config fragment linux/.config
	release=$(kmake -s kernelrelease)
	step "building Linux $release (takes some minutes)" nice -n 5 "$BASH" -c "$(declare -f kmake)
		kmake -s vmlinux"
	strip --strip-all -R .comment -o "$out/vmlinux" linux/vmlinux
	cp linux/.config "$out/config"
	cp linux/System.map "$out/System.map"
	cat >"$out/build-info.json" <<-EOT
	{
	  "version": "$release",
	  "flavour": "$flavour",
	  "source": "$ORIGIN",
	  "source_sha256": "$sha",
	  "config_sha256": "$(sha256sum <"$out/config" | cut -d' ' -f1)",
	  "patches": [$(series | sed 's/.*/"&"/' | paste -sd, -)],
	  "compiler": "$(gcc --version | head -n 1)",
	  "vmlinux_sha256": "$(sha256sum <"$out/vmlinux" | cut -d' ' -f1)"
	}
	EOT
	cd "$out"
	rm -rf build
}

main() {
	local flavour=${1:-x64} inputs frags patch source_id=""

	case $flavour in
	-h | --help) usage 0 ;;
	-*) usage 2 ;;
	esac
	frags=$(fragments "$flavour")
	# shellcheck disable=SC2206
	inputs=("$KEEL_TOOLS/kernel.sh" "$PATCHES/series" $frags)
	for patch in $(series); do
		inputs+=("$PATCHES/$patch")
	done
	if [ -n "${LINUX_SOURCE:-}" ]; then
		[ -r "$LINUX_SOURCE" ] || die "LINUX_SOURCE=$LINUX_SOURCE cannot be read: name a Linux tarball."
		LINUX_SOURCE=$(readlink -f -- "$LINUX_SOURCE")
		source_id=$(stat -c '%n %s %Y' -- "$LINUX_SOURCE")
	fi
	command -v gcc flex bison bc >/dev/null ||
		die "build tools are missing: run tools/packages.sh build."
	cached "kernel-$flavour" "$(hash_of "${inputs[@]}" "$source_id" "$(gcc -dumpfullversion)")" \
		build_kernel "$flavour"
	result "$REPLY"
}

main "$@"
