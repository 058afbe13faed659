# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Shared by every script in this folder: logging, errors, the cache, and a private apt root from
# which packages of any Debian suite are taken without touching /etc/apt.
#
# Conventions: a script prints its one result (a directory) on stdout and everything else on
# stderr. Build functions run in their own subshell with errexit on, in an empty directory that is
# renamed into the cache only when they succeed.

set -euo pipefail
shopt -s inherit_errexit nullglob
export LC_ALL=C
umask 022

# fd 3 is the real stdout; anything a tool prints goes to stderr.
exec 3>&1 1>&2

KEEL_TOOLS=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that include this
KEEL_ROOT=${KEEL_TOOLS%/*}
KEEL_SELF=${0##*/}
KEEL_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/keel
# Every build uses one fixed time stamp, so that results do not depend on the day.
export SOURCE_DATE_EPOCH=1735689600

# ---- messages -------------------------------------------------------------------------------------

log() {
	printf '%s\n' "keel: $*" >&2
}

# One sentence: what is wrong and what to do about it.
die() {
	printf '%s\n' "keel: $KEEL_SELF: $*" >&2
	exit 1
}

result() {
	printf '%s\n' "$1" >&3
}

free_mib() {
	df -Pm -- "$1" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

die_disk_full() {
	die "the disk that holds $KEEL_CACHE is full ($(free_mib "$KEEL_CACHE") MiB free):" \
		"free some space or set XDG_CACHE_HOME to a folder on a larger disk."
}

# need_space MIB: refuses to start something that cannot fit.
need_space() {
	local free
	free=$(free_mib "$KEEL_CACHE")
	[ "${free:-0}" -ge "$1" ] ||
		die "the disk that holds $KEEL_CACHE has ${free:-0} MiB free but $1 MiB are needed:" \
			"free some space or set XDG_CACHE_HOME to a folder on a larger disk."
}

# Ends a process and everything below it, except this shell.
kill_tree() {
	local child

	# shellcheck disable=SC2013 # the words are the process ids
	for child in $(cat "/proc/$1/task"/*/children 2>/dev/null); do
		kill_tree "$child"
	done
	[ "$1" -eq "$BASHPID" ] || kill -KILL "$1" 2>/dev/null || true
}

# Shows that a long step is alive: a line that counts on a terminal, a line every 15 s elsewhere.
# When the script itself is gone, however it ended, ends the step too (STEP_LET_RUN=1 keeps what
# must not be cut off).
step_ticker() {
	local text=$1 start=$SECONDS parent=$2 shown=0 elapsed

	exec 3>&- 9>&-
	trap 'exit 0' TERM
	while sleep 1; do
		if ! kill -0 $$ 2>/dev/null || ! kill -0 "$parent" 2>/dev/null; then
			[ -n "${STEP_LET_RUN:-}" ] || kill_tree "$parent"
			exit
		fi
		elapsed=$((SECONDS - start))
		if [ -t 2 ]; then
			[ "$elapsed" -lt 2 ] || printf '\rkeel: %s (%d s) ' "$text" "$elapsed" >&2
		elif [ $((elapsed - shown)) -ge 15 ]; then
			shown=$elapsed
			log "$text (still running, $elapsed s)"
		fi
	done
}

# step_run TEXT COMMAND...: runs the command with its output in STEP_LOG and sets STEP_RC to its status.
step_run() {
	local text=$1 self=$BASHPID ticker rc start=$SECONDS

	shift
	STEP_LOG=$(mktemp "$KEEL_CACHE/tmp/log.XXXXXX" 2>/dev/null) || die_disk_full
	log "$text"
	step_ticker "$text" "$self" &
	ticker=$!
	set +e
	(set -e; exec 9>&- 3>&-; "$@") >"$STEP_LOG" 2>&1 </dev/null
	rc=$?
	set -e
	kill "$ticker" 2>/dev/null || true
	wait "$ticker" 2>/dev/null || true
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ "$rc" -eq 0 ]; then
		rm -f -- "$STEP_LOG"
		[ $((SECONDS - start)) -lt 2 ] || log "$text: done in $((SECONDS - start)) s"
	fi
	STEP_RC=$rc
}

# step TEXT COMMAND...: as step_run, but on failure shows the end of the log and stops.
step() {
	step_run "$@"
	[ "$STEP_RC" -eq 0 ] || step_failed "$1" "$STEP_LOG" "$STEP_RC"
}

# in_folder DIR COMMAND...: runs it there, in a subshell.
in_folder() {
	(
		set -e
		cd -- "$1"
		shift
		"$@"
	)
}

step_failed() {
	local text=$1 logfile=$2 rc=$3

	if grep -qi 'no space left on device' "$logfile" || [ "$(free_mib "$KEEL_CACHE")" -lt 16 ]; then
		rm -f -- "$logfile"
		die_disk_full
	fi
	if grep -qE 'Could not resolve|Temporary failure resolving|Unable to connect|Failed to fetch' \
		"$logfile"; then
		tail -n 5 -- "$logfile" >&2
		rm -f -- "$logfile"
		die "$text: the package mirror could not be reached: check the network connection and" \
			"the entries in /etc/apt, then run this again."
	fi
	tail -n 25 -- "$logfile" >&2
	die "$text failed with status $rc: the last lines are above, the whole log is in $logfile."
}

# ---- cache ----------------------------------------------------------------------------------------

cache_init() {
	mkdir -p -- "$KEEL_CACHE"/{tmp,lock,dl,apt} 2>/dev/null ||
		die "cannot create $KEEL_CACHE: make it writable or set XDG_CACHE_HOME to another folder."
	[ -w "$KEEL_CACHE/tmp" ] ||
		die "cannot write to $KEEL_CACHE: make it writable or set XDG_CACHE_HOME to another folder."
	KEEL_CACHE=$(cd -- "$KEEL_CACHE" && pwd -P)
}

# hash_of WORD...: a short name for a set of inputs; words that name files count by content.
hash_of() {
	local word files=()

	for word in "$@"; do
		[ ! -f "$word" ] || files+=("$word")
	done
	{
		printf '%s\n' "${@##*/}"
		[ ${#files[@]} -eq 0 ] || cat -- "${files[@]}"
	} | sha256sum | cut -c1-16
}

# with_lock NAME COMMAND...: one process at a time; the lock dies with this process, because no
# child inherits it.
with_lock() {
	local name=$1

	shift
	exec 9>"$KEEL_CACHE/lock/$name" || die_disk_full
	if ! flock -n 9; then
		log "waiting for another run that is preparing '$name'"
		flock 9
	fi
	"$@"
	exec 9>&-
}

# cached KIND HASH FUNCTION [ARG...]: sets REPLY to $KEEL_CACHE/KIND-HASH, building it first when
# it is not there. FUNCTION runs in a fresh directory, also passed as its first argument, which
# becomes the result and whose final name is KEEL_OUT. KEEL_REFRESH=1 builds again.
cached() {
	local kind=$1 hash=$2

	cache_init
	REPLY=$KEEL_CACHE/$kind-$hash
	if [ -d "$REPLY" ] && [ -z "${KEEL_REFRESH:-}" ]; then
		return
	fi
	with_lock "$kind-$hash" cached_build "$@"
	REPLY=$KEEL_CACHE/$kind-$hash
}

# Removes what killed runs have left: build folders whose lock is free, and anything else that is a
# day old.
cached_sweep() {
	local dir name

	for dir in "$KEEL_CACHE/tmp"/*-????????????????.??????; do
		name=${dir##*/}
		name=${name%.*}
		[ -e "$KEEL_CACHE/lock/$name" ] || continue
		flock -n "$KEEL_CACHE/lock/$name" rm -rf -- "$dir" || true
	done
	find "$KEEL_CACHE/tmp" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} + 2>/dev/null || true
}

