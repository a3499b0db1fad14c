#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tlv.py DOORPAY: EMV data told in words. Speaks TAP."""
import json
import sys

import tap

DOORPAY = sys.argv[1]
FCI = '6F238407A0000009990101A518500D444F4F525041592044454249549F38069F02069F3704'
CARD = ('70 3C 5A089999010000000011 57129999010000000011D281220100000000000F '
        '5F200A444F452F4A414E452E5F 5F24032812319F1F023031')
CARD = CARD.replace('70 3C', '70 %02X' % (len(CARD.replace(' ', '')) // 2 - 2))


def tlv(*args, stdin=None):
    return tap.run(DOORPAY, 'tlv', *args, stdin=stdin)


def names_elements_and_shows_their_nesting(_):
    done = tlv(FCI)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == '6F File Control Information (FCI) Template (35)', lines
    assert lines[1] == '  84 Dedicated File (DF) Name (7) A0000009990101', lines
    assert lines[3] == '    50 Application Label (13) 444F4F52504159204445424954 "DOORPAY DEBIT"', lines


def json_has_the_same(_):
    done = tlv(FCI, '--json')
    got = json.loads(done.stdout)
    assert [(e['tag'], e['depth'], e['length']) for e in got] == [
        ('6F', 0, 35), ('84', 1, 7), ('A5', 1, 24), ('50', 2, 13), ('9F38', 2, 6)], got
    assert got[3]['text'] == 'DOORPAY DEBIT' and 'value' not in got[0]


def what_identifies_card_or_holder_is_masked(_):
    for args in ([CARD], [CARD, '--json'], ['-']):
        out = tlv(*args, stdin=CARD + '\n').stdout
        assert '999901******0011' in out, out
        assert '999901******0011D' in out and '2812201' not in out, out
        assert '9999010000000011' not in out and '444F45' not in out and 'DOE' not in out, out
        assert '3031' not in out and '281231' in out, out


def unless_asked_for_in_clear(_):
    out = tlv(CARD, '--clear').stdout
    assert '9999010000000011' in out and '444F452F4A414E452E5F' in out, out


def short_numbers_are_masked_whole(_):
    assert '******' in tlv('5A03123456').stdout


def tells_a_list(_):
    done = tlv('--dol', '9F02065A0A')
    assert done.stdout.splitlines() == ['9F02 Amount, Authorised (Numeric) (6)',
                                        '5A Application Primary Account Number (PAN) (10)']
    assert json.loads(tlv('--dol', '9F0206', '--json').stdout) == [
        {'tag': '9F02', 'name': 'Amount, Authorised (Numeric)', 'length': 6}]


def says_where_it_is_not_sound(_):
    done = tlv('5A0111 9F2608AA')
    assert done.returncode == 1 and 'byte 3' in done.stderr, done.stderr
    assert '5A' in done.stdout
    assert tlv('--dol', '9F02').returncode == 1
    assert 'not hex' in tlv('5G').stderr and tlv('5G').returncode == 1


def wrong_usage(_):
    assert tlv().returncode == 2
    assert tlv('5A00', '5A00').returncode == 2
    assert tlv('5A00', '--loud').returncode == 2
    assert tlv('--help').returncode == 0


tap.main([names_elements_and_shows_their_nesting, json_has_the_same,
          what_identifies_card_or_holder_is_masked, unless_asked_for_in_clear,
          short_numbers_are_masked_whole, tells_a_list, says_where_it_is_not_sound, wrong_usage])
