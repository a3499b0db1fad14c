#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""card.py DOORPAY TRANSCRIPTS [DOORPAY-SIM DEMO.PARAMS]: recorded conversations of simulated cards,
replayed. Speaks TAP."""
import hashlib
import json
import os
import re
import sys

import tap

DOORPAY, TRANSCRIPTS = sys.argv[1:3]
SIM, DEMO = sys.argv[3:5] if len(sys.argv) > 4 else (None, None)
SHARED = os.environ.get('DP_SHARED_DATA') or \
    os.path.join(os.environ.get('DP_SOURCE_ROOT', '.'), '..', 'shared', 'data')
KEYS = f'{TRANSCRIPTS}/ca.json'


def text(name):
    with open(f'{TRANSCRIPTS}/{name}.txt', encoding='utf-8') as f:
        return f.read()


def write(folder, name, what):
    path = f'{folder}/{name}'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(what)
    return path


def replay(path, *options, interface='contact', keys=KEYS):
    args = ['card', 'replay', '--transcript', path, '--interface', interface, '--json', *options]
    return tap.run(DOORPAY, *args, *(['--ca-keys', keys] if keys else []))


def result(name, *options, interface='contact', keys=KEYS):
    done = replay(f'{TRANSCRIPTS}/{name}.txt', *options, interface=interface, keys=keys)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def changed(folder, name, old, new):
    """The recording with one place altered, as by a wedge between card and reader."""
    t = text(name)
    assert t.count(old) >= 1, old
    return write(folder, 'changed.txt', t.replace(old, new, 1))


# ---- what a recording shows ----

def every_method_of_authentication_is_told(_):
    for name, method, decision, cid in (('cda-offline', 'cda', 'approved_offline', '40'),
                                        ('cda-online', 'cda', 'approved_online', '40'),
                                        ('cda-t0', 'cda', 'approved_offline', '40'),
                                        ('dda-of-cda-card', 'dda', 'deferred', '80'),
                                        ('dda-no-link', 'dda', 'deferred', '80'),
                                        ('sda-no-link', 'sda', 'deferred', '80')):
        for match in ('strict', 'header'):
            d = result(name, '--match', match)
            assert d['authentication'] == {'method': method, 'result': 'passed', 'reason': ''}, d
            assert (d['decision'], d['cid']) == (decision, cid), d
            assert d['aid'] == 'A0000009990101' and d['last4'] and d['bin'].startswith('9999')


def contactless_with_fdda_is_told(_):
    for match in ('strict', 'header'):
        d = result('qvsdc', '--match', match, interface='contactless')
        assert d['authentication'] == {'method': 'fdda', 'result': 'passed', 'reason': ''}, d
        assert d['decision'] == 'approved_offline' and d['kernel'] == 3
        d = result('qvsdc-online', '--match', match, interface='contactless')
        assert d['decision'] == 'deferred' and d['authentication']['result'] == 'passed'


def the_issuer_s_answer_can_be_chosen(_):
    for says, decision in (('approves', 'approved_online'), ('declines', 'declined'),
                           ('silent', 'deferred')):
        d = result('qvsdc-online', '--issuer', says, interface='contactless')
        assert d['decision'] == decision and d['went_online'] == (says != 'silent'), d


def the_document_has_every_key(_):
    d = result('cda-offline')
    for key, form in (('tvr', r'[0-9A-F]{10}'), ('tsi', r'[0-9A-F]{4}'),
                      ('cvm_results', r'[0-9A-F]{6}')):
        assert re.fullmatch(form, d[key]), d[key]
    assert d['reason'] == 'none'
    steps = [c['step'] for c in d['commands']]
    assert steps[0] == 'SELECT' and steps[-1] == 'GENERATE AC 1', steps
    assert [c['command'][2:4] for c in d['commands']][-1] == 'AE'
    assert all(c['answer'].endswith('9000') or len(c['answer']) == 4 for c in d['commands'])


def without_keys_nothing_authenticates(_):
    d = result('dda-no-link', '--match', 'header', keys=None)
    assert d['authentication'] == \
        {'method': 'dda', 'result': 'failed', 'reason': 'unknown CA key'}, d['authentication']


def a_changed_certificate_says_what_is_wrong(folder):
    old = re.search(r'9F468190(..)', text('qvsdc'))
    path = changed(folder, 'qvsdc', old.group(0), '9F468190' + f'{int(old.group(1), 16) ^ 1:02X}')
    d = json.loads(replay(path, interface='contactless').stdout)
    assert d['authentication']['result'] == 'failed', d
    assert d['authentication']['reason'].startswith('ICC certificate: '), d
    assert d['decision'] == 'declined' and d['reason'] == 'not authenticated', d


def a_forged_ctq_is_found(folder):
    d = json.loads(replay(changed(folder, 'qvsdc', '9F6C020000', '9F6C020080'),
                          interface='contactless').stdout)
    assert d['authentication']['reason'] == 'fDDA: CTQ differs from the signed one', d
    assert d['decision'] == 'declined'


def options_come_before_the_recording(_):
    d = result('qvsdc', '--match', 'header', '--un', '00000000', interface='contactless')
    assert d['authentication']['reason'] == 'fDDA: hash', d
    d = result('qvsdc', '--match', 'header', '--amount', '1251', interface='contactless')
    assert d['authentication']['reason'] == 'fDDA: hash', d
    d = result('qvsdc', '--match', 'header', '--currency', '840', interface='contactless')
    assert d['authentication']['reason'] == 'fDDA: hash', d
    d = result('qvsdc', '--match', 'header', '--date', '2029-01-01', interface='contactless')
    assert d['decision'] == 'declined' and d['reason'] == 'expired', d
    d = result('qvsdc', '--match', 'header', '--country', '250', '--type', '20',
               interface='contactless')
    gpo = [c['command'] for c in d['commands'] if c['command'][2:4] == 'A8'][0]
    assert '0250' in gpo and '20A1B2C3D4' in gpo, gpo


def a_name_selected_in_part_is_selected_in_part_again(folder):
    """A terminal without the card's directory, and with the first five bytes of its names."""
    fci = re.search(r'> 00A4040007A0000009990101.*\n< (6F.*)\n', text('cda-offline'))
    lines = text('cda-offline').split('\n')
    at = [i for i, line in enumerate(lines) if line.startswith('> 00A4040007A0000009990101')][0]
    select = ['> 00A404000E315041592E5359532E444446303100', '< 6A82',
              '> 00A4040005A00000099900', '< ' + fci.group(1),
              '> 00A4040205A00000099900', '< 6A82']
    path = write(folder, 'partial.txt', '\n'.join(select + lines[at:]))
    done = replay(path)
    assert done.returncode == 0, done.stderr
    d = json.loads(done.stdout)
    assert d['decision'] == 'approved_offline' and d['aid'] == 'A0000009990101', d


