#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A recount of the acquirer's traffic from the wire alone: the raw frames that
`doorpay-sim acquirer --traffic` wrote, the keys directory, and the rules of
docs/PROTOCOL.acquirer. Standard library and python3-cryptography; it shares nothing with the C code.

  recount.py TRAFFIC --keys DIR            JSON: what each transaction came to, and what is odd
             --books BOOKS.db              ... held against the acquirer's books
             --finance STORE.db            ... against doorpay-finance's store
             --captured FILE.json          ... against {transaction id in hex: captured minor units}

Exit status 0: every comparison agrees and nothing is open; 1: something differs or is open; 2: usage.
Open is a transaction of which the wire does not tell the end: a message without an answer that was
neither repeated nor taken back. --allow-open leaves those out of the comparisons.
"""
import argparse
import hashlib
import hmac
import json
import sqlite3
import sys
import warnings

warnings.filterwarnings("ignore")
from cryptography.exceptions import InvalidTag  # noqa: E402
from cryptography.hazmat.primitives import cmac, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

# ---- the codec, iso93-pos ----

# Number: (kind, bytes of length before it, length or the most).
LAYOUT = {
    2: ("n", 1, 19), 3: ("n", 0, 6), 4: ("n", 0, 12), 7: ("n", 0, 10), 11: ("n", 0, 6),
    12: ("n", 0, 12), 14: ("n", 0, 4), 22: ("a", 0, 12), 23: ("n", 0, 3), 24: ("n", 0, 3),
    25: ("n", 0, 4), 35: ("z", 1, 37), 37: ("a", 0, 12), 38: ("a", 0, 6), 39: ("n", 0, 3),
    41: ("a", 0, 8), 42: ("a", 0, 15), 48: ("b", 2, 999), 49: ("n", 0, 3), 53: ("b", 1, 12),
    55: ("b", 2, 512), 56: ("n", 1, 35), 74: ("n", 0, 10), 75: ("n", 0, 10), 76: ("n", 0, 10),
    77: ("n", 0, 10), 81: ("n", 0, 10), 86: ("n", 0, 16), 87: ("n", 0, 16), 88: ("n", 0, 16),
    89: ("n", 0, 16), 97: ("x", 0, 17), 120: ("b", 2, 999)}


class Bad(Exception):
    pass


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        part = self.data[self.at:self.at + n]
        if len(part) < n:
            raise Bad("ends too early")
        self.at += n
        return part

    def digits(self, n):
        text = self.take((n + 1) // 2).hex()
        if not text.isdigit() or (n % 2 and text[0] != "0"):
            raise Bad("not BCD")
        return text[n % 2:]


def element(cursor, de):
    kind, prefix, n = LAYOUT[de]
    if prefix:
        most, n = n, int(cursor.digits(2 * prefix))
        if n > most:
            raise Bad(f"DE{de} is longer than {most}")
    if kind == "n":
        return cursor.digits(n)
    if kind == "x":
        return chr(cursor.take(1)[0]) + cursor.digits(n - 1)
    if kind == "z":
        text = cursor.take((n + 1) // 2).hex().upper()
        if n % 2 and text[-1] != "F":
            raise Bad("DE35 is not padded")
        return text[:n]
    value = cursor.take(n)
    return value if kind == "b" else value.decode("latin-1")


def unpack(message):
    """{'mti': text, number: value, 'mac': bytes, 'signed': bytes before the MAC}."""
    cursor = Cursor(message)
    out = {"mti": cursor.digits(4)}
    bits = cursor.take(8)
    if bits[0] & 0x80:
        bits += cursor.take(8)
    present = [i + 1 for i in range(8 * len(bits)) if bits[i // 8] << i % 8 & 0x80]
    for de in present:
        if de == 1:
            continue
        if de == 8 * len(bits):
            out["signed"] = message[:cursor.at]
            out["mac"] = cursor.take(len(message) - cursor.at)
            if len(out["mac"]) not in (8, 16):
                raise Bad("MAC length")
        elif de in LAYOUT:
            out[de] = element(cursor, de)
        else:
            raise Bad(f"DE{de} is none of ours")
    if "mac" not in out:
        raise Bad("no MAC")
    return out


def bcd(text):
    return bytes.fromhex("0" * (len(text) % 2) + text)


def pack(fields):
    """The message up to its MAC, from {'mti': text, number: value}."""
    numbers = sorted(k for k in fields if isinstance(k, int))
    size = 16 if any(n > 64 for n in numbers) else 8
    bits = bytearray(size)
    for n in numbers + [8 * size] + ([1] if size == 16 else []):
        bits[(n - 1) // 8] |= 0x80 >> (n - 1) % 8
    out = bcd(fields["mti"]) + bytes(bits)
    for de in numbers:
        kind, prefix, n = LAYOUT[de]
        value = fields[de]
        if prefix:
            out += bcd(f"{len(value):0{2 * prefix}d}")
        if kind == "n":
            out += bcd(value)
        elif kind == "x":
            out += value[:1].encode() + bcd(value[1:])
        elif kind == "z":
            out += bytes.fromhex(value + "F" * (len(value) % 2))
        else:
            out += value if isinstance(value, bytes) else value.encode("latin-1")
    return out


def tags(de48):
    out, at = {}, 0
    while at < len(de48):
        tag, n = de48[at], de48[at + 1]
        value = de48[at + 2:at + 2 + n]
        if len(value) < n or tag in out:
            raise Bad("DE48")
        out[tag] = value
        at += 2 + n
    return out


# ---- AES DUKPT and the MAC ----

GENERATE, VERIFY = 0x2000, 0x2001


def aes(key, block):
    c = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return c.update(block) + c.finalize()


def derive(key, usage, context):
    return aes(key, bytes([1, 1]) + usage.to_bytes(2, "big") + bytes([0, 2, 0, 0x80]) + context)


def mac_key(bdk, ksn, usage):
    key, counter, so_far = derive(bdk, 0x8001, ksn[:8]), int.from_bytes(ksn[8:], "big"), 0
    for bit in range(31, -1, -1):
        if counter >> bit & 1:
            so_far |= 1 << bit
            key = derive(key, 0x8000, ksn[4:8] + so_far.to_bytes(4, "big"))
    return derive(key, usage, ksn[4:8] + counter.to_bytes(4, "big"))


def mac_of(bdk, ksn, usage, signed, n=8):
    c = cmac.CMAC(algorithms.AES(mac_key(bdk, ksn, usage)))
    c.update(hashlib.sha256(signed).digest())
    return c.finalize()[:n]


# ---- sealed card data ----

KEM, SUITE = b"KEM\x00\x10", b"HPKE\x00\x10\x00\x01\x00\x01"
INFO = b"doorpay sealed 1"


def extract(salt, suite, label, material):
    return hmac.new(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256").digest()


def expand(prk, suite, label, info, n):
    text = n.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\1"
    return hmac.new(prk, text, "sha256").digest()[:n]


def hpke_keys(dh, enc, recipient):
    shared = expand(extract(b"", KEM, b"eae_prk", dh), KEM, b"shared_secret", enc + recipient, 32)
    context = (b"\0" + extract(b"", SUITE, b"psk_id_hash", b"") +
               extract(b"", SUITE, b"info_hash", INFO))
    secret = extract(shared, SUITE, b"secret", b"")
    return expand(secret, SUITE, b"key", context, 16), expand(secret, SUITE, b"base_nonce",
                                                              context, 12)


def point_of(public):
    return public.public_bytes(serialization.Encoding.X962,
                               serialization.PublicFormat.UncompressedPoint)


def unseal(private, blob, aad):
    recipient = point_of(private.public_key())
    if blob[0] != 1 or blob[1:9] != hashlib.sha256(recipient).digest()[:8]:
        raise Bad("sealed for another key, or in another version")
    enc = blob[9:74]
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc)
    key, nonce = hpke_keys(private.exchange(ec.ECDH(), peer), enc, recipient)
    try:
        return AESGCM(key).decrypt(nonce, blob[74:], aad)
    except InvalidTag:
        raise Bad("sealed data do not open") from None


def sealed_pan(private, message, private_data):
    """The card number in DE120; the map is {1: text, 2: text, maybe 3: uint}."""
    de120 = message[120]
    n = int.from_bytes(de120[:2], "big")
    aad = private_data[6] + private_data[5] + message[41].encode("latin-1") + b"\1"
    clear = unseal(private, de120[2:2 + n], aad)
    if clear[0] not in (0xA2, 0xA3) or clear[1] != 1 or clear[2] >> 5 != 3:
        raise Bad("sealed data are no card's")
    rest = de120[2 + n:]
    if rest and len(rest) - 2 != int.from_bytes(rest[:2], "big"):
        raise Bad("bytes behind the sealed data")
    pan = clear[3:3 + (clear[2] & 31)].decode()
    if not 999901 <= int(pan[:6]) <= 999909:
        raise Bad("no test card number")
    return pan


# ---- the traffic ----

REQUESTS = {"1100", "1200", "1220", "1221", "1420", "1421", "1520", "1804"}
APPROVED = {"1100": "000", "1200": "000", "1220": "000", "1420": "400", "1520": "500",
            "1804": "800"}


def kind_of(mti):
    """The request's type for request, repeat and answer alike."""
    return mti[:2] + str(int(mti[2]) & ~1) + ("4" if mti[:2] == "18" else "0")


