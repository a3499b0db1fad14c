#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A terminal that died for good, and a back office with nothing but what `doorpay salvage` wrote of
it (docs/PROTOCOL.salvage): it makes the messages from that file alone, by a codec and a MAC of its
own and under a certificate and a DUKPT key of its own, and the acquirer takes them for the
terminal's. Speaks TAP."""
import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import ssl
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
import recount as wire  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402


MODES = {"online": 1, "offline-approved": 2, "deferred": 3}  # tag 02 of DE48
CONTACTLESS, SIGNATURE = 2, 1  # docs/PROTOCOL.journal, 4: keys "interface" and "cvm"


class BackOffice:
    """What it has: the file, a key of the acquirer's CA, a DUKPT key of its own under the BDK."""

    def __init__(self, world):
        self.port, self.ca = world.port, os.path.join(world.keys, "tls-ca.pem")
        with open(os.path.join(world.keys, "bdk.hex"), encoding="ascii") as f:
            self.bdk = bytes.fromhex(f.read())
        self.id, self.counter = os.urandom(8), 0
        at = lambda name: os.path.join(world.dir, "back-office." + name)  # noqa: E731
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, world.tid)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        for path, data in ((at("key"), key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption())),
                           (at("csr"), request.public_bytes(serialization.Encoding.PEM))):
            with open(path, "wb") as f:
                f.write(data)
        world.sim("keys", "--out", world.keys, "--sign-csr", at("csr"), "--tid", world.tid,
                  "--cert", at("pem"))
        self.certificate = at("pem"), at("key")

    @staticmethod
    def message(head, line, sent=0):
        """The elements of what is owed (docs/PROTOCOL.acquirer). sent: how often it left before."""
        m = line["message"]
        private = {1: m["parcel"].encode(), 2: bytes([MODES[m["mode"]]]),
                   4: m["batch"].to_bytes(4, "big"), 5: bytes.fromhex(line["transaction_id"]),
                   6: bytes.fromhex(head["journal"]), 7: bytes.fromhex(str(m["business_date"])),
                   9: bytes([sent]).strip(b"\0")}
        same("currency", (m["currency"], m["exponent"]), ("EUR", 2))
        out = {"mti": str(m["mti"] + (sent > 0)), 3: "000000", 4: f"{m['amount']:012d}", 7: m["de7"],
               11: f"{m['stan']:06d}", 12: m["de12"],
               22: "500401" + ("C" if m.get("interface") == CONTACTLESS else "5") +
                   ("54" if m.get("cvm") == SIGNATURE else "00") + "240",
               24: str(m["function"]), 25: str(m["message_reason"]), 37: m["rrn"], 41: m["tid"],
               42: m["mid"].ljust(15), 49: "978",
               48: b"".join(bytes([tag, len(v)]) + v for tag, v in private.items() if v)}
        if "original" in m:
            o = m["original"]
            out[56] = (f"{o['mti']}{o['stan']:06d}{o['de12']}{len(o['acquirer']):02d}"
                       f"{o['acquirer']}")
        else:
            out[55] = bytes.fromhex(m["emv"])
            blobs = [bytes.fromhex(c["sealed"]) for c in line["card_data"] if "sealed" in c]
            out.update({120: len(b).to_bytes(2, "big") + b for b in blobs})
        return out

    def send(self, fields):
        """Over TLS, once: DE39 of the answer, whose MAC and numbers are held."""
        self.counter += 1
        fields[53] = self.id + self.counter.to_bytes(4, "big")
        signed = wire.pack(fields)
        frame = signed + wire.mac_of(self.bdk, fields[53], wire.GENERATE, signed)
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*self.certificate)
        with socket.create_connection(("127.0.0.1", self.port), 10) as s, \
                context.wrap_socket(s, server_hostname="acquirer.test") as tls:
            tls.sendall(len(frame).to_bytes(2, "big") + frame)
            said = tls.makefile("rb")
            answer = wire.unpack(said.read(int.from_bytes(said.read(2), "big")))
        same("MAC of the answer", answer["mac"],
             wire.mac_of(self.bdk, fields[53], wire.VERIFY, answer["signed"]))
        same("answer", answer["mti"], fields["mti"][:2] + "30")
        for de in (4, 11, 12, 37, 41, 49):
            same(f"DE{de} of the answer", answer[de], fields[de])
        return answer[39]


class Story:
    """One terminal for all tests, told in their order."""
    world = office = None
    told = None  # what the app was told of the payment without network
    lost = None  # the terminal's own reversal, which nobody took


def books(sql):
    with sqlite3.connect(f"file:{Story.world.books}?mode=ro", uri=True) as db:
        return db.execute(sql).fetchall()


def sale(line, columns):
    """The acquirer's rows of that payment."""
    return books(f"SELECT {columns} FROM sale WHERE lower(transaction_id) = "
                 f"'{line['transaction_id']}'")


