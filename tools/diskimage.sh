#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Builds the disk of the VTL0 guest: Debian with systemd on a raw disk image, made of packages,
# whose kernel comes from tools/guest.sh. Usage: tools/diskimage.sh [SUITE]

# shellcheck source=tools/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# A system that starts, the programs that look at disks, and those that put load on them.
PACKAGES=(systemd-sysv udev kmod procps util-linux e2fsprogs btrfs-progs fio sg3-utils nvme-cli
	lsscsi fdisk dmsetup python3-minimal)
LABEL=keel-root
SIZE_MIB=2560
# So that two builds differ in nothing that they need not differ in.
ROOT_UUID=6b65656c-0000-4000-8000-726f6f740001
HASH_SEED=6b65656c-0000-4000-8000-726f6f740002
DISK_UUID=6B65656C-0000-4000-8000-6469736B0001
PART_UUID=6B65656C-0000-4000-8000-706172740001
# What a disposable machine without a network does not need; under an emulator each costs a second.
MASKED=(
	getty.target serial-getty@ttyS0.service systemd-logind.service systemd-user-sessions.service
	systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-random-seed.service
	systemd-pstore.service systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
	dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
	sys-kernel-config.mount sys-fs-fuse-connections.mount modprobe@.service
	systemd-ask-password-console.path systemd-ask-password-wall.path systemd-journal-flush.service
	systemd-tmpfiles-clean.timer e2scrub_reap.service e2scrub_all.timer fstrim.timer
	dpkg-db-backup.timer nvmf-autoconnect.service nvmefc-boot-connections.service
	nvmf-connect.target systemd-networkd.service systemd-boot-system-token.service
)

