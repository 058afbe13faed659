# SPDX-License-Identifier: MIT
"""What the checks of this folder know about the source tree: its files and its layer table."""
import os
import re

# Programs are no layers: nobody may use them. Folder -> (layers it may use, third-party headers).
PROGRAMS = {
    'initrd': ['hcl/base', 'hcl/hv', 'hcl/rt'],
    'diag/cli': ['hcl/base', 'diag'],
    'igvm-build/shim': ['hcl/base', 'hcl/hv', 'igvm-build'],
    'igvm-build/tool': ['hcl/base', 'hcl/hv', 'igvm-build'],
    'vmm': ['hcl/base', 'hcl/hv', 'hcl/rt', 'hcl/vtl', 'devices/core', 'devices/chipset',
            'devices/vmbus', 'devices/get', 'devices/pci', 'devices/storage', 'crash', 'diag'],
    'tests/diag': ['hcl/base', 'hcl/rt', 'diag'],
    'tests/hvhost': ['hcl/base', 'hcl/hv', 'hcl/rt', 'devices/core', 'devices/vmbus',
                     'devices/get', 'devices/pci', 'devices/storage', 'igvm-build'],
}

# Headers of other projects and the only folders that may include them.
THIRD_PARTY = {
    'liburing.h': ['hcl/rt'],
    'Zydis/Zydis.h': ['devices/core'],
    'protobuf-c/': ['diag', 'diag/cli'],
    # Made from diag/proto at build time.
    'diag.pb-c.h': ['diag', 'diag/cli'],
    'inspect.pb-c.h': ['diag', 'diag/cli'],
    'ttrpc.pb-c.h': ['diag', 'diag/cli'],
    'libfdt.h': ['vmm', 'igvm-build/shim', 'tests/hvhost'],
    'zlib.h': ['initrd'],
    'cjson/cJSON.h': ['igvm-build/tool'],
    'openssl/': ['igvm-build/tool'],
    'linux/kvm.h': ['tests/hvhost'],
}

ROW = re.compile(r"^\s*\['([\w/-]+)',\s*\[([^\]]*)\],\s*\[([^\]]*)\],\s*[^\]]+\],\s*$")


def root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def layers():
    """The layer table of the top meson.build: an ordered dict folder -> folders it may use."""
    table = {}
    with open(os.path.join(root(), 'meson.build'), encoding='utf-8') as f:
        inside = False
        for line in f:
            if line.startswith('layers = ['):
                inside = True
            elif inside and line.startswith(']'):
                break
            elif inside:
                m = ROW.match(line)
                if m:
                    table[m[1]] = re.findall(r"'([^']+)'", m[2])
                elif line.strip() and not line.lstrip().startswith('#'):
                    raise SystemExit('cannot read this line of the layer table: ' + line)
    return table


def files():
    """Every file of the tree, relative to its root, sorted."""
    top = root()
    found = []
    for folder, dirs, names in os.walk(top):
        dirs[:] = [d for d in dirs if d not in ('.git', '__pycache__', 'build') and
                   not os.path.exists(os.path.join(folder, d, 'build.ninja'))]
        found += [os.path.relpath(os.path.join(folder, n), top) for n in names
                  if n != '.git'] # a file in a linked work tree
    return sorted(found)


def closure(table, folder):
    """The folders whose headers a folder sees, itself included."""
    seen = []
    todo = [folder] + table.get(folder, []) + PROGRAMS.get(folder, [])
    while todo:
        f = todo.pop()
        if f not in seen:
            seen.append(f)
            todo += table.get(f, [])
    return seen
