#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""key.py DOORPAY DOORPAY-SIM: a device's set-up, from an empty key store to a signed certificate
and a loaded initial key. Speaks TAP."""
import json
import os
import stat
import sys
import warnings

import tap

warnings.filterwarnings('ignore')
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

DOORPAY, SIM = sys.argv[1:3]
TID = 'DP000001'


def key(*args, stdin=None):
    return tap.run(DOORPAY, 'key', *args, stdin=stdin)


def answer(*args, stdin=None):
    done = key(*args, '--json', stdin=stdin)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def uri(folder, name='store'):
    return f'soft:{folder}/{name}'


def set_up(folder):
    assert tap.run(SIM, 'keys', '--out', f'{folder}/k').returncode == 0


def makes_a_store_once(folder):
    done = key('show', '--hsm', uri(folder))
    assert done.returncode == 1 and 'store' in done.stderr, done.stderr
    assert answer('init', '--hsm', uri(folder)) == {'initialised': uri(folder)}
    assert stat.S_IMODE(os.stat(f'{folder}/store').st_mode) == 0o700
    before = answer('show', '--hsm', uri(folder))
    done = key('init', '--hsm', uri(folder))
    assert done.returncode == 1 and 'holds keys already' in done.stderr, done.stderr
    assert answer('show', '--hsm', uri(folder)) == before


def shows_public_keys_and_what_the_store_can_do(folder):
    shown = answer('show', '--hsm', uri(folder))
    assert shown['hsm'] == 'soft' and all(shown['caps'].values()), shown
    keys = shown['keys']
    assert sorted(keys) == ['card_data', 'journal_epoch', 'journal_identity', 'tls_client']
    assert keys['journal_epoch'] is None
    points = {keys[k]['public'] for k in ('card_data', 'journal_identity', 'tls_client')}
    assert len(points) == 3
    for p in points:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(p))
    import hashlib
    for k in ('card_data', 'journal_identity', 'tls_client'):
        digest = hashlib.sha256(bytes.fromhex(keys[k]['public'])).hexdigest().upper()
        assert keys[k]['key_id'] == digest[:16]
    assert shown['anchor'] == '00' * 32 and shown['params_version'] == 0
    words = key('show', '--hsm', uri(folder))
    assert words.returncode == 0 and keys['tls_client']['public'] in words.stdout


def request_is_for_the_tls_key_and_signed_by_it(folder):
    pem = answer('csr', '--hsm', uri(folder), '--tid', TID)['csr'].encode()
    csr = x509.load_pem_x509_csr(pem)
    assert csr.is_signature_valid
    assert isinstance(csr.signature_hash_algorithm, hashes.SHA256)
    names = [(a.oid, a.value) for a in csr.subject]
    assert names == [(x509.NameOID.COMMON_NAME, TID)], names
    point = csr.public_key().public_bytes(serialization.Encoding.X962,
                                          serialization.PublicFormat.UncompressedPoint)
    shown = answer('show', '--hsm', uri(folder))
    assert point.hex().upper() == shown['keys']['tls_client']['public']
    plain = key('csr', '--hsm', uri(folder), '--tid', TID)
    assert x509.load_pem_x509_csr(plain.stdout.encode()).is_signature_valid


def requests_hold_for_every_signature(folder):
    """r and s have leading zeros or a high bit now and then: each must stand as DER."""
    lengths = set()
    for _ in range(60):
        pem = key('csr', '--hsm', uri(folder), '--tid', TID).stdout.encode()
        csr = x509.load_pem_x509_csr(pem)
        assert csr.is_signature_valid
        lengths.add(len(csr.signature))
    assert len(lengths) >= 2, lengths


def the_simulators_ca_signs_the_request(folder):
    request, cert = f'{folder}/request.pem', f'{folder}/cert.pem'
    done = key('csr', '--hsm', uri(folder), '--tid', TID, '--out', request)
    assert done.returncode == 0, done.stderr
    again = key('csr', '--hsm', uri(folder), '--tid', TID, '--out', request)
    assert again.returncode == 1 and 'File exists' in again.stderr, again.stderr
    done = tap.run(SIM, 'keys', '--out', f'{folder}/k', '--sign-csr', request, '--tid', TID,
                   '--cert', cert)
    assert done.returncode == 0, done.stderr
    with open(cert, 'rb') as f:
        made = x509.load_pem_x509_certificate(f.read())
    point = made.public_key().public_bytes(serialization.Encoding.X962,
                                           serialization.PublicFormat.UncompressedPoint)
    assert point.hex().upper() == answer('show', '--hsm', uri(folder))['keys']['tls_client']['public']


def a_tid_has_eight_characters(folder):
    for tid in ('DP00001', 'DP0000012', '', 'DP00000\n'):
        done = key('csr', '--hsm', uri(folder), '--tid', tid)
        assert done.returncode == 2 and done.stdout == '', (tid, done)


def loads_what_the_simulator_prints(folder):
    for number, extra in ((1, ()), (2, ('--json',))):
        device = f'123456789012345{number}'
        printed = tap.run(SIM, 'keys', '--out', f'{folder}/k', '--dukpt-id', device, *extra)
        assert printed.returncode == 0
        path = f'{folder}/ik{number}'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(printed.stdout)
        if number == 1:
            got = answer('dukpt-load', '--hsm', uri(folder), '--in', path)
        else:
            got = answer('dukpt-load', '--hsm', uri(folder), stdin=printed.stdout)
        assert got == {'initial_key_id': device}
    again = key('dukpt-load', '--hsm', uri(folder), '--in', path)
    assert again.returncode == 1 and 'had this initial key already' in again.stderr, again.stderr


def a_wrong_initial_key_is_refused_and_not_repeated(folder):
    ik, ksn = 'A1' * 16, '12' * 8 + '00' * 4
    for text, words in (
            (f'ik {ik}', 'ksn: missing'),
            (f'ksn {ksn}', 'ik: missing'),
            ('', 'ik: missing'),
            (f'ik {ik[:-2]} ksn {ksn}', 'ik: not 32 hex digits'),
            (f'ik {ik}A1 ksn {ksn}', 'ik: not 32 hex digits'),
            (f'ik {ik[:-1]}G ksn {ksn}', 'ik: not 32 hex digits'),
            (f'ik {ik} ksn {ksn[:-2]}', 'ksn: not 24 hex digits'),
            (f'ik {ik} ksn {ksn[:-2]}01', 'its counter is not 0'),
            (f'ik {ik} ik {ik} ksn {ksn}', 'each once'),
            (f'ik {ik} ksn {ksn} bdk', 'a name without a value'),
            (f'bdk {ik} ksn {ksn}', 'neither'),
            ('x' * 600, 'larger than 512 bytes')):
        done = key('dukpt-load', '--hsm', uri(folder), stdin=text)
        assert done.returncode == 1 and words in done.stderr, (text, done.stderr)
        assert ik[:12] not in done.stderr and done.stdout == ''
    done = key('dukpt-load', '--hsm', uri(folder), '--in', f'{folder}/none')
    assert done.returncode == 1 and 'none: No such file' in done.stderr, done.stderr


def a_busy_store_says_so(folder):
    import fcntl
    fd = os.open(f'{folder}/store', os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    done = key('show', '--hsm', uri(folder))
    os.close(fd)
    assert done.returncode == 1 and 'lock' in done.stderr, done.stderr


def wrong_usage_is_two(folder):
    for args in ((), ('show',), ('none', '--hsm', uri(folder)), ('show', '--hsm'),
                 ('csr', '--hsm', uri(folder)), ('show', '--hsm', uri(folder), '--key', '1'),
                 ('init', '--hsm', uri(folder), 'more')):
        done = key(*args)
        assert done.returncode == 2 and 'usage' in done.stderr, args
    done = key('--help')
    assert done.returncode == 0 and 'dukpt-load' in done.stdout
    done = key('show', '--hsm', 'nothing:here')
    assert done.returncode == 1 and 'no key store of the kind "nothing:"' in done.stderr


tap.main([makes_a_store_once, shows_public_keys_and_what_the_store_can_do,
          request_is_for_the_tls_key_and_signed_by_it, requests_hold_for_every_signature,
          the_simulators_ca_signs_the_request, a_tid_has_eight_characters,
          loads_what_the_simulator_prints, a_wrong_initial_key_is_refused_and_not_repeated,
          a_busy_store_says_so, wrong_usage_is_two], set_up)
