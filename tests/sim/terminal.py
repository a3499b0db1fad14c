#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second opinion on the virtual card: a terminal in Python that shares nothing with the C code.

It plays the vpcd reader, pays, and checks every certificate, signature and cryptogram from the CA
keys and issuer keys alone. Usage: terminal.py DOORPAY-SIM CARDS-DIR; speaks TAP.
"""
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.cmac import CMAC  # noqa: E402

SIM, CARDS = sys.argv[1], sys.argv[2]
KEYS = None
AID = bytes.fromhex("A0000009990101")


# ---- bytes ----


def tlvs(data, depth=0):
    """(tag, value, constructed) of one level."""
    at, out = 0, []
    while at < len(data):
        tag = data[at:at + 1]
        at += 1
        if tag[0] & 0x1F == 0x1F:
            while True:
                tag += data[at:at + 1]
                at += 1
                if not tag[-1] & 0x80:
                    break
        n = data[at]
        at += 1
        if n & 0x80:
            more = n & 0x7F
            n = int.from_bytes(data[at:at + more], "big")
            at += more
        assert at + n <= len(data), "element longer than its template"
        out.append((tag.hex().upper(), data[at:at + n]))
        at += n
    return out


def flat(data, into=None):
    into = {} if into is None else into
    for tag, value in tlvs(data):
        if bytes.fromhex(tag)[0] & 0x20:
            flat(value, into)
        else:
            assert tag not in into or tag in ("4F", "50", "87", "9F2A", "9F12"), f"{tag} twice"
            into[tag] = value
    return into


def dol(data):
    at, out = 0, []
    while at < len(data):
        tag = data[at:at + 1]
        at += 1
        if tag[0] & 0x1F == 0x1F:
            tag += data[at:at + 1]
            at += 1
        out.append((tag.hex().upper(), data[at]))
        at += 1
    return out


def fill(list_, values):
    return b"".join(values.get(t, b"").ljust(n, b"\0")[:n] for t, n in dol(list_))


def des3(key, data, decrypt=False):
    c = Cipher(algorithms.TripleDES(key), modes.ECB())
    c = c.decryptor() if decrypt else c.encryptor()
    return c.update(data) + c.finalize()


def aes_block(key, data):
    c = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return c.update(data) + c.finalize()


def cmac(key, data):
    c = CMAC(algorithms.AES(key))
    c.update(data)
    return c.finalize()[:8]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def retail_mac(key, data, pad80):
    if pad80:
        data += b"\x80"
    data += bytes(-len(data) % 8)
    c = bytes(8)
    for i in range(0, len(data), 8):
        c = des3(key[:8] * 2, xor(c, data[i:i + 8]))
    return des3(key[:8] * 2, des3(key[8:] * 2, c, True))


# ---- the reader ----


class Card:
    """The card process on the other end of a vpcd socket."""

    def __init__(self, profile, script=None, atc=None, extra=()):
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(10)
        self.dir = tempfile.mkdtemp(prefix="doorpay-sim-")
        self.log = os.path.join(self.dir, "log")
        args = [SIM, "card", "--keys", KEYS, "--log", self.log,
                "--profile", profile if "/" in profile else f"{CARDS}/{profile}.card",
                "--vpcd", "127.0.0.1:%d" % server.getsockname()[1], *extra]
        if script is not None:
            path = os.path.join(self.dir, "script")
            with open(path, "w") as f:
                f.write(script)
            args += ["--script", path]
        if atc is not None:
            args += ["--atc-file", atc]
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL)
        self.socket = server.accept()[0]
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(10)
        server.close()
        self.t0 = False
        self.atr = self.raw(b"\x04")
        self.control(1)

    def frame(self):
        def take(n):
            out = b""
            while len(out) < n:
                got = self.socket.recv(n - len(out))
                if not got:
                    raise EOFError("card removed")
                out += got
            return out
        return take(int.from_bytes(take(2), "big"))

    def control(self, what):
        self.socket.sendall(b"\0\1" + bytes([what]))

    def raw(self, data):
        self.socket.sendall(len(data).to_bytes(2, "big") + data)
        return self.frame()

    def send(self, cla, ins, p1, p2, data=b"", le=True):
        head = bytes([cla, ins, p1, p2])
        command = head + (bytes([len(data)]) + data if data else b"")
        if le and not (self.t0 and data):
            command += b"\0"
        answer = self.raw(command)
        if answer[-2:-1] == b"\x6c":
            answer = self.raw(head + answer[-1:])
        while answer[-2:-1] == b"\x61":
            answer = answer[:-2] + self.raw(bytes([0, 0xC0, 0, 0, answer[-1]]))
        return answer[:-2], answer[-2:].hex()

    def close(self):
        self.socket.close()
        try:
            return self.process.wait(10)
        finally:
            with open(self.log) as f:
                self.log_text = f.read()
            shutil.rmtree(self.dir)


# ---- recovery ----


def ca_key(index):
    with open(f"{KEYS}/ca.keys") as f:
        for line in f:
            rid, number, modulus, exponent, _, digest = line.split()
            if int(number, 16) == index:
                e = int(exponent)
                text = rid + number + modulus + ("03" if e == 3 else "010001")
                assert hashlib.sha1(bytes.fromhex(text)).hexdigest().upper() == digest
                return bytes.fromhex(modulus), e
    raise AssertionError(f"no CA key {index}")


def recover(key, signature, kind, more):
    modulus, exponent = key
    assert len(signature) == len(modulus)
    block = pow(int.from_bytes(signature, "big"), exponent, int.from_bytes(modulus, "big"))
    block = block.to_bytes(len(modulus), "big")
    assert block[0] == 0x6A and block[-1] == 0xBC and block[1] == kind, block[:2].hex()
    assert hashlib.sha1(block[1:-21] + more).digest() == block[-21:-1], "hash"
    return block[1:-21]


def issuer_key(tags):
    e = tags["9F32"]
    body = recover(ca_key(tags["8F"][0]), tags["90"], 2, tags.get("92", b"") + e)
    assert body[1:5].hex().upper() == "9999FFFF" and body[10:12] == b"\1\1"
    n = body[12]
    modulus = body[14:] + tags["92"] if tags.get("92") else body[14:14 + n]
    assert len(modulus) == n and body[13] == len(e)
    return modulus, int.from_bytes(e, "big")


def icc_key(tags, static):
    e, rest = tags["9F47"], tags.get("9F48", b"")
    body = recover(issuer_key(tags), tags["9F46"], 4, rest + e + static)
    assert body[1:11].hex().rstrip("f") == tags["5A"].hex().rstrip("f")
    n = body[18]
    modulus = body[20:] + rest if rest else body[20:20 + n]
    assert len(modulus) == n
    return modulus, int.from_bytes(e, "big")


def dynamic(key, signature, terminal):
    body = recover(key, signature, 5, terminal)
    assert body[1] == 1
    return body[3:3 + body[2]]


# ---- the issuer ----


def hex_file(name):
    with open(f"{KEYS}/{name}") as f:
        return bytes.fromhex(f.read().strip())


def master(name, tags, aes=False):
    digits = tags["5A"].hex().rstrip("f") + "%02x" % tags["5F34"][0]
    key = hex_file(name)
    if aes:
        return aes_block(key, bytes.fromhex(digits.rjust(32, "0")))
    y = bytes.fromhex(digits[-16:])
    return odd_parity(des3(key, y) + des3(key, xor(y, b"\xff" * 8)))


def odd_parity(key):
    return bytes(b if bin(b).count("1") % 2 else b ^ 1 for b in key)


def common_key(key, r, aes=False):
    if aes:
        return aes_block(key, r + bytes(8))
    return des3(key, r[:2] + b"\xf0" + r[3:]) + des3(key, r[:2] + b"\x0f" + r[3:])


def tree_key(key, atc):
    """Four branches, eight levels: two bits of the counter each."""
    def one(parent, grandparent, digit):
        return des3(parent, grandparent[:7] + bytes([grandparent[7] ^ digit])) + \
            des3(parent, grandparent[8:15] + bytes([grandparent[15] ^ digit ^ 0xF0]))
    counter, levels = int.from_bytes(atc, "big"), [bytes(16), key]
    for shift in range(14, -1, -2):
        levels.append(one(levels[-1], levels[-2], counter >> shift & 3))
    return xor(levels[-1], levels[-3])


def cvn_of(iad):
    """The version as a card profile names it, where its CVR begins and ends, and its counters."""
    if iad[0] == 6:
        return {10: "10", 18: "18"}[iad[2]], iad[3:7], b""
    if iad[0] == 0x1F and len(iad) == 32:
        return {0x22: "22"}[iad[1]], iad[3:8], b""
    if iad[0] == 0x15 and len(iad) == 22:
        return {0x85: "133"}[iad[2]], iad[4:8], b""
    if iad[0] == 0x0F and len(iad) == 32:
        return {0xA5: "ccd5", 0xA6: "ccd6"}[iad[1]], iad[3:8], iad[8:16]
    names = {16: "16", 17: "17", 18: "18-tree", 19: "19-tree", 20: "20", 21: "21"}
    return names[iad[1]], iad[2:8], iad[10:18]


CVNS = "10 18 22 16 17 18-tree 19-tree 20 21 133 ccd5 ccd6".split()


def ac_key(cvn, tags, atc, un):
    key = master("issuer-ac.hex", tags, cvn == "ccd6")
    if cvn == "10":
        return key
    if cvn.endswith("tree"):
        return tree_key(key, atc)
    r = atc + bytes(2) + un if cvn in ("16", "17", "133") else atc + bytes(6)
    return common_key(key, r, cvn == "ccd6")


def mac(cvn, key, data):
    return cmac(key, data) if cvn == "ccd6" else retail_mac(key, data, cvn != "10")


def cryptogram(tags, sent, answer):
    iad, atc = answer["9F10"], answer["9F36"]
    cvn, cvr, counters = cvn_of(iad)
    data = b"".join(sent[t] for t in "9F02 9F03 9F1A 95 5F2A 9A 9C 9F37".split())
    data += tags["82"] + atc
    if cvn in ("18", "22", "133", "ccd5", "ccd6"):
        data += iad
    else:
        data += cvr + (counters if cvn in ("17", "19-tree", "21") else b"")
    return mac(cvn, ac_key(cvn, tags, atc, sent["9F37"]), data)


def arpc(tags, sent, answer, arc):
    cvn = cvn_of(answer["9F10"])[0]
    key = ac_key(cvn, tags, answer["9F36"], sent["9F37"])
    if cvn in ("16", "17"):
        key = master("issuer-ac.hex", tags)
    if cvn in ("18", "22", "ccd5", "ccd6"):
        csu = b"\0\x80\0\0" if arc == b"00" else bytes(4)
        return mac(cvn, key, answer["9F26"] + csu)[:4] + csu
    return des3(key, xor(answer["9F26"], arc + bytes(6))) + arc


def script_key(name, cvn, tags, answer):
    key, atc = master(name, tags, cvn == "ccd6"), answer["9F36"]
    if cvn in ("10", "18"):
        mixed = bytes(6) + atc + bytes(6) + xor(atc, b"\xff\xff")
        return xor(key, mixed)
    if cvn.endswith("tree"):
        return tree_key(key, atc)
    return common_key(key, answer["9F26"], cvn == "ccd6")


def script_mac(tags, answer, command):
    cvn = cvn_of(answer["9F10"])[0]
    bound = b"" if cvn == "133" else answer["9F36"] + answer["9F26"]
    key = script_key("issuer-mac.hex", cvn, tags, answer)
    data = command[:5] + bound + command[5:]
    return cmac(key, data) if cvn == "ccd6" else retail_mac(key, data, True)


def pin_of(tags, answer, command, before="0000"):
    """The new PIN in a PIN CHANGE, from its enciphered block."""
    cvn = cvn_of(answer["9F10"])[0]
    key = script_key("issuer-enc.hex", cvn, tags, answer)
    if cvn == "ccd6":
        c = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
        block = c.update(command[5:-8])[:8]
    else:
        block = des3(key, command[5:13], True)
    if cvn in ("10", "18", "22"):
        assert block[0] == 8
        block = block[1:] + des3(key, command[13:21], True)[:1]
    if cvn in ("10", "18") or (cvn == "22" and command[3] == 1):
        block = xor(block, bytes(4) + master("issuer-ac.hex", tags)[4:8])
        if command[3] == 1:
            block = xor(block, bytes.fromhex(before.ljust(16, "0")))
        assert block[0] >> 4 == 0
    else:
        assert block[0] >> 4 == 2
    text = block.hex()
    assert set(text[2 + (block[0] & 15):]) <= {"f"}, text
    return text[2:2 + (block[0] & 15)]


# ---- a payment ----


def terminal_data(amount):
    return {"9F02": bytes.fromhex("%012d" % amount), "9F03": bytes(6),
            "9F1A": b"\x00\x56", "95": bytes(5), "5F2A": b"\x09\x78",
            "9A": b"\x26\x11\x24", "9C": b"\0", "9F37": os.urandom(4), "9F35": b"\x22",
            "9F34": b"\x1f\x03\x02", "9F66": bytes.fromhex("36004000")}


def read_records(card, afl, tags):
    static = b""
    for i in range(0, len(afl), 4):
        sfi, first, last, signed = afl[i] >> 3, afl[i + 1], afl[i + 2], afl[i + 3]
        for number in range(first, last + 1):
            data, sw = card.send(0, 0xB2, number, sfi << 3 | 4)
            assert sw == "9000" and len(data) <= 256, (sfi, number, sw, len(data))
            assert tlvs(data)[0][0] == "70"
            flat(data, tags)
            if number - first < signed:
                static += tlvs(data)[0][1]
    return static + (tags["82"] if tags.get("9F4A") == b"\x82" else b"")


class Payment:
    def __init__(self, card, amount, aid=AID, directory=True, ttq=None):
        self.card, self.sent, self.tags = card, terminal_data(amount), {}
        if ttq:
            self.sent["9F66"] = bytes.fromhex(ttq)
        contactless = card.atr[:4].hex() == "3b808001"
        name = b"2PAY.SYS.DDF01" if contactless else b"1PAY.SYS.DDF01"
        if directory:
            data, sw = card.send(0, 0xA4, 4, 0, name)
            assert sw == "9000", sw
            if contactless:
                assert flat(data)["4F"] == aid and flat(data)["9F2A"] == b"\3"
            else:
                data, sw = card.send(0, 0xB2, 1, 0x0C)
                assert sw == "9000" and b"\x4f\x07" + aid in data
        data, sw = card.send(0, 0xA4, 4, 0, aid)
        assert sw == "9000", sw
        fci = flat(data)
        assert fci["84"] == aid
        self.pdol = fill(fci.get("9F38", b""), self.sent)
        data, sw = card.send(0x80, 0xA8, 0, 0, b"\x83" + bytes([len(self.pdol)]) + self.pdol)
        assert sw == "9000", sw
        kind, body = tlvs(data)[0]
        if kind == "80":
            self.gpo = {"82": body[:2], "94": body[2:]}
        else:
            self.gpo = flat(data)
        self.tags.update(self.gpo)
        self.static = read_records(card, self.gpo.get("94", b""), self.tags)
        self.cdol = [b"", b""]

    def icc(self):
        return icc_key(self.tags, self.static)

    def generate(self, wish, second=False, cda=True, issuer=b"", arc=b"\0\0"):
        self.sent["91"], self.sent["8A"] = issuer, arc
        self.cdol[second] = fill(self.tags["8D" if second else "8C"], self.sent)
        data, sw = self.card.send(0x80, 0xAE, wish | (0x10 if cda else 0), 0, self.cdol[second])
        assert sw == "9000", sw
        kind, body = tlvs(data)[0]
        if kind == "80":
            return {"9F27": body[:1], "9F36": body[1:3], "9F26": body[3:11], "9F10": body[11:]}
        answer = dict(tlvs(body))
        if "9F4B" in answer:
            inside = dynamic(self.icc(), answer["9F4B"], self.sent["9F37"])
            n = inside[0]
            assert inside[n + 1:n + 2] == answer["9F27"]
            answer["9F26"] = inside[n + 2:n + 10]
            hashed = self.pdol + self.cdol[0] + (self.cdol[1] if second else b"")
            for t, v in tlvs(body):
                if t != "9F4B":
                    hashed += bytes.fromhex(t) + bytes([len(v)]) + v
            assert inside[n + 10:] == hashlib.sha1(hashed).digest(), "transaction data hash"
            answer["CDA"] = True
        return answer

    def check(self, answer, cid):
        assert answer["9F27"][0] == cid, answer["9F27"].hex()
        assert answer["9F26"] == cryptogram(self.tags, self.sent, answer), "cryptogram"


# ---- what is held ----


def approves_offline_with_cda():
    card = Card("cda-offline")
    p = Payment(card, 1200)
    tc = p.generate(0x40)
    p.check(tc, 0x40)
    assert tc["CDA"]
    assert card.close() == 0


def wants_the_issuer_and_takes_its_answer():
    card = Card("cda-online")
    p = Payment(card, 1200)
    arqc = p.generate(0x40)
    p.check(arqc, 0x80)
    assert arqc["CDA"]
    tc = p.generate(0x40, second=True, issuer=arpc(p.tags, p.sent, arqc, b"00"), arc=b"00")
    p.check(tc, 0x40)
    assert tc["CDA"]
    data, sw = card.send(0x80, 0xCA, 0x9F, 0x13)
    assert sw == "9000" and data[-2:] == tc["9F36"]
    card.close()


def refuses_after_a_wrong_or_missing_answer():
    for damage in (lambda x: xor(x, b"\1" + bytes(9)), lambda x: b""):
        card = Card("cda-online")
        p = Payment(card, 1200)
        arqc = p.generate(0x40)
        aac = p.generate(0x40, second=True, issuer=damage(arpc(p.tags, p.sent, arqc, b"00")), arc=b"00")
        p.check(aac, 0x00)
        assert "CDA" not in aac
        card.close()


def refuses_when_the_terminal_could_not_go_online():
    card = Card("cda-online")
    p = Payment(card, 1200)
    p.generate(0x80)
    p.check(p.generate(0x00, second=True, arc=b"Z3"), 0x00)
    card.close()


def declines_whatever_is_asked():
    card = Card("declines")
    p = Payment(card, 1)
    p.check(p.generate(0x40), 0x00)
    card.close()


def signs_static_data():
    card = Card("sda")
    p = Payment(card, 1200)
    body = recover(issuer_key(p.tags), p.tags["93"], 3, p.static)
    assert body[2:4].hex() == "dac1"
    p.check(p.generate(0x40, cda=False), 0x40)
    card.close()


def authenticates_dynamically_and_externally():
    card = Card("dda")
    p = Payment(card, 1200)
    number = os.urandom(4)
    data, sw = card.send(0, 0x88, 0, 0, number)
    assert sw == "9000"
    inside = dynamic(p.icc(), flat(data)["9F4B"], number)
    assert inside[0] == 8 and len(inside) == 9
    arqc = p.generate(0x40, cda=False)
    p.check(arqc, 0x80)
    assert card.send(0, 0x82, 0, 0, arpc(p.tags, p.sent, arqc, b"00"), le=False)[1] == "9000"
    assert card.send(0, 0x82, 0, 0, arpc(p.tags, p.sent, arqc, b"00"), le=False)[1] == "6985"
    p.check(p.generate(0x40, second=True, cda=False, arc=b"00"), 0x40)
    card.close()


def dda_card_gives_a_tc_that_proves_nothing():
    card = Card("dda-offline")
    p = Payment(card, 1200)
    tc = p.generate(0x40)
    p.check(tc, 0x40)
    assert "CDA" not in tc
    card.close()


def longest_keys_fit_in_short_answers():
    card = Card("cda-1984")
    p = Payment(card, 1200)
    assert len(p.tags["90"]) == 248 and len(p.icc()[0]) == 176
    p.check(p.generate(0x40), 0x40)
    card.close()
    card = Card("cda-1984")
    p = Payment(card, 6000)
    arqc = p.generate(0x40)
    p.check(arqc, 0x80)
    p.check(p.generate(0x40, second=True, issuer=arpc(p.tags, p.sent, arqc, b"00"), arc=b"00"), 0x40)
    card.close()


def speaks_t0():
    card = Card("cda-t0")
    card.t0 = True
    assert card.atr[:2].hex() == "3b60"
    p = Payment(card, 1200)
    tc = p.generate(0x40)
    p.check(tc, 0x40)
    assert tc["CDA"] and p.icc()[1] == 65537
    card.close()


def check_contactless(p, cid, signed):
    p.check(p.gpo, cid)
    assert ("9F4B" in p.tags) == signed
    if signed:
        related = p.tags["9F69"]
        assert related[0] == 1 and related[5:7] == p.tags["9F6C"]
        inside = dynamic(p.icc(), p.tags["9F4B"], p.sent["9F37"] + p.sent["9F02"] +
                         p.sent["5F2A"] + related)
        assert inside == b"\2" + p.tags["9F36"]


def contactless_signs_fast_under_its_limit():
    card = Card("qvsdc")
    p = Payment(card, 2500)
    check_contactless(p, 0x40, True)
    card.close()


def contactless_goes_online_above_its_limit():
    for ttq, signed in (("36004000", False), ("37004000", True)):
        card = Card("qvsdc")
        p = Payment(card, 2501, ttq=ttq)
        p.tags.setdefault("5A", bytes.fromhex(p.tags["57"].hex().split("d")[0]))
        check_contactless(p, 0x80, signed)
        card.close()


def contactless_obeys_the_reader():
    card = Card("qvsdc")
    p = Payment(card, 100, ttq="36804000")
    p.tags.setdefault("5A", bytes.fromhex(p.tags["57"].hex().split("d")[0]))
    check_contactless(p, 0x80, False)
    card.close()
    card = Card("qvsdc")
    p = Payment(card, 100, ttq="37404000")
    assert p.tags["9F6C"] == b"\x40\0", "signature chosen"
    check_contactless(p, 0x40, True)
    card.close()
    card = Card("qvsdc-online")
    p = Payment(card, 100, ttq="3E004000")
    p.tags.setdefault("5A", bytes.fromhex(p.tags["57"].hex().split("d")[0]))
    check_contactless(p, 0x00, False)
    card.close()


def takes_issuer_scripts_only_with_their_mac():
    card = Card("cda-online")
    p = Payment(card, 1200)
    arqc = p.generate(0x80)
    header = bytes.fromhex("841E000008")
    right = script_mac(p.tags, arqc, header)
    assert card.raw(header + xor(right, b"\1" + bytes(7))).hex() == "6988"
    assert card.raw(header + right).hex() == "9000"
    assert card.send(0, 0xA4, 4, 0, AID)[1] == "6283", "application blocked"
    card.close()


def altered_profile(folder, name, **change):
    """An example's profile with other values, as a file of its own."""
    with open(f"{CARDS}/{name}.card") as f:
        lines = [x for x in f.read().splitlines() if x.split("=")[0].strip() not in change]
    path = os.path.join(folder, "altered.card")
    with open(path, "w") as f:
        f.write("\n".join(lines + [f"{k} = {v}" for k, v in change.items()]) + "\n")
    return path


