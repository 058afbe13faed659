#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A log statement or span without one of the two classes must not compile, with any warnings off.

usage: check_log_class.py COMPILER [ARGS...]
"""
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

HEAD = """
#include "log_span.h"
#define LOG_AREA "test"
int f(int n);
int f(int n)
{
	enum log_class cls = n ? ALLOWED : CONF;

	(void)cls;
	%s
	return n;
}
"""

GOOD = [
    'log_info(ALLOWED, "x %d", n);',
    'log_info(CONF, "x");',
    'log_warn_rl(CONF, "x %d", n);',
    'log_kv(LOG_INFO, ALLOWED, LOG_KV(log_u64("n", 1)), "x");',
    'LOG_SPAN(span, LOG_INFO, ALLOWED, "name");',
    'LOG_SPAN(span, LOG_INFO, CONF, "name", log_u64("n", 1));',
]

BAD = [
    'log_err("x");',
    'log_err("x %d", n);',
    'log_info("x", "y");',
    'log_info(0, "x");',
    'log_info(1, "x");',
    'log_info(cls, "x");',
    'log_info(n, "x");',
    'log_info(SECRET, "x");',
    'log_info(LOG_ERR, "x");',
    'log_info();',
    'log_trace("x");',
    'log_warn_rl("x %d", n);',
    'log_rl(LOG_INFO, "x");',
    'log_kv(LOG_INFO, LOG_KV(log_u64("n", 1)), "x");',
    'LOG_SPAN(span, LOG_INFO, "name");',
    'LOG_SPAN(span, LOG_INFO, cls, "name");',
]


def compiles(cc, statement):
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, 'statement.c')
        with open(path, 'w', encoding='utf-8') as f:
            f.write(HEAD % statement)
        includes = ['-I' + os.path.join(ROOT, d) for d in ('hcl/base', 'hcl/rt')]
        args = cc + ['-std=gnu17', '-D_GNU_SOURCE', '-w', '-fsyntax-only'] + includes + [path]
        return subprocess.run(args, capture_output=True, check=False).returncode == 0


def main():
    cc = sys.argv[1:]
    wrong = ['does not compile: ' + s for s in GOOD if not compiles(cc, s)]
    wrong += ['compiles: ' + s for s in BAD if compiles(cc, s)]
    for line in wrong:
        print(line)
    print(f'{len(GOOD) + len(BAD)} statements: {len(wrong)} findings')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