def salvaged(*options):
    """(first line, {kind: line}) of a new file, of which every record is verified."""
    w = Story.world
    out = os.path.join(w.dir, f"salvage-{len(os.listdir(w.dir))}")
    w.doorpay("salvage", w.journals, "--out", out, *options, status=3)
    with open(out, encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    same("unverified", lines[0]["unverified"], 0)
    same("hold", [line["hold"] for line in lines if "hold" in line], [False, False])
    return lines[0], {line["owed"]: line for line in lines if "message" in line}


def all_is_signed():
    said = Story.world.verify_journal(hsm=False)
    return said["signed_size"] == said["records"]


def a_terminal_dies_that_owes_a_reversal_and_an_advice():
    """The answer to a request never came, and what takes it back is lost too; then a payment without
    network."""
    w = Story.world = World(params_text=e2e.parameters(acquirer__online_timeout_ms="1500"))
    w.start()
    Story.office = BackOffice(w)
    w.tell_acquirer("lose 1000 1420")
    w.tell_acquirer("drop 1 1200")
    with w.card("cda-online"):
        a = w.pay("6.50", parcel="L-1", offline="forbid", deferred="forbid")
    same("without answer", (a["state"], a["reason"]), ("declined", "no_answer"))
    w.network_down()
    with w.card("cda-offline"):
        a = w.pay("4.00", parcel="L-2")
    same("without network", (a["state"], a["mode"]), ("approved", "offline-approved"))
    Story.told = a
    wait_for("the last signature", all_is_signed, every=0.1)
    w.stop_doorpayd(signal.SIGKILL)
    shutil.move(w.token, w.token + ".drawer")  # from here on nobody has it
    with open(w.wire_log, encoding="ascii") as f:
        Story.lost = [wire.unpack(bytes.fromhex(text[2:])) for text in f if text[:5] == "> 142"][0]
    w.tell_acquirer("rules clear")
    w.tell_acquirer("listen")
    same("captured: what was not paid, and nothing of what was", books("SELECT state, parcel FROM sale"),
         [("captured", "L-1")])


def its_reversal_is_sent_from_the_file_alone_and_counts_once():
    head, owed = salvaged()
    same("owed", sorted(owed), ["advice", "reversal"])
    line, office = owed["reversal"], Story.office
    m = line["message"]
    same("may have left", line["repeat"], True)
    same("the terminal's own message, byte for byte under its own KSN",
         wire.pack({**office.message(head, line), 53: Story.lost[53]}), Story.lost["signed"])
    for sent in range(1, 4):
        same(f"sent {sent} times before", office.send(office.message(head, line, sent)), "400")
        same("the sale", sale(line, "state, tid, amount, parcel, stan, reversal_stan, reversal_rrn"),
             [("reversed", m["tid"], m["amount"], "L-1", f"{m['original']['stan']:06d}",
               f"{m['stan']:06d}", m["rrn"])])
        same("reversals", books("SELECT count(*) FROM reversal"), [(1,)])
    same("captured", books("SELECT count(*) FROM sale WHERE state = 'captured'"), [(0,)])


def its_advice_lacks_the_card_number_and_is_refused():
    """PROTOCOL.salvage, 3: with the token dead the card's data open for nobody. The file has all else,
    and what a person clears it by with the acquirer; no message can be made that is taken."""
    head, owed = salvaged()
    line, office = owed["advice"], Story.office
    same("card data", [sorted(c) for c in line["card_data"]],
         [["generation", "kind", "salt", "wrapped"]])
    for name in ("emv", "rrn", "stan", "amount"):
        assert line["message"][name], name
    same("for a person", (line["outcome"]["bin"], line["outcome"]["last4"]), ("999901", "0011"))
    fields = office.message(head, line, 1)
    assert 120 not in fields and 2 not in fields, fields
    same("refused", office.send(fields), "904")
    (note,), = books("SELECT note FROM message WHERE direction = 'in' ORDER BY id DESC LIMIT 1")
    assert "DE120 must be there" in (note or ""), note
    same("sales", sale(line, "*"), [])


def with_a_token_that_outlived_it_the_advice_is_captured_once():
    """The board is dead and the token found alive: it opens what it wrapped, and signs nothing."""
    w, office = Story.world, Story.office
    shutil.move(w.token + ".drawer", w.token)
    head, owed = salvaged("--hsm", w.hsm)
    shutil.rmtree(w.token)
    line = owed["advice"]
    m, outcome, card, told = line["message"], line["outcome"], line["card_data"][0], Story.told
    same("commitment", outcome["pan_commitment"],
         hashlib.sha256(bytes.fromhex(card["salt"] + card["sealed"])).hexdigest())
    same("may have left", line["repeat"], True)
    for sent in range(1, 4):  # it may have left: a repeat from the first on
        same(f"sent {sent} times before", office.send(office.message(head, line, sent)), "000")
        same("the sale", sale(line, "state, mode, tid, mid, mti, stan, rrn, local_datetime, amount, "
                              "parcel, batch, card_bin || card_last4"),
             [("captured", "offline", told["tid"], m["mid"], 1220, f"{told['stan']:06d}", told["rrn"],
               m["de12"], told["amount"], "L-2", m["batch"], outcome["bin"] + outcome["last4"])])
    same("captured", e2e.books_view(w), {told["transaction_id"].lower(): 400})


def the_settlement_has_what_was_owed_and_nothing_else():
    w = Story.world
    w.settle_acquirer()
    same("settlement", list(e2e.settlement_view(w.settlement).values()), [400])


if __name__ == "__main__":
    World.enter()
    try:
        status = e2e.run([a_terminal_dies_that_owes_a_reversal_and_an_advice,
                          its_reversal_is_sent_from_the_file_alone_and_counts_once,
                          its_advice_lacks_the_card_number_and_is_refused,
                          with_a_token_that_outlived_it_the_advice_is_captured_once,
                          the_settlement_has_what_was_owed_and_nothing_else])
    finally:
        if Story.world is not None:
            Story.world.close()
    sys.exit(status)
