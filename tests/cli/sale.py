#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sale.py DOORPAY: the verbs that speak to the till, against a till of the test's own that answers
what it is told. Speaks TAP."""
import json
import os
import socket
import sys
import threading

import tap

DOORPAY = sys.argv[1]
MORE = ('reason=none&message=Paid&mode=online&forward=none&reversed=true&stan=2&offlineAmountLeft=50000'
        '&busy=true&unsent=0')


class Till:
    """Answers one request with `body` and keeps what was asked."""

    def __init__(self, folder, body):
        self.path = os.path.join(folder, 'till.sock')
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.asked, self.body = None, body
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(1)
        self.socket.settimeout(20)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        try:
            connection, _ = self.socket.accept()
        except OSError:
            return
        with connection:
            data = b''
            while b'\r\n\r\n' not in data:
                data += connection.recv(4096)
            head, _, rest = data.partition(b'\r\n\r\n')
            length = next(int(line.split(b':')[1]) for line in head.split(b'\r\n')
                          if line.lower().startswith(b'content-length'))
            while len(rest) < length:
                rest += connection.recv(4096)
            self.asked = json.loads(rest)
            text = json.dumps(self.body).encode()
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n'
                               b'Content-Length: %d\r\n\r\n%s' % (len(text), text))


def ask(folder, body, *args):
    """(what doorpay did, what the till was asked)"""
    till = Till(folder, {'SaleToPOIResponse': body})
    done = tap.run(DOORPAY, *args, '--socket', till.path)
    till.socket.close()
    till.thread.join(20)
    return done, till.asked


def response(result='Success', more=MORE, **rest):
    return {'Response': {'Result': result, 'AdditionalResponse': more}, **rest}


def wrong(*args):
    """Wrong usage, known before anything is asked: there is no till."""
    done = tap.run(DOORPAY, *args, '--socket', '/nowhere/till.sock')
    assert done.returncode == 2 and done.stdout == '', (args, done)
    return done.stderr


PAID = response(PaymentResult={
    'AmountsResp': {'Currency': 'EUR', 'AuthorizedAmount': 23.50},
    'PaymentInstrumentData': {'CardData': {'MaskedPan': '999902******0010', 'EntryMode': ['ICC']}}})


def pay_tells_amounts_in_minor_units_and_flags_as_flags(folder):
    done, asked = ask(folder, {'PaymentResponse': PAID}, 'pay', '23.50', 'EUR', '--parcel', 'P-1',
                      '--service-id', 'S1', '--offline', 'forbid', '--manifest', 'M1', '--json')
    got = json.loads(done.stdout)
    assert done.returncode == 0, done
    assert (got['state'], got['amount'], got['currency'], got['stan'], got['busy'], got['reversed'],
            got['offline_amount_left']) == ('approved', 2350, 'EUR', 2, True, True, 50000), got
    body = asked['SaleToPOIRequest']
    assert body['MessageHeader']['ServiceID'] == 'S1', asked
    sale = body['PaymentRequest']['SaleData']
    assert sale['SaleReferenceID'] == 'P-1', asked
    assert sale['SaleToPOIData'] == 'offline=forbid&manifest=M1', asked


def pay_wants_a_parcel(_):
    assert '--parcel' in wrong('pay', '1.00', 'EUR').splitlines()[0]
    assert '--parcel' in wrong('pay', '1.00', 'EUR', '--parcel', '').splitlines()[0]


def pay_takes_no_service_id_that_the_till_would_not(_):
    said = wrong('pay', '1.00', 'EUR', '--parcel', 'P', '--service-id', 'elevenchars')
    assert '1 to 10 characters, not 11' in said, said
    wrong('pay', '1.00', 'EUR', '--parcel', 'P', '--service-id', '')


def what_a_verb_does_not_take_is_named(_):
    assert '--loud is not taken here' in wrong('pay', '1.00', 'EUR', '--parcel', 'P', '--loud')
    assert '--parcel is not taken here' in wrong('totals', '--parcel', 'P')
    assert '--parcel wants a value' in tap.run(DOORPAY, 'pay', '1.00', 'EUR', '--parcel').stderr
    assert 'forward knows' in wrong('forward', 'later')
    wrong('status')
    wrong('status', 'X', '--parcel', 'P')
    wrong('pay', '1.00', 'EUR', '--parcel', 'P', '--deferred', 'perhaps')


def a_request_the_till_cannot_read_is_told(folder):
    done, _ = ask(folder, {'EventNotification': response('Failure', 'message=SaleID%20is%20too%20long')},
                  'diagnose')
    assert done.returncode == 1 and done.stdout == '', done
    assert 'the till refused the request: SaleID is too long' in done.stderr, done


def a_refusal_without_words_still_says_why(folder):
    done, _ = ask(folder, {'PaymentResponse': {'Response': {'Result': 'Failure',
                                                            'ErrorCondition': 'Busy'}}},
                  'pay', '1.00', 'EUR', '--parcel', 'P')
    assert done.returncode == 1 and done.stdout == 'NOT PAID: Busy\n', done


def a_payment_that_is_not_here_is_neither_paid_nor_declined(folder):
    missing = {'TransactionStatusResponse': {'Response': {
        'Result': 'Failure', 'ErrorCondition': 'NotFound', 'AdditionalResponse': 'reason=not_found'}}}
    done, _ = ask(folder, missing, 'status', '--transaction', '0' * 32, '--json')
    assert done.returncode == 1 and json.loads(done.stdout)['state'] == 'not_found', done


def diagnose_tells_flags(folder):
    body = response(POIStatus={'GlobalStatus': 'OK', 'CommunicationOKFlag': True,
                               'CardReaderOK': 'false'})
    done, _ = ask(folder, {'DiagnosisResponse': body}, 'diagnose', '--json')
    got = json.loads(done.stdout)
    assert (got['link_up'], got['reader_ok'], got['busy']) == (True, False, True), got


def totals_are_in_minor_units(folder):
    body = response(TransactionTotals=[{'PaymentCurrency': 'EUR', 'PaymentTotals': [
        {'TransactionType': 'Debit', 'TransactionCount': 2, 'TransactionAmount': 35.5},
        {'TransactionType': 'ReverseDebit', 'TransactionCount': 1, 'TransactionAmount': 12},
        {'TransactionType': 'Pending', 'TransactionCount': 0, 'TransactionAmount': 0.0}]}], more='')
    done, _ = ask(folder, {'GetTotalsResponse': body}, 'totals', '--json')
    assert json.loads(done.stdout)['totals'] == [
        {'currency': 'EUR', 'sales': 2, 'sales_amount': 3550, 'reversals': 1,
         'reversals_amount': 1200, 'pending': 0, 'pending_amount': 0}], done


def every_verb_has_help_and_version(_):
    for verb in ('pay', 'status', 'reverse', 'abort', 'diagnose', 'totals', 'settle', 'forward',
                 'events', 'key', 'params', 'journal', 'iso8583', 'card', 'tlv'):
        done = tap.run(DOORPAY, verb, '--help')
        assert done.returncode == 0 and 'usage: doorpay ' + verb in done.stdout, (verb, done)
        assert done.stderr == '', (verb, done)
        done = tap.run(DOORPAY, verb, '--version')
        assert done.returncode == 0 and done.stdout.startswith('doorpay '), (verb, done)


def no_till_is_told(_):
    done = tap.run(DOORPAY, 'diagnose', '--socket', '/nowhere/till.sock')
    assert done.returncode == 1 and 'start doorpayd' in done.stderr, done


tap.main([pay_tells_amounts_in_minor_units_and_flags_as_flags, pay_wants_a_parcel,
          pay_takes_no_service_id_that_the_till_would_not, what_a_verb_does_not_take_is_named,
          a_request_the_till_cannot_read_is_told, a_refusal_without_words_still_says_why,
          a_payment_that_is_not_here_is_neither_paid_nor_declined, diagnose_tells_flags,
          totals_are_in_minor_units, every_verb_has_help_and_version, no_till_is_told])
