#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every command of keeldiag against the real server without a VM, normal and restricted.

usage: test_keeldiag.py KEELDIAG KEEL-DIAG-HOSTED [NAME]...

Prints one line per test; the status is 0 when all passed. What the client prints is compared with
the words of the original client where there are any.
"""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

ME = os.path.dirname(os.path.abspath(__file__))
CLIENT = SERVER = None
TESTS = []
LIMIT = 60
KMSG = ("6,1,1000,-;plain\n SUBSYSTEM=x\n\0"
        "27,2,2500000,-;keel: \\x1b[31mred\\x1b[0m\\x1b[2Jgone\\x07\n\0"
        "no record\0")


class Wrong(Exception):
    pass


def check(ok, *what):
    if not ok:
        raise Wrong(" ".join(str(w) for w in what))


def same(got, want):
    check(got == want, "\n--- got\n%r\n--- expected\n%r" % (got, want))


def test(*options):
    """A function that gets a server started with these options."""
    def add(fn):
        TESTS.append((fn.__name__, options, fn))
        return fn
    return add


class Result:
    def __init__(self, run):
        self.rc, self.out, self.err = run.returncode, run.stdout, run.stderr

    def ok(self):
        check(self.rc == 0, "status", self.rc, self.err)
        return self

    def fails(self, err, rc=1, out=""):
        same((self.rc, self.err, self.out), (rc, err, out))


class Vm:
    """A running server and the client's way to it."""

    def __init__(self, folder, options):
        self.folder, self.path = folder, "s"
        with open(os.path.join(folder, "kmsg"), "w", encoding="ascii") as f:
            f.write(KMSG)
        self.proc = subprocess.Popen([SERVER, "--socket", self.path, *options], cwd=folder,
                                     stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        if self.proc.stdout.readline() != b"ready\n":
            raise Wrong("the server does not start")

    def end(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(LIMIT)
        self.proc.stdout.close()
        return self.proc.returncode

    def env(self):
        return dict(os.environ, TERM="xterm", LC_ALL="C", NO_COLOR="")

    def raw(self, *args, data=b"", text=True):
        run = subprocess.run([CLIENT, *args], cwd=self.folder, capture_output=True, timeout=LIMIT,
                             input=data, env=self.env(), check=False)
        if text:
            run.stdout, run.stderr = run.stdout.decode(), run.stderr.decode()
        return Result(run)

    def run(self, *args, **kw):
        return self.raw(self.path, *args, **kw)

    def start(self, *args):
        return subprocess.Popen([CLIENT, self.path, *args], cwd=self.folder, env=self.env(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)


class Terminal:
    """The client on a terminal of its own."""

    def __init__(self, vm, *args, rows=24, cols=80):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(vm.folder)
            os.execve(CLIENT, [CLIENT, vm.path, *args], vm.env())
        self.seen = b""
        self.size(rows, cols)

    def size(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def pump(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not select.select([self.fd], [], [], end - time.monotonic())[0]:
                return True
            try:
                more = os.read(self.fd, 65536)
            except OSError:
                return False
            self.seen += more
            if not more:
                return False
        return True

    def until(self, word, fresh=True):
        if fresh:
            self.seen = b""
        end = time.monotonic() + LIMIT
        while word.encode() not in self.seen and time.monotonic() < end:
            if not self.pump(0.1):
                break
        check(word.encode() in self.seen, "no", repr(word), "in", repr(self.seen[-2000:]))

    def type(self, keys):
        self.seen = b""
        os.write(self.fd, keys.encode())

    def end(self):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.pump(0.2):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
        else:
            pid, status = os.waitpid(self.pid, 0)
        self.pump(0.1)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


# ---- the original's commands ------------------------------------------------------------------------


@test()
def inspect(vm):
    out = vm.run("inspect").ok().out
    check("    build_info: _,\n" in out and out.startswith("{\n") and out.endswith("}\n"), out)
    same(vm.run("inspect", "build_info/crate_name").ok().out, '"keel"\n')
    same(vm.run("i", "vm/values/hex").ok().out, "0x1000\n")
    same(vm.run("inspect", "/build_info//scm_revision").ok().out, '"hosted"\n')
    same(vm.run("inspect", "no/such").ok().out, "error (not found)\n")
    check("filter: \"info\"" in vm.run("inspect", "-r").ok().out, "recursion")
    check("perf: _" in vm.run("inspect", "-r", "-l", "1").ok().out, "limit")
    tree = json.loads(vm.run("inspect", "-rj").ok().out)
    same(tree["vm"]["values"]["binary"], "0b101")
    same(tree["vm"]["values"]["bytes"], "AAH+/w")
    same(json.loads(vm.run("--json", "inspect", "vm").ok().out)["values"], None)


@test()
def inspect_update(vm):
    same(vm.run("inspect", "-u", "debug", "trace/filter").ok().out, "debug\n")
    same(vm.run("inspect", "trace/filter").ok().out, '"debug"\n')
    same(vm.run("inspect", "vm/values/knob", "-u", "7").ok().out, "7\n")
    r = vm.run("update", "trace/filter", "warn").ok()
    same((r.out, "deprecated" in r.err), ("warn\n", True))
    vm.run("inspect", "-u", "x", "vm/values/knob").fails(
        "Error: update error: invalid digit found in string\n")
    vm.run("inspect", "-u", "x", "vm/values/hex").fails("Error: immutable node\n")
    vm.run("inspect", "-u", "x", "vm/none").fails("Error: not found\n")
    vm.run("inspect", "-u", "x").fails("Error: must provide path for update\n")
    r = vm.run("inspect", "--json", "-u", "x", "vm/none")
    same((r.rc, json.loads(r.err)), (1, {"error": "not found", "causes": []}))


@test()
def inspect_poll(vm):
    t = time.monotonic()
    out = vm.run("inspect", "-p", "--period", "0.3", "--count", "2", "-j", "vm/values").ok().out
    check(time.monotonic() - t > 0.55, "too fast")
    lines = [json.loads(l) for l in out.splitlines()]
    same(len(lines), 2)
    for l in lines:
        check(2.5 < l["inspections"] < 3.5 and l["unsigned"] == 5, l)


@test("--stuck")
def inspect_deadline(vm):
    t = time.monotonic()
    out = vm.run("inspect", "-r", "vm").ok().out
    check("stuck: error (unresolved)," in out and "knob: 0," in out, out)
    check(0.8 < time.monotonic() - t < 5, "not at the deadline")


@test()
def run(vm):
    r = vm.run("run", "sh", "-c", "cat; echo err >&2; exit 7", data=b"in\n")
    same((r.rc, r.out, r.err), (7, "in\n", "err\n"))
    big = os.urandom(3 << 20)
    r = vm.run("run", "--", "cat", data=big, text=False)
    check(r.rc == 0 and r.out == big, "3 MiB there and back", len(r.out))
    r = vm.run("run", "sh", "-c", "kill -9 $$")
    same(r.rc, 255)
    # Who does not read its input does not hold us.
    same(vm.run("run", "true", data=b"x" * 1000000).rc, 0)
    vm.run("run", "/no/such").fails(
        "Error: failed to launch /no/such: No such file or directory (os error 2)\n")
    r = vm.run("--json", "run", "printf", r"a\033[2J\nb")
    lines = [json.loads(l) for l in r.ok().out.splitlines()]
    same([l.get("data") for l in lines], ["a\x1b[2J\n", "b", None])
    same(lines[-1]["exit_code"], 0)
    check("\x1b" not in r.out, "escape in JSON")


@test()
def shell(vm):
    out = vm.run("shell", "/bin/sh", "-c", "tty; echo T=$TERM", data=b"").ok().out
    check(re.search(r"/dev/pts/\d+\r\nT=xterm\r\n", out), repr(out))
    t = Terminal(vm, "shell", "/bin/sh")
    t.type("echo 4$((1+1))\r")
    t.until("42")
    t.type("exit 3\r")
    same(t.end(), 0)
    check(b"shell exited with non-zero exit code: 3" in t.seen, t.seen)


@test()
def gdb(vm):
    # No gdbserver here: its script says so, and that is the script's status.
    r = vm.run("gdbserver", "--pid", "1")
    check(shutil.which("gdbserver") or (r.rc == 127 and "gdbserver" in r.err), r.rc, r.err)
    r = vm.run("gdbstub", "-p", "9")
    same((r.rc, r.err.startswith("Error: failed to connect\n\nCaused by:\n")), (1, True))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@test()
def relay(vm):
    # The data port sends 8 bytes by itself: enough to see that bytes come through.
    port = free_port()
    proc = vm.start("vsock-tcp-relay", "2", str(port))
    same(proc.stdout.readline().decode(), f"TCP listening on 127.0.0.1:{port}\n")
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(10)
        got = s.recv(8, socket.MSG_WAITALL)
        same((len(got), got[7]), (8, 0))
    out = proc.communicate(timeout=LIMIT)[0].decode()
    same(proc.returncode, 0)
    check(re.fullmatch(r"TCP accept on 127\.0\.0\.1:\d+\nVSOCK connect to port 2\n"
                       r"Connection closed\n", out), out)


@test("--waiting")
def start(vm):
    same(vm.run("inspect", "control_state").ok().out, '"waiting_for_start"\n')
    vm.run("pause").fails("Error: worker has not been started yet\n")
    vm.run("start", "-e", "X").fails("Error: bad environment variable, expected VAR=value\n")
    same(vm.run("start", "-e", "A=1", "-u", "B", "arg").ok().out, "")
    same(vm.run("inspect", "control_state").ok().out, '"started"\n')
    vm.run("start").fails("Error: workers have already been started\n")


@test()
def pause_and_resume(vm):
    same(vm.run("pause").ok().out, "")
    vm.run("pause").fails("Error: VM is already paused\n")
    same(vm.run("resume", "--json").ok().out, '{"ok":true}\n')
    vm.run("resume").fails("Error: VM is currently running\n")
    same(vm.run("restart").ok().out, "")


@test()
def crash(vm):
    hosts = json.loads(vm.run("inspect", "-rj", "mesh/hosts").ok().out)
    pid = next(p for p, h in hosts.items() if h["name"] == "vm")
    same(vm.run("crash", "panic", "-n", "vm").ok().out, f"Crashing PID: {pid}\n")
    end = time.monotonic() + LIMIT
    while pid in json.loads(vm.run("inspect", "-rj", "mesh/hosts").ok().out):
        check(time.monotonic() < end, "it lives on")
        time.sleep(0.1)
    r = vm.run("crash", "panic", "-n", "vm")
    check(r.rc == 1 and re.fullmatch(
        r'Error: PID of vm not found\. Processes: \["underhill"(, "vm")?\]\n', r.err), r.err)


@test()
def core_dump(vm):
    vm.run("core-dump", "-p", "1", "core").fails(
        "Error: failed to launch underhill-dump\n\nCaused by:\n    failed to launch "
        "/bin/underhill-dump: No such file or directory (os error 2)\n", out="Dumping PID: 1\n")
    vm.run("core-dump", "-n", "nobody", "core").fails(
        'Error: PID of nobody not found. Processes: ["underhill", "vm"]\n')


@test("--kmsg", "kmsg")
def kmsg(vm):
    r = vm.run("kmsg").ok()
    same(r.out, "[0.001000] plain\n[2.500000] keel: \x1b[31mred\x1b[0m\\x1b[2Jgone<07>\n"
         "Invalid kmsg entry: InvalidKmsgEntry([110, 111, 32, 114, 101, 99, 111, 114, 100])\n")
    lines = [json.loads(l) for l in vm.run("--json", "kmsg").ok().out.splitlines()]
    same([(l.get("level"), l.get("message")) for l in lines],
         [(6, "plain"), (3, "keel: \x1b[31mred\x1b[0m\x1b[2Jgone<07>"), (None, None)])
    r = vm.run("kmsg", "-v").ok()
    same(r.err, "Connecting to the diagnostics server.\nConnected.\n")


@test("--kmsg", "kmsg")
def kmsg_reconnects(vm):
    proc = vm.start("kmsg", "-r", "-v")
    seen = b""
    while seen.count(b"Reconnecting.") < 2:
        seen += proc.stderr.readline()
    proc.terminate()
    proc.communicate(timeout=LIMIT)
    check(seen.count(b"Connected.") >= 2, seen)


@test()
def file(vm):
    data = os.urandom(300000)
    with open(os.path.join(vm.folder, "data"), "wb") as f:
        f.write(data)
    same(vm.run("file", "-p", "data", text=False).ok().out, data)
    r = vm.run("file", "-p", "none")
    check(r.rc == 1 and r.err.startswith("Error: failed to open file: "), r.err)
    r = vm.run("file", "-p", "/")
    same((r.rc, r.err), (1, "Error: cannot read directory\n"))
    with open(os.path.join(vm.folder, "text"), "w", encoding="ascii") as f:
        f.write("one\ntwo")
    same([json.loads(l)["data"] for l in vm.run("file", "-p", "text", "--json").ok().out.splitlines()],
         ["one\n", "two"])


@test()
def dumps(vm):
    check(vm.run("dump-saved-state", text=False).ok().out, "empty")
    same(vm.run("dump-saved-state", "-o", "state").ok().out, "")
    check(os.path.getsize(os.path.join(vm.folder, "state")) > 0, "empty file")
    r = vm.run("perf-trace", "-o", "trace")
    check(r.rc == 1 and r.err.startswith("Error: failed to read trace file\n\nCaused by:\n"), r.err)
    with open(os.path.join(vm.folder, "underhill.perfetto"), "w", encoding="ascii") as f:
        f.write("trace")
    same(vm.run("perf-trace").ok().out, "trace")
    vm.run("memory-profile-trace", "-p", "1").fails(
        "Error: Profiler tracing feature disabled: rebuild with the `mem-profile-tracing` feature "
        "enabled\n")
    r = vm.run("dump-saved-state", "-o", "no/dir/x")
    check(r.rc == 1 and "failed to create file `no/dir/x`" in r.err, r.err)


@test()
def packet_capture(vm):
    vm.run("packet-capture", "-G", "1").fails(
        "Error: No network settings have been set up\n",
        out="Starting network packet capture. Wait for timeout or Ctrl-C to quit anytime.\n")


@test()
def efi_diagnostics(vm):
    vm.run("efi-diagnostics", "full", "stdout").fails(
        "Error: failed to process EFI diagnostics\n\nCaused by:\n    not found\n")


# ---- a confidential VM -----------------------------------------------------------------------------


@test("--restricted")
def restricted(vm):
    refused = "Error: unknown service diag.UnderhillDiag\n"
    for args in (["run", "true"], ["shell"], ["kmsg"], ["file", "-p", "/etc/passwd"], ["start"],
                 ["pause"], ["resume"], ["restart"], ["dump-saved-state", "-o", "x"],
                 ["gdbserver"]):
        vm.run(*args).fails(refused)
    vm.run("memory-profile-trace", "-p", "1").fails("Error: unknown service diag.OpenhclDiag\n")
    vm.run("packet-capture").fails(
        refused, out="Starting network packet capture. Wait for timeout or Ctrl-C to quit anytime.\n")
    vm.run("core-dump", "-p", "1", "core").fails(
        "Error: failed to launch underhill-dump\n\nCaused by:\n    unknown service "
        "diag.UnderhillDiag\n", out="Dumping PID: 1\n")
    vm.run("perf-trace", "-o", "x").fails(
        "Error: failed to flush perf\n\nCaused by:\n    not found\n")
    vm.run("efi-diagnostics", "info", "tracing").fails(
        "Error: failed to process EFI diagnostics\n\nCaused by:\n    not found\n")
    same(vm.run("crash", "panic", "-p", "1").ok().out, "Crashing PID: 1\n")
    out = vm.run("inspect", "-r").ok().out
    check("crate_name" in out and "vm: " not in out and "secret" not in out, out)
    same(vm.run("inspect", "vm").ok().out, "error (not found)\n")
    r = vm.run("--json", "pause")
    check("confidential" in json.loads(r.err)["hint"], r.err)


@test("--restricted")
def restricted_extras(vm):
    check("vm/ is hidden" in vm.run("top", "--count", "1", "--period", "0.2").ok().out, "top")
    vm.run("report", "-d", "0.3", "--period", "0.1", "-o", "r.html").ok()
    with open(os.path.join(vm.folder, "r.html"), encoding="utf-8") as f:
        page = f.read()
    check("hides most of its state" in page and "secret" not in page, "report")
    r = vm.run("watch", "vm")
    same((r.rc, r.err), (1, "Error: cannot read 'vm'\n\nCaused by:\n    not found\n"))


# ---- what only this client has ----------------------------------------------------------------------


@test("--busy")
def top(vm):
    out = vm.run("top", "--count", "2", "--period", "0.3").ok().out
    check(out.count("exits/s") == 2 and "vp 3" in out and "io_port" in out, out)
    check("MemAvailable" in out and "vm/scsi:0/channels/0/ring/in" in out, out)
    lines = vm.run("top", "--count", "1", "--period", "0.3", "--json").ok().out.splitlines()
    model = json.loads(lines[0])
    same(sorted(model["exits_per_second"]), ["0", "1", "2", "3"])
    check(model["exits_per_second"]["0"]["mmio"] >= 0, model)
    t = Terminal(vm, "top", "--period", "0.2", rows=30, cols=100)
    t.until("exits/s")
    t.until("vp 2")
    t.size(12, 40)
    t.until("\x1b[2J")
    t.type("q")
    same(t.end(), 0)
    check(t.seen.endswith(b"\x1b[?25h\x1b[?1049l"), "the terminal is not restored")


@test("--busy")
def watch(vm):
    out = vm.run("watch", "--count", "2", "--period", "0.3", "vm/scsi:0/channels").ok().out
    check(re.search(r"^vm/scsi:0/channels/0/ring/in: \d+ -> \d+ \([\d.]+/s\)$", out, re.M), out)
    line = vm.run("watch", "--count", "2", "--period", "0.3", "--json", "boot").ok().out
    same(json.loads(line)["changes"], [])
    t = Terminal(vm, "watch", "--period", "0.2", "vm")
    t.until("\x1b[1;7mvm/net:0/queues/0/ring/in")
    t.type("a")
    t.until("unit_state")
    check(b"\x1b[1;7mvm/net:0/unit_state" not in t.seen, "highlighted without a change")
    t.type("q")
    same(t.end(), 0)


@test("--busy")
def tree(vm):
    t = Terminal(vm, "tree", rows=40, cols=90)
    t.until("+ build_info")
    t.type("/unsigned\r")
    t.until("unsigned: 5")
    check(b"\x1b[7m" in t.seen and b"/vm/values/unsigned" in t.seen, t.seen)
    t.type("/knob\r")
    t.until("/vm/values/knob")
    t.type("e12\r")
    t.until("now 12")
    t.until("knob: 12", fresh=False)
    t.type("/hex\r")
    t.until("/vm/values/hex")
    t.type("e1\r")
    t.until("error: immutable node")
    t.type("h")
    t.until("/vm/values   ?")
    t.type("h")
    t.until("+ values")
    t.type("?")
    t.until("any key goes back")
    t.type("x")
    t.size(5, 30)
    t.until("\x1b[2J", fresh=False)
    t.type("/evil\r")
    t.until("unit_state")
    t.type("q")
    same(t.end(), 0)
    check(t.seen.endswith(b"\x1b[?25h\x1b[?1049l"), "the terminal is not restored")
    same(vm.run("inspect", "vm/values/knob").ok().out, "12\n")
    vm.run("tree").fails("Error: not a terminal\n")


@test("--busy")
def report(vm):
    r = vm.run("report", "--duration", "1", "--period", "0.2", "-o", "r.html").ok()
    same(r.out, "")
    with open(os.path.join(vm.folder, "r.html"), encoding="utf-8") as f:
        page = f.read()
    same(page.count('<svg class="plot"'), 8)
    check("<script" not in page and "&lt;script&gt;" in page, "not escaped")
    same(json.loads(vm.run("--json", "report", "-d", "0", "-o", "z.html").ok().out),
         {"file": "z.html", "samples": 1})
    proc = vm.start("report", "-d", "60", "--period", "0.2", "-o", "early.html")
    time.sleep(1)
    proc.send_signal(signal.SIGINT)
    proc.communicate(timeout=LIMIT)
    same(proc.returncode, 0)
    check(os.path.getsize(os.path.join(vm.folder, "early.html")) > 5000, "nothing was written")


@test("--busy")
def report_of_a_dying_vm(vm):
    proc = vm.start("report", "-d", "60", "--period", "0.2", "-o", "r.html")
    time.sleep(1)
    vm.proc.kill()
    err = proc.communicate(timeout=LIMIT)[1].decode()
    same(proc.returncode, 1)
    check("sampling ended early" in err, err)
    with open(os.path.join(vm.folder, "r.html"), encoding="utf-8") as f:
        check("Sampling ended early" in f.read(), "no page")
    vm.proc.wait()
    vm.proc.returncode = 0


@test()
def completion(vm):
    def words(*line):
        return vm.raw("complete", "--", *line).ok().out.split()

    same(words("s", "insp"), ["inspect"])
    same(words("s", "inspect", "vm/va"), ["vm/values/"])
    same(words("s", "inspect", "vm/values/kn"), ["vm/values/knob"])
    same(words("vsock", ":", "s", "inspect", "trac"), ["trace/"])
    same(words("s", "crash", "panic", "-n", ""), ["underhill", "vm"])
    same(words("s", "crash", ""), ["panic"])
    same(words("s", "kmsg", "--f"), ["--follow"])
    same(words("completion", ""), ["bash", "zsh", "fish"])
    same(words("nosuchvm", "inspect", "x"), [])
    for sh in "bash", "zsh", "fish":
        script = vm.raw("completion", sh).ok().out
        check("keeldiag" in script, sh)
        if shutil.which(sh):
            subprocess.run([sh, "-n"], input=script.encode(), check=True)
    line = f'PATH="{os.path.dirname(CLIENT)}:$PATH"; eval "$(keeldiag completion bash)"; ' \
        'COMP_WORDS=(keeldiag s inspect vm/val); COMP_CWORD=3; ' \
        '_keeldiag 2>/dev/null; echo "${COMPREPLY[@]}"'
    out = subprocess.run(["bash", "-c", line], cwd=vm.folder, capture_output=True, check=True).stdout
    same(out, b"vm/values/\n")


@test()
def usage(vm):
    r = vm.raw()
    same((r.rc, r.out), (2, ""))
    r = vm.run("insect")
    check(r.rc == 2 and "'inspect'" in r.err, r.err)
    check("Usage: keeldiag" in vm.raw("--help").ok().out, "help")
    check(vm.raw("-V").ok().out.startswith("keeldiag "), "version")
    r = vm.raw("none", "inspect")
    same(r.err, "Error: failed to connect: failed to connect: No such file or directory "
                "(os error 2)\n")
    r = vm.raw("--json", "none", "inspect")
    check("--vtl2-vsock" in json.loads(r.err)["hint"], r.err)
    # Output that nobody reads ends it, without a word.
    p = subprocess.run(["sh", "-c", '"$0" s inspect -r | true', CLIENT], cwd=vm.folder,
                       capture_output=True, check=False, timeout=LIMIT)
    same(p.stderr, b"")


@test()
def many_at_once(vm):
    """Clients side by side, each with its own streams."""
    wrong = []

    def one(i):
        r = vm.run("run", "sh", "-c", f"cat; exit {i}", data=b"%d" % i)
        if (r.rc, r.out) != (i, str(i)):
            wrong.append((i, r.rc, r.out, r.err))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(1, 9)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(wrong, [])


def main():
    global CLIENT, SERVER
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    CLIENT, SERVER = (os.path.abspath(p) for p in sys.argv[1:3])
    failed = 0
    for name, options, fn in TESTS:
        if sys.argv[3:] and name not in sys.argv[3:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            vm = Vm(folder, options)
            try:
                fn(vm)
                what = "ok"
            except (Wrong, subprocess.SubprocessError, OSError, ValueError, KeyError) as e:
                what = f"FAILED: {type(e).__name__}: {e}"
            status = vm.end()
            if what == "ok" and status:
                what = f"FAILED: the server ended with {status}"
            failed += what != "ok"
            print(f"{name}: {what}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
