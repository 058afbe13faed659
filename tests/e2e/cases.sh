# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# End-to-end cases: the real image, the real kernel and daemon, an unmodified guest. Sourced by
# tests/run.sh, which provides run_case, HVHOST, IMAGE, OUTER and the build functions. A case fails
# as soon as one of its commands does; `want` explains what was expected and ends it.

want() {
	printf 'expected: %s\n' "$*"
	exit 1
}

# hv [options...]: one run of our image; the log stays in the case's folder.
hv() {
	local rc=0
	timeout -k 5 600 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} \
		--log "$CASE_DIR/run.log" --summary --timeout 240 "$@" || rc=$?
	if [ "$rc" -eq 126 ]; then # the emulator's own fault, after output had been printed
		rc=0
		timeout -k 5 600 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} \
			--log "$CASE_DIR/run.log" --summary --timeout 240 "$@" || rc=$?
	fi
	[ "$rc" -eq 0 ] || tail -n 60 "$CASE_DIR/run.log" >&2
	return "$rc"
}

case_version() {
	local out
	out=$(hv --exec 'cat /proc/version')
	[[ $out == "Linux version "*Debian* ]] || want "Debian's /proc/version and nothing else, got: $out"
}

case_front_door() {
	local out
	out=$("$ROOT/keel" run --no-build --log "$CASE_DIR/run.log" --timeout 120 --exec 'cat /proc/version')
	[[ $out == "Linux version "*Debian* ]] || want "Debian's /proc/version, got: $out"
}

case_exec() {
	local out rc=0
	out=$(hv --exec 'echo one; echo two >&2; printf three; exit 7') || rc=$?
	[ "$rc" -eq 7 ] || want "the script's status 7, got $rc"
	[ "$out" = $'one\ntwo\nthree' ] || want "the script's output and nothing else, got: $out"
}

