#!/usr/bin/env python3
"""built.py ROOT BUILD: everything the project holds is in the build, and nothing else: sources are
compiled, tests are run, rooms and programs are there; a device's build has no part that is not for a
device. Speaks TAP."""
import json
import os
import re
import sys

import rules
import tap

ROOT, BUILD = sys.argv[1], sys.argv[2]
PROGRAMS = {'doorpay', 'doorpayd', 'doorpayd-card', 'doorpayd-link', 'doorpayd-till',
            'doorpayd-vault', 'doorpay-finance', 'doorpay-sim'}
# What a build may be told to leave out: option, its sources, its programs.
PARTS = (('finance', re.compile(r'src/finance/'), {'doorpay-finance'}),
         ('sim', re.compile(r'src/sim/'), {'doorpay-sim'}))
NEVER_ON_A_DEVICE = re.compile(r'src/(finance|sim)/|hsm/(soft|sim)')


def info(name):
    with open(os.path.join(BUILD, name), encoding='utf-8') as f:
        return json.load(f)


OPTIONS = {o['name']: o['value'] for o in info('meson-info/intro-buildoptions.json')}
DEVICE = OPTIONS['profile'] == 'device'
LEFT_OUT = [p for p in PARTS if DEVICE or OPTIONS[p[0]] == 'disabled']
WHOLE = not LEFT_OUT
TARGETS = info('meson-info/intro-targets.json')
COMPILED = {os.path.relpath(os.path.join(c['directory'], c['file']), ROOT)
            for c in info('compile_commands.json')}
COMMANDS = [c for t in info('meson-info/intro-tests.json') for c in t['cmd']]


def sources(*tops):
    return [path for path, _ in rules.files(ROOT, tops, '.c')]


def uncompiled():
    """A build without finance or the simulators has not all tests; the product is whole in each."""
    tops = ('src', 'hsm', 'fuzz', 'tests', 'bench') if WHOLE else ('src', 'hsm')
    for path in sources(*tops):
        if path in COMPILED or (DEVICE and NEVER_ON_A_DEVICE.match(path)) or \
                any(pattern.match(path) for _, pattern, _ in LEFT_OUT):
            continue
        if not (OPTIONS['fuzzing_engine'] != 'none' and path == 'fuzz/replay.c'):
            yield f'{path} is compiled into nothing'


def tests_not_run():
    """Programs of tests that no test runs, and scripts that no test runs and no other script uses."""
    run = {os.path.realpath(c) for c in COMMANDS}
    if not WHOLE:
        return
    for t in TARGETS:
        of = [os.path.relpath(s, ROOT) for g in t['target_sources'] for s in g.get('sources', [])]
        if t['type'] == 'executable' and \
                any(re.match(r'tests/(\w+/test_|attacks/A\d\d)\w+\.c$', s) for s in of) and \
                not any(os.path.realpath(f) in run for f in t['filename']):
            yield f'{t["name"]} is built and no test runs it'
    scripts = dict(rules.files(ROOT, ('tests',), ('.py', '.sh')))
    for path in scripts:
        name = re.escape(os.path.basename(path)[:-3])
        used = re.compile(rf'^\s*(import|from) {name}\b', re.M)
        if os.path.realpath(os.path.join(ROOT, path)) not in run and \
                not any(used.search(text) for other, text in scripts.items() if other != path):
            yield f'{path} is run by no test'


def missing_rooms():
    names = {t['name'] for t in TARGETS}
    for room in rules.ROOMS:
        if room not in [option for option, _, _ in LEFT_OUT] and \
                not {'dp_' + room, 'doorpay' if room == 'cli' else ''} & names:
            yield f'{room}: there is no library dp_{room}'


def wrong_programs():
    installed = {t['name'] for t in TARGETS if t['type'] == 'executable' and t['installed']}
    wanted = PROGRAMS - {p for _, _, programs in LEFT_OUT for p in programs}
    for name in sorted(wanted - installed):
        yield f'{name} is not built: is a library missing? ({BUILD}/meson-logs/meson-log.txt)'
    for name in sorted(installed - wanted):
        yield f'{name} is installed'


def not_for_a_device():
    for path in sorted(COMPILED):
        if DEVICE and NEVER_ON_A_DEVICE.match(path):
            yield f'{path} is compiled'


sys.exit(tap.report([
    ('every_source_is_compiled', list(uncompiled())),
    ('every_test_is_run', list(tests_not_run())),
    ('every_room_is_built', list(missing_rooms())),
    ('the_programs_are_those_of_this_profile', list(wrong_programs())),
    ('a_device_has_nothing_of_development', list(not_for_a_device()))]))
