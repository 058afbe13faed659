#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Can the transcripts fail? Plays each one against its own served copy, which must agree, and
against copies in which the server says something else, each of which must be noticed.

usage: diag_selftest.py TRANSCRIPT-OR-FOLDER...
"""
import copy
import os
import shutil
import sys

import diag_replay as rp
import diag_transcript as tr
import diag_wire as w


def agrees(played, served):
    folder, path = rp.temp_socket()
    server = rp.Served(served, path)
    try:
        rp.Player(path, 0.5).play(played)
        return True
    except w.Differs:
        return False
    finally:
        server.listener.close()
        shutil.rmtree(folder)


def leaves(node, out):
    """Values and directories of a tree that are compared."""
    if node.kind == "dir":
        if not node.more:
            out.append(node)
        for _, _, child in node.value:
            leaves(child, out)
    elif not isinstance(node.value, w.Any) and node.kind != "unevaluated":
        out.append(node)
    return out


def other(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    return value + 1 if isinstance(value, (int, float)) else value + b"x"


def spoil_node(root):
    """One change of a tree."""
    target = leaves(root, [])[-1:]
    for node in target:
        if node.kind == "dir":
            node.value = [*node.value, ("zz", "safe", w.Node("bool", True))]
        elif node.kind == "failed":
            node.value = ("internal", "")
        else:
            node.value = other(node.value)
    return bool(target)


def spoil_payload(payload):
    for i, (name, value) in enumerate(payload):
        if isinstance(value, w.Node):
            return spoil_node(value)
        if not isinstance(value, (w.Any, w.Var)):
            payload[i] = (name, other(value))
            return True
    return False


def spoil(step):
    """Changes what the server says; False when the transcript leaves it open."""
    what = step.what
    if isinstance(what, bytes):
        step.what = what[:-1] + bytes((what[-1] ^ 1,))
    elif isinstance(what, tr.Match):
        what.example = b"?" + what.example
    elif isinstance(what, w.Answer) and what.status:
        what.status = (what.status[0], what.status[1] + ".")
    elif isinstance(what, w.Answer) and what.payload:
        return spoil_payload(what.payload)
    elif isinstance(what, w.Answer):
        what.status = (2, "no")
    else:
        return False
    return True


def main():
    bad = spoilt = 0
    names = list(rp.expand(sys.argv[1:]))
    for name in names:
        t = tr.load(name)
        if not agrees(t, t):
            print(f"{os.path.basename(name)}: differs from itself")
            bad += 1
        for i, s in enumerate(t.steps):
            if s.op != "recv":
                continue
            changed = copy.deepcopy(t)
            if not spoil(changed.steps[i]):
                continue
            spoilt += 1
            if agrees(t, changed):
                print(f"{os.path.basename(name)}: step {i + 1} can change unnoticed")
                bad += 1
    print(f"{spoilt} changes in {len(names)} transcripts, {bad} findings")
    return 1 if bad or not spoilt else 0


if __name__ == "__main__":
    sys.exit(main())