# The guest knows where it runs, and its unmodified drivers connect; once more after the first
# client left without a word.
case_hyperv() {
	local out
	out=$(hv --exec 'systemd-detect-virt 2>/dev/null || dmesg | grep -i hyper
		for i in 1 2; do modprobe hv_utils && modprobe hv_storvsc &&
			dmesg | grep -o "Vmbus version:.*"; rmmod hv_storvsc hv_utils hv_vmbus; done')
	[ "$(grep -c '^Vmbus version:5.3$' <<<"$out")" -eq 3 ] ||
		want "one connection, then two, with version 5.3, got: $out"
	[[ $out == *[Mm]icrosoft* || $out == *Hyper-V* ]] || want "Microsoft Hyper-V, got: $out"
}

case_vps() {
	local out
	out=$(hv --vps "$1" --exec 'nproc; cat /sys/devices/system/cpu/online')
	[ "${out%%$'\n'*}" = "$1" ] || want "$1 processors online, got: $out"
}

case_reboot() {
	hv --exec 'reboot' 2>"$CASE_DIR/stderr" || { cat "$CASE_DIR/stderr"; want "status 0"; }
	grep -q 'guest restarts: 1' "$CASE_DIR/stderr" || want "exactly one restart"
}

case_poweroff() {
	hv --exec 'poweroff -f' || want "status 0"
}

case_faithful() {
	local out
	out=$(hv --faithful --exec 'cat /proc/version; cat /proc/interrupts')
	[[ $out == "Linux version "*Debian* ]] || want "Debian's /proc/version, got: $out"
}

case_other_kernel() {
	local out FLAVOUR=x64-direct-release SUITE=trixie IMAGE
	need_packages
	build_host
	build_vtl2
	IMAGE=$BUILD/keel-$FLAVOUR-$SUITE.igvm
	build_image "$IMAGE"
	out=$(hv --exec 'uname -r')
	[[ $out == 6.12.* ]] || want "trixie's kernel, got: $out"
}

case_memory() {
	local out
	out=$(hv --memory 1G --exec 'grep MemTotal /proc/meminfo')
	[ "$(printf '%s' "$out" | tr -dc 0-9)" -gt 900000 ] || want "1 GiB of memory, got: $out"
}

case_two_at_once() {
	local a b
	CASE_DIR=$CASE_DIR hv --exec 'echo first' >"$CASE_DIR/a" &
	a=$!
	mkdir -p "$CASE_DIR/second"
	CASE_DIR=$CASE_DIR/second hv --exec 'echo second' >"$CASE_DIR/b" &
	b=$!
	wait "$a" && wait "$b" || want "both runs to succeed"
	[ "$(cat "$CASE_DIR/a")" = first ] && [ "$(cat "$CASE_DIR/b")" = second ] || want "each its own output"
}

# child_of PID [NAME]: the first child of a process (that runs NAME); the base system has no pgrep.
child_of() {
	local pid
	for pid in $(cat "/proc/$1/task"/*/children); do
		if [ -z "${2:-}" ] || [ "$(cat "/proc/$pid/comm")" = "$2" ]; then
			printf '%s\n' "$pid"
			return
		fi
	done
	want "process $1 to have a child ${2:-}"
}

# The guest refuses to die quietly: kill each party in turn; nothing may be left behind.
case_kill() {
	local who=$1 pid child sock=$CASE_DIR/vsock
	timeout -k 5 300 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/first.log" \
		--vtl2-vsock "$sock" --exec 'sleep 1000' --timeout 100 >"$CASE_DIR/first.out" 2>&1 &
	pid=$!
	sleep "$2"
	pid=$(child_of "$pid" hvhost)
	child=$(child_of "$pid")
	[ "$who" = front ] && kill -KILL "$pid"
	[ "$who" = agent ] && kill -KILL "$child"
	[ "$who" = terminal ] && kill -HUP "$pid"
	wait || true
	for _ in 1 2 3 4 5 6; do
		kill -0 "$child" 2>/dev/null || break
		sleep 1
	done
	! kill -0 "$child" 2>/dev/null || want "the back end to be gone"
	[ "$(hv --vtl2-vsock "$sock" --exec 'echo alive')" = alive ] || want "the next run to work"
	[ ! -e "$sock" ] || want "no socket left behind"
}

# Boots in a row, beside the other cases. Not one may fail; faults of the emulator are counted.
case_endurance() {
	local i out
	for ((i = 1; i <= BOOTS; i++)); do
		out=$(hv --exec 'echo up') || want "boot $i of $BOOTS to succeed"
		[ "$out" = up ] || want "boot $i of $BOOTS to print up, got: $out"
		printf 'boot %d of %d\n' "$i" "$BOOTS"
	done
	printf '%d boots in a row\n' "$BOOTS" | tee -a "$OUT/figures.txt"
}

# expect_sentence PATTERN COMMAND...: the command fails and says why in one sentence.
expect_sentence() {
	local pattern=$1 rc=0 out
	shift
	out=$("$@" 2>&1 >/dev/null) || rc=$?
	printf '%s\n' "$out"
	[ "$rc" -ne 0 ] || want "a non-zero status"
	[ "$(printf '%s\n' "$out" | grep -vc '^$')" -le 2 ] || want "one clear sentence"
	[[ $out =~ $pattern ]] || want "a sentence that matches: $pattern"
}

case_bad_image() {
	head -c 100000 "$IMAGE" >"$CASE_DIR/short.igvm"
	expect_sentence 'size|length|truncated' timeout 100 "$HVHOST" run --image "$CASE_DIR/short.igvm" \
		${OUTER:+--outer "$OUTER"} --exec true
	# Version 2 header, architecture AARCH64.
	"$HOST_DIR/igvm-build/tool/keel-igvm" verify --help >/dev/null
	cp "$IMAGE" "$CASE_DIR/arm.igvm"
	printf '\002\000\000\000\040\000\000\000' | dd of="$CASE_DIR/arm.igvm" bs=1 seek=4 conv=notrunc 2>/dev/null
	printf '\001\000\000\000\000\020\000\000' | dd of="$CASE_DIR/arm.igvm" bs=1 seek=24 conv=notrunc 2>/dev/null
	expect_sentence 'architecture|checksum|header' timeout 100 "$HVHOST" run --image "$CASE_DIR/arm.igvm" \
		${OUTER:+--outer "$OUTER"} --exec true
	expect_sentence 'No such file' "$HVHOST" run --image "$CASE_DIR/none.igvm" --exec true
}

case_bad_use() {
	expect_sentence 'does not take' "$HVHOST" run --image "$IMAGE" --vps 0
	expect_sentence 'unknown option' "$HVHOST" run --image "$IMAGE" --frobnicate
	expect_sentence 'no flavour' "$ROOT/keel" run --flavour no-such --exec true
	[[ $("$HVHOST" probe) == kvm* ]] ||
		expect_sentence 'kvm|KVM' "$HVHOST" run --image "$IMAGE" --host kvm --exec true
	expect_sentence 'outer VM' "$HVHOST" run --image "$IMAGE" --host tcg --outer /nonexistent --exec true
	expect_sentence 'QEMU' env PATH=/nonexistent "$HVHOST" run --image "$IMAGE" --host tcg \
		--outer "${OUTER:-/nonexistent}" --exec true
	expect_sentence 'kernel|source' env KEEL_REFRESH= LINUX_SOURCE=/nonexistent "$TOOLS/kernel.sh" x64
}

case_socket_in_use() {
	python3 - "$CASE_DIR/busy" <<-'PY' &
	import socket, sys, time
	s = socket.socket(socket.AF_UNIX)
	s.bind(sys.argv[1])
	s.listen(1)
	time.sleep(20)
	PY
	sleep 1
	expect_sentence 'in use' "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} \
		--vtl2-vsock "$CASE_DIR/busy" --exec true
	kill %1
}

# A full disk: the image builder on a tiny file system.
case_disk_full() {
	local small=$CASE_DIR/small
	mkdir -p "$small"
	mount -t tmpfs -o size=1m tmpfs "$small" || { printf 'no right to mount: nothing to see here\n'; return 0; }
	trap 'umount "$CASE_DIR/small"' EXIT
	expect_sentence 'No space|disk.*full|cannot write' "$HOST_DIR/igvm-build/tool/keel-igvm" build \
		--manifest "$ROOT/igvm-build/manifests/x64-direct-release.json" \
		--resources "$BUILD/resources-${IMAGE##*/}.json" --output "$small/out.igvm"
	[ ! -s "$small/out.igvm" ] || want "no half-written image"
}

case_reproducible() {
	local again=$CASE_DIR/again.igvm
	"$HOST_DIR/igvm-build/tool/keel-igvm" build --manifest "$ROOT/igvm-build/manifests/x64-direct-release.json" \
		--resources "$BUILD/resources-${IMAGE##*/}.json" --output "$again"
	cmp "$IMAGE" "$again" || want "the same bytes from the same inputs"
}

# The hostile guest: storms of everything a guest can do, from all processors at once.
case_hostile() {
	local end=$1 out rc=0 FLAVOUR=x64-direct-hostile IMAGE=$BUILD/hostile-$1.igvm
	need_packages
	build_host
	build_vtl2
	build_image "$IMAGE" "$(hostile_guest "$end")" ""
	out=$(timeout -k 5 400 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --until-power-off \
		--no-exec-agent --no-reboot --vps "$2" --log "$CASE_DIR/run.log" --timeout 240 --summary) || rc=$?
	printf '%s\n' "$out"
	[ "$rc" -eq 0 ] || { tail -n 40 "$CASE_DIR/run.log"; want "VTL2 to survive (status $rc)"; }
	[[ $out == *"HOSTILE DONE"* ]] || grep -q 'VTL0 restarts' "$CASE_DIR/run.log" ||
		want "the storm to run to its end, or to kill VTL0 and nobody else"
	[ "$(stat -c %s "$CASE_DIR/run.log")" -lt 2000000 ] || want "a bounded log"
}

# A program in VTL2 listens on vsock; clients reach it through the hybrid socket, VTL0 runs on.
case_vsock() {
	local sock=$CASE_DIR/vsock IMAGE=$BUILD/vsock.igvm VTL2_SHELL rc=0 front
	need_packages
	build_host
	build_vtl2
	VTL2_SHELL=$VTL2_DIR/tests/guest/vtl2/vsock_echo
	build_image "$IMAGE"
	timeout -k 5 300 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--vtl2-vsock "$sock" --vtl2-cmdline OPENHCL_DEV_SHELL=1 --until-power-off --timeout 270 \
		>"$CASE_DIR/run.out" 2>&1 &
	front=$!
	timeout 260 python3 "$ROOT/tests/e2e/vsock_client.py" "$sock" 150 || rc=$?
	kill "$front" || true
	wait "$front" || true
	[ "$rc" -eq 0 ] || { tail -n 40 "$CASE_DIR/run.log"; want "every check to pass"; }
	[ ! -e "$sock" ] || want "no socket left behind"
}

# What VTL2's kernel lets the daemon do with VTL0's memory, tried out by a program that is alone in
# VTL2. In 1.5 GiB there are mappings by 1 GiB and by 2 MiB. The disk is an NVMe namespace there.
case_pin() {
	local IMAGE=$BUILD/pin.igvm VTL2_SHELL rc=0
	need_packages
	build_host
	build_vtl2
	VTL2_SHELL=$VTL2_DIR/tests/guest/vtl2/pin_test
	build_image "$IMAGE"
	truncate -s 64M "$CASE_DIR/disk"
	timeout -k 5 300 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--core-dir "$CASE_DIR" --memory 1536M --vtl2-console --disk "$CASE_DIR/disk" \
		--vtl2-cmdline "rdinit=/bin/busybox PIN_DISKS=1" --timeout 200 --exec true \
		>"$CASE_DIR/run.out" 2>&1 || rc=$?
	grep -a 'pin: ' "$CASE_DIR/run.out"
	grep -aq 'pin: ok ng0n1: commands with a registered buffer' "$CASE_DIR/run.out" || want "a namespace"
	grep -aq 'pin: [0-9][0-9]* passed, 0 failed' "$CASE_DIR/run.out" || want "every check to pass (status $rc)"
}

# crash_run [options...]: one run of an image that carries the crasher; sets RC and OUT_TEXT. The
# dumps go to the case's folder; the run's own messages to its file stderr.
crash_run() {
	local IMAGE=$BUILD/crasher.igvm VTL2_SHELL
	need_packages
	build_host
	build_vtl2
	VTL2_SHELL=$VTL2_DIR/tests/guest/vtl2/crasher
	build_image "$IMAGE"
	RC=0
	OUT_TEXT=$(timeout -k 5 400 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} \
		--log "$CASE_DIR/run.log" --core-dir "$CASE_DIR" --summary --timeout 240 "$@" \
		2>"$CASE_DIR/stderr") || RC=$?
	cat "$CASE_DIR/stderr"
}

