#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What inspecting costs a busy guest, and whether the answers come in time.

usage: inspect_load.py SOCKET [WINDOWS [SECONDS]]

The guest keeps all its VPs busy with exits. In every other window of time the whole tree is asked
for once a second, with the client's usual deadline of one second. Exits are counted by the
paravisor itself, read at both ends of each window. Prints one line of JSON.
"""
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import diag_replay as rp  # noqa: E402
import diag_wire as w  # noqa: E402

DEADLINE_NS = 1000000000
WHOLE = 0xffffffff


class Asker:
    def __init__(self, path):
        self.conn, self.stream = rp.Conn(rp.dial(path, 1, 30), 1), 1

    def ask(self, path, depth, limit=DEADLINE_NS):
        """(seconds it took, frame of the answer)."""
        payload = [("path", path), ("depth", depth)]
        call = w.Call(self.stream, "inspect.InspectService", "Inspect", payload, limit)
        start = time.monotonic()
        self.conn.sock.sendall(call.encode())
        frame = self.conn.frame(self.stream, start + 40)
        self.stream += 2
        return time.monotonic() - start, frame

    def tree(self, path):
        _, frame = self.ask(path, WHOLE, 30 * DEADLINE_NS)
        answer = w.decode_answer(frame, "InspectResponse")
        return dict(answer.payload)["result"]


def walk(node, path=""):
    if node.kind != "dir":
        yield path, node
        return
    for name, _, child in node.value:
        yield from walk(child, f"{path}/{name}")


def exits(asker):
    """Port exits of all VPs so far."""
    total = sum(n.value for p, n in walk(asker.tree("vm/partition/vp"))
                if p.endswith("/stats/io_port") or p.endswith("/exits/pio"))
    return time.monotonic(), total


def window(asker, seconds, asking, times, frames):
    begin, before = exits(asker)
    due = begin
    while due < begin + seconds:
        if asking:
            took, frame = asker.ask("", WHOLE)
            times.append(took)
            frames.append(frame)
        due += 1
        time.sleep(max(due - time.monotonic(), 0))
    end, after = exits(asker)
    return (after - before) / (end - begin)


def main():
    windows = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
    asker = Asker(sys.argv[1])
    rates, times, frames = {False: [], True: []}, [], []
    for i in range(windows):
        asking = i % 4 in (1, 2)  # quiet, asked, asked, quiet: a drift does not count
        rates[asking].append(window(asker, seconds, asking, times, frames))
    quiet, asked = (statistics.mean(rates[k]) for k in (False, True))
    nodes = [[n for _, n in walk(dict(w.decode_answer(f, "InspectResponse").payload)["result"])]
             for f in frames]
    late = sum(any(n.kind == "failed" and n.value[0] == "unresolved" for n in ns) for ns in nodes)
    print(json.dumps({
        "calls": len(times), "values": max(map(len, nodes)),
        "answer_bytes": max(map(len, frames)),
        "median_ms": round(statistics.median(times) * 1000, 1),
        "max_ms": round(max(times) * 1000, 1), "deadline_ms": DEADLINE_NS // 1000000,
        "incomplete": late, "exits_per_s_quiet": round(quiet), "exits_per_s_asked": round(asked),
        "spread_percent": round(100 * statistics.pstdev(rates[False]) / quiet, 2),
        "cost_percent": round(100 * (1 - asked / quiet), 2)}))


if __name__ == "__main__":
    main()
