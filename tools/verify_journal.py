#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of the doorpay journal, written from docs/PROTOCOL.journal and from nothing else.

usage: verify_journal.py DIR [--head FILE | --anchor HEX] [--trust HEX-OR-FILE] [--collector HEX-OR-FILE]
       verify_journal.py --proof FILE --trust HEX-OR-FILE... [--record FILE] [--head FILE]

Prints the verdict as JSON. Exit status: 0 valid and fresh, 3 valid and freshness unknown, 4 ROLLBACK,
5 tampered or damaged, 1 not readable, 2 wrong usage; of a proof 0 proven, 1 not. Needs Python and
python3-cryptography, and for a journal with archived segments the program zstd.
"""
import argparse
import datetime
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

MAGIC = b"DPJRNL1\n"
HEADER_BYTES = 128
RECORD_BYTES_MAX = 4096
MISSED_MAX = 4096
DAMAGES_MAX = 32
ZEROS = bytes(32)
FRESH, UNKNOWN, ROLLBACK, TAMPERED = 0, 3, 4, 5
VERDICTS = {FRESH: "FRESH", UNKNOWN: "UNKNOWN", ROLLBACK: "ROLLBACK", TAMPERED: "TAMPERED"}

(OPEN, INTENT, REQUESTED, OUTCOME, REVERSAL, VOID, FORWARDED, SETTLED, EVIDENCE, CHECKPOINT, KEY_ROTATE, TIME_SYNC,
 DEGRADED_ON, DEGRADED_OFF, RECOVERY, SHRED, UPLOAD_ACK, PARAMS, CLOSE) = range(1, 20)
ONLINE, OFFLINE, DEFERRED, DECLINED = 1, 2, 3, 4
TOTALS = ("intents", "online_n", "online_amount", "offline_n", "offline_amount", "deferred_n", "deferred_amount", "declined_n",
          "reversed_n", "reversed_amount", "void_n", "void_amount", "forwarded_n", "forwarded_amount")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Unreadable(Exception):
    """There is no verdict: no journal here, several of them, or a file that cannot be read."""


class Finding(Exception):
    """A rule that fired."""

    def __init__(self, rule, words, segment=1, offset=0, seq=None, verdict=TAMPERED):
        super().__init__(words)
        self.rule, self.words, self.segment, self.offset, self.seq, self.verdict = rule, words, segment, offset, seq, verdict


# ---- CBOR, deterministic (RFC 8949, 4.2.1) ----

class BadCbor(Exception):
    pass


def cbor_head(p, at):
    if at >= len(p):
        raise BadCbor("ends early")
    major, info = p[at] >> 5, p[at] & 31
    at += 1
    if major == 7:
        if info not in (20, 21, 22):
            raise BadCbor("a simple value that has no place here")
        return major, info, at
    if info < 24:
        return major, info, at
    if info > 27:
        raise BadCbor("indefinite length")
    n = 1 << (info - 24)
    if at + n > len(p):
        raise BadCbor("ends early")
    value = int.from_bytes(p[at:at + n], "big")
    if value < (24, 1 << 8, 1 << 16, 1 << 32)[info - 24]:
        raise BadCbor("an integer longer than it need be")
    return major, value, at + n


def cbor_item(p, at=0, depth=0):
    """One item, and where the next begins. A map is a dict in its order; a tag is ("tag", number, item)."""
    major, value, at = cbor_head(p, at)
    if depth > 7:
        raise BadCbor("too deep")
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        if at + value > len(p):
            raise BadCbor("ends early")
        content = bytes(p[at:at + value])
        if major == 3:
            try:
                content = content.decode("utf-8")
            except UnicodeDecodeError:
                raise BadCbor("not UTF-8") from None
        return content, at + value
    if major == 4:
        items = []
        for _ in range(value):
            item, at = cbor_item(p, at, depth + 1)
            items.append(item)
        return items, at
    if major == 5:
        found, before = {}, b""
        for _ in range(value):
            start = at
            key, at = cbor_item(p, at, depth + 1)
            # ascending as encoded, so that no key stands twice
            if not isinstance(key, (int, str, bytes)) or isinstance(key, bool) or bytes(p[start:at]) <= before:
                raise BadCbor("keys out of order")
            before = bytes(p[start:at])
            found[key], at = cbor_item(p, at, depth + 1)
        return found, at
    if major == 6:
        item, at = cbor_item(p, at, depth + 1)
        return ("tag", value, item), at
    return {20: False, 21: True, 22: None}[value], at


def cbor(p):
    item, at = cbor_item(p)
    if at != len(p):
        raise BadCbor("bytes after its end")
    return item


def cbor_encode_bytes(b):
    n = len(b)
    if n < 24:
        return bytes([0x40 | n]) + b
    if n < 256:
        return bytes([0x58, n]) + b
    return b"\x59" + struct.pack(">H", n) + b


def is_uint(v):
    return isinstance(v, int) and not isinstance(v, bool) and v >= 0


# ---- COSE_Sign1 (RFC 9052, 4.2), ES256 ----

def verifies(point, payload, aad, signature):
    message = b"\x84\x6aSignature1\x43\xa1\x01\x26" + cbor_encode_bytes(aad) + cbor_encode_bytes(payload)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


class Cose:
    def __init__(self, data, aad):
        item = cbor(data)
        if not (isinstance(item, tuple) and item[1] == 18 and isinstance(item[2], list) and len(item[2]) == 4):
            raise BadCbor("not a COSE_Sign1")
        self.protected, headers, self.payload, self.signature = item[2]
        if self.protected != b"\xa1\x01\x26" or not isinstance(headers, dict) or set(headers) != {4}:
            raise BadCbor("not the headers that it must have")
        self.kid = headers[4]
        if not isinstance(self.kid, bytes) or len(self.kid) != 8:
            raise BadCbor("not the key id that it must have")
        if not isinstance(self.payload, bytes) or not isinstance(self.signature, bytes) or len(self.signature) != 64:
            raise BadCbor("not the payload and signature that it must have")
        self.aad = aad

    def verifies(self, point):
        return verifies(point, self.payload, self.aad, self.signature)


def key_id(point):
    return sha256(point)[:8]


# ---- CRC-32C (Castagnoli), for what a crash leaves ----

def crc_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = (i >> 1) ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


CRC_TABLE = crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


# ---- the tree (RFC 6962, 2.1) ----

class Tree:
    """The roots of the perfect subtrees, largest first."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def append(self, leaf):
        self.size += 1
        self.peaks.append(leaf)
        n = self.size
        while n % 2 == 0:
            right, left = self.peaks.pop(), self.peaks.pop()
            self.peaks.append(sha256(b"\x01", left, right))
            n //= 2

    def root(self):
        if not self.peaks:
            return sha256()
        root = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            root = sha256(b"\x01", peak, root)
        return root