class Recount:
    def __init__(self, keys):
        with open(f"{keys}/bdk.hex") as f:
            self.bdk = bytes.fromhex(f.read().strip())
        with open(f"{keys}/seal.pem", "rb") as f:
            self.seal = serialization.load_pem_private_key(f.read(), None)
        self.asked, self.problems, self.counters = {}, [], {}
        self.frames = 0

    def problem(self, number, what):
        self.problems.append({"line": number, "what": what})

    def line(self, number, text):
        _, direction, frame = text.split()
        self.frames += 1
        try:
            message = unpack(bytes.fromhex(frame))
            if len(message.get(53, b"")) != 12:
                raise Bad("no KSN")
        except Bad as e:
            self.problem(number, f"{direction} not decodable: {e}")
            return
        usage = GENERATE if direction == ">" else VERIFY
        mac = mac_of(self.bdk, message[53], usage, message["signed"], len(message["mac"]))
        if mac != message["mac"]:
            self.problem(number, f"{direction} {message['mti']} wrong MAC")
        elif direction == ">":
            self.request(number, message)
        else:
            self.answer(number, message)

    def request(self, number, m):
        if m["mti"] not in REQUESTS:
            self.problem(number, f"> {m['mti']} is no request")
            return
        counter = int.from_bytes(m[53][8:], "big")
        if counter <= self.counters.get(m[53][:8], 0):
            self.problem(number, f"> {m['mti']} KSN counter {counter} does not rise")
            return
        self.counters[m[53][:8]] = counter
        key = (m[41], kind_of(m["mti"]), m[11], m[12])
        private = tags(m.get(48, b""))
        if 120 in m:
            try:
                sealed_pan(self.seal, m, private)
            except (Bad, KeyError, ValueError) as e:
                self.problem(number, f"> {m['mti']} DE120: {e}")
        if key in self.asked:
            first = self.asked[key]
            if m["mti"][3] != "1":
                self.problem(number, f"> {m['mti']} STAN {m[11]} a second time")
            if any(m.get(de) != first["m"].get(de) for de in (4, 37, 49, 56)):
                self.problem(number, f"> {m['mti']} STAN {m[11]} repeated with other content")
        else:
            self.asked[key] = {"m": m, "tx": private.get(5, b"").hex().upper(), "action": None,
                               "mode": private.get(2, b"\0")[0], "ksns": set(), "line": number}
        self.asked[key]["ksns"].add(m[53])

    def answer(self, number, m):
        asked = self.asked.get((m[41], kind_of(m["mti"]), m[11], m[12]))
        what = f"< {m['mti']} STAN {m.get(11)}"
        if asked is None or m["mti"] in REQUESTS:
            self.problem(number, f"{what} answers nothing")
        elif any(de in asked["m"] and m.get(de) != asked["m"][de] for de in (4, 37, 49)):
            self.problem(number, f"{what} does not match its request")
        elif m[53] not in asked["ksns"]:
            self.problem(number, f"{what} under another KSN")
        elif asked["action"] not in (None, m[39]):
            self.problem(number, f"{what} says {m[39]} after {asked['action']}")
        else:
            asked["action"] = m[39]

    # ---- what it comes to ----

    def reversals(self):
        """{key of the original: how its reversals were answered}."""
        out = {}
        for (tid, kind, _, _), a in self.asked.items():
            if kind == "1420":
                original = a["m"][56]
                key = (tid, kind_of(original[:4]), original[4:10], original[10:22])
                out.setdefault(key, []).append(a["action"])
        return out

    def transactions(self):
        """{transaction id: {captured, open}} by the message flow."""
        taken_back = self.reversals()
        # an authorisation that was taken back takes its capture with it
        void = {a["tx"] for key, a in self.asked.items()
                if key[1] == "1100" and "400" in taken_back.get(key, [])}
        out = {}
        for key, a in self.asked.items():
            tid, kind, stan, _ = key
            if kind not in ("1100", "1200", "1220") or not a["tx"]:
                continue
            t = out.setdefault(a["tx"], {"tid": tid, "captured": 0, "open": [], "times": 0})
            actions = taken_back.get(key, [])
            if "400" in actions or (kind == "1220" and a["mode"] != 2 and a["tx"] in void):
                continue
            if a["action"] is None or actions and a["action"] == "000":
                t["open"].append(f"{kind} {stan}")
            elif a["action"] == "000" and kind != "1100":
                t["captured"] += int(a["m"][4])
                t["times"] += 1
                t["currency"] = a["m"][49]
        for tx, t in out.items():
            if t.pop("times") > 1:
                self.problem(0, f"transaction {tx} is captured more than once")
        return out


