#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the layer rule: a folder includes only headers of itself and of folders the layer table
lets it use; the table's rows name only rows above them; header names are unique in the tree; the
headers of a third-party library appear only in the folders it was taken in for."""
import os
import re
import sys

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def check_table(table):
    bad = []
    above = set()
    for folder, uses in table.items():
        bad += ['meson.build: %s may use %s, which is not above it' % (folder, u)
                for u in uses if u not in above]
        above.add(folder)
    return bad


def includes(path):
    with open(os.path.join(tree.root(), path), encoding='utf-8') as f:
        for n, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            if m:
                yield n, m[1] == '"', m[2]


def owner(table, path):
    folder = os.path.dirname(path)
    return folder if folder in table or folder in tree.PROGRAMS else None


def third_party_ok(folder, name):
    for prefix, allowed in tree.THIRD_PARTY.items():
        if name == prefix or (prefix.endswith('/') and name.startswith(prefix)):
            return folder in allowed
    return True


def check_file(table, homes, path):
    folder = owner(table, path)
    bad = []
    if not folder:
        return bad
    visible = tree.closure(table, folder)
    for line, own, name in includes(path):
        if not own:
            if not third_party_ok(folder, name):
                bad.append('%s:%d: <%s> may not be used here' % (path, line, name))
        elif '/' in name:
            bad.append('%s:%d: include "%s" by its bare name' % (path, line, name))
        elif name not in homes:
            bad.append('%s:%d: no header "%s" in the tree' % (path, line, name))
        elif homes[name] not in visible:
            bad.append('%s:%d: "%s" is of %s, which %s may not use' %
                       (path, line, name, homes[name], folder))
    return bad


def main():
    table = tree.layers()
    bad = check_table(table)
    if not table:
        bad.append('meson.build: no layer table found')
    homes = {}
    sources = [f for f in tree.files() if f.endswith(('.c', '.h', '.S'))]
    for path in sources:
        name = os.path.basename(path)
        if name.endswith('.h'):
            if name in homes:
                bad.append('%s: %s has a header of that name, too' % (path, homes[name]))
            homes[name] = os.path.dirname(path)
    for path in sources:
        bad += check_file(table, homes, path)
    for line in bad:
        print(line)
    print('%d sources, %d headers, %d layers: %d findings' %
          (len(sources), len(homes), len(table), len(bad)))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
