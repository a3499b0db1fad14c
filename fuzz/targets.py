"""Reads fuzz/TARGETS; what is wrong with it is an error that names the line."""
import os
import re


class Target:
    def __init__(self, name):
        self.name, self.floor, self.dict, self.reaches = name, None, None, []


def read(root):
    """[Target], in the file's order. ValueError when a line cannot be read."""
    path = os.path.join(root, 'fuzz', 'TARGETS')
    targets = []
    with open(path, encoding='utf-8') as f:
        for number, line in enumerate(f, 1):
            words = line.split('#')[0].split()
            if not words:
                continue
            key, values = words[0], words[1:]
            where = f'fuzz/TARGETS:{number}: '
            if key == 'target' and len(values) == 1:
                if any(t.name == values[0] for t in targets):
                    raise ValueError(where + f'target {values[0]} stands twice')
                targets.append(Target(values[0]))
            elif not targets:
                raise ValueError(where + 'a line before the first target')
            elif key == 'floor' and len(values) == 1 and re.fullmatch(r'\d{1,3}', values[0]):
                targets[-1].floor = int(values[0])
            elif key == 'dict' and len(values) == 1:
                targets[-1].dict = values[0]
            elif key == 'reaches' and values:
                targets[-1].reaches += values
            else:
                raise ValueError(where + f'not understood: {line.strip()}')
    return targets