def takes_the_issuers_answer_by_every_cryptogram_version():
    with tempfile.TemporaryDirectory(prefix="doorpay-sim-") as folder:
        for cvn in CVNS:
            card = Card(altered_profile(folder, "cda-online", cvn=cvn))
            p = Payment(card, 1200)
            arqc = p.generate(0x40)
            assert cvn_of(arqc["9F10"])[0] == cvn, arqc["9F10"].hex()
            p.check(arqc, 0x80)
            right = arpc(p.tags, p.sent, arqc, b"00")
            wrong = xor(right, b"\1" + bytes(len(right) - 1))
            header = bytes.fromhex("8418000008")
            command = header + script_mac(p.tags, arqc, header)
            assert card.raw(command[:-1] + bytes([command[-1] ^ 1])).hex() == "6988", cvn
            assert card.raw(command).hex() == "9000", cvn
            p.check(p.generate(0x40, second=True, issuer=right, arc=b"00"), 0x40)
            card.close()
            card = Card(altered_profile(folder, "cda-online", cvn=cvn))
            p = Payment(card, 1200)
            p.check(p.generate(0x40), 0x80)
            p.check(p.generate(0x40, second=True, issuer=wrong, arc=b"00"), 0x00)
            card.close()


def derives_by_option_a_when_its_key_index_says_so():
    with tempfile.TemporaryDirectory(prefix="doorpay-sim-") as folder:
        for derivation in ("usual", "a"):
            card = Card(altered_profile(folder, "cda-online", pan="9999010000000000011",
                                        derivation=derivation, cvn="18"))
            p = Payment(card, 1200)
            tc = p.generate(0x80)
            same = tc["9F26"] == cryptogram(p.tags, p.sent, tc)
            assert same == (derivation == "a"), derivation
            assert tc["9F10"][1] == (2 if derivation == "a" else 1)
            card.close()


