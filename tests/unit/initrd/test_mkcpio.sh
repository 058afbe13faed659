#!/bin/sh
# SPDX-License-Identifier: MIT
# mkcpio: the archive is what the manifest says, the same every time, and errors are found.
# Usage: test_mkcpio.sh MKCPIO
set -eu
export LC_ALL=C
unset SOURCE_DATE_EPOCH
mkcpio=$(realpath "$1")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

mkdir "$tmp/a" "$tmp/b"
printf 'program' >"$tmp/a/prog"
printf 'x' >"$tmp/a/plain"
cp "$tmp/a/prog" "$tmp/b/renamed"
cp "$tmp/a/plain" "$tmp/b/plain"
touch -d 2001-01-01 "$tmp/b/renamed" "$tmp/b/plain"
chmod 0600 "$tmp/b/renamed"
cat >"$tmp/a/m.txt" <<EOT
# comment
file /sbin/prog 0755 @prog
include base.txt
slink /bin sbin

file /etc/plain 0640 plain
EOT
cat >"$tmp/a/base.txt" <<EOT
dir /sbin 0755
dir /etc 0700
dir /dev 0755
nod /dev/console 0600 c 5 1
EOT
# The other manifest lists the same things in another order, in one file.
(echo "file /etc/plain 0640 plain"; cat "$tmp/a/base.txt"; echo "slink /bin sbin"
	echo "file /sbin/prog 0755 @p") >"$tmp/b/m.txt"

"$mkcpio" --manifest "$tmp/a/m.txt" --output "$tmp/a.gz" --define "prog=$tmp/a/prog"
(cd "$tmp/b" && TZ=Asia/Tokyo "$mkcpio" --define p=renamed --output ../b.gz --manifest m.txt)
cmp "$tmp/a.gz" "$tmp/b.gz" || fail "two builds differ"

gzip -dc "$tmp/a.gz" >"$tmp/a.cpio"
cpio --quiet -it <"$tmp/a.cpio" >"$tmp/names"
printf '%s\n' bin dev dev/console etc etc/plain sbin sbin/prog | cmp - "$tmp/names" ||
	fail "wrong names or order"
TZ=UTC cpio --quiet -itvn <"$tmp/a.cpio" | awk '{ print $1, $3, $4, $5 }' >"$tmp/list"
cat >"$tmp/expected" <<EOT
lrwxrwxrwx 0 0 4
drwxr-xr-x 0 0 0
crw------- 0 0 5,
drwx------ 0 0 0
-rw-r----- 0 0 1
drwxr-xr-x 0 0 0
-rwxr-xr-x 0 0 7
EOT
diff -u "$tmp/expected" "$tmp/list" || fail "wrong modes, owners or sizes"
cpio --quiet -itv <"$tmp/a.cpio" | grep -q '  *5,  *1 .*dev/console' || fail "wrong device number"
[ "$(cd "$tmp" && cpio --quiet -i --to-stdout sbin/prog <a.cpio)" = program ] || fail "wrong content"

SOURCE_DATE_EPOCH=86400 "$mkcpio" --manifest "$tmp/a/m.txt" --output "$tmp/c.gz" \
	--define "prog=$tmp/a/prog"
gzip -dc "$tmp/c.gz" | TZ=UTC cpio --quiet -itv | grep -q 'Jan  2  1970 etc$' || fail "wrong time"

refuse() {
	rm -f "$tmp/bad.gz"
	printf '%s\n' "$2" >"$tmp/bad.txt"
	if "$mkcpio" --manifest "$tmp/bad.txt" --output "$tmp/bad.gz" 2>"$tmp/err"; then
		fail "accepted: $1"
	fi
	[ -s "$tmp/err" ] || fail "no message: $1"
	[ ! -e "$tmp/bad.gz" ] || fail "left an archive behind: $1"
}
refuse "missing source" "file /x 0644 nothing-here"
refuse "undefined source" "file /x 0644 @nothing"
refuse "missing parent" "file /etc/x 0644 a/plain"
refuse "parent is no folder" "slink /etc x
file /etc/x 0644 a/plain"
refuse "listed twice" "dir /x 0755
dir /x 0755"
refuse "bad mode" "dir /x 0799"
refuse "huge mode" "dir /x 10000"
refuse "relative path" "dir x 0755"
refuse "dot dot" "dir /../x 0755"
refuse "slash at the end" "dir /x/ 0755"
refuse "bad device" "nod /x 0600 q 1 1"
refuse "unknown word" "fifo /x 0600"
refuse "too many words" "dir /x 0755 y"
refuse "includes itself" "include bad.txt"
if "$mkcpio" --manifest "$tmp/none" --output "$tmp/bad.gz" 2>/dev/null; then
	fail "accepted a missing manifest"
fi
if "$mkcpio" --manifest "$tmp/a/m.txt" --output /dev/full --define "prog=$tmp/a/prog" 2>/dev/null
then
	fail "wrote to a full disk"
fi
