#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the paravisor's log as --vtl2-log --vtl2-log-json stores it.

usage: check_vtl2_log.py [--restricted] [--need TARGET=TEXT]... FILE

Every line is the JSON of a record with the members of its kind; spans that end have begun, and what
is inside them names them. --restricted: nothing of VTL2's kernel log is there; otherwise something
is. --need: a record of that target whose message contains the text.
"""
import argparse
import json
import re
import sys

TIME = re.compile(r'^\d+\.\d{9}s$')
GUID = re.compile(r'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
KERNEL = ('kmsg', 'panic', 'underhill_init')


def fail(why, line=''):
    print(f'{why}: {line}' if line else why)
    sys.exit(1)


def check_span(rec, spans, line):
    if rec['op_code'] not in (1, 2) or not GUID.match(rec['activity_id']):
        fail('not a span', line)
    if rec['op_code'] == 1:
        spans[rec['activity_id']] = rec['name']
    elif spans.get(rec['activity_id']) != rec['name']:
        fail('a span ends that did not begin', line)
    elif rec['time_taken_ns'] < rec['time_active_ns']:
        fail('busy for longer than it took', line)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--restricted', action='store_true')
    ap.add_argument('--need', action='append', default=[])
    ap.add_argument('file')
    args = ap.parse_args()
    needs = [n.split('=', 1) for n in args.need]
    spans, related, counts = {}, 0, {}
    with open(args.file, encoding='utf-8') as f:
        lines = f.read().splitlines()
    for line in lines:
        rec = json.loads(line)
        counts[rec['target']] = counts.get(rec['target'], 0) + 1
        if not TIME.match(rec['timestamp']):
            fail('not a time', line)
        if 'op_code' in rec:
            check_span(rec, spans, line)
            continue
        if not isinstance(rec['fields']['message'], str):
            fail('no message', line)
        if rec.get('related_activity_id') in spans:
            related += 1
        needs = [n for n in needs
                 if n[0] != rec['target'] or n[1] not in rec['fields']['message']]
    print(f'{len(lines)} records, {len(spans)} spans, {related} events in them: {counts}')
    if needs:
        fail(f'these did not come: {needs}')
    if 'start_vtl0' not in spans.values():
        fail('no span around the start of VTL0')
    if args.restricted and any(t in counts for t in KERNEL):
        fail("VTL2's kernel log reached the host")
    if not args.restricted and 'kmsg' not in counts:
        fail("VTL2's kernel log did not reach the host")


if __name__ == '__main__':
    main()
