# SPDX-License-Identifier: Apache-2.0
"""Reads a QR code without damage, as a scanner would after it found the modules: ISO/IEC 18004, error correction level L,
alphanumeric mode. No error correction is done: our own drawing must be right."""
import re

# by version from 1: error correction codewords of a block, and blocks (level L)
EC = (7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28,
      28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30)
BLOCKS = (1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8,
          8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25)
ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:'
MASKS = (lambda r, c: (r + c) % 2 == 0, lambda r, c: r % 2 == 0, lambda r, c: c % 3 == 0, lambda r, c: (r + c) % 3 == 0,
         lambda r, c: (r // 2 + c // 3) % 2 == 0, lambda r, c: r * c % 2 + r * c % 3 == 0,
         lambda r, c: (r * c % 2 + r * c % 3) % 2 == 0, lambda r, c: ((r + c) % 2 + r * c % 3) % 2 == 0)


def from_svg(svg):
    """Rows of modules, without the quiet zone of 4."""
    side = int(re.search(r'viewBox="0 0 (\d+) \1"', svg).group(1))
    rows = [[False] * side for _ in range(side)]
    for x, y, run in re.findall(r'M(\d+) (\d+)h(\d+)v1h-\3z', svg):
        for column in range(int(x), int(x) + int(run)):
            rows[int(y)][column] = True
    return without_quiet(rows)


def from_text(text):
    rows = []
    for line in text.splitlines():
        line = line[len('\033[30;107m'):-len('\033[0m')]
        rows.append([c in '\u2580\u2588' for c in line])
        rows.append([c in '\u2584\u2588' for c in line])
    return without_quiet(rows[:len(rows[0])])


def without_quiet(rows):
    assert not any(any(r[:4]) or any(r[-4:]) for r in rows) and not any(map(any, rows[:4] + rows[-4:])), 'quiet zone'
    return [r[4:-4] for r in rows[4:-4]]


def is_function(version, size):
    """Which modules are no data: a function of row and column."""
    centres = []
    if version > 1:
        count = version // 7 + 2
        step = 26 if version == 32 else (version * 4 + count * 2 + 1) // (count * 2 - 2) * 2
        centres = [6] + sorted(size - 7 - i * step for i in range(count - 1))
    corners = {(6, 6), (6, centres[-1]), (centres[-1], 6)} if centres else set()
    alignment = {(r + dr, c + dc) for r in centres for c in centres if (r, c) not in corners
                 for dr in range(-2, 3) for dc in range(-2, 3)}

    def test(r, c):
        finder = (r < 9 and c < 9) or (r < 9 and c >= size - 8) or (r >= size - 8 and c < 9)
        known = version >= 7 and ((r < 6 and c >= size - 11) or (c < 6 and r >= size - 11))
        return finder or r == 6 or c == 6 or known or (r, c) in alignment
    return test


def codewords(rows, version):
    size = len(rows)
    bits = [rows[8][c] for c in (0, 1, 2, 3, 4, 5, 7)] + [rows[8][8]] + [rows[r][8] for r in (7, 5, 4, 3, 2, 1, 0)]
    form = int(''.join('01'[b] for b in bits), 2) ^ 0b101010000010010
    assert form >> 13 == 1, 'error correction level L'
    mask, function = MASKS[form >> 10 & 7], is_function(version, size)
    out, column, upward = [], size - 1, True
    while column > 0:
        column -= column == 6
        for r in (range(size - 1, -1, -1) if upward else range(size)):
            for c in (column, column - 1):
                if not function(r, c):
                    out.append(rows[r][c] ^ mask(r, c))
        column, upward = column - 2, not upward
    return [int(''.join('01'[b] for b in out[i:i + 8]), 2) for i in range(0, len(out) - 7, 8)]


def data_of(words, version):
    blocks, ec = BLOCKS[version - 1], EC[version - 1]
    data = len(words) - blocks * ec
    sizes = [data // blocks + (i >= blocks - data % blocks) for i in range(blocks)]
    taken = [[] for _ in sizes]
    words = iter(words)
    for i in range(max(sizes)):
        for block, n in zip(taken, sizes):
            if i < n:
                block.append(next(words))
    return b''.join(map(bytes, taken))


def read(rows):
    version = (len(rows) - 17) // 4
    data = data_of(codewords(rows, version), version)
    bits = ''.join(f'{b:08b}' for b in data)
    assert bits[:4] == '0010', 'alphanumeric mode'
    width = 9 if version < 10 else 11 if version < 27 else 13
    n, at, out = int(bits[4:4 + width], 2), 4 + width, ''
    for _ in range(n // 2):
        pair = int(bits[at:at + 11], 2)
        out += ALPHABET[pair // 45] + ALPHABET[pair % 45]
        at += 11
    return out + (ALPHABET[int(bits[at:at + 6], 2)] if n % 2 else '')
