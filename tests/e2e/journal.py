#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`doorpay journal verify` on the journal of a real round and on what an insider makes of copies of
it. The damage is done here from the format alone (docs/PROTOCOL.journal), checksums mended, as
somebody who knows the format would. Speaks TAP."""
import os
import shutil
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same  # noqa: E402

HEADER = 128
TABLE = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
    TABLE.append(n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc = crc >> 8 ^ TABLE[(crc ^ b) & 255]
    return crc ^ 0xFFFFFFFF


class Segment:
    """The first segment of a journal, taken apart into frames."""

    def __init__(self, directory):
        self.path = os.path.join(directory, "seg-00000001.dpj")
        with open(self.path, "rb") as f:
            self.data = bytearray(f.read())
        self.salt = bytes(self.data[24:40])
        self.frames = []  # [offset, batch, payload]; a record or a signature
        at = HEADER
        while True:
            n, _, batch = struct.unpack_from(">III", self.data, at)
            if n == 0:
                break
            self.frames.append([at, batch, bytes(self.data[at + 12:at + 12 + n])])
            at += -(-(12 + n) // 8) * 8
        self.end = at

    def records(self):
        """Indexes of the frames that are records; a signature frame is a CBOR array."""
        return [i for i, f in enumerate(self.frames) if f[2][0] >> 5 == 5]

    def named(self, *seqs):
        """Where a change in these records may be named: at them, or at the beginning of their batches, which are then not signed as a whole."""
        batches = [self.frames[i][1] for i in self.records()]
        return set(seqs) | {batches.index(batches[k]) for k in seqs if k < len(batches)}

    def write(self, frames):
        """The frames one behind the other, checksums and batch starts mended."""
        out = bytearray(self.data[:HEADER])
        seq, moved = -1, {}
        for _, batch, payload in frames:
            if payload[0] >> 5 == 5:
                seq += 1
                signed = seq
            else:  # [1, seq, ...]
                head = payload[2]
                signed = head if head < 24 else int.from_bytes(
                    payload[3:3 + (1 << (head - 24))], "big")
            start = moved.setdefault(batch, len(out))
            body = struct.pack(">II", len(payload), start)
            crc = crc32c(self.salt + struct.pack(">Q", signed) + body + payload)
            frame = struct.pack(">III", len(payload), crc, start) + payload
            out += frame + bytes(-len(frame) % 8)
        out += bytes(len(self.data) - len(out))
        with open(self.path, "wb") as f:
            f.write(out)


def copy(w, name):
    target = os.path.join(w.dir, name)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(w.journal_dir(), target)
    return target


def tampered(w, directory, hsm, seqs=None):
    """It says tampered, names the rule and (seqs) one of the records."""
    verdict = w.verify_journal(directory, hsm=hsm)
    same(f"exit status ({verdict.get('rule')})", verdict["exit_status"], 5)
    assert verdict["rule"] and "segment" in verdict and "offset" in verdict, verdict
    if seqs is not None:
        assert verdict.get("seq") in seqs, f"wanted {seqs}: {verdict}"
    return verdict


class Story:
    """One round for all tests; the daemon has ended."""
    world = None
    records = 0
    old_copy = None

    @classmethod
    def tell(cls):
        w = cls.world = World()
        w.start()
        with w.card("cda-online"):
            for i in range(2):
                same("payment", w.pay(f"1{i}.00", parcel=f"J-{i}")["state"], "approved")
        cls.old_copy = copy(w, "old")
        with w.card("declines"):
            w.pay("3.00", parcel="J-3")
        w.network_down()
        with w.card("cda-offline"):
            same("offline", w.pay("4.00", parcel="J-4")["mode"], "offline-approved")
        w.doorpay("journal", "head", w.journals, "--out", os.path.join(w.dir, "head"))
        w.stop_doorpayd()
        cls.records = len(Segment(w.journal_dir()).records())
        assert cls.records > 12


def the_round_is_valid_and_fresh_and_without_token_of_unknown_freshness():
    w = Story.world
    fresh = w.verify_journal()
    same("with the token", fresh["exit_status"], 0)
    same("records", fresh["records"], Story.records)
    same("without", w.verify_journal(hsm=False)["exit_status"], 3)
    head = w.doorpay("journal", "verify", w.journals, "--head", os.path.join(w.dir, "head"),
                     status=None)
    same("with a head file", head["exit_status"], 0)


def a_flipped_byte_in_any_record_is_named():
    w = Story.world
    for k, i in enumerate(Segment(w.journal_dir()).records()):
        for mend in (False, True):
            d = copy(w, "flipped")
            s = Segment(d)
            payload = bytearray(s.frames[i][2])
            payload[len(payload) // 2] ^= 1
            if mend:
                s.frames[i][2] = bytes(payload)
                s.write(s.frames)
            else:
                with open(s.path, "r+b") as f:
                    f.seek(s.frames[i][0] + 12)
                    f.write(payload)
            # What a changed record breaks is seen at it, or, mended, at the one that follows.
            tampered(w, d, True, s.named(k) if not mend else s.named(k, k + 1))


def a_removed_record_is_named():
    w = Story.world
    indexes = Segment(w.journal_dir()).records()
    for k, i in enumerate(indexes[:-1]):
        d = copy(w, "removed")
        s = Segment(d)
        s.write(s.frames[:i] + s.frames[i + 1:])
        tampered(w, d, True, s.named(k, k + 1))


def two_swapped_records_are_named():
    w = Story.world
    indexes = Segment(w.journal_dir()).records()
    for k in range(len(indexes) - 1):
        d = copy(w, "swapped")
        s = Segment(d)
        i, j = indexes[k], indexes[k + 1]
        s.frames[i][2], s.frames[j][2] = s.frames[j][2], s.frames[i][2]
        s.write(s.frames)
        tampered(w, d, True, s.named(k, k + 1))


def a_cut_tail_is_a_rollback_or_of_unknown_freshness():
    w = Story.world
    s = Segment(w.journal_dir())
    starts = sorted({f[1] for f in s.frames})
    for start in starts[len(starts) // 2:]:
        d = copy(w, "cut")
        t = Segment(d)
        t.write([f for f in t.frames if f[1] < start])
        with_token = w.verify_journal(d)
        without = w.verify_journal(d, hsm=False)
        head = w.doorpay("journal", "verify", d, "--head", os.path.join(w.dir, "head"), status=None)
        lost_checkpoint = any(f[1] >= start and f[2][0] >> 5 == 5 and b"\x02\x0a\x03" in f[2][:8]
                              for f in s.frames)
        if lost_checkpoint:
            same(f"cut at {start}, with the token", with_token["exit_status"], 4)
        lost_record = any(f[1] >= start and f[2][0] >> 5 == 5 for f in s.frames)
        if lost_record:
            same(f"cut at {start}, with a head file", head["exit_status"], 4)
        same(f"cut at {start}, with neither", without["exit_status"], 3)


def an_old_copy_is_a_rollback_or_of_unknown_freshness():
    w = Story.world
    same("with the token", w.verify_journal(Story.old_copy)["exit_status"], 4)
    same("without", w.verify_journal(Story.old_copy, hsm=False)["exit_status"], 3)


def a_daemon_on_an_old_copy_takes_no_payment_and_says_why():
    w = Story.world
    now = w.journal_dir()
    os.rename(now, now + ".aside")
    shutil.copytree(Story.old_copy, now)
    try:
        w.start_doorpayd(wait_link=False)
        with w.card("cda-online"):
            answer = w.pay("5.00", parcel="J-9")
        same("state", answer["state"], "declined")
        same("reason", answer.get("reason"), "journal")
        w.stop_doorpayd()
    finally:
        shutil.rmtree(now)
        os.rename(now + ".aside", now)
    same("the true journal afterwards", w.verify_journal()["exit_status"], 0)


if __name__ == "__main__":
    World.enter()
    try:
        Story.tell()
        status = e2e.run([the_round_is_valid_and_fresh_and_without_token_of_unknown_freshness,
                          a_flipped_byte_in_any_record_is_named, a_removed_record_is_named,
                          two_swapped_records_are_named,
                          a_cut_tail_is_a_rollback_or_of_unknown_freshness,
                          an_old_copy_is_a_rollback_or_of_unknown_freshness,
                          a_daemon_on_an_old_copy_takes_no_payment_and_says_why])
    finally:
        if Story.world is not None:
            Story.world.close()
    sys.exit(status)
