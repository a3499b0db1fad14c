#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""doorpayd as a whole: its processes start, die, come back and end; what a payment makes of it.
Usage: processes.py CARDS-DIR PROGRAM...; speaks TAP."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "support"))
from world import World, WorldError, wait_for  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CARDS, PROGRAMS = os.path.abspath(sys.argv[1]), [os.path.abspath(p) for p in sys.argv[2:]]
ROLES = ("vault", "till", "card", "link")


def stage():
    """The programs as they are installed."""
    root = tempfile.mkdtemp(prefix="dp-stage-")
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(os.path.join(root, "lib", "doorpay"))
    shutil.copytree(CARDS, os.path.join(root, "share", "doorpay-sim", "cards"))
    for p in PROGRAMS:
        name = os.path.basename(p)
        where = ("lib", "doorpay") if name.startswith("doorpayd-") else ("bin",)
        shutil.copy2(p, os.path.join(root, *where, name))
    return root


def is_(got, wanted):
    assert got == wanted, f"{got!r}, not {wanted!r}"


def doorpayd(*args):
    return subprocess.run([W.program("doorpayd"), *args], capture_output=True, text=True,
                          timeout=10, check=False)


# ---- tests ----


def wrong_usage_and_wrong_settings_are_told():
    is_(doorpayd("--no-such").returncode, 2)
    is_(doorpayd("--help").returncode, 0)
    assert doorpayd("--version").stdout.startswith("doorpayd "), "no version"
    done = doorpayd("--config", "/nonexistent.conf")
    is_(done.returncode, 1)
    assert "/nonexistent.conf" in done.stderr, done.stderr
    path = os.path.join(W.dir, "wrong.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("[doorpayd]\nrun_dir = /tmp\n[till]\nsockt = /tmp/x\n")
    done = doorpayd("--config", path)
    is_(done.returncode, 1)
    assert f"{path}:4: unknown setting: [till] sockt" in done.stderr, done.stderr


def every_process_is_hardened_and_has_its_channel_alone():
    for role, pid in W.pids().items():
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = f.read()
        assert "NoNewPrivs:\t1" in status, f"{role} may gain privileges"
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        is_(core.split()[4:6], ["0", "0"])
        opened = {int(n): os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        if role != "supervisor":
            assert opened[3].startswith("socket:"), f"{role}: {opened}"
        network = [v for k, v in opened.items() if k > 4 and v.startswith("socket:")]
        most = {"supervisor": 3, "vault": 3, "till": 4, "card": 2, "link": 1}[role]
        assert len(network) <= most, f"{role}: {opened}"
        if role in ("till", "link"):
            assert not any(W.journals in v or W.token in v for v in opened.values()), opened


def card_process_has_no_network_and_link_no_reader():
    pids = W.pids()
    for role in ("card", "till", "vault"):
        with open(f"/proc/{pids[role]}/net/unix", encoding="ascii"):
            pass
        inodes = {os.readlink(f"/proc/{pids[role]}/fd/{n}")[8:-1]
                  for n in os.listdir(f"/proc/{pids[role]}/fd")
                  if os.readlink(f"/proc/{pids[role]}/fd/{n}").startswith("socket:")}
        with open("/proc/net/tcp", encoding="ascii") as f:
            tcp = {line.split()[9] for line in list(f)[1:]}
        assert not inodes & tcp, f"{role} has a network connection"


def each_child_killed_comes_back_and_payments_go_on():
    for number, role in enumerate(("till", "card", "link")):
        old = W.kill(role)
        W.wait_restarted(role, old)
        W.wait_reader()
        W.wait_link(True)
        with W.card("cda-online"):
            paid = W.pay("1.00", parcel=f"K-{number}")
        is_(paid["state"], "approved")


def vault_killed_takes_all_along_and_the_journal_remembers():
    with W.card("cda-online"):
        paid = W.pay("2.00", parcel="V-1")
    before = W.pids()
    W.kill("vault")
    for role in ROLES:
        W.wait_restarted(role, before[role])
    W.wait_reader()
    W.wait_link(True)
    after = W.status(paid["transaction_id"])
    for key in ("state", "mode", "amount", "auth_code", "rrn", "stan", "transaction_id"):
        is_(after[key], paid[key])


def vault_killed_in_the_middle_leaves_the_sale_unknown_then_declined():
    before = W.pids()
    _, finish = W.pay_begin("3.00", parcel="V-2", service_id="VAULT2")
    wait_for("the payment", lambda: W.diagnose()["busy"] is True)
    W.kill("vault")
    told = finish()
    assert told is None or told["state"] == "unknown", told
    for role in ROLES:
        W.wait_restarted(role, before[role])
    W.wait_reader()
    now = W.status("VAULT2")
    is_((now["state"], now["reason"]), ("declined", "interrupted"))


def till_killed_in_the_middle_does_not_stop_the_payment():
    old = W.pids()["till"]
    _, finish = W.pay_begin("4.00", parcel="T-1", service_id="TILL1")
    wait_for("the payment", lambda: W.diagnose()["busy"] is True)
    W.kill("till")
    is_(finish(), None)
    W.wait_restarted("till", old)
    _, answer = W.pay_begin("4.00", parcel="T-1", service_id="TILL1")  # the app asks again
    with W.card("cda-online"):
        told = answer()
    is_(told["state"], "approved")
    is_(W.status("TILL1")["transaction_id"], told["transaction_id"])
    is_(W.pay("4.01", parcel="T-1", service_id="TILL1")["reason"], "service_id_reused")


def card_killed_in_the_middle_ends_the_payment_declined():
    old = W.pids()["card"]
    _, finish = W.pay_begin("5.00", parcel="C-1")
    wait_for("the payment", lambda: W.diagnose()["busy"] is True)
    W.kill("card")
    told = finish()
    is_((told["state"], told["reason"]), ("declined", "interrupted"))
    W.wait_restarted("card", old)
    W.wait_reader()


def payment_is_aborted_by_the_app():
    _, finish = W.pay_begin("6.00", parcel="A-1", service_id="ABORT1")
    wait_for("the payment", lambda: W.diagnose()["busy"] is True)
    W.call(W.program("doorpay"), "abort", "ABORT1")
    told = finish()
    is_((told["state"], told["reason"]), ("declined", "cancelled"))


def reader_service_that_restarts_is_found_again():
    W.stop_pcscd()
    wait_for("no reader", lambda: W.diagnose()["reader_ok"] is False, 15)
    for name in os.listdir(W.pcsc):
        os.remove(os.path.join(W.pcsc, name))
    W.start_pcscd()
    W.wait_reader()
    with W.card("cda-online"):
        is_(W.pay("7.00", parcel="R-1")["state"], "approved")


def without_parameters_nothing_is_taken_and_status_is_answered():
    W.stop_doorpayd()
    W.start_doorpayd(wait_link=False, wait_reader=False, params__file="/nonexistent")
    d = W.diagnose()
    is_(d["global_status"], "OutOfOrder")
    assert "parameter" in d["message"], d
    is_(W.pay("1.00", parcel="P-9")["reason"], "params")
    is_(W.status("TILL1")["state"], "approved")
    W.stop_doorpayd()
    W.start_doorpayd()


def revoked_certificate_of_the_parameter_text_authenticates_nobody():
    """The list's whole way: text file, signed set, vault, card process, kernel."""
    with open(os.path.join(ROOT, "examples", "params", "demo.params"), encoding="utf-8") as f:
        text = f.read()
    told = {}
    # of the issuer's certificate in the card, and of one that no card has
    for serial in ("000001", "00A001"):
        W.stop_doorpayd()
        W.write_params(f"{text}\n[revoked]\ncertificate = A000000999 01 {serial}\n")
        W.start_doorpayd()
        W.network_down()
        with W.card("cda-offline"):
            told[serial] = W.pay("1.00", parcel=f"L-{serial}")
        W.network_up()
        W.wait_forwarded()
    is_((told["000001"]["state"], told["000001"]["reason"]), ("declined", "not_authenticated"))
    is_((told["00A001"]["state"], told["00A001"]["mode"]), ("approved", "offline-approved"))
    is_(W.log("doorpayd").count("issuer certificate: revoked"), 1)
    W.stop_doorpayd()
    W.write_params()
    W.start_doorpayd()


def sigterm_ends_all_within_two_seconds_in_a_payment_too():
    pids = W.pids()
    _, finish = W.pay_begin("8.00", parcel="E-1", service_id="END1")
    wait_for("the payment", lambda: W.diagnose()["busy"] is True)
    begin = time.monotonic()
    os.kill(pids["supervisor"], signal.SIGTERM)
    W.doorpayd.wait(5)
    took = time.monotonic() - begin
    assert took < 2, f"{took:.1f} s"
    finish()
    for role, pid in pids.items():
        assert role == "supervisor" or not W._alive(pid), f"{role} lives on"
    W.end(W.doorpayd)
    W.start_doorpayd()
    is_(W.status("END1")["reason"], "interrupted")


def killed_supervisor_takes_its_children_along():
    pids = W.pids()
    W.stop_doorpayd(signal.SIGKILL)
    for role in ROLES:
        assert not W._alive(pids[role]), f"{role} lives on"
    W.start_doorpayd()
    with W.card("cda-online"):
        is_(W.pay("9.00", parcel="S-1")["state"], "approved")


def journal_of_all_this_is_valid_and_fresh():
    W.wait_forwarded()
    W.stop_doorpayd()
    v = W.verify_journal()
    is_((v["exit_status"], v["verdict"]), (0, "FRESH"))


TESTS = (wrong_usage_and_wrong_settings_are_told,
         every_process_is_hardened_and_has_its_channel_alone,
         card_process_has_no_network_and_link_no_reader,
         each_child_killed_comes_back_and_payments_go_on,
         vault_killed_takes_all_along_and_the_journal_remembers,
         vault_killed_in_the_middle_leaves_the_sale_unknown_then_declined,
         till_killed_in_the_middle_does_not_stop_the_payment,
         card_killed_in_the_middle_ends_the_payment_declined, payment_is_aborted_by_the_app,
         reader_service_that_restarts_is_found_again,
         without_parameters_nothing_is_taken_and_status_is_answered,
         revoked_certificate_of_the_parameter_text_authenticates_nobody,
         sigterm_ends_all_within_two_seconds_in_a_payment_too,
         killed_supervisor_takes_its_children_along, journal_of_all_this_is_valid_and_fresh)


def main():
    failures = 0
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failures += 1
            print(f"not ok {number} - {test.__name__}")
            said = traceback.format_exc() + "\n" + W.log("doorpayd")[-2000:]
            print("# " + said.strip().replace("\n", "\n# "), flush=True)
    return 1 if failures else 0


if shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None or \
        not os.path.exists("/usr/lib/pcsc/drivers/serial/libifdvpcd.so"):
    print("1..0 # SKIP pcscd or its virtual reader is not installed")
    sys.exit(0)
try:
    World.enter()
except WorldError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)
STAGE = stage()
try:
    with World(stage=STAGE) as W:
        W.start()
        STATUS = main()
finally:
    shutil.rmtree(STAGE, ignore_errors=True)
sys.exit(STATUS)
