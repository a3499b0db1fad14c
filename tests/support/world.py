# SPDX-License-Identifier: Apache-2.0
"""A terminal and everything around it, for tests and the demo: keys, signed parameters, a
provisioned token, a PC/SC daemon with the vpcd virtual reader, cards, the simulated acquirer,
doorpayd. All of it real processes from an installed tree, in a network and a mount namespace of
their own, with every file below one directory.

    from world import World
    World.enter()                       # once, first: re-executes the program in its namespaces
    with World() as w:
        w.start()                       # provisions, then PC/SC, acquirer and doorpayd
        with w.card("cda-online"):
            paid = w.pay("23.50", parcel="P-1")
        assert paid["state"] == "approved"
        w.network_down()
        ...

Leaving the `with` block, an exception, SIGINT and SIGTERM all end each process the World started,
by its id, and remove its directory unless it was given one. Standard library only.
"""
import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENTERED = "DP_WORLD_ENTERED"
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
VPCD_PORT = 0x9C40  # 40000; the driver opens this and the next
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
MS_BIND = 4096


class WorldError(Exception):
    """Something of the surroundings did not come up, or did not do what it was told."""


class Failed(WorldError):
    """A command ended with another exit status than wanted."""

    def __init__(self, args, status, out, err):
        self.status, self.out, self.err = status, out, err
        said = (err.strip() or out.strip()).splitlines()[-3:]
        super().__init__(f"{' '.join(args)}: exit status {status}: {' / '.join(said)}")


def _stop(number, _frame):
    raise SystemExit(128 + number)


def _die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _mount(source, target, kind, flags):
    if LIBC.mount(source.encode(), target.encode(), kind, flags, None) != 0:
        number = ctypes.get_errno()
        raise WorldError(f"mount {source} on {target}: {os.strerror(number)}")


def wait_for(what, test, seconds=10.0, every=0.01):
    """The first true value of test(), or WorldError "WHAT: not within SECONDS s"."""
    end = time.monotonic() + seconds
    while True:
        value = test()
        if value:
            return value
        if time.monotonic() >= end:
            raise WorldError(f"{what}: not within {seconds:g} s")
        time.sleep(every)


