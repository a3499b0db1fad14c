# SPDX-License-Identifier: Apache-2.0
"""coverage.py REPORT.json ROOM [--missing]: prints what scripts/coverage measured and holds it to
its floors."""
import json
import os
import re
import sys

ROOM_FLOOR, PARSER_FLOOR = 90.0, 95.0
HERE = os.path.dirname(os.path.abspath(__file__))
MARKER = re.compile(r'\b[GL]COVR?_EXCL_')


def listed(name):
    """The paths of a list, one a line; # begins a comment."""
    path = os.path.join(HERE, name)
    if not os.path.exists(path):
        return set()
    with open(path, encoding='utf-8') as f:
        lines = (line.split('#')[0].strip() for line in f)
        return {line for line in lines if line}


def branches(lines):
    """Taken and all; throw branches are none in C."""
    all_of_them = [b['count'] > 0 for line in lines for b in line['branches']]
    return sum(all_of_them), len(all_of_them)


def percent(taken, total):
    return 100.0 * taken / total if total else 100.0


def missing(file):
    for line in file['lines']:
        counts = [b['count'] for b in line['branches']]
        if 0 in counts:
            print(f"  {file['file']}:{line['line_number']}: "
                  f"{counts.count(0)} of {len(counts)} branches not taken")


def marked(files):
    """Files with an exclusion marker that may have none."""
    allowed = listed('coverage-excluded')
    for file in files:
        with open(file['file'], encoding='utf-8') as f:
            if MARKER.search(f.read()) and file['file'] not in allowed:
                yield file['file']


def main(report, room, *options):
    with open(report, encoding='utf-8') as f:
        files = sorted(json.load(f)['files'], key=lambda file: file['file'])
    files = [file for file in files if file['file'].startswith(f'src/{room}/')]
    parsers, bad = listed('coverage-parsers'), []
    total = [0, 0]
    for file in files:
        taken, every = branches(file['lines'])
        total = [total[0] + taken, total[1] + every]
        parser = file['file'] in parsers
        mark = 'parser' if parser else ''
        print(f"{file['file']:32} {taken:5} / {every:5} {percent(taken, every):6.1f} % {mark}")
        if parser and percent(taken, every) < PARSER_FLOOR:
            bad.append(f"{file['file']} is a parser and under {PARSER_FLOOR:.0f} %")
        if '--missing' in options:
            missing(file)
    print(f"{'src/' + room:32} {total[0]:5} / {total[1]:5} {percent(*total):6.1f} %")
    if not total[1] or percent(*total) < ROOM_FLOOR:
        bad.append(f'src/{room} is under {ROOM_FLOOR:.0f} %')
    bad += [f'{path} has an exclusion marker and is not listed' for path in marked(files)]
    for text in bad:
        print(f'coverage: {text}', file=sys.stderr)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
