#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""proof.py DOORPAY MAKE_JOURNAL VERIFY_JOURNAL.PY QR: doorpay journal prove and check, over journals that the writer made. QR: 1 when
doorpay was built with libqrencode. Speaks TAP."""
import glob
import json
import os
import shutil
import subprocess
import sys

import qr_read
import tap

DOORPAY, MAKE, SECOND, WITH_QR = sys.argv[1:5]


def journal(*args, stdin=None):
    return tap.run(DOORPAY, 'journal', *args, stdin=stdin)


def make(folder, name, first, count):
    done = tap.run(MAKE, f'{folder}/{name}', f'soft:{folder}/token-{name}', str(first), str(count))
    assert done.returncode == 0, done.stderr


def set_up(folder):
    for name in ('journals', 'other'):
        os.mkdir(f'{folder}/{name}')
        make(folder, name, 3, 6)
        done = journal('verify', f'{folder}/{name}', '--json')
        with open(f'{folder}/{name}.id', 'w', encoding='utf-8') as f:
            f.write(json.loads(done.stdout)['identity'] + '\n')
    assert journal('head', f'{folder}/journals', '--out', f'{folder}/head').returncode == 0
    make(folder, 'journals', 9, 3)
    shutil.rmtree(f'{folder}/token-journals')  # from here on there is no token


def prove(folder, *args):
    done = journal('prove', *args[:1], f'{folder}/journals', *args[1:]) if args[0] != '--from' else \
        journal('prove', *args, f'{folder}/journals')
    assert done.returncode == 0, done
    return done.stdout


def check(folder, proof, *args, status=0, trust='journals', stdin=None):
    done = journal('check', proof, '--trust', f'{folder}/{trust}.id', '--json', *args, stdin=stdin)
    assert done.returncode == status, done
    said = json.loads(done.stdout)
    assert said['verdict'] == ('NOT PROVEN' if status else 'PROVEN') and said['words'], said
    return said


def a_record_is_proven_with_no_token(folder):
    prove(folder, '5', '--out', f'{folder}/p5', '--record', f'{folder}/r5')
    d = check(folder, f'{folder}/p5')
    assert (d['kind'], d['seq'], d['size'], d['epoch']) == ('inclusion', 5, 43, 1), d
    assert d['totals']['online_n'] == 3 and 'record' not in d, d
    d = check(folder, f'{folder}/p5', '--record', f'{folder}/r5')
    assert d['record']['type'] == 'OUTCOME' and d['record']['seq'] == 5, d
    shown = json.loads(journal('show', f'{folder}/journals', '--from', '5', '--to', '5', '--json').stdout)
    assert d['record'] == shown['records'][0], (d, shown)
    done = journal('check', f'{folder}/p5', '--trust', f'{folder}/journals.id', '--record', f'{folder}/r5')
    assert done.returncode == 0 and done.stdout.startswith('PROVEN: ') and 'OUTCOME' in done.stdout, done
    assert 'is record 5 of journal ' + d['journal'] in done.stdout, done


def another_record_device_or_byte_is_not_proven(folder):
    prove(folder, '6', '--out', f'{folder}/p6', '--record', f'{folder}/r6')
    assert check(folder, f'{folder}/p5', '--record', f'{folder}/r6', status=1)['rule'] == 'record-mismatch'
    said = check(folder, f'{folder}/p5', trust='other', status=1)
    assert said['rule'] == 'identity-mismatch' and set(said) == {'verdict', 'words', 'rule'}, said
    check(folder, f'{folder}/p5', '--trust', f'{folder}/other.id')  # one of two is enough
    with open(f'{folder}/p5', 'rb') as f:
        whole = f.read()
    with open(f'{folder}/bad', 'wb') as f:
        f.write(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    assert check(folder, f'{folder}/bad', status=1)['rule'] == 'signature-invalid'
    done = journal('check', f'{folder}/bad', '--trust', f'{folder}/journals.id')
    assert done.returncode == 1 and done.stdout.startswith('NOT PROVEN: ') and 'rule signature-invalid' in done.stdout, done
    with open(f'{folder}/bad', 'wb') as f:
        f.write(b'no proof at all')
    assert check(folder, f'{folder}/bad', status=1)['rule'] == 'proof-format'


def the_journal_began_as_the_head_says(folder):
    with open(f'{folder}/head', encoding='utf-8') as f:
        head = json.load(f)
    prove(folder, '--from', str(head['size']), '--out', f'{folder}/grown')
    d = check(folder, f'{folder}/grown', '--head', f'{folder}/head')
    assert (d['kind'], d['older_size'], d['older_root'], d['size']) == ('consistency', head['size'], head['root'], 43), d
    assert d['journal'] == head['journal'], d
    assert f'{folder}/head' in d['words'], d
    prove(folder, '--from', '9', '--to', str(head['size'] - 1), '--out', f'{folder}/small')
    d = check(folder, f'{folder}/small')
    assert (d['older_size'], d['size']) == (9, head['size'] - 1), d
    assert check(folder, f'{folder}/small', '--head', f'{folder}/head', status=1)['rule'] == 'head-mismatch'
    assert check(folder, f'{folder}/p5', '--head', f'{folder}/head', status=1)['rule'] == 'head-mismatch'


def text_is_as_good_as_the_file(folder):
    text = prove(folder, '5')
    assert text.startswith('DPJ1:') and text.count('\n') == 1, text
    assert check(folder, '-', stdin=text) == check(folder, f'{folder}/p5')
    with open(f'{folder}/text', 'w', encoding='ascii') as f:
        f.write(text)
    check(folder, f'{folder}/text', '--record', f'{folder}/r5')
    d = json.loads(prove(folder, '5', '--json'))
    with open(f'{folder}/p5', 'rb') as f:
        assert bytes.fromhex(d['proof']) == f.read() and d['text'] == text.strip('\n'), d
    assert (d['kind'], d['seq'], d['bytes']) == ('inclusion', 5, len(d['proof']) // 2), d
    assert check(folder, '-', stdin=text.replace('DPJ1:', 'DPJ2:'), status=1)['rule'] == 'proof-format'


def the_directory_one_stands_in_will_do(folder):
    done = subprocess.run([os.path.abspath(DOORPAY), 'journal', 'prove', '5'], capture_output=True, text=True, check=False,
                          cwd=f'{folder}/journals')
    assert done.returncode == 0 and done.stdout == prove(folder, '5'), done


def a_qr_code_holds_the_text(folder):
    if WITH_QR != '1':
        done = journal('prove', '5', f'{folder}/journals', '--qr', 'svg')
        assert done.returncode == 1 and 'libqrencode' in done.stderr, done
        raise tap.Skip('built without libqrencode')
    for args in (('5',), ('36',), ('--from', '16'), ('0', '--to', '1')):
        text = prove(folder, *args).strip('\n')
        assert qr_read.read(qr_read.from_svg(prove(folder, *args, '--qr', 'svg'))) == text, args
        assert qr_read.read(qr_read.from_text(prove(folder, *args, '--qr', 'text'))) == text, args


def the_second_reader_says_the_same(folder):
    for proof, more in ((f'{folder}/p5', ('--record', f'{folder}/r5')), (f'{folder}/grown', ('--head', f'{folder}/head')),
                        (f'{folder}/text', ()), (f'{folder}/bad', ()), (f'{folder}/p6', ('--record', f'{folder}/r5'))):
        done = subprocess.run(['/usr/bin/python3', SECOND, '--proof', proof, '--trust', f'{folder}/journals.id', *more],
                              capture_output=True, text=True, check=False)
        theirs = json.loads(done.stdout)
        ours = check(folder, proof, *more, status=done.returncode)
        for key in ('words', 'record'):
            ours.pop(key, None)
        assert ours == theirs, (ours, theirs)


def an_index_is_kept_and_taken(folder):
    index = f'{folder}/tree.index'
    prove(folder, '5', '--index', index, '--out', f'{folder}/i5')
    size = os.path.getsize(index)
    assert size == 8192 + 32 * (2 * 44 - bin(44).count('1')), size
    with open(f'{folder}/i5', 'rb') as a, open(f'{folder}/p5', 'rb') as b:
        assert a.read() == b.read()
    last = sorted(glob.glob(f'{folder}/journals/*/seg-*'))[-1]
    with open(last, 'r+b') as f:  # nothing of it is read any more but the first record
        f.seek(5000)
        kept = f.read(1)
        f.seek(5000)
        f.write(bytes([kept[0] ^ 1]))
    prove(folder, '7', '--index', index, '--out', f'{folder}/i7')
    check(folder, f'{folder}/i7')
    done = journal('prove', '7', f'{folder}/journals')
    assert done.returncode == 1 and 'does not verify' in done.stderr, done
    with open(last, 'r+b') as f:
        f.seek(5000)
        f.write(kept)
    with open(index, 'r+b') as f:
        f.seek(8192 + 40)
        f.write(b'\0\0\0\0')
    done = journal('prove', '0', f'{folder}/journals', '--index', index)
    assert done.returncode == 1 and 'remove it' in done.stderr and done.stdout == '', done


def where_there_is_nothing_to_prove_it_is_said(folder):
    os.mkdir(f'{folder}/empty')
    for args, words in ((('99', f'{folder}/journals'), 'no signed checkpoint that covers'),
                        (('43', f'{folder}/journals'), 'no signed checkpoint that covers'),
                        (('5', f'{folder}/journals', '--to', '3'), 'exactly so many'),
                        (('5', f'{folder}/journals', '--to', '1'), 'does not cover'),
                        (('--from', '0', f'{folder}/journals'), 'nothing to prove'),
                        (('5', f'{folder}/empty'), 'there is no journal'),
                        (('5', f'{folder}/nowhere'), 'nowhere'),
                        (('5', f'{folder}/journals', '--out', f'{folder}/p5'), 'p5')):
        done = journal('prove', *args)
        assert done.returncode == 1 and words in done.stderr and done.stdout == '', (args, done)
    done = journal('check', f'{folder}/nowhere', '--trust', f'{folder}/journals.id')
    assert done.returncode == 1 and 'nowhere' in done.stderr, done
    done = journal('check', f'{folder}/nowhere')
    assert done.returncode == 1 and 'nowhere' in done.stderr, done  # as a journal's directory
    done = journal('check', f'{folder}/p5', '--trust', f'{folder}/p5')
    assert done.returncode == 1 and done.stdout == '', done


def wrong_usage_is_said(folder):
    here = f'{folder}/journals'
    for args in (('prove',), ('prove', 'x', here), ('prove', '5', here, here), ('prove', '5', here, '--qr', 'png'),
                 ('prove', '5', here, '--trust', 'x'), ('prove', '--from', '3', '5', here, here),
                 ('prove', '--from', '3', here, '--record', 'x'), ('prove', '5', here, '--to', '0'),
                 ('prove', '5', here, '--out'), ('prove', '5', here, '--qr', 'svg', '--json'),
                 ('prove', '5', here, '--out', 'a', '--out', 'b'), ('prove', '5', here, '--dance', 'x'),
                 ('check', f'{folder}/p5'), ('check', '--trust', f'{folder}/journals.id'), ('check', f'{folder}/p5', '--trust'),
                 ('check', f'{folder}/p5', f'{folder}/p6', '--trust', f'{folder}/journals.id'),
                 ('check', f'{folder}/p5', '--trust', f'{folder}/journals.id', '--out', 'x')):
        done = journal(*args)
        assert done.returncode == 2 and 'usage:' in done.stderr, (args, done)
    assert journal('prove', '--help').returncode == 0


tap.main([a_record_is_proven_with_no_token,
          another_record_device_or_byte_is_not_proven,
          the_journal_began_as_the_head_says,
          text_is_as_good_as_the_file,
          the_directory_one_stands_in_will_do,
          a_qr_code_holds_the_text,
          the_second_reader_says_the_same,
          an_index_is_kept_and_taken,
          where_there_is_nothing_to_prove_it_is_said,
          wrong_usage_is_said], set_up)