def recount(traffic, keys):
    """(recount, {transaction id: {...}}) of a traffic file."""
    r = Recount(keys)
    with open(traffic) as f:
        for number, text in enumerate(f, 1):
            r.line(number, text)
    return r, r.transactions()


# ---- against others ----


def books(path):
    """{transaction id: captured} of the acquirer's books."""
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT transaction_id, sum(CASE WHEN state = 'captured' THEN amount ELSE"
                          " 0 END) FROM sale GROUP BY 1").fetchall()
    return dict(rows)


def finance(path):
    """{transaction id: captured} of doorpay-finance's store: what the journals say. A reversal that
    the acquirer took either undoes a captured sale, or one of which it was never known."""
    out = {}
    with sqlite3.connect(path) as db:
        for tx, kind, state, amount in db.execute("SELECT upper(tx), type, state, amount FROM"
                                                  " movement"):
            out.setdefault(tx, []).append((kind, state, amount))
    for tx, lines in out.items():
        sales = [a for k, s, a in lines if (k, s) == ("SALE", "captured")]
        maybe = [a for k, s, a in lines if (k, s) == ("SALE", "maybe")]
        undone = [a for k, s, a in lines if (k, s) == ("REVERSAL", "captured")]
        out[tx] = sum(sales) + sum(undone[len(maybe):])
    return out


