#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's round. story.py DIR plays it with real processes (tests/support/world.py), checks what
it tells, and leaves the artifacts in DIR. Exit status 1, with what was seen, when a step is not so."""
import base64
import json
import os
import re
import shutil
import struct
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from world import World, WorldError, wait_for  # noqa: E402

SEGMENT_HEADER = 128
CARD_WAITS_MS = 1500  # how long the card of the crash takes its time


class NotSo(Exception):
    """A step did not go as it is told."""


def check(holds, what, seen):
    if not holds:
        raise NotSo(f"{what}; seen: {json.dumps(seen, default=str, sort_keys=True)}")


def eur(minor):
    return f"{minor / 100:.2f} EUR"


class Story:
    def __init__(self, world, out):
        self.w, self.out = world, out
        self.started = time.monotonic()
        self.paid = 0      # minor units that count as paid in the end
        self.killed = None  # service id of the payment in which the vault died

    # ---- telling ----

    def step(self, number, title):
        print(f"\n{number}. {title}", flush=True)

    @staticmethod
    def tell(text):
        print(f"   {text}", flush=True)

    def pay(self, profile, amount, parcel, **options):
        """Inserts the card and pays: the answer, with "ms" it took."""
        with self.w.card(profile) as card:
            wait_for("the card to be seen", lambda: card.process.poll() is None, 1)
            start = time.monotonic()
            answer = self.w.pay(amount, parcel=parcel, **options)
            answer["ms"] = round((time.monotonic() - start) * 1000)
            answer["apdus"] = len(card.commands())
        return answer

    def approved(self, answer, mode, minor):
        check(answer.get("state") == "approved" and answer.get("mode") == mode and
              answer.get("amount") == minor, f"{eur(minor)} should be approved, {mode}", answer)
        self.paid += minor

    # ---- the seven steps ----

    def contact(self):
        self.step(1, "A parcel is paid by inserting a card; the issuer is asked")
        a = self.pay("cda-online", "23.50", "3SDEMO0001")
        self.approved(a, "online", 2350)
        check(a.get("entry_mode") == "ICC" and a.get("auth_code"), "contact, with an approval code", a)
        self.tell(f"23.50 EUR with card {a['masked_pan']}: approved online, approval code "
                  f"{a['auth_code']}; {a['apdus']} card commands, {a['ms']} ms with the card's "
                  "detection.")

    def contactless(self):
        self.step(2, "The next one is tapped")
        a = self.pay("qvsdc-online", "12.90", "3SDEMO0002")
        self.approved(a, "online", 1290)
        check(a.get("entry_mode") == "Contactless", "contactless", a)
        self.tell(f"12.90 EUR with card {a['masked_pan']}: approved online, contactless; "
                  f"{a['apdus']} card commands, {a['ms']} ms.")

    def dead_zone(self):
        self.step(3, "The network is gone: a dead zone")
        self.w.network_down()
        a = self.pay("cda-offline", "18.00", "3SDEMO0003")
        self.approved(a, "offline-approved", 1800)
        self.tell(f"18.00 EUR with card {a['masked_pan']}: the card itself approves (CDA, within the "
                  "signed limits). The advice is sent later.")
        b = self.pay("cda-online", "25.00", "3SDEMO0004")
        self.approved(b, "deferred", 2500)
        check(b.get("forward") == "pending", "not sent yet", b)
        self.tell(f"25.00 EUR with card {b['masked_pan']}: this card wants its issuer. Kept as a "
                  "deferred authorisation: it may be declined later, the answer says so.")
        refused = self.pay("cda-offline", "60.00", "3SDEMO0005")
        check(refused.get("state") == "declined" and refused.get("reason") == "limit_payment",
              "60.00 EUR is over the limit of a payment", refused)
        self.tell(f"60.00 EUR: refused, over the limit of a payment: \"{refused['message']}\"")
        d = self.w.diagnose()
        check(d.get("unsent") == 2 and d.get("offline_count_left", 0) > 0, "two wait", d)
        self.tell(f"Left on this round: {eur(d['offline_amount_left'])} in {d['offline_count_left']} "
                  f"payments offline, {eur(d['deferred_amount_left'])} in "
                  f"{d['deferred_count_left']} deferred. Waiting to be sent: {d['unsent']}.")

    def crash(self):
        self.step(4, "The vault, which holds the keys and the journal, is killed in a payment")
        self.killed = "DEMOKILL"
        with self.w.card("cda-offline", script=f"generate-ac-1 delay {CARD_WAITS_MS}\n") as card:
            _, finish = self.w.pay_begin("9.90", parcel="3SDEMO0006", service_id=self.killed)
            wait_for("the card to be asked for its cryptogram",
                     lambda: any(c.startswith("80AE") for c in card.commands()), 10)
            pid = self.w.kill("vault")
            answer = finish()
        check(answer is None or answer.get("state") == "unknown", "the app got no false answer",
              answer)
        start = time.monotonic()
        self.w.wait_restarted("vault", pid)
        wait_for("the daemon to answer", self.w.diagnose)
        back = round((time.monotonic() - start) * 1000)
        truth = self.w.status(self.killed)
        check(truth.get("state") == "declined" and truth.get("reason") == "interrupted",
              "the journal says that nothing was paid", truth)
        told = "nothing" if answer is None else '"unknown: ask for the status"'
        self.tell(f"kill -9 while the card was thinking. The app is told {told}; {back} ms later it asks, "
                  f"and the journal says: not paid ({truth['reason']}).")
        self.w.wait_reader()
        again = self.pay("cda-offline", "9.90", "3SDEMO0006")
        self.approved(again, "offline-approved", 990)
        self.tell("So it is paid again, 9.90 EUR offline: once, not twice.")

    def coverage(self):
        self.step(5, "Coverage is back")
        start = time.monotonic()
        self.w.network_up()
        self.w.wait_forwarded()
        took = round((time.monotonic() - start) * 1000)
        self.tell(f"All three are sent and answered, {took} ms after the network came back.")
        s = self.w.doorpay("settle")
        check(s.get("verdict") == "in-balance", "the acquirer says: in balance", s)
        check(s.get("sales_amount") - s.get("reversals_amount", 0) == self.paid,
              f"the terminal's totals are {eur(self.paid)}", s)
        self.tell(f"Totals: terminal {s['sales']} sales, {eur(s['sales_amount'])}; the acquirer answers "
                  f"{s['action_code']}, in balance.")

    def journal(self):
        self.step(6, "The round is over; the journal is verified")
        self.w.stop_doorpayd()
        v = self.w.verify_journal()
        check(v.get("exit_status") == 0, "valid and fresh by the token's anchor", v)
        self.tell(f"{v['records']} records, {v['checkpoints']} signed checkpoints: valid, and fresh by "
                  "the anchor in the token.")
        forged = os.path.join(self.w.dir, "forged")
        shutil.copytree(self.w.journal_dir(), forged)
        seq, offset = flip_amount(os.path.join(forged, "seg-00000001.dpj"))
        t = self.w.verify_journal(forged)
        check(t.get("exit_status") == 5 and t.get("seq") == seq, f"record {seq} is named", t)
        self.tell(f"In a copy, one byte of the amount of record {seq} is changed (offset {offset}). The "
                  f"verifier: record {t['seq']}, rule {t['rule']}: {t['words']}")

    def finance(self):
        self.step(7, "Finance: every cent explained")
        settlement = self.w.settle_acquirer()
        shutil.copy(settlement, os.path.join(self.out, "settlement.csv"))
        report = os.path.join(self.out, "report")
        text = self.w.call(self.w.program("doorpay-finance"), "reconcile", "--journal",
                           os.path.join(self.out, "journal"), "--acquirer",
                           os.path.join(self.out, "settlement.csv"), "--head",
                           os.path.join(self.out, "journal.head"), "--out", report, "--json")
        f = json.loads(text)
        total = f["totals"][0]
        check(f["verdict"] == "RECONCILED" and f["residual"] == 0 and f["breaks"] == 0 and
              len(f["totals"]) == 1 and total["journal_amount"] == self.paid,
              f"reconciled at {eur(self.paid)}", f)
        self.tell(f"{f['verdict']}: journal {eur(total['journal_amount'])}, acquirer "
                  f"{eur(total['acquirer_amount'])}, unexplained {eur(total['residual_amount'])}; fees "
                  f"{eur(total['fee_amount'])}, to be paid out {eur(total['net_amount'])}.")
        self.tell(f"The page: {report}/index.html")

    # ---- what is left behind ----

    def keep_journal(self):
        """The journal as an auditor gets it: without the side store, which is nobody else's; with a
        head, so that nobody can cut off its end later."""
        target = os.path.join(self.out, "journal")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.w.journals, target, ignore=shutil.ignore_patterns("side", "lock"))
        self.w.call(self.w.program("doorpay"), "journal", "head", target, "--out",
                    os.path.join(self.out, "journal.head"))
        shutil.copy(self.w.wire_log, os.path.join(self.out, "wire.log"))

    def no_card_number(self):
        files = [os.path.join(d, n) for d, _, names in os.walk(self.out) for n in names]
        check(len(files) >= 9, "the artifacts are there", files)
        for path in files:
            with open(path, "rb") as f:
                data = f.read()
            for pan in pans():
                how = shown(data, pan)
                check(how is None, f"{path} holds no card number", f"…{pan[-4:]} {how}")
        self.tell(f"No card number in clear in the {len(files)} files left behind, in any of "
                  f"{len(ENCODINGS)} encodings.")

    def play(self):
        self.w.start()
        d = self.w.diagnose()
        print(f"A terminal ({self.w.tid}) with its token, signed parameters, a PC/SC reader and an "
              f"acquirer, ready after {time.monotonic() - self.started:.1f} s.", flush=True)
        check(d.get("link_up") is True and d.get("reader_ok") is True, "link and reader", d)
        for part in (self.contact, self.contactless, self.dead_zone, self.crash, self.coverage,
                     self.journal):
            part()
        self.keep_journal()
        self.finance()
        self.no_card_number()
        print(f"\nPlayed in {time.monotonic() - self.started:.1f} s.", flush=True)


# ---- the journal's bytes ----


def flip_amount(path):
    """Changes one byte of the first OUTCOME's amount of 23.50 in a segment; (seq of the record, the
    byte's offset)."""
    with open(path, "r+b") as f:
        data = f.read()
        at, seq = SEGMENT_HEADER, -1
        while at + 12 <= len(data):
            n = struct.unpack_from(">I", data, at)[0]
            if n == 0:
                break
            payload = data[at + 12:at + 12 + n]
            if payload[0] >> 5 == 5:  # a map: a record; a signature is an array
                seq += 1
                place = payload.find(bytes.fromhex("0B19092E"))  # key 11: 2350
                if place >= 0 and bytes.fromhex("01010204") in payload[:7]:  # version 1, OUTCOME
                    f.seek(at + 12 + place + 3)
                    f.write(bytes([payload[place + 3] ^ 0x40]))
                    return seq, at + 12 + place + 3
            at += -(-(12 + n) // 8) * 8
    raise NotSo(f"{path}: no OUTCOME over 23.50")


# ---- card numbers ----


def pans():
    folder = os.path.join(ROOT, "examples", "cards")
    found = set()
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            found.update(re.findall(r"^\s*pan\s*=\s*(\d+)", f.read(), re.M))
    return sorted(found)


def base64_parts(raw):
    """What base64 shows of raw at each of the three alignments, without the ends that depend on
    neighbours."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + raw)
        first = -(-shift * 4 // 3)
        yield text[first:(shift + len(raw)) * 4 // 3]


ENCODINGS = {
    "as digits": lambda pan: [pan.encode()],
    "in UTF-16": lambda pan: [pan.encode("utf-16-le")],
    "backwards": lambda pan: [pan[::-1].encode()],
    "in hexadecimal": lambda pan: [pan.encode().hex().encode(), pan.encode().hex().upper().encode()],
    "in base64": lambda pan: base64_parts(pan.encode()),
    "packed, in base64": lambda pan: base64_parts(bytes.fromhex(pan + "F" * (len(pan) % 2))),
    "grouped": lambda pan: [" ".join(re.findall("....", pan)).encode(),
                            "-".join(re.findall("....", pan)).encode()],
    "packed": None,  # two digits a byte, at either nibble: in the file's own hexadecimal
}


def shown(data, pan):
    for how, of in ENCODINGS.items():
        if of is None:
            if pan in data.hex():
                return how
        elif any(p in data for p in of(pan)):
            return how
    return None


def main():
    if len(sys.argv) != 2:
        print("usage: story.py DIR", file=sys.stderr)
        return 2
    World.enter()
    out = os.path.abspath(sys.argv[1])
    os.makedirs(out, exist_ok=True)
    with World() as w:
        try:
            Story(w, out).play()
        except (NotSo, WorldError) as e:
            print(f"\ndemo: {e}", file=sys.stderr)
            for name in ("doorpayd", "acquirer", "pcscd"):
                for line in w.log(name).strip().splitlines()[-8:]:
                    print(f"demo: {name}: {line}", file=sys.stderr)
            return 1
    print(f"artifacts: {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
