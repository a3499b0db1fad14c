#!/usr/bin/env python3
"""check_targets.py ROOT: fuzz/TARGETS, fuzz/meson.build, the sources and the seeds agree; every
parser that is built is in some target. Speaks TAP."""
import os
import re
import sys

import targets as table

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
PROTOTYPE = re.compile(r'\bDP_PARSES\b([^;{]*)[;{]')
NAME = re.compile(r'\b([A-Za-z_]\w*)\s*\(')


def sources(root, *ends):
    for top in ('include', 'src', 'hsm'):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for n in sorted(names):
                if n.endswith(ends):
                    with open(os.path.join(folder, n), encoding='utf-8') as f:
                        text = COMMENT.sub(' ', f.read())
                    yield os.path.relpath(os.path.join(folder, n), root), text


def parsers(root):
    """{name: header} of the prototypes marked DP_PARSES."""
    found = {}
    for path, text in sources(root, '.h', '.c'):
        text = re.sub(r'^[ \t]*#.*$', '', text, flags=re.M)
        for m in PROTOTYPE.finditer(text):
            name = NAME.search(m.group(1))
            if name:
                found.setdefault(name.group(1), path)
    return found


def defined(root):
    names = set()
    for _, text in sources(root, '.c'):
        for m in re.finditer(r'^[A-Za-z_][^;{}=#]*?\b(\w+)\s*\([^;{}]*\)\s*\{', text, re.M):
            names.add(m.group(1))
    return names


def check(root):
    """[(test name, [what is wrong])]"""
    try:
        targets = table.read(root)
    except (ValueError, OSError) as e:
        return [('targets_can_be_read', [str(e)])]
    fuzz = os.path.join(root, 'fuzz')
    built = defined(root)
    listed = {f for t in targets for f in t.reaches}
    with open(os.path.join(fuzz, 'meson.build'), encoding='utf-8') as f:
        meson = set(re.findall(r"^  '(\w+)': \[", f.read(), re.M))
    files = {n[5:-2] for n in os.listdir(fuzz) if re.fullmatch(r'fuzz_\w+\.c', n)}
    names = {t.name for t in targets}

    def seeds(kind):
        d = os.path.join(fuzz, kind)
        return {n for n in os.listdir(d) if os.listdir(os.path.join(d, n))} if os.path.isdir(d) \
            else set()

    return [
        ('every_parser_is_in_some_target',
         [f'{n} ({h}) is marked DP_PARSES and is in no target'
          for n, h in sorted(parsers(root).items()) if n not in listed]),
        ('every_function_a_target_lists_exists',
         [f'{t.name}: {f} is defined nowhere' for t in targets for f in t.reaches
          if f not in built]),
        ('every_target_has_a_floor_and_functions',
         [f'{t.name}: no floor' for t in targets if not t.floor] +
         [f'{t.name}: reaches nothing' for t in targets if not t.reaches]),
        ('targets_sources_and_build_agree',
         [f'{n}: in {a}, not in {b}' for a, x, b, y in
          (('fuzz/TARGETS', names, 'fuzz/meson.build', meson),
           ('fuzz/meson.build', meson, 'fuzz/fuzz_*.c', files),
           ('fuzz/fuzz_*.c', files, 'fuzz/TARGETS', names)) for n in sorted(x - y)]),
        ('every_target_has_seeds',
         [f'{n}: fuzz/seeds/{n}/ holds nothing' for n in sorted(names - seeds('seeds'))]),
        ('seeds_and_regressions_belong_to_a_target',
         [f'fuzz/{k}/{n}: no such target' for k in ('seeds', 'regressions')
          for n in sorted(seeds(k) - names)]),
        ('every_dictionary_exists',
         [f'{t.name}: fuzz/dict/{t.dict} is missing' for t in targets
          if t.dict and not os.path.isfile(os.path.join(fuzz, 'dict', t.dict))]),
    ]


def main():
    results = check(sys.argv[1])
    print(f'1..{len(results)}')
    for number, (name, wrong) in enumerate(results, 1):
        print(f'{"not " if wrong else ""}ok {number} - {name}')
        for w in wrong:
            print('# ' + w)
    sys.exit(1 if any(w for _, w in results) else 0)


if __name__ == '__main__':
    main()