# A process of the daemon crashes: its core is here and a debugger opens it, and VTL2 is gone.
case_crash_role() {
	local role=$1 core bt
	crash_run --vtl2-cmdline "rdinit=/bin/busybox CRASH_ROLE=$role CRASH_SIGNAL=11" \
		--exec 'x=KEELGUEST; x=${x}CANARY; export x; sleep 1000'
	[ "$RC" -eq 123 ] || { tail -n 40 "$CASE_DIR/run.log"; want "exit status 123, got $RC"; }
	grep -q 'end: VTL2 crashed: .*Kernel panic' "$CASE_DIR/stderr" || want "a summary that says so"
	grep -q "crash: VTL2 crashed: complete core .*signal 11, .* kernel log" "$CASE_DIR/stderr" ||
		want "a complete, checked core"
	core=$(ls "$CASE_DIR"/vtl2-*-core)
	bt=$(gdb -batch -nx -ex 'info threads' -ex 'thread apply all bt' "$VTL2_DIR/vmm/keel" "$core" 2>&1)
	printf '%s\n' "$bt" | head -n 60
	[[ $bt == *"terminated with signal SIGSEGV"* ]] || want "gdb to see the signal"
	[[ $bt =~ [[:space:]]$2\ \( ]] || want "gdb to find the function $2 on a stack"
	! grep -q KEELGUESTCANARY "$core" || want "no memory of VTL0 in the core"
	ls "$CASE_DIR"/vtl2-*-panic.txt >/dev/null || want "VTL2's last words"
	grep -q 'Kernel panic' "$CASE_DIR"/vtl2-*-panic.txt || want "the panic among VTL2's last words"
}

# The same on a restricted VM: it ends as well, and nothing came.
case_crash_confidential() {
	crash_run --vtl2-cmdline \
		"rdinit=/bin/busybox CRASH_ROLE=$1 CRASH_SIGNAL=11 OPENHCL_CONFIDENTIAL=1" --exec 'sleep 1000'
	[ "$RC" -eq 123 ] || { tail -n 40 "$CASE_DIR/run.log"; want "exit status 123, got $RC"; }
	! ls "$CASE_DIR"/vtl2-*-core 2>/dev/null || want "no core"
	! grep -q 'sends a crash dump' "$CASE_DIR/run.log" || want "no dump, not even begun"
}

# A live process is dumped and runs on; VTL0's memory, its kernel's texts to begin with, is not in
# the dump.
case_crash_live_dump() {
	crash_run --vtl2-cmdline "rdinit=/bin/busybox CRASH_ROLE=vm CRASH_DELAY=8 CRASH_DUMP=softlockup+_panic" \
		--exec 'sleep 20; echo alive'
	[ "$RC" -eq 0 ] || { tail -n 40 "$CASE_DIR/run.log"; want "status 0, got $RC"; }
	[ "$OUT_TEXT" = alive ] || want "VTL0 to run on, got: $OUT_TEXT"
	grep 'crasher: dump of process' "$CASE_DIR/run.log" || want "the dump to be reported"
	grep -q 'status 0, [0-9]\{7,\} bytes, text found 0 times' "$CASE_DIR/run.log" ||
		want "a dump without VTL0's memory"
}

# VTL2's kernel panics because PID 1 ends; there is no core of a process that was killed.
case_vtl2_panic() {
	crash_run --vtl2-cmdline "rdinit=/bin/busybox CRASH_ROLE=control CRASH_SIGNAL=9 $1" --exec 'sleep 1000'
	[ "$RC" -eq 123 ] || { tail -n 40 "$CASE_DIR/run.log"; want "exit status 123, got $RC"; }
	grep -q 'end: VTL2 crashed: .*Kernel panic' "$CASE_DIR/stderr" || want "a summary that says so"
	grep -q "crash: VTL2's last words: " "$CASE_DIR/stderr" || want "its last words in a file"
	grep -q '^control 0xc' "$CASE_DIR"/vtl2-*-panic.txt || want "the crash registers in that file"
	! ls "$CASE_DIR"/vtl2-*-core 2>/dev/null || want "no core"
}

# VTL0's kernel panics. From Linux 6.4 on it tells the hypervisor itself, without hv_vmbus.
# case_vtl0_panic KNOB: what VTL0 said of itself is in the log, or with restrictions is not.
case_vtl0_panic() {
	local rc=0 SUITE=trixie IMAGE
	need_packages
	build_host
	build_vtl2
	IMAGE=$BUILD/keel-$FLAVOUR-$SUITE.igvm
	build_image "$IMAGE"
	timeout -k 5 400 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--core-dir "$CASE_DIR" --summary --timeout 240 --no-reboot \
		--vtl2-cmdline "OPENHCL_CMDLINE_APPEND=panic=1 $1" \
		--exec 'echo c >/proc/sysrq-trigger' 2>"$CASE_DIR/stderr" || rc=$?
	cat "$CASE_DIR/stderr"
	[ "$rc" -eq 125 ] || { tail -n 40 "$CASE_DIR/run.log"; want "status 125 (no end of the script), got $rc"; }
	grep -q 'crash: VTL0 crashed on vp [01]: parameters .*, control 0xc' "$CASE_DIR/stderr" ||
		want "VTL0's crash in the summary"
	grep -q 'end: VTL0 restarts' "$CASE_DIR/stderr" || want "VTL0 to restart"
	if [[ $1 == *CONFIDENTIAL* ]]; then
		! grep -q 'sysrq triggered crash' "$CASE_DIR/run.log" || want "nothing of VTL0's message"
	else
		grep -q 'VTL0: .*sysrq triggered crash' "$CASE_DIR/run.log" || want "VTL0's message in the log"
	fi
}

# VTL0 restarts itself by a triple fault, which is what reboot=triple means to Linux.
case_vtl0_triple() {
	local rc=0
	timeout -k 5 400 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--core-dir "$CASE_DIR" --summary --timeout 240 --no-reboot \
		--vtl2-cmdline "OPENHCL_CMDLINE_APPEND=reboot=triple $1" \
		--exec 'reboot -f' 2>"$CASE_DIR/stderr" || rc=$?
	cat "$CASE_DIR/stderr"
	if [[ $1 == *CONFIDENTIAL* ]]; then
		grep -q 'crash: VTL0 triple fault on vp [01]: no registers' "$CASE_DIR/stderr" ||
			want "the fault without registers"
	else
		grep -q 'crash: VTL0 triple fault on vp [01]: .*=' "$CASE_DIR/stderr" || want "the fault's registers"
	fi
	grep -q 'end: VTL0 restarts' "$CASE_DIR/stderr" || want "VTL0 to restart"
}

# wait_for_diag SOCKET SECONDS: until VTL2 serves the tree of its VM there.
wait_for_diag() {
	local end=$((SECONDS + $2))
	until [ "$("$HOST_DIR/diag/cli/keeldiag" "$1" inspect vm/partition/unit_state 2>/dev/null)" = '"running"' ]; do
		[ "$SECONDS" -lt "$end" ] || want "the VM to run and to serve its tree"
		sleep 1
	done
}

# The manual, by both formatters; the front door's verb; completion scripts that the shells accept.
case_keeldiag() {
	local page=$ROOT/diag/cli/keeldiag.1 out
	"$TOOLS/packages.sh" browser >/dev/null
	out=$(mandoc -T lint -W warning "$page") || want "no findings of mandoc: $out"
	out=$(groff -mandoc -Tutf8 -ww -z "$page" 2>&1)
	[ -z "$out" ] || want "no findings of groff: $out"
	mandoc -T utf8 "$page" | sed "s,.\x08,,g" | grep 'memory-profile-trace' >/dev/null || want "every command in the manual"
	"$ROOT/keel" diag --help | grep 'PATH COMMAND' >/dev/null || want "help of the verb"
	"$ROOT/keel" diag help report | grep 'one HTML page' >/dev/null || want "help of a command"
	expect_sentence 'No such file' "$ROOT/keel" diag "$CASE_DIR/none" inspect
	"$ROOT/keel" diag completion bash | bash -n || want "a script that bash takes"
}

# A guest that keeps writing to its serial port, a minute of it as a page, the page in a browser.
case_report() {
	local sock=$CASE_DIR/vsock front rc=0 keeldiag=$HOST_DIR/diag/cli/keeldiag
	"$TOOLS/packages.sh" browser >/dev/null
	timeout -k 5 320 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--vtl2-vsock "$sock" --exec 'while :; do echo load >/dev/ttyS0; done' --timeout 300 \
		>"$CASE_DIR/run.out" 2>&1 &
	front=$!
	wait_for_diag "$sock" 150
	"$keeldiag" "$sock" report --duration 60 --period 2 -o "$CASE_DIR/report.html" || rc=$?
	"$keeldiag" "$sock" top --count 1 || rc=$?
	kill "$front" || true
	wait "$front" || true
	[ "$rc" -eq 0 ] || { tail -n 40 "$CASE_DIR/run.log"; want "the report to be written"; }
	# Exits by kind and by VP, memory and processes over time; exits in total, boot of both roles.
	python3 "$ROOT/tests/e2e/report_shot.py" --charts 7 --lines 6 --need pio --need vtl0_entry \
		"$CASE_DIR/report.html" "$CASE_DIR/report.png" || want "all charts in the browser"
}

# A VM whose memory is private from the host: it boots, the host reads nothing it must not, and the
# host's words are not heard.
case_vbs() {
	local out FLAVOUR=$1 IMAGE=$BUILD/$1.igvm
	need_packages
	build_host
	build_vtl2
	build_image "$IMAGE"
	"$HOST_DIR/igvm-build/tool/keel-igvm" verify "$IMAGE" | grep -q 'isolated by VBS' ||
		want "an image for isolated VMs"
	out=$(hv ${2:+--vtl2-cmdline "$2"} --exec 'cat /proc/version')
	[[ $out == "Linux version "*Debian* ]] || want "Debian's /proc/version and nothing else, got: $out"
	grep -q 'isolated by VBS: .* [1-9][0-9]* shared with the host, 0 accesses .* refused' "$CASE_DIR/run.log" ||
		want "some pages shared and no access to private ones: $(grep 'isolated by' "$CASE_DIR/run.log")"
}

# vtl2_panic STATUS-OF-REGISTERS [options...]: VTL2's kernel finds no init and panics.
vtl2_panic() {
	local registers=$1 rc=0
	shift
	timeout -k 5 300 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--core-dir "$CASE_DIR" --timeout 120 --exec true "$@" >"$CASE_DIR/out" 2>&1 || rc=$?
	[ "$rc" -eq 123 ] || { cat "$CASE_DIR/out"; want "exit status 123, got $rc"; }
	grep -q "VTL2 crashed: $registers\$" "$CASE_DIR/run.log" ||
		want "crash registers $registers, got: $(grep 'VTL2 crashed' "$CASE_DIR/run.log")"
}

# On an isolated partition the crash MSRs say that VTL2 crashed, and nothing else; debug images, too.
case_vbs_panic() {
	local flavour=$1 IMAGE=$BUILD/$1-panic.igvm
	sed 's/"command_line": "OPENHCL/"command_line": "rdinit=\/none OPENHCL/' \
		"$ROOT/igvm-build/manifests/$flavour.json" >"$CASE_DIR/manifest.json"
	"$HOST_DIR/igvm-build/tool/keel-igvm" build --manifest "$CASE_DIR/manifest.json" \
		--resources "$BUILD/resources-$flavour.igvm.json" --output "$IMAGE"
	vtl2_panic '0 0 0 0 0, control 0x8000000000000000'
	! grep -q 'Kernel panic' "$CASE_DIR/run.log" "$CASE_DIR"/*panic.txt || want "no text of VTL2's kernel"
}

# OPENHCL_CONFIDENTIAL does not pretend isolation to the kernel: text and registers come as ever.
case_simulated_panic() {
	vtl2_panic '0 0 0 0x[0-9a-f]* 0x[0-9a-f]*, control 0xc000000000000000' \
		--vtl2-cmdline 'OPENHCL_CONFIDENTIAL=1 rdinit=/none'
	grep -q 'Kernel panic' "$CASE_DIR"/vtl2-*-panic.txt || want "the kernel's words"
}

# An image for isolated VMs cannot say one thing to the platform and another to the daemon.
case_vbs_manifest() {
	sed 's/OPENHCL_CONFIDENTIAL_DEBUG=1//' "$ROOT/igvm-build/manifests/x64-vbs-debug.json" >"$CASE_DIR/m.json"
	expect_sentence 'enable_debug.*add that word' "$HOST_DIR/igvm-build/tool/keel-igvm" build \
		--manifest "$CASE_DIR/m.json" --resources "$BUILD/resources-${IMAGE##*/}.json" \
		--output "$CASE_DIR/out.igvm"
	sed 's/"command_line": "OPENHCL/"command_line": "OPENHCL_CONFIDENTIAL_DEBUG=1 OPENHCL/' \
		"$ROOT/igvm-build/manifests/x64-vbs-release.json" >"$CASE_DIR/m.json"
	expect_sentence 'enable_debug.*remove that word' "$HOST_DIR/igvm-build/tool/keel-igvm" build \
		--manifest "$CASE_DIR/m.json" --resources "$BUILD/resources-${IMAGE##*/}.json" \
		--output "$CASE_DIR/out.igvm"
	[ ! -e "$CASE_DIR/out.igvm" ] || want "no image"
}

