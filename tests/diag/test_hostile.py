#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that mean harm, against the real server as a process of its own: after each kind of attack
it answers others at once, and its resident memory stays within the bound of diag_server.h.

usage: test_hostile.py KEEL-DIAG-HOSTED [--sanitized]

Under a sanitizer the memory is printed but not judged: freed memory stays resident there (the unit
tests count the heap itself).
"""
import os
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time

MEMORY_MAX_KIB = 18 << 10 # DIAG_MEMORY_MAX
FRAME_MAX = 1 << 20
MANY = 1000


def field(tag, data):
    assert len(data) < 128
    return bytes([tag << 3 | 2, len(data)]) + data


def request(service, method, args=b''):
    body = field(1, service) + field(2, method) + (field(3, args) if args else b'')
    return struct.pack('>IIBB', len(body), 1, 1, 0) + body


PING = request(b'diag.OpenhclDiag', b'Ping')
WHOLE_TREE = request(b'inspect.InspectService', b'Inspect', b'\x10\xff\xff\xff\xff\x0f')
LARGE = struct.pack('>IIBB', FRAME_MAX, 1, 1, 0)


class Server:
    def __init__(self, program, folder):
        self.path = os.path.join(folder, 's')
        self.process = subprocess.Popen([program, '--socket', self.path], stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)
        assert self.process.stdout.readline() == b'ready\n'
        self.ping()
        self.base = self.resident()

    def resident(self):
        with open('/proc/%d/status' % self.process.pid, encoding='ascii') as f:
            return int([line.split()[1] for line in f if line.startswith('VmHWM')][0])

    def dial(self, port):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        while True:
            try:
                s.connect('%s.%d' % (self.path, port))
                return s
            except BlockingIOError: # the backlog is full
                time.sleep(0.01)

    def ping(self):
        with self.dial(1) as s:
            s.sendall(PING)
            answer = b''
            while len(answer) < 12:
                got = s.recv(12 - len(answer))
                assert got, 'no answer to a ping'
                answer += got
            assert answer[10:] == b'\x12\x00', answer


def send(s, data):
    """As much as the server takes; it may have closed."""
    s.settimeout(0.2)
    try:
        s.sendall(data)
    except OSError:
        pass


def stalls(server):
    held = []
    for _ in range(MANY):
        held.append(server.dial(1))
        send(held[-1], LARGE + b'x' * 6000)
    return held


def large_frames(server):
    held = []
    for _ in range(31):
        held.append(server.dial(1))
        send(held[-1], LARGE + b'x' * (FRAME_MAX - 1))
    return held


def data_connections(server):
    return [server.dial(2) for _ in range(MANY)]


def never_reads(server):
    held = []
    for _ in range(31):
        held.append(server.dial(1))
        held[-1].setblocking(False)
        try:
            for _ in range(3000):
                held[-1].send(WHOLE_TREE)
        except OSError:
            pass
    return held


def each_byte(server):
    for i in range(5 * len(WHOLE_TREE)):
        with server.dial(1) as s:
            s.send(WHOLE_TREE[:i % (len(WHOLE_TREE) + 1)])
    return []


def main():
    judged = '--sanitized' not in sys.argv
    bad = 0
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    with tempfile.TemporaryDirectory() as folder:
        server = Server(sys.argv[1], folder)
        for attack in (stalls, large_frames, data_connections, never_reads, each_byte):
            held = attack(server)
            server.ping()
            for s in held:
                s.close()
            server.ping()
            grown = server.resident() - server.base
            ok = grown <= MEMORY_MAX_KIB or not judged
            bad += not ok
            print('%-16s %6d KiB more%s' % (attack.__name__, grown, '' if ok else ': TOO MUCH'))
        server.process.terminate()
        if server.process.wait(timeout=20) != 0:
            print('the server did not end well')
            bad += 1
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
