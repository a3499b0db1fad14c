#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Payments through real PC/SC, a real network and a real disk: each way one can go, and what bad
input and bad surroundings do. At the end of each round every view of the money agrees. Speaks
TAP."""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402

W = None  # the round under way


def paid(answer, mode, **more):
    same(f"state of {answer}", answer.get("state"), "approved")
    same("mode", answer.get("mode"), mode)
    for key, value in more.items():
        same(key, answer.get(key), value)
    return answer


def not_paid(answer, reason):
    same(f"state of {answer}", answer.get("state"), "declined")
    same("reason", answer.get("reason"), reason)
    assert answer.get("message"), "the postal worker is told nothing"
    return answer


# ---- with a network ----


def contact_online_is_approved_and_captured_once():
    with W.card("cda-online"):
        a = paid(W.pay("23.50", parcel="6A12345678901", service_id="A1"), "online", amount=2350,
                 currency="EUR", entry_mode="ICC")
        again = W.pay("23.50", parcel="6A12345678901", service_id="A1")
    same("same ServiceID, same answer", again["transaction_id"], a["transaction_id"])
    same("captured", e2e.books_view(W).get(a["transaction_id"].lower()), 2350)
    same("status", W.status("A1")["transaction_id"], a["transaction_id"])
    same("status by transaction", W.status(a["transaction_id"])["amount"], 2350)


def every_contact_card_that_may_pay_online_does():
    for profile in ("cda-1984", "cda-t0", "dda", "sda", "cobadged"):
        with W.card(profile):
            paid(W.pay("120.00", parcel=f"P-{profile}", offline="forbid"), "online")


def a_card_that_approves_without_the_issuer_does_so_with_cda_alone():
    with W.card("cda-offline"):
        a = W.pay("4.00", parcel="P-off")
    paid(a, "offline-approved")
    with W.card("dda-offline"):
        b = W.pay("4.00", parcel="P-dda")
    assert b.get("mode") != "offline-approved", b


def contactless_is_approved_online():
    for profile in ("qvsdc-online", "qvsdc"):
        with W.card(profile):
            paid(W.pay("12.00", parcel=f"P-{profile}"), "online", entry_mode="Contactless")


def a_card_that_declines_and_an_expired_one_are_not_paid():
    with W.card("declines"):
        not_paid(W.pay("5.00", parcel="P-no"), "card_declined")
    with W.card("expired"):
        a = W.pay("5.00", parcel="P-exp")
    same("state", a["state"], "declined")


def the_issuer_declines():
    W.tell_acquirer("refuse 116 1")
    with W.card("cda-online"):
        not_paid(W.pay("7.00", parcel="P-ref", offline="forbid"), "issuer_declined")
    W.tell_acquirer("refuse 190 1")
    with W.card("qvsdc-online"):
        not_paid(W.pay("7.00", parcel="P-soft", offline="forbid"), "authenticate")


def a_sale_is_reversed_and_only_once():
    with W.card("cda-online"):
        a = paid(W.pay("9.99", parcel="P-rev"), "online")
    same("reversal", W.doorpay("reverse", a["transaction_id"])["state"], "approved")
    again = W.doorpay("reverse", a["transaction_id"], status=None)
    same("again", (again["exit_status"], again.get("reason")), (1, "already_reversed"))
    W.wait_forwarded()
    assert a["transaction_id"].lower() not in e2e.books_view(W)


def an_unknown_answer_is_no_answer():
    """A wrong MAC, and an answer to something else: taken back, never 'maybe' (A20)."""
    for fault in ("wrong-mac 1", "wrong-match 11 1", "wrong-match 4 1", "garbage 1"):
        W.tell_acquirer(fault)
        with W.card("cda-online"):
            a = W.pay("6.00", parcel="P-mac", offline="forbid", deferred="forbid")
        same(f"{fault}: state", a["state"], "declined")
        W.tell_acquirer("rules clear")
        W.wait_forwarded()
        assert a["transaction_id"].lower() not in e2e.books_view(W), fault


def an_answer_that_never_comes_is_taken_back():
    W.tell_acquirer("drop 1")
    with W.card("cda-online"):
        a = W.pay("6.50", parcel="P-drop", offline="forbid", deferred="forbid")
    not_paid(a, "no_answer")
    W.wait_forwarded()
    assert a["transaction_id"].lower() not in e2e.books_view(W)


# ---- at the door ----


def a_card_pulled_out_is_not_paid_and_the_next_one_is():
    with W.card("cda-online", script="remove-after 6\n"):
        a = W.pay("8.00", parcel="P-pull")
    same("state", a["state"], "declined")
    assert a.get("reason") in ("card_gone", "card_error"), a
    W.wait_reader()
    with W.card("cda-online"):
        paid(W.pay("8.00", parcel="P-pull"), "online")


def nobody_presents_a_card_and_the_app_gives_up():
    _, finish = W.pay_begin("3.00", parcel="P-abort", service_id="ABORT")
    wait_for("a payment in progress", lambda: (W.diagnose() or {}).get("busy") is True)
    busy = W.pay("3.00", parcel="P-other", service_id="OTHER")
    same("another one meanwhile", (busy["state"], busy.get("reason")), ("declined", "busy"))
    W.doorpay("abort", "ABORT", status=None)
    not_paid(finish(), "cancelled")


def same_service_id_for_another_request_is_refused():
    with W.card("cda-online"):
        paid(W.pay("2.00", parcel="P-26", service_id="S26"), "online")
        a = W.pay("3.00", parcel="P-26", service_id="S26")
    not_paid(a, "service_id_reused")


def wrong_amounts_and_currencies_are_refused():
    for amount, currency in (("0", "EUR"), ("-5.00", "EUR"), ("1.234", "EUR"), ("abc", "EUR"),
                             ("1e3", "EUR"), ("99999999999999", "EUR"), ("5.00", "XXY"),
                             ("5,00", "EUR")):
        done = W.call(W.program("doorpay"), "pay", amount, currency, "--parcel", "P", status=1)
        assert done == "", done
    not_paid(W.pay("5.00", "USD"), "currency")
    W.call(W.program("doorpay"), "pay", "5.00", status=2)


def post(body, path="/nexo/", length=None):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(10)
        s.connect(W.socket)
        n = len(body) if length is None else length
        s.sendall(b"POST " + path.encode() + b" HTTP/1.1\r\nHost: till\r\nContent-Type: application"
                  b"/json\r\nContent-Length: " + str(n).encode() + b"\r\n\r\n" + body)
        got = b""
        while True:
            part = s.recv(65536)
            got += part
            head, _, rest = got.partition(b"\r\n\r\n")
            if not part or (head and b"ontent-" in head and rest):
                return head.split(b"\r\n")[0].decode(), rest


def malformed_json_is_answered_and_named():
    header = {"ProtocolVersion": "3.0", "MessageClass": "Service", "MessageCategory": "Payment",
              "MessageType": "Request", "ServiceID": "J1", "SaleID": "T", "POIID": "DP000001"}
    amounts = {"Currency": "EUR", "RequestedAmount": 5.5}
    sale = {"SaleTransactionID": {"TransactionID": "x", "TimeStamp": "2026-11-24T10:00:00Z"}}
    good = {"SaleToPOIRequest": {"MessageHeader": header, "PaymentRequest": {
        "SaleData": sale, "PaymentTransaction": {"AmountsReq": amounts}}}}
    text = json.dumps(good)
    bad = [b"{", b"", b"[]", b"null", b'{"SaleToPOIRequest":', text.replace("5.5", '"5.5.5"').encode(),
           text.replace("5.5", "-1").encode(), text.replace("5.5", "1e2").encode(),
           text.replace("EUR", "EURO").encode(), text.replace('"J1"', '"12345678901"').encode(),
           text.replace("Request\"", "Requst\"").encode(), b"\xff\xfe" + text.encode(),
           (b"[" * 5000) + (b"]" * 5000)]
    for body in bad:
        status, answer = post(body)
        assert status.split()[1] in ("200", "400"), (body[:40], status)
        assert b"MessageFormat" in answer or b"errors" in answer, (body[:60], answer[:200])
    same("the daemon", W.diagnose()["result"], "Success")
    same("nothing was begun", W.doorpay("status", "J1", status=None)["reason"], "not_found")


# ---- without a network ----


def without_network_offline_and_deferred_stay_apart():
    W.network_down()
    before = W.diagnose()
    with W.card("cda-offline"):
        a = paid(W.pay("11.00", parcel="N-1"), "offline-approved")
    with W.card("cda-online"):
        b = paid(W.pay("12.00", parcel="N-2"), "deferred")
        same("forbidden", W.pay("12.00", parcel="N-3", offline="forbid", deferred="forbid")["state"],
             "declined")
        same("over the ceiling", W.pay("400.00", parcel="N-4")["state"], "declined")
    after = W.diagnose()
    same("headroom used", int(before["offline_amount_left"]) - int(after["offline_amount_left"]),
         1100)
    same("deferred headroom used",
         int(before["deferred_amount_left"]) - int(after["deferred_amount_left"]), 1200)
    same("unsent", int(after["unsent"]), 2)
    voided = W.doorpay("reverse", a["transaction_id"])
    same("an unsent one is void", voided["mode"], "void")
    W.restart_doorpayd(9, wait_link=False)
    same("status after the power cut", W.status(b["transaction_id"])["mode"], "deferred")
    W.network_up()
    W.wait_forwarded()
    books = e2e.books_view(W)
    same("the void one", books.get(a["transaction_id"].lower()), None)
    same("the deferred one", books.get(b["transaction_id"].lower()), 1200)


def a_deferred_one_that_is_declined_later_is_not_paid():
    W.network_down()
    with W.card("cda-online"):
        a = paid(W.pay("13.00", parcel="N-5"), "deferred")
    W.tell_acquirer("refuse-deferred 116 1")
    W.network_up()
    W.wait_forwarded()
    answer = W.status(a["transaction_id"])
    same("forward", answer.get("forward"), "declined")
    assert a["transaction_id"].lower() not in e2e.books_view(W)


def in_the_end_every_view_of_the_money_agrees():
    final = e2e.all_agree(W)
    assert len(final) >= 10, final


def the_wire_log_decodes_field_by_field():
    log = W.doorpay("iso8583", "decode", "--profile", "iso93-pos", "--wire-log", W.wire_log)
    messages = log["messages"]
    assert len(messages) > 40
    for m in messages:
        names = {f["de"]: f for f in m["fields"]}
        assert {11, 12, 41} <= set(names), m
    assert any(f["de"] == 55 and f.get("tags") for m in messages for f in m["fields"])


def after_the_round_the_daemon_ends_and_the_journal_is_fresh():
    pids = W.pids()
    W.stop_doorpayd()
    assert not any(W._alive(p) for p in pids.values())
    same("journal", W.verify_journal()["exit_status"], 0)


ROUND = [contact_online_is_approved_and_captured_once,
         every_contact_card_that_may_pay_online_does,
         a_card_that_approves_without_the_issuer_does_so_with_cda_alone,
         contactless_is_approved_online, a_card_that_declines_and_an_expired_one_are_not_paid,
         the_issuer_declines, a_sale_is_reversed_and_only_once, an_unknown_answer_is_no_answer,
         an_answer_that_never_comes_is_taken_back,
         a_card_pulled_out_is_not_paid_and_the_next_one_is,
         nobody_presents_a_card_and_the_app_gives_up,
         same_service_id_for_another_request_is_refused, wrong_amounts_and_currencies_are_refused,
         malformed_json_is_answered_and_named, without_network_offline_and_deferred_stay_apart,
         a_deferred_one_that_is_declined_later_is_not_paid,
         in_the_end_every_view_of_the_money_agrees, the_wire_log_decodes_field_by_field,
         after_the_round_the_daemon_ends_and_the_journal_is_fresh]


def main():
    global W
    World.enter()
    text = e2e.parameters(acquirer__online_timeout_ms="1500", offline__card_count_max="99",
                          offline__card_amount_max="9999999")
    with World(params_text=text, directory=os.environ.get("DP_E2E_DIR")) as W:
        W.start()
        return e2e.run(ROUND)


if __name__ == "__main__":
    sys.exit(main())