def a_parameter_set_is_the_terminal(folder):
    if SIM is None:
        raise tap.Skip('no simulators')
    assert tap.run(SIM, 'keys', '--out', f'{folder}/k').returncode == 0
    assert tap.run(SIM, 'params', '--in', DEMO, '--keys', f'{folder}/k', '--out',
                   f'{folder}/demo.set').returncode == 0
    params = ('--params', f'{folder}/demo.set', '--back-office', f'{folder}/k/params.pub')
    d = result('cda-offline', *params)
    assert d['decision'] == 'approved_offline', d
    # its own scheme keys are not the recording's
    done = replay(f'{TRANSCRIPTS}/cda-offline.txt', *params, '--match', 'header', keys=None)
    d = json.loads(done.stdout)  # to its first GENERATE AC, which asks for something else
    assert d['authentication']['result'] == 'failed' and done.returncode == 1, d
    # its limits: kernel 3 never offline, so an online cryptogram is asked for
    d = result('qvsdc', *params, '--match', 'header', interface='contactless')
    assert d['decision'] == 'declined' and d['reason'] == 'over a limit', d
    gpo = [c['command'] for c in d['commands'] if c['command'][2:4] == 'A8'][0]
    assert gpo[14:22] == '33804000' and '0056' in gpo, gpo
    d = result('qvsdc', *params, '--match', 'header', '--country', '250', interface='contactless')
    gpo = [c['command'] for c in d['commands'] if c['command'][2:4] == 'A8'][0]
    assert '0250' in gpo and '0056' not in gpo, gpo
    # the ceiling alone, where the floor limit would allow it
    with open(DEMO, encoding='utf-8') as f:
        high = re.sub(r'(?m)^cl_floor_limit = 0', 'cl_floor_limit = 5000', f.read())
    for ceiling, decision in (('0', 'declined'), ('1249', 'declined'), ('1250', 'approved_offline')):
        source = write(folder, 'high.params', re.sub(r'(?m)^kernel3_max = 0',
                                                     'kernel3_max = ' + ceiling, high))
        assert tap.run(SIM, 'params', '--in', source, '--keys', f'{folder}/k', '--out',
                       f'{folder}/high.set').returncode == 0
        d = result('qvsdc', '--params', f'{folder}/high.set', '--match', 'header',
                   interface='contactless')
        assert d['decision'] == decision, (ceiling, d)
    # without the back office's key it is read, and said to be unchecked; with another's it is not
    done = replay(f'{TRANSCRIPTS}/cda-offline.txt', *params[:2])
    assert done.returncode == 0 and 'signature not checked' in done.stderr, done
    other = write(folder, 'other.pub', open(f'{folder}/k/seal.pub', encoding='utf-8').read())
    done = replay(f'{TRANSCRIPTS}/cda-offline.txt', *params[:2], '--back-office', other)
    assert done.returncode == 1 and 'demo.set' in done.stderr and not done.stdout, done


