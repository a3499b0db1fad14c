#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a packed parameter set from its format alone: strict CBOR, COSE signature, every field.

Usage: params.py DOORPAY-SIM DEMO.PARAMS; speaks TAP.
"""
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
from cryptography import x509  # noqa: E402
from cryptography.exceptions import InvalidSignature  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: E402

SIM, DEMO = sys.argv[1], sys.argv[2]
FOLDER = tempfile.mkdtemp(prefix="doorpay-sim-")
KEYS = os.path.join(FOLDER, "keys")


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def head(data, at):
    major, info = data[at] >> 5, data[at] & 31
    if info < 24:
        return major, info, at + 1
    n = {24: 1, 25: 2, 26: 4, 27: 8}[info]
    value = int.from_bytes(data[at + 1:at + 1 + n], "big")
    assert value >= {1: 24, 2: 1 << 8, 4: 1 << 16, 8: 1 << 32}[n], "head is not the shortest"
    return major, value, at + 1 + n


def cbor(data, at=0):
    """One item of deterministic CBOR, and where it ends."""
    if data[at] in (0xF4, 0xF5):
        return data[at] == 0xF5, at + 1
    major, value, at = head(data, at)
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        part = data[at:at + value]
        assert len(part) == value
        return (part if major == 2 else part.decode()), at + value
    if major == 4:
        out = []
        for _ in range(value):
            item, at = cbor(data, at)
            out.append(item)
        return out, at
    if major == 5:
        out, last = {}, b""
        for _ in range(value):
            start = at
            key, at = cbor(data, at)
            assert last < data[start:at] or len(last) < at - start, "map keys out of order"
            last = data[start:at]
            out[key], at = cbor(data, at)
        return out, at
    assert major == 6
    item, at = cbor(data, at)
    return Tag(value, item), at


def bstr(value):
    n = len(value)
    return (bytes([0x40 | n]) if n < 24 else b"\x58" + bytes([n]) if n < 256 else
            b"\x59" + n.to_bytes(2, "big")) + value


def run(*args):
    return subprocess.run([SIM, *args], capture_output=True, text=True)


def make(text=None, *extra):
    path, out = os.path.join(FOLDER, "in.params"), os.path.join(FOLDER, "out.cose")
    if text is None:
        path = DEMO
    else:
        with open(path, "w") as f:
            f.write(text)
    result = run("params", "--in", path, "--keys", KEYS, "--out", out, *extra)
    if result.returncode != 0:
        return result
    with open(out, "rb") as f:
        return f.read()


def demo():
    with open(DEMO) as f:
        return f.read()


def point(name):
    with open(f"{KEYS}/{name}") as f:
        return bytes.fromhex(f.read())


def opened(data, back_office):
    item, end = cbor(data)
    assert end == len(data) and item.number == 18
    protected, unprotected, payload, signature = item.value
    assert protected == bytes.fromhex("A10126") and len(signature) == 64
    assert unprotected == {4: hashlib.sha256(back_office).digest()[:8]}
    to_verify = (b"\x84\x6aSignature1" + bstr(protected) + bstr(b"doorpay parameters 1") +
                 bstr(payload))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), back_office)
    der = utils.encode_dss_signature(int.from_bytes(signature[:32], "big"),
                                     int.from_bytes(signature[32:], "big"))
    key.verify(der, to_verify, ec.ECDSA(hashes.SHA256()))
    out, end = cbor(payload)
    assert end == len(payload)
    return out


def the_demo_is_packed_as_the_format_says():
    p = opened(make(), point("params.pub"))
    assert list(p) == [*range(1, 13), 15, 16], list(p)
    assert p[1] == 1 and p[2] == "test" and p[3] == 1767225600 and p[4] > p[3]
    assert p[5][1] == "DP000001" and p[5][8] == 0x22 and p[5][9].hex() == "2028c8"
    assert list(p[5]) == list(range(1, 14)) and p[5][11] == 60
    assert [(a[1].hex(), a[2]) for a in p[6]] == [
        ("a0000009990101", 0), ("a0000009990201", 0), ("a0000009990101", 3)]
    assert all(list(a) == list(range(1, 19)) for a in p[6])
    assert p[6][2][14].hex() == "33004000" and p[6][0][8] == 5000
    assert p[8][7] == 0 and p[8][8] == 0 and p[9][1] is True
    assert p[10][1] == ["999908", "999908",
                        [bytes.fromhex("A0000009990101"), bytes.fromhex("A0000009990201")]]
    assert p[12][2] == 1 and p[12][3] == 1 and p[12][4] == point("seal.pub")
    assert p[15] == "demo" and p[16] is False


def ca_keys_are_those_of_the_directory():
    p = opened(make(), point("params.pub"))
    assert len(p[7]) == 4
    for k in p[7]:
        e = k[4].to_bytes(1 if k[4] == 3 else 3, "big")
        assert hashlib.sha1(k[1] + bytes([k[2]]) + k[3] + e).digest() == k[6]
        assert k[5] == 20491231 and len(k[3]) in (144, 176, 248)


def server_is_pinned_by_its_public_key():
    p = opened(make(), point("params.pub"))
    with open(f"{KEYS}/tls-server.pem", "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    spki = cert.public_key().public_bytes(serialization.Encoding.DER,
                                          serialization.PublicFormat.SubjectPublicKeyInfo)
    assert p[12][11] == hashlib.sha256(spki).digest()


def exceptions_are_keyed_hashes_in_order():
    pans = ["9999010000000011", "9999020000000010", "9999030000000019"]
    p = opened(make(demo() + "".join(f"pan = {x}\n" for x in pans)), point("params.pub"))
    key = p[11][1]
    assert key == point("exceptions.hex") and len(p[11][2]) == 4
    assert p[11][2] == sorted(p[11][2])
    for pan in pans:
        assert hmac.new(key, pan.encode(), "sha256").digest()[:16] in p[11][2]


def numbers_take_their_shortest_form():
    for v in (0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296):
        text = demo().replace("kernel3_max = 0", f"kernel3_max = {v}")
        assert opened(make(text), point("params.pub"))[8][7] == v
    for v in (-720, -24, -25, 840):
        text = demo().replace("utc_offset_min = 60", f"utc_offset_min = {v}")
        assert opened(make(text), point("params.pub"))[5][11] == v


def optional_parts_come_when_given():
    more = "\n[manifest]\nid = ROUND7\nparcel = 6A1\nparcel = 6A2\n[agents]\nagent = a17\n"
    text = demo().replace("sealing_key = seal.pub", "sealing_key = none")
    p = opened(make(text + more), point("params.pub"))
    assert p[13] == {1: "ROUND7", 2: ["6A1", "6A2"]} and p[14] == ["a17"]
    assert 4 not in p[12] and 11 in p[12]


def revoked_certificates_come_when_given():
    def packed(*lines):
        text = demo() + "\n[revoked]\n" + "".join(f"certificate = {x}\n" for x in lines)
        return opened(make(text), point("params.pub"))
    assert 17 not in opened(make(), point("params.pub"))
    assert packed()[17] == []
    p = packed("A000000999 01 00A001", "a000000998 FE  7fffff")
    assert list(p) == [*range(1, 13), 15, 16, 17], list(p)
    assert p[17] == [{1: bytes.fromhex("A000000999"), 2: 1, 3: bytes.fromhex("00A001")},
                     {1: bytes.fromhex("A000000998"), 2: 254, 3: bytes.fromhex("7FFFFF")}]
    assert len(packed(*(f"A000000999 01 {i:06X}" for i in range(128)))[17]) == 128


def wrong_revoked_certificates_are_named():
    good = "A000000999 01 00A001"
    for bad in ("A000000999 01", "A000000999 01 00A001 00", "A0000009 01 00A001",
                "A000000999 1 00A001", "A000000999 0101 00A001", "A000000999 01 A001",
                "A000000999 01 0000A001", "A000000999 01 00A0G1"):
        result = make(demo() + f"\n[revoked]\ncertificate = {good}\ncertificate = {bad}\n")
        assert not isinstance(result, bytes), bad
        assert result.returncode == 1, bad
        assert "[revoked] certificate 2" in result.stderr, (bad, result.stderr)


def version_and_key_can_be_others():
    p = opened(make(None, "--set-version", "70000"), point("params.pub"))
    assert p[1] == 70000
    data = make(None, "--sign-key", f"{KEYS}/seal.pem")
    try:
        opened(data, point("params.pub"))
    except (AssertionError, InvalidSignature):
        pass
    else:
        raise AssertionError("another key's signature verified")
    opened(data, point("seal.pub"))


def wrong_text_is_named():
    for old, new, words in (
            ("tid = DP000001", "", "[terminal] tid"),
            ("floor_limit = 5000", "floor_limit = 50.00", "[aid] floor_limit"),
            ("oda_failure = online", "oda_failure = maybe", "[offline] oda_failure"),
            ("brand = DOORPAY\n", "brand = DOORPAY\nbrandy = 1\n", "brandy"),
            ("[refunds]", "[refund]", "in.params:"),
            ("capabilities = 2028C8", "capabilities = 2028", "[terminal] capabilities")):
        assert old in demo()
        result = make(demo().replace(old, new, 1))
        assert not isinstance(result, bytes), (old, new)
        assert result.returncode == 1 and words in result.stderr, (old, result.stderr)


def signs_a_terminals_request_and_no_damaged_one():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whatever")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request, out = os.path.join(FOLDER, "csr.pem"), os.path.join(FOLDER, "cert.pem")

    def sign(pem):
        with open(request, "wb") as f:
            f.write(pem)
        return run("keys", "--out", KEYS, "--sign-csr", request, "--tid", "DP000001", "--cert", out)
    assert sign(csr.public_bytes(serialization.Encoding.PEM)).returncode == 0
    with open(out, "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    with open(f"{KEYS}/client-ca.pem", "rb") as f:
        ca = x509.load_pem_x509_certificate(f.read())
    ca.public_key().verify(cert.signature, cert.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    assert cert.public_key().public_numbers() == key.public_key().public_numbers()
    assert cert.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == "DP000001"
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    der = bytearray(csr.public_bytes(serialization.Encoding.DER))
    der[-5] ^= 1
    import base64
    bad = (b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(bytes(der)) +
           b"-----END CERTIFICATE REQUEST-----\n")
    assert sign(bad).returncode == 1


def keys_are_never_overwritten():
    before = point("params.pub")
    result = run("keys", "--out", KEYS)
    assert result.returncode == 1 and "already holds keys" in result.stderr
    assert point("params.pub") == before


TESTS = [the_demo_is_packed_as_the_format_says, ca_keys_are_those_of_the_directory,
         server_is_pinned_by_its_public_key, exceptions_are_keyed_hashes_in_order,
         numbers_take_their_shortest_form,
         optional_parts_come_when_given, revoked_certificates_come_when_given,
         wrong_revoked_certificates_are_named, version_and_key_can_be_others, wrong_text_is_named,
         signs_a_terminals_request_and_no_damaged_one, keys_are_never_overwritten]


def main():
    failed = 0
    try:
        assert run("keys", "--out", KEYS).returncode == 0
        print(f"1..{len(TESTS)}", flush=True)
        for i, test in enumerate(TESTS, 1):
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
        shutil.rmtree(FOLDER)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
