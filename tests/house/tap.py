"""Prints results as TAP: [(name, [what is wrong])]."""


def report(results):
    """Returns the exit status."""
    print(f'1..{len(results)}')
    for number, (name, wrong) in enumerate(results, 1):
        print(f'{"not " if wrong else ""}ok {number} - {name}')
        for w in wrong[:40]:
            print('# ' + w)
        if len(wrong) > 40:
            print(f'# and {len(wrong) - 40} more')
    return 1 if any(wrong for _, wrong in results) else 0
