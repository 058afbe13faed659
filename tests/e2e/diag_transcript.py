# SPDX-License-Identifier: MIT
"""Transcripts: text files that say byte for byte what one client command and the server told each
other, and what the client printed. One step per line, in the order in which it happened:

  args inspect -r mesh           the client's arguments after the socket's path (shell quoting)
  stdin "text" | stdin tty       what the client reads (nothing without this line)
  tcp PORT FROM "text"           meanwhile somebody connects to that port of this machine from port
                                 FROM, says this and listens
  connect 1 port 2 [refused]     the client opens its next connection
  > 1 "text" | eof               bytes, or the end of them, from the client
  > 2 call 3 SERVICE METHOD [timeout any N]    and the request's fields in the lines below
  < 1 id $conn1=7                eight bytes, a little-endian number
  < 2 answer 3 ok                and the message's fields; or: error CODE "text"
  < 1 "text" | match "regular expression" example "text" | eof
  stdout | stderr                what the client prints, in the lines below, each after "| "
  file                           what is in {out} then, in the same form, when the arguments name it
  status N                       how the client ends; -9: it is killed after a while

The server's side is compared exactly, but for these patterns: `any V` is every value of V's type,
`$name=V` a value that is bound here and sent or compared where `$name` stands, a directory with
`...` may hold more entries than those named, `match` a stream that a regular expression describes.
V and `example` are what was recorded; they are what a client is served.

An inspect node is one of: unevaluated; failed ERROR ["text"]; KIND VALUE [hex] [count] [binary];
dir [...] with one entry a line: NAME SENSITIVITY NODE.
"""
import re
import shlex

import diag_wire as w

TOKEN = re.compile(r'\$\w+=?|x?"(?:\\.|[^"\\])*"|\S+')
FLAGS = ["hex", "count", "binary"]
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Match:
    """A stream that a regular expression describes."""

    def __init__(self, regex, example):
        self.regex, self.example = regex, example


class Step:
    """op: connect, send, recv, send_eof, recv_eof; what: the port, bytes, Call, Answer, Var (an id)
    or Match."""

    def __init__(self, op, conn, what=None, refused=False):
        self.op, self.conn, self.what, self.refused = op, conn, what, refused


class Transcript:
    def __init__(self, args):
        self.args, self.stdin, self.tty = args, b"", False
        self.tcp = None  # (port, from, bytes)
        self.steps = []
        self.stdout, self.stderr, self.file, self.status = b"", b"", None, 0


# ---- writing ----------------------------------------------------------------------------------------

def quote(data):
    """str or bytes as one token; bytes that are UTF-8 text look like it."""
    if isinstance(data, bytes):
        try:
            data = data.decode()
            odd = any(ord(c) > 126 for c in data)
        except UnicodeDecodeError:
            odd = True
        if odd:
            data = (data if isinstance(data, bytes) else data.encode()).decode("latin-1")
    out = ""
    for c in data:
        if c in ESCAPES:
            out += ESCAPES[c]
        elif ord(c) < 32 or 127 <= ord(c) < 256:
            out += f"\\x{ord(c):02x}"
        else:
            out += c
    return f'"{out}"'


def pattern(value, fmt):
    if isinstance(value, w.Any):
        return "any " + fmt(value.example)
    if isinstance(value, w.Var):
        return f"${value.name}" + ("" if value.example is None else f"={fmt(value.example)}")
    return fmt(value)


def plain(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bytes):
        return f'x"{value.hex()}"'
    return repr(value)


def node_text(node, indent):
    """A node as text; the entries of a directory follow in lines of their own."""
    if node.kind == "unevaluated":
        return "unevaluated\n"
    if node.kind == "failed":
        return "failed " + node.value[0] + (" " + quote(node.value[1]) if node.value[1] else "") + "\n"
    if node.kind == "dir":
        out = "dir" + (" ..." if node.more else "") + "\n"
        for name, sens, child in node.value:
            tok = name if isinstance(name, str) and re.fullmatch(r"[\w.:()-]+", name) else \
                pattern(name, plain)
            out += f"{indent}{tok} {sens} " + node_text(child, indent + "  ")
        return out
    flags = "".join(" " + f for i, f in enumerate(FLAGS) if node.flags >> i & 1)
    return f"{node.kind} {pattern(node.value, plain)}{flags}\n"


