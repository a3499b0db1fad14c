#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of any process at any point of a payment. Each kill finds the payment in a known state,
held there by a card or an acquirer that takes its time; some come at a random moment. Afterwards
the app asks for the status, and at the end everybody's books agree, payment by payment.

    kills.py [KILLS] [SEED]     speaks TAP; prints a histogram process x state

DP_KILLS_MESSAGE=dual and DP_KILLS_CARD_DATA=clear: under another contract with the acquirer.
"""
import json
import os
import random
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
from e2e import World, WorldError, same, wait_for  # noqa: E402

ROLES = ("supervisor", "vault", "till", "card", "link")
STATES = ("waiting", "card", "online", "completing", "forwarding", "anywhere")
KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else (20 if e2e.QUICK else 200)
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
MESSAGE = os.environ.get("DP_KILLS_MESSAGE", "single")
CARD_DATA = os.environ.get("DP_KILLS_CARD_DATA", "sealed")
HOLD_MS = 700  # how long a slow card or acquirer holds a payment in its state
chance = random.Random(SEED)


class Round:
    """One world for all kills, and what the app came to know of each payment."""

    def __init__(self, world):
        self.w = world
        self.n = 0
        self.amounts = {}  # service id: minor units asked for
        self.known = {}    # service id: (state, transaction id or None)

    def begin(self, **options):
        self.n += 1
        service = f"K{self.n}"
        self.amounts[service] = 1000 + self.n
        text = f"{self.amounts[service] // 100}.{self.amounts[service] % 100:02d}"
        _, finish = self.w.pay_begin(text, parcel=f"P-{self.n}", service_id=service, **options)
        return service, finish

    # ---- each state: how a payment gets there, and a proof that it is there ----

    def waiting(self):
        """INTENT is durable; nobody has presented a card."""
        self.w.wait_empty()
        service, finish = self.begin()
        wait_for("a payment in progress", lambda: self.busy(), 10)
        return service, finish, "cda-online", None

    def card(self):
        """The kernel reads the card; no cryptogram yet."""
        k = chance.randrange(1, 9)
        card = self.w.card("cda-online", script="any delay 60\n")
        service, finish = self.begin()
        wait_for("the card's commands", lambda: len(card.commands()) >= k, 10, 0.004)
        return service, finish, None, card

    def online(self):
        """REQUESTED is durable and the acquirer has it; no answer yet."""
        self.w.tell_acquirer(f"delay {HOLD_MS}")
        card = self.w.card("cda-online")
        before = self.heard()
        service, finish = self.begin()
        wait_for("the request at the acquirer", lambda: self.heard() > before, 10, 0.004)
        return service, finish, None, card

    def completing(self):
        """The acquirer's approval is with the card, which has not said its last word."""
        card = self.w.card("cda-online", script=f"generate-ac-2 delay {HOLD_MS}\n")
        service, finish = self.begin()
        wait_for("the second GENERATE AC", lambda: sum(c.startswith("80AE")
                 for c in card.commands()) >= 2, 10, 0.004)
        return service, finish, None, card

    def forwarding(self):
        """Approved without a link and answered; its advice is at the acquirer, not answered yet."""
        self.w.network_down()
        with self.w.card("cda-offline"):
            service, finish = self.begin()
            finish()
        self.w.tell_acquirer(f"delay {HOLD_MS}")
        before = self.heard()
        self.w.tell_acquirer("listen")
        wait_for("the sign-on and the advice at the acquirer", lambda: self.heard() >= before + 2,
                 20, 0.004)
        return service, None, None, None

    def anywhere(self):
        """At a random moment of a payment that nobody slows down."""
        card = self.w.card(chance.choice(("cda-online", "cda-offline", "declines")))
        service, finish = self.begin()
        time.sleep(chance.random() * 0.6)
        return service, finish, None, card

    def busy(self):
        return (self.w.diagnose() or {}).get("busy") is True

    def heard(self):
        """Frames that reached the acquirer so far."""
        try:
            with open(self.w.traffic, encoding="ascii") as f:
                return sum(" > " in line for line in f)
        except FileNotFoundError:
            return 0

    # ---- one kill ----

    def kill(self, role):
        if role == "supervisor":
            pids = self.w.pids()
            self.w.stop_doorpayd(9)
            assert not any(self.w._alive(p) for p in pids.values()), "a child outlived it"
            return None
        return self.w.kill(role)

    def recover(self, role, old):
        if role == "supervisor":
            self.w.start_doorpayd(wait_link=False, wait_reader=False)
        else:
            self.w.wait_restarted(role, old, 20)
        self.w.tell_acquirer("rules clear")
        self.w.tell_acquirer("listen")

    def learn(self, service):
        """What the app does when it got no answer: it asks until it has one."""
        def ask():
            answer = self.w.doorpay("status", "--service-id", service, status=None)
            state = answer.get("state")
            if state in ("approved", "declined") or answer.get("reason") == "not_found":
                return answer
            return None
        def asked():
            try:
                return ask()
            except WorldError:
                return None  # the till is on its way up
        answer = wait_for(f"the truth about {service}", asked, 90, 0.05)
        self.known[service] = ("not_found" if answer.get("reason") == "not_found"
                               else answer["state"], answer.get("transaction_id", "").lower())
        return answer

    def one(self, role, state):
        card = None
        try:
            service, finish, profile, card = getattr(self, state)()
            old = self.kill(role)
            if profile is not None and role not in ("vault", "supervisor", "card"):
                card = self.w.card(profile)  # the payment goes on: somebody presents a card
            said = None
            if finish is not None:
                self.recover(role, old)
                said = finish(120)
            else:
                self.recover(role, old)
            if profile is not None and card is None:
                card = self.w.card(profile)
            answer = self.learn(service)
            if said is not None and said.get("state") in ("approved", "declined"):
                same(f"{service}: first answer and status", answer.get("state"), said["state"])
        finally:
            if card is not None:
                card.remove()
        self.w.wait_reader(30)
        self.w.wait_link(True, 30)


