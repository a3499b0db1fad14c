#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""iso8583.py DOORPAY: messages packed here, by hand, as doorpay iso8583 tells them; and back. Speaks
TAP."""
import json
import random
import sys

import tap

DOORPAY = sys.argv[1]
PAN = '9999010000000017'
TRACK2 = PAN + 'D28122010000099'


def iso8583(*args, stdin=None):
    return tap.run(DOORPAY, 'iso8583', *args, stdin=stdin)


# ---- iso93-pos, packed by hand ----

LL, LLL = 1, 2


def bcd(digits):
    return bytes.fromhex(digits if len(digits) % 2 == 0 else '0' + digits)


def prefixed(n, size):
    return bcd(f'{n:0{2 * size}d}')


def number(v):
    return bcd(v)


def text(width):
    return lambda v: v.encode('latin-1').ljust(width)


def ll_digits(v):
    return prefixed(len(v), LL) + bcd(v)


def track(v):
    return prefixed(len(v), LL) + bytes.fromhex(v if len(v) % 2 == 0 else v + 'F')


def lll(v):
    return prefixed(len(v), LLL) + v


FORMAT = {2: ll_digits, 3: number, 4: number, 7: number, 11: number, 12: number, 14: number,
          22: text(12), 23: number, 24: number, 25: number, 35: track, 37: text(12), 38: text(6),
          39: number, 41: text(8), 42: text(15), 48: lll, 49: number,
          53: lambda v: prefixed(len(v), LL) + v, 55: lll, 56: ll_digits, 64: bytes, 76: number,
          97: lambda v: v[0].encode() + bcd(v[1:]), 120: lll, 128: bytes}


def pack(mti, fields):
    bits = sum(1 << (128 - de) for de in fields)
    secondary = any(de > 64 for de in fields)
    if secondary:
        bits |= 1 << 127
    bitmap = bits.to_bytes(16, 'big')[:16 if secondary else 8]
    return (bcd(mti) + bitmap + b''.join(FORMAT[de](fields[de]) for de in sorted(fields))).hex()


def tagged(**values):
    return b''.join(bytes([int(tag[1:]), len(v)]) + v for tag, v in values.items())


DE48 = tagged(_1=b'JJD00000007', _2=b'\x03', _4=b'\0\0\0\2', _5=bytes(range(16)), _6=b'J' * 16,
              _7=bytes.fromhex('20261124'), _8=(1795636400000).to_bytes(8, 'big'), _9=b'\1',
              _99=b'\xAB')
DE55 = bytes.fromhex('950500000080009F26080102030405060708' + '5A08' + PAN + '5710' + TRACK2 + 'F'
                     + 'DF810C01FF')
REQUEST = {2: PAN, 3: '000000', 4: '000000002350', 7: '1124195320', 11: '000007',
           12: '261124205320', 14: '2812', 22: '500401C50240', 23: '001', 24: '200', 35: TRACK2,
           37: '632819000007', 41: 'T0000001', 42: 'CAF\xc9', 48: DE48, 49: '978',
           53: bytes(range(12)), 55: DE55, 64: b'\xA1' * 8}
REVERSAL = {3: '000000', 11: '000008', 12: '261124205321', 24: '400', 25: '4021',
            41: 'T0000001', 56: '1200000007261124205320' + '06' + '123456', 64: bytes(8)}


def decoded(message, *args):
    done = iso8583('decode', message, '--json', *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by_number(document):
    return {f['de']: f for f in document['fields']}


def of_tag(field, tag):
    return next(t for t in field['tags'] if t['tag'] == tag)


# ---- decode ----

def every_field_is_told_with_number_name_and_value(_):
    got = decoded(pack('1200', REQUEST), '--clear')
    assert (got['profile'], got['mti']) == ('iso93-pos', 1200)
    assert (got['amount'], got['currency']) == (2350, 'EUR')
    fields = by_number(got)
    assert sorted(fields) == sorted(REQUEST)
    for de, value in REQUEST.items():
        want = value.hex().upper() if isinstance(value, bytes) else value
        assert fields[de]['value'] == want, (de, fields[de]['value'], want)
    assert fields[11]['name'] == 'system trace audit number'
    done = iso8583('decode', pack('1200', REQUEST), '--clear')
    assert done.returncode == 0
    lines = done.stdout.split('\n')
    assert lines[0] == 'MTI 1200'
    assert any(x.split()[0] == 'DE11' and x.endswith(' 000007') for x in lines if x), done.stdout
    assert any('9F26' in x and '0102030405060708' in x for x in lines), done.stdout


def de55_and_de48_and_de56_are_taken_apart(_):
    fields = by_number(decoded(pack('1200', REQUEST), '--clear'))
    assert of_tag(fields[55], '95')['name'] == 'Terminal Verification Results (TVR)'
    assert of_tag(fields[55], '9F26')['value'] == '0102030405060708'
    assert of_tag(fields[55], 'DF810C')['value'] == 'FF'
    private = {t['tag']: t['value'] for t in fields[48]['tags']}
    assert private == {'01': 'JJD00000007', '02': 3, '04': 2,
                       '05': '000102030405060708090A0B0C0D0E0F', '06': '4A' * 16,
                       '07': '20261124', '08': 1795636400000, '09': 1, '63': 'AB'}
    assert of_tag(fields[48], '63')['name'] == 'unknown'
    odd = dict(REQUEST)  # lengths that are none of the tag's: as they came
    odd[48] = tagged(_2=b'', _4=bytes(range(1, 10)), _8=b'\xFF' * 8, _9=b'\1\2')
    values = {t['tag']: t['value'] for t in by_number(decoded(pack('1200', odd)))[48]['tags']}
    assert values == {'02': 0, '04': '010203040506070809', '08': 'FF' * 8, '09': '0102'}, values
    got = by_number(decoded(pack('1420', REVERSAL)))
    assert got[56]['original'] == {'mti': 1200, 'stan': 7, 'local_datetime': '261124205320',
                                   'acquirer': '123456'}
    done = iso8583('decode', pack('1420', REVERSAL))
    assert 'MTI 1200, STAN 000007, local time 261124205320, acquirer 123456' in done.stdout


def card_data_is_masked_unless_asked_for(_):
    for args in ((), ('--json',)):
        out = iso8583('decode', pack('1200', REQUEST), *args).stdout
        assert PAN not in out and '28122010000099' not in out, out
        assert '9999019999990017' in out
    fields = by_number(decoded(pack('1200', REQUEST)))
    assert fields[14]['value'] == '0000'
    assert of_tag(fields[55], '5A')['value'] == '9999019999990017'
    assert of_tag(fields[55], '57')['value'] == '9999019999990017D00000000000000F'
    assert of_tag(fields[55], '9F26')['value'] == '0102030405060708'


def what_is_cut_inside_de48_or_de55_is_said(_):
    broken = dict(REQUEST)
    broken[48] = b'\x01\x05ab'
    broken[55] = bytes.fromhex('9F26080102')
    fields = by_number(decoded(pack('1200', broken), '--clear'))
    assert 'error' in fields[48]['tags'][-1] and 'error' in fields[55]['tags'][-1]


def what_is_no_message_is_refused_with_the_place(_):
    good = pack('1200', REQUEST)
    for message, words in ((good[:-2], 'MAC of 7 bytes'), (good[:60], 'wants'), ('12', 'MTI'),
                           ('zz', 'not hex'), ('00' * 2049, 'longer'), ('120', 'not hex'),
                           (good[:20] + '20' + good[22:], 'DE2')):
        done = iso8583('decode', message)
        assert done.returncode == 1 and words in done.stderr, (words, done.stderr)
        assert done.stdout == ''


def a_message_may_come_on_standard_input(_):
    done = iso8583('decode', '-', '--json', stdin=pack('1420', REVERSAL) + '\n')
    assert done.returncode == 0 and json.loads(done.stdout)['mti'] == 1420, done.stderr


def totals_with_a_secondary_bitmap_are_told(_):
    got = by_number(decoded(pack('1520', {11: '000001', 76: '0000000003', 97: 'C' + '0' * 13 + '990',
                                          128: bytes(8)})))
    assert got[97]['value'] == 'C0000000000000990' and got[76]['value'] == '0000000003'


# ---- the wire log ----

def each_line_of_a_wire_log_is_told(folder):
    path = f'{folder}/wire.log'
    masked = dict(REQUEST)  # as the daemon writes it
    masked[2], masked[14] = '9999019999990017', '0000'
    masked[35] = '9999019999990017D00000000000000'
    with open(path, 'w', encoding='utf-8') as f:
        f.write(f'> {pack("1200", masked)}\n< {pack("1210", {11: "000007", 39: "000"})}\n')
    done = iso8583('decode', '--wire-log', path, '--json')
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    assert [(m['line'], m['direction'], m['mti']) for m in got['messages']] == \
        [(1, 'out', 1200), (2, 'in', 1210)]
    assert by_number(got['messages'][0])[2]['value'][:6] == '999901'
    assert by_number(got['messages'][1])[39]['value'] == '000'
    done = iso8583('decode', '--wire-log', path)
    assert 'line 1, to the acquirer\nMTI 1200' in done.stdout
    assert 'line 2, from the acquirer\nMTI 1210' in done.stdout


def a_bad_line_of_a_wire_log_is_named_and_the_others_told(folder):
    path = f'{folder}/bad.log'
    good = pack('1210', {11: '000007', 39: '000'})
    with open(path, 'w', encoding='utf-8') as f:
        f.write(f'< {good}\n>x{good}\n> 1200ZZ\n>\n> {"0" * 9000}\n< {good}')
    done = iso8583('decode', '--wire-log', path, '--json')
    assert done.returncode == 1
    messages = json.loads(done.stdout)['messages']
    assert messages[0]['mti'] == 1210 and messages[-1]['mti'] == 1210
    assert [m['line'] for m in messages[:4] if 'error' in m] == [2, 3, 4]
    for line in (2, 3, 4):
        assert f'{path}: line {line}:' in done.stderr, done.stderr
    done = iso8583('decode', '--wire-log', f'{folder}/none')
    assert done.returncode == 1 and 'No such file' in done.stderr


# ---- encode ----

def fields_become_the_message_that_was_packed_by_hand(_):
    def value(v):
        return v.hex() if isinstance(v, bytes) else v
    for mti, fields in (('1200', REQUEST), ('1420', REVERSAL)):
        done = iso8583('encode', mti, *[f'{de}={value(v)}' for de, v in fields.items()])
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().lower() == pack(mti, fields)
    done = iso8583('encode', '--json', '1804', '11=000001', '24=801')
    assert json.loads(done.stdout) == {'profile': 'iso93-pos',
                                       'hex': pack('1804', {11: '000001', 24: '801'}).upper()}


def what_decode_wrote_encode_reads_back(_):
    draw = random.Random(8583)
    for profile in ('iso93-pos', 'iso87-bcd', 'iso87-ascii'):
        for _ in range(20):
            words = [f'{de}={v}' for de, v in (
                (3, '000000'), (4, f'{draw.randrange(10 ** 12):012d}'),
                (11, f'{draw.randrange(10 ** 6):06d}'), (41, f'T{draw.randrange(10 ** 7):07d}'),
                (37, 'ABC' + f'{draw.randrange(10 ** 9):09d}')) if draw.random() < 0.8]
            words += ['49=978']
            done = iso8583('encode', '--profile', profile, '1200', *words)
            assert done.returncode == 0, done.stderr
            document = iso8583('decode', '--profile', profile, '--json', done.stdout.strip())
            assert document.returncode == 0, document.stderr
            again = iso8583('encode', '--profile', profile, '-', stdin=document.stdout)
            assert again.stdout == done.stdout, (again.stderr, done.stdout)


def fields_that_cannot_be_are_named(_):
    for words, why in ((['12', '3=000000'], 'four digits'), (['1200', '3'], 'not DE=VALUE'),
                       (['1200', '3=00000'], 'DE3: length 5'), (['1200', '5=1'], 'DE5: not in'),
                       (['1200', '53=0G'], 'DE53: not hex'), (['1200', '4=00000000235X'], 'DE4'),
                       (['1200', '1=1'], 'DE1'), (['1200', '41='], 'DE41: empty')):
        done = iso8583('encode', *words)
        assert done.returncode == 1 and why in done.stderr, (why, done.stderr)
    for text_, why in (('{', 'standard input'), ('{}', 'mti'), ('{"mti":1200,"fields":[{}]}',
                                                                 'without a value')):
        done = iso8583('encode', '-', stdin=text_)
        assert done.returncode == 1 and why in done.stderr, (why, done.stderr)


# ---- layouts ----

def a_layout_is_exported_checked_and_used(folder):
    for name in ('iso93-pos', 'iso87-bcd', 'iso87-ascii'):
        done = iso8583('layout', 'export', name)
        assert done.returncode == 0 and f'profile {name}\n' in done.stdout, done.stderr
        as_json = json.loads(iso8583('layout', 'export', name, '--json').stdout)
        assert as_json == {'profile': name, 'layout': done.stdout}, as_json
        path = f'{folder}/{name}.layout'
        with open(path, 'w', encoding='utf-8') as f:
            f.write(done.stdout)
        done = iso8583('layout', 'check', path, '--json')
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['profile'] == name
    message = pack('1420', REVERSAL)
    done = iso8583('decode', '--layout', f'{folder}/iso93-pos.layout', message)
    assert done.returncode == 0 and done.stdout == iso8583('decode', message).stdout


def a_bad_layout_is_refused_with_its_line(folder):
    path = f'{folder}/bad.layout'
    good = iso8583('layout', 'export', 'iso93-pos').stdout
    with open(path, 'w', encoding='utf-8') as f:
        f.write(good.replace('n12', 'q12', 1))
    done = iso8583('layout', 'check', path)
    line = next(i for i, x in enumerate(good.split('\n'), 1) if 'n12' in x)
    assert done.returncode == 1 and f'line {line}:' in done.stderr, done.stderr
    assert iso8583('decode', '--layout', path, '1200').returncode == 1
    assert iso8583('layout', 'export', 'iso77').returncode == 1
    assert 'no such profile' in iso8583('decode', '--profile', 'iso77', '12').stderr


def wrong_usage_is_said_so(_):
    for args in ((), ('decode',), ('decode', '00', '11'), ('encode',), ('layout',),
                 ('layout', 'check'), ('layout', 'mend', 'x'), ('sing',), ('decode', '--loud', '00'),
                 ('decode', '--profile', 'a', '--layout', 'b', '00'), ('decode', '--profile')):
        done = iso8583(*args)
        assert done.returncode == 2 and 'usage: doorpay iso8583' in done.stderr, (args, done.stderr)
    done = iso8583('--help')
    assert done.returncode == 0 and 'wire-log' in done.stdout


tap.main([every_field_is_told_with_number_name_and_value, de55_and_de48_and_de56_are_taken_apart,
          card_data_is_masked_unless_asked_for, what_is_cut_inside_de48_or_de55_is_said,
          what_is_no_message_is_refused_with_the_place, a_message_may_come_on_standard_input,
          totals_with_a_secondary_bitmap_are_told, each_line_of_a_wire_log_is_told,
          a_bad_line_of_a_wire_log_is_named_and_the_others_told,
          fields_become_the_message_that_was_packed_by_hand, what_decode_wrote_encode_reads_back,
          fields_that_cannot_be_are_named, a_layout_is_exported_checked_and_used,
          a_bad_layout_is_refused_with_its_line, wrong_usage_is_said_so])