class Card:
    """A card in the reader. `log` holds what was said, card numbers masked."""

    def __init__(self, world, process, log, slot):
        self.world, self.process, self.log, self.slot = world, process, log, slot

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        """Takes it out. Nothing happens when it is out already."""
        if self.process.poll() is None:
            self.world.card_out_at = time.monotonic()
        self.world.end(self.process)

    def wait_out(self, seconds=10.0):
        """Waits for a card that leaves by itself (exit_after, a script); its exit status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise WorldError(f"the card is still in the reader after {seconds:g} s") from None
        self.world.end(self.process)
        return status

    def commands(self):
        """Command APDUs so far, hex, in order."""
        with open(self.log, encoding="ascii", errors="replace") as f:
            return [line[2:].strip() for line in f if line.startswith("> ")]


class World:
    """See the module. Attributes that tests may read:

    dir         everything is below it
    keys        doorpay-sim's keys                  token       the soft key store; hsm: its URI
    journals    doorpayd's journal directory        params      the signed parameter set
    books       what the acquirer holds as truth    settlement  the acquirer's CSV
    traffic     what the acquirer saw on the wire   wire_log    doorpayd's masked wire log
    logs        one file a process                  socket      the till's
    """

    def __init__(self, stage=None, directory=None, params_text=None, tid="DP000001",
                 dukpt_id=None, wrap=None, tokens=False, faults=False):
        """stage: an installed tree (default: build/stage of this source tree, or DP_STAGE).
        directory: made if absent and kept; default a fresh one, removed at the end.
        params_text: text form of the parameters; default examples/params/demo.params.
        wrap: {"doorpayd": ["strace", ...]}: commands put before a program's own.
        tokens: keys in SoftHSM2 and the anchor in swtpm instead of soft:.
        faults: the token fails when token_fails() says so (sim:)."""
        if os.environ.get(ENTERED) != str(os.getpid()):
            raise WorldError("World.enter() comes first")
        self.stage = os.path.abspath(stage or os.environ.get("DP_STAGE") or
                                     os.path.join(ROOT, "build", "stage", "usr"))
        self.kept = directory is not None
        self.dir = os.path.abspath(directory) if directory else tempfile.mkdtemp(prefix="dp-world-")
        os.makedirs(self.dir, exist_ok=True)
        self.tid, self.wrap = tid, wrap or {}
        self.dukpt_id = dukpt_id or f"{int.from_bytes(tid.encode()[-8:], 'big'):016X}"[-16:]
        self.params_text = params_text
        at = lambda *names: os.path.join(self.dir, *names)  # noqa: E731
        self.keys, self.token, self.journals = at("keys"), at("token"), at("journals")
        self.tokens, self.hsm = tokens, f"soft:{self.token}"
        if tokens:
            # short: a line of doorpayd.conf has its limit
            self.hsm = (f"pkcs11:token=dp?module-path={SOFTHSM}&pin-source={at('pin')}"
                        f"+tpm2-anchor:tcti=swtpm:path={at('tpm')}?auth-source={at('auth')}")
        self.faults = at("faults") if faults else None
        if faults:
            self.hsm = f"sim:dir={self.token}?script={self.faults}"
            self.token_fails("")
        self.run, self.logs, self.pcsc = at("run"), at("logs"), at("pcscd")
        self.params, self.socket = at("params.dpp"), at("run", "till.sock")
        self.books, self.settlement = at("acquirer", "books"), at("acquirer", "settlement.csv")
        self.traffic, self.wire_log = at("acquirer", "traffic"), at("wire.log")
        self.control = at("run", "acquirer.ctl")
        self.config = at("doorpayd.conf")
        self.port = 0
        self.processes = []  # (name, Popen), in the order they were started
        self.pcscd = self.acquirer = self.doorpayd = None
        self.cards_n, self.card_out_at = 0, 0.0
        for path in (self.run, self.logs, self.pcsc, self.journals, at("acquirer")):
            os.makedirs(path, exist_ok=True)
        # A process that loses its parent becomes ours, so that teardown sees it.
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, _stop)

    # ---- namespaces ----

    @staticmethod
    def enter():
        """Re-executes the running program in namespaces of its own, as root or not. Call it first
        thing: what ran before it runs again. Returns at once when that has happened."""
        if os.environ.get(ENTERED) == str(os.getpid()):
            World._prepare_namespaces()
            return
        os.environ[ENTERED] = str(os.getpid())  # unshare execs: the id stays
        how = ["-nm"] if os.geteuid() == 0 else ["-Urmn"]
        try:
            os.execvp("unshare", ["unshare", *how, "--", sys.executable, *sys.argv])
        except OSError as e:
            raise WorldError(f"unshare: {e.strerror} (package util-linux)") from None

    @staticmethod
    def _prepare_namespaces():
        up = subprocess.run(["ip", "link", "set", "lo", "up"], capture_output=True, text=True,
                            check=False)
        if up.returncode != 0:
            raise WorldError(f"ip link set lo up: {up.stderr.strip()} (package iproute2)")
        # pcscd's socket path is compiled in; its directory may be absent, and /run not ours.
        if not os.path.isdir("/run/pcscd"):
            _mount("run", "/run", b"tmpfs", 0)
            os.mkdir("/run/pcscd")

    # ---- processes ----

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def program(self, name):
        return os.path.join(self.stage, "bin", name)

    def spawn(self, name, args, env=None, stdout=None):
        """Starts a process; its standard error goes to logs/NAME. Ended at the latest by close()."""
        with open(os.path.join(self.logs, name), "ab") as log:
            process = subprocess.Popen([*self.wrap.get(name, []), *args], stdin=subprocess.DEVNULL,
                                       stdout=stdout or log, stderr=log, cwd=self.dir,
                                       env={**os.environ, **self.environment(), **(env or {})},
                                       preexec_fn=_die_with_parent)
        self.processes.append((name, process))
        return process

    def end(self, process, patience=5.0, number=signal.SIGTERM):
        """Ends a process of spawn() by its id and waits for it."""
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self.processes = [p for p in self.processes if p[1] is not process]

    def environment(self):
        """What clients of this World's PC/SC daemon and till need to have set."""
        return {"PCSCLITE_CSOCK_NAME": os.path.join(self.pcsc, "pcscd.comm"),
                "DOORPAY_SOCKET": self.socket,
                "SOFTHSM2_CONF": os.path.join(self.dir, "softhsm2.conf")}

    def log(self, name):
        """What a process said so far, as text."""
        try:
            with open(os.path.join(self.logs, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def _tail(self, name):
        return " / ".join(self.log(name).strip().splitlines()[-3:]) or "it said nothing"

    def _must_live(self, name, process):
        if process.poll() is not None:
            raise WorldError(f"{name} ended with status {process.returncode}: {self._tail(name)}")

    def close(self):
        """Ends everything, last started first, then every other child of this program (what a
        process of ours left behind becomes our child)."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # one is under way already
        try:
            for name, process in reversed(self.processes[:]):
                self.end(process, 3.0 if name == "doorpayd" else 1.0)
            self._end_orphans()
            with contextlib.suppress(WorldError):
                self._unmount()
        finally:
            if not self.kept:
                shutil.rmtree(self.dir, ignore_errors=True)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _stop)

    def _unmount(self):
        if self.pcscd is not None:
            LIBC.umount2(b"/run/pcscd", 2)
            self.pcscd = None

    @staticmethod
    def _end_orphans():
        """Grandchildren whose parent is gone are our children now (PR_SET_CHILD_SUBREAPER)."""
        end = time.monotonic() + 5
        while time.monotonic() < end:
            children = World._children()
            if not children:
                return
            for pid in children:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.01)

    @staticmethod
    def _children():
        children = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as f:
                if int(f.read().rpartition(b")")[2].split()[1]) == os.getpid():
                    children.append(int(pid))
        return children

    # ---- commands ----

    def call(self, *args, status=0, env=None, seconds=60, text=None):
        """Runs a program to its end; its standard output. Failed when the exit status is not
        `status` (None: any)."""
        done = subprocess.run(args, capture_output=True, text=True, input=text, check=False,
                              timeout=seconds, cwd=self.dir,
                              env={**os.environ, **self.environment(), **(env or {})})
        if status is not None and done.returncode != status:
            raise Failed(args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def sim(self, *args, **how):
        """doorpay-sim VERB ..."""
        return self.call(self.program("doorpay-sim"), *args, **how)

    def doorpay(self, *args, status=0, **how):
        """doorpay VERB ... --json: its document as a dict. status None takes any exit status and
        adds it as "exit_status"."""
        full = [self.program("doorpay"), *args, "--json"]
        done = subprocess.run(full, capture_output=True, text=True, check=False, cwd=self.dir,
                              timeout=how.get("seconds", 60),
                              env={**os.environ, **self.environment()})
        if status is not None and done.returncode != status:
            raise Failed(full, done.returncode, done.stdout, done.stderr)
        try:
            answer = json.loads(done.stdout)
        except json.JSONDecodeError:
            raise Failed(full, done.returncode, done.stdout, done.stderr) from None
        if status is None:
            answer["exit_status"] = done.returncode
        return answer

    # ---- set-up ----

    def start_tokens(self):
        """A fresh SoftHSM2 token and a fresh TPM."""
        at = lambda *names: os.path.join(self.dir, *names)  # noqa: E731
        for name, text in (("pin", "1234567"), ("auth", "of this TPM")):
            with open(os.open(at(name), os.O_CREAT | os.O_WRONLY, 0o600), "w",
                      encoding="utf-8") as f:
                f.write(text + "\n")
        with open(at("softhsm2.conf"), "w", encoding="utf-8") as f:
            f.write(f"directories.tokendir = {self.token}\nlog.level = ERROR\n")
        os.mkdir(self.token, 0o700)
        os.mkdir(at("tpm-state"), 0o700)
        self.call("softhsm2-util", "--init-token", "--free", "--label", "dp", "--pin",
                  "1234567", "--so-pin", "7654321")
        tpm = at("tpm")
        process = self.spawn("swtpm", [
            "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={at('tpm-state')}", "--server",
            f"type=unixio,path={tpm}", "--ctrl", f"type=unixio,path={tpm}.ctrl", "--flags",
            "not-need-init,startup-clear"])

        def listens():
            self._must_live("swtpm", process)
            for path in (tpm, tpm + ".ctrl"):
                with socket.socket(socket.AF_UNIX) as s:
                    if s.connect_ex(path) != 0:
                        return False
            return True
        wait_for("swtpm", listens)

    def provision(self):
        """Keys, parameters, token: what a terminal gets before its first round."""
        if self.tokens:
            self.start_tokens()
        self.sim("keys", "--out", self.keys)
        self.write_params()
        key = [self.program("doorpay"), "key"]
        hsm = ["--hsm", self.hsm]
        csr = os.path.join(self.dir, "terminal.csr")
        self.call(*key, "init", *hsm)
        self.call(*key, "csr", *hsm, "--tid", self.tid, "--out", csr)
        self.sim("keys", "--out", self.keys, "--sign-csr", csr, "--tid", self.tid,
                 "--cert", os.path.join(self.dir, "terminal.pem"))
        initial = self.sim("keys", "--out", self.keys, "--dukpt-id", self.dukpt_id)
        self.call(*key, "dukpt-load", *hsm, text=initial)

    def token_fails(self, script):
        """What goes wrong (hsm/sim_script.h), from the next opening of the token on."""
        with open(self.faults, "w", encoding="ascii") as f:
            f.write(script)

    def write_params(self, text=None, *options):
        """Signs a parameter set and puts it where doorpayd will read it at its next start."""
        source = os.path.join(ROOT, "examples", "params", "demo.params")
        if text is None:
            text = self.params_text
        if text is not None:
            source = os.path.join(self.dir, "params.txt")
            with open(source, "w", encoding="utf-8") as f:
                f.write(text)
        self.sim("params", "--in", source, "--keys", self.keys, "--out", self.params, *options)

    def start(self):
        """Everything, ready for a payment."""
        if not os.path.isdir(self.keys):
            self.provision()
        self.start_pcscd()
        self.start_acquirer()
        self.start_doorpayd()

    # ---- PC/SC ----

    def start_pcscd(self):
        """The PC/SC daemon with one vpcd reader (two slots). One World at a time has it."""
        conf = os.path.join(self.dir, "reader.conf.d")
        os.makedirs(conf, exist_ok=True)
        with open(os.path.join(conf, "doorpay"), "w", encoding="ascii") as f:
            f.write('FRIENDLYNAME "Doorpay"\nDEVICENAME /dev/null:0x%X\n'
                    'LIBPATH /usr/lib/pcsc/drivers/serial/libifdvpcd.so\nCHANNELID 0x%X\n'
                    % (VPCD_PORT, VPCD_PORT))
        _mount(self.pcsc, "/run/pcscd", None, MS_BIND)
        pcscd = shutil.which("pcscd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if pcscd is None:
            raise WorldError("pcscd not found (package pcscd)")
        self.pcscd = self.spawn("pcscd", [pcscd, "-f", "-c", conf])
        wait_for("pcscd", lambda: self._must_live("pcscd", self.pcscd) or
                 (os.path.exists(os.path.join(self.pcsc, "pcscd.comm")) and
                  self._listens(VPCD_PORT)))

    def stop_pcscd(self):
        self.end(self.pcscd)
        self._unmount()

    @staticmethod
    def _listens(port):
        with open("/proc/net/tcp", encoding="ascii") as f:
            return any(re.match(rf"\s*\d+: [0-9A-F]+:{port:04X} 0+:0+ 0A ", line) for line in f)

    def wait_empty(self):
        """Until the PC/SC daemon knows that the last card is out: it looks at its readers every
        400 ms, and no hand changes cards between two looks."""
        time.sleep(max(0.0, self.card_out_at + 1.0 - time.monotonic()))

    def card(self, profile, script=None, slot=0, exit_after=None, atc=True, extra=()):
        """Inserts a card: a profile's name or file. script: text of what goes wrong
        (docs/sim.md). atc: the transaction counter outlives the card. Use it in `with`, or call
        remove()."""
        self.wait_empty()
        self.cards_n += 1
        log = os.path.join(self.logs, f"card-{self.cards_n}.apdu")
        args = [self.program("doorpay-sim"), "card", "--profile", profile, "--keys", self.keys,
                "--vpcd", f"127.0.0.1:{VPCD_PORT + slot}", "--log", log]
        if atc:
            os.makedirs(os.path.join(self.dir, "cards"), exist_ok=True)
            args += ["--atc-file", os.path.join(self.dir, "cards", os.path.basename(profile) + ".atc")]
        if script is not None:
            path = os.path.join(self.dir, f"script-{self.cards_n}")
            with open(path, "w", encoding="utf-8") as f:
                f.write(script)
            args += ["--script", path]
        if exit_after is not None:
            args += ["--exit-after", str(exit_after)]
        process = self.spawn(f"card-{self.cards_n}", [*args, *extra], stdout=subprocess.PIPE)
        if not process.stdout.readline():  # one line when it is in the reader, none when it failed
            process.wait()
            self.end(process)
            raise WorldError(f"card {profile}: {self._tail(f'card-{self.cards_n}')}")
        return Card(self, process, log, slot)

    # ---- the acquirer and the network ----

    def start_acquirer(self, port=None, tls=None):
        """The simulated acquirer; its port is drawn once and kept over restarts. tls: the one
        version it speaks ("1.2")."""
        self.port = port or self.port or self._free_port()
        ready = os.path.join(self.run, "acquirer.ready")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ready)
        self.acquirer = self.spawn("acquirer", [
            self.program("doorpay-sim"), "acquirer", "--keys", self.keys, "--port", str(self.port),
            "--books", self.books, "--settlement", self.settlement, "--control", self.control,
            "--traffic", self.traffic, "--ready-file", ready, *(["--tls", tls] if tls else [])])
        wait_for("acquirer", lambda: self._must_live("acquirer", self.acquirer) or
                 os.path.exists(ready))

    def stop_acquirer(self):
        self.end(self.acquirer)
        self.acquirer = None

    @staticmethod
    def _free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def tell_acquirer(self, line, seconds=10.0):
        """One control line ("drop 1", "delay 500", "totals"; docs/sim.md has them all): the
        acquirer's answer as a dict."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(seconds)
            try:
                s.connect(self.control)
                s.sendall(line.encode() + b"\n")
                text = s.makefile("r", encoding="utf-8").readline()
                answer = json.loads(text)
            except (OSError, ValueError) as e:
                raise WorldError(f"acquirer's control: {line}: {e}") from None
        if answer.get("ok") is not True:
            raise WorldError(f"acquirer's control: {line}: {text.strip()}")
        return answer

    def network_down(self):
        """No radio: the acquirer cannot be reached and open connections break."""
        self.tell_acquirer("stop-listening")
        self.tell_acquirer("close")
        self.wait_link(False)

    def network_up(self):
        self.tell_acquirer("listen")
        self.wait_link(True, 75)  # it tries less and less often, every minute at last

    def settle_acquirer(self):
        """The acquirer closes its day: writes `settlement`, which is returned."""
        self.tell_acquirer("settle")
        return self.settlement

    # ---- doorpayd ----

    def write_config(self, **changes):
        """doorpayd.conf. changes: acquirer__port="1" is [acquirer] port; None leaves one out."""
        settings = {
            "doorpayd": {"run_dir": self.run},
            "journal": {"dir": self.journals},
            "hsm": dict(zip(("uri", "anchor"), self.hsm.split("+", 1))),
            "params": {"file": self.params, "back_office": os.path.join(self.keys, "params.pub")},
            "acquirer": {"host": "127.0.0.1", "port": str(self.port),
                         "ca": os.path.join(self.keys, "tls-ca.pem"),
                         "cert": os.path.join(self.dir, "terminal.pem")},
            "till": {"socket": self.socket, "allow_uid": str(os.getuid())},
            "wire_log": {"file": self.wire_log},
        }
        for name, value in changes.items():
            section, _, key = name.partition("__")
            settings.setdefault(section, {})[key] = value
        with open(self.config, "w", encoding="utf-8") as f:
            for section, values in settings.items():
                f.write(f"[{section}]\n")
                f.writelines(f"{k} = {v}\n" for k, v in values.items() if v is not None)

    def start_doorpayd(self, wait_link=True, wait_reader=True, **changes):
        """The daemon, until it answers, has its reader and (wait_link) its acquirer. changes: as
        write_config."""
        self.write_config(**changes)
        self.doorpayd = self.spawn("doorpayd", [self.program("doorpayd"), "--config", self.config])
        wait_for("doorpayd", lambda: self._must_live("doorpayd", self.doorpayd) or
                 self.diagnose() is not None)
        if wait_reader:
            self.wait_reader()
        if wait_link:
            self.wait_link(True)

    def stop_doorpayd(self, number=signal.SIGTERM):
        """Ends it as systemd would; SIGKILL is the power cut (its children die with it)."""
        pids = self.pids()
        self.end(self.doorpayd, number=number)
        self.doorpayd = None
        wait_for("doorpayd's children's end",
                 lambda: not any(self._alive(pid) for pid in pids.values()))

    def restart_doorpayd(self, number=signal.SIGTERM, **changes):
        self.stop_doorpayd(number)
        self.start_doorpayd(**changes)

    def pids(self):
        """{"supervisor": id, "vault": id, "till": id, "card": id, "link": id} as doorpayd has
        them at this moment; 0 for one that is not running."""
        try:
            with open(os.path.join(self.run, "pids"), encoding="ascii") as f:
                return {name: int(pid) for name, pid in (line.split() for line in f)}
        except FileNotFoundError:
            return {}

    @staticmethod
    def _alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
                return f.read().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def kill(self, role, number=signal.SIGKILL):
        """Kills one of doorpayd's processes by its role; the id it had. Waits for its end."""
        pid = self.pids().get(role, 0)
        if pid == 0:
            raise WorldError(f"doorpayd has no {role} at this moment")
        os.kill(pid, number)
        wait_for(f"the end of {role}", lambda: not self._alive(pid))
        return pid

    def wait_restarted(self, role, old_pid, seconds=10.0):
        """Waits until another process than old_pid has the role; its id."""
        return wait_for(f"another {role}", lambda: next(
            (pid for name, pid in self.pids().items()
             if name == role and pid not in (0, old_pid) and self._alive(pid)), None), seconds)

    # ---- what a round app does ----

    def diagnose(self):
        """doorpay diagnose as a dict, or None when the daemon does not answer."""
        try:
            return self.doorpay("diagnose", status=None)
        except Failed:
            return None

    def wait_link(self, up, seconds=15.0):
        wait_for("the link " + ("up" if up else "down"),
                 lambda: (self.diagnose() or {}).get("link_up") is up, seconds, 0.05)

    def wait_reader(self, seconds=15.0):
        wait_for("the reader", lambda: (self.diagnose() or {}).get("reader_ok") is True,
                 seconds, 0.05)

    def wait_forwarded(self, seconds=30.0):
        """Waits until nothing is unsent."""
        wait_for("store and forward to be empty",
                 lambda: (self.diagnose() or {}).get("unsent") == 0, seconds, 0.05)

    @staticmethod
    def _pay_args(amount, currency, parcel, options):
        args = ["pay", amount, currency, "--parcel", parcel]
        for name, value in options.items():
            if value is not None:
                args += ["--" + name.replace("_", "-"), value]
        return args

    def pay(self, amount, currency="EUR", parcel="P-1", **options):
        """A payment, approved or not: doorpay's document. options: service_id, offline="forbid",
        deferred="forbid", sale_tx, manifest. A card must be in the reader, or be put there from
        another thread; see pay_begin."""
        return self.doorpay(*self._pay_args(amount, currency, parcel, options), status=None)

    def pay_begin(self, amount, currency="EUR", parcel="P-1", **options):
        """The same, not waited for: (process, finish). finish() waits and gives the document, or
        None when the tool got no answer."""
        args = [self.program("doorpay"), *self._pay_args(amount, currency, parcel, options), "--json"]
        process = self.spawn("doorpay-pay", args, stdout=subprocess.PIPE)

        def finish(seconds=30.0):
            try:
                out = process.communicate(timeout=seconds)[0]
            except subprocess.TimeoutExpired:
                raise WorldError(f"pay: no end within {seconds:g} s") from None
            finally:
                self.end(process)
            return json.loads(out) if out.strip() else None
        return process, finish

    def status(self, reference):
        """What the journal says of a service id or transaction id."""
        return self.doorpay("status", reference, status=None)

    # ---- the journal ----

    def journal_dir(self):
        """The one journal's directory."""
        names = [n for n in os.listdir(self.journals) if re.fullmatch(r"[0-9a-f]{32}", n)]
        if len(names) != 1:
            raise WorldError(f"{self.journals}: {len(names)} journals")
        return os.path.join(self.journals, names[0])

    def verify_journal(self, directory=None, hsm=True):
        """doorpay journal verify: its document with "exit_status" (0 fresh, 3 freshness unknown,
        4 rollback, 5 tampered). hsm: held against the token's anchor; with tokens=True the
        daemon must be stopped then, for swtpm serves one at a time."""
        args = ["journal", "verify", directory or self.journals]
        if hsm:
            args += ["--hsm", self.hsm]
        return self.doorpay(*args, status=None)