def strict_matching_tells_a_difference(_):
    done = replay(f'{TRANSCRIPTS}/qvsdc.txt', '--un', '00000000', interface='contactless')
    assert done.returncode == 1 and 'not the recording' in done.stderr, done
    assert json.loads(done.stdout)['commands'][-1]['answer'] is None


# ---- card numbers ----

def no_card_number_is_shown(folder):
    names = ['cda-offline', 'cda-online', 'cda-t0', 'dda-no-link', 'sda-no-link']
    for name in names + ['qvsdc', 'qvsdc-online']:
        interface = 'contactless' if name.startswith('qvsdc') else 'contact'
        recorded = re.search(r'9999\d{12}', text(name)).group(0)
        for options in ((), ('--json',)):
            done = tap.run(DOORPAY, 'card', 'replay', '--transcript', f'{TRANSCRIPTS}/{name}.txt',
                           '--interface', interface, '--ca-keys', KEYS, *options)
            shown = done.stdout + done.stderr
            assert done.returncode == 0 and recorded not in shown, name
            assert not re.search(r'9999\d{6,}', shown), name
            certificate = re.search(r'9F4681..([0-9A-F]{40})', text(name))
            assert certificate is None or certificate.group(1) not in shown, name


def an_answer_that_is_not_sound_shows_nothing_of_it(folder):
    """The length of the element before the number is wrong: nobody knows what is what."""
    path = changed(folder, 'qvsdc', '70245A08', '70245AFF')
    done = replay(path, interface='contactless')
    record = [c for c in json.loads(done.stdout)['commands'] if c['command'][2:4] == 'B2'][0]
    assert re.fullmatch(r'(7024)?\*+9000', record['answer']), record
    # in a sound element of no known kind
    path = changed(folder, 'qvsdc', '70245A08', '7024C008')
    shown = replay(path, interface='contactless').stdout
    assert '7024C008999903******0019' in shown and '9999030000000019' not in shown, shown


# ---- scheme keys ----

def key(**changes):
    row = {'rid': 'A000000999', 'index': '01', 'modulus': 'C1' + '5A' * 126 + '01',
           'exponent': '03', 'expiry': '491231'}
    row.update(changes)
    raw = bytes.fromhex(row['rid'] + row['index'] + row['modulus'] + row['exponent'])
    row.setdefault('stated_hash', [hashlib.sha1(raw).hexdigest()])
    return row


def keys_file(folder, *rows, whole=None):
    return write(folder, 'keys.json', whole if whole is not None else json.dumps({'keys': rows}))


def counts(stderr):
    m = re.search(r'(\d+) keys taken, (\d+) of them without a hash; (\d+) refused, (\d+) too long',
                  stderr)
    assert m, stderr
    return tuple(int(n) for n in m.groups())


def load(path):
    return replay(f'{TRANSCRIPTS}/qvsdc.txt', interface='contactless', keys=path)


def scheme_keys_are_judged(folder):
    good = key()
    for rows, want, words in (
            ([good], (1, 0, 0, 0), ''),
            ([key(exponent='010001')], (1, 0, 0, 0), ''),
            ([key(expiry=None), key(index='02', expiry='1230')], (2, 0, 0, 0), ''),
            ([key(exponent='02')], (0, 0, 1, 0), 'key 1 (A000000999 01): refused: exponent'),
            ([key(exponent='05')], (0, 0, 1, 0), 'refused: exponent'),
            ([good, key(stated_hash=['00' * 20])], (1, 0, 1, 0), 'key 2 .*stated hash'),
            ([key(stated_hash=good['stated_hash'] + ['11' * 20])], (0, 0, 1, 0), 'stated hash'),
            ([key(stated_hash=[])], (1, 1, 0, 0), 'warning: no hash'),
            ([key(stated_hash=None)], (1, 1, 0, 0), 'warning: no hash'),
            ([key(modulus='C1' * 249)], (0, 0, 0, 1), '1984 bit'),
            ([key(modulus='C1' * 248)], (1, 0, 0, 0), '')):
        done = load(keys_file(folder, *rows))
        assert done.returncode == 0 and counts(done.stderr) == want, (rows, done.stderr)
        assert re.search(words.replace('(', r'\(').replace(')', r'\)'), done.stderr), done.stderr