# The paravisor's log reaches a file while the VM runs, from both roles; a client changes its filter.
case_vtl2_log() {
	local sock=$CASE_DIR/vsock log=$CASE_DIR/vtl2.json keeldiag=$HOST_DIR/diag/cli/keeldiag front rc=0
	timeout -k 5 320 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--vtl2-vsock "$sock" --vtl2-log "$log" --vtl2-log-json --until-power-off --timeout 300 \
		>"$CASE_DIR/run.out" 2>&1 &
	front=$!
	wait_for_diag "$sock" 150
	"$keeldiag" "$sock" inspect trace/filter -u 'info,nobody=loud' >"$CASE_DIR/refused" 2>&1 || true
	"$keeldiag" "$sock" inspect trace/filter -u 'info,memstat=debug' || rc=$?
	[ "$("$keeldiag" "$sock" inspect trace/filter)" = '"info,memstat=debug"' ] || rc=1
	sleep 3
	python3 "$ROOT/tests/e2e/check_vtl2_log.py" --need 'vm=VTL0 starts' \
		--need 'control=the log filter was changed' "$log" || rc=2
	kill "$front" || true
	wait "$front" || true
	[ "$rc" -eq 0 ] || { cat "$CASE_DIR/refused" "$log"; want "the log and its filter to work ($rc)"; }
	grep -q 'expected one of "off", "error"' "$CASE_DIR/refused" || want "a reason for the refusal"
	! grep -q 'not a record of the log' "$CASE_DIR/run.log" || want "records that keep to the format"
}