cached_build() {
	local kind=$1 hash=$2 fn=$3 tmp rc out

	shift 3
	out=$KEEL_CACHE/$kind-$hash
	# shellcheck disable=SC2034 # for build functions that record the final name
	KEEL_OUT=$out
	if [ -d "$out" ] && [ -z "${KEEL_REFRESH:-}" ]; then
		return
	fi
	# We hold the lock: whatever is left under this name belongs to a run that was killed.
	rm -rf -- "$KEEL_CACHE/tmp/$kind-$hash".* 2>/dev/null || true
	cached_sweep
	tmp=$(mktemp -d "$KEEL_CACHE/tmp/$kind-$hash.XXXXXX") || die_disk_full
	chmod 755 "$tmp"
	set +e
	(
		set -e
		exec 9>&- 3>&-
		cd -- "$tmp"
		"$fn" "$tmp" "$@"
	)
	rc=$?
	set -e
	if [ "$rc" -ne 0 ]; then
		rm -rf -- "$tmp" || true
		exit "$rc"
	fi
	if [ -d "$out" ]; then
		mv -T -- "$out" "$tmp.old"
	fi
	mv -T -- "$tmp" "$out" || die_disk_full
	rm -rf -- "$tmp.old"
}

# ---- privileges -----------------------------------------------------------------------------------

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		die "installing packages needs root: run this as root once, or install sudo."
	fi
}

