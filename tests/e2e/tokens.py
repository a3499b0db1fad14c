#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payments end to end with every key in a PKCS #11 token (SoftHSM2: journal, TLS, card data, side
store, DUKPT) and the journal's anchor in a TPM (swtpm). Speaks TAP."""
import json
import os
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402
from world import Failed  # noqa: E402

ABRMD = "/usr/sbin/tpm2-abrmd"


class Story:
    """One round for all tests."""
    world = None
    old_copy = None


def payments_are_approved_online_and_offline():
    w = Story.world = World(tokens=True)
    w.start()
    with w.card("cda-online"):
        for i in range(2):
            answer = w.pay(f"1{i}.00", parcel=f"T-{i}")
            same("online", (answer["state"], answer["mode"]), ("approved", "online"))
    Story.old_copy = os.path.join(w.dir, "old")
    shutil.copytree(w.journals, Story.old_copy)
    w.network_down()
    with w.card("cda-offline"):
        same("offline", w.pay("4.00", parcel="T-4")["mode"], "offline-approved")


def the_tokens_key_signs_in_both_versions_of_tls():
    w = Story.world
    for version in ("1.2", "1.3"):
        w.stop_acquirer()
        w.wait_link(False)
        w.start_acquirer(tls=version)
        w.wait_link(True)
        same("handshake", w.tell_acquirer("tls")["last"], "TLSv" + version)
        with w.card("cda-online"):
            answer = w.pay("6.00", parcel=f"T-{version}")
        same(version, (answer["state"], answer["mode"]), ("approved", "online"))
    w.network_down()


def a_killed_daemon_goes_on_from_its_journal():
    w = Story.world
    w.stop_doorpayd(signal.SIGKILL)
    w.start_doorpayd(wait_link=False)
    same("the payment of before", w.doorpay("status", "T-4")["state"], "approved")
    with w.card("cda-offline"):
        same("offline", w.pay("5.00", parcel="T-5")["mode"], "offline-approved")


def a_token_in_use_is_told_of_and_not_waited_for():
    same("verify", Story.world.doorpay("journal", "verify", Story.world.journals, status=None)[
        "exit_status"], 3)
    done = Story.world.call(Story.world.program("doorpay"), "journal", "verify",
                            Story.world.journals, "--hsm", Story.world.hsm, status=1, seconds=10)
    same("output", done, "")


def the_round_is_fresh_by_the_tpm_and_an_old_copy_a_rollback():
    w = Story.world
    w.stop_doorpayd()
    same("the round", w.verify_journal()["exit_status"], 0)
    same("the old copy", w.verify_journal(Story.old_copy)["exit_status"], 4)


def no_key_is_in_clear_and_caps_say_what_there_is():
    w = Story.world
    shown = w.doorpay("key", "show", "--hsm", w.hsm)
    same("kind", shown["hsm"], "pkcs11+tpm2-anchor")
    assert all(shown["caps"].values()), shown["caps"]
    assert shown["keys"]["journal_epoch"]["public"] and shown["anchor"] != "0" * 64, shown
    assert os.path.isdir(w.token) and not os.path.exists(os.path.join(w.token, "state"))


def the_token_vouches_for_its_anchor_to_who_asks_from_elsewhere():
    w = Story.world
    doorpay, nonce, path = w.program("doorpay"), "5A" * 32, os.path.join(w.dir, "evidence")
    said = w.call(doorpay, "key", "attest", "--hsm", w.hsm, "--nonce", nonce)
    with open(path, "w", encoding="ascii") as f:
        f.write(said)
    evidence = json.loads(said)
    check = lambda *args, **kw: w.call(  # noqa: E731
        doorpay, "key", "attest", "--check", path, "--json", *args, **kw)
    known = json.loads(check("--nonce", nonce, "--key", evidence["key"]))
    same("anchor", known["anchor"], w.doorpay("key", "show", "--hsm", w.hsm)["anchor"])
    same("key known", known["key_known"], True)
    same("key unknown", json.loads(check("--nonce", nonce))["key_known"], False)
    other = w.doorpay("key", "show", "--hsm", w.hsm)["keys"]["tls_client"]["public"]
    for args, words in ((("--nonce", "5B" * 32), "another nonce"),
                        (("--nonce", nonce, "--key", other), "another key"),
                        (("--nonce", nonce, "--base", "0x40"), "another index")):
        try:
            check(*args)
        except Failed as e:
            same("exit status", e.status, 1)
            assert words in e.err, e.err
        else:
            raise AssertionError(f"{words}: believed")
    for member in ("attest", "signature"):
        changed = dict(evidence)
        changed[member] = changed[member][:-2] + f"{int(changed[member][-2:], 16) ^ 1:02X}"
        with open(path, "w", encoding="ascii") as f:
            json.dump(changed, f)
        check("--nonce", nonce, status=1)
    reader = os.path.join(e2e.ROOT, "tools", "verify_journal.py")
    for directory, status in ((w.journal_dir(), 0), (os.path.join(
            Story.old_copy, os.path.basename(w.journal_dir())), 4)):
        w.call("/usr/bin/python3", reader, directory, "--anchor", known["anchor"], status=status)