def stripe_card_has_a_number_that_changes():
    seen = set()
    for un in (b"\0\0\1\1", b"\0\0\1\2"):
        card = Card("stripe")
        assert card.send(0x80, 0x2A, 0x8E, 0x80, un)[1] == "6985"
        p = Payment(card, 100)
        assert "9F26" not in p.gpo and p.gpo["82"][1] == 0x80
        data, sw = card.send(0x80, 0x2A, 0x8E, 0x80, un)
        assert sw == "9000", sw
        got, pan = flat(data), bytes.fromhex(p.tags["57"].hex().split("d")[0])
        key = master("issuer-ac.hex", {"5A": pan, "5F34": b"\1"})
        start = retail_mac(key, p.tags["57"], True)[6:]
        assert got["9F61"] == des3(key, start + un + got["9F36"])[6:], "CVC3"
        seen.add(got["9F61"])
        card.close()
    assert len(seen) == 2


def lists_both_applications():
    card = Card("cobadged")
    assert card.send(0, 0xA4, 4, 0, b"1PAY.SYS.DDF01")[1] == "9000"
    data, sw = card.send(0, 0xB2, 1, 0x0C)
    assert sw == "9000"
    entries = [flat(v) for t, v in tlvs(tlvs(data)[0][1])]
    assert [e["87"][0] for e in entries] == [1, 2]
    assert entries[1]["9F12"] == b"Domestique"
    assert card.send(0, 0xB2, 2, 0x0C)[1] == "6a83"
    rid = AID[:5]
    first, sw = card.send(0, 0xA4, 4, 0, rid)
    second, sw2 = card.send(0, 0xA4, 4, 2, rid)
    assert (sw, sw2, card.send(0, 0xA4, 4, 2, rid)[1]) == ("9000", "9000", "6a82")
    assert flat(first)["84"] != flat(second)["84"]
    card.close()


