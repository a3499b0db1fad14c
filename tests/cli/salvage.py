#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""salvage.py DOORPAY MAKE_JOURNAL: doorpay salvage over journals that the writer made, whole, tampered with, cut and torn. Speaks
TAP."""
import glob
import json
import os
import shutil
import sys

import tap

DOORPAY, MAKE = sys.argv[1:3]


def make(folder, first, count, *more):
    done = tap.run(MAKE, f'{folder}/journals', f'soft:{folder}/token', str(first), str(count), *more)
    assert done.returncode == 0, done.stderr


def set_up(folder):
    os.mkdir(f'{folder}/journals')
    make(folder, 3, 6)
    shutil.copytree(f'{folder}/journals', f'{folder}/old')
    make(folder, 9, 3)
    done = tap.run(DOORPAY, 'journal', 'head', f'{folder}/journals', '--out', f'{folder}/head')
    assert done.returncode == 0, done.stderr


def salvage(where, *args, status):
    done = tap.run(DOORPAY, 'salvage', where, *args)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if status not in (0, 3, 4):
        return lines
    adds_up(lines)
    return lines


def owed(lines):
    return [line for line in lines if 'owed' in line and 'message' in line]


def adds_up(lines):
    """The summary is that of the lines, and the payments are the totals."""
    summary, totals = lines[-1], lines[-1]['totals']
    for kind in {line['owed'] for line in owed(lines)} | set(summary['owed']):
        of = [line['message']['amount'] for line in owed(lines) if line['owed'] == kind]
        assert summary['owed'][kind] == {'n': len(of), 'amount': sum(of)}, summary
    for mode in ('online', 'offline', 'deferred'):
        of = [v for name, v in summary['payments'].items() if name.startswith(mode)]
        assert sum(v['n'] for v in of) == totals[f'{mode}_n'], summary
        assert sum(v['amount'] for v in of) == totals[f'{mode}_amount'], summary
    assert sum(v['n'] for v in summary['payments'].values()) == totals['intents'], summary


def segment(where):
    return glob.glob(f'{where}/*/seg-00000001.dpj')[0]


def copy(folder, name):
    shutil.copytree(f'{folder}/journals', f'{folder}/{name}')
    return f'{folder}/{name}'


def change(where, place):
    with open(segment(where), 'r+b') as f:
        data = f.read()
        at = place(data)
        f.seek(at)
        f.write(bytes([data[at] ^ 0x20]))


def what_is_owed_bears_its_own_numbers(folder):
    lines = salvage(f'{folder}/journals', status=3)
    head, items = lines[0], owed(lines)
    assert (head['salvage'], head['verdict'], head['unverified']) == (1, 'UNKNOWN', 0), head
    assert [i['owed'] for i in items] == ['advice', 'reversal'] * 3, items
    # make_journal's STANs: 2n + 1 for a payment, 2n + 2 for its reversal
    assert [i['message']['stan'] for i in items] == [9, 12, 15, 18, 21, 24], items
    assert [i['message']['original']['stan'] for i in items[1::2]] == [11, 17, 23], items
    assert not any(i['hold'] for i in items) and all(i['repeat'] for i in items), items
    assert items[0]['outcome']['mode'] == 'offline-approved', items[0]


def with_a_head_everything_may_be_sure(folder):
    lines = salvage(f'{folder}/journals', '--head', f'{folder}/head', status=0)
    assert lines[0]['verdict'] == 'FRESH' and lines[0]['verified'] == lines[0]['records'], lines[0]


def an_old_copy_is_a_rollback_and_its_part_is_given(folder):
    lines = salvage(f'{folder}/old', '--head', f'{folder}/head', status=4)
    assert lines[0]['verdict'] == 'ROLLBACK' and len(owed(lines)) == 4, lines[0]


def before_a_changed_byte_everything_is_given(folder):
    where = copy(folder, 'tampered')
    change(where, lambda data: len(data.rstrip(b'\0')) // 2)
    lines = salvage(where, status=3)
    whole = salvage(f'{folder}/journals', status=3)
    assert (lines[0]['verdict'], lines[0]['rule']) == ('TAMPERED', 'frame-crc'), lines[0]
    assert 0 < lines[0]['verified'] < whole[0]['verified'], lines[0]
    assert 0 < len(owed(lines)) < len(owed(whole)), lines
    assert owed(lines) == owed(whole)[:len(owed(lines))], lines


def what_no_signature_covers_stands_apart(folder):
    where = copy(folder, 'unclean')
    done = tap.run('cp', '-a', f'{folder}/token', f'{folder}/token2')
    assert done.returncode == 0
    done = tap.run(MAKE, where, f'soft:{folder}/token2', '13', '1', 'unclean')
    assert done.returncode == 0, done.stderr
    lines = salvage(where, status=3)
    apart = [line['unverified'] for line in lines if 'unverified' in line and 'salvage' not in line]
    assert [r['type'] for r in apart] == ['INTENT'], apart
    assert len(apart) == lines[0]['unverified'], lines[0]
    assert owed(lines) == owed(salvage(f'{folder}/journals', status=3)) + owed(lines)[-1:], lines  # and the last whole payment's


def a_torn_tail_takes_nothing_along(folder):
    where = copy(folder, 'torn')
    with open(segment(where), 'r+b') as f:
        end = len(f.read().rstrip(b'\0'))
        f.seek((end + 15) // 8 * 8)
        f.write(b'\0\0\0\x20torn')
    lines, whole = salvage(where, status=3), salvage(f'{folder}/journals', status=3)
    assert lines[0]['rule'] == 'torn-tail', lines[0]
    assert lines[1:] == whole[1:]


def without_a_signature_there_is_nothing(folder):
    where = copy(folder, 'header')
    change(where, lambda data: 20)
    assert salvage(where, status=5) == []
    with open(f'{folder}/other', 'w', encoding='ascii') as f:
        f.write('04' + '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'
                '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5')
    assert salvage(f'{folder}/journals', '--trust', f'{folder}/other', status=5) == []


def a_living_token_opens_what_it_wrapped(folder):
    dead = owed(salvage(f'{folder}/journals', status=3))[0]['card_data'][0]
    assert dead['kind'] == 'pan' and dead['wrapped'] and 'sealed' not in dead, dead
    lives = owed(salvage(f'{folder}/journals', '--hsm', f'soft:{folder}/token', status=3))[0]['card_data'][0]
    assert bytes.fromhex(lives['sealed']) == b'sealed card data\0', lives


def the_same_journal_gives_the_same_file(folder):
    for name in ('one', 'two'):
        done = tap.run(DOORPAY, 'salvage', f'{folder}/journals', '--out', f'{folder}/{name}', '--json')
        assert done.returncode == 3, done.stderr
        said = json.loads(done.stdout)
        assert said['owed']['advice']['n'] == 3 and said['status'] == 3, said
    with open(f'{folder}/one', 'rb') as one, open(f'{folder}/two', 'rb') as two:
        assert one.read() == two.read()
    again = tap.run(DOORPAY, 'salvage', f'{folder}/journals', '--out', f'{folder}/one')
    assert again.returncode == 1, again  # a file that is there is not touched


def beside_closed_rounds_the_open_one_is_meant(folder):
    where = copy(folder, 'rounds')
    os.mkdir(f'{where}/closed')
    shutil.copytree(os.path.dirname(segment(f'{folder}/old')), f'{where}/closed/' + '0' * 32)
    assert salvage(where, status=3) == salvage(f'{folder}/journals', status=3)
    closed = salvage(f'{where}/closed/' + '0' * 32, status=3)
    assert len(owed(closed)) == 4, closed
    for verb in ('verify', 'show', 'export'):
        done = tap.run(DOORPAY, 'journal', verb, where)
        alone = tap.run(DOORPAY, 'journal', verb, f'{folder}/journals')
        assert (done.returncode, done.stdout) == (alone.returncode, alone.stdout), (verb, done)


def wrong_usage_is_said(folder):
    for args in ((), ('--out',), (f'{folder}/journals', 'more'), (f'{folder}/journals', '--nonsense')):
        done = tap.run(DOORPAY, 'salvage', *args)
        assert done.returncode == 2 and 'usage' in done.stderr, (args, done)
    done = tap.run(DOORPAY, 'salvage', f'{folder}/nowhere')
    assert done.returncode == 1 and 'nowhere' in done.stderr, done
    assert tap.run(DOORPAY, 'salvage', '--help').returncode == 0


tap.main([what_is_owed_bears_its_own_numbers,
          with_a_head_everything_may_be_sure,
          an_old_copy_is_a_rollback_and_its_part_is_given,
          before_a_changed_byte_everything_is_given,
          what_no_signature_covers_stands_apart,
          a_torn_tail_takes_nothing_along,
          without_a_signature_there_is_nothing,
          a_living_token_opens_what_it_wrapped,
          the_same_journal_gives_the_same_file,
          beside_closed_rounds_the_open_one_is_meant,
          wrong_usage_is_said], set_up)
