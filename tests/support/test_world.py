#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""world.py itself: namespaces, a card in the reader as a PC/SC client sees it, and that nothing is
left, however a program ends. Usage: test_world.py DOORPAY-SIM CARDS-DIR; speaks TAP."""
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import World, WorldError, wait_for  # noqa: E402

SIM, CARDS = (os.path.abspath(p) for p in sys.argv[1:3])


# ---- a PC/SC client ----


class State(ctypes.Structure):
    _fields_ = [("reader", ctypes.c_char_p), ("user", ctypes.c_void_p),
                ("current", ctypes.c_ulong), ("event", ctypes.c_ulong),
                ("atr_n", ctypes.c_ulong), ("atr", ctypes.c_ubyte * 33)]


class Pcsc:
    """Enough of libpcsclite to select an application."""

    def __init__(self, world):
        os.environ.update(world.environment())
        self.lib = ctypes.CDLL("libpcsclite.so.1")
        self.context = ctypes.c_long()
        self.do("SCardEstablishContext", ctypes.c_ulong(2), None, None, ctypes.byref(self.context))

    def do(self, name, *args):
        result = getattr(self.lib, name)(*args) & 0xFFFFFFFF
        if result != 0:
            raise OSError(f"{name}: {result:08X}")

    def readers(self):
        n = ctypes.c_ulong(4096)
        names = ctypes.create_string_buffer(n.value)
        self.do("SCardListReaders", self.context, None, names, ctypes.byref(n))
        return [r for r in names.raw[:n.value].split(b"\0") if r]

    def atr(self, reader):
        state = State(reader=reader)
        self.do("SCardGetStatusChange", self.context, ctypes.c_ulong(0), ctypes.byref(state), 1)
        return bytes(state.atr[:state.atr_n])

    def transmit(self, reader, command):
        card, protocol = ctypes.c_long(), ctypes.c_ulong()
        self.do("SCardConnect", self.context, reader, ctypes.c_ulong(2), ctypes.c_ulong(3),
                ctypes.byref(card), ctypes.byref(protocol))
        request = (ctypes.c_ulong * 2)(protocol.value, 16)
        answer, n = ctypes.create_string_buffer(258), ctypes.c_ulong(258)
        self.do("SCardTransmit", card, request, command, ctypes.c_ulong(len(command)), None,
                answer, ctypes.byref(n))
        self.do("SCardDisconnect", card, ctypes.c_ulong(0))
        return answer.raw[:n.value]


# ---- tests ----


def stage(directory):
    """An installed tree of the simulator alone."""
    os.makedirs(os.path.join(directory, "bin"), exist_ok=True)
    path = os.path.join(directory, "bin", "doorpay-sim")
    if not os.path.exists(path):
        os.symlink(SIM, path)
    return directory


def alive(pid):
    return os.path.exists(f"/proc/{pid}") and World._alive(pid)


def a_pcsc_client_meets_the_card_and_sees_it_leave():
    with tempfile.TemporaryDirectory() as d, World(stage(d)) as w:
        w.sim("keys", "--out", w.keys)
        w.start_pcscd()
        pcsc = Pcsc(w)
        reader = pcsc.readers()[0]
        assert reader.startswith(b"Doorpay"), reader
        assert pcsc.atr(reader) == b"", "a card before there is one"
        with w.card(f"{CARDS}/cda-online.card") as card:
            wait_for("the card", lambda: pcsc.atr(reader), 5)
            answer = pcsc.transmit(reader, bytes.fromhex("00A4040007A000000999010100"))
            assert answer[-2:] == b"\x90\x00" and answer[0] == 0x6F, answer.hex()
            assert card.commands() == ["00A4040007A000000999010100"], card.commands()
        wait_for("the card to be gone", lambda: not pcsc.atr(reader), 5)


def two_worlds_one_after_the_other_share_nothing():
    for _ in range(2):
        with tempfile.TemporaryDirectory() as d, World(stage(d)) as w:
            w.start_pcscd()
            assert os.listdir("/run/pcscd") and os.path.isdir(w.dir)
            kept = w.dir
        assert not os.path.exists(kept) and not os.listdir("/run/pcscd")


def the_network_is_a_namespace_of_its_own():
    with open("/proc/net/dev", encoding="ascii") as f:
        assert [line.split(":")[0].strip() for line in f if ":" in line] == ["lo"]


def the_acquirer_listens_is_cut_off_and_settles():
    with tempfile.TemporaryDirectory() as d, World(stage(d)) as w:
        w.sim("keys", "--out", w.keys)
        w.start_acquirer()
        assert World._listens(w.port)
        w.tell_acquirer("stop-listening")
        wait_for("no listener", lambda: not World._listens(w.port), 5)
        w.tell_acquirer("listen")
        wait_for("a listener", lambda: World._listens(w.port), 5)
        try:
            w.tell_acquirer("nonsense")
        except WorldError as e:
            assert "nonsense" in str(e), e
        else:
            raise AssertionError("it took nonsense")
        with open(w.settle_acquirer(), encoding="utf-8") as f:
            assert f.readline().startswith("acquirer_reference,type,"), "no header"
        port = w.port
        w.stop_acquirer()
        w.start_acquirer()
        assert w.port == port and World._listens(port)


def a_card_that_cannot_start_says_why():
    with tempfile.TemporaryDirectory() as d, World(stage(d)) as w:
        w.sim("keys", "--out", w.keys)
        try:
            w.card("no-such-profile")
        except WorldError as e:
            assert "no-such-profile" in str(e), e
        else:
            raise AssertionError("it started")


CHILD = """
import os, sys, time
sys.path.insert(0, {here!r})
from world import World
World.enter()
with World({stage!r}, {dir!r}) as w:
    w.sim("keys", "--out", w.keys)
    w.start_pcscd()
    w.card({card!r})
    # a grandchild that lost its parent
    w.spawn("orphan", ["sh", "-c", "sleep 1000 & echo $! >orphan.pid"]).wait()
    print(*[p.pid for _, p in w.processes], open(w.dir + "/orphan.pid").read().strip(), flush=True)
    {then}