def a_new_tls_key_is_taken_into_use_and_the_old_one_works_until_then():
    w = Story.world
    hsm, certificate = ("--hsm", w.hsm, "--tid", w.tid), os.path.join(w.dir, "terminal.pem")
    came, request = os.path.join(w.dir, "new.pem"), os.path.join(w.dir, "new.csr")
    w.doorpay("key", "rotate", *hsm, "--out", request)
    new = w.doorpay("key", "show", "--hsm", w.hsm)["keys"]["tls_next"]["public"]
    w.tell_acquirer("listen")
    w.start_doorpayd()  # with the link up: by the old key
    w.stop_doorpayd()
    w.sim("keys", "--out", w.keys, "--sign-csr", request, "--tid", w.tid, "--cert", came)
    done = w.doorpay("key", "enrol", came, *hsm, "--ca", os.path.join(w.keys, "client-ca.pem"),
                     "--out", certificate)
    same("enrolled", (done["key"], done["rotated"]), (new, True))
    w.start_doorpayd()
    with w.card("cda-online"):
        same("by the new key", w.pay("8.00", parcel="T-8")["mode"], "online")
    w.stop_doorpayd()
    same("in use", w.doorpay("key", "show", "--hsm", w.hsm)["keys"]["tls_client"]["public"], new)


def a_selftest_passes_on_real_tokens():
    w = Story.world
    report = w.doorpay("key", "selftest", "--hsm", w.hsm)
    results = {c["check"]: c["result"] for c in report["checks"]}
    same("to come", results.pop("tls_next"), "none_yet")
    same("all others", set(results.values()), {"passed"})
    same("checks", len(results), 10)


def a_verifier_looks_beside_the_daemon_through_a_resource_manager():
    """The same TPM by tpm2-abrmd: on a device the kernel's resource manager stands there."""
    w = Story.world
    direct, address = w.hsm, os.path.join(w.dir, "bus")
    bus = w.spawn("bus", ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={address}"])
    wait_for("dbus-daemon", lambda: os.path.exists(address))
    os.environ["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={address}"
    manager = w.spawn("manager", [ABRMD, "--session", "--allow-root",
                                  f"--tcti=swtpm:path={os.path.join(w.dir, 'tpm')}"])
    keys, anchor = direct.split("+")
    w.hsm = f"{keys}+tpm2-anchor:tcti=tabrmd:bus_type=session?{anchor.split('?')[1]}"
    try:
        wait_for("tpm2-abrmd", lambda: subprocess.run(
            [w.program("doorpay"), "key", "show", "--hsm", w.hsm], capture_output=True, check=False,
            env={**os.environ, **w.environment()}).returncode == 0, every=0.1)
        w.start_doorpayd()
        for n in range(2):
            with w.card("cda-online"):
                same("online", w.pay("9.00", parcel=f"M-{n}")["mode"], "online")
            same("fresh beside the daemon", w.verify_journal()["exit_status"], 0)
        same("an old copy", w.verify_journal(Story.old_copy)["exit_status"], 4)
        w.stop_doorpayd()
    finally:
        w.end(manager)
        w.end(bus)
        w.hsm = direct
    same("fresh by the TPM itself", w.verify_journal()["exit_status"], 0)


def the_daemon_does_not_start_on_an_old_copy():
    w = Story.world
    shutil.rmtree(w.journals)
    shutil.copytree(Story.old_copy, w.journals)
    try:
        w.start_doorpayd(wait_link=False)
    except e2e.WorldError:
        pass
    else:
        with w.card("cda-offline"):
            answer = w.doorpay("pay", "1.00", "EUR", "--parcel", "T-9", status=None)
        assert answer["state"] != "approved", answer
    assert "the token has bound another end" in w.log("doorpayd"), w.log("doorpayd")[-500:]


if __name__ == "__main__":
    World.enter()
    try:
        status = e2e.run([payments_are_approved_online_and_offline,
                          the_tokens_key_signs_in_both_versions_of_tls,
                          a_killed_daemon_goes_on_from_its_journal,
                          a_token_in_use_is_told_of_and_not_waited_for,
                          the_round_is_fresh_by_the_tpm_and_an_old_copy_a_rollback,
                          no_key_is_in_clear_and_caps_say_what_there_is,
                          the_token_vouches_for_its_anchor_to_who_asks_from_elsewhere,
                          a_new_tls_key_is_taken_into_use_and_the_old_one_works_until_then,
                          a_selftest_passes_on_real_tokens,
                          *([a_verifier_looks_beside_the_daemon_through_a_resource_manager]
                            if os.path.exists(ABRMD) and shutil.which("dbus-daemon") else []),
                          the_daemon_does_not_start_on_an_old_copy])
    finally:
        if Story.world is not None:
            Story.world.close()
    sys.exit(status)