def message_text(message, indent):
    out = ""
    for name, value in message:
        if isinstance(value, w.Node):
            out += f"{indent}{name} " + node_text(value, indent + "  ")
        elif isinstance(value, list):
            out += f"{indent}{name}\n" + message_text(value, indent + "  ")
        else:
            out += f"{indent}{name} {pattern(value, plain)}\n"
    return out


def stream_text(data):
    if len(data) <= 80:
        return f" {quote(data)}\n"
    parts = re.findall(rb"[^\n]{1,120}\n?|\n", data)
    return "\n" + "".join(f"  {quote(p)}\n" for p in parts)


def step_text(s):
    if s.op == "connect":
        return f"connect {s.conn} port {s.what}" + (" refused" if s.refused else "") + "\n"
    head = f"{'>' if s.op.startswith('send') else '<'} {s.conn}"
    if s.op.endswith("_eof"):
        return f"{head} eof\n"
    if isinstance(s.what, bytes):
        return head + stream_text(s.what)
    if isinstance(s.what, w.Var):
        return f"{head} id {pattern(s.what, plain)}\n"
    if isinstance(s.what, Match):
        return f"{head} match {quote(s.what.regex)} example" + stream_text(s.what.example)
    if isinstance(s.what, w.Call):
        c = s.what
        limit = f" timeout {pattern(c.timeout, plain)}" if c.timeout else ""
        return f"{head} call {c.stream} {c.service} {c.method}{limit}\n" + \
            message_text(c.payload, "  ")
    a = s.what
    if a.status:
        return f"{head} answer {a.stream} error {a.status[0]} {quote(a.status[1])}\n"
    return f"{head} answer {a.stream} ok\n" + message_text(a.payload, "  ")


def output_text(name, data):
    out = f"{name}\n"
    for line in data.splitlines(keepends=True) if data else []:
        body = line[:-1].decode("latin-1")
        if line.endswith(b"\n") and re.fullmatch(r"([ -\[\]-~]*[!-\[\]-~])?", body):
            out += ("| " + body).rstrip() + "\n"
        else:
            out += "+ " + quote(line) + "\n"
    return out


def dump(t):
    out = "# SPDX-License-Identifier: MIT\n# See tests/e2e/diag_transcript.py for the form.\n"
    out += "args " + shlex.join(t.args) + "\n"
    if t.tty:
        out += "stdin tty\n"
    if t.stdin:
        out += f"stdin {quote(t.stdin)}\n"
    if t.tcp:
        out += f"tcp {t.tcp[0]} {t.tcp[1]} {quote(t.tcp[2])}\n"
    out += "\n" + "".join(step_text(s) for s in t.steps) + "\n"
    out += output_text("stdout", t.stdout) + output_text("stderr", t.stderr)
    if t.file is not None:
        out += output_text("file", t.file)
    return out + f"status {t.status}\n"


# ---- reading ----------------------------------------------------------------------------------------

def unquote(tok):
    """bytes of a quoted token."""
    body = tok[tok.index('"') + 1:-1]

    def sub(m):
        e = m[1]
        return {"n": "\n", "t": "\t", "r": "\r"}.get(e) or \
            (chr(int(e[1:], 16)) if e[0] == "x" else e)

    s = re.sub(r"\\(x[0-9a-f]{2}|.)", sub, body)
    return s


def as_bytes(tok):
    s = unquote(tok)
    return s.encode("latin-1") if all(ord(c) < 256 for c in s) else s.encode()


class Tokens:
    def __init__(self, line):
        self.list = TOKEN.findall(line)

    def next(self):
        return self.list.pop(0)

    def value(self):
        tok = self.next()
        if tok == "any":
            return w.Any(self.value())
        if tok.startswith("$"):
            return w.Var(tok[1:-1], self.value()) if tok.endswith("=") else w.Var(tok[1:])
        if tok.startswith('x"'):
            return bytes.fromhex(tok[2:-1])
        if tok.startswith('"'):
            return unquote(tok)
        if tok in ("true", "false"):
            return tok == "true"
        return int(tok) if re.fullmatch(r"-?\d+", tok) else float(tok)


