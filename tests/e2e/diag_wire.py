# SPDX-License-Identifier: MIT
"""The diagnostics protocol as data: frames, messages and inspect trees to Python values and back.

Decoding is strict: whatever is not in the form the original's encoder gives (fields ascending,
defaults left out, shortest varints, exactly one variant) is refused, so that two equal values are
also equal bytes. Spec: the project's notes on OpenHCL's diagnostics, sections 2, 3 and 5.

A message is a list of (field name, value); values are int, bool, str, bytes or a message. An inspect
tree is a Node. Any leaf can also be Any(example): every value of that type; or Var(name, example):
the same value wherever the name appears.
"""
import struct


class BadWire(Exception):
    """Bytes that are not in canonical form."""


class Any:
    """Matches every value of the example's type."""

    def __init__(self, example):
        self.example = example


class Var:
    """A value that is bound where it is first seen."""

    def __init__(self, name, example=None):
        self.name, self.example = name, example


class Node:
    """kind: unevaluated, failed, signed, unsigned, float, double, bool, string, bytes, dir. value:
    the error as (name, text), the value, or for a directory a list of (name, sensitivity, Node). A
    directory with more=True matches with further entries too."""

    def __init__(self, kind, value=None, flags=0, more=False):
        self.kind, self.value, self.flags, self.more = kind, value, flags, more


# field: (tag, name, kind); kinds: str bytes uint int bool, a message's name; suffix * repeated,
# p packed, ? written even when it has the default.
MESSAGES = {
    "Empty": [],
    "EnvPair": [(1, "name", "str"), (2, "value", "str?")],
    "ExecRequest": [(1, "command", "str"), (2, "args", "str*"), (3, "tty", "bool"),
                    (4, "stdin", "uint"), (5, "stdout", "uint"), (6, "stderr", "uint"),
                    (7, "combine_stderr", "bool"), (8, "env", "EnvPair*"),
                    (9, "clear_env", "bool"), (10, "raw_socket_io", "bool")],
    "ExecResponse": [(1, "pid", "int")],
    "WaitRequest": [(1, "pid", "int")],
    "WaitResponse": [(1, "exit_code", "int")],
    "StartRequest": [(1, "env", "EnvPair*"), (2, "args", "str*")],
    "CrashRequest": [(1, "pid", "int")],
    "KmsgRequest": [(1, "follow", "bool"), (2, "conn", "uint")],
    "FileRequest": [(1, "follow", "bool"), (2, "conn", "uint"), (3, "file_path", "str")],
    "DumpSavedStateResponse": [(1, "data", "bytes")],
    "StartPacketCaptureData": [(1, "snaplen", "uint"), (2, "conns", "uintp")],
    "NetworkPacketCaptureRequest": [(3, "operation", "uint"),
                                    (4, "start_data", "StartPacketCaptureData")],
    "NetworkPacketCaptureResponse": [(1, "num_streams", "uint")],
    "MemoryProfileTraceRequest": [(1, "pid", "int")],
    "MemoryProfileTraceResponse": [(1, "data", "bytes")],
    "ProfileRequest": [(1, "conn", "uint"), (2, "duration", "uint"), (3, "profiler_args", "str*")],
    "InspectRequest": [(1, "path", "str"), (2, "depth", "uint")],
    "InspectResponse": [(1, "result", "Node")],
    "UpdateRequest": [(1, "path", "str"), (2, "value", "str")],
    "UpdateResponse": [(1, "new_value", "Value")],
    "Status": [(1, "code", "int"), (2, "message", "str")],
    "Call": [(1, "service", "str"), (2, "method", "str"), (3, "payload", "bytes"),
             (4, "timeout_nano", "uint")],
}

DIAG = "diag.UnderhillDiag"
METHODS = {
    ("diag.OpenhclDiag", "Ping"): ("Empty", "Empty"),
    ("diag.OpenhclDiag", "MemoryProfileTrace"): ("MemoryProfileTraceRequest",
                                                 "MemoryProfileTraceResponse"),
    (DIAG, "Exec"): ("ExecRequest", "ExecResponse"),
    (DIAG, "Wait"): ("WaitRequest", "WaitResponse"),
    (DIAG, "Start"): ("StartRequest", "Empty"),
    (DIAG, "Crash"): ("CrashRequest", "Empty"),
    (DIAG, "Kmsg"): ("KmsgRequest", "Empty"),
    (DIAG, "Restart"): ("Empty", "Empty"),
    (DIAG, "Pause"): ("Empty", "Empty"),
    (DIAG, "Resume"): ("Empty", "Empty"),
    (DIAG, "ReadFile"): ("FileRequest", "Empty"),
    (DIAG, "DumpSavedState"): ("Empty", "DumpSavedStateResponse"),
    (DIAG, "PacketCapture"): ("NetworkPacketCaptureRequest", "NetworkPacketCaptureResponse"),
    ("inspect.InspectService", "Inspect"): ("InspectRequest", "InspectResponse"),
    ("inspect.InspectService", "Update"): ("UpdateRequest", "UpdateResponse"),
    ("profile.AzureProfiler", "Profile"): ("ProfileRequest", "Empty"),
}