def counter_outlives_the_card():
    folder = tempfile.mkdtemp(prefix="doorpay-sim-")
    atc = os.path.join(folder, "atc")
    seen = []
    for whole in (True, False, True):
        card = Card("cda-offline", atc=atc)
        p = Payment(card, 100)
        if whole:
            seen.append(p.generate(0x40)["9F36"])
        card.close()
    shutil.rmtree(folder)
    assert seen == [b"\0\1", b"\0\3"], seen


def order_of_commands_is_held():
    card = Card("cda-offline")
    assert card.send(0x80, 0xA8, 0, 0, b"\x83\0")[1] == "6985"
    p = Payment(card, 100)
    assert card.send(0x80, 0xA8, 0, 0, b"\x83\0")[1] == "6985"
    assert card.send(0x80, 0xAE, 0x40, 0, b"\1")[1] == "6700"
    p.generate(0x40)
    assert card.send(0x80, 0xAE, 0x40, 0, p.cdol[0])[1] == "6985"
    assert card.send(0, 0x20, 0, 0x80, bytes(8))[1] == "6983"
    card.control(0)
    assert card.send(0, 0xB2, 1, 0x14)[1] == "6985", "power off forgets"
    card.close()


def log_masks_the_card_number():
    card = Card("cda-offline")
    p = Payment(card, 100)
    p.generate(0x40)
    card.close()
    pan = p.tags["5A"].hex().upper()
    assert pan not in card.log_text
    assert pan[:6] + "******" + pan[-4:] in card.log_text
    assert "# generate-ac-1" in card.log_text


