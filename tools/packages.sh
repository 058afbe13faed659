#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs what building and testing need from the machine's own Debian. Usage:
# tools/packages.sh build|browser [--check]
# With --check nothing is installed; the status says whether anything is missing.

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Compilers and build tools, the libraries of the host programs, then what the kernel and the
# tests need.
BUILD_PACKAGES=(
	gcc libc6-dev make meson ninja-build pkg-config musl-tools clang libclang-rt-14-dev llvm
	check libcjson-dev libssl-dev zlib1g-dev linux-libc-dev protobuf-c-compiler protobuf-compiler
	dpkg-dev patch flex bison bc libelf-dev cpio xz-utils zstd gzip bzip2 lz4 kmod mmdebstrap fakeroot
	python3-minimal device-tree-compiler git ca-certificates gdb fdisk e2fsprogs
)

# What looks at pages and manuals in tests, and nothing else does: about 130 MB to download.
BROWSER_PACKAGES=(chromium fonts-dejavu-core groff-base mandoc)

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/packages.sh build|browser [--check]
	  build    compilers, libraries and tools
	  browser  headless browser and manual formatters, for tests of keeldiag
	  --check  only report what is missing (status 1 when something is)
	EOT
	exit "$1"
}

installed() {
	# dpkg-query fails when it has never heard of one of them, which is an answer too.
	{ dpkg-query -W -f='${Package} ${db:Status-Abbrev}\n' "$@" 2>/dev/null || true; } |
		awk '$2 == "ii" || $2 == "hi" { print $1 }'
}

# Newer Debians rename the compiler run-time package with every clang.
suite_adjust() {
	local i ver

	[ "$(debian_codename)" != bookworm ] || return 0
	ver=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' |
		head -n 1)
	for i in "${!BUILD_PACKAGES[@]}"; do
		[ "${BUILD_PACKAGES[i]}" != libclang-rt-14-dev ] ||
			BUILD_PACKAGES[i]=libclang-rt-${ver:-14}-dev
	done
}

# missing PACKAGE...: those that are not installed.
missing() {
	local have

	have=$(installed "$@")
	printf '%s\n' "$@" | grep -vxF -- "$have" || true
}

# An installation that was cut off earlier is finished first.
apt_install() {
	as_root dpkg --configure -a
	as_root env DEBIAN_FRONTEND=noninteractive ${APT_CONFIG:+APT_CONFIG="$APT_CONFIG"} \
		apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
		install --no-install-recommends "$@"
}

install_missing() {
	local missing

	mapfile -t missing < <(missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	need_space 1500
	step "updating the machine's package lists" as_root apt-get -q \
		-o DPkg::Lock::Timeout=600 update
	log "missing: ${missing[*]}"
	step "installing ${#missing[@]} packages" apt_install "${missing[@]}"
}

main() {
	local want=${1:-} check=${2:-} packages

	case $want in
	build | browser) ;;
	-h | --help) usage 0 ;;
	*) usage 2 ;;
	esac
	cache_init
	STEP_LET_RUN=1
	suite_adjust
	packages=("${BUILD_PACKAGES[@]}")
	[ "$want" = build ] || packages=("${BROWSER_PACKAGES[@]}")
	[ -n "$(missing "${packages[@]}")" ] || return 0
	[ "$check" != --check ] || exit 1
	with_lock packages install_missing "${packages[@]}"
}

main "$@"
