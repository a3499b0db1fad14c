#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""smoke.py BENCH…: each benchmark runs a few rounds and prints one line of JSON with a baseline, a
figure of ours, and their ratio. Speaks TAP."""
import json
import os
import re
import subprocess
import sys


def wrong(bench):
    name = os.path.basename(bench)[len('bench_'):]
    tmp = os.environ.get('TMPDIR', '/tmp')
    before = {'journal': [tmp], 'journal_proof': [tmp], 'emv': ['cda-offline']}.get(name, [])
    rounds = before + ['5'] + {'journal_proof': ['2000']}.get(name, [])
    done = subprocess.run([bench, *rounds], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode or done.stdout.count('\n') != 1:
        return f'exit status {done.returncode}: {done.stdout}{done.stderr}'
    said = json.loads(done.stdout)
    figures = {k: v for k, v in said.items() if re.search(r'_(ns|us)$', k)}
    if said.get('bench') != name or not {'raw_ns', 'raw_us'} & set(figures) or len(figures) < 2:
        return f'no baseline or no figure: {said}'
    if not any(k.endswith('_percent') for k in said) or min(figures.values()) <= 0:
        return f'no ratio, or a figure that cannot be: {said}'
    return None


failed = 0
print(f'1..{len(sys.argv) - 1}')
for number, program in enumerate(sys.argv[1:], 1):
    trouble = wrong(program)
    failed |= trouble is not None
    print(f'{"not " if trouble else ""}ok {number} - {os.path.basename(program)}_measures')
    if trouble:
        print('# ' + trouble.replace('\n', '\n# '))
sys.exit(failed)
