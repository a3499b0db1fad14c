#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""journal.py DOORPAY MAKE_JOURNAL: doorpay journal over journals that the writer made. Speaks
TAP."""
import fcntl
import glob
import json
import os
import shutil
import sys

import tap

DOORPAY, MAKE = sys.argv[1:3]
AMOUNTS = 'online_n', 'online_amount', 'offline_n', 'offline_amount'


def journal(*args):
    return tap.run(DOORPAY, 'journal', *args)


def set_up(folder):
    os.mkdir(f'{folder}/journals')
    make(folder, 3, 6)
    shutil.copytree(f'{folder}/journals', f'{folder}/old')
    done = journal('head', f'{folder}/journals', '--out', f'{folder}/old.head')
    assert done.returncode == 0, done.stderr
    make(folder, 9, 3)


def make(folder, first, count, *more):
    done = tap.run(MAKE, f'{folder}/journals', f'soft:{folder}/token', str(first), str(count), *more)
    assert done.returncode == 0, done.stderr


def verify(where, *args, status):
    done = journal('verify', where, '--json', *args)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def segment(where):
    return glob.glob(f'{where}/*/seg-00000001.dpj')[0]


# ---- verify ----

def alone_a_journal_is_valid_and_its_freshness_unknown(folder):
    d = verify(f'{folder}/journals', status=3)
    assert (d['verdict'], d['torn_tail']) == ('UNKNOWN', False) and 'rule' not in d, d
    assert d['records'] == 2 + 3 * 5 + 3 * 3 + 3 * 6 and d['checkpoints'] == 16, d
    assert d['signed_size'] == d['records'], d
    t = d['totals']
    assert [t[a] for a in AMOUNTS] == [3, 318, 3, 321] and t['reversed_n'] == 3, t
    inside = verify(os.path.dirname(segment(f'{folder}/journals')), status=3)
    assert inside == d, inside


def with_the_token_it_is_fresh(folder):
    d = verify(f'{folder}/journals', '--hsm', f'soft:{folder}/token', status=0)
    assert d['verdict'] == 'FRESH', d
    done = journal('verify', f'{folder}/journals', '--hsm', f'soft:{folder}/token')
    assert done.returncode == 0 and done.stdout.startswith('FRESH: '), done.stdout


def an_old_copy_is_a_rollback_by_token_and_by_head(folder):
    d = verify(f'{folder}/old', '--hsm', f'soft:{folder}/token', status=4)
    assert (d['verdict'], d['rule']) == ('ROLLBACK', 'rollback'), d
    head = f'{folder}/new.head'
    assert journal('head', f'{folder}/journals', '--out', head).returncode == 0
    d = verify(f'{folder}/old', '--head', head, status=4)
    assert d['rule'] == 'rollback' and '30 records' in d['words'] and 'made of 44' in d['words'], d
    verify(f'{folder}/old', status=3)
    verify(f'{folder}/old', '--head', f'{folder}/old.head', status=0)
    verify(f'{folder}/journals', '--head', f'{folder}/old.head', status=0)


def a_head_has_journal_size_root_and_anchor(folder):
    with open(f'{folder}/old.head', encoding='utf-8') as f:
        head = json.load(f)
    assert list(head) == ['journal', 'size', 'root', 'anchor'], head
    assert os.path.isdir(f'{folder}/old/{head["journal"]}'), head
    assert head['size'] == 30 and len(head['root']) == len(head['anchor']) == 64, head
    for key, value in (('size', 0), ('size', '26'), ('root', 'ab'), ('anchor', None)):
        with open(f'{folder}/bad.head', 'w', encoding='utf-8') as f:
            json.dump({**head, key: value}, f)
        done = journal('verify', f'{folder}/old', '--head', f'{folder}/bad.head')
        assert done.returncode == 1 and 'not a head file' in done.stderr, done.stderr
    with open(f'{folder}/bad.head', 'w', encoding='utf-8') as f:
        json.dump({**head, 'root': '00' * 32}, f)
    assert verify(f'{folder}/old', '--head', f'{folder}/bad.head', status=5)['rule'] == \
        'head-mismatch'


def a_changed_byte_is_named(folder):
    shutil.copytree(f'{folder}/journals', f'{folder}/changed')
    with open(segment(f'{folder}/changed'), 'r+b') as f:
        f.seek(3000)
        byte = f.read(1)
        f.seek(3000)
        f.write(bytes([byte[0] ^ 1]))
    d = verify(f'{folder}/changed', status=5)
    assert d['verdict'] == 'TAMPERED' and d['rule'] in ('frame-crc', 'frame-padding'), d
    assert d['segment'] == 1 and 2000 < d['offset'] <= 3000 and d['seq'] > 2, d
    done = journal('verify', f'{folder}/changed')
    assert done.returncode == 5 and f'record {d["seq"]}' in done.stdout, done.stdout
    assert journal('check', f'{folder}/changed').returncode == 5
    assert journal('head', f'{folder}/changed', '--out', f'{folder}/no').returncode == 5
    assert not os.path.exists(f'{folder}/no')
    assert journal('check', f'{folder}/journals').returncode == 0


def another_identity_key_is_not_trusted(folder):
    identity = verify(f'{folder}/journals', status=3)['identity']
    for key, status in ((identity, 3), (identity[:-2] + f'{int(identity[-2:], 16) ^ 1:02x}', 5)):
        with open(f'{folder}/identity', 'w', encoding='utf-8') as f:
            f.write(key + '\n')
        done = journal('verify', f'{folder}/journals', '--trust', f'{folder}/identity', '--json')
        # a point off the curve may be refused when it is read
        assert done.returncode == status or (status == 5 and done.returncode == 1), done
    os.mkdir(f'{folder}/other')
    done = tap.run(MAKE, f'{folder}/other', f'soft:{folder}/token2', '1', '1')
    assert done.returncode == 0, done.stderr
    d = verify(f'{folder}/journals', '--hsm', f'soft:{folder}/token2', status=5)
    assert d['rule'] == 'identity-mismatch', d


def a_token_in_use_is_looked_at(folder):
    fd = os.open(f'{folder}/token', os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = journal('verify', f'{folder}/journals', '--hsm', f'soft:{folder}/token')
    os.close(fd)
    assert done.returncode == 0, done.stderr


# ---- show, export ----

def records_are_shown_from_and_to(folder):
    done = journal('show', f'{folder}/journals')
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == 44, done.stdout
    assert 'OPEN' in lines[0] and 'CHECKPOINT' in lines[1] and 'INTENT' in lines[2], lines
    done = journal('show', f'{folder}/journals', '--from', '2', '--to', '6', '--json')
    records = json.loads(done.stdout)['records']
    assert [r['type'] for r in records] == ['INTENT', 'REQUESTED', 'CHECKPOINT', 'OUTCOME', 'CHECKPOINT'], records
    assert records[3]['amount'] == 103 and records[3]['currency'] == 'EUR', records[3]
    assert records[3]['mode'] == 'online' and records[3]['stan'] == records[1]['stan'], records
    done = journal('export', f'{folder}/journals', '--from', '36')
    exported = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r['seq'] for r in exported] == list(range(36, 44)), exported


def wrong_usage_is_said(folder):
    for args in ((), ('verify',), ('verify', 'a', 'b'), ('dance', folder), ('head', folder),
                 ('show', folder, '--from', 'x'), ('verify', folder, '--hsm', 'a', '--head', 'b'),
                 ('check', folder, '--hsm', 'x')):
        done = journal(*args)
        assert done.returncode == 2 and 'usage:' in done.stderr, (args, done)
    assert journal('--help').returncode == 0
    os.mkdir(f'{folder}/empty')
    done = journal('verify', f'{folder}/empty')
    assert done.returncode == 1 and 'there is no journal' in done.stderr, done.stderr
    done = journal('verify', f'{folder}/nowhere')
    assert done.returncode == 1 and 'nowhere' in done.stderr, done.stderr


def what_a_crash_left_is_told(folder):
    """Last: it goes on with the journal."""
    make(folder, 12, 2, 'unclean')
    d = verify(f'{folder}/journals', '--hsm', f'soft:{folder}/token', status=3)
    assert d['signed_size'] == d['records'] - 1, d
    with open(segment(f'{folder}/journals'), 'r+b') as f:
        end = len(f.read().rstrip(b'\0'))
        f.seek((end + 15) // 8 * 8)
        f.write(b'\0\0\0\x20torn')
    d = verify(f'{folder}/journals', '--hsm', f'soft:{folder}/token', status=3)
    assert (d['rule'], d['torn_tail']) == ('torn-tail', True), d
    make(folder, 15, 1)
    d = verify(f'{folder}/journals', '--hsm', f'soft:{folder}/token', status=0)
    assert d['signed_size'] == d['records'], d


tap.main([alone_a_journal_is_valid_and_its_freshness_unknown,
          with_the_token_it_is_fresh,
          an_old_copy_is_a_rollback_by_token_and_by_head,
          a_head_has_journal_size_root_and_anchor,
          a_changed_byte_is_named,
          another_identity_key_is_not_trusted,
          a_token_in_use_is_looked_at,
          records_are_shown_from_and_to,
          wrong_usage_is_said,
          what_a_crash_left_is_told], set_up)