def goes_after_so_many_payments():
    card = Card("cda-offline", extra=("--exit-after", "1"))
    Payment(card, 100).generate(0x40)
    card.control(0)
    assert card.process.wait(5) == 0
    card.close()
    card = Card("cda-offline", extra=("--exit-after", "1", "--linger", "100"))
    Payment(card, 100).generate(0x40)
    assert card.process.wait(5) == 0
    card.close()


def does_wrong_by_script():
    card = Card("cda-offline", "generate-ac-1 poke 5 80  # another CID outside the signature\n")
    p = Payment(card, 100)
    failed = False
    try:
        p.generate(0x40)
    except AssertionError:
        failed = True
    assert failed
    card.close()
    card = Card("cda-offline", "read-record:2.1 tag 8E 00000000000000001F00\n")
    p = Payment(card, 100)
    assert p.tags["8E"].hex() == "00000000000000001f00"
    try:
        p.icc()
    except AssertionError as e:
        assert str(e) == "hash"
    else:
        raise AssertionError("an altered CVM list went unseen")
    card.close()


def each_wrong_is_done():
    for rule, want in (("get-challenge replace 6A81", "6A81"), ("get-challenge cut 1", 1),
                       ("get-challenge fill 300 AA", "AA" * 300 + "9000"),
                       ("get-challenge status 6283", "6283"),
                       ("get-challenge pad 3 FF", "FFFFFF9000"),
                       ("any cut 0", ""), ("get-challenge#2 cut 0", 10)):
        card = Card("cda-offline", rule + "\n")
        got = card.raw(bytes.fromhex("0084000000"))
        if isinstance(want, int):
            assert len(got) == want, (rule, got.hex())
        else:
            assert got.hex().upper().endswith(want), (rule, got.hex())
            if want == "":
                assert got == b""
        if "#2" in rule:
            assert card.raw(bytes.fromhex("0084000000")) == b""
        card.close()
    card = Card("cda-offline", "select drop 50\nselect-pse repeat\n")
    first = card.raw(bytes.fromhex("00A4040007") + AID + b"\0")
    assert "50" not in flat(first[:-2]) and flat(first[:-2])["84"] == AID
    assert card.raw(bytes.fromhex("00A404000E") + b"1PAY.SYS.DDF01\0") == first
    card.close()


