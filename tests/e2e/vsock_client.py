#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Talks to tests/guest/vtl2/vsock_echo.c in VTL2 through hvhost's hybrid-vsock socket.

usage: vsock_client.py SOCKET [SECONDS]

Waits up to SECONDS for VTL2 to listen, then checks: echo of small and large data, half-close, many
connections at once, refusal when nobody listens, and a connection from VTL2 to the host. Prints one
line per check; the status is 0 when all passed.
"""
import os
import socket
import sys
import threading
import time

ECHO, DIAL, NOBODY, BACK = 0x1001, 0x1002, 0x1fff, 0x2001


def connect(path, port, timeout=25):
    """The stream to a port, or None when it was refused."""
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
    if not line.startswith(b"OK ") or not line[3:-1].isdigit() or len(line) > 14:
        raise RuntimeError(f"bad answer {line!r}")
    return s


def wait_for_listener(path, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            s = connect(path, ECHO)
            if s:
                s.close()
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise RuntimeError("VTL2 does not listen")


def read_all(s):
    parts = []
    while True:
        b = s.recv(65536)
        if not b:
            return b"".join(parts)
        parts.append(b)


def echo(path, data):
    s = connect(path, ECHO)
    if not s:
        raise RuntimeError("refused")
    t = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    t.start()
    got = read_all(s)
    t.join()
    s.close()
    if got != data:
        raise RuntimeError(f"sent {len(data)} bytes, got {len(got)} or others")


def check_small(path):
    for i in range(10):
        echo(path, b"hello %d" % i)


def check_large(path):
    echo(path, os.urandom(1 << 20))


def check_many(path):
    errors = []

    def one(i):
        try:
            echo(path, bytes([i]) * 5000)
        except (OSError, RuntimeError) as e:
            errors.append(e)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise RuntimeError(f"{len(errors)} of 8 failed: {errors[0]}")


def check_refused(path):
    s = connect(path, NOBODY)
    if s:
        raise RuntimeError("somebody answered")


def check_abandoned(path):
    """Clients that vanish in the middle must not hurt the next one."""
    for _ in range(5):
        s = connect(path, ECHO)
        s.sendall(b"x" * 10000)
        s.close()
    echo(path, b"still there")


def check_guest_connects(path):
    name = f"{path}_{BACK}"
    server = socket.socket(socket.AF_UNIX)
    if os.path.exists(name):
        os.unlink(name)
    server.bind(name)
    server.listen(4)
    server.settimeout(20)
    try:
        s = connect(path, DIAL)
        s.sendall(b"%d\n" % BACK)
        host, _ = server.accept()
        host.settimeout(20)
        s.sendall(b"from the client")
        s.shutdown(socket.SHUT_WR)
        if read_all(host) != b"from the client":
            raise RuntimeError("the host heard something else")
        host.sendall(b"from the host")
        host.close()
        if read_all(s) != b"from the host":
            raise RuntimeError("the client heard something else")
    finally:
        server.close()
        os.unlink(name)


def main():
    path = sys.argv[1]
    wait_for_listener(path, float(sys.argv[2]) if len(sys.argv) > 2 else 60)
    bad = 0
    for c in (check_small, check_large, check_many, check_refused, check_abandoned,
              check_guest_connects):
        start = time.monotonic()
        try:
            c(path)
            print(f"vsock {c.__name__[6:]}: ok, {time.monotonic() - start:.1f} s", flush=True)
        except (OSError, RuntimeError, AttributeError) as e:
            print(f"vsock {c.__name__[6:]}: FAILED: {e!r}", flush=True)
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