usage() {
	cat >&2 <<-'EOT'
	Usage: tools/diskimage.sh [SUITE]
	Builds a disk image with Debian SUITE (default: this machine's release) and prints the folder
	with disk.img, a raw image with one ext4 partition, and build-info.json.
	EOT
	exit "$1"
}

# What the machine's apt is told of the way to the mirror; mmdebstrap does not ask for it.
acquire_settings() {
	apt-config dump --no-empty --format '%F "%v";%n' Acquire |
		grep -E '^Acquire::(https?|ftp)::|^Acquire::(Retries|ForceIPv)' || true
}

bootstrap() {
	local suite=$1 sources=$2

	env -u APT_CONFIG mmdebstrap --variant=essential --skip=cleanup/apt \
		--include="$(IFS=,; printf '%s' "${PACKAGES[*]}")" --aptopt="$PWD/acquire.conf" \
		--aptopt='APT::Sandbox::User "root"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-include=/usr/share/doc/sg3-utils*' \
		"$suite" root.tar "$sources"
}

# put FILE MODE: standard input as that file of the root.
put() {
	mkdir -p "root/${1%/*}"
	cat >"root/$1"
	chmod "$2" "root/$1"
}

write_units() {
	put etc/systemd/system/keel-exec.service 644 <<-'EOT'
	[Unit]
	Description=Scripts that come through the second serial port

	[Service]
	ExecStart=-/usr/lib/keel/agent agent
	KillMode=mixed
	TimeoutStopSec=5

	[Install]
	WantedBy=multi-user.target
	EOT
	put etc/systemd/system/keel-console.service 644 <<-'EOT'
	[Unit]
	Description=A shell on the console
	After=multi-user.target

	[Service]
	Environment=HOME=/root TERM=vt102
	WorkingDirectory=/root
	ExecStart=-/bin/bash --login
	StandardInput=tty-force
	StandardOutput=tty
	TTYPath=/dev/ttyS0
	Restart=always
	RestartSec=1
	KillMode=process
	SendSIGHUP=yes
	TimeoutStopSec=5

	[Install]
	WantedBy=multi-user.target
	EOT
	mkdir -p root/etc/systemd/system/multi-user.target.wants
	ln -sf ../keel-exec.service ../keel-console.service root/etc/systemd/system/multi-user.target.wants
	ln -sf /lib/systemd/system/multi-user.target root/etc/systemd/system/default.target
}

# Settings that a machine would get from its installer.
write_settings() {
	local unit

	put etc/hostname 644 <<<vtl0
	put etc/hosts 644 <<<'127.0.0.1 localhost vtl0'
	put etc/machine-id 444 <<<6b65656c000040008000766d30303031
	put etc/fstab 644 <<<"LABEL=$LABEL / ext4 defaults 0 0"
	put etc/systemd/journald.conf.d/keel.conf 644 <<<$'[Journal]\nStorage=volatile\nRuntimeMaxUse=16M'
	put etc/systemd/system.conf.d/keel.conf 644 <<<$'[Manager]\nDefaultTimeoutStartSec=300\nDefaultTimeoutStopSec=30\nShowStatus=no'
	put root/.profile 600 <<<"export PS1='root@vtl0:\\w# '"
	for unit in "${MASKED[@]}"; do
		ln -sf /dev/null "root/etc/systemd/system/$unit"
	done
	rm -rf root/var/cache/apt root/var/lib/apt root/var/cache/debconf root/var/log/*.log
	# Nothing is left to be done at the first boot.
	touch -r root/usr root/etc/.updated root/var/.updated
}

# make_root GUEST: the files, owned as they should be. As root, or in fakeroot.
make_root() {
	local guest=$1

	mkdir root
	tar -x -f root.tar -C root --numeric-owner
	cp -r -- "$guest/disk/lib/modules" root/usr/lib/
	chown -R 0:0 root/usr/lib/modules
	mkdir -p root/usr/lib/keel
	cp -- "$KEEL_TOOLS/guest-init.sh" root/usr/lib/keel/agent
	chmod 755 root/usr/lib/keel/agent
	write_units
	write_settings
	find root -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	make_disk
}

# One partition behind the first MiB; the last one belongs to the second partition table.
make_disk() {
	truncate -s "${SIZE_MIB}M" disk.img
	printf 'label: gpt\nlabel-id: %s\nstart=1MiB, size=%dMiB, type=linux, uuid=%s, name=%s\n' \
		"$DISK_UUID" $((SIZE_MIB - 2)) "$PART_UUID" "$LABEL" |
		PATH=$PATH:/sbin:/usr/sbin sfdisk -q --no-reread --no-tell-kernel disk.img
	E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH PATH=$PATH:/sbin:/usr/sbin mke2fs -q -F -t ext4 -m 0 \
		-L "$LABEL" -U "$ROOT_UUID" -O '^orphan_file' -d root \
		-E "offset=1048576,hash_seed=$HASH_SEED,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" \
		disk.img "$((SIZE_MIB - 2))M"
}

build_disk() {
	local out=$1 suite=$2 guest=$3 run=()

	need_space 3500
	mkdir build
	cd build
	apt_root "$suite" "deb $suite"
	acquire_settings >acquire.conf
	step "installing Debian $suite in a folder" bootstrap "$suite" "$APT_ROOT/sources.list"
	[ "$(id -u)" -eq 0 ] || run=(fakeroot)
	step "making the disk image" "${run[@]}" "$KEEL_TOOLS/diskimage.sh" --make-root "$guest"
	mv disk.img "$out/disk.img"
	cat >"$out/build-info.json" <<-EOT
	{
	  "suite": "$suite",
	  "guest": "${guest##*/}",
	  "packages": "$(tar -x -O -f root.tar ./var/lib/dpkg/status | awk '
		/^Package: / { p = $2 } /^Version: / { printf "%s %s, ", p, $2 }' | sed 's/, $//')",
	  "disk_sha256": "$(sha256sum <"$out/disk.img" | cut -d' ' -f1)"
	}
	EOT
	cd "$out"
	chmod -R u+w build
	rm -rf build
}

main() {
	local suite=${1:-} guest

	case $suite in
	-h | --help) usage 0 ;;
	--make-root) make_root "$2"; return ;;
	-*) usage 2 ;;
	esac
	suite=${suite:-$(debian_codename)}
	command -v mmdebstrap >/dev/null || die "build tools are missing: run tools/packages.sh build."
	guest=$("$KEEL_TOOLS/guest.sh" "$suite")
	cached "disk-$suite" "$(hash_of "$KEEL_TOOLS/diskimage.sh" "$KEEL_TOOLS/guest-init.sh" "$guest")" \
		build_disk "$suite" "$guest"
	result "$REPLY"
}

main "$@"
