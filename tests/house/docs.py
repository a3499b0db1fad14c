#!/usr/bin/env python3
"""docs.py ROOT: every link in the project's Markdown leads somewhere, a newcomer gets from README
to every room in two clicks, and README links every document. Speaks TAP."""
import os
import re
import sys

import rules
import tap

ROOMS = {folder for folder, _ in rules.ROOMS.values()}
LINK = re.compile(r'(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)')


def slug(heading):
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


def links(root, path):
    """(line, target path from root or '', fragment) of each link to something of the project."""
    with open(os.path.join(root, path), encoding='utf-8') as f:
        text = f.read()
    text = re.sub(r'^```.*?^```', rules.blank, text, flags=re.M | re.S)
    for number, line in enumerate(text.split('\n'), 1):
        for target in LINK.findall(line):
            if re.match(r'[a-z]+:', target):
                continue
            name, _, fragment = target.partition('#')
            where = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
            yield number, where, fragment


def markdown(root):
    return [p for p, _ in rules.files(root, ('.',), '.md')]


def broken(root):
    for path in markdown(root):
        for number, target, fragment in links(root, path):
            full = os.path.join(root, target)
            if not os.path.exists(full):
                yield f'{path}:{number}: {target} does not exist'
            elif fragment and target.endswith('.md'):
                with open(full, encoding='utf-8') as f:
                    slugs = {slug(h) for h in re.findall(r'^#+ (.*)$', f.read(), re.M)}
                if fragment not in slugs:
                    yield f'{path}:{number}: {target} has no heading "{fragment}"'


def far_rooms(root):
    seen, front = {'README.md'}, ['README.md']
    for _ in range(2):
        nearer = []
        for path in front:
            for _, target, _ in links(root, path):
                if target not in seen:
                    seen.add(target)
                    if target.endswith('.md') and os.path.isfile(os.path.join(root, target)):
                        nearer.append(target)
        front = nearer
    for folder in sorted(ROOMS) + ['include/doorpay', 'tests', 'fuzz', 'scripts', 'docs']:
        if os.path.isdir(os.path.join(root, folder)) and os.listdir(os.path.join(root, folder)):
            if not any(t == folder or t.startswith(folder + '/') for t in seen):
                yield f'{folder} is not within two clicks of README.md'


def unlinked(root):
    """What stands in docs/ is named in README.md."""
    named = {target for _, target, _ in links(root, 'README.md')}
    folder = os.path.join(root, 'docs')
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if f'docs/{name}' not in named and os.path.isfile(os.path.join(folder, name)):
            yield f'README.md: does not link docs/{name}'


def misnamed(root):
    """[file.c](path): `name`, `name`: functions and tests named behind a link to a source are in it."""
    named = re.compile(r'\]\(([^)\s]+\.(?:c|h|py))\): ((?:`\w+`(?:, )?)+)')
    for path in markdown(root):
        with open(os.path.join(root, path), encoding='utf-8') as f:
            lines = f.read().split('\n')
        for number, line in enumerate(lines, 1):
            for target, names in named.findall(line):
                source = os.path.join(root, os.path.dirname(path), target)
                if not os.path.isfile(source):
                    continue  # every_link_leads_somewhere
                with open(source, encoding='utf-8') as f:
                    text = f.read()
                for name in re.findall(r'\w+', names):
                    if not re.search(rf'\b{name}\b', text):
                        yield f'{path}:{number}: {name} is not in {target}'


def main():
    root = sys.argv[1]
    readme = os.path.isfile(os.path.join(root, 'README.md'))
    sys.exit(tap.report([
        ('every_link_leads_somewhere', list(broken(root))),
        ('every_room_is_two_clicks_from_readme',
         list(far_rooms(root)) if readme else ['there is no README.md']),
        ('names_behind_a_link_to_a_source_are_in_it', list(misnamed(root))),
        ('every_document_is_linked_from_readme', list(unlinked(root)) if readme else [])]))


main()