# ---- a record (section 4) ----

def uint(low=0, high=(1 << 64) - 1):
    return lambda v: is_uint(v) and low <= v <= high


def octets(low, high=None):
    return lambda v: isinstance(v, bytes) and low <= len(v) <= (high or low)


def text(low, high=None):
    return lambda v: isinstance(v, str) and low <= len(v.encode()) <= (high or low) and "\0" not in v


def array(*tests):
    return lambda v: isinstance(v, list) and len(v) == len(tests) and all(t(x) for t, x in zip(tests, v))


def date(v):
    """YYYYMMDD: eight digits, a date of the Gregorian calendar."""
    if not is_uint(v) or not 10000101 <= v <= 99991231:
        return False
    try:
        datetime.date(v // 10000, v // 100 % 100, v % 100)
    except ValueError:
        return False
    return True


def emv(v):
    """Primitive BER-TLV elements, no card data among them."""
    if not isinstance(v, bytes) or not 1 <= len(v) <= 512:
        return False
    at = 0
    while at < len(v):
        start = at
        at += 1
        if v[start] & 0x1F == 0x1F:
            while at < len(v) and at - start < 4 and v[at] & 0x80:
                at += 1
            at += 1
        tag, n = v[start:at], v[at:at + 1]
        if v[start] & 0x20 or tag in NEVER or not n or at - start > 4:
            return False
        at += 1
        if n[0] > 0x82 or n[0] == 0x80:
            return False
        size = n[0] - 0x80 if n[0] > 0x80 else 0
        if at + size > len(v):
            return False
        at += size + (int.from_bytes(v[at:at + size], "big") if size else n[0])
    return at == len(v)


NEVER = [bytes.fromhex(t) for t in ("57", "5A", "5F20", "9F1F", "99", "56")]
U32, U63 = uint(0, (1 << 32) - 1), uint(0, (1 << 63) - 1)
KEYS = {
    1: uint(1, 1), 2: uint(1, 19), 3: U63, 4: octets(32), 5: octets(16), 6: octets(16), 7: U63, 8: U63, 9: uint(0, 2),
    10: octets(16), 11: U63, 12: uint(0, 999), 13: uint(0, 4), 14: text(8), 15: text(1, 15), 16: U32, 17: uint(1, 999999),
    18: text(12), 19: text(6), 20: text(3), 21: uint(1, 6), 22: emv, 23: text(6), 24: text(4), 25: text(1, 29),
    26: octets(5, 16), 27: octets(32), 28: octets(32), 29: octets(32), 30: text(1, 35), 31: text(1, 35), 32: text(1, 35),
    33: array(*[uint()] * 14), 34: text(1, 20), 35: text(1, 10), 36: text(1, 40), 37: text(1, 64), 38: uint(1, 9999), 39: text(10),
    40: text(12), 41: uint(1, 65535), 42: text(1, 64), 43: octets(16), 44: uint(1, 2), 45: uint(1, 2), 46: lambda v: v is True,
    47: array(uint(0, 9999), uint(0, 999999), text(0, 12), text(0, 11)), 48: uint(1, 4), 49: date, 50: U32, 51: octets(1, 512),
    52: array(uint(0, 99999999), uint(0, 1 << 20), uint(0, 1 << 20), octets(32)), 53: octets(32),
    54: array(U32, octets(8), octets(65), octets(65), octets(1, 512)),
    55: text(1, 128), 56: array(uint(), uint(), text(1, 3)), 57: array(U32, uint(1, (1 << 32) - 1), U32), 58: array(uint(), uint()),
    59: U63, 60: uint(1, 999), 61: uint(1, 9999), 62: octets(16), 63: lambda v: v is True,
}
ALWAYS = range(1, 10)
NEEDS = {INTENT: (10, 11), REQUESTED: (10, 11, 17, 21), OUTCOME: (10, 11, 21), REVERSAL: (10, 11, 17, 47), VOID: (10, 11, 43),
         FORWARDED: (10, 17, 48), SETTLED: (56,), CHECKPOINT: (51,), OPEN: (54,), KEY_ROTATE: (54,), RECOVERY: (52,),
         SHRED: (57,), UPLOAD_ACK: (51, 53)}
CARRY_TOTALS = (INTENT, OUTCOME, REVERSAL, VOID, FORWARDED)


def read_record(payload, place):
    try:
        r = cbor(payload)
    except BadCbor as e:
        raise Finding("record-format", f"no deterministic CBOR: {e}", *place) from None
    if not isinstance(r, dict) or not r or not all(is_uint(k) for k in r):
        raise Finding("record-format", "not a map with unsigned keys", *place)
    for key, value in r.items():
        if key >= 200:
            continue
        if key not in KEYS:
            raise Finding("record-key", f"key {key} is unknown", *place)
        left_out = key > 9 and key not in (11, 12, 13) and (value is False or value in (0, "", b""))
        of_epoch = r.get(2) in (OPEN, KEY_ROTATE)
        if left_out or not KEYS[key](value) or key == (51 if of_epoch else 54):
            raise Finding("record-format", f"key {key} has a value that it cannot have", *place)
    if any(k not in r for k in ALWAYS) or len({11, 12, 13} & set(r)) in (1, 2):
        raise Finding("record-format", "a key is missing", *place)
    for key in NEEDS.get(r[2], ()):
        given_up = r[2] == FORWARDED and key == 17 and r.get(48) == 4 and r.get(21) == DEFERRED
        if key not in r and not given_up:
            raise Finding("record-format", f"key {key} is missing", *place)
    return r


def read_signature(payload):
    """(seq, COSE bytes) of a signature frame, (seq, None) where the rest is malformed; None when it is no such thing."""
    try:
        major, n, at = cbor_head(payload, 0)
        version = cbor_head(payload, at)
        named = cbor_head(payload, version[2])
    except BadCbor:
        return None
    if (major, n) != (4, 3) or version[:2] != (0, 1) or named[0] != 0 or len(payload) - at < 3:
        return None
    try:
        item = cbor(payload)
    except BadCbor:
        return named[1], None
    return named[1], item[2] if isinstance(item[2], bytes) else None


BODY = {1: uint(1, 1), 2: octets(16), 3: uint(), 4: octets(32), 5: octets(32), 6: octets(32),
        7: array(*[uint()] * 14), 8: octets(8), 9: octets(32), 10: uint()}


def read_body(data):
    """A CHECKPOINT's body (section 6); None when it is no such thing."""
    try:
        b = cbor(data)
    except BadCbor:
        return None
    return b if isinstance(b, dict) and set(b) == set(BODY) and all(BODY[k](v) for k, v in b.items()) else None


# ---- how one transaction may go on (section 5) ----

class Message:
    """A STAN of a transaction: what it was used for, and what became of it."""

    def __init__(self, kind, mti=0):
        self.kind, self.mti = kind, mti  # online, deferred, advice, reversal
        self.open = kind in ("online", "deferred")
        self.approved = self.reversed = self.forwarded = self.accepted = self.completed = self.refused = False


class Transaction:
    def __init__(self, money):
        self.money, self.mode, self.void, self.given_up = money, None, False, False
        self.messages = {}

    def asked_no_more(self):
        return self.void or self.given_up or any(m.forwarded for m in self.messages.values() if m.kind == "deferred")

    def any_open(self):
        return any(m.open for m in self.messages.values())

    def intent(self, r):
        return "a second INTENT of the same transaction"

    def requested(self, r):
        stan, deferred = r[17], r[21] == DEFERRED
        if stan in self.messages:
            return "the STAN was used before"
        if self.any_open():
            return "another message of the transaction is open"
        if r[21] == ONLINE and self.mode is not None:
            return "REQUESTED after OUTCOME"
        if deferred and (self.mode != DEFERRED or self.asked_no_more()):
            return "there is nothing deferred left to ask for"
        if not deferred and r[21] != ONLINE:
            return "REQUESTED of a mode that asks nobody"
        self.messages[stan] = Message("deferred" if deferred else "online", r.get(38, 0))
        return None

    def outcome(self, r):
        mode, stan = r[21], r.get(17)
        if self.mode is not None:
            return "a second OUTCOME"
        asked = self.messages.get(stan)
        if mode == ONLINE or (mode == DECLINED and 20 in r and asked is not None and asked.open):
            if asked is None or asked.kind != "online" or not asked.open:
                return "OUTCOME of a message that is not open"
            asked.open, asked.approved, asked.refused = False, mode == ONLINE, mode == DECLINED
        elif mode not in (OFFLINE, DEFERRED, DECLINED):
            return "OUTCOME of a mode that is none"
        if self.any_open():
            return "OUTCOME while a message is open"
        if mode == OFFLINE:
            if stan is None or asked is not None:
                return "an offline approval needs a STAN of its own"
            self.messages[stan] = Message("advice")
        self.mode = mode
        return None

    def reversal(self, r):
        original, stan = self.messages.get(r[47][1]), r[17]
        if original is None or original.kind == "reversal":
            return "REVERSAL of a message that is not there"
        if original.refused:
            return "REVERSAL of what was declined"
        if original.reversed:
            return "REVERSAL of what was reversed"
        if stan in self.messages:
            return "the STAN was used before"
        if self.void:
            return "REVERSAL of what is void"
        original.reversed, original.open = True, False
        self.messages[stan] = Message("reversal")
        return None

    def voided(self, r):
        if self.mode not in (OFFLINE, DEFERRED):
            return "VOID of what was not approved here"
        if self.asked_no_more() or self.any_open() or any(m.forwarded and m.kind != "reversal" for m in self.messages.values()):
            return "VOID of what is void, open or sent"
        self.void = True
        return None

    def forwarded(self, r):
        m, result = self.messages.get(r.get(17)), r[48]
        if 17 not in r:
            if self.mode != DEFERRED or self.asked_no_more() or self.any_open():
                return "given up what is not deferred, open or done"
            self.given_up = True
            return None
        if m is None or self.void:
            return "FORWARDED of a message that is not there"
        if m.kind == "online" or (m.kind == "deferred" and m.accepted and r.get(38) == 1220):
            if not (m.approved or m.accepted) or m.mti != 1100 or r.get(38) != 1220 or m.completed or result == 3:
                return "FORWARDED of a message that waits for no answer"
            m.completed = True
            return None
        if m.forwarded or (m.kind == "deferred" and m.reversed):
            return "FORWARDED twice, or of what was taken back"
        if m.kind == "deferred" and m.mti == 1100 and r.get(38) == 1220:
            return "the completion of an authorisation that has no answer"
        if (m.kind == "reversal") != (result == 3) and result != 4:
            return "FORWARDED with an answer that this message cannot have"
        m.forwarded, m.open, m.accepted, m.refused = True, False, result == 1, result == 2
        return None

    STEPS = {INTENT: intent, REQUESTED: requested, OUTCOME: outcome, REVERSAL: reversal, VOID: voided, FORWARDED: forwarded}


class Ledger:
    def __init__(self):
        self.transactions, self.closed, self.before = {}, False, None
        self.degraded = self.checkpointed = False

    def see(self, r):
        """None, or why the record cannot stand here."""
        kind, seq = r[2], r[3]
        if (seq == 0) != (kind == OPEN):
            return "OPEN is the first record and no other"
        before, self.before = self.before, kind
        if self.closed and (kind not in (CHECKPOINT, RECOVERY) or kind == before == CHECKPOINT):
            return "a record after CLOSE"
        if kind == CLOSE:
            self.closed = True
        why = self.degrade(kind, r)
        if why is not None or kind not in Transaction.STEPS:
            return why
        tx = self.transactions.get(r[10])
        money = (r[11], r[12], r[13]) if 11 in r else None
        if tx is None:
            if kind != INTENT:
                return "no INTENT before it"
            self.transactions[r[10]] = Transaction(money)
            return None
        if money is not None and money != tx.money:
            return "another amount than its INTENT's"
        if kind == VOID and r[43] != r[10]:
            return "VOID of another transaction"
        if kind == FORWARDED and r[48] == 1 and money is None:
            return "accepted, and not how much"
        return Transaction.STEPS[kind](tx, r)

    def degrade(self, kind, r):
        if (63 in r) != (kind == OUTCOME and self.degraded):
            return "degraded is said where it is not, or not said where it is"
        if kind == DEGRADED_ON and (self.degraded or not self.checkpointed):
            return "DEGRADED_ON while degraded, or before the first CHECKPOINT"
        if kind == DEGRADED_OFF and not self.degraded:
            return "DEGRADED_OFF while not degraded"
        if kind in (KEY_ROTATE, CLOSE) and self.degraded:
            return "the end of a round while degraded"
        if kind in (DEGRADED_ON, DEGRADED_OFF):
            self.degraded = kind == DEGRADED_ON
        self.checkpointed |= kind == CHECKPOINT
        return None

    def amount(self, r):
        return self.transactions[r[10]].money[0]


def add_totals(totals, r, amount):
    kind = r[2]
    if kind == INTENT:
        totals[0] += 1
    elif kind == OUTCOME and r[21] in (ONLINE, OFFLINE, DEFERRED):
        totals[2 * r[21] - 1] += 1
        totals[2 * r[21]] += amount
    elif kind == OUTCOME and r[21] == DECLINED:
        totals[7] += 1
    else:
        at = {REVERSAL: 8, VOID: 10}.get(kind, 12 if kind == FORWARDED and r[48] == 1 and r.get(38) != 1100 else None)
        if at is not None:
            totals[at] += 1
            totals[at + 1] += amount


# ---- segments and frames (sections 2 and 3) ----

class Header:
    def __init__(self, data, number, seq):
        def bad(words):
            raise Finding("segment-header", f"segment {number}: {words}", number, 0, seq)
        if len(data) < HEADER_BYTES or data[:8] != MAGIC:
            bad("no header")
        (self.incompatible, _, self.number, self.size) = struct.unpack(">IIII", data[8:24])
        self.salt, self.journal = data[24:40], data[40:56]
        (self.seq,), self.leaf = struct.unpack(">Q", data[56:64]), data[64:96]
        if crc32c(data[:96]) != struct.unpack(">I", data[96:100])[0] or any(data[100:128]):
            bad("the header is damaged")
        if self.incompatible:
            bad("a feature that this reader does not know")
        if self.size != len(data) or not SEGMENT_BYTES_MIN <= self.size <= SEGMENT_BYTES_MAX or self.size % 8:
            bad("the file has another size than its header says, or none that a segment has")


class Frame:
    def __init__(self, offset, end, batch, payload, signature):
        self.offset, self.end, self.batch, self.payload, self.signature = offset, end, batch, payload, signature
        self.type = None if signature is not None else record_says(payload)[0]


def record_says(payload):
    """Type and sequence number in a record's first three keys, (None, None) when these are not there."""
    try:
        major, n, at = cbor_head(payload, 0)
        if major != 5 or n < 3 or n > (len(payload) - at) // 2:
            return None, None
        values = []
        for key in (1, 2, 3):
            head, at = cbor_head(payload, at)[:2], cbor_head(payload, at)[2]
            if head != (0, key):
                return None, None
            major, value, at = cbor_head(payload, at)
            if major != 0:
                return None, None
            values.append(value)
    except BadCbor:
        return None, None
    return values[1], values[2]


def is_signed(frames):
    kinds = ["signature" if f.signature is not None else f.type for f in frames]
    return kinds[-2:] == [CHECKPOINT, "signature"] and kinds.count(CHECKPOINT) == kinds.count("signature") == 1


class Unsigned:
    """What may stand in a batch without a signature (section 3), as the batches before say."""

    def __init__(self):
        self.begun, self.deferred = False, {}  # an INTENT since the last CHECKPOINT; by tx: was its OUTCOME deferred

    def owing(self, frames):
        begun, owing = self.begun, False
        for f in frames:
            if f.signature is not None or f.type == RECOVERY:
                continue
            if f.type == INTENT:
                owing, begun = owing or begun, True
                continue
            owing = owing or f.type != VOID or not self.deferred.get(self.tx(f), False)
        return owing

    def owes(self, frames):
        return self.owing(frames) and not is_signed(frames)

    def tx(self, frame):
        try:
            return read_record(frame.payload, ()).get(10)
        except Finding:
            return None

    def take(self, frames):
        for f in frames:
            if f.type == INTENT:
                self.begun = True
            elif f.type == CHECKPOINT:
                self.begun = False
            elif f.type == OUTCOME:
                try:
                    r = read_record(f.payload, ())
                except Finding:
                    continue
                self.deferred.setdefault(r[10], r[21] == DEFERRED)


def frame_at(data, salt, at, seq, padded=False):
    """The frame at an offset, or the rule that it breaks; None: nothing but a zero length. seq None: as the payload says; padded:
    whatever its padding is."""
    if at + 12 > len(data):
        return None
    length, crc, batch = struct.unpack(">III", data[at:at + 12])
    if length == 0:
        return None
    end = at + (12 + length + 7) // 8 * 8
    if length > RECORD_BYTES_MAX or end > len(data):
        return "frame-crc"
    payload = data[at + 12:at + 12 + length]
    signature = read_signature(payload)
    named = record_says(payload)[1] if signature is None else signature[0]
    if not any(crc32c(salt + struct.pack(">QII", n, length, batch) + payload) == crc
               for n in {named, seq if signature is None else None} - {None}):
        return "frame-crc"
    if not padded and any(data[at + 12 + length:end]):
        return "frame-padding"
    return Frame(at, end, batch, payload, signature)


class Segment:
    """Its frames in order, and what is damaged: where, how far, by which rule, honest or not."""

    def __init__(self, data, number, seq, unsigned):
        self.data, self.number, self.frames, self.unsigned = data, number, [], unsigned
        self.header = Header(data, number, seq)
        self.damage = self.finding = None  # finding: tampering, once the frames before it are seen

    def read(self, seq):
        at, batch, first = HEADER_BYTES, None, seq
        rule = None
        self.zeros_from = len(self.data.rstrip(b"\0"))
        while True:
            frame = frame_at(self.data, self.header.salt, at, seq)
            if frame is None:
                if self.zeros_from > at:
                    rule = "frame-crc"
                break
            if frame == "frame-padding":  # no crash leaves it so
                self.finding = Finding(frame, "the padding is not zero", self.number, at, seq)
                return
            if isinstance(frame, str):
                rule = frame
                break
            if frame.batch != at and frame.batch != batch:
                self.finding = Finding("frame-batch", "the frame belongs to no batch", self.number, at, seq)
                return
            if frame.batch == at:
                if self.unsigned.owes(self.batch(batch)):
                    self.finding = Finding("signature-missing", "a batch without its signature", self.number, batch, first)
                    self.drop(batch)
                    return
                self.unsigned.take(self.batch(batch))
                first = seq
            batch = frame.batch
            self.frames.append(frame)
            seq += frame.signature is None
            at = frame.end
        if rule is not None:
            self.set_aside(at, rule, seq)
        elif self.unsigned.owes(self.batch(batch)):  # torn: whole, but for its signature
            self.damaged(batch, "signature-missing")
        else:
            self.unsigned.take(self.batch(batch))

    def batch(self, at):
        """The last batch, which begins there."""
        n = len(self.frames)
        while n > 0 and self.frames[n - 1].batch == at:
            n -= 1
        return self.frames[n:]

    def drop(self, at):
        self.frames = [f for f in self.frames if f.offset < at]

    def set_aside(self, at, rule, seq):
        """Torn or tampered (section 6)."""
        before = self.frames[-1].batch if self.frames else None
        last = self.batch(before)
        torn = self.unsigned.owes(last)
        for later in range(at + 8, self.zeros_from, 8):
            frame = frame_at(self.data, self.header.salt, later, None, padded=True)
            if isinstance(frame, Frame) and at < frame.batch <= later:
                self.finding = Finding(rule, "damage before what was written later", self.number, at, seq)
                return
            torn = torn or (isinstance(frame, Frame) and frame.batch == before and not is_signed(last))
        if not torn:
            self.unsigned.take(last)
        self.damaged(before if torn else at, rule)

    def damaged(self, start, rule):
        self.drop(start)
        end = (max(self.zeros_from, start) + 7) // 8 * 8
        self.damage = [self.number, start, end - start, sha256(self.data[start:end])]
        self.damage_rule = rule


# ---- archives (section 10) ----

ZSTD_MAGIC, ZSTD_FORM = b"\x28\xb5\x2f\xfd", 0x24
SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, ARCHIVE_BYTES_MAX = 8192, 1048576, 1056768


def zstd_frame(data):
    """The size of what is in it, when data is one zstd frame of the one form, and ends with it (RFC 8878, 3.1.1); else None."""
    if len(data) < 6 or len(data) > ARCHIVE_BYTES_MAX or data[:4] != ZSTD_MAGIC or data[4] & 0x3F != ZSTD_FORM:
        return None
    n = (1, 2, 4, 8)[data[4] >> 6]
    size = int.from_bytes(data[5:5 + n], "little") + (256 if n == 2 else 0)
    at, last = 5 + n, False
    while not last:
        if at + 3 > len(data):
            return None
        head = int.from_bytes(data[at:at + 3], "little")
        last, kind = head & 1 == 1, head >> 1 & 3
        if kind == 3:
            return None
        at += 3 + (1 if kind == 1 else head >> 3)
    return size if at + 4 == len(data) and SEGMENT_BYTES_MIN <= size <= SEGMENT_BYTES_MAX else None


def unpack(data):
    """A segment's bytes from its archive, or None: it is no archive."""
    size = zstd_frame(data)
    if size is None:
        return None
    program = shutil.which("zstd")
    if program is None:
        raise Unreadable("it has archived segments, and the program zstd, which reads them, is not here")
    done = subprocess.run([program, "-d", "-c", "-q"], input=data, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 and len(done.stdout) == size else None


# ---- the whole journal ----

class Verifier:
    def __init__(self, directory, anchor=None, head=None, identity=None, collector=None):
        self.directory, self.anchor, self.head, self.trusted = directory, anchor, head, identity
        self.collector = collector
        self.heads, self.acknowledged = {}, 0  # (root, anchor after it) by size; records of the last UPLOAD_ACK
        self.journal = self.identity = None
        self.leaf, self.tree, self.totals, self.ledger = ZEROS, Tree(), [0] * 14, Ledger()
        self.records = self.checkpoints = self.signed_size = 0
        self.anchor_now = None            # after the last body
        self.anchors = {}                 # value: the checkpoint's seq after which it stands
        self.epoch, self.keys = None, {}  # epoch keys by key id
        self.last = None                  # the last checkpoint: its body and place
        self.missed = {}                  # while degraded: a value that the anchor may have, and the records it binds
        self.pending = []                 # damage that no RECOVERY has named
        self.unsigned = Unsigned()
        self.place = (1, 0, 0)

    def segments(self):
        names = os.listdir(self.directory)
        return sorted({int(m.group(1)) for m in (re.fullmatch(r"seg-([0-9]{8})\.dpj(\.zst)?", n) for n in names) if m})

    def run(self):
        try:
            for index, number in enumerate(self.segments(), 1):
                self.segment(number, index)
            if not self.segments():
                raise Finding("segment-order", "no segment", 0, 0, 0)
            return self.result(self.end())
        except Finding as finding:
            return self.result(finding)

    def read(self, number):
        """A segment's bytes, from its file or its archive; both of one must be alike."""
        path = os.path.join(self.directory, f"seg-{number:08}.dpj")
        data = archived = None
        if os.path.exists(path):
            with open(path, "rb") as f:
                data = f.read()
        if os.path.exists(path + ".zst"):
            with open(path + ".zst", "rb") as f:
                archived = unpack(f.read(ARCHIVE_BYTES_MAX + 1))
            if archived is None and data is None or archived is not None and data not in (None, archived):
                raise Finding("segment-archive", f"the archive of segment {number} is not the segment's", number, 0, self.records)
        return archived if data is None else data

    def segment(self, number, expected):
        if number != expected:
            raise Finding("segment-order", f"segment {expected} is missing", expected, 0, self.records)
        data = self.read(number)
        s = Segment(data, number, self.records, self.unsigned)
        h = s.header
        if h.number != number:
            raise Finding("segment-order", f"segment {h.number} in the place of {number}", number, 0, self.records)
        if self.journal is None:
            self.journal = h.journal
        if h.journal != self.journal:
            raise Finding("journal-id", "a segment of another journal", number, 0, self.records)
        if h.seq != self.records:
            raise Finding("seq-gap", "the segment begins with another record than is due", number, 0, self.records)
        if h.leaf != self.leaf:
            raise Finding("prev-hash", "the segment does not continue the one before", number, 0, self.records)
        s.read(self.records)
        for frame in s.frames:
            self.place = (number, frame.offset, self.records)
            if frame.signature is not None:
                self.signature(*frame.signature)
                continue
            self.record(read_record(frame.payload, self.place), frame.payload)
        if s.finding is not None:
            raise s.finding
        if s.damage is not None:
            if len(self.pending) == DAMAGES_MAX:
                raise Finding("recovery-mismatch", f"more than {DAMAGES_MAX} torn places in a row", *s.damage[:2], self.records)
            self.pending.append((s.damage, s.damage_rule))
        self.place = (number, s.frames[-1].end if s.frames else HEADER_BYTES, self.records)

    def record(self, r, payload):
        seq = r[3]
        if seq != self.records:
            raise Finding("seq-gap", f"record {seq} where {self.records} is due", *self.place)
        if r[4] != self.leaf:
            raise Finding("prev-hash", "the record before it is another", *self.place)
        if r[5] != self.journal:
            raise Finding("journal-id", "a record of another journal", *self.place)
        self.recovery(r)
        why = self.ledger.see(r)
        if why is not None:
            raise Finding("state-machine", f"record {seq}: {why}", *self.place)
        add_totals(self.totals, r, self.ledger.amount(r) if r[2] in Transaction.STEPS else 0)
        if (r[2] in CARRY_TOTALS or 33 in r) and r.get(33) != self.totals:
            raise Finding("totals", "the totals are not the sum of the records", *self.place)
        if r[2] in (OPEN, KEY_ROTATE):
            self.epoch_key(r)
        elif r[2] == CHECKPOINT:
            self.checkpoint(r)
        elif r[2] == DEGRADED_ON:
            self.missed = {self.last["before"]: self.last["before_size"], self.anchor_now: self.last["seq"] + 1}
        elif r[2] == UPLOAD_ACK:
            self.upload_ack(r)
        self.leaf = sha256(b"\x00", payload)
        self.tree.append(self.leaf)
        self.records += 1
        if self.head is not None and self.records == self.head["size"]:
            self.at_head()

    def recovery(self, r):
        if r[2] == RECOVERY:
            if not self.pending or r[52] != self.pending[0][0]:
                raise Finding("recovery-mismatch", "RECOVERY names what is not there", *self.place)
            self.pending.pop(0)
        elif self.pending:
            damage, rule = self.pending[0]
            raise Finding(rule, "damage that no RECOVERY accounts for", *damage[:2], self.records)

    def at_head(self):
        if self.head["journal"] != self.journal:
            raise Finding("head-mismatch", "the head is another journal's", *self.place)
        if self.tree.root() != self.head["root"] or self.anchor_now != self.head["anchor"]:
            raise Finding("head-mismatch", "the head is of another history", *self.place)

    def epoch_key(self, r):
        number, kid, public, identity, certificate = r[54]
        def bad(words):
            raise Finding("epoch-certificate", words, *self.place)
        if self.identity is None:
            if self.trusted is not None and identity != self.trusted:
                raise Finding("identity-mismatch", "another identity key than the trusted one", *self.place)
            self.identity = identity
        if identity != self.identity:
            raise Finding("identity-mismatch", "the identity key has changed", *self.place)
        try:
            cose = Cose(certificate, b"doorpay epoch 1")
            payload = cbor(cose.payload)
        except BadCbor as e:
            bad(f"the certificate: {e}")
        if payload != [self.journal, number, public] or kid != key_id(public) or cose.kid != key_id(identity):
            bad("the certificate is for another key")
        if not cose.verifies(identity):
            bad("the certificate's signature is not the identity key's")
        if self.epoch is not None and number <= self.epoch:
            bad("the epoch's number does not rise")
        self.epoch, self.keys[kid] = number, public
        self.current_kid = kid

    def checkpoint(self, r):
        if self.last is not None and not self.last["signed"]:
            raise Finding("signature-missing", "a checkpoint without a signature", *self.last["place"])
        b = read_body(r[51])
        if b is None:
            raise Finding("record-format", "the body is none", *self.place)
        before = b[6] if self.anchor_now is None else self.anchor_now
        checks = (("checkpoint-size", b[3] == self.records, "the checkpoint is for another size"),
                  ("last-leaf", b[5] == self.leaf, "the checkpoint is for another last record"),
                  ("tree-root", b[4] == self.tree.root(), "the checkpoint is for another tree"),
                  ("journal-id", b[2] == self.journal, "a checkpoint of another journal"),
                  ("anchor-chain", b[6] == before, "the checkpoint does not continue the anchor"),
                  ("totals", b[7] == self.totals, "the checkpoint's totals are not the sum of the records"),
                  ("signature-key", b[8] == self.current_kid, "the checkpoint names a key that is not the epoch's"))
        for rule, fine, words in checks:
            if not fine:
                raise Finding(rule, words, *self.place)
        self.anchor_now = sha256(b[6], sha256(r[51]))
        if self.ledger.degraded:
            if len(self.missed) > MISSED_MAX:
                raise Finding("state-machine", f"more than {MISSED_MAX} checkpoints while degraded", *self.place)
            self.missed[self.anchor_now] = r[3] + 1
        self.anchors[self.anchor_now] = r[3]
        self.heads[b[3]] = (b[4], self.anchor_now)
        self.checkpoints += 1
        before_size = 0 if self.last is None else self.last["seq"] + 1
        self.last = {"seq": r[3], "body": r[51], "before": b[6], "before_size": before_size, "kid": b[8], "signed": False, "place": self.place}

    def upload_ack(self, r):
        """What the collector says it has (section 11)."""
        try:
            cose = Cose(r[51], b"doorpay acknowledgement 1")
            a = cbor(cose.payload)
        except BadCbor as e:
            raise Finding("record-format", f"the acknowledgement: {e}", *self.place) from None
        shape = {1: uint(1, 1), 2: octets(16), 3: uint(1, (1 << 63) - 1), 4: octets(32), 5: octets(32), 6: uint(0, (1 << 63) - 1),
                 7: lambda v: isinstance(v, str) and re.fullmatch(r"[ -~]{1,35}", v) is not None}
        if not isinstance(a, dict) or set(a) != set(shape) or not all(shape[k](v) for k, v in a.items()):
            raise Finding("record-format", "the acknowledgement is none", *self.place)
        if (r[53] != sha256(r[51]) or a[2] != self.journal or a[3] <= self.acknowledged or
                self.heads.get(a[3]) != (a[4], a[5])):
            raise Finding("acknowledgement", "it acknowledges what this journal did not have, or has no more", *self.place)
        self.acknowledged = a[3]
        if self.collector is not None and (cose.kid != key_id(self.collector) or not cose.verifies(self.collector)):
            raise Finding("acknowledgement-signature", "it is not signed by the collector", *self.place)

    def signature(self, seq, data):
        def bad(rule, words):
            raise Finding(rule, words, self.place[0], self.place[1], min(seq, self.records))
        if self.last is None or self.last["seq"] != seq or self.last["signed"]:
            bad("signature-invalid", "a signature for no checkpoint that waits for one")
        if data is None:
            bad("signature-invalid", "a signature frame of another form")
        try:
            cose = Cose(data, b"doorpay checkpoint 1")
        except BadCbor as e:
            bad("signature-invalid", f"the signature: {e}")
        if cose.kid != self.last["kid"]:
            bad("signature-key", "signed by a key that the checkpoint does not name")
        if cose.payload != self.last["body"] or not cose.verifies(self.keys[cose.kid]):
            bad("signature-invalid", "the signature is not right")
        self.last["signed"] = True
        self.signed_size = seq + 1

    # ---- freshness (sections 6 and 8) ----

    def end(self):
        """The finding that makes it less than fresh, or None."""
        place = self.place  # where the journal ends
        bound = None
        if self.anchor is not None:
            bound = self.bound_by_anchor(place)
        if self.head is not None:
            bound = self.bound_by_head(place)
        if self.pending:
            damage = self.pending[-1][0]
            return Finding("torn-tail", "a torn batch at the end; it was never answered", damage[0], damage[1], self.records, UNKNOWN)
        if bound is None:
            return Finding(None, f"valid to record {self.records - 1}; freshness unknown", verdict=UNKNOWN)
        if bound < self.records:
            return Finding(None, f"valid; {bound} of {self.records} records are bound", verdict=UNKNOWN)
        return None

    def bound_by_anchor(self, place):
        if self.anchor_now == self.anchor:
            return self.last["seq"] + 1
        if self.ledger.degraded and self.anchor in self.missed:
            return self.missed[self.anchor]
        if self.last is not None and self.anchor == self.last["before"]:
            return self.last["before_size"]
        if self.pending:
            damage = self.pending[-1][0]
            raise Finding("frame-crc", "damage inside what the token's anchor covers", damage[0], damage[1], self.records)
        raise Finding("rollback", f"the token has seen more than these {self.records} records", *place, verdict=ROLLBACK)

    def bound_by_head(self, place):
        size = self.head["size"]
        if self.head["journal"] != self.journal:
            raise Finding("head-mismatch", "the head is another journal's", *place)
        if self.records < size:
            if self.pending:
                damage = self.pending[-1][0]
                raise Finding("frame-crc", "damage inside what the head covers", damage[0], damage[1], self.records)
            raise Finding("rollback", f"{self.records} records where the head has {size}", *place, verdict=ROLLBACK)
        return max(size, self.signed_size)

    def result(self, finding):
        verdict = FRESH if finding is None else finding.verdict
        out = {"verdict": VERDICTS[verdict], "status": verdict,
               "words": "valid and fresh" if finding is None else finding.words}
        if finding is not None and finding.rule is not None:
            out.update(rule=finding.rule, segment=finding.segment, offset=finding.offset, seq=finding.seq)
        out.update(records=self.records, checkpoints=self.checkpoints, signed_size=self.signed_size,
                   torn_tail=bool(self.pending), acknowledged=self.acknowledged, journal=(self.journal or b"").hex(), root=self.tree.root().hex(),
                   last_leaf=self.leaf.hex(), anchor=(self.anchor_now or ZEROS).hex(), identity=(self.identity or b"").hex(),
                   totals=dict(zip(TOTALS, self.totals)))
        return out


# ---- proofs (section 9) ----

PROOF_BYTES_MAX = 4096
PATH_MAX = 64
BASE45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


class NotProven(Exception):
    """The rule of section 9 that fired."""


def proof_from_text(text):
    digits = [BASE45.find(c) for c in text]
    data = bytearray()
    if len(digits) % 3 == 1 or -1 in digits:
        raise NotProven("proof-format")
    for at in range(0, len(digits), 3):
        group = digits[at:at + 3]
        value = sum(d * 45 ** i for i, d in enumerate(group))
        if value >= 1 << 8 * (len(group) - 1):
            raise NotProven("proof-format")
        data += value.to_bytes(len(group) - 1, "big")
    return bytes(data)


class Proof:
    def __init__(self, data):
        if data[:1] == b"D":
            try:
                text = data.decode("ascii").rstrip("\r\n")
            except UnicodeDecodeError:
                raise NotProven("proof-format") from None
            if not text.startswith("DPJ1:"):
                raise NotProven("proof-format")
            data = proof_from_text(text[5:])
        try:
            self.read(data)
        except (BadCbor, ValueError, TypeError, KeyError, IndexError):
            raise NotProven("proof-format") from None

    def read(self, data):
        def must(condition):
            if not condition:
                raise BadCbor("not the form")
        must(len(data) <= PROOF_BYTES_MAX)
        item = cbor(data)
        must(isinstance(item, tuple) and item[1] == 18 and isinstance(item[2], list) and len(item[2]) == 4)
        protected, headers, self.body_bytes, self.signature = item[2]
        must(protected == b"\xa1\x01\x26" and isinstance(headers, dict) and list(headers) == [4, 395, 396, -65537, -65538])
        self.kid, self.certificate, self.hash = headers[4], headers[-65537], headers[-65538]
        must(octets(8)(self.kid) and isinstance(self.certificate, bytes) and octets(32)(self.hash))
        must(is_uint(headers[395]) and headers[395] == 1 and octets(64)(self.signature))
        proofs = headers[396]
        must(isinstance(proofs, dict) and list(proofs) in ([-1], [-2]))
        self.inclusion = -1 in proofs
        (paths,) = proofs.values()
        must(isinstance(paths, list) and len(paths) == 1 and isinstance(paths[0], bytes))
        path = cbor(paths[0])
        must(isinstance(path, list) and len(path) == 3 and is_uint(path[0]) and is_uint(path[1]))
        self.size, self.index = path[:2] if self.inclusion else path[1::-1]
        self.path = path[2]
        must(isinstance(self.path, list) and len(self.path) <= PATH_MAX and all(octets(32)(h) for h in self.path))
        must(octets(1, 512)(self.body_bytes))
        self.body = read_body(self.body_bytes)
        must(self.body is not None)

    def epoch_public(self, identities):
        try:
            cose = Cose(self.certificate, b"doorpay epoch 1")
            payload = cbor(cose.payload)
        except BadCbor:
            raise NotProven("epoch-certificate") from None
        if not array(octets(16), U32, octets(65))(payload) or payload[0] != self.body[2]:
            raise NotProven("epoch-certificate")
        for identity in identities:
            if key_id(identity) == cose.kid:
                if not cose.verifies(identity):
                    raise NotProven("epoch-certificate")
                self.epoch = payload[1]
                return payload[2]
        raise NotProven("identity-mismatch")

    def leads_to_inclusion(self):
        """RFC 9162, 2.1.3.2."""
        node, last, root = self.index, self.size - 1, self.hash
        for h in self.path:
            if last == 0:
                return False
            if node % 2 == 1 or node == last:
                root = sha256(b"\x01", h, root)
                while node % 2 == 0 and node != 0:
                    node, last = node // 2, last // 2
            else:
                root = sha256(b"\x01", root, h)
            node, last = node // 2, last // 2
        return last == 0 and root == self.body[4]

    def leads_to_consistency(self):
        """RFC 9162, 2.1.4.2."""
        path = list(self.path)
        if not path:
            return False
        if self.index & (self.index - 1) == 0:
            path.insert(0, self.hash)
        node, last = self.index - 1, self.size - 1
        while node % 2 == 1:
            node, last = node // 2, last // 2
        older = newer = path[0]
        for h in path[1:]:
            if last == 0:
                return False
            if node % 2 == 1 or node == last:
                older, newer = sha256(b"\x01", h, older), sha256(b"\x01", h, newer)
                while node % 2 == 0 and node != 0:
                    node, last = node // 2, last // 2
            else:
                newer = sha256(b"\x01", newer, h)
            node, last = node // 2, last // 2
        return last == 0 and older == self.hash and newer == self.body[4]

    def check(self, identities):
        if self.size != self.body[3] or self.index >= self.size or (not self.inclusion and self.index == 0):
            raise NotProven("proof-size")
        public = self.epoch_public(identities)
        if self.kid != key_id(public) or self.body[8] != key_id(public):
            raise NotProven("signature-key")
        if not verifies(public, self.body_bytes, b"doorpay checkpoint 1", self.signature):
            raise NotProven("signature-invalid")
        if not (self.leads_to_inclusion() if self.inclusion else self.leads_to_consistency()):
            raise NotProven("tree-root")


def check_proof(data, identities, record=None, head=None):
    """What a proof proves, as a dict; its "rule" is what is wrong."""
    try:
        proof = Proof(data)
        proof.check(identities)
        if record is not None and not (proof.inclusion and sha256(b"\x00", record) == proof.hash):
            raise NotProven("record-mismatch")
        if head is not None and (proof.inclusion or (proof.body[2], proof.index, proof.hash) !=
                                 (head["journal"], head["size"], head["root"])):
            raise NotProven("head-mismatch")
    except NotProven as e:
        return {"verdict": "NOT PROVEN", "rule": str(e)}
    names = ("seq", "leaf") if proof.inclusion else ("older_size", "older_root")
    return {"verdict": "PROVEN", "kind": "inclusion" if proof.inclusion else "consistency", "journal": proof.body[2].hex(),
            names[0]: proof.index, names[1]: proof.hash.hex(), "size": proof.size, "root": proof.body[4].hex(),
            "wall_ms": proof.body[10], "epoch": proof.epoch, "epoch_key": proof.kid.hex(), "software": proof.body[9].hex(),
            "totals": dict(zip(TOTALS, proof.body[7]))}


# ---- what is asked for ----

def one_journal(directory):
    names = os.listdir(directory)
    if any(n.startswith("seg-") for n in names):
        return os.path.abspath(directory)
    journals = sorted(n for n in names if re.fullmatch(r"[0-9a-f]{32}", n))
    if not journals:
        raise Unreadable("there is no journal")
    if len(journals) > 1:
        raise Unreadable("several journals, one must be named: " + ", ".join(journals))
    return os.path.abspath(os.path.join(directory, journals[0]))


def read_head(path):
    with open(path, encoding="utf-8") as f:
        head = json.load(f)
    try:
        if not uint(1)(head["size"]):
            raise ValueError("of no records there is no checkpoint")
        wanted = {"size": head["size"]}
        for name in ("journal", "root", "anchor"):
            wanted[name] = bytes.fromhex(head[name])
    except (KeyError, ValueError, TypeError):
        raise Unreadable(f"{path}: no head file: journal, size, root and anchor are wanted") from None
    return wanted


def read_hex(value, length, what):
    if os.path.exists(value):
        with open(value, encoding="ascii") as f:
            value = f.read()
    try:
        octets_read = bytes.fromhex(value.strip())
    except ValueError:
        octets_read = b""
    if len(octets_read) != length:
        raise Unreadable(f"{what}: {length} bytes in hex are wanted")
    return octets_read


def verify(directory, anchor=None, head=None, identity=None, collector=None):
    return Verifier(one_journal(directory), anchor, head, identity, collector).run()


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def main(argv):
    parser = argparse.ArgumentParser(description="A second reader of the doorpay journal (docs/PROTOCOL.journal).")
    parser.add_argument("dir", metavar="DIR", nargs="?", help="a journal's directory, or the one above it")
    parser.add_argument("--proof", metavar="FILE", help="a proof, to be checked with no journal at all")
    parser.add_argument("--record", metavar="FILE", help="the record that the proof must be about")
    against = parser.add_mutually_exclusive_group()
    against.add_argument("--head", metavar="FILE", help="a head file")
    against.add_argument("--anchor", metavar="HEX", help="the token's anchor")
    parser.add_argument("--trust", metavar="HEX", action="append", default=[],
                        help="the device's identity key, or a file with it; for a proof several")
    parser.add_argument("--collector", metavar="HEX", help="the collector's key, or a file with it")
    options = parser.parse_args(argv)
    if options.proof is None:
        fits = options.dir is not None and options.record is None and len(options.trust) <= 1
    else:
        fits = options.dir is None and options.anchor is None and options.trust
    if not fits:
        parser.error("DIR and at most one --trust, or --proof and --trust")
    try:
        identities = [read_hex(t, 65, "--trust") for t in options.trust]
        head = None if options.head is None else read_head(options.head)
        if options.proof is not None:
            record = None if options.record is None else read_bytes(options.record)
            result = check_proof(read_bytes(options.proof), identities, record, head)
            status = int(result["verdict"] != "PROVEN")
        else:
            result = verify(options.dir, None if options.anchor is None else read_hex(options.anchor, 32, "--anchor"), head,
                            identities[0] if identities else None,
                            None if options.collector is None else read_hex(options.collector, 65, "--collector"))
            status = result["status"]
    except (Unreadable, OSError, json.JSONDecodeError) as e:
        print(f"verify_journal: {e}", file=sys.stderr)
        return 1
    print(json.dumps(result, indent=2))
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
