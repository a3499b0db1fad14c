# SPDX-License-Identifier: Apache-2.0
"""second_records.py SOURCE-ROOT READ_RECORDS: our decoder and tools/verify_journal.py take and refuse the same records: each key at both ends of
what it may be and just beyond, whole records with random changes, and values whose verdict is written down here. Speaks TAP."""
import os
import random
import struct
import subprocess
import sys

root, read_records = sys.argv[1:3]
sys.path.insert(0, os.path.join(root, "tools"))
sys.dont_write_bytecode = True
import verify_journal  # noqa: E402

CHANGED = 4000
NULL, FLOAT = object(), object()


class Tag:
    def __init__(self, item):
        self.item = item


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if n < 1 << 8 * struct.calcsize(form):
            return bytes([major << 5 | info]) + struct.pack(form, n)
    raise ValueError(n)


def encode(v):
    if v is NULL or v is FLOAT:
        return b"\xf6" if v is NULL else b"\xf9\x3c\x00"
    if isinstance(v, bool):
        return b"\xf5" if v else b"\xf4"
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(encode(x) for x in v)
    if isinstance(v, Tag):
        return head(6, 1) + encode(v.item)
    pairs = sorted((encode(k), encode(x)) for k, x in v.items())
    return head(5, len(pairs)) + b"".join(k + x for k, x in pairs)


BARE = {1: 1, 2: verify_journal.TIME_SYNC, 3: 7, 4: bytes(32), 5: bytes(16), 6: bytes(16), 7: 1, 8: 2, 9: 0}
WHOLE = {**BARE, 2: verify_journal.OUTCOME, 10: bytes(16), 11: 2350, 12: 978, 13: 2, 14: "T0000001", 15: "M1", 16: 3, 17: 42, 18: "632800000042",
         19: "A1B2C3", 20: "000", 21: 1, 22: bytes.fromhex("9F260101820219805F2A020978"), 23: "999901", 24: "1234", 25: "Q1",
         26: bytes.fromhex("A0000000041010"), 27: bytes(32), 28: bytes(32), 29: bytes(32), 30: "RR1", 31: "M", 32: "a", 33: [0] * 14, 34: "s",
         35: "1", 36: "p", 37: "t", 38: 1200, 39: "1124183900", 40: "261124193900", 41: 1, 42: "no", 43: bytes(16), 44: 1, 45: 2, 46: True,
         47: [1200, 42, "261124193900", "12345678901"], 48: 1, 49: 20261124, 50: 7, 51: b"b", 52: [1, 128, 64, bytes(32)], 53: bytes(32),
         55: "x", 56: [1, 2, "500"], 57: [1, 2, 3], 58: [5, 6], 59: 3, 60: 200, 61: 4000, 62: bytes(16), 63: True}
# docs/PROTOCOL.journal, 4: a key, values that it may have, values that it may not.
STATED = (
    (14, ["T0000001"], ["T000001", "T", "T00000012", "", "T00000\u00e9\u00e9", "T000\x00001"]),
    (18, ["632800000042"], ["63280000004", "6328000000421"]),
    (19, ["A1B2C3"], ["A1B2C", "A1B2C3D"]),
    (20, ["000"], ["00", "0000"]),
    (23, ["999901"], ["99990", "9999011", ""]),
    (24, ["1234"], ["123", "12345"]),
    (25, ["Q" * 29, "Q"], ["Q" * 30, ""]),
    (26, [b"\xa0" * 5, b"\xa0" * 16], [b"\xa0", b"\xa0" * 4, b"\xa0" * 17, b""]),
    (39, ["1124183900"], ["112418390", "11241839000"]),
    (40, ["261124193900"], ["26112419390"]),
    (49, [20261124, 20240229, 20000229, 24000229, 10000101, 99991231, 20260131, 20260430, 20261231],
     [0, 1, 20261324, 20260024, 20261100, 20260431, 20260132, 20261232, 20260229, 21000229, 19000229, 20230229, 20240230, 9991231, 100000101,
      20261124 + (1 << 32), "20261124", True, -1]),
    (22, [bytes.fromhex(h) for h in ("820119", "9F26820001FF", "9F260100", "DF81290100")],
     [bytes.fromhex(h) for h in ("5A0111", "570111", "5F20024142", "9F1F00", "990101", "560101", "7003820119", "8202", "82", "82830000011A", "9F", "8280",
                                 "DF818181290100", "8200" * 257)]),
    (11, [], [0]), (13, [], [5]),  # without their like
    (38, [1, 9999], [0, 10000]), (41, [65535], [65536]), (60, [999], [1000]), (61, [9999], [10000]), (50, [(1 << 32) - 1], [1 << 32]),
    (59, [(1 << 63) - 1], [1 << 63]), (44, [1, 2], [0, 3]), (48, [4], [5]), (46, [True], [False, 1, NULL]),
    (47, [[0, 0, "", ""], [9999, 999999, "1" * 12, "1" * 11]], [[10000, 1, "", ""], [1, 1000000, "", ""], [1, 1, "1" * 13, ""], [1, 1, "", "1" * 12], [1, 1, ""],
                                                              [1, 1, "", "\x00"]]),
    (52, [[99999999, 1 << 20, 1 << 20, bytes(32)]], [[100000000, 1, 1, bytes(32)], [1, (1 << 20) + 1, 1, bytes(32)], [1, 1, (1 << 20) + 1, bytes(32)], [1, 1, 1, bytes(31)]]),
    (56, [[0, 0, "5"]], [[0, 0, ""], [0, 0, "5000"], [0, 0]]), (57, [[0, 1, 0]], [[0, 0, 0], [1, 1 << 32, 0]]), (58, [[0, 0]], [[0], [0, -1]]),
    (51, [b"x" * 512], [b"", b"x" * 513]), (54, [], [[1], b"x"]), (64, [], [1]), (199, [], [1]),
    (200, [[], {}, NULL, False, True, Tag(1), -5, [b"", ""], [[[[[[1]]]]]], [[[[[[[]]]]]]], {1: {2: {"a": NULL}}}],
     [FLOAT, [[[[[[[1]]]]]]], [[[[[[Tag(1)]]]]]], {True: 1}, {NULL: 1}]),
)


