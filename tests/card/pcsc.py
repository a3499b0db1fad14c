#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The PC/SC reader against the real pcscd with the virtual reader driver, in network and mount
namespaces of the test's own. Usage: pcsc.py DRIVER DOORPAY-SIM CARDS-DIR; speaks TAP."""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

PCSCD = shutil.which("pcscd", path="/usr/sbin:/usr/bin:/sbin:/bin")
VPCD = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PORT = 40000
TIMEOUT, CANCELLED, GONE, NOT_FOUND = "err -32", "err -35", "err -33", "err -18"
UNREACHABLE, BUSY, UNSUPPORTED, ARG = "err -36", "err -34", "err -17", "err -1"
SELECT = "00A4040007A000000999010100"

DRIVER, SIM, CARDS = sys.argv[1:4]
TMP = os.environ.get("TMPDIR", tempfile.gettempdir())


def enter_namespaces():
    """Runs this file again where port and socket path are its own; exits 77-like when it cannot."""
    options = ["-mn"] if os.getuid() == 0 else ["-Urmn"]
    if subprocess.run(["unshare", *options, "true"], stderr=subprocess.DEVNULL).returncode:
        print("1..0 # SKIP no namespaces here")
        sys.exit(0)
    env = dict(os.environ, DP_PCSC_INSIDE="1")
    script = 'ip link set lo up && exec "$@"'
    os.execvpe("unshare", ["unshare", *options, "sh", "-c", script, "sh", sys.executable, __file__,
                           *sys.argv[1:]], env)


class Service:
    """pcscd with its socket directory bound to one of ours."""

    def __init__(self, readers=True):
        self.dir = tempfile.mkdtemp(dir=TMP)
        self.run = os.path.join(self.dir, "run")
        self.readers = os.path.join(self.dir, "readers")
        os.mkdir(self.run)
        os.mkdir(self.readers)
        if readers:
            self.plug()
        self.process = None
        self.start()

    def plug(self):
        with open(os.path.join(self.readers, "vpcd"), "w") as f:
            f.write(f'FRIENDLYNAME "Doorpay"\nDEVICENAME /dev/null:{PORT:#x}\n'
                    f"LIBPATH {VPCD}\nCHANNELID {PORT:#x}\n")

    def unplug(self):
        os.remove(os.path.join(self.readers, "vpcd"))

    def start(self):
        os.makedirs("/run/pcscd", exist_ok=True)
        script = 'mount --bind "$0" /run/pcscd && exec "$@"'
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script, self.run, PCSCD, "-f", "-c", self.readers],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: os.path.exists(self.socket()) and self.lets_in(), "pcscd does not come up")

    def lets_in(self):
        """Its socket is there a moment before it takes clients."""
        r = Reader(self.socket())
        answer = r.ask("open")
        r.end()
        return answer != UNREACHABLE

    def socket(self):
        return os.path.join(self.run, "pcscd.comm")

    def kill(self):
        self.process.kill()
        self.process.wait()
        for name in os.listdir(self.run):
            os.remove(os.path.join(self.run, name))

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir)


