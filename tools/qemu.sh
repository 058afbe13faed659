#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Finds or prepares the QEMU in which the outer VM runs, and prints the folder to put first in PATH.
# The machine's own is used when it is new enough; otherwise Debian's packages of QEMU and of every
# library it needs are unpacked in the cache and started with their own loader, so that nothing is
# installed and the machine's release does not matter. Usage: tools/qemu.sh
#
# Why so new: until 10.1 the emulated SVM cleared a bit of its interrupt word at every #VMEXIT
# without a lock. A timer tick that came at that moment was lost (the outer VM stood still), or a
# virtual interrupt that had just been taken back came to life again and was delivered as vector 0
# (a triple fault of whatever guest was entered next).

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

QEMU_MIN=11
PACKAGE=qemu-system-x86
# Each line: the suite whose QEMU is taken, and the suites that hold what it depends on.
SUITES=("trixie-backports trixie" "forky" "sid")

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/qemu.sh
	Prints the folder of a qemu-system-x86_64 of version 11 or newer: the machine's own, or
	Debian's packages unpacked in the cache.
	EOT
	exit "$1"
}

own_qemu() {
	local path ver

	path=$(command -v qemu-system-x86_64) || return 1
	ver=$("$path" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\).*/\1/p')
	[ "${ver:-0}" -ge "$QEMU_MIN" ] || return 1
	REPLY=${path%/*}
}

# Sets SUITE to the first one with a QEMU that is new enough, with its apt root current.
find_suite() {
	local line entries word

	for line in "${SUITES[@]}"; do
		entries=()
		for word in $line; do
			entries+=("deb $word")
		done
		SUITE=${line%% *}
		apt_root "qemu-$SUITE" "${entries[@]}"
		! dpkg --compare-versions "$(apt_version $PACKAGE | sed 's/^[0-9]*://')" ge "$QEMU_MIN" ||
			return 0
	done
	die "the mirror has no $PACKAGE $QEMU_MIN or newer: set KEEL_DEBIAN_MIRROR to a full mirror," \
		"or install QEMU $QEMU_MIN by hand."
}

# apt, on a machine where nothing is installed: what it would fetch is the whole closure.
apt_empty() {
	apt-get -q -y -o Dir::State="$PWD/state" -o Dir::State::status="$PWD/state/status" \
		-o Dir::State::lists="$APT_ROOT/lists" -o Dir::Cache::archives="$PWD/debs" \
		-o Debug::NoLocking=1 --no-install-recommends -t "$SUITE" "$@" install $PACKAGE
}

# Only what the emulator itself opens: libraries, its program, firmware.
unpack() {
	local deb

	for deb in debs/*.deb; do
		case ${deb##*/} in
		lib* | zlib1g* | $PACKAGE* | qemu-system-* | seabios*)
			dpkg-deb --fsys-tarfile "$deb" | tar -x -C root --wildcards --no-anchored \
				--exclude='*/doc/*' --exclude='*/gconv/*' --exclude='*.fd' \
				'usr/lib/x86_64-linux-gnu' 'usr/lib64' 'usr/bin/qemu-system-x86_64' \
				'usr/share/qemu' 'usr/share/seabios' 2>/dev/null || true ;;
		esac
	done
	rm -rf root/usr/lib/x86_64-linux-gnu/{qemu,gconv,dri,perl*}
}

write_wrapper() {
	cat >"$1/qemu-system-x86_64" <<-'EOT'
	#!/bin/sh
	r=${0%/*}/root/usr
	exec "$r/lib64/ld-linux-x86-64.so.2" --argv0 qemu-system-x86_64 \
		--library-path "$r/lib/x86_64-linux-gnu" "$r/bin/qemu-system-x86_64" \
		-L "$r/share/qemu" -L "$r/share/seabios" "$@"
	EOT
	chmod 755 "$1/qemu-system-x86_64"
}

build_qemu() {
	local out=$1

	need_space 700
	mkdir build
	cd build
	mkdir -p state debs/partial root
	: >state/status
	find_suite
	step "downloading QEMU and its libraries from $SUITE" apt_empty --download-only
	step "unpacking QEMU" unpack
	mv root "$out/root"
	write_wrapper "$out"
	"$out/qemu-system-x86_64" --version >"$out/version" ||
		die "the QEMU of $SUITE does not start here: install QEMU $QEMU_MIN by hand."
	cd "$out"
	rm -rf build
}

main() {
	case ${1:-} in
	-h | --help) usage 0 ;;
	'') ;;
	*) usage 2 ;;
	esac
	cache_init
	if ! own_qemu; then
		[ "$(uname -m)" = x86_64 ] || die "install QEMU $QEMU_MIN or newer by hand."
		cached qemu "$(hash_of "$KEEL_TOOLS/qemu.sh")" build_qemu
	fi
	result "$REPLY"
}

main "$@"