def is_pulled_out_by_script():
    for script in ("gpo remove\n", "remove-after 3\n"):
        card = Card("cda-offline", script)
        try:
            Payment(card, 100)
        except EOFError:
            pass
        else:
            raise AssertionError("still there")
        assert card.close() == 0


def every_example_script_is_understood():
    folder = os.path.join(os.path.dirname(CARDS), "scripts")
    names = sorted(n for n in os.listdir(folder) if n.endswith(".script"))
    assert len(names) >= 9
    for name in names:
        with open(os.path.join(folder, name)) as f:
            card = Card("cda-offline", f.read())
        assert card.raw(bytes.fromhex("0084000000"))[-2:].hex() == "9000", name
        card.close()


def wrong_profiles_and_scripts_are_named():
    def refused(words, profile=None, script=None):
        folder = tempfile.mkdtemp(prefix="doorpay-sim-")
        paths = {}
        for kind, text in (("profile", profile), ("script", script)):
            if text is not None:
                paths[kind] = os.path.join(folder, kind)
                with open(paths[kind], "w") as f:
                    f.write(text)
        paths.setdefault("profile", f"{CARDS}/cda-offline.card")
        args = [x for k, v in paths.items() for x in ("--" + k, v)]
        out = subprocess.run([SIM, "card", "--keys", KEYS, "--vpcd", "127.0.0.1:1", *args],
                             capture_output=True, text=True)
        shutil.rmtree(folder)
        assert out.returncode == 1 and words in out.stderr, (words, out.stderr)
    refused("profile:2: oda", "name = x\noda = maybe\n")
    refused("an application needs aid and pan", "name = x\naid = A0000009990101\n")
    refused("profile:1: colour", "colour = red\n")
    refused("profile:1", "nonsense\n")
    refused("script:2", script="# one\ngpo explode\n")
    refused("script:1", script="gpo cut\n")
    refused("issuer-09", "aid = A0000009990101\npan = 9999010000000011\npsn = 1\nkeys = 9\n")


