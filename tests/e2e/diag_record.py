#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records transcripts of the diagnostics protocol (see diag_transcript.py).

usage: diag_record.py [--mode normal|restricted] [--only NAME] SOCKET CLIENT OUT-FOLDER

Stands between CLIENT (a program with ohcldiag-dev's arguments) and the hybrid-vsock socket of a
server, runs every command of the table below and writes one transcript for each. What varies from
run to run becomes a pattern by the rules in this file. The outputs in the transcript are what
CLIENT prints when it is then served the finished transcript.
"""
import argparse
import os
import re
import shutil
import socket
import sys
import threading
import time

import diag_replay as rp
import diag_transcript as tr
import diag_wire as w

PING = bytes.fromhex("00000018000000010100") + b"\n\x10diag.OpenhclDiag\x12\x04Ping"

# An emulated machine that is shared may need long for what takes milliseconds.
LONG = "-t", "30"

# name: (arguments, {options}); the order matters, the last ones end things. Options: stdin, tty,
# kill (seconds after which the client is ended), tcp (see the transcript's form).
COMMANDS = {
    "inspect": (["inspect"], {}),
    "inspect-all": (["inspect", *LONG, "-r"], {}),
    "inspect-build-info": (["inspect", *LONG, "-r", "build_info"], {}),
    "inspect-limit": (["inspect", *LONG, "-r", "-l", "1", "trace"], {}),
    "inspect-json": (["inspect", *LONG, "-j", "-r", "trace"], {}),
    "inspect-value": (["inspect", *LONG, "control_state"], {}),
    "inspect-slashes": (["inspect", *LONG, "//trace///filter"], {}),
    "inspect-below-value": (["inspect", *LONG, "control_state/x"], {}),
    "inspect-value-slash": (["inspect", *LONG, "control_state/"], {}),
    "inspect-missing": (["inspect", *LONG, "no/such/node"], {}),
    "inspect-vm": (["inspect", *LONG, "vm"], {}),
    "inspect-no-timeout": (["inspect", "-t", "0", "trace/filter"], {}),
    "inspect-poll": (["inspect", *LONG, "-p", "--period", "0.2", "--count", "2", "control_state"], {}),
    "inspect-mesh": (["inspect", *LONG, "-r", "-l", "1", "mesh/hosts"], {}),
    "inspect-update": (["inspect", "trace/filter", "-u", "info"], {}),
    "inspect-update-bad": (["inspect", "trace/filter", "-u", "x=[=y"], {}),
    "inspect-update-fixed": (["inspect", "build_info/crate_name", "-u", "x"], {}),
    "inspect-update-missing": (["inspect", "no/such", "-u", "x"], {}),
    "inspect-update-below": (["inspect", "control_state/x", "-u", "x"], {}),
    "inspect-update-dir": (["inspect", "trace", "-u", "x"], {}),
    "update": (["update", "trace/filter", "info"], {}),
    "run": (["run", "sh", "--", "-c", "echo out; echo err >&2; exit 3"], {}),
    "run-stdin": (["run", "cat"], {"stdin": b"some text\n"}),
    "run-signal": (["run", "sh", "--", "-c", "kill -TERM $$"], {}),
    "run-missing": (["run", "/no/such/program"], {}),
    "shell": (["shell"], {"tty": True, "stdin": b"tty >/dev/null && echo $TERM; exit 5\n"}),
    "shell-missing": (["shell", "/no/such/shell"], {"tty": True}),
    "gdbserver": (["gdbserver", "--pid", "99999"], {}),
    "gdbserver-multi": (["gdbserver", "--multi"], {}),
    "gdbserver-default": (["gdbserver"], {}),
    "gdbstub": (["gdbstub"], {}),
    "gdbstub-port": (["gdbstub", "-p", "2"], {"kill": 1}),
    "vsock-tcp-relay": (["vsock-tcp-relay", "1", "4747"], {"tcp": (4747, 4748, PING), "kill": 2}),
    "vsock-tcp-relay-refused": (["vsock-tcp-relay", "4", "4747"], {"tcp": (4747, 4748, b"")}),
    "start": (["start"], {}),
    "start-env": (["start", "-e", "A=B", "-u", "C", "x", "y"], {}),
    "kmsg": (["kmsg"], {}),
    "kmsg-follow": (["kmsg", "-f"], {"kill": 2}),
    "kmsg-reconnect": (["kmsg", "-f", "-r", "-v"], {"kill": 2}),
    "file": (["file", "-p", "/proc/sys/kernel/ostype"], {}),
    "file-follow": (["file", "-f", "-p", "/proc/sys/kernel/ostype"], {}),
    "file-missing": (["file", "-p", "/no/such/file"], {}),
    "file-folder": (["file", "-p", "/"], {}),
    "pause": (["pause"], {}),
    "pause-again": (["pause"], {}),
    "resume": (["resume"], {}),
    "resume-again": (["resume"], {}),
    "perf-trace": (["perf-trace", "-o", "{out}"], {}),
    "memory-profile-trace": (["memory-profile-trace", "-p", "1"], {}),
    "memory-profile-trace-name": (["memory-profile-trace", "-n", "underhill"], {}),
    "packet-capture": (["packet-capture", "-w", "nic", "-G", "1"], {}),
    "efi-diagnostics": (["efi-diagnostics", "default", "stdout"], {}),
    "efi-diagnostics-full": (["efi-diagnostics", "full", "tracing"], {}),
    "dump-saved-state": (["dump-saved-state", "-o", "{out}"], {}),
    "core-dump": (["core-dump", "-n", "vm", "{out}"], {}),
    "core-dump-verbose": (["core-dump", "-v", "-n", "underhill", "{out}"], {}),
    "core-dump-missing": (["core-dump", "-p", "99999", "{out}"], {}),
    "core-dump-no-name": (["core-dump", "-n", "nobody", "{out}"], {}),
    "crash-unknown": (["crash", "panic", "-p", "99999"], {}),
    "crash-no-name": (["crash", "panic", "-n", "nobody"], {}),
    "restart": (["restart"], {}),
}

# Inspect paths whose values differ between runs: (path, "any" leaf value | "more" entries: those of
# the directory are not compared). The first rule that fits the whole path is taken.
VARIABLE = [
    (r"build_info/(scm_revision|scm_branch|internal_scm_\w+|openhcl_version)", "any"),
    (r"uhdiag/build_info/(scm_revision|scm_branch|internal_scm_\w+|openhcl_version)", "any"),
    (r"mesh/hosts/\d+/(node_id|rlimit/.*)", "any"),
    (r"mesh/hosts/\d+/tasks", "more"),
    (r"boot/.*", "any"),
    (r"diag/inspect/.*", "any"),
    (r"diag/server/(control|data|programs)/.*", "any"),
    (r"knobs", "more"),
    (r"logs", "more"),
    (r"policy/.*", "any"),
    (r"proc/meminfo/.*", "any"),
    (r"proc/interrupts", "more"),
    (r"proc/processes", "more"),
    (r"uhdiag/net", "more"),
    (r"trace/filter", "any"),
    (r"vm", "more"),
]
PID_NODE = re.compile(r"mesh/hosts/(\d+)")

# Streams: command's first words -> (regular expression, largest example).
KMSG = r"(\d+,\d+,\d+,[^;\0]*;[^\0]*\0)*"
STREAMS = {"kmsg": (KMSG, 1500), "core-dump": (r"\x7fELF\x02\x01\x01.{200,}", 300)}


DUMP_TALK = "underhill-dump debug dump: process \\d+: \\d+ threads, \\d+ mappings, \\d+ bytes\n"


class Proxy:
    """Accepts clients at @path, connects each to @target, and notes every byte in order."""

    def __init__(self, path, target):
        self.target, self.events, self.lock = target, [], threading.Lock()
        self.live, self.count = 0, 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def note(self, *event):
        with self.lock:
            self.events.append(event)

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.live += 1
            threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self.target)
            line = self.line(client)
            with self.lock:
                self.count += 1
                n = self.count
            server.sendall(line)
            answer = self.line(server)
            self.note(n, "connect", int(line.split()[1]), not answer)
            if not answer:
                return
            try:
                client.sendall(answer)
            except BrokenPipeError:
                return
            back = threading.Thread(target=self.pump, args=(n, "recv", server, client))
            back.start()
            self.pump(n, "send", client, server)
            back.join(5)
        finally:
            client.close()
            server.close()
            with self.lock:
                self.live -= 1

    @staticmethod
    def line(sock):
        line = b""
        while not line.endswith(b"\n"):
            c = sock.recv(1)
            if not c:
                return b""
            line += c
        return line

    def pump(self, n, op, src, dst):
        while True:
            try:
                data = src.recv(1 << 16)
            except OSError:
                data = b""
            self.note(n, op if data else op + "_eof", data)
            try:
                dst.sendall(data) if data else dst.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if not data:
                return

    def finish(self, seconds=6):
        """Waits for the connections to end; returns the events."""
        end = time.monotonic() + seconds
        while self.live and time.monotonic() < end:
            time.sleep(0.05)
        self.listener.close()
        with self.lock:
            return list(self.events)


def merge(events):
    """Adjacent bytes of one direction of one connection in one piece: the client's where they
    began, the server's where they ended. The id that begins a data connection is by itself."""
    out, ports = [], {}

    def typed(e):
        return e[1] == "send" and ports[e[0]] != 1

    for n, op, data, *rest in events:
        if op == "connect":
            ports[n] = data
        elif op == "recv" and ports.get(n) == 2:
            out.append([n, "id", data[:8]])
            ports[n], data = None, data[8:]
        last = next((e for e in reversed(out) if e[0] == n or typed(e)), None)
        if op in ("send", "recv") and last and last[:2] == [n, op]:
            if op == "send":
                last[2] += data
                continue
            out.remove(last)
            data = last[2] + data
        if data or op not in ("send", "recv"):
            out.append([n, op, data, *rest])
    return out


class Builder:
    """Makes steps of events."""

    def __init__(self, events):
        self.ports, self.tail, self.kinds, self.ids = {}, {}, {}, {}
        self.pids, self.calls, self.steps = {}, {}, []
        for n, op, what, *rest in merge(events):
            if op == "connect":
                self.ports[n] = what
                self.steps.append(tr.Step("connect", n, what, rest[0]))
            elif op.endswith("_eof"):
                self.steps.append(tr.Step(op, n))
            elif self.ports[n] == 1:
                self.control(n, op, what)
            else:
                self.data(n, op, what)
        left = {k: v for k, v in self.tail.items() if v}
        if left:
            raise w.BadWire(f"bytes of no frame: {left}")

    def control(self, n, op, what):
        data = self.tail.get((n, op), b"") + what
        while (cut := w.split_frame(data)):
            frame, data = cut
            if op == "send":
                call = w.decode_call(frame)
                self.kinds[n, call.stream] = call
                call.payload = self.name_values(call.payload)
                if call.timeout:
                    call.timeout = w.Any(call.timeout)
                self.steps.append(tr.Step(op, n, call))
                continue
            call = self.kinds[n, int.from_bytes(frame[4:8], "big")]
            answer = w.decode_answer(frame, w.METHODS[call.service, call.method][1])
            if not answer.status:
                self.pattern(call, answer)
            self.steps.append(tr.Step(op, n, answer))
        self.tail[n, op] = data

    def data(self, n, op, what):
        if op == "id":
            self.ids[n] = int.from_bytes(what, "little")
            what = w.Var(f"conn{n}", self.ids[n])
        self.steps.append(tr.Step("recv" if op == "id" else op, n, what))

    def name_values(self, payload):
        """Ids and pids of the server's as variables."""
        out = []
        for name, value in payload:
            conn = next((n for n, i in self.ids.items() if i == value), None)
            if name in ("stdin", "stdout", "stderr", "conn", "conns") and conn:
                value = w.Var(f"conn{conn}")
            elif name == "pid" and value in self.pids:
                value = w.Var(self.pids[value])
            elif isinstance(value, list):
                value = self.name_values(value)
            out.append((name, value))
        return out

    def pattern(self, call, answer):
        if call.method == "Exec":
            pid = dict(answer.payload)["pid"]
            self.pids[pid] = "pid"
            answer.payload = [("pid", w.Var("pid", pid))]
        elif call.method == "Inspect":
            path = re.sub("/+", "/", dict(call.payload).get("path", "")).strip("/")
            self.node(path, dict(answer.payload)["result"])
        elif call.method == "DumpSavedState":
            answer.payload = [("data", w.Any(dict(answer.payload)["data"][:64]))]

    def node(self, path, node):
        rule = next((r for rx, r in VARIABLE if re.fullmatch(rx, path)), None)
        if node.kind != "dir":
            if rule == "any" and node.kind not in ("failed", "unevaluated"):
                node.value = w.Any(node.value)
            return
        if rule == "more":
            node.more, node.value = True, []
        for i, (name, sens, child) in enumerate(node.value):
            below = f"{path}/{name}".strip("/")
            self.node(below, child)
            if PID_NODE.fullmatch(below):
                node.value[i] = (self.pid_name(name, child), sens, child)

    def pid_name(self, name, child):
        """The key of a process in mesh/hosts as a variable named after it."""
        who = next((c.value for n, _, c in child.value if n == "name"), "x") \
            if child.kind == "dir" else "x"
        var = f"pid_{who}"
        known = self.pids.setdefault(int(name), var)
        return w.Var(var, name if known == var else None)


def string_pid(steps):
    """A pid that a client read as a name and sends as a number or a word."""
    names = {}

    def find(node):
        for name, _, child in node.value if node.kind == "dir" else []:
            if isinstance(name, w.Var) and name.example:
                names[name.example] = name.name
            find(child)

    for s in steps:
        if isinstance(s.what, w.Answer) and s.what.payload:
            for _, v in s.what.payload:
                if isinstance(v, w.Node):
                    find(v)
        elif isinstance(s.what, w.Call):
            s.what.payload = [(n, w.Var(names[v]) if n == "args" and v in names else v)
                              for n, v in s.what.payload]


def streams(t):
    """Long or varying streams become regular expressions with a short example."""
    rule = STREAMS.get(t.args[0])
    for s in t.steps:
        if isinstance(s.what, bytes) and re.fullmatch(DUMP_TALK.encode(), s.what):
            s.what = tr.Match(DUMP_TALK, s.what)
            continue
        if rule and s.op == "recv" and isinstance(s.what, bytes) and len(s.what) > 100:
            cut = s.what[:rule[1]]
            if t.args[0] == "kmsg":
                cut = s.what[:s.what.rfind(b"\0", 0, rule[1]) + 1]
            s.what = tr.Match(rule[0], cut)


def run(t, path, folder, client, kill):
    """Runs the client in @folder and notes how it went."""
    here = os.getcwd()
    os.chdir(folder)
    t.status, t.stdout, t.stderr = rp.run_client(
        [*client, path, *(a.replace("{out}", folder + "/out") for a in t.args)], t, 60, kill)
    os.chdir(here)
    t.file = rp.read_file(folder + "/out")


def record(name, target, client):
    args, opts = COMMANDS[name]
    t = tr.Transcript(args)
    t.stdin, t.tty, t.tcp = opts.get("stdin", b""), opts.get("tty", False), opts.get("tcp")
    folder, path = rp.temp_socket()
    proxy = Proxy(path, target)
    try:
        run(t, path, folder, client, opts.get("kill"))
        t.steps = Builder(proxy.finish()).steps
        string_pid(t.steps)
        streams(t)
    finally:
        shutil.rmtree(folder)
    return t


def settle_output(t, client, kill):
    """What the client prints when it is served the transcript itself."""
    folder, path = rp.temp_socket()
    served = rp.Served(t, path)
    try:
        run(t, path, folder, client, kill)
        if served.errors:
            raise w.Differs(f"served: {served.errors}")
    finally:
        served.listener.close()
        shutil.rmtree(folder)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--only", default="")
    p.add_argument("--keep-output", action="store_true", help="do not serve it once more")
    p.add_argument("socket")
    p.add_argument("client")
    p.add_argument("folder")
    o = p.parse_args()
    os.makedirs(o.folder, exist_ok=True)
    bad = 0
    for name in COMMANDS:
        if o.only and not re.fullmatch(o.only, name):
            continue
        try:
            t = record(name, os.path.abspath(o.socket), [os.path.abspath(o.client)])
            before = t.status, t.stdout, t.stderr
            if not o.keep_output:
                settle_output(t, [os.path.abspath(o.client)], COMMANDS[name][1].get("kill"))
            path = os.path.join(o.folder, f"{list(COMMANDS).index(name) + 1:02}-{name}.txt")
            with open(path, "w", encoding="utf-8") as f:
                f.write(tr.dump(t))
            note = "" if before == (t.status, t.stdout, t.stderr) else " (output differs live)"
            print(f"{name}: status {t.status}{note}", flush=True)
        except (w.BadWire, w.Differs, OSError, KeyError) as e:
            print(f"{name}: FAILED: {type(e).__name__} {e}", flush=True)
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