"""


def run_child(then, sent):
    """The program's exit status and the ids of all it had started."""
    with tempfile.TemporaryDirectory() as d:
        code = CHILD.format(here=os.path.dirname(os.path.abspath(__file__)), stage=stage(d),
                            dir=os.path.join(d, "w"), card=f"{CARDS}/cda-online.card", then=then)
        env = {k: v for k, v in os.environ.items() if k != "DP_WORLD_ENTERED"}
        script = os.path.join(d, "child.py")
        with open(script, "w", encoding="utf-8") as f:
            f.write(code)
        child = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        pids = [int(p) for p in child.stdout.readline().split()]
        assert len(pids) >= 3, child.communicate()[1]
        assert all(alive(p) for p in pids[:2] + pids[-1:]), "not started"
        if sent is not None:
            child.send_signal(sent)
        err = child.communicate(timeout=30)[1]  # closes its standard input too
        return child.returncode, pids, err


def ends_all(then, sent, wanted):
    status, pids, err = run_child(then, sent)
    assert status == wanted, (status, err)
    left = [p for p in pids if alive(p)]
    assert not left, f"left: {left}"


def nothing_is_left_after_an_exception():
    ends_all("sys.stdin.readline(); raise KeyError('x')", None, 1)


def nothing_is_left_after_sigterm():
    ends_all("time.sleep(60)", signal.SIGTERM, 128 + signal.SIGTERM)


def nothing_is_left_after_sigint():
    ends_all("time.sleep(60)", signal.SIGINT, 128 + signal.SIGINT)


def what_it_started_dies_with_it_even_when_it_is_killed():
    status, pids, _ = run_child("time.sleep(60)", signal.SIGKILL)
    assert status == -signal.SIGKILL
    # An orphan is nobody's then: what the World itself started must be gone.
    end = time.monotonic() + 5
    while any(alive(p) for p in pids[:2]) and time.monotonic() < end:
        time.sleep(0.01)
    left = [p for p in pids[:2] if alive(p)]
    os.kill(pids[-1], signal.SIGKILL)
    assert not left, f"left: {left}"


TESTS = [a_pcsc_client_meets_the_card_and_sees_it_leave,
         two_worlds_one_after_the_other_share_nothing, the_network_is_a_namespace_of_its_own,
         the_acquirer_listens_is_cut_off_and_settles,
         a_card_that_cannot_start_says_why, nothing_is_left_after_an_exception,
         nothing_is_left_after_sigterm, nothing_is_left_after_sigint,
         what_it_started_dies_with_it_even_when_it_is_killed]


def main():
    World.enter()
    failed = 0
    print(f"1..{len(TESTS)}", flush=True)
    for i, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {i} - {test.__name__}", flush=True)
        except Exception as e:  # noqa: BLE001
            failed += 1
            print(f"not ok {i} - {test.__name__}\n# {type(e).__name__}: {e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