def until(true, why, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, why
        time.sleep(0.01)


class Reader:
    """The driver program."""

    def __init__(self, service_socket):
        env = dict(os.environ, PCSCLITE_CSOCK_NAME=service_socket)
        self.process = subprocess.Popen([DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=env)

    def ask(self, line):
        self.send(line)
        return self.answer()

    def send(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().strip()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0, "the driver died"


def card(profile, script=None):
    args = [SIM, "card", "--keys", KEYS, "--profile", f"{CARDS}/{profile}.card", "--vpcd",
            f"127.0.0.1:{PORT}", "--log", LOG]
    if script:
        path = os.path.join(TMP, "script")
        with open(path, "w") as f:
            f.write(script)
        args += ["--script", path]
    return subprocess.Popen(args, stdout=subprocess.DEVNULL)


def take_out(process):
    process.kill()
    process.wait()


def is_(got, wanted):
    assert got == wanted, f"{got!r}, not {wanted!r}"


def starts(got, wanted):
    assert got.startswith(wanted), f"{got!r} does not begin with {wanted!r}"


# ---- tests ----


def no_service_is_unreachable():
    r = Reader(os.path.join(TMP, "nobody.comm"))
    is_(r.ask("open"), UNREACHABLE)
    is_(r.ask("open " + "x" * 200), ARG)
    r.end()


def no_reader_is_not_found():
    s = Service(readers=False)
    r = Reader(s.socket())
    is_(r.ask("open"), NOT_FOUND)
    r.end()
    s.end()


def reader_is_chosen_by_part_of_its_name():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open Nothing like it"), NOT_FOUND)
    is_(r.ask("open oorpa"), "ok")
    r.end()
    s.end()


def tells_interface_and_protocol():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open Doorpay 00 00"), "ok")
    is_(r.ask("wait 200"), TIMEOUT)
    for profile, said in (("cda-online", "ok interface=1 protocol=1 atr=3B"),
                          ("cda-t0", "ok interface=1 protocol=0 atr=3B"),
                          ("qvsdc", "ok interface=2 protocol=4 atr=3B80800101")):
        c = card(profile)
        starts(r.ask("wait 5000"), said)
        is_(r.ask("off"), "ok")
        is_(r.ask("removal 100"), TIMEOUT)
        take_out(c)
        is_(r.ask("removal 5000"), "ok")
    r.end()
    s.end()


def exchanges_what_the_card_said():
    s = Service()
    c = card("cda-online")
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    starts(r.ask("wait 5000"), "ok")
    answer = r.ask("send " + SELECT)
    starts(answer, "ok 6F")
    assert answer.endswith("9000"), answer
    with open(LOG) as f:
        log = f.read().replace(" ", "").upper()
    assert "<" + answer[3:] in log, log
    assert ">" + SELECT in log, log
    is_(r.ask("send 00B2FF0C00"), "ok 6985")
    is_(r.ask("off"), "ok")
    is_(r.ask("send " + SELECT), GONE)
    take_out(c)
    r.end()
    s.end()


def card_is_ours_alone_until_power_off():
    s = Service()
    c = card("cda-online")
    a, b = Reader(s.socket()), Reader(s.socket())
    is_(a.ask("open"), "ok")
    is_(b.ask("open"), "ok")
    starts(a.ask("wait 5000"), "ok")
    is_(b.ask("wait 5000"), BUSY)
    is_(a.ask("off"), "ok")
    starts(b.ask("wait 5000"), "ok")
    take_out(c)
    a.end()
    b.end()
    s.end()


def card_pulled_out_in_the_middle_is_gone_and_the_next_one_works():
    s = Service()
    c = card("cda-online", "select#2 remove\n")
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    starts(r.ask("wait 5000"), "ok")
    starts(r.ask("send " + SELECT), "ok")
    is_(r.ask("send " + SELECT), GONE)
    take_out(c)
    is_(r.ask("off"), "ok")
    is_(r.ask("wait 600"), TIMEOUT)
    c = card("cda-online")
    starts(r.ask("wait 5000"), "ok")
    starts(r.ask("send " + SELECT), "ok")
    take_out(c)
    r.end()
    s.end()


def a_card_without_a_sound_atr_is_not_readable():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    with socket.create_connection(("127.0.0.1", PORT)) as c:
        r.send("wait 10000")
        c.settimeout(0.05)
        end = time.monotonic() + 8
        said = threading.Thread(target=lambda: LAST.append(r.answer()))
        said.start()
        while said.is_alive() and time.monotonic() < end:
            try:
                frame = c.recv(64)
            except TimeoutError:
                continue
            if frame.endswith(b"\4"):
                c.sendall(b"\0\1\xFF")  # no ATR that there is
        said.join(1)
    is_(LAST[-1:], [UNSUPPORTED])
    r.end()
    s.end()


def a_card_whose_cold_reset_fails_gets_one_warm_reset():
    """After a cold reset the check character is wrong; after the warm one it may be right."""
    for warm, said in ((b"\x3B\x80\x01\x81", "ok interface=1 protocol=1 atr=3B800181"),
                       (b"\x3B\x80\x01\x00", "err")):
        s = Service()
        r = Reader(s.socket())
        is_(r.ask("open"), "ok")
        resets, answers = [], []
        with socket.create_connection(("127.0.0.1", PORT)) as c:
            r.send("wait 10000")
            c.settimeout(0.05)
            end = time.monotonic() + 8
            waits = threading.Thread(target=lambda: answers.append(r.answer()))
            waits.start()
            while waits.is_alive() and time.monotonic() < end:
                try:
                    frame = c.recv(64)
                except TimeoutError:
                    continue
                resets += [b for b in frame if b in (1, 2)]  # vpcd: power on, reset
                if frame.endswith(b"\4"):
                    atr = warm if 2 in resets else b"\x3B\x80\x01\x00"
                    c.sendall(len(atr).to_bytes(2, "big") + atr)
            waits.join(1)
        starts(answers[0], said)
        is_(resets.count(2), 1)
        r.end()
        s.end()


def cancel_from_a_signal_ends_a_wait_at_once():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    r.send("wait 20000")
    time.sleep(0.3)
    begin = time.monotonic()
    r.process.send_signal(signal.SIGUSR1)
    is_(r.answer(), CANCELLED)
    assert time.monotonic() - begin < 1, "cancelled late"
    is_(r.ask("wait 100"), TIMEOUT)  # used up
    r.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    is_(r.ask("wait 5000"), CANCELLED)  # before the wait counts for it
    r.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    is_(r.ask("off"), "ok")
    is_(r.ask("wait 100"), TIMEOUT)  # forgotten at power_off
    r.end()
    s.end()


def service_that_dies_is_unreachable_and_found_again():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    r.send("wait 20000")
    time.sleep(0.3)
    s.kill()
    is_(r.answer(), UNREACHABLE)
    is_(r.ask("wait 100"), UNREACHABLE)
    is_(r.ask("removal 100"), UNREACHABLE)
    s.start()
    c = card("cda-online")
    starts(r.ask("wait 5000"), "ok")
    starts(r.ask("send " + SELECT), "ok")
    take_out(c)
    r.end()
    s.end()


def service_that_dies_in_an_exchange_is_unreachable():
    s = Service()
    c = card("cda-online", "select#2 delay 3000\n")
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    starts(r.ask("wait 5000"), "ok")
    starts(r.ask("send " + SELECT), "ok")
    r.send("send " + SELECT)
    time.sleep(0.3)
    s.kill()
    is_(r.answer(), UNREACHABLE)
    is_(r.ask("send " + SELECT), GONE)
    take_out(c)
    r.end()
    s.end()


def reader_that_goes_is_not_found_and_found_again():
    s = Service()
    r = Reader(s.socket())
    is_(r.ask("open"), "ok")
    is_(r.ask("wait 100"), TIMEOUT)
    s.kill()
    s.unplug()
    s.start()
    is_(r.ask("wait 100"), UNREACHABLE)  # the service we spoke to is not there any more
    is_(r.ask("wait 100"), NOT_FOUND)
    is_(r.ask("removal 100"), NOT_FOUND)
    s.kill()
    s.plug()
    s.start()
    is_(r.ask("wait 100"), UNREACHABLE)
    c = card("cda-online")
    starts(r.ask("wait 5000"), "ok")
    take_out(c)
    r.end()
    s.end()


TESTS = (no_service_is_unreachable, no_reader_is_not_found, reader_is_chosen_by_part_of_its_name,
         tells_interface_and_protocol, exchanges_what_the_card_said,
         card_is_ours_alone_until_power_off,
         card_pulled_out_in_the_middle_is_gone_and_the_next_one_works,
         a_card_without_a_sound_atr_is_not_readable,
         a_card_whose_cold_reset_fails_gets_one_warm_reset, cancel_from_a_signal_ends_a_wait_at_once, service_that_dies_is_unreachable_and_found_again,
         service_that_dies_in_an_exchange_is_unreachable,
         reader_that_goes_is_not_found_and_found_again)


def main():
    failures = 0
    print(f"1..{len(TESTS)}")
    for number, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}")
        except Exception:  # pylint: disable=broad-except
            failures += 1
            print(f"not ok {number} - {test.__name__}")
            print("# " + traceback.format_exc().strip().replace("\n", "\n# "))
            for p in list(LEFT):
                p.kill()
        sys.stdout.flush()
    sys.exit(1 if failures else 0)


LEFT = set()
LAST = []
plain_popen = subprocess.Popen.__init__


def remember(self, *args, **kwargs):
    plain_popen(self, *args, **kwargs)
    LEFT.add(self)


if PCSCD is None or not os.path.exists(VPCD):
    print("1..0 # SKIP pcscd or its virtual reader is not installed")
    sys.exit(0)
if "DP_PCSC_INSIDE" not in os.environ:
    enter_namespaces()
subprocess.Popen.__init__ = remember
KEYS = os.path.join(TMP, "keys")
LOG = os.path.join(TMP, "card.log")
subprocess.run([SIM, "keys", "--out", KEYS], check=True, stdout=subprocess.DEVNULL)
main()
