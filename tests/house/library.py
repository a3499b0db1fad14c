#!/usr/bin/env python3
"""library.py ROOT BUILD ROOMS: libdoorpay exports what the public headers of its rooms mark
DP_PUBLIC, no more and no less, and a program finds it by pkg-config. Speaks TAP."""
import os
import re
import subprocess
import sys

import rules
import tap

PROGRAM = '''#include <doorpay/base.h>
#include <stdio.h>
int main(void)
{
    return puts(dp_strerr(DP_ERR_FULL)) < 0;
}
'''


def public(root, rooms):
    """({name: header} marked DP_PUBLIC, [prototypes without the mark])"""
    marked, unmarked = {}, []
    for path, text in rules.files(root, ('include',), ('.h',)):
        if rules.header_room(os.path.basename(path)[:-2]) not in rooms:
            continue
        text = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*$', '', rules.code(text), flags=re.M)
        text = re.sub(r'\bextern\s+\{', '', text)
        while re.search(r'\{[^{}]*\}', text):  # structures, enums, inline functions
            text = re.sub(r'\{[^{}]*\}', ' ', text)
        for statement in text.split(';'):
            m = re.search(r'\b(dp_\w+)\s*\(', statement)
            if not m or re.search(r'\b(typedef|static)\b', statement):
                continue
            if 'DP_PUBLIC' in statement:
                marked[m.group(1)] = path
            else:
                unmarked.append(f'{path}: {m.group(1)} is not marked DP_PUBLIC')
    return marked, unmarked


def exported(library):
    out = subprocess.run(['nm', '-D', '--defined-only', library], capture_output=True, text=True,
                         check=True).stdout
    return {line.split()[-1].split('@')[0] for line in out.splitlines()}


def sanitized(name):
    """What a sanitizer or gcov adds is not ours."""
    return re.match(r'(__|_init$|_fini$|mangle_path$)', name)


def program(build):
    """[what went wrong] when a program of somebody else's is built and run."""
    stage = os.environ.get('TMPDIR', '/tmp')
    done = subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir',
                           stage], capture_output=True, text=True, check=False)
    if done.returncode:
        return [done.stdout[-500:] + done.stderr[-500:]]
    folder = next((d for d, _, names in os.walk(stage) if 'doorpay.pc' in names), None)
    if folder is None:
        return ['doorpay.pc is not installed']
    with open(os.path.join(stage, 'p.c'), 'w', encoding='utf-8') as f:
        f.write(PROGRAM)
    env = dict(os.environ, PKG_CONFIG_PATH=folder, PKG_CONFIG_SYSROOT_DIR=stage,
               LD_LIBRARY_PATH=os.path.dirname(folder))
    script = 'cc -o "$0" "$0.c" $(pkg-config --cflags --libs doorpay) && "$0"'
    done = subprocess.run(['sh', '-ec', script, os.path.join(stage, 'p')], env=env, text=True,
                          capture_output=True, check=False)
    return [] if done.returncode == 0 and done.stdout else [done.stdout + done.stderr]


def main():
    root, build, rooms = sys.argv[1], sys.argv[2], sys.argv[3].split(',')
    marked, unmarked = public(root, rooms)
    names = {n for n in exported(os.path.join(build, 'include', 'libdoorpay.so'))
             if not sanitized(n)}
    results = [
        ('public_headers_mark_every_function', unmarked),
        ('library_exports_nothing_else', [f'exports {n}' for n in sorted(names - set(marked))]),
        ('library_exports_what_headers_promise',
         [f'{n} ({marked[n]}) is not exported' for n in sorted(set(marked) - names)]),
    ]
    if not os.path.basename(build).endswith(('sanitize', 'coverage')):
        results.append(('a_program_finds_it_by_pkg_config', program(build)))
    sys.exit(tap.report(results))


main()
