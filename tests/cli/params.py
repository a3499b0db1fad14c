#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""params.py DOORPAY DOORPAY-SIM DEMO.PARAMS: sets that another maker packed and signed, as the
terminal reads them. Speaks TAP."""
import datetime
import hashlib
import json
import re
import sys

import tap

DOORPAY, SIM, DEMO = sys.argv[1:4]


def params(*args):
    return tap.run(DOORPAY, 'params', *args)


def text():
    with open(DEMO, encoding='utf-8') as f:
        return f.read()


def make(folder, name, changed=None, *extra):
    """A set signed by the simulated back office."""
    source, out = f'{folder}/{name}.params', f'{folder}/{name}.set'
    with open(source, 'w', encoding='utf-8') as f:
        f.write(changed if changed is not None else text())
    done = tap.run(SIM, 'params', '--in', source, '--keys', f'{folder}/k', '--out', out, *extra)
    assert done.returncode == 0, done.stderr
    return out


def set_up(folder):
    assert tap.run(SIM, 'keys', '--out', f'{folder}/k').returncode == 0
    assert tap.run(DOORPAY, 'key', 'init', '--hsm', f'soft:{folder}/store').returncode == 0


def office(folder):
    return ('--back-office', f'{folder}/k/params.pub')


def shown(folder, path):
    done = params('show', path, *office(folder), '--json')
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(folder, path, words, *extra):
    done = params('check', path, *office(folder), '--json', *extra)
    assert done.returncode == 1 and words in done.stderr, (words, done.stderr)
    said = json.loads(done.stdout)
    assert said['ok'] is False and words in said['reason'], said


def sections():
    """The demo's text, {section: {name: value}}; what is not said has a default elsewhere."""
    out, now = {}, None
    for line in text().split('\n'):
        line = line.split('#')[0].strip()
        head = re.fullmatch(r'\[(.+)\]', line)
        if head:
            now = out.setdefault(head.group(1), {})
        elif '=' in line:
            name, value = (w.strip() for w in line.split('=', 1))
            now[name] = value
    return out


def another_makers_set_reads_as_it_was_written(folder):
    path = make(folder, 'demo')
    got, want = shown(folder, path), sections()
    with open(path, 'rb') as f:
        assert got['digest'] == hashlib.sha256(f.read()).hexdigest().upper()
    assert got['signature'] == 'verified' and got['profile'] == 'test' and got['version'] == 1
    assert got['valid_from'] == '2026-01-01T00:00:00Z' and got['cohort'] == 'demo'
    assert got['currency'] == 'EUR'
    for name, value in want['terminal'].items():
        assert str(got['terminal'][name]) == value, (name, got['terminal'][name], value)
    for name, value in want['offline'].items():
        assert str(got['offline'][name]) == value, (name, got['offline'][name], value)
    assert got['deferred'] == {'allowed': True, 'payment_max': 3000, 'round_amount_max': 20000,
                               'round_count_max': 10, 'expiry_s': 86400}
    for name in ('profile', 'message', 'card_data', 'mac_len', 'online_timeout_ms',
                 'retry_first_ms', 'retry_max_ms', 'repeat_max', 'server_name'):
        assert str(got['acquirer'][name]) == want['acquirer'][name], name
    with open(f'{folder}/k/seal.pub', encoding='utf-8') as f:
        assert got['acquirer']['sealing_key'] == f.read().strip().upper()
    assert len(got['acquirer']['server_pin']) == 64
    assert (got['bins'], got['exceptions'], got['parcels'], got['agents']) == (3, 1, 0, 0)
    assert got['refunds'] is False and got['manifest'] is None