# ---- private apt root -----------------------------------------------------------------------------

debian_codename() {
	# shellcheck disable=SC1091
	(. /etc/os-release && printf '%s\n' "${VERSION_CODENAME:-}")
}

# apt_pick_source CODENAME SCORE [OPTION]: the best entry of the machine that reaches the score, as
# "URI|...|file:line". Origin and label tell Debian's archive for certain; failing these, an entry
# of this release under a path named debian has to do.
apt_pick_source() {
	apt-get indextargets ${3:+"$3"} --format \
		'$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)' \
		'Created-By: Packages' 2>/dev/null |
		awk -F'|' -v code="$1" -v best="$2" '
			$1 ~ /^cdrom:/ || $5 != "main" { next }
			{ score = 0 }
			$4 == code && $1 ~ /\/debian\/?$/ { score = 1 }
			$2 == "Debian" && $3 == "Debian" { score = 2 }
			score >= best { best = score + 1; found = $0 }
			END { print found }'
}

# Sets APT_URI and APT_KEYRING from the machine's own configuration. apt itself reads its sources
# (both file formats), and what is not Debian's main archive is left aside.
apt_machine_source() {
	local line sources code

	[ -z "${APT_URI:-}" ] || return 0
	command -v apt-get >/dev/null || die "apt-get is missing: this needs a Debian machine."
	code=$(debian_codename)
	APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
	if [ -n "${KEEL_DEBIAN_MIRROR:-}" ]; then
		APT_URI=$KEEL_DEBIAN_MIRROR
	else
		# The second form answers before any list was fetched, but cannot say whose it is.
		line=$(apt_pick_source "$code" 2)
		[ -n "$line" ] || line=$(apt_pick_source "$code" 1 --no-release-info)
		[ -n "$line" ] ||
			die "no Debian archive entry was found in /etc/apt: add one for '$code' or set" \
				"KEEL_DEBIAN_MIRROR to the mirror's address."
		APT_URI=${line%%|*}
		sources=${line##*|}
		sources=${sources%:*}
		line=$(grep -ohiE '(Signed-By: *|signed-by=)/[^] ]+' "$sources" 2>/dev/null | head -n 1) || true
		line=${line#*[:=]}
		line=${line# }
		# Debian's keyrings of one release do not cover the others; its complete one does.
		case $line in
		'' | /usr/share/keyrings/debian-archive-*) ;;
		*) [ ! -r "$line" ] || APT_KEYRING=$line ;;
		esac
	fi
	APT_URI=${APT_URI%/}/
}

# apt_root NAME "deb|deb-src SUITE"...: prepares the private root NAME with these entries and
# fetches their lists when they are older than a day. Sets APT_CONFIG for later apt calls.
apt_root() {
	local name=$1 root

	shift
	cache_init
	apt_machine_source
	root=$KEEL_CACHE/apt/$name
	APT_ROOT=$root
	export APT_CONFIG=$root/apt.conf
	with_lock "apt-$name" apt_root_locked "$root" "$@"
}

apt_root_locked() {
	local root=$1 entry signed="" wanted

	shift
	[ ! -r "$APT_KEYRING" ] || signed=" [signed-by=$APT_KEYRING]"
	wanted=$(for entry in "$@"; do
		printf '%s%s %s %s main\n' "${entry%% *}" "$signed" "$APT_URI" "${entry#* }"
	done)
	if [ -f "$root/stamp" ] && [ "$(cat "$root/sources.list" 2>/dev/null)" = "$wanted" ] &&
		[ -n "$(find "$root/stamp" -mmin -1440)" ] && [ -z "${KEEL_REFRESH:-}" ]; then
		return
	fi
	rm -f -- "$root/stamp"
	mkdir -p -- "$root/lists/partial" "$root/cache/archives/partial" || die_disk_full
	printf '%s\n' "$wanted" >"$root/sources.list" || die_disk_full
	# The machine's own settings (proxies and the like) stay in force; only where apt looks and
	# what it may run afterwards changes.
	cat >"$root/apt.conf" <<-EOT || die_disk_full
	Dir::Etc::sourcelist "$root/sources.list";
	Dir::Etc::sourceparts "/dev/null";
	Dir::Etc::preferences "/dev/null";
	Dir::Etc::preferencesparts "/dev/null";
	Dir::State::lists "$root/lists";
	Dir::Cache "$root/cache";
	Dir::Cache::archives "$root/cache/archives";
	Dir::Cache::pkgcache "pkgcache.bin";
	Dir::Cache::srcpkgcache "srcpkgcache.bin";
	Dir::Log "$root";
	APT::Sandbox::User "root";
	Acquire::Languages "none";
	Acquire::Retries "3";
	#clear Acquire::IndexTargets;
	Acquire::IndexTargets::deb::Packages {
		MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages";
		flatMetaKey "Packages";
		ShortDescription "Packages";
		Description "\$(RELEASE)/\$(COMPONENT) \$(ARCHITECTURE) Packages";
	};
	Acquire::IndexTargets::deb-src::Sources {
		MetaKey "\$(COMPONENT)/source/Sources";
		flatMetaKey "Sources";
		ShortDescription "Sources";
		Description "\$(RELEASE)/\$(COMPONENT) Sources";
	};
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
	EOT
	step "fetching package lists ($*)" apt-get -q update --error-on=any
	touch "$root/stamp"
}

# apt_version PACKAGE: the candidate version in the current root, or nothing.
apt_version() {
	apt-cache madison "$1" 2>/dev/null | awk -F' *[|] *' -v p="$1" '
		{ sub(/^ */, "", $1) } $1 == p { print $2; exit }'
}

# apt_deb PACKAGE: sets REPLY to the downloaded .deb of the newest version in the current root.
# Downloads are kept under a name that holds the version, so nothing is fetched twice.
apt_deb() {
	local pkg=$1 ver

	ver=$(apt_version "$pkg")
	[ -n "$ver" ] || die "package $pkg is in none of the suites $(awk '{ printf "%s ", $(NF - 1) }' \
		"$APT_ROOT/sources.list")of the mirror: set KEEL_DEBIAN_MIRROR to one that has it."
	REPLY=$KEEL_CACHE/dl/${pkg}_${ver//:/%3a}.deb
	[ -f "$REPLY" ] || with_lock "dl-$pkg" apt_deb_fetch "$pkg" "$ver" "$REPLY"
}

apt_deb_fetch() {
	local pkg=$1 ver=$2 out=$3 tmp files

	[ ! -f "$out" ] || return 0
	tmp=$(mktemp -d "$KEEL_CACHE/tmp/dl.XXXXXX") || die_disk_full
	step "downloading $pkg $ver" in_folder "$tmp" apt-get -q download "$pkg=$ver"
	files=("$tmp"/*.deb)
	mv -- "${files[0]}" "$out" || die_disk_full
	rm -rf -- "$tmp"
}

# apt_source PACKAGE DIR SUITE...: unpacks a source package as DIR, from the first suite whose files
# the mirror really has. Sets SOURCE_ID to its version and the hash of its upstream archive.
apt_source() {
	local pkg=$1 dir=$2 suite ver store dsc orig

	shift 2
	for suite in "$@"; do
		apt_root "$suite-src" "deb-src $suite"
		ver=$(apt-cache showsrc --only-source "$pkg" 2>/dev/null |
			sed -n 's/^Version: //p' | sort -V | tail -n 1)
		[ -n "$ver" ] || continue
		store=$KEEL_CACHE/dl/src-${pkg}_${ver//:/%3a}
		[ -d "$store" ] || with_lock "dl-src-$pkg" apt_source_fetch "$pkg" "$ver" "$store"
		[ -d "$store" ] || continue
		dsc=("$store"/*.dsc)
		orig=("$store"/*.orig.tar.[gx]z)
		SOURCE_ID="$pkg $ver $(sha256sum <"${orig[0]}" | cut -d' ' -f1)"
		if [ ${#dsc[@]} -gt 0 ]; then
			step "unpacking $pkg $ver" dpkg-source --no-check -x "${dsc[0]}" "$dir"
		else
			SOURCE_ID="$SOURCE_ID (upstream archive only)"
			mkdir -- "$dir"
			step "unpacking $pkg $ver" tar -x -f "${orig[0]}" -C "$dir" --strip-components=1
		fi
		return
	done
	die "the source package $pkg cannot be fetched from $* of the mirror: check the network, or set" \
		"KEEL_DEBIAN_MIRROR to a full mirror."
}

# Some mirrors list source packages of which they hold only the upstream archive; apt checks that
# one against the signed lists just the same, so it will do where the whole cannot be had.
apt_source_fetch() {
	local pkg=$1 ver=$2 store=$3 part tmp

	[ ! -d "$store" ] || return 0
	for part in "" --tar-only; do
		tmp=$(mktemp -d "$KEEL_CACHE/tmp/dl.XXXXXX") || die_disk_full
		step_run "downloading the source of $pkg $ver${part:+ (upstream archive only)}" \
			in_folder "$tmp" apt-get -q source --download-only $part --only-source "$pkg=$ver"
		if [ "$STEP_RC" -eq 0 ]; then
			chmod 755 "$tmp"
			mv -T -- "$tmp" "$store" || die_disk_full
			return
		fi
		rm -rf -- "$tmp" "$STEP_LOG"
	done
	log "the mirror lists $pkg $ver but does not hand it out"
}

# ---- kernel modules -------------------------------------------------------------------------------

# modules_depmod DIR: writes modules.dep and its relatives in DIR, a kernel's .../lib/modules/RELEASE.
# Packages leave that to the machine they are installed on.
modules_depmod() {
	local tool

	tool=$(PATH=$PATH:/usr/sbin:/sbin command -v depmod) ||
		die "depmod is missing: run tools/packages.sh build."
	"$tool" -b "${1%/lib/modules/*}" "${1##*/}"
}

# modules_closure DIR NAME...: sets MODULES_REPLY to the files below DIR of these modules and of all
# they depend on, in the order in which they can be loaded. What is built in is left out; a name
# that ends in "?" may be missing.
modules_closure() {
	local dir=$1 name

	shift
	MODULES_REPLY=()
	for name in "$@"; do
		modules_need "$dir" "$name"
	done
}

# modules.dep has one line per module: "its path: dependencies, each of which has a line too".
modules_need() {
	local dir=$1 name=${2%\?} pattern line path dep

	pattern=${name//[-_]/[-_]}
	if grep -qE "/$pattern\.ko$" "$dir/modules.builtin"; then
		return
	fi
	if ! line=$(grep -E "/$pattern\.ko(\.[a-z]+)?:" "$dir/modules.dep"); then
		[ "$name" != "$2" ] || die "kernel ${dir##*/} has no module $name."
		return 0
	fi
	path=${line%%:*}
	for dep in "${MODULES_REPLY[@]}"; do
		[ "$dep" != "$path" ] || return 0
	done
	for dep in ${line#*:}; do
		dep=${dep##*/}
		modules_need "$dir" "${dep%%.ko*}"
	done
	MODULES_REPLY+=("$path")
}

# modules_copy FROM TO: uncompressed, whatever the package holds.
modules_copy() {
	case $1 in
	*.xz) xz -dc "$1" >"$2" ;;
	*.zst) zstd -dcq "$1" >"$2" ;;
	*.gz) gzip -dc "$1" >"$2" ;;
	*) cp "$1" "$2" ;;
	esac
}

# modules_tree FROM TO NAME...: a modules folder TO with these modules of FROM, all they depend on,
# and the tables that modprobe reads. Both end in lib/modules/RELEASE.
modules_tree() {
	local from=$1 to=$2 path

	shift 2
	mkdir -p "$to"
	cp -- "$from"/modules.{builtin,builtin.modinfo,order} "$to"
	modules_closure "$from" "$@"
	for path in "${MODULES_REPLY[@]}"; do
		mkdir -p "$to/${path%/*}"
		modules_copy "$from/$path" "$to/${path%%.ko*}.ko"
	done
	modules_depmod "$to"
}