# A restricted VM: records of class ALLOWED from both roles, nothing of the kernel's log, to the end.
case_vtl2_log_restricted() {
	local log=$CASE_DIR/vtl2.json
	hv --vtl2-cmdline 'OPENHCL_CONFIDENTIAL=1 OPENVMM_LOG=trace' --vtl2-log "$log" --vtl2-log-json \
		--exec 'sleep 1' 2>"$CASE_DIR/stderr" || { cat "$CASE_DIR/stderr"; want "status 0"; }
	python3 "$ROOT/tests/e2e/check_vtl2_log.py" --restricted --need 'vm=VTL0 starts' \
		--need 'vm=VTL0 ends: power off' --need 'stats="exits"' "$log" || { cat "$log"; want "such a log"; }
	grep -q "paravisor's log: [0-9]* records\$" "$CASE_DIR/stderr" || want "records that keep to the format"
}

# ---- diagnostics -------------------------------------------------------------------------------

# diag_guest SEED: the script that plants canaries in VTL0 (leak_search.py knows them, too) and says
# so by reporting a crash.
diag_guest() {
	cat <<-EOT
	key() { printf '%s:%s' '$1' "\$1" | sha256sum | cut -c1-64; }
	base64 -d >/tmp/canary <<'END'
	$(base64 "$VTL2_DIR/tests/guest/vtl0/canary")
	END
	chmod 755 /tmp/canary
	insmod "\$(find /lib/modules -name "msr.ko*" | head -n 1)"
	/tmp/canary mem "\$(key memory)" &
	taskset 2 /tmp/canary regs "\$(key registers)" &
	/tmp/canary cmos "\$(key cmos)"
	sleep 1
	/tmp/canary crash "\$(key crash_params)" "\$(key crash_text | cut -c1-32)" || echo "no crash report"
	sleep 1000
	EOT
}

