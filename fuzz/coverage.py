#!/usr/bin/env python3
"""coverage.py BUILD [--tap] [--corpus] [NAME…]: see scripts/fuzz-coverage."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import targets as table

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(build, target, corpus, prefix):
    """Replays the target; its counters land under prefix. Returns what went wrong, or None."""
    inputs = [os.path.join(ROOT, 'fuzz', kind, target.name) for kind in ('seeds', 'regressions')]
    if corpus:
        inputs.append(os.path.join(ROOT, 'build-fuzz', 'corpus', target.name))
    env = dict(os.environ, GCOV_PREFIX=prefix)
    program = os.path.join(build, 'fuzz', 'replay_' + target.name)
    done = subprocess.run([program] + inputs, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return f'replay failed: {(done.stderr or done.stdout).strip()[-400:]}'
    return None


def lines_of(prefix):
    """{function: (lines, lines executed)} of everything the counters under prefix speak of."""
    functions = {}
    for folder, _, names in os.walk(prefix):
        counters = [n for n in names if n.endswith('.gcda')]
        if not counters or not folder.startswith(prefix + ROOT):
            continue
        for n in counters:
            notes = n[:-5] + '.gcno'
            os.symlink(os.path.join(folder[len(prefix):], notes), os.path.join(folder, notes))
        out = subprocess.run(['gcov', '--json-format', '--stdout'] + counters, cwd=folder,
                             capture_output=True, text=True, check=True).stdout
        for document in out.splitlines():
            for f in json.loads(document)['files'] if document.strip() else []:
                for line in f['lines']:
                    name = line.get('function_name')
                    if name:
                        n, hit = functions.get(name, (0, 0))
                        functions[name] = (n + 1, hit + (line['count'] > 0))
    return functions


def measure(build, target, corpus):
    """(percent of the lines of the functions listed, [what is wrong])"""
    prefix = tempfile.mkdtemp(prefix='dp-reach.')
    try:
        failed = run(build, target, corpus, prefix)
        if failed:
            return 0, [failed]
        functions = lines_of(prefix)
    finally:
        shutil.rmtree(prefix)
    lines = sum(functions.get(f, (0, 0))[0] for f in target.reaches)
    hit = sum(functions.get(f, (0, 0))[1] for f in target.reaches)
    percent = 100 * hit // lines if lines else 0
    wrong = [f'does not reach {f}' for f in target.reaches if not functions.get(f, (0, 0))[1]]
    if percent < (target.floor or 1):
        wrong.append(f'{percent} % of the lines, the floor is {target.floor} %')
        wrong += [f'  {f}: {functions[f][1]} of {functions[f][0]} lines' for f in target.reaches
                  if f in functions and functions[f][1] < functions[f][0]]
    return percent, wrong


def main():
    words = [a for a in sys.argv[2:] if not a.startswith('--')]
    tap = '--tap' in sys.argv
    targets = [t for t in table.read(ROOT) if not words or t.name in words]
    bad = not targets
    if tap:
        print(f'1..{len(targets)}')
    for number, t in enumerate(targets, 1):
        percent, wrong = measure(os.path.abspath(sys.argv[1]), t, '--corpus' in sys.argv)
        bad = bad or bool(wrong)
        if tap:
            print(f'{"not " if wrong else ""}ok {number} - '
                  f'seeds_of_{t.name}_reach_what_it_lists ({percent} %)')
        else:
            print(f'{t.name:<20} {percent:3d} %  floor {t.floor:3d} %  '
                  f'{len(t.reaches)} functions  {"FAILED" if wrong else "ok"}')
        for w in wrong:
            print('# ' + w)
    sys.exit(1 if bad else 0)


main()
