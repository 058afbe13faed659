#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the third-party static libraries from their Debian source packages and prints the folder
# they are installed in. Usage: tools/deps.sh [musl|host]

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

SUITES=(trixie forky sid)

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/deps.sh [musl|host]
	Builds liburing, libfdt, Zydis and protobuf-c as static libraries and prints their folder (include, lib,
	lib/pkgconfig). musl (default) is for the VTL2 programs and adds the meson cross file musl.ini;
	host is for glibc programs: put its lib/pkgconfig into PKG_CONFIG_PATH.
	EOT
	exit "$1"
}

# What every library is compiled with: small, hardened, position independent, no paths inside.
flags() {
	local prefix=$1 src=$2 kind=$3

	printf '%s ' -std=gnu11 -g0 -fPIC -ffunction-sections -fdata-sections \
		-fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
		-ftrivial-auto-var-init=zero "-ffile-prefix-map=$src=."
	if [ "$kind" = musl ]; then
		printf '%s ' -Os -idirafter "$prefix/kernel-headers"
	else
		printf '%s ' -O2
	fi
}

# compile LIBRARY FLAGS SOURCE...: one static archive, the same bytes every time.
compile() {
	local lib=$1 flags=$2 src objs=() obj

	shift 2
	rm -f -- "$lib"
	for src in "$@"; do
		obj=$(printf '%s' "${src%.c}.o" | tr / _)
		# shellcheck disable=SC2086
		"$CC" $flags -c -o "$obj" "$src"
		objs+=("$obj")
	done
	ar rcsD "$lib" "${objs[@]}"
}

# pc NAME VERSION LIBS CFLAGS PREFIX [REQUIRES]
pc() {
	cat >"$5/lib/pkgconfig/$1.pc" <<-EOT
	prefix=\${pcfiledir}/../..
	libdir=\${prefix}/lib
	includedir=\${prefix}/include

	Name: $1
	Description: $1, static
	Version: $2
	Requires: ${6:-}
	Libs: -L\${libdir} $3
	Cflags: -I\${includedir} $4
	EOT
}

