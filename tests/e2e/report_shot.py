#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Opens a page of `keeldiag report` in headless Chromium and checks that its charts are there.

usage: report_shot.py [--charts N] [--lines N] [--need TEXT]... PAGE.html SHOT.png

Checks what the browser made of the page, not the file: charts in the DOM with their lines and bars,
nothing that could run or load, and screenshots (light and dark, SHOT.dark.png) on which every chart
has painted pixels. The browser has no network. The status is 0 when all is as it should be.
"""
import argparse
import html.parser
import os
import struct
import subprocess
import sys
import tempfile
import zlib

WIDTH, HEIGHT = 1100, 6000


def browse(page, args, timeout=120):
    """One run of the browser, in a profile of its own and without network."""
    with tempfile.TemporaryDirectory() as home:
        cmd = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
               "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + home,
               "--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9",
               f"--window-size={WIDTH},{HEIGHT}", *args, "file://" + os.path.abspath(page)]
        env = dict(os.environ, HOME=home, XDG_CONFIG_HOME=home, XDG_CACHE_HOME=home)
        return subprocess.run(cmd, capture_output=True, timeout=timeout, check=True, env=env,
                              stdin=subprocess.DEVNULL).stdout


class Dom(html.parser.HTMLParser):
    """Counts what is in the page."""

    ACTIVE = ("script", "iframe", "object", "embed", "link", "img", "form", "base", "video", "audio")

    def __init__(self):
        super().__init__()
        self.charts, self.lines, self.bars, self.points, self.tables = [], 0, 0, 0, 0
        self.text, self.bad = [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        cls = (attrs.get("class") or "").split()
        if tag in self.ACTIVE:
            self.bad.append(f"<{tag}>")
        self.bad += [f"{tag} {a}" for a in attrs if a.startswith("on") or a in ("src", "href")]
        if tag == "svg" and "plot" in cls:
            self.charts.append(attrs.get("aria-label") or "")
        elif tag == "path" and "series" in cls and len(attrs.get("d", "")) > 10:
            self.lines += 1
        elif tag == "rect" and "bar" in cls:
            self.bars += 1
        elif tag == "circle":
            self.points += 1
        elif tag == "table":
            self.tables += 1

    def handle_data(self, data):
        self.text.append(data)


def pixels(path):
    """Rows of RGB bytes of a PNG (8 bits, RGB or RGBA, not interlaced)."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise RuntimeError("not a PNG")
    at, body, head = 8, b"", None
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", data[at + 8:at + 21])
        elif kind == b"IDAT":
            body += data[at + 8:at + 8 + size]
        at += size + 12
    width, height, depth, colour, _, _, interlaced = head
    if depth != 8 or colour not in (2, 6) or interlaced:
        raise RuntimeError(f"unexpected kind of PNG: {head}")
    return width, height, 3 if colour == 2 else 4, zlib.decompress(body)


def unfilter(width, height, bpp, raw):
    stride = width * bpp
    last = bytearray(stride)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride if kind else 0):
            a = line[i - bpp] if i >= bpp else 0
            b, c = last[i], last[i - bpp] if i >= bpp else 0
            if kind == 1:
                add = a
            elif kind == 2:
                add = b
            elif kind == 3:
                add = (a + b) // 2
            else:
                pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                add = a if pa <= pb and pa <= pc else b if pb <= pc else c
            line[i] = (line[i] + add) & 255
        yield line
        last = line


def coloured(path):
    """How many pixels are colourful (lines and bars; text and grid are grey), and the background."""
    width, height, bpp, raw = pixels(path)
    count, back = 0, None
    for line in unfilter(width, height, bpp, raw):
        back = back or bytes(line[:3])
        for r, g, b in zip(line[0::bpp], line[1::bpp], line[2::bpp]):
            if max(r, g, b) - min(r, g, b) > 60:
                count += 1
    return width, height, count, back


def main():
    ap = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    ap.add_argument("--charts", type=int, default=1)
    ap.add_argument("--lines", type=int, default=1)
    ap.add_argument("--need", action="append", default=[])
    ap.add_argument("page")
    ap.add_argument("shot")
    args = ap.parse_args()
    wrong = []

    dom = Dom()
    dom.feed(browse(args.page, ["--dump-dom"]).decode())
    text = "".join(dom.text)
    print(f"{len(dom.charts)} charts, {dom.lines} lines, {dom.bars} bars, {dom.points} points, "
          f"{dom.tables} tables")
    if len(dom.charts) < args.charts:
        wrong.append(f"at least {args.charts} charts expected")
    if dom.lines < args.lines:
        wrong.append(f"at least {args.lines} lines expected")
    if any(len(label) < 20 for label in dom.charts):
        wrong.append("a chart has no words")
    wrong += [f"the page must not contain {b}" for b in dom.bad]
    wrong += [f"'{t}' is not on the page" for t in args.need if t not in text]

    dark = args.shot.removesuffix(".png") + ".dark.png"
    backs = []
    for path, more in (args.shot, []), (dark, ["--blink-settings=preferredColorScheme=0"]):
        browse(args.page, [f"--screenshot={os.path.abspath(path)}", *more])
        width, height, count, back = coloured(path)
        backs.append(sum(back))
        print(f"{path}: {width}x{height}, {count} coloured pixels")
        # A line across a chart is some hundred pixels at the very least.
        if count < 300 * max(1, len(dom.charts)):
            wrong.append(f"{path}: too little is painted")
    if not backs[0] > 600 or not backs[1] < 200:
        wrong.append(f"light and dark do not differ: {backs}")
    for w in wrong:
        print("expected: " + w)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