def another_makers_applications_and_keys_too(folder):
    got, want = shown(folder, make(folder, 'demo')), sections()
    heads = [h for h in want if h.startswith('aid ')]
    assert len(got['aids']) == len(heads) == 3
    for aid, head in zip(got['aids'], heads):
        _, number, where = head.split()
        assert aid['aid'] == number and aid['kernel'] == {'contact': 0, 'kernel3': 3}[where]
        for name, value in want[head].items():
            value = {'no': 'False', 'yes': 'True'}.get(value, value)
            assert str(aid[name]) == value, (head, name, aid[name], value)
    with open(f'{folder}/k/ca.keys', encoding='utf-8') as f:
        lines = [line.split() for line in f]
    assert [(k['rid'], k['index'], k['modulus_bytes'], str(k['exponent']), str(k['expiry']))
            for k in got['ca_keys']] == \
        [(w[0], w[1], len(w[2]) // 2, w[3], w[4]) for w in lines]


def optional_parts_and_long_lists_are_read(folder):
    more = '\n[manifest]\nid = ROUND7\n' + ''.join(f'parcel = P{i}\n' for i in range(300)) + \
        '[agents]\nagent = a17\nagent = a18\n'
    pans = ''.join(f'pan = 99990{b}{i:010d}\n' for b in range(1, 10) for i in range(100))
    changed = text().replace('pan = 9999010000009996', pans) + more
    got = shown(folder, make(folder, 'long', changed))
    assert (got['exceptions'], got['parcels'], got['agents']) == (900, 300, 2), got
    assert got['manifest'] == 'ROUND7'


def shows_without_a_key_but_says_so(folder):
    path = make(folder, 'demo')
    done = params('show', path, '--json')
    assert done.returncode == 0 and json.loads(done.stdout)['signature'] == 'not_checked'
    done = params('show', path)
    assert done.returncode == 0 and 'NOT CHECKED' in done.stdout and 'DP000001' in done.stdout
    done = params('show', path, *office(folder))
    assert done.returncode == 0 and 'signature   verified' in done.stdout


def no_key_of_the_exception_list_is_shown(folder):
    path = make(folder, 'demo')
    with open(f'{folder}/k/exceptions.hex', encoding='utf-8') as f:
        secret = f.read().strip().upper()
    for args in ((), ('--json',)):
        assert secret not in params('show', path, *args).stdout.upper()


def a_good_set_would_be_taken(folder):
    path = make(folder, 'demo')
    done = params('check', path, *office(folder), '--hsm', f'soft:{folder}/store', '--json')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {'ok': True, 'version': 1}
    done = params('check', path, *office(folder))
    assert done.returncode == 0 and 'version 1 would be taken' in done.stdout
    key = json.loads(tap.run(DOORPAY, 'key', 'show', '--hsm', f'soft:{folder}/store',
                             '--json').stdout)
    assert key['params_version'] == 0, 'a check raises nothing'


def wrong_sets_are_refused_with_the_reason(folder):
    path = make(folder, 'demo')
    with open(path, 'rb') as f:
        good = f.read()
    bad = f'{folder}/bad.set'

    def write(data):
        with open(bad, 'wb') as f:
            f.write(data)
    changed = bytearray(good)
    changed[400] ^= 1
    write(changed)
    refused(folder, bad, 'signature: does not verify')
    write(good[:-1])
    refused(folder, bad, 'signature: this is no signed set')
    write(b'')
    refused(folder, bad, 'signature: this is no signed set')
    refused(folder, make(folder, 'other', None, '--sign-key', f'{folder}/k/seal.pem'),
            'signature: by another key')
    refused(folder, make(folder, 'production', text().replace('profile = test',
                                                               'profile = production')),
            'profile: "production" is refused')
    refused(folder, make(folder, 'target', text().replace('random_target = 0',
                                                           'random_target = 100')),
            'aids[0].random_target: 100')
    refused(folder, make(folder, 'mac', text().replace('mac_len = 8', 'mac_len = 4')),
            'acquirer.mac_len: 4')
    today = datetime.datetime.now(datetime.timezone.utc).date()
    past, soon = today - datetime.timedelta(days=2), today + datetime.timedelta(days=2)
    refused(folder, make(folder, 'old', text().replace('valid_from = 2026-01-01',
                                                        'valid_from = 2020-01-01').replace(
        'valid_to = 2036-01-01', f'valid_to = {past}')), 'valid_to: not valid now')
    refused(folder, make(folder, 'early', text().replace('valid_from = 2026-01-01',
                                                          f'valid_from = {soon}')),
            'valid_from: not valid now')


def files_that_are_none_are_named(folder):
    path = make(folder, 'demo')
    done = params('check', f'{folder}/none', *office(folder))
    assert done.returncode == 1 and f'{folder}/none: No such file' in done.stderr
    done = params('check', path, '--back-office', f'{folder}/k/bdk.hex')
    assert done.returncode == 1 and 'bdk.hex: no public key' in done.stderr, done.stderr
    done = params('check', path, *office(folder), '--hsm', f'soft:{folder}/nowhere')
    assert done.returncode == 1 and 'nowhere' in done.stderr, done.stderr
    with open(f'{folder}/large', 'wb') as f:
        f.write(bytes(262145))
    done = params('show', f'{folder}/large')
    assert done.returncode == 1 and 'larger than 262144 bytes' in done.stderr, done.stderr


def wrong_usage_is_two(folder):
    path = make(folder, 'demo')
    for args in ((), ('show',), ('check', path), ('none', path), ('show', path, path),
                 ('show', path, '--back-office'), ('show', path, '--clear')):
        done = params(*args)
        assert done.returncode == 2 and 'usage' in done.stderr, args
    done = params('--help')
    assert done.returncode == 0 and '--back-office' in done.stdout


tap.main([another_makers_set_reads_as_it_was_written, another_makers_applications_and_keys_too,
          optional_parts_and_long_lists_are_read, shows_without_a_key_but_says_so,
          no_key_of_the_exception_list_is_shown, a_good_set_would_be_taken,
          wrong_sets_are_refused_with_the_reason, files_that_are_none_are_named,
          wrong_usage_is_two], set_up)