# Every command's transcript against the daemon of one VM with canaries in it, a crash of VTL2 at
# the end; all that the host received is recorded.
# diag_vm TRANSCRIPTS OPTIONS...
diag_vm() {
	local set=$1 sock=$CASE_DIR/vsock rec=$CASE_DIR/record rc=0 vm seed=keel-$RANDOM$RANDOM env
	shift
	env=$(printf '%s:env' "$seed" | sha256sum | cut -c1-32)
	printf '%s\n' "$seed" >"$CASE_DIR/seed"
	timeout -k 5 900 "$HVHOST" run --image "$IMAGE" ${OUTER:+--outer "$OUTER"} --log "$CASE_DIR/run.log" \
		--core-dir "$CASE_DIR" --record "$rec" --vtl2-vsock "$sock" --vtl2-cmdline "KEEL_CANARY=$env $DIAG_SET" --timeout 880 \
		--no-reboot --exec "$(diag_guest "$seed")" "$@" >"$CASE_DIR/vm.out" 2>&1 &
	vm=$!
	trap "kill $vm 2>/dev/null || true" EXIT # its name is gone by then
	python3 "$ROOT/tests/e2e/diag_replay.py" ready "$sock" 300 || want "the diagnostics server to answer"
	for _ in {1..400}; do
		! grep -q 'VTL0 crashed on vp' "$CASE_DIR/run.log" || break
		sleep 1
	done
	grep -q 'VTL0 crashed on vp' "$CASE_DIR/run.log" || want "the canaries to be planted"
	python3 "$ROOT/tests/e2e/diag_replay.py" server --timeout 120 "$sock" "$ROOT/tests/golden/diag/$set" || rc=$?
	# Enough looks at the registers to meet a VP that is not in its kernel.
	for _ in {1..12}; do
		"$HOST_DIR/diag/cli/keeldiag" "$sock" inspect -t 20 -r vm/partition/vp >>"$CASE_DIR/registers" || rc=1
	done
	"$HOST_DIR/diag/cli/keeldiag" "$sock" crash panic -n vm || want "the client to end well"
	for _ in {1..90}; do # a crash that was refused needs only time to leave no trace
		[ "$set" = normal ] || sleep 4
		[ "$set" = normal ] && kill -0 "$vm" 2>/dev/null || break
		sleep 1
	done
	[ "$set" != normal ] || ! kill -0 "$vm" 2>/dev/null || want "VTL2 to be gone"
	[ "$set" = normal ] || kill -0 "$vm" 2>/dev/null || want "VTL2 to run on"
	kill "$vm" 2>/dev/null || true
	wait "$vm" || true
	[ "$rc" -eq 0 ] || want "every transcript to be the same"
}

