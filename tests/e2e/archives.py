#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small disk that fills up, and a collector: no payment that could not be finished, everything
else goes on; what the collector acknowledged becomes archives, and there is room again. Every tool
reads the journal as before. Speaks TAP."""
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import ROOT, World, same, wait_for  # noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
DISK = 16 << 20
RESERVE = 4 << 20  # src/doorpayd/vault_main.c
FILLING = 12000    # records before the first payment: some three segments
BUILD = os.environ.get("DP_BUILD_ROOT", os.path.join(ROOT, "build"))


class Story:
    """One terminal for all tests, told in their order."""
    world = None
    offline = None   # a payment without network
    old_ack = None
    fresh = None     # the last verdict

    @classmethod
    def begin(cls):
        w = cls.world = World(params_text=parameters("no"))
        w.provision()
        if LIBC.mount(b"none", w.journals.encode(), b"tmpfs", 0, b"size=%d" % DISK) != 0:
            raise OSError(ctypes.get_errno(), "mount tmpfs")
        w.call(os.path.join(BUILD, "tests", "journal", "make_journal"), w.journals, w.hsm, "1",
               str(FILLING), "fill")
        w.start()

    @classmethod
    def end(cls):
        if cls.world.doorpayd is not None:
            cls.world.stop_doorpayd()
        LIBC.umount2(cls.world.journals.encode(), 2)
        cls.world.close()


def parameters(archive):
    with open(os.path.join(ROOT, "examples", "params", "demo.params"), encoding="utf-8") as f:
        return f.read() + f"\n[collector]\narchive = {archive}\n"


def free_bytes():
    s = os.statvfs(Story.world.journals)
    return s.f_bavail * s.f_frsize


def ballast(left):
    """Somebody else's files take the disk, but for so many bytes."""
    path = os.path.join(Story.world.journals, "ballast")
    with open(path, "ab") as f:
        f.write(bytes(max(0, free_bytes() - left)))


def stored():
    """({numbers of segments as files}, {as archives})"""
    names = os.listdir(Story.world.journal_dir())
    return tuple({int(n[4:12]) for n in names if re.fullmatch(r"seg-\d{8}\.dpj" + end, n)}
                 for end in ("", r"\.zst"))


def acknowledgement(name, *options, **other):
    """A file with what the collector acknowledges now."""
    w = Story.world
    path = os.path.join(w.dir, name)
    said = w.verify_journal(hsm=False)
    head = {**said["signed_head"], "journal": said["journal"], **other}
    w.sim("ack", "--keys", w.keys, "--journal", head["journal"], "--size", str(head["size"]),
          "--root", head["root"], "--anchor", head["anchor"], "--out", path, *options)
    return path


def acknowledge(path):
    return Story.world.doorpay("journal", "acknowledge", path, status=None)


def nothing_is_archived_that_nobody_else_has():
    w = Story.world
    files, archives = stored()
    assert len(files) >= 3 and not archives, (files, archives)
    with w.card("cda-online"):
        same("payment", w.pay("5.00", parcel="A-1")["state"], "approved")
    w.network_down()
    with w.card("cda-offline"):
        Story.offline = w.pay("4.00", parcel="A-2")
    same("offline", Story.offline["mode"], "offline-approved")
    same("archives", stored()[1], set())


def on_a_full_disk_payments_are_refused_and_all_else_goes_on():
    w = Story.world
    ballast(RESERVE - 65536)
    with w.card("cda-online"):
        refused = w.pay("6.00", parcel="A-3")
    same("payment", (refused["state"], refused["reason"]), ("declined", "journal"))
    assert refused["message"], refused
    assert "the disk is full" in w.log("doorpayd")
    same("status", w.status(Story.offline["transaction_id"])["state"], "approved")
    undone = w.doorpay("reverse", Story.offline["transaction_id"])
    same("cancelled", (undone["state"], undone["mode"]), ("approved", "void"))
    w.network_up()
    w.wait_forwarded()
    same("settled", w.doorpay("settle")["result"], "Success")


def what_the_collector_did_not_say_is_refused_with_the_reason():
    head = Story.world.verify_journal(hsm=False)["signed_head"]
    root = head["root"]
    for name, words, options, other in (
            ("journal", "another journal", (), {"journal": "00" * 16}),
            ("beyond", "the journal has", (), {"size": head["size"] + 100000}),
            ("between", "no checkpoint", (), {"size": head["size"] - 1}),
            ("root", "other records", (), {"root": root[:-2] + f"{int(root[-2:], 16) ^ 1:02x}"}),
            ("key", "another key",
             ("--sign-key", os.path.join(Story.world.keys, "seal.pem")), {})):
        said = acknowledge(acknowledgement("bad-" + name, *options, **other))
        same(f"{name}: exit status", said["exit_status"], 1)
        assert words in said["message"], (name, said)
    same("archives", stored()[1], set())


