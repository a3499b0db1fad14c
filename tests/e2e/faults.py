#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A token that fails in the middle of a payment (sim:, by script): what the app is told, what the
journal says when the daemon has come back by itself, and that the acquirer's books agree. Speaks
TAP."""
import csv
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402

FELL = "ended with status 3"  # the vault, which writes no more


class Story:
    """One round for all tests."""
    world = None
    paid = {}  # parcel: whether it is captured in the end


def pay(parcel, script):
    """One payment with a token that does what the script says; opened again, it is whole. The
    answer, whether the vault had to be started again, and the seconds it took."""
    w = Story.world
    w.stop_doorpayd()
    w.token_fails(script)
    w.start_doorpayd()
    w.token_fails("")
    before = w.log("doorpayd").count(FELL)
    with w.card("cda-online"):
        began = time.monotonic()
        answer = w.pay("7.00", parcel=parcel)
        took = time.monotonic() - began
    if answer["state"] == "unknown":
        wait_for("the vault's end", lambda: w.log("doorpayd").count(FELL) > before)
        wait_for("doorpayd", lambda: w.diagnose() is not None)
        w.wait_link(True)
    return answer, w.log("doorpayd").count(FELL) > before, took


def ended(parcel, captured):
    """What the status says once everything is sent: approved, or not and nothing taken."""
    w = Story.world
    w.wait_forwarded()
    status = w.doorpay("status", parcel, status=None)
    same(f"{parcel}: approved in the end",
         status["state"] == "approved" and not status.get("reversed"), captured)
    Story.paid[parcel] = captured
    same(f"{parcel}: books", len(e2e.books_view(w)), sum(Story.paid.values()))


def a_slow_token_is_waited_for():
    Story.world = World(faults=True)
    Story.world.start()
    answer, fell, took = pay("S-1", "anchor_extend 1 latency 900\n")
    same("answer", (answer["state"], answer["mode"], fell), ("approved", "online", False))
    assert took >= 0.9, took
    ended("S-1", True)


def a_token_removed_before_the_request_leaves_means_no_payment():
    answer, fell, _ = pay("R-1", "dukpt_next 1 remove\n")
    same("answer", (answer["state"], fell), ("unknown", True))
    ended("R-1", False)


def a_token_removed_before_the_answer_is_checked_means_a_reversal():
    """The acquirer has approved; nobody here can tell."""
    answer, fell, _ = pay("R-2", "dukpt_mac 4 remove\n")  # two are the sign-on's
    same("answer", (answer["state"], fell), ("unknown", True))
    ended("R-2", False)
    kinds = [r["type"] for r in e2e.records(Story.world) if r["type"] == "REVERSAL"]
    assert kinds, "no REVERSAL"


def a_token_removed_before_the_end_is_signed_means_a_reversal_when_it_is_back():
    answer, fell, _ = pay("R-3", "sign 3 remove\n")  # the first is TLS's, the second the request's
    same("answer", (answer["state"], fell), ("unknown", True))
    ended("R-3", False)


def a_reset_behind_the_extension_comes_too_late():
    """The signature is on the disk by then; nothing more is asked of the token."""
    answer, fell, _ = pay("X-1", "anchor_extend 2 reset\n")
    same("answer", (answer["state"], fell), ("approved", False))
    ended("X-1", True)


def an_extend_whose_answer_was_lost_is_not_done_twice():
    answer, fell, _ = pay("X-2", "anchor_extend 2 lost\n")
    same("answer", (answer["state"], fell), ("unknown", True))
    ended("X-2", True)


def an_extend_that_failed_is_done_again():
    """The payment is signed and flagged; then the anchor has what it missed."""
    w = Story.world
    answer, fell, _ = pay("X-3", "anchor_extend 2 error\n")
    same("answer", (answer["state"], answer["degraded"], fell), ("approved", True, False))
    wait_for("the anchor", lambda: "degraded" not in w.diagnose())
    ended("X-3", True)


def a_dead_anchor_leaves_what_the_parameters_allow_and_no_more():
    """They allow none: the payment that it died under stands, flagged."""
    w = Story.world
    answer, fell, _ = pay("D-1", "anchor_extend 1 wear\n")
    same("answer", (answer["state"], answer["degraded"], fell), ("approved", True, False))
    diagnosis = w.diagnose()
    same("left", (diagnosis["degraded"], diagnosis["degraded_left"], diagnosis["global_status"]),
         (True, 0, "OutOfOrder"))
    with w.card("cda-online"):
        answer = w.doorpay("pay", "7.00", "EUR", "--parcel", "D-2", status=1)
    same("refused", answer["reason"], "degraded")
    ended("D-1", True)
    w.stop_doorpayd()
    kinds = [r["type"] for r in e2e.records(w)]
    same("said once more than taken back",
         kinds.count("DEGRADED_ON") - kinds.count("DEGRADED_OFF"), 1)
    w.start_doorpayd()
    assert "degraded" not in w.diagnose(), w.diagnose()
    same("flagged for good", w.doorpay("status", "D-1")["degraded"], True)


def dead_keys_leave_status_and_salvage():
    """What is owed is told without the token, under the numbers that the acquirer gets in the end."""
    w = Story.world
    w.network_down()
    with w.card("cda-offline"):
        same("offline", w.pay("4.00", parcel="K-1")["mode"], "offline-approved")
    w.stop_doorpayd(signal.SIGKILL)
    w.token_fails("* 1 remove\n")
    w.start_doorpayd(wait_link=False)
    w.token_fails("")
    same("status", w.doorpay("status", "K-1")["state"], "approved")
    same("out of order", w.diagnose()["global_status"], "OutOfOrder")
    answer = w.doorpay("pay", "7.00", "EUR", "--parcel", "K-2", status=1)
    same("refused", answer["reason"], "key_store")
    w.stop_doorpayd()
    out = os.path.join(w.dir, "salvage")
    w.doorpay("salvage", w.journals, "--out", out, status=3)
    with open(out, encoding="utf-8") as f:
        owed = [line for line in map(json.loads, f) if "message" in line]
    same("owed", [line["owed"] for line in owed], ["advice"])
    message = owed[0]["message"]
    w.tell_acquirer("listen")
    w.start_doorpayd()
    w.wait_forwarded()
    status = w.doorpay("status", "K-1")
    same("the same message", (status["forward"], status["stan"], status["rrn"]),
         ("accepted", message["stan"], message["rrn"]))
    same("once", e2e.books_view(w)[message["transaction_id"]], message["amount"])
    Story.paid["K-1"] = True


def the_journal_is_whole_and_fresh_and_all_agree():
    w = Story.world
    e2e.all_agree(w)
    with open(os.path.join(w.dir, "report", "payments.csv"), newline="", encoding="utf-8") as f:
        same("flagged in finance's report", {r["parcel"] for r in csv.DictReader(f) if r["degraded"] == "1"},
             {"X-3", "D-1"})
    w.stop_doorpayd()
    same("verdict", w.verify_journal()["exit_status"], 0)


if __name__ == "__main__":
    World.enter()
    try:
        status = e2e.run([a_slow_token_is_waited_for,
                          a_token_removed_before_the_request_leaves_means_no_payment,
                          a_token_removed_before_the_answer_is_checked_means_a_reversal,
                          a_token_removed_before_the_end_is_signed_means_a_reversal_when_it_is_back,
                          a_reset_behind_the_extension_comes_too_late,
                          an_extend_whose_answer_was_lost_is_not_done_twice,
                          an_extend_that_failed_is_done_again,
                          a_dead_anchor_leaves_what_the_parameters_allow_and_no_more,
                          dead_keys_leave_status_and_salvage,
                          the_journal_is_whole_and_fresh_and_all_agree])
    finally:
        if Story.world is not None:
            Story.world.close()
    sys.exit(status)
