#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays transcripts of the diagnostics protocol (see diag_transcript.py).

usage: diag_replay.py server [--timeout S] SOCKET TRANSCRIPT-OR-FOLDER...
           Be the client: send its bytes to the hybrid-vsock socket of a server and compare what the
           server sends, byte for byte outside the transcript's patterns.
       diag_replay.py ready SOCKET SECONDS
           Wait until a server answers.
       diag_replay.py client [--timeout S] TRANSCRIPT-OR-FOLDER... -- CLIENT [ARGUMENTS...]
           Be the server: run CLIENT (it gets the socket and the transcript's arguments) and compare
           what it sends, prints and returns.

Prints one line per transcript; the status is 0 when all agree.
"""
import argparse
import os
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import diag_transcript as tr
import diag_wire as w


class Conn:
    """One connection and what came in on it but was not looked at yet. Connections of one group
    are read together: a server may wait for the reader of any."""

    def __init__(self, sock, port, group=None):
        self.sock, self.port = sock, port
        self.data, self.eof, self.frames = b"", False, {}
        self.group = [] if group is None else group
        self.group.append(self)

    def read(self):
        try:
            more = self.sock.recv(1 << 20)
        except ConnectionError:
            more = b""
        self.data += more
        self.eof = not more

    def pump(self, deadline):
        """Reads once; False when nothing came in time."""
        left = deadline - time.monotonic()
        open_ones = {c.sock: c for c in self.group if not c.eof}
        ready = select.select(list(open_ones), [], [], max(left, 0))[0] if open_ones else []
        for sock in ready:
            open_ones[sock].read()
        return bool(ready)

    def until(self, done, deadline, what):
        while not done():
            if not self.pump(deadline) and not done() or self.eof and not done():
                why = "the end came" if self.eof else "nothing more came"
                raise w.Differs(f"{what} expected, {why} after {self.data[:200]!r}")

    def exactly(self, n, deadline, what):
        self.until(lambda: len(self.data) >= n, deadline, what)
        out, self.data = self.data[:n], self.data[n:]
        return out

    def frame(self, stream, deadline):
        """The next frame of a stream; those of others are kept."""
        while stream not in self.frames:
            self.until(lambda: w.split_frame(self.data), deadline, f"a frame of stream {stream}")
            frame, self.data = w.split_frame(self.data)
            got = int.from_bytes(frame[4:8], "big")
            if got in self.frames:
                raise w.Differs(f"a second answer on stream {got}")
            self.frames[got] = frame
        return self.frames.pop(stream)


def bind(value, bound):
    """A value of the client's with its variables replaced."""
    if isinstance(value, w.Var):
        return bound[value.name]
    if isinstance(value, w.Any):
        return value.example
    if isinstance(value, list):
        return [(n, bind(v, bound)) for n, v in value]
    return value


# ---- being the client -------------------------------------------------------------------------------

def dial(path, port, timeout):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    s.connect(path)
    s.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        c = s.recv(1)
        if not c:
            s.close()
            return None
        line += c
    if not re.fullmatch(rb"OK \d{1,10}\n", line):
        raise w.Differs(f"the answer to CONNECT is {line!r}")
    return s


class Player:
    """Plays one transcript against a server."""

    def __init__(self, path, timeout):
        self.path, self.timeout = path, timeout
        self.conns, self.bound, self.group = {}, {}, []

    def connect(self, s):
        sock = dial(self.path, s.what, self.timeout)
        if (sock is None) != s.refused:
            raise w.Differs(f"port {s.what}: " + ("refused" if sock is None else "not refused"))
        if sock:
            self.conns[s.conn] = Conn(sock, s.what, self.group)

    def send(self, s):
        what = s.what
        if isinstance(what, w.Call):
            what = w.Call(what.stream, what.service, what.method, bind(what.payload, self.bound),
                          what.timeout).encode()
        self.conns[s.conn].sock.sendall(what)

    def recv(self, s, deadline):
        conn, what = self.conns[s.conn], s.what
        if isinstance(what, w.Answer):
            frame = conn.frame(what.stream, deadline)
            self.compare_answer(what, frame)
        elif isinstance(what, w.Var):
            got = int.from_bytes(conn.exactly(8, deadline, "an id"), "little")
            w.match(what, got, self.bound, "id")
        elif isinstance(what, tr.Match):
            self.recv_match(s, conn, re.compile(what.regex.encode("latin-1"), re.S), deadline)
        else:
            got = conn.exactly(len(what), deadline, f"{what!r}")
            if got != what:
                raise w.Differs(f"{what!r} expected, got {got!r}")

    def recv_match(self, s, conn, rx, deadline):
        """All of a stream that the server ends by itself, otherwise what comes at once."""
        after = next((n for n in self.steps[self.steps.index(s) + 1:] if n.conn == s.conn), None)
        if after and after.op == "recv_eof":
            conn.until(lambda: conn.eof, deadline, "the end of a stream")
        else:
            conn.until(lambda: conn.data, deadline, f"what matches {s.what.regex!r}")
            while time.monotonic() < deadline and conn.pump(time.monotonic() + 0.5):
                pass
        m = rx.match(conn.data)
        if not m or conn.eof and m.end() < len(conn.data):
            raise w.Differs(f"{s.what.regex!r} expected, got {conn.data[:300]!r}")
        conn.data = conn.data[m.end():]

    def compare_answer(self, want, frame):
        kind = want.kind
        got = w.decode_answer(frame, kind) if kind else w.decode_answer(frame, "Empty")
        if want.status != got.status:
            raise w.Differs(f"stream {want.stream}: status {want.status} expected, got "
                            f"{got.status or got.payload}")
        if not want.status:
            w.match(want.payload, got.payload, self.bound, want.kind)

    def step(self, s, deadline):
        if s.op == "connect":
            self.connect(s)
        elif s.op == "send":
            self.send(s)
        elif s.op == "recv":
            self.recv(s, deadline)
        elif s.op == "send_eof":
            try:
                self.conns[s.conn].sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        else:
            conn = self.conns[s.conn]
            conn.until(lambda: conn.eof or conn.data, deadline, "the end")
            if conn.data:
                raise w.Differs(f"the end expected, got {conn.data[:200]!r}")

    def play(self, t):
        """Returns the number of bytes that the server sent."""
        line, self.steps = 0, t.steps
        try:
            for line, s in enumerate(t.steps, 1):
                self.step(s, time.monotonic() + self.timeout)
            for n, conn in self.conns.items():
                if conn.data or conn.frames:
                    raise w.Differs(f"connection {n}: unexpected {conn.data or conn.frames!r}")
        except (w.Differs, w.BadWire, OSError) as e:
            step = tr.step_text(t.steps[line - 1]).split("\n")[0]
            raise w.Differs(f"step {line} ({step}): {e}") from e
        finally:
            for conn in self.conns.values():
                conn.sock.close()


# ---- being the server -------------------------------------------------------------------------------

class Served:
    """Serves one transcript to one client."""

    def __init__(self, t, path):
        self.t, self.errors = t, []
        self.lock = threading.Condition()
        self.sent = set()  # steps of the client that have been seen
        self.taken = set()  # connections that have been made
        self.sends = [i for i, s in enumerate(t.steps) if s.op == "send"]
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def fail(self, text):
        with self.lock:
            self.errors.append(text)
            self.lock.notify_all()

    def serve(self, sock):
        try:
            line = b""
            while not line.endswith(b"\n"):
                c = sock.recv(1)
                if not c:
                    return
                line += c
            m = re.fullmatch(rb"CONNECT (\d+)\n", line)
            if not m:
                raise w.Differs(f"{line!r} instead of CONNECT")
            step = self.take(int(m[1]))
            if not step.refused:
                sock.sendall(b"OK 1\n")
                self.run(Conn(sock, step.what), step.conn)
        except (w.Differs, w.BadWire, StopIteration) as e:
            self.fail(str(e))
        except OSError:
            pass
        finally:
            sock.close()

    def take(self, port):
        with self.lock:
            for s in self.t.steps:
                if s.op == "connect" and s.what == port and s.conn not in self.taken:
                    self.taken.add(s.conn)
                    return s
        raise w.Differs(f"an unexpected connection to port {port}")

    def wait_for_client(self, index):
        """Nothing is sent before the bytes that came before it in the transcript."""
        need = {i for i in self.sends if i < index}
        with self.lock:
            if not self.lock.wait_for(lambda: need <= self.sent or self.errors, 20):
                raise w.Differs("the client did not send what comes first")

    def run(self, conn, n):
        deadline = time.monotonic() + 20
        for i, s in enumerate(self.t.steps):
            if s.conn != n or s.op == "connect":
                continue
            if s.op in ("recv", "recv_eof"):
                if not isinstance(s.what, w.Var):
                    self.wait_for_client(i)
                if s.op == "recv_eof":
                    conn.sock.shutdown(socket.SHUT_WR)
                else:
                    conn.sock.sendall(self.server_bytes(s.what))
                continue
            self.expect(conn, s, deadline)
            with self.lock:
                self.sent.add(i)
                self.lock.notify_all()
        conn.until(lambda: conn.eof, deadline, "the end")
        if conn.data:
            raise w.Differs(f"connection {n}: unexpected {conn.data!r}")

    @staticmethod
    def server_bytes(what):
        if isinstance(what, w.Answer):
            return what.encode()
        if isinstance(what, w.Var):
            return what.example.to_bytes(8, "little")
        return what.example if isinstance(what, tr.Match) else what

    def expect(self, conn, s, deadline):
        if s.op == "send_eof":
            conn.until(lambda: conn.eof or conn.data, deadline, "the end")
            if conn.data:
                raise w.Differs(f"the end expected, got {conn.data!r}")
        elif isinstance(s.what, w.Call):
            conn.until(lambda: w.split_frame(conn.data), deadline, "a call")
            frame, conn.data = w.split_frame(conn.data)
            got, bound = w.decode_call(frame), self.examples()
            want = (s.what.stream, s.what.service, s.what.method)
            if want != (got.stream, got.service, got.method):
                raise w.Differs(f"{want} expected, got {got.stream, got.service, got.method}")
            w.match(s.what.payload, got.payload, bound, s.what.method)
            w.match(s.what.timeout, got.timeout, bound, "timeout")
        else:
            got = conn.exactly(len(s.what), deadline, repr(s.what))
            if got != s.what:
                raise w.Differs(f"{s.what!r} expected, got {got!r}")

    def examples(self):
        """The variables as the served bytes bind them."""
        out = {}

        def look(v):
            if isinstance(v, w.Var) and v.example is not None:
                out[v.name] = v.example
            elif isinstance(v, list):
                for item in v:
                    look(item[0])
                    look(item[-1])
            elif isinstance(v, w.Node):
                look(v.value)
            elif isinstance(v, w.Answer) and v.payload:
                look(v.payload)

        for s in self.t.steps:
            look(s.what)
        return out


def run_client(argv, t, timeout, kill_after=None):
    """Runs a client as the transcript says: (status, stdout, stderr)."""
    env = dict(os.environ, RUST_BACKTRACE="0", TERM="xterm")
    if t.tcp:
        threading.Thread(target=tcp_peer, args=t.tcp, daemon=True).start()
    out = subprocess.PIPE
    if t.tty:
        keep, give = pty.openpty()
        out = give
    else:
        give, keep = os.pipe()
    child = subprocess.Popen(argv, env=env, stdin=give, stdout=out, stderr=subprocess.PIPE)
    os.close(give)
    if t.tty:
        return run_terminal(child, keep, t.stdin, timeout)
    try:
        os.write(keep, t.stdin)
        if not kill_after: # one that is going to be killed sees no end of its input
            os.close(keep)
        out, err = child.communicate(timeout=kill_after or timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
    if kill_after:
        os.close(keep)
    return child.returncode, out, err


def run_terminal(child, master, stdin, timeout):
    """Types each line of @stdin when the output has been quiet for half a second."""
    out, lines, end = b"", stdin.splitlines(keepends=True), time.monotonic() + timeout
    while time.monotonic() < end:
        if select.select([master], [], [], 0.5)[0]:
            try:
                more = os.read(master, 65536)
            except OSError:
                break
            out += more
        elif lines and out:
            os.write(master, lines.pop(0))
        elif child.poll() is not None:
            break
    os.close(master)
    _, err = child.communicate(timeout=10)
    return child.returncode, out, err


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except FileNotFoundError:
        return None


def tcp_peer(port, source, data):
    """The third party of a relay. Ends with a reset, so that it can come again at once."""
    for _ in range(100):
        with socket.socket() as s:
            s.settimeout(10)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                s.bind(("127.0.0.1", source))
                s.connect(("127.0.0.1", port))
            except OSError:
                time.sleep(0.1)
                continue
            try:
                s.sendall(data)
                while s.recv(4096):
                    pass
            except OSError:
                pass
            return


def temp_socket():
    folder = tempfile.mkdtemp(prefix="diag")
    return folder, os.path.join(folder, "s")


def play_client(t, client, timeout):
    folder, path = temp_socket()
    served = Served(t, path)
    try:
        cwd = os.getcwd()
        args = [a.replace("{out}", os.path.join(folder, "out")) for a in t.args]
        kill = 3 if t.status == -9 else None
        os.chdir(folder)
        status, out, err = run_client([*client, path, *args], t, timeout, kill)
        os.chdir(cwd)
        file = read_file(os.path.join(folder, "out"))
        time.sleep(0.05)
        if served.errors:
            raise w.Differs("; ".join(served.errors) + f"; it printed {(out + err)!r}")
        missing = [i for i in served.sends if i not in served.sent]
        if missing:
            raise w.Differs(f"{len(missing)} steps missing; it printed {(out + err)!r}")
        # A client speaks of itself by its own name.
        err = err.replace(os.path.basename(client[0]).encode(), b"ohcldiag-dev")
        for name, want, got in (("stdout", t.stdout, out), ("stderr", t.stderr, err),
                                ("file", t.file, file), ("status", t.status, status)):
            if want != got:
                raise w.Differs(f"{name}: {want!r} expected, got {got!r}")
    finally:
        served.listener.close()
        shutil.rmtree(folder)


def wait_ready(path, seconds):
    """Until the server answers a Ping, be it with an error."""
    ping = w.Call(1, "diag.OpenhclDiag", "Ping", []).encode()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            sock = dial(path, 1, 10)
            if sock:
                sock.sendall(ping)
                Conn(sock, 1).frame(1, time.monotonic() + 10)
                sock.close()
                return 0
        except (OSError, w.Differs):
            pass
        time.sleep(0.5)
    print(f"nobody answers at {path}")
    return 1


def expand(names):
    """The transcripts of a folder in their order."""
    for name in names:
        if os.path.isdir(name):
            yield from sorted(os.path.join(name, n) for n in os.listdir(name))
        else:
            yield name


def check_form(path, t):
    with open(path, encoding="utf-8") as f:
        if f.read() != tr.dump(t):
            raise w.Differs("the file is not in the form that the recorder writes")


def main():
    p = argparse.ArgumentParser(usage=__doc__[__doc__.index("usage"):])
    p.add_argument("mode", choices=["server", "client", "ready"])
    p.add_argument("--timeout", type=float, default=30)
    p.add_argument("rest", nargs="+")
    argv, client = sys.argv[1:], []
    if "--" in argv:
        cut = argv.index("--")
        argv, client = argv[:cut], [os.path.abspath(argv[cut + 1]), *argv[cut + 2:]]
    o = p.parse_args(argv)
    if o.mode == "ready":
        return wait_ready(o.rest[0], float(o.rest[1]))
    files = list(expand(o.rest if o.mode == "client" else o.rest[1:]))
    bad = 0
    for name in files:
        start = time.monotonic()
        try:
            t = tr.load(name)
            check_form(name, t)
            if o.mode == "client":
                play_client(t, client, o.timeout)
            else:
                Player(o.rest[0], o.timeout).play(t)
            print(f"{os.path.basename(name)}: same, {time.monotonic() - start:.1f} s", flush=True)
        except (w.Differs, w.BadWire) as e:
            print(f"{os.path.basename(name)}: DIFFERS: {e}", flush=True)
            bad += 1
    print(f"{len(files) - bad} the same, {bad} different")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())