def plan():
    """KILLS kills: every cell equally often, the rest by chance."""
    cells = [(role, state) for state in STATES for role in ROLES]
    todo = cells * (KILLS // len(cells))
    todo += chance.sample(cells, KILLS - len(todo))
    chance.shuffle(todo)
    return todo


def histogram(done, states):
    print("# process     " + "".join(f"{s:>12}" for s in states))
    for role in ROLES:
        print(f"# {role:<12}" + "".join(f"{done.count((role, s)):>12}" for s in states))


def parameters(**changes):
    return e2e.parameters(offline__round_amount_max="99999999", offline__round_count_max="9999",
                          offline__card_amount_max="99999999", offline__card_count_max="9999",
                          aid__floor_limit="99999999",  # one card pays all day: a split sale
                          deferred__allowed="no", acquirer__message=MESSAGE,
                          acquirer__card_data=CARD_DATA, **changes)


def everybody_agrees(w, r):
    """What the app was told, the journal, the acquirer's books and finance's report; then the end,
    and the journal is whole. The payments that are captured."""
    told = {tx: r.amounts[service] for service, (state, tx) in r.known.items()
            if state == "approved"}
    final = e2e.all_agree(w, told)
    w.stop_doorpayd()
    verdict = w.verify_journal()
    same("the journal's verdict", verdict["exit_status"], 0)
    states_seen = [s for s, _ in r.known.values()]
    print(f"# {len(r.known)} payments: {states_seen.count('approved')} approved, "
          f"{states_seen.count('declined')} declined, {states_seen.count('not_found')} never begun; "
          f"{len(final)} captured, {sum(final.values())} minor units, all views equal", flush=True)
    return final


def every_payment_ends_one_way_and_the_books_agree():
    text = parameters()
    print(f"# {KILLS} kills, seed {SEED}, {MESSAGE} message, {CARD_DATA} card data", flush=True)
    with World(params_text=text) as w:
        w.start()
        r = Round(w)
        done = []
        for role, state in plan():
            try:
                r.one(role, state)
            except Exception as e:
                raise AssertionError(f"kill {len(done) + 1} of {role} in {state}: {e}\n"
                                     + w.log("doorpayd")[-2000:]) from e
            done.append((role, state))
            if len(done) % 20 == 0:
                print(f"# {len(done)} kills", flush=True)
        histogram(done, STATES)
        if not e2e.QUICK and KILLS >= 150:
            least = min(done.count((role, s)) for role in ROLES for s in STATES)
            assert least >= 5, f"a cell of the histogram holds {least} kills only"
        final = everybody_agrees(w, r)
        keep = os.environ.get("DP_KILLS_JSON")
        if keep:
            with open(keep, "w", encoding="utf-8") as f:
                json.dump({"seed": SEED, "kills": done, "captured": len(final)}, f)


if __name__ == "__main__":
    World.enter()
    sys.exit(e2e.run([every_payment_ends_one_way_and_the_books_agree]))