build_liburing() {
	local prefix=$1 kind=$2 ver

	cd liburing
	ver=$(sed -n 's/^Version: *//p' liburing.spec)
	CFLAGS="$(flags "$prefix" "$PWD" "$kind")" ./configure --cc="$CC" --prefix="$prefix"
	CFLAGS="$(flags "$prefix" "$PWD" "$kind")" make -C src -j "$(nproc)" V=1 ENABLE_SHARED=0 \
		liburing.a
	# Object order in the archive must not depend on make's timing.
	mkdir objs
	(cd objs && ar x ../src/liburing.a && ar rcsD "$prefix/lib/liburing.a" ./*)
	mkdir -p "$prefix/include/liburing"
	cp src/include/liburing.h "$prefix/include/"
	cp src/include/liburing/*.h "$prefix/include/liburing/"
	pc liburing "$ver" -luring "" "$prefix"
}

build_libfdt() {
	local prefix=$1 kind=$2

	cd device-tree-compiler/libfdt
	compile "$prefix/lib/libfdt.a" "$(flags "$prefix" "$PWD" "$kind") -I." ./*.c
	cp fdt.h libfdt.h libfdt_env.h "$prefix/include/"
	pc libfdt "$(sed 's/[^0-9.].*//' ../VERSION.txt)" -lfdt "" "$prefix"
}

build_zydis() {
	local prefix=$1 kind=$2 defs="-DZYDIS_STATIC_BUILD -DZYCORE_STATIC_BUILD"

	cp -r zycore-c/include/Zycore zydis/include/Zydis "$prefix/include/"
	(
		cd zycore-c
		compile "$prefix/lib/libZycore.a" \
			"$(flags "$prefix" "$PWD" "$kind") $defs -DNDEBUG -Iinclude -Isrc" src/*.c src/API/*.c
	)
	cd zydis
	compile "$prefix/lib/libZydis.a" \
		"$(flags "$prefix" "$PWD" "$kind") $defs -DNDEBUG -Iinclude -Isrc -I$prefix/include" src/*.c
	pc zycore "$(sed -n 's/^project(Zycore VERSION \([0-9.]*\) .*/\1/p' ../zycore-c/CMakeLists.txt)" \
		-lZycore "-DZYCORE_STATIC_BUILD" "$prefix"
	pc zydis "$(sed -n 's/^project(Zydis VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)" \
		-lZydis "-DZYDIS_STATIC_BUILD" "$prefix" zycore
}

# The run-time half only; the generator is the machine's own and may be older.
build_protobuf_c() {
	local prefix=$1 kind=$2

	cd protobuf-c
	compile "$prefix/lib/libprotobuf-c.a" "$(flags "$prefix" "$PWD" "$kind") -DNDEBUG -I." \
		protobuf-c/protobuf-c.c
	mkdir -p "$prefix/include/protobuf-c"
	cp protobuf-c/protobuf-c.h "$prefix/include/protobuf-c/"
	pc libprotobuf-c "$(sed -n 's/^#define PROTOBUF_C_VERSION[ \t]*"\([0-9.]*\)"$/\1/p' \
		protobuf-c/protobuf-c.h)" -lprotobuf-c "" "$prefix"
}

# musl's compiler wrapper hides the system's headers; the kernel's own are independent of the C
# library and are looked for last.
kernel_headers() {
	local dir arch

	mkdir -p "$1/kernel-headers"
	arch=/usr/include/$(gcc -print-multiarch)
	for dir in linux asm-generic mtd rdma sound drm; do
		[ ! -d "/usr/include/$dir" ] || ln -s "/usr/include/$dir" "$1/kernel-headers/$dir"
	done
	[ -d "$arch/asm" ] || arch=/usr/include
	ln -s "$arch/asm" "$1/kernel-headers/asm"
}

cross_file() {
	cat >"$1/musl.ini" <<-EOT
	# Meson cross file: static programs against musl.
	[binaries]
	c = 'musl-gcc'
	ar = 'gcc-ar'
	nm = 'nm'
	ranlib = 'gcc-ranlib'
	strip = 'strip'
	objcopy = 'objcopy'
	pkgconfig = 'pkg-config'
	pkg-config = 'pkg-config'

	[properties]
	pkg_config_libdir = '$KEEL_OUT/lib/pkgconfig'
	needs_exe_wrapper = false

	[built-in options]
	c_args = ['-idirafter$KEEL_OUT/kernel-headers']
	c_link_args = ['-static']

	[host_machine]
	system = 'linux'
	cpu_family = 'x86_64'
	cpu = 'x86_64'
	endian = 'little'
	EOT
}

build_deps() {
	local prefix=$1 kind=$2 pkg

	need_space 300
	mkdir -p "$prefix"/{include,lib/pkgconfig,build}
	[ "$kind" = host ] || kernel_headers "$prefix"
	cd "$prefix/build"
	for pkg in liburing device-tree-compiler zydis zycore-c protobuf-c; do
		apt_source "$pkg" "$PWD/$pkg" "${SUITES[@]}"
		printf '%s\n' "$SOURCE_ID" >>"$prefix/sources.txt"
	done
	step "building liburing ($kind)" in_folder "$PWD" build_liburing "$prefix" "$kind"
	step "building libfdt ($kind)" in_folder "$PWD" build_libfdt "$prefix" "$kind"
	step "building Zydis ($kind)" in_folder "$PWD" build_zydis "$prefix" "$kind"
	step "building protobuf-c ($kind)" in_folder "$PWD" build_protobuf_c "$prefix" "$kind"
	[ "$kind" = host ] || cross_file "$prefix"
	cd "$prefix"
	rm -rf build
}

main() {
	local kind=${1:-musl} name

	case $kind in
	musl)
		CC=musl-gcc
		name=deps
		;;
	host)
		CC=gcc
		name=deps-host
		;;
	-h | --help) usage 0 ;;
	*) usage 2 ;;
	esac
	command -v "$CC" dpkg-source ar make >/dev/null ||
		die "build tools are missing: run tools/packages.sh build."
	cached "$name" "$(hash_of "$KEEL_TOOLS/deps.sh" "$kind" "$(gcc -dumpfullversion)")" \
		build_deps "$kind"
	result "$REPLY"
}

main "$@"
