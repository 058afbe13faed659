#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""After a power cut: is everything there that tests/guest/vtl0/powercut.c said was durable?

powercut_check.py STATE SEED OUTPUT [raw=FILE] [file=FILE] [names=DIR]

OUTPUT is what the program printed before the cut, STATE a file that carries what was found after
the round before (it is written again): what this round has not written must not have changed.
"""

import json
import os
import re
import struct
import sys

MASK = (1 << 64) - 1
MAGIC = 0x7475637265776F70
SECTOR, BLOCK, SLOTS = 512, 4096, 1024
NAMES_KEPT = 32
LAG = 4096  # so far the program may be ahead of the words of it that have come out of the machine
BLOCK_WORDS, SECTOR_WORDS = BLOCK // 8, SECTOR // 8


class Lost(Exception):
    pass


def mix(x):
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def slot_of(number):
    return number * 389 % SLOTS


def sector_bytes(seed, number, slot, index):
    first = index * SECTOR_WORDS
    key = (mix(mix(seed) ^ number) + slot * BLOCK_WORDS + first) & MASK
    words = [MAGIC, seed, number, slot] + [mix((key + k) & MASK) for k in range(4, SECTOR_WORDS)]
    return struct.pack("<%dQ" % SECTOR_WORDS, *words)


def identify(data, slot, index):
    """Which write a sector is of: (seed, number), or None when it was never written."""
    if not any(data):
        return None
    magic, seed, number, at = struct.unpack_from("<4Q", data)
    if magic != MAGIC or at != slot or slot_of(number) != slot:
        raise Lost("slot %d sector %d holds something else: %s" % (slot, index, data[:32].hex()))
    if data != sector_bytes(seed, number, slot, index):
        raise Lost("slot %d sector %d: write %d of seed %d is damaged" % (slot, index, number, seed))
    return [seed, number]


def last_writes(acked):
    """For every slot the last write up to the number that was acknowledged."""
    last = {}
    for number in range(max(1, acked - SLOTS + 1), acked + 1):
        last[slot_of(number)] = number
    return last


def check_blocks(what, path, seed, acked, before):
    """Returns what every sector holds now."""
    last, now, newer = last_writes(acked), [], 0
    with open(path, "rb") as f:
        for slot in range(SLOTS):
            block = f.read(BLOCK).ljust(BLOCK, b"\0")
            for index in range(BLOCK // SECTOR):
                found = identify(block[index * SECTOR : (index + 1) * SECTOR], slot, index)
                old = before[len(now)] if before else None
                now.append(found)
                if found and found[0] == seed:
                    if found[1] > acked + LAG:
                        raise Lost("%s: write %d is there before its time" % (what, found[1]))
                    newer += found[1] > acked
                    if found[1] >= last.get(slot, 0):
                        continue
                if slot in last:
                    raise Lost("%s: slot %d sector %d: write %d was acknowledged, found %s"
                               % (what, slot, index, last[slot], found))
                if found != old:
                    raise Lost("%s: slot %d sector %d: nobody wrote it, it was %s and is %s"
                               % (what, slot, index, old, found))
    print("%s: %d acknowledged writes are there, %d sectors are newer" % (what, acked, newer))
    return now


def check_names(path, seed, acked):
    found = {int(name) for name in os.listdir(path) if name.isdigit()}
    last = max(found, default=0)
    if last < acked or last > acked + LAG:
        raise Lost("names: file %d was acknowledged, the last one is %d" % (acked, last))
    for number in range(max(1, last - NAMES_KEPT + 1), last):
        if number not in found:
            raise Lost("names: file %d is not there, but %d is" % (number, last))
    for number in sorted(found):
        if number < last - NAMES_KEPT:
            raise Lost("names: file %d is there, but was removed before %d was made" % (number, last))
        with open(os.path.join(path, str(number)), "rb") as f:
            slot = slot_of(number)
            f.seek(slot * BLOCK)
            want = b"".join(sector_bytes(seed, number, slot, i) for i in range(BLOCK // SECTOR))
            if f.read() != want:
                raise Lost("names: file %d is damaged" % number)
    print("names: %d acknowledged, the last %d are whole" % (acked, len(found)))


def main():
    state_path, seed, output = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    acked = {"raw": 0, "file": 0, "names": 0}
    with open(output, "rb") as f:
        for line in f.read().split(b"\n")[:-1]:  # the last one may be half a line
            if m := re.fullmatch(rb"(raw|file|names) (\d+)\r?", line):
                acked[m[1].decode()] = int(m[2])
    try:
        with open(state_path, encoding="ascii") as f:
            state = json.load(f)
    except FileNotFoundError:
        state = {}
    for what, path in (arg.split("=", 1) for arg in sys.argv[4:]):
        if not acked[what]:
            raise Lost("%s: nothing was acknowledged, so nothing is proved" % what)
        if what == "names":
            check_names(path, seed, acked[what])
        else:
            state[what] = check_blocks(what, path, seed, acked[what], state.get(what))
    with open(state_path, "w", encoding="ascii") as f:
        json.dump(state, f)


try:
    main()
except Lost as e:
    sys.exit("LOST: %s" % e)