def scheme_keys_of_another_form_are_an_error(folder):
    for rows, words in (([key(rid='A0000009')], 'rid'), ([key(index='0102')], 'index'),
                        ([key(exponent='')], 'exponent'), ([key(exponent='0000000003')], 'exponent'),
                        ([key(modulus='C1' * 63)], 'modulus'),
                        ([key(modulus='C1' * 600)], 'modulus'),
                        ([key(expiry='1330')], 'expiry'), ([key(expiry='x')], 'expiry'),
                        ([key(expiry=1230)], 'expiry'), ([key(stated_hash='AB')], 'stated_hash'),
                        ([key(stated_hash=['ABCD'])], '20 bytes'), ([7], 'rid'),
                        ([key(index=f'{i:02X}') for i in range(161)], 'limit')):
        done = load(keys_file(folder, *rows))
        assert done.returncode == 1 and words in done.stderr and not done.stdout, (rows, done)
    for whole in ('', '{', '[]', '{"keys": 7}', '{"keys": [], "keys": []}', '{"note": ""}'):
        done = load(keys_file(folder, whole=whole))
        assert done.returncode == 1 and 'keys.json' in done.stderr, (whole, done)


def an_expired_scheme_key_is_found(folder):
    with open(KEYS, encoding='utf-8') as f:
        rows = json.load(f)['keys']
    for row in rows:
        row['expiry'] = '1026'
    d = json.loads(load(keys_file(folder, *rows)).stdout)
    assert d['authentication']['reason'] == 'CA key expired', d
    for row in rows:
        row['expiry'] = '1126'  # to the month's last day
    d = json.loads(load(keys_file(folder, *rows)).stdout)
    assert d['authentication']['result'] == 'passed', d


def public_scheme_keys_are_taken_and_refused_as_they_should(_):
    path = f'{SHARED}/ca_public_keys.json'
    if not os.path.exists(path):
        raise tap.Skip('no shared data')
    done = load(path)
    assert done.returncode == 0, done.stderr
    # 133 with a good hash, of which one is longer than any certificate of EMV; 3 without a hash
    assert counts(done.stderr) == (135, 3, 10, 1), done.stderr
    assert len(re.findall('refused: exponent', done.stderr)) == 3
    assert len(re.findall('refused: the stated hash', done.stderr)) == 7


# ---- usage ----

def wrong_usage_is_2_and_unreadable_is_1(folder):
    good = ['card', 'replay', '--transcript', f'{TRANSCRIPTS}/qvsdc.txt', '--interface',
            'contactless']
    for args in (['card'], ['card', 'play'], good[:2], good[:4], good + ['--match', 'loose'],
                 good + ['--interface', 'air'], good + ['--un', '12'], good + ['--amount', '-1'],
                 good + ['--amount', '1.5'], good + ['--amount', '1000000000000'],
                 good + ['--currency', '1000'], good + ['--country', 'BE'], good + ['--type', '100'],
                 good + ['--date', '2026-13-01'], good + ['--date', '2026-1-1'],
                 good + ['--issuer', 'maybe'], good + ['--json', '--un']):
        done = tap.run(DOORPAY, *args)
        assert done.returncode == 2 and done.stderr and not done.stdout, args
    assert tap.run(DOORPAY, 'card', '--help').returncode == 0
    assert 'transcript' in tap.run(DOORPAY, 'card', 'replay', '--help').stdout
    done = tap.run(DOORPAY, *(good[:3] + [f'{folder}/none.txt'] + good[4:]))
    assert done.returncode == 1 and 'none.txt' in done.stderr, done
    path = write(folder, 'bad.txt', '> 00A4\n< 9000\n')
    done = replay(path)
    assert done.returncode == 1 and 'bad.txt:1:' in done.stderr, done
    path = write(folder, 'empty.txt', '# nothing\n')
    done = replay(path)
    assert done.returncode == 1 and 'no application' in done.stderr, done


tap.main([every_method_of_authentication_is_told, contactless_with_fdda_is_told,
          the_issuer_s_answer_can_be_chosen, the_document_has_every_key,
          without_keys_nothing_authenticates, a_changed_certificate_says_what_is_wrong,
          a_forged_ctq_is_found, options_come_before_the_recording,
          a_name_selected_in_part_is_selected_in_part_again, a_parameter_set_is_the_terminal,
          strict_matching_tells_a_difference, no_card_number_is_shown,
          an_answer_that_is_not_sound_shows_nothing_of_it, scheme_keys_are_judged,
          scheme_keys_of_another_form_are_an_error, an_expired_scheme_key_is_found,
          public_scheme_keys_are_taken_and_refused_as_they_should,
          wrong_usage_is_2_and_unreadable_is_1])