leak_search() {
	python3 "$ROOT/tests/e2e/leak_search.py" --seed "$(cat "$CASE_DIR/seed")" "$@" "$CASE_DIR/record" ||
		want "canaries to be found where they may be, and nowhere else"
}

# Without restrictions the canaries are found: so the search can fail.
case_diag_normal() {
	local FLAVOUR=x64-direct-dev IMAGE=$BUILD/keel-x64-direct-dev.igvm DIAG_SET=
	need_packages
	build_host
	build_vtl2
	build_image "$IMAGE"
	diag_vm normal
	leak_search --found registers,cmos,crash_params,crash_text=,env= --none memory
}

case_diag_confidential() {
	local DIAG_SET=OPENHCL_CONFIDENTIAL=1
	diag_vm restricted
	leak_search --none memory,registers,cmos,crash_params,crash_text=,env=
}

# The same with a VM that is isolated, release and debug image.
case_diag_vbs_release() {
	local FLAVOUR=x64-vbs-release IMAGE=$BUILD/x64-vbs-release.igvm DIAG_SET=
	need_packages
	build_host
	build_vtl2
	build_image "$IMAGE"
	diag_vm restricted
	leak_search --none memory,registers,cmos,crash_params,crash_text=,env=
}

case_diag_vbs_debug() {
	local FLAVOUR=x64-vbs-debug IMAGE=$BUILD/x64-vbs-debug-shell.igvm DIAG_SET= VTL2_SHELL
	need_packages
	build_host
	build_vtl2
	VTL2_SHELL=$(dev_shell)
	build_image "$IMAGE"
	diag_vm normal
	leak_search --found registers,crash_text= --none memory
}