def compare(a, b, leave_out=()):
    """[(transaction id, in a, in b)] where two {transaction id: captured} differ; not there is 0."""
    out = []
    for tx in sorted(set(a) | set(b)):
        if tx not in leave_out and a.get(tx, 0) != b.get(tx, 0):
            out.append((tx, a.get(tx, 0), b.get(tx, 0)))
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("traffic")
    p.add_argument("--keys", required=True)
    p.add_argument("--books")
    p.add_argument("--finance")
    p.add_argument("--captured")
    p.add_argument("--allow-open", action="store_true")
    o = p.parse_args()
    r, found = recount(o.traffic, o.keys)
    is_open = {tx for tx, t in found.items() if t["open"]}
    captured = {tx: t["captured"] for tx, t in found.items()}
    others = {}
    if o.books:
        others["books"] = books(o.books)
    if o.finance:
        others["finance"] = finance(o.finance)
    if o.captured:
        with open(o.captured) as f:
            others["captured"] = {k.upper(): v for k, v in json.load(f).items()}
    differ = {name: compare(captured, other, is_open if o.allow_open else ())
              for name, other in others.items()}
    json.dump({"frames": r.frames, "transactions": found, "captured": sum(captured.values()),
               "open": sorted(is_open), "problems": r.problems, "differ": differ}, sys.stdout,
              indent=1)
    print()
    return 1 if any(differ.values()) or (is_open and not o.allow_open) else 0


if __name__ == "__main__":
    sys.exit(main())