SENSITIVITY = ["safe", "unspec", "sensitive"]
ERRORS = {1: "unresolved", 2: "mesh", 3: "immutable", 4: "update", 5: "not_a_directory",
          6: "not_found", 7: "internal"}
KINDS = {1: "signed", 2: "unsigned", 3: "float", 4: "double", 5: "bool", 6: "string", 7: "bytes"}


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


class Rd:
    """Reads protobuf fields from bytes."""

    def __init__(self, data):
        self.data, self.off = data, 0

    def varint(self):
        n = shift = 0
        start = self.off
        while True:
            if self.off >= len(self.data) or shift > 63:
                raise BadWire("varint is cut or too long")
            b = self.data[self.off]
            self.off += 1
            n |= (b & 0x7f) << shift
            shift += 7
            if b < 0x80:
                break
        if varint(n) != self.data[start:self.off]:
            raise BadWire("varint is not the shortest")
        return n

    def fields(self):
        while self.off < len(self.data):
            tag = self.varint()
            if tag & 7 == 0:
                yield tag >> 3, self.varint()
            elif tag & 7 == 2:
                yield tag >> 3, self.take(self.varint())
            elif tag & 7 == 1:
                yield tag >> 3, self.take(8)
            elif tag & 7 == 5:
                yield tag >> 3, self.take(4)
            else:
                raise BadWire(f"wire type {tag & 7}")

    def take(self, n):
        if n > len(self.data) - self.off:
            raise BadWire("field is longer than the message")
        self.off += n
        return self.data[self.off - n:self.off]


def field(tag, value):
    if isinstance(value, bytes):
        return varint(tag << 3 | 2) + varint(len(value)) + value
    return varint(tag << 3) + varint(value)


def raw(value):
    return value.example if isinstance(value, (Any, Var)) else value


