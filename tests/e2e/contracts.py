#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same payments under another contract with the acquirer: dual message, card data in clear, and
deferred payments that may be asked for a few seconds only. At the end every view of the money
agrees. Speaks TAP."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402

W = None
EXPIRY_S = 12
PAID = {}  # transaction id: minor units that the app was told are paid


def paid(answer, mode):
    same(f"state of {answer}", answer.get("state"), "approved")
    same("mode", answer.get("mode"), mode)
    PAID[answer["transaction_id"].lower()] = answer["amount"]
    return answer


def online_is_authorised_and_then_captured():
    with W.card("cda-online"):
        a = paid(W.pay("23.50", parcel="D-1", service_id="D1"), "online")
    W.wait_forwarded()
    same("forward", W.status("D1").get("forward"), "accepted")
    same("captured", e2e.books_view(W).get(a["transaction_id"].lower()), 2350)


def an_authorised_one_is_taken_back_by_the_sale():
    with W.card("cda-online"):
        a = paid(W.pay("9.99", parcel="D-2"), "online")
    same("reversal", W.doorpay("reverse", a["transaction_id"])["state"], "approved")
    W.wait_forwarded()
    del PAID[a["transaction_id"].lower()]
    assert a["transaction_id"].lower() not in e2e.books_view(W)


def an_authorisation_without_an_answer_is_taken_back():
    W.tell_acquirer("drop 1")
    with W.card("cda-online"):
        a = W.pay("6.50", parcel="D-3", offline="forbid", deferred="forbid")
    same("reason", (a.get("state"), a.get("reason")), ("declined", "no_answer"))


def the_vault_dies_between_authorisation_and_capture():
    W.wait_forwarded()
    W.doorpay("forward", "hold")
    with W.card("cda-online"):
        a = paid(W.pay("30.00", parcel="D-4", service_id="D4"), "online")
    old = W.kill("vault")
    W.wait_restarted("vault", old, 20)
    W.wait_forwarded()
    same("captured", e2e.books_view(W).get(a["transaction_id"].lower()), 3000)


def without_network_both_kinds_wait_and_are_captured():
    W.network_down()
    with W.card("cda-offline"):
        paid(W.pay("11.00", parcel="D-5"), "offline-approved")
    with W.card("cda-online"):
        b = paid(W.pay("12.00", parcel="D-6"), "deferred")
    W.network_up()
    W.wait_forwarded()
    same("captured", e2e.books_view(W).get(b["transaction_id"].lower()), 1200)


def a_deferred_one_past_its_time_is_given_up_and_the_app_knows():
    W.network_down()
    with W.card("cda-online"):
        a = paid(W.pay("13.00", parcel="D-7", service_id="D7"), "deferred")
    answer = wait_for("the end of its time",
                      lambda: (lambda s: s if s["state"] == "declined" else None)(W.status("D7")),
                      EXPIRY_S + 20, 0.5)
    same("why", (answer.get("reason"), answer.get("forward")), ("deferred_expired", "given-up"))
    del PAID[a["transaction_id"].lower()]
    W.network_up()
    assert a["transaction_id"].lower() not in e2e.books_view(W)


def in_the_end_every_view_of_the_money_agrees():
    same("captured", len(e2e.all_agree(W, PAID)), 4)


def a_round_that_is_settled_has_a_new_key():
    kinds = [r["type"] for r in e2e.records(W)]
    assert "KEY_ROTATE" in kinds[kinds.index("SETTLED"):], kinds[-6:]
    W.stop_doorpayd()
    same("journal", W.verify_journal()["exit_status"], 0)


ROUND = [online_is_authorised_and_then_captured, an_authorised_one_is_taken_back_by_the_sale,
         an_authorisation_without_an_answer_is_taken_back,
         the_vault_dies_between_authorisation_and_capture,
         without_network_both_kinds_wait_and_are_captured,
         a_deferred_one_past_its_time_is_given_up_and_the_app_knows,
         in_the_end_every_view_of_the_money_agrees, a_round_that_is_settled_has_a_new_key]


def main():
    global W
    World.enter()
    text = e2e.parameters(acquirer__online_timeout_ms="1500", acquirer__message="dual",
                          acquirer__card_data="clear", deferred__expiry_s=str(EXPIRY_S),
                          offline__card_count_max="99", offline__card_amount_max="9999999")
    with World(params_text=text, directory=os.environ.get("DP_E2E_DIR")) as W:
        W.start()
        return e2e.run(ROUND)


if __name__ == "__main__":
    sys.exit(main())
