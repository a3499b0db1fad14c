#!/usr/bin/env python3
"""installed.py ROOT BUILD: what `meson install` leaves is this profile's and no more: programs,
their libraries, their hardening; a device refuses development's key stores. Speaks TAP."""
import json
import os
import re
import subprocess
import sys

import tap

ROOT, BUILD = sys.argv[1], sys.argv[2]
STAGE = os.path.join(os.environ.get('TMPDIR', '/tmp'), 'installed')
with open(os.path.join(BUILD, 'meson-info', 'intro-buildoptions.json'), encoding='utf-8') as f:
    OPTIONS = {o['name']: o['value'] for o in json.load(f)}
DEVICE = OPTIONS['profile'] == 'device'
DAEMON = {f'lib/doorpay/doorpayd-{n}' for n in ('card', 'link', 'till', 'vault')}
WANTED = DAEMON | {'bin/doorpay', 'bin/doorpayd'}
if not DEVICE:
    WANTED |= {f'bin/doorpay-{n}' for n in ('finance', 'sim') if OPTIONS[n] != 'disabled'}
# What each program may be linked with, beside libc; mbedTLS is inside.
LIBRARIES = {
    'bin/doorpay': {'jansson', 'microhttpd', 'pcsclite', 'qrencode', 'tss2', 'zstd'}, 'bin/doorpayd': {'inih'},
    'lib/doorpay/doorpayd-card': {'inih', 'pcsclite'}, 'lib/doorpay/doorpayd-link': {'inih'},
    'lib/doorpay/doorpayd-till': {'inih', 'jansson', 'microhttpd'},
    'lib/doorpay/doorpayd-vault': {'inih', 'tss2', 'zstd'},
    'bin/doorpay-finance': {'sqlite3', 'jansson', 'zstd'},
    'bin/doorpay-sim': {'crypto', 'ssl', 'sqlite3'},
}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL)


def install():
    done = run('meson', 'install', '-C', BUILD, '--no-rebuild', '--quiet', '--destdir', STAGE)
    return [] if done.returncode == 0 else [done.stdout[-500:] + done.stderr[-500:]]


def where(name):
    return os.path.join(STAGE, OPTIONS['prefix'].lstrip('/'), name)


def programs():
    found = {f'{folder}/{n}' for folder in ('bin', 'lib/doorpay')
             for n in (os.listdir(where(folder)) if os.path.isdir(where(folder)) else [])}
    return ([f'{n} is not installed' for n in sorted(WANTED - found)] +
            [f'{n} is installed' for n in sorted(found - WANTED)])


def needed(name):
    said = run('readelf', '-dW', where(name)).stdout
    return set(re.findall(r'\(NEEDED\)[^\[]*\[lib(\w+)[.-]', said)) - {'c', 'm'}


def libraries():
    for name in sorted(WANTED):
        for library in sorted(needed(name) - LIBRARIES[name]):
            if not re.search(r'(a|ub)san$', library):
                yield f'{name} is linked with {library}'


def hardening():
    """Position independent, all relocations done and sealed at start, no executable stack."""
    for name in sorted(WANTED):
        dynamic = run('readelf', '-dW', where(name)).stdout
        segments = run('readelf', '-lW', where(name)).stdout
        for what, there in (
                ('position independent', re.search(r'FLAGS_1.*\bPIE\b', dynamic)),
                ('bound at start', re.search(r'\bBIND_NOW\b|FLAGS_1.*\bNOW\b', dynamic)),
                ('sealed (RELRO)', 'GNU_RELRO' in segments),
                ('without executable stack', re.search(r'GNU_STACK.* RW ', segments))):
            if not there:
                yield f'{name} is not {what}'


def development_parts():
    """A device's tree holds no simulator's file, and its programs open no store of development."""
    if not DEVICE:
        return
    for folder, _, names in os.walk(STAGE):
        for n in names:
            if re.search(r'sim|soft|test|finance', n):
                yield f'{os.path.relpath(os.path.join(folder, n), STAGE)} is installed'
    for kind in ('soft', 'sim'):
        token = os.path.join(STAGE, kind)
        done = run(where('bin/doorpay'), 'key', 'init', '--hsm', f'{kind}:{token}')
        if done.returncode != 1 or f'"{kind}:"' not in done.stderr or os.path.exists(token):
            yield f'key init --hsm {kind}: exit status {done.returncode}, {done.stderr.strip()}'


def versions():
    for name in sorted(WANTED - DAEMON):
        done = run(where(name), '--version')
        if done.returncode or not re.fullmatch(r'doorpay\w*(-\w+)? \d+\.\d+\.\d+\n', done.stdout):
            yield f'{name} --version: exit status {done.returncode}, "{done.stdout.strip()}"'


def parts_of_the_daemon_do_not_run_alone():
    for name in sorted(DAEMON):
        done = run(where(name), '--help')
        if done.returncode != 2 or 'is started by doorpayd' not in done.stderr:
            yield f'{name}: exit status {done.returncode}, "{done.stderr.strip()}"'


sys.exit(tap.report([(t.__name__, list(t())) for t in (
    install, programs, libraries, hardening, development_parts, versions,
    parts_of_the_daemon_do_not_run_alone)]))
