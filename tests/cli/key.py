#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""key.py DOORPAY DOORPAY-SIM: a device's set-up, from an empty key store to a signed certificate
and a loaded initial key. Speaks TAP."""
import datetime
import json
import os
import shutil
import stat
import sys
import warnings

import tap

warnings.filterwarnings('ignore')
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402

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
    assert shown['hsm'] == 'soft', shown
    assert [k for k, has in shown['caps'].items() if not has] == ['evidence'], shown
    keys = shown['keys']
    assert sorted(keys) == ['card_data', 'journal_epoch', 'journal_identity', 'tls_client',
                            'tls_next']
    assert keys['journal_epoch'] is None and keys['tls_next'] is None
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


# ---- certificates that come back ----

CLIENT, SERVER = x509.ExtendedKeyUsageOID.CLIENT_AUTH, x509.ExtendedKeyUsageOID.SERVER_AUTH
DAY = datetime.timedelta(days=1)


def authority(folder):
    with open(f'{folder}/k/client-ca.pem', 'rb') as f:
        cert = x509.load_pem_x509_certificate(f.read())
    with open(f'{folder}/k/client-ca.key', 'rb') as f:
        return cert, serialization.load_pem_private_key(f.read(), None)


def certificate(folder, point, tid=TID, names=None, usage='digital_signature', extended=(CLIENT,),
                ca=False, begins=-DAY, ends=DAY, issuer=None):
    """A certificate for a public point (hex), right in everything unless told otherwise; PEM."""
    cert, key = issuer or authority(folder)
    now = datetime.datetime.utcnow()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, n) for n in names or [tid]])
    public = point if not isinstance(point, str) else \
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(point))
    b = x509.CertificateBuilder().subject_name(name).issuer_name(cert.subject).public_key(public)
    b = b.serial_number(x509.random_serial_number()).not_valid_before(now + begins)
    b = b.not_valid_after(now + ends)
    b = b.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    bits = dict.fromkeys(('digital_signature', 'content_commitment', 'key_encipherment',
                          'data_encipherment', 'key_agreement', 'key_cert_sign', 'crl_sign',
                          'encipher_only', 'decipher_only'), False)
    if usage:
        b = b.add_extension(x509.KeyUsage(**{**bits, usage: True}), critical=True)
    if extended:
        b = b.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    return b.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def points(folder):
    keys = answer('show', '--hsm', uri(folder))['keys']
    return {name: key and key['public'] for name, key in keys.items()}


def place(folder):
    return f'{folder}/terminal.pem'


def enrol(folder, pem, *args, tid=TID, ca=None):
    with open(f'{folder}/came', 'w', encoding='ascii') as f:
        f.write(pem)
    return key('enrol', f'{folder}/came', '--hsm', uri(folder), '--tid', tid, '--ca',
               ca or f'{folder}/k/client-ca.pem', '--out', place(folder), *args)


def stands(folder):
    """The public points of the certificates where doorpayd reads them."""
    with open(place(folder), encoding='ascii') as f:
        text = f.read()
    cut = text.split('-----END CERTIFICATE-----\n')[:-1]
    made = [x509.load_pem_x509_certificate((c + '-----END CERTIFICATE-----\n').encode())
            for c in cut]
    return [m.public_key().public_bytes(serialization.Encoding.X962,
                                        serialization.PublicFormat.UncompressedPoint).hex().upper()
            for m in made]


def a_certificate_that_fits_is_taken(folder):
    point = points(folder)['tls_client']
    done = enrol(folder, certificate(folder, point), '--json')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {'tid': TID, 'certificate': place(folder), 'key': point,
                                       'rotated': False}
    assert stands(folder) == [point]
    request = f'{folder}/again.pem'
    assert key('csr', '--hsm', uri(folder), '--tid', TID, '--out', request).returncode == 0
    tap.run(SIM, 'keys', '--out', f'{folder}/k', '--sign-csr', request, '--tid', TID, '--cert',
            f'{folder}/signed')
    with open(f'{folder}/signed', encoding='ascii') as f:
        done = enrol(folder, f.read())
    assert done.returncode == 0 and 'terminal.pem' in done.stdout, done.stderr


def one_that_does_not_fit_is_refused_and_says_why(folder):
    point = points(folder)['tls_client']
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    rogue_key = ec.generate_private_key(ec.SECP256R1())
    ca, ca_key = authority(folder)
    rogue = (ca, rogue_key)  # the same name, another key
    before = stands(folder)
    for what, pem, words in (
            ('nothing', '', 'cannot be read'),
            ('no certificate', 'hello\n', 'cannot be read'),
            ('cut', certificate(folder, point)[:-80], 'cannot be read'),
            ('another key', certificate(folder, other), 'another key'),
            ('a weak key', certificate(folder, rsa.generate_private_key(65537, 2048).public_key()),
             'another key'),
            ('another terminal', certificate(folder, point, tid='DP000002'), 'not the terminal'),
            ('two names', certificate(folder, point, names=[TID, 'DP000002']), 'not the terminal'),
            ('longer name', certificate(folder, point, tid=TID + ' '), 'not the terminal'),
            ('an authority', certificate(folder, point, ca=True), "an authority's"),
            ('key agreement', certificate(folder, point, usage='key_agreement'),
             'not digital signature'),
            ('no usage', certificate(folder, point, usage=None), 'not digital signature'),
            ('a server', certificate(folder, point, extended=(SERVER,)),
             'not TLS client authentication'),
            ('any use', certificate(folder, point, extended=None), 'not TLS client authentication'),
            ('expired', certificate(folder, point, begins=-3 * DAY, ends=-DAY), 'expired'),
            ('not yet', certificate(folder, point, begins=DAY, ends=2 * DAY), 'not valid yet'),
            ('a rogue authority', certificate(folder, point, issuer=rogue),
             'not come from the authority'),
            ('signed by itself', certificate(folder, point, issuer=(
                x509.load_pem_x509_certificate(certificate(folder, point).encode()), rogue_key)),
             'not come from the authority')):
        done = enrol(folder, pem)
        assert done.returncode == 1, what
        assert 'refused: ' in done.stderr and words in done.stderr, (what, done.stderr)
        assert stands(folder) == before and points(folder)['tls_client'] == point, what
    done = enrol(folder, certificate(folder, point), ca=f'{folder}/k/params.pub')
    assert done.returncode == 1 and "authority's own file" in done.stderr, done.stderr
    done = enrol(folder, certificate(folder, point), tid='DP000002')
    assert done.returncode == 1 and 'not the terminal DP000002' in done.stderr, done.stderr


def a_new_key_waits_for_its_certificate_and_the_old_one_goes_on(folder):
    old = points(folder)['tls_client']
    first = answer('rotate', '--hsm', uri(folder), '--tid', TID)
    assert points(folder)['tls_client'] == old
    new = points(folder)['tls_next']
    csr = x509.load_pem_x509_csr(first['csr'].encode())
    assert csr.is_signature_valid and new not in (None, old)
    point = csr.public_key().public_bytes(serialization.Encoding.X962,
                                          serialization.PublicFormat.UncompressedPoint)
    assert point.hex().upper() == new
    again = answer('rotate', '--hsm', uri(folder), '--tid', TID)
    assert points(folder)['tls_next'] == new  # not another one: the request may be on its way
    assert (x509.load_pem_x509_csr(again['csr'].encode()).public_key().public_numbers() ==
            csr.public_key().public_numbers())
    done = key('rotate', '--hsm', uri(folder), '--tid', 'short')
    assert done.returncode == 2, done.stderr
    assert enrol(folder, certificate(folder, old)).returncode == 0  # the old one may be renewed
    assert points(folder)['tls_client'] == old and points(folder)['tls_next'] == new
    done = enrol(folder, certificate(folder, new), '--json')
    assert done.returncode == 0 and json.loads(done.stdout)['rotated'] is True, done.stderr
    assert points(folder)['tls_client'] == new and points(folder)['tls_next'] is None
    assert stands(folder) == [new]
    done = enrol(folder, certificate(folder, old))
    assert done.returncode == 1 and 'another key' in done.stderr, done.stderr


def a_rotation_cut_short_has_a_certificate_for_the_key_in_use_and_goes_on(folder):
    """The power goes at each rename (certificate, key store, certificate) and each flush."""
    if shutil.which('strace') is None:
        raise tap.Skip('no strace')
    for call, at in (('rename', 1), ('renameat', 1), ('rename', 2), *(('fsync', n) for n in range(1, 7))):
        old = points(folder)['tls_client']
        assert enrol(folder, certificate(folder, old)).returncode == 0
        assert key('rotate', '--hsm', uri(folder), '--tid', TID).returncode == 0
        new = points(folder)['tls_next']
        pem = certificate(folder, new)
        with open(f'{folder}/came', 'w', encoding='ascii') as f:
            f.write(pem)
        done = tap.run('strace', '-f', '-o', '/dev/null', '-e', f'trace={call}', '-e',
                       f'inject={call}:signal=KILL:when={at}', DOORPAY, 'key', 'enrol',
                       f'{folder}/came', '--hsm', uri(folder), '--tid', TID, '--ca',
                       f'{folder}/k/client-ca.pem', '--out', place(folder))
        assert done.returncode != 0, (call, at, done)
        assert points(folder)['tls_client'] in stands(folder), (call, at)
        done = enrol(folder, pem)
        assert done.returncode == 0, done.stderr
        assert points(folder)['tls_client'] == new and stands(folder) == [new], (call, at)


def a_selftest_uses_everything_once_and_leaves_nothing(folder):
    before = answer('show', '--hsm', uri(folder))
    report = answer('selftest', '--hsm', uri(folder))
    assert report['result'] == 'passed' and report['hsm'] == 'soft', report
    results = {c['check']: c['result'] for c in report['checks']}
    assert results == {'open': 'passed', 'journal_identity': 'passed', 'journal_epoch': 'none_yet',
                       'tls_client': 'passed', 'tls_next': 'none_yet', 'card_data': 'passed',
                       'anchor': 'passed', 'evidence': 'not_supported', 'counters': 'passed',
                       'wrap': 'passed', 'dukpt': 'passed'}, results
    assert answer('show', '--hsm', uri(folder)) == before
    words = key('selftest', '--hsm', uri(folder))
    assert words.returncode == 0 and 'TLS client key signs' in words.stdout
    assert 'not supported' in words.stdout and 'none yet' in words.stdout


def a_selftest_fails_where_the_token_does(folder):
    for operation, check in (('sign', 'journal_identity'), ('ecdh', 'card_data'),
                             ('anchor_read', 'anchor'), ('counter_read', 'counters'),
                             ('wrap', 'wrap'), ('unwrap', 'wrap'), ('dukpt_check', 'dukpt')):
        with open(f'{folder}/script', 'w', encoding='ascii') as f:
            f.write(f'{operation} 1 error\n')
        sim = f'sim:dir={folder}/store?script={folder}/script'
        done = key('selftest', '--hsm', sim, '--json')
        report = json.loads(done.stdout)
        assert done.returncode == 1 and report['result'] == 'failed', (operation, report)
        failed = [(c['check'], c['reason']) for c in report['checks'] if c['result'] == 'failed']
        assert [f[0] for f in failed] == [check] and failed[0][1], (operation, failed)
        words = key('selftest', '--hsm', sim)
        assert words.returncode == 1 and 'failed: ' in words.stdout
    for store in (uri(folder, 'nowhere'), 'nothing:here'):
        done = key('selftest', '--hsm', store, '--json')
        report = json.loads(done.stdout)
        assert done.returncode == 1 and report['checks'][0]['result'] == 'failed', report
        assert len(report['checks']) == 1


def a_store_without_evidence_says_so(folder):
    done = key('attest', '--hsm', uri(folder), '--nonce', '00' * 32)
    assert done.returncode == 1 and 'no evidence' in done.stderr, done.stderr
    for nonce in ((), ('--nonce', '00'), ('--nonce', 'x' * 64)):
        done = key('attest', '--hsm', uri(folder), *nonce)
        assert done.returncode == 2 and '--nonce' in done.stderr, done.stderr


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
                 ('csr', '--hsm', uri(folder)), ('show', '--hsm', uri(folder), '--keys', '1'),
                 ('init', '--hsm', uri(folder), 'more'), ('rotate', '--hsm', uri(folder)),
                 ('enrol', '--hsm', uri(folder), '--tid', TID), ('attest', '--check', 'x', '--hsm', 'y'),
                 ('enrol', 'a', 'b', '--hsm', uri(folder))):
        done = key(*args)
        assert done.returncode == 2 and 'usage' in done.stderr, args
    done = key('--help')
    assert done.returncode == 0 and 'dukpt-load' in done.stdout
    done = key('show', '--hsm', 'nothing:here')
    assert done.returncode == 1 and 'no key store of the kind "nothing:"' in done.stderr


tap.main([makes_a_store_once, shows_public_keys_and_what_the_store_can_do,
          request_is_for_the_tls_key_and_signed_by_it, requests_hold_for_every_signature,
          the_simulators_ca_signs_the_request,
          a_certificate_that_fits_is_taken, one_that_does_not_fit_is_refused_and_says_why,
          a_new_key_waits_for_its_certificate_and_the_old_one_goes_on,
          a_rotation_cut_short_has_a_certificate_for_the_key_in_use_and_goes_on,
          a_selftest_uses_everything_once_and_leaves_nothing,
          a_selftest_fails_where_the_token_does, a_store_without_evidence_says_so, a_tid_has_eight_characters,
          loads_what_the_simulator_prints, a_wrong_initial_key_is_refused_and_not_repeated,
          a_busy_store_says_so, wrong_usage_is_two], set_up)
