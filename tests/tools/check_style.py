#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks what neither compiler sees: licence lines, comment and typedef style, forbidden calls,
sizes of lines, functions and files, names of package hosts and of folders of some machine.
A function may be longer than the cap with a comment in it that begins with "size-ok:"."""
import os
import re
import sys

import tree

LINE_MAX = 100
FUNCTION_MAX = 80
FILE_MAX = 1200

LICENSED = ('.c', '.h', '.S', '.sh', '.py', 'meson.build', 'meson_options.txt', '.config', '.lds',
            'manifest.txt', 'manifest-dev.txt')
GPL = ('kernel-patches/',)
PRODUCT = ('hcl/', 'devices/', 'vtpm/', 'vmm/', 'diag/', 'initrd/', 'igvm-build/', 'tests/hvhost/')

FORBIDDEN = re.compile(r'(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strncpy|strtok|atoi|atol|atoll|'
                       r'alloca|gets|system|popen|signal|rand|srand)\s*\(')
TYPEDEF = re.compile(r'\btypedef\s+(struct|union|enum)\b')
# Written so that this file does not contain what it looks for.
MACHINE = re.compile('|'.join([
    r'\b[\w.-]+\.debian' + r'\.org/', r'\bdeb\.deb' + r'ian\b', r'\bpypi' + r'\.org\b',
    r'\bcrates' + r'\.io/', r'(?<![\w$}])/wo' + r'rk/', r'(?<![\w$}])/ro' + r'ot/\.',
    r'/tmp/ke' + r'el/']))


def strip_c(text):
    """C source with comments and literals blanked (same length and lines) and line comments."""
    out = []
    slashes = []
    i, n = 0, len(text)
    while i < n:
        two = text[i:i + 2]
        if two == '/*':
            end = text.find('*/', i + 2)
            end = n if end < 0 else end + 2
        elif two == '//':
            slashes.append(text.count('\n', 0, i) + 1)
            end = text.find('\n', i)
            end = n if end < 0 else end
        elif text[i] in '"\'':
            end = i + 1
            while end < n and text[end] != text[i] and text[end] != '\n':
                end += 2 if text[end] == '\\' else 1
            end = min(end + 1, n)
            out.append('"' + re.sub(r'[^\n]', ' ', text[i + 1:end - 1]) + '"')
            i = end
            continue
        else:
            out.append(text[i])
            i += 1
            continue
        out.append(re.sub(r'[^\n]', ' ', text[i:end]))
        i = end
    return ''.join(out), slashes


def long_functions(code, text):
    """In kernel style a function's braces are alone in column 0."""
    lines, raw = code.split('\n'), text.split('\n')
    start = None
    for n, line in enumerate(lines):
        if line.startswith('{'):
            start = n
        elif line.startswith('}') and start is not None:
            length = n - start + 2
            if length > FUNCTION_MAX and 'size-ok:' not in '\n'.join(raw[start:n]):
                yield start, length
            start = None


def check_c(path, text):
    code, slashes = strip_c(text)
    bad = ['%s:%d: // comment' % (path, n) for n in slashes]
    for n, line in enumerate(code.split('\n'), 1):
        if TYPEDEF.search(line) and '(' not in line:
            bad.append('%s:%d: typedef of a struct, union or enum' % (path, n))
        if not path.startswith(PRODUCT):
            continue
        m = FORBIDDEN.search(line)
        if m:
            bad.append('%s:%d: %s() is forbidden' % (path, n, m[1]))
        if re.match(r'\s*#\s*include\s+<assert\.h>', line):
            bad.append('%s:%d: assert.h in product code' % (path, n))
    for n, length in long_functions(code, text):
        bad.append('%s:%d: function of %d lines (at most %d)' % (path, n, length, FUNCTION_MAX))
    if path.endswith('.h') and '#pragma once' not in text:
        bad.append('%s: no #pragma once' % path)
    return bad


def check_lines(path, text):
    bad = []
    lines = text.split('\n')
    if len(lines) - 1 > FILE_MAX:
        bad.append('%s: %d lines (at most %d)' % (path, len(lines) - 1, FILE_MAX))
    for n, line in enumerate(lines, 1):
        # A string is not cut: it is what people search for.
        if len(line.expandtabs(8)) > LINE_MAX and path.endswith(('.c', '.h', '.S')) and \
           not line.lstrip().startswith('"'):
            bad.append('%s:%d: %d columns (at most %d)' %
                       (path, n, len(line.expandtabs(8)), LINE_MAX))
        if line != line.rstrip() and not path.endswith('.md'):
            bad.append('%s:%d: white space at the end' % (path, n))
        m = MACHINE.search(line)
        if m:
            bad.append('%s:%d: name of a host or of a folder of one machine: %s' % (path, n, m[0]))
    if text and not text.endswith('\n'):
        bad.append('%s: no newline at the end' % path)
    return bad


def check_licence(path, text):
    if not path.endswith(LICENSED):
        return []
    want = 'GPL-2.0' if path.startswith(GPL) else 'MIT'
    head = text.split('\n')[:2]
    if any('SPDX-License-Identifier: ' + want in line for line in head):
        return []
    return ['%s: the first line must say SPDX-License-Identifier: %s' % (path, want)]


def main():
    bad = []
    count = 0
    for path in tree.files():
        full = os.path.join(tree.root(), path)
        if path.startswith('tests/fuzz/corpus/') or path.endswith('.patch') or \
           os.path.islink(full):
            continue
        with open(full, 'rb') as f:
            raw = f.read()
        if b'\0' in raw:
            continue
        text = raw.decode('utf-8', errors='replace')
        count += 1
        bad += check_licence(path, text) + check_lines(path, text)
        if path.endswith(('.c', '.h')):
            bad += check_c(path, text)
    for line in bad:
        print(line)
    print('%d files: %d findings' % (count, len(bad)))
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