class Reader:
    def __init__(self, text):
        self.lines = [ln for ln in text.split("\n") if not ln.startswith("#")]
        self.n = 0
        self.calls = {}

    def deeper(self, indent):
        """The following line when it is indented more than @indent."""
        if self.n < len(self.lines):
            line = self.lines[self.n]
            depth = len(line) - len(line.lstrip(" "))
            if line.strip() and depth > indent:
                self.n += 1
                return depth, Tokens(line)
        return None, None

    def node(self, toks, depth):
        kind = toks.next()
        if kind == "unevaluated":
            return w.Node(kind)
        if kind == "failed":
            return w.Node(kind, (toks.next(), unquote(toks.next()) if toks.list else ""))
        if kind == "dir":
            entries = []
            while True:
                d, t = self.deeper(depth)
                if not t:
                    return w.Node(kind, entries, more=bool(toks.list))
                name = t.value() if t.list[0][0] in '"$' else t.next()
                entries.append((name, t.next(), self.node(t, d)))
        value = toks.value()
        return w.Node(kind, value, sum(1 << FLAGS.index(f) for f in toks.list))

    def message(self, kind, depth):
        message = []
        while True:
            d, t = self.deeper(depth)
            if not t:
                return message
            name = t.next()
            sub = next(k for _, n, k in w.MESSAGES[kind] if n == name).rstrip("*?p")
            if sub in ("Node", "Value"):
                value = self.node(t, d)
            elif sub in w.MESSAGES:
                value = self.message(sub, d)
            else:
                value = t.value()
            message.append((name, value))

    def stream(self, toks):
        data = b"".join(as_bytes(t) for t in toks.list)
        while True:
            _, t = self.deeper(0)
            if not t:
                return data
            data += b"".join(as_bytes(x) for x in t.list)

    def exchange(self, op, toks):
        conn = int(toks.next())
        word = toks.list[0] if toks.list else ""
        if word == "eof":
            return Step(op + "_eof", conn)
        if word == "id":
            toks.next()
            return Step(op, conn, toks.value())
        if word == "call":
            toks.next()
            c = w.Call(int(toks.next()), toks.next(), toks.next(), None)
            if toks.list:
                toks.next()
                c.timeout = toks.value()
            kinds = w.METHODS[c.service, c.method]
            self.calls[conn, c.stream] = kinds[1]
            c.payload = self.message(kinds[0], 0)
            return Step(op, conn, c)
        if word == "answer":
            toks.next()
            stream, verdict = int(toks.next()), toks.next()
            if verdict == "error":
                return Step(op, conn, w.Answer(stream, None, None, (int(toks.next()),
                                                                    unquote(toks.next()))))
            kind = self.calls[conn, stream]
            return Step(op, conn, w.Answer(stream, kind, self.message(kind, 0)))
        if word == "match":
            toks.next()
            regex = unquote(toks.next())
            toks.next()
            return Step(op, conn, Match(regex, self.stream(toks)))
        return Step(op, conn, self.stream(toks))

    def output(self):
        data = b""
        while self.n < len(self.lines):
            line = self.lines[self.n]
            if line.startswith("| ") or line == "|":
                data += line[2:].encode() + b"\n"
            elif line.startswith("+ "):
                data += as_bytes(line[2:])
            else:
                break
            self.n += 1
        return data

    def read(self):
        t = Transcript([])
        while self.n < len(self.lines):
            line = self.lines[self.n]
            self.n += 1
            toks = Tokens(line)
            if not toks.list:
                continue
            word = toks.next()
            if word == "args":
                t.args = shlex.split(line[5:])
            elif word == "stdin":
                if toks.list[0] == "tty":
                    t.tty = True
                else:
                    t.stdin = as_bytes(toks.next())
            elif word == "tcp":
                t.tcp = int(toks.next()), int(toks.next()), as_bytes(toks.next())
            elif word == "connect":
                conn, _, port = int(toks.next()), toks.next(), int(toks.next())
                t.steps.append(Step("connect", conn, port, bool(toks.list)))
            elif word in "<>":
                t.steps.append(self.exchange("send" if word == ">" else "recv", toks))
            elif word == "stdout":
                t.stdout = self.output()
            elif word == "stderr":
                t.stderr = self.output()
            elif word == "file":
                t.file = self.output()
            elif word == "status":
                t.status = int(toks.next())
            else:
                raise ValueError(f"what is {line!r}?")
        return t


def load(path):
    with open(path, encoding="utf-8") as f:
        return Reader(f.read()).read()