def text(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise BadWire("string is not UTF-8") from e


# ---- messages ---------------------------------------------------------------------------------------

def decode_value(kind, data):
    if kind in ("uint", "int", "bool"):
        if not isinstance(data, int):
            raise BadWire("a number was expected")
        if kind == "int" and data >= 1 << 63:
            data -= 1 << 64
        return bool(data) if kind == "bool" else data
    if not isinstance(data, bytes):
        raise BadWire("bytes were expected")
    if kind == "bytes":
        return data
    if kind == "str":
        return text(data)
    if kind == "Node":
        return decode_node(data)
    if kind == "Value":
        return decode_leaf(data)
    return decode(kind, data)


def encode_value(kind, value):
    value = raw(value)
    if kind == "str":
        return value.encode()
    if kind == "Node":
        return encode_node(value)
    if kind == "Value":
        return encode_leaf(value)
    if kind in MESSAGES:
        return encode(kind, value)
    return value if isinstance(value, bytes) else int(value)


def encode(name, message):
    out = b""
    for tag, fname, kind in MESSAGES[name]:
        values = [v for n, v in message if n == fname]
        if kind.endswith("p"):
            if values:
                out += field(tag, b"".join(varint(raw(v)) for v in values))
            continue
        for v in values:
            enc = encode_value(kind.rstrip("*?"), v)
            if enc or kind[-1] in "*?" or kind in ("Node", "Value"):
                out += field(tag, enc)
    return out


def decode(name, data):
    message = []
    spec = {tag: (fname, kind) for tag, fname, kind in MESSAGES[name]}
    for tag, value in Rd(data).fields():
        if tag not in spec:
            raise BadWire(f"{name}: unknown field {tag}")
        fname, kind = spec[tag]
        if kind.endswith("p"):
            rd = Rd(value)
            while rd.off < len(value):
                message.append((fname, rd.varint()))
        else:
            message.append((fname, decode_value(kind.rstrip("*?"), value)))
    if encode(name, message) != data:
        raise BadWire(f"{name} is not in canonical form: {data.hex()}")
    return message


# ---- inspect ----------------------------------------------------------------------------------------

def one(data, what):
    """The only field of a message."""
    fields = list(Rd(data).fields())
    if len(fields) != 1:
        raise BadWire(f"{what}: {len(fields)} variants")
    return fields[0]


def box(data, what, default):
    fields = list(Rd(data).fields())
    if len(fields) > 1 or fields and fields[0][0] != 1:
        raise BadWire(f"{what}: a box of something else")
    return fields[0][1] if fields else default


def decode_leaf(data):
    kind, flags = None, 0
    for tag, value in Rd(data).fields():
        if tag == 1:
            kind = one(value, "value")
        elif tag == 2:
            flags = box(value, "flags", 0)
        else:
            raise BadWire("value: unknown field")
    if not kind or kind[0] not in KINDS:
        raise BadWire("value without a kind")
    name = KINDS[kind[0]]
    v = box(kind[1], name, {"string": b"", "bytes": b"", "float": bytes(4),
                            "double": bytes(8)}.get(name, 0))
    if name == "signed":
        v = v >> 1 ^ -(v & 1)
    elif name == "bool":
        v = bool(v)
    elif name == "string":
        v = text(v)
    elif name in ("float", "double"):
        v = struct.unpack("<f" if name == "float" else "<d", v)[0]
    return Node(name, v, flags)


def encode_leaf(node):
    v = raw(node.value)
    if node.kind == "signed":
        inner = field(1, v << 1 ^ v >> 63) if v else b""
    elif node.kind in ("unsigned", "bool"):
        inner = field(1, int(v)) if v else b""
    elif node.kind == "float":
        inner = b"\x0d" + struct.pack("<f", v) if v else b""
    elif node.kind == "double":
        inner = b"\x09" + struct.pack("<d", v) if v else b""
    else:
        v = v.encode() if node.kind == "string" else v
        inner = field(1, v) if v else b""
    tag = next(t for t, n in KINDS.items() if n == node.kind)
    flags = field(2, field(1, node.flags)) if node.flags else b""
    return field(1, field(tag, inner)) + flags


def decode_node(data):
    tag, value = one(data, "node")
    if not isinstance(value, bytes):
        raise BadWire("node: a number")
    if tag == 1:
        node = Node("unevaluated")
    elif tag == 2:
        code, inner = one(box(value, "failed", b""), "error")
        if code not in ERRORS:
            raise BadWire("unknown error")
        node = Node("failed", (ERRORS[code], text(box(inner, "error", b""))))
    elif tag == 3:
        node = decode_leaf(box(value, "node", b""))
    elif tag == 4:
        node = Node("dir", [decode_entry(v) for _, v in Rd(value).fields()])
    else:
        raise BadWire("node: unknown variant")
    if encode_node(node) != data:
        raise BadWire(f"node is not in canonical form: {data[:60].hex()}")
    return node


def encode_node(node):
    if node.kind == "unevaluated":
        return field(1, b"")
    if node.kind == "failed":
        name, words = node.value
        code = next(t for t, n in ERRORS.items() if n == name)
        return field(2, field(1, field(code, field(1, words.encode()) if words else b"")))
    if node.kind == "dir":
        return field(4, b"".join(field(1, encode_entry(e)) for e in node.value))
    return field(3, field(1, encode_leaf(node)))


def decode_entry(data):
    name, node, sens = "", None, None
    for tag, value in Rd(data).fields():
        if tag == 1:
            name = text(value)
        elif tag == 2:
            node = decode_node(value)
        elif tag == 3:
            sens = one(value, "sensitivity")[0]
    if node is None or sens not in (1, 2, 3):
        raise BadWire("entry without a node or a sensitivity")
    entry = (name, SENSITIVITY[sens - 1], node)
    if encode_entry(entry) != data:
        raise BadWire(f"entry {name!r} is not in canonical form")
    return entry


def encode_entry(entry):
    name, sens, node = raw(entry[0]), SENSITIVITY.index(entry[1]) + 1, entry[2]
    return (field(1, name.encode()) if name else b"") + field(2, encode_node(node)) + \
        field(3, field(sens, b""))


# ---- frames -----------------------------------------------------------------------------------------

class Call:
    """A request: stream id, service, method, payload (a message) and time limit."""

    def __init__(self, stream, service, method, payload, timeout=0):
        self.stream, self.service, self.method = stream, service, method
        self.payload, self.timeout = payload, timeout

    def encode(self):
        kind = METHODS[self.service, self.method][0]
        body = encode("Call", [("service", self.service), ("method", self.method),
                               ("payload", encode(kind, self.payload)),
                               ("timeout_nano", raw(self.timeout))])
        return struct.pack(">IIBB", len(body), self.stream, 1, 0) + body


class Answer:
    """A response: a message, or a status as (code, text)."""

    def __init__(self, stream, kind, payload, status=None):
        self.stream, self.kind, self.payload, self.status = stream, kind, payload, status

    def encode(self):
        if self.status:
            body = field(1, encode("Status", [("code", self.status[0]),
                                              ("message", self.status[1])]))
        else:
            body = field(2, encode(self.kind, self.payload))
        return struct.pack(">IIBB", len(body), self.stream, 2, 0) + body


def split_frame(data):
    """(frame, rest) or None when the first frame is not complete yet."""
    if len(data) < 10:
        return None
    n = struct.unpack_from(">I", data)[0] + 10
    return (bytes(data[:n]), data[n:]) if len(data) >= n else None


def decode_call(frame):
    _, stream, kind, flags = struct.unpack_from(">IIBB", frame)
    if kind != 1 or flags:
        raise BadWire(f"frame of type {kind}, flags {flags}")
    f = dict(decode("Call", frame[10:]))
    method = f.get("service", ""), f.get("method", "")
    if method not in METHODS:
        raise BadWire(f"unknown method {method}")
    payload = decode(METHODS[method][0], f.get("payload", b""))
    return Call(stream, *method, payload, f.get("timeout_nano", 0))


def decode_answer(frame, kind):
    """@kind: the message that a success carries."""
    _, stream, ftype, flags = struct.unpack_from(">IIBB", frame)
    if ftype != 2 or flags:
        raise BadWire(f"frame of type {ftype}, flags {flags}")
    tag, value = one(frame[10:], "response")
    if tag == 1:
        s = dict(decode("Status", value))
        return Answer(stream, kind, None, (s.get("code", 0), s.get("message", "")))
    if tag != 2 or not isinstance(value, bytes):
        raise BadWire("response is neither success nor error")
    return Answer(stream, kind, decode(kind, value))


# ---- comparing --------------------------------------------------------------------------------------

class Differs(Exception):
    """What was expected and what came."""


def match(want, got, bound, path=""):
    """Compares with patterns; binds variables in @bound."""
    if isinstance(want, Any):
        if not isinstance(got, type(want.example)):
            raise Differs(f"{path}: a {type(want.example).__name__} expected, got {got!r}")
    elif isinstance(want, Var):
        if str(bound.setdefault(want.name, got)) != str(got):
            raise Differs(f"{path}: ${want.name} is {bound[want.name]!r}, got {got!r}")
    elif isinstance(want, Node):
        match_node(want, got, bound, path)
    elif isinstance(want, list):
        match_message(want, got, bound, path)
    elif want != got:
        raise Differs(f"{path}: {want!r} expected, got {got!r}")


def match_message(want, got, bound, path):
    names = [n for n, _ in want], [n for n, _ in got]
    if names[0] != names[1]:
        raise Differs(f"{path}: fields {names[0]} expected, got {names[1]}: {got!r}")
    for (name, w), (_, g) in zip(want, got):
        match(w, g, bound, f"{path}.{name}")


def match_node(want, got, bound, path):
    if want.kind != got.kind:
        raise Differs(f"{path}: {show(want)} expected, got {show(got)}")
    if want.flags != got.flags:
        raise Differs(f"{path}: flags {want.flags} expected, got {got.flags}")
    if want.kind != "dir":
        match(want.value, got.value, bound, path)
        return
    entries = list(got.value)
    for name, sens, node in want.value:
        while want.more and entries and not isinstance(name, Var) and entries[0][0] != name:
            entries.pop(0)
        if not entries:
            raise Differs(f"{path}/{raw(name)}: missing")
        gname, gsens, gnode = entries.pop(0)
        match(name, gname, bound, f"{path}/(name)")
        if gsens != sens:
            raise Differs(f"{path}/{gname}: {sens} expected, got {gsens}")
        match_node(node, gnode, bound, f"{path}/{gname}")
    if entries and not want.more:
        raise Differs(f"{path}: unexpected {', '.join(e[0] for e in entries)}")


def show(node):
    return f"{node.kind} {raw(node.value)!r}" if node.kind != "dir" else f"dir of {len(node.value)}"