TESTS = [
    approves_offline_with_cda, wants_the_issuer_and_takes_its_answer,
    refuses_after_a_wrong_or_missing_answer, refuses_when_the_terminal_could_not_go_online,
    declines_whatever_is_asked, signs_static_data, authenticates_dynamically_and_externally,
    dda_card_gives_a_tc_that_proves_nothing, longest_keys_fit_in_short_answers, speaks_t0,
    contactless_signs_fast_under_its_limit, contactless_goes_online_above_its_limit,
    contactless_obeys_the_reader, takes_issuer_scripts_only_with_their_mac,
    takes_the_issuers_answer_by_every_cryptogram_version,
    derives_by_option_a_when_its_key_index_says_so, stripe_card_has_a_number_that_changes,
    lists_both_applications, counter_outlives_the_card, order_of_commands_is_held,
    log_masks_the_card_number, goes_after_so_many_payments, does_wrong_by_script,
    each_wrong_is_done, is_pulled_out_by_script, every_example_script_is_understood,
    wrong_profiles_and_scripts_are_named]


def main(tests):
    global KEYS
    folder = tempfile.mkdtemp(prefix="doorpay-sim-")
    KEYS = os.path.join(folder, "keys")
    failed = 0
    try:
        subprocess.run([SIM, "keys", "--out", KEYS], check=True, stdout=subprocess.DEVNULL)
        print(f"1..{len(tests)}", flush=True)
        for i, test in enumerate(tests, 1):
            try:
                test()
                print(f"ok {i} - {test.__name__}", flush=True)
            except Exception as e:  # noqa: BLE001
                failed += 1
                line = e.__traceback__
                while line.tb_next:
                    line = line.tb_next
                print(f"not ok {i} - {test.__name__}", flush=True)
                print(f"# line {line.tb_lineno}: {type(e).__name__} {e}", flush=True)
    finally:
        shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(TESTS))