def ours(payloads):
    lines = "".join(p.hex() + "\n" for p in payloads)
    said = subprocess.run([read_records], input=lines, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    assert len(said) == len(payloads)
    return [s.split(" ")[0] for s in said]


def theirs(payload):
    try:
        verify_journal.read_record(payload, (1, 0, 0))
    except verify_journal.Finding as f:
        return f.rule
    return "-"


def stated():
    for key, good, bad in STATED:
        for value, fine in [(v, True) for v in good] + [(v, False) for v in bad]:
            yield f"key {key}, {value!r}"[:120], encode({**BARE, key: value}), fine


def beyond():
    """Every key as every kind of value of every small length."""
    values = [0, 1, 2, 255, 65535, 65536, 1 << 32, 1 << 63, (1 << 64) - 1, -1, True, False, NULL, [], [1], [0, 0], [0, 0, 0], [0, 0, 0, 0], [1] * 14, {}, {1: 1}]
    values += [n * c for n in (*range(0, 18), 20, 21, 29, 30, 32, 33, 35, 36, 40, 41, 64, 65, 128, 129, 512, 513) for c in ("1", b"\x11")]
    for kind in (verify_journal.TIME_SYNC, verify_journal.CHECKPOINT):
        for key in range(0, 66):
            for value in values:
                if key != 54 or not isinstance(value, list):
                    yield f"key {key}, {value!r}"[:120], encode({**BARE, 2: kind, **({51: b"b"} if kind == verify_journal.CHECKPOINT else {}), key: value}), None


def missing():
    for kind in range(0, 21):
        for key in WHOLE:
            if kind not in (verify_journal.OPEN, verify_journal.KEY_ROTATE):
                yield f"type {kind} without key {key}", encode({**{k: v for k, v in WHOLE.items() if k != key}, 2: kind} if key != 2 else BARE), None
    yield "a text in the place of 54", encode({**BARE, 2: verify_journal.OPEN, 51: b"b"}), False


def changed():
    rng = random.Random(7)
    whole = encode(WHOLE)
    for _ in range(CHANGED):
        p = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            p[rng.randrange(len(p))] = rng.choice((rng.randrange(256), p[rng.randrange(len(p))]))
        yield "changed", bytes(p), None


def main():
    assert theirs(encode(WHOLE)) == "-" and ours([encode(WHOLE)]) == ["-"]
    print("1..4")
    failed, total = 0, 0
    for number, (name, cases) in enumerate((("each key has the values that the document states, and no others", stated()),
                                            ("both readers agree on every key and kind of value", beyond()),
                                            ("both readers agree on what a type cannot be without", missing()),
                                            ("both readers agree on records that were changed", changed())), 1):
        cases = list(cases)
        wrong, taken = [], 0
        for (what, payload, fine), c in zip(cases, ours([p for _, p, _ in cases])):
            python = theirs(payload)
            taken += c == "-"
            if c != python or (fine is not None and fine != (c == "-")):
                wrong.append(f"{what}: ours {c}, the second reader's {python}: {payload.hex()[-80:]}")
        if taken in (0, len(cases)):
            wrong.append("all are taken, or none")
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for w in wrong[:40]:
            print(f"# {w}")
        failed += bool(wrong)
        total += len(cases)
    print(f"# {total} records")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