hostile_guest() { printf '%s\n' "$HOST_DIR/tests/guest/hostile/hostile-$1.elf"; }

# Three lanes of about the same length. What builds images of other flavours is in one of them; the
# others use what is there.
e2e_all() {
	HOST_DIR=$(closure_dir host "$DEPS_HOST")
	start_lane e2e_endurance
	start_lane e2e_images
	e2e_plain
	finish_lanes
}

e2e_endurance() {
	run_case e2e/endurance case_endurance
	e2e_storage
}

e2e_plain() {
	run_case e2e/version case_version
	run_case e2e/front_door case_front_door
	run_case e2e/exec case_exec
	run_case e2e/hyperv case_hyperv
	run_case e2e/vps_1 case_vps 1
	run_case e2e/vps_2 case_vps 2
	run_case e2e/vps_4 case_vps 4
	run_case e2e/memory case_memory
	run_case e2e/poweroff case_poweroff
	run_case e2e/reboot case_reboot
	run_case e2e/faithful case_faithful
	run_case e2e/two_at_once case_two_at_once
	run_case e2e/kill_front_early case_kill front 2
	run_case e2e/kill_front_late case_kill front 12
	run_case e2e/kill_agent case_kill agent 12
	run_case e2e/kill_terminal case_kill terminal 9
	run_case e2e/bad_image case_bad_image
	run_case e2e/bad_use case_bad_use
	run_case e2e/socket_in_use case_socket_in_use
	run_case e2e/disk_full case_disk_full
	run_case e2e/reproducible case_reproducible
	run_case e2e/vtl2_log case_vtl2_log
	run_case e2e/vtl2_log_restricted case_vtl2_log_restricted
	run_case e2e/keeldiag case_keeldiag
	run_case e2e/report case_report
	run_case e2e/simulated_panic case_simulated_panic
	run_case e2e/vtl0_triple case_vtl0_triple ''
	run_case e2e/vtl0_triple_restricted case_vtl0_triple OPENHCL_CONFIDENTIAL=1
	run_case e2e/diag_confidential case_diag_confidential
}

# These build images: one at a time.
e2e_images() {
	run_case e2e/other_kernel case_other_kernel
	run_case e2e/vsock case_vsock
	run_case e2e/vbs_release case_vbs x64-vbs-release 'rdinit=/none OPENHCL_CONFIDENTIAL_DEBUG=1'
	run_case e2e/vbs_debug case_vbs x64-vbs-debug
	run_case e2e/vbs_panic_release case_vbs_panic x64-vbs-release
	run_case e2e/vbs_panic_debug case_vbs_panic x64-vbs-debug
	run_case e2e/vbs_manifest case_vbs_manifest
	run_case e2e/crash_vm case_crash_role vm loop_run
	run_case e2e/crash_control case_crash_role control loop_run
	run_case e2e/crash_restricted case_crash_confidential vm
	run_case e2e/live_dump case_crash_live_dump
	run_case e2e/vtl2_panic case_vtl2_panic ''
	run_case e2e/vtl2_panic_restricted case_vtl2_panic OPENHCL_CONFIDENTIAL=1
	run_case e2e/vtl0_panic case_vtl0_panic ''
	run_case e2e/vtl0_panic_restricted case_vtl0_panic OPENHCL_CONFIDENTIAL=1
	run_case e2e/diag_normal case_diag_normal
	run_case e2e/diag_vbs_release case_diag_vbs_release
	run_case e2e/diag_vbs_debug case_diag_vbs_debug
	run_case e2e/hostile_poweroff case_hostile poweroff 2
	run_case e2e/hostile_triple case_hostile triple 4
}
