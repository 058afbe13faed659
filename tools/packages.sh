#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Installs what building and testing need from the machine's own Debian, and QEMU from its
# backports. Usage: tools/packages.sh build|qemu|all [--check]
# With --check nothing is installed; the status says whether anything is missing.

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

QEMU_MIN=10

# Compilers and build tools, the libraries of the host programs, then what the kernel and the
# tests need.
BUILD_PACKAGES=(
	gcc libc6-dev make meson ninja-build pkg-config musl-tools clang libclang-rt-14-dev llvm
	check libcjson-dev libssl-dev zlib1g-dev linux-libc-dev
	dpkg-dev patch flex bison bc libelf-dev cpio xz-utils zstd gzip bzip2 lz4 kmod
	python3-minimal device-tree-compiler git ca-certificates
)

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/packages.sh build|qemu|all [--check]
	  build    compilers, libraries and tools
	  qemu     QEMU 10 or newer
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

missing_build() {
	local have

	have=$(installed "${BUILD_PACKAGES[@]}")
	printf '%s\n' "${BUILD_PACKAGES[@]}" | grep -vxF -- "$have" || true
}

qemu_version() {
	command -v qemu-system-x86_64 >/dev/null || return 0
	dpkg-query -W -f='${Version}' qemu-system-x86 2>/dev/null |
		sed 's/^[0-9]*://; s/^\([0-9.]*\).*/\1/' ||
		qemu-system-x86_64 --version | sed -n '1s/.*version \([0-9.]*\).*/\1/p'
}

qemu_good() {
	local ver

	ver=$(qemu_version)
	[ "${ver%%.*}" -ge "$QEMU_MIN" ] 2>/dev/null
}

# An installation that was cut off earlier is finished first.
apt_install() {
	as_root dpkg --configure -a
	as_root env DEBIAN_FRONTEND=noninteractive ${APT_CONFIG:+APT_CONFIG="$APT_CONFIG"} \
		apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 \
		install --no-install-recommends "$@"
}

install_build() {
	local missing

	mapfile -t missing < <(missing_build)
	[ ${#missing[@]} -gt 0 ] || return 0
	need_space 1500
	step "updating the machine's package lists" as_root apt-get -q \
		-o DPkg::Lock::Timeout=600 update
	log "missing: ${missing[*]}"
	step "installing ${#missing[@]} packages" apt_install "${missing[@]}"
}

install_qemu() {
	local code suite target=()

	! qemu_good || return 0
	need_space 600
	code=$(debian_codename)
	[ -n "$code" ] || die "this machine's Debian release has no name: install QEMU $QEMU_MIN or" \
		"newer by hand."
	for suite in "$code" "$code-backports"; do
		if [ "$suite" = "$code" ]; then
			apt_root "$suite" "deb $suite"
		else
			apt_root "$suite" "deb $code" "deb $suite"
		fi
		if dpkg --compare-versions "$(apt_version qemu-system-x86 | sed 's/^[0-9]*://')" \
			ge "$QEMU_MIN"; then
			target=(-t "$suite" qemu-system-x86)
			break
		fi
	done
	[ ${#target[@]} -gt 0 ] || die "the mirror has no QEMU $QEMU_MIN or newer for '$code' (QEMU 7" \
		"crashes nested guests): install one by hand."
	step "installing QEMU from $suite" apt_install "${target[@]}"
	qemu_good || die "QEMU was installed but is older than $QEMU_MIN: remove other copies of" \
		"qemu-system-x86_64 from PATH."
}

main() {
	local want=${1:-} check=${2:-}

	case $want in
	build | qemu | all) ;;
	-h | --help) usage 0 ;;
	*) usage 2 ;;
	esac
	cache_init
	STEP_LET_RUN=1
	[ "$want" = qemu ] || suite_adjust
	if [ "$check" = --check ]; then
		if [ "$want" != qemu ] && [ -n "$(missing_build)" ]; then
			exit 1
		fi
		[ "$want" = build ] || qemu_good || exit 1
		return 0
	fi
	if [ "$want" != qemu ] && [ -n "$(missing_build)" ]; then
		with_lock packages install_build
	fi
	if [ "$want" != build ] && ! qemu_good; then
		with_lock packages install_qemu
	fi
}

main "$@"
