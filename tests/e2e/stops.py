#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGSTOP of any process at any point of a payment, for longer than anybody waits for it, then
SIGCONT: it goes on with what it was about to do as if no time had passed, among others who have
given it up. The payment must end in one way, and everybody's books agree (kills.py is kill -9).

    stops.py [STOPS] [SEED]     speaks TAP; prints a histogram process x state

Default: every process once; STOPS=30 is every process in every state.
"""
import contextlib
import os
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
if len(sys.argv) == 1:
    sys.argv.append("5")
import kills  # noqa: E402
import e2e  # noqa: E402
from e2e import World, same  # noqa: E402

STOPS = kills.KILLS
PATIENCE_S = 2          # how long the vault waits for an acquirer, in this world's parameters
STOP_S = PATIENCE_S + 1.5


class Stops(kills.Round):
    def state(self, pid):
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0]

    def stop(self, role):
        """Stopped and gone on; a process that somebody ended meanwhile stays ended."""
        pid = self.w.pids()[role]
        os.kill(pid, signal.SIGSTOP)
        e2e.wait_for(f"{role} to stand still", lambda: self.state(pid) == "T", 5, 0.002)
        try:
            time.sleep(STOP_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def one(self, role, state):
        card = None
        try:
            service, finish, profile, card = getattr(self, state)()
            self.stop(role)
            self.w.tell_acquirer("rules clear")
            self.w.tell_acquirer("listen")
            if profile is not None and card is None:
                card = self.w.card(profile)
            said = finish(120) if finish is not None else None
            answer = self.learn(service)
            if said is not None and said.get("state") in ("approved", "declined"):
                same(f"{service}: first answer and status", answer.get("state"), said["state"])
        finally:
            if card is not None:
                card.remove()
        self.w.wait_reader(30)
        self.w.wait_link(True, 30)


def plan():
    """Every process as often as the others; the states in which they are found by chance."""
    todo = []
    while len(todo) < STOPS:
        for i, role in enumerate(kills.ROLES):
            states = list(kills.STATES)
            todo.append((role, states[(len(todo) // len(kills.ROLES) + i + kills.SEED)
                                      % len(states)]))
    return todo[:STOPS]


def stopped_and_gone_on_every_payment_ends_one_way():
    text = kills.parameters(acquirer__online_timeout_ms=str(PATIENCE_S * 1000))
    print(f"# {STOPS} stops of {STOP_S} s, seed {kills.SEED}", flush=True)
    with World(params_text=text) as w:
        w.start()
        r = Stops(w)
        done = []
        for role, state in plan():
            try:
                r.one(role, state)
            except Exception as e:
                raise AssertionError(f"stop {len(done) + 1}, of {role} in {state}: {e}\n"
                                     + w.log("doorpayd")[-2000:]) from e
            done.append((role, state))
        kills.histogram(done, kills.STATES)
        kills.everybody_agrees(w, r)


if __name__ == "__main__":
    World.enter()
    sys.exit(e2e.run([stopped_and_gone_on_every_payment_ends_one_way]))
