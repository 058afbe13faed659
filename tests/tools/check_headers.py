#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that every header compiles alone, with the include path its folder is built with.
Usage: check_headers.py INCLUDE_DIR_OF_A_LIBRARY... -- COMPILER..."""
import concurrent.futures
import os
import subprocess
import sys

import tree

FLAGS = ['-fsyntax-only', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror',
         '-Wno-unused-parameter', '-Wno-unused-function', '-x', 'c']


def check(compiler, extra, table, header):
    top = tree.root()
    folder = os.path.dirname(header)
    cmd = compiler + FLAGS
    for d in tree.closure(table, folder):
        cmd += ['-I', os.path.join(top, d)]
    for d in extra:
        cmd += ['-isystem', d]
    run = subprocess.run(cmd + ['-'], input='#include "%s"\n' % os.path.basename(header),
                         capture_output=True, text=True, check=False)
    return '' if run.returncode == 0 else '%s does not compile alone:\n%s' % (header, run.stderr)


def main():
    split = sys.argv.index('--')
    extra, compiler = [d for d in sys.argv[1:split] if d], sys.argv[split + 1:]
    table = tree.layers()
    headers = [f for f in tree.files() if f.endswith('.h') and
               (os.path.dirname(f) in table or os.path.dirname(f) in tree.PROGRAMS)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        bad = [r for r in pool.map(lambda h: check(compiler, extra, table, h), headers) if r]
    for text in bad:
        print(text)
    print('%d headers: %d findings' % (len(headers), len(bad)))
    return 1 if bad or not headers else 0


if __name__ == '__main__':
    sys.exit(main())