def what_it_has_becomes_archives_and_payments_go_on():
    w = Story.world
    before = free_bytes()
    Story.old_ack = acknowledgement("ack-1")
    said = acknowledge(Story.old_ack)
    same("acknowledged", (said["exit_status"], said["result"]), (0, "Success"))
    assert "acknowledged by collector-1" in said["message"], said
    time.sleep(1.5)
    files, archives = stored()
    same("archives where the parameters want none", archives, set())
    w.write_params(parameters("yes"), "--set-version", "2")
    w.restart_doorpayd()
    wait_for("every closed segment to be an archive",
             lambda: stored() == ({max(stored()[0])}, set(range(1, max(stored()[0])))), 20)
    assert free_bytes() > before + (3 << 19), (before, free_bytes(), files)
    with w.card("cda-online"):
        same("with room again", w.pay("7.00", parcel="A-4")["state"], "approved")
    same("the same once more", acknowledge(Story.old_ack)["exit_status"], 0)
    newer = acknowledgement("ack-2")
    same("newer", acknowledge(newer)["exit_status"], 0)
    old = acknowledge(Story.old_ack)
    same("older", old["exit_status"], 1)
    assert "older" in old["message"], old


def every_tool_reads_files_and_archives_alike():
    w = Story.world
    w.restart_doorpayd()
    with w.card("cda-online"):
        same("after a restart", w.pay("8.00", parcel="A-5")["state"], "approved")
    e2e.all_agree(w)  # finance's import among them
    w.stop_doorpayd()
    collector = os.path.join(w.keys, "collector.pub")
    ours = w.doorpay("journal", "verify", w.journals, "--hsm", w.hsm, "--collector", collector,
                     status=None)
    same("verdict", (ours["exit_status"], ours["verdict"]), (0, "FRESH"))
    assert ours["acknowledged"] > FILLING, ours
    foreign = w.doorpay("journal", "verify", w.journals, "--collector",
                        os.path.join(w.keys, "seal.pub"), status=None)
    same("another collector", (foreign["exit_status"], foreign.get("rule")),
         (5, "acknowledgement-signature"))
    reader = [sys.executable, os.path.join(ROOT, "tools", "verify_journal.py"), w.journals,
              "--collector", collector, "--anchor", ours["anchor"]]
    theirs = json.loads(w.call(*reader))
    for name in ("verdict", "records", "checkpoints", "root", "acknowledged", "totals"):
        same(name, theirs[name], ours[name])
    same("records shown", len(e2e.records(w)), ours["records"])
    lines = w.call(w.program("doorpay"), "journal", "export", w.journals, "--from", "100", "--to", "199")
    same("records exported", len(lines.splitlines()), 100)
    w.call(w.program("doorpay"), "journal", "prove", "100", w.journals)
    # without the program that unpacks, the second reader says so, and no verdict
    bare = os.path.join(w.dir, "bare")
    os.mkdir(bare)
    done = subprocess.run(reader, capture_output=True, text=True, check=False,
                          env={**os.environ, "PATH": bare})
    same("without zstd", done.returncode, 1)
    assert "zstd" in done.stderr, done.stderr


def an_archive_that_was_touched_is_tampering():
    w = Story.world
    copy = os.path.join(w.dir, "copy")
    shutil.copytree(w.journal_dir(), copy)
    path = os.path.join(copy, "seg-00000002.dpj.zst")
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 0x10]))
    said = w.verify_journal(copy, hsm=False)
    same("verdict", (said["exit_status"], said["rule"], said["segment"]), (5, "segment-archive", 2))


if __name__ == "__main__":
    World.enter()
    try:
        Story.begin()
        status = e2e.run([nothing_is_archived_that_nobody_else_has,
                          on_a_full_disk_payments_are_refused_and_all_else_goes_on,
                          what_the_collector_did_not_say_is_refused_with_the_reason,
                          what_it_has_becomes_archives_and_payments_go_on,
                          every_tool_reads_files_and_archives_alike,
                          an_archive_that_was_touched_is_tampering])
    finally:
        if Story.world is not None:
            Story.end()
    sys.exit(status)
