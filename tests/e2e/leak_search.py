#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Searches records of everything a host received (hvhost run --record) for canaries.

usage: leak_search.py [--seed TEXT] [--none NAME,...] [--found NAME,...] RECORD...

A canary is SHA-256 of "SEED:NAME"; the guest computes it from the seed, so that the secret itself
never came from the host. It is looked for as raw bytes, hexadecimal digits (both cases, also byte
by byte with blanks or colons), base64 (standard and URL alphabets, all three alignments), UTF-16 of
the digits, and each eight-byte word of it as a number: hexadecimal, decimal, and as the varint of a
message; a word is enough. NAME ending in "=" is a text canary: the first 32 digits as characters.

--none: must not be there; --found: must. Status 0 when all is as said. A canary named crash_params
may be in the messages by which the guest itself reports a crash to its host, and nowhere else.
"""
import argparse
import base64
import hashlib
import struct
import sys

KINDS = {1: "console", 2: "post", 3: "pipe", 4: "page", 5: "msr", 6: "crash"}
HEADER = 16
# The guest's crash report (host notification 8): control and parameters follow within 64 bytes.
CRASH_REPORT = bytes((1, 1, 8, 0))
CRASH_REPORT_SIZE = 64


def canary(seed, name):
    digest = hashlib.sha256(f"{seed}:{name.rstrip('=')}".encode())
    return digest.hexdigest()[:32].encode() if name.endswith("=") else digest.digest()


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes((n,))


def base64_forms(data):
    """The characters that do not depend on what stands before or after, for each alignment."""
    for shift in range(3):
        for alt in (None, b"-_"):
            enc = base64.b64encode(b"\0" * shift + data, alt).rstrip(b"=")
            yield "base64", enc[(0, 2, 3)[shift]:][:-1]


def utf16(text):
    return text.decode().encode("utf-16-le")


def forms(name, data):
    """(what it is, bytes to look for), each long enough to be no accident."""
    yield "raw", data
    digits = data.hex().encode()
    for d in (digits, digits.upper()):
        yield "hex", d
        yield "utf16 of hex", utf16(d)
    yield from base64_forms(data)
    if name.endswith("="):
        yield "utf16", utf16(data)
        yield "part", data[:16]
        yield "part", data[16:]
    for i in range(0, len(data), 8):
        word = data[i:i + 8]
        n = struct.unpack("<Q", word)[0]
        yield f"word {i // 8}", word
        yield f"word {i // 8} big-endian", word[::-1]
        for h in (word.hex(), word.hex().upper(), f"{n:x}", f"{n:X}"):
            yield f"word {i // 8} in hex", h.encode()
            yield f"word {i // 8} in hex, utf16", utf16(h.encode())
        for sep in " ", ":", ", ":
            yield f"word {i // 8} in hex", word.hex(sep[0]).replace(sep[0], sep).encode()
        yield f"word {i // 8} in decimal", str(n).encode()
        if n >> 63:
            yield f"word {i // 8} in decimal", str(n - (1 << 64)).encode()
        yield f"word {i // 8} as varint", varint(n)
        yield from ((f"word {i // 8} {k}", v) for k, v in base64_forms(word) if len(v) >= 9)


def streams(path):
    """{(kind, id): bytes} of one record; raises when it is not whole."""
    out = {}
    with open(path, "rb") as f:
        data = f.read()
    off = 0
    while off < len(data):
        if off + HEADER > len(data):
            raise ValueError(f"{path}: ends inside a header")
        kind, number, length, zero = struct.unpack_from("<IIII", data, off)
        if kind not in KINDS or zero or off + HEADER + length > len(data):
            raise ValueError(f"{path}: damaged at {off}")
        out.setdefault((KINDS[kind], number), []).append(data[off + HEADER:off + HEADER + length])
        off += HEADER + length
    return out


def own_report(data, at):
    """Is this place inside the message by which the guest reports its crash?"""
    head = data.rfind(CRASH_REPORT, max(at - CRASH_REPORT_SIZE, 0), at)
    return head >= 0 and head + CRASH_REPORT_SIZE > at


def places(blob, name, data):
    """(form, offset) of everything found."""
    seen = set()
    for what, pattern in forms(name, data):
        if pattern in seen:
            continue
        seen.add(pattern)
        at = blob.find(pattern)
        while at >= 0:
            if name != "crash_params" or not own_report(blob, at):
                yield what, at
            at = blob.find(pattern, at + 1)


def search(records, name, data, limit=8):
    hits = []
    for path, parts in records:
        for (kind, number), pieces in parts.items():
            for what, at in places(b"".join(pieces), name, data):
                hits.append(f"{path}: {kind} {number:#x} at {at}: {what}")
                if len(hits) >= limit:
                    return hits
    return hits


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--seed", default="keel")
    p.add_argument("--none", default="")
    p.add_argument("--found", default="")
    p.add_argument("records", nargs="+")
    o = p.parse_args()
    try:
        records = [(path, streams(path)) for path in o.records]
    except (OSError, ValueError) as e:
        print(f"leak_search: {e}", file=sys.stderr)
        return 2
    for path, parts in records:
        size = {}
        for (kind, _), pieces in parts.items():
            size[kind] = size.get(kind, 0) + sum(map(len, pieces))
        print(f"{path}: " + ", ".join(f"{k} {n} bytes" for k, n in sorted(size.items())))
    bad = 0
    for want, names in ((False, o.none), (True, o.found)):
        for name in filter(None, names.split(",")):
            hits = search(records, name, canary(o.seed, name))
            ok = bool(hits) == want
            bad += not ok
            print(f"{name}: {'found' if hits else 'not found'}: {'ok' if ok else 'WRONG'}")
            for h in hits[:3] if ok else hits:
                print(f"  {h}")
    return 1 if bad or not (o.none or o.found) else 0


if __name__ == "__main__":
    sys.exit(main())
