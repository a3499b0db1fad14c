#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No clear card number anywhere on disk, and none in memory once a payment is over: every file of a
round, and all that doorpayd's processes may write to, is searched for the test cards' numbers as
ASCII, BCD, hex, base64 and UTF-16, in both card-data profiles. (A track 2 begins with the number.)
That the search finds what it should is shown on planted files, on the raw traffic that only the
simulated acquirer writes, which is what the wire log would be without its masking, and on the card's
process in the middle of a payment. Speaks TAP."""
import base64
import glob
import os
import re
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import e2e  # noqa: E402
import memory  # noqa: E402
from e2e import World, same, wait_for  # noqa: E402


def card_numbers():
    found = set()
    for path in glob.glob(os.path.join(e2e.ROOT, "examples", "cards", "*.card")):
        with open(path, encoding="utf-8") as f:
            found |= set(re.findall(r"^pan\s*=\s*(\d+)", f.read(), re.M))
    assert found
    return sorted(found)


def base64_cores(data):
    """What base64 makes of data at each of the three alignments, without the characters that
    depend on neighbours."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        first = (shift * 8 + 5) // 6
        last = (shift + len(data)) * 8 // 6
        yield text[first:last]
        yield text[first:last].replace(b"+", b"-").replace(b"/", b"_")


def patterns(pan):
    """{name: [bytes to look for]}; hex is looked for in lower case of the file."""
    ascii_ = pan.encode()
    even = pan if len(pan) % 2 == 0 else pan + "f"
    bcd = bytes.fromhex(even)
    shifted = bytes.fromhex(pan[1:1 + (len(pan) - 1) // 2 * 2])
    return {
        "ASCII": [ascii_],
        "BCD": [bcd[:len(pan) // 2]],
        "BCD, shifted by a digit": [shifted],
        "hex of ASCII": [ascii_.hex().encode(), ascii_.hex().upper().encode()],
        "UTF-16": [pan.encode("utf-16-le"), pan.encode("utf-16-be")],
        "base64": [*base64_cores(ascii_), *base64_cores(bcd[:len(pan) // 2])],
    }


PATTERNS = [(pan, name, p) for pan in card_numbers() for name, ps in patterns(pan).items()
            for p in ps]


def search(directory, skip=()):
    """(path, encoding, offset) of each card number below a directory."""
    found = []
    for folder, folders, names in os.walk(directory):
        folders[:] = [f for f in folders if os.path.join(folder, f) not in skip]
        for name in names:
            path = os.path.join(folder, name)
            if path in skip or not os.path.isfile(path):
                continue
            with open(path, "rb") as f:
                data = f.read()
            found += [(path, what, at) for _, what, p in PATTERNS if (at := data.find(p)) >= 0]
    return found


def pan_of(card):
    with open(os.path.join(e2e.ROOT, "examples", "cards", card + ".card"), encoding="utf-8") as f:
        return re.search(r"^pan\s*=\s*(\d+)", f.read(), re.M).group(1)


def in_memory(w, *cards):
    """Where the numbers of these cards stand in doorpayd's processes."""
    return memory.search(w, [(f"{card}, {name}", p) for card in cards
                             for name, ps in patterns(pan_of(card)).items() for p in ps])


def seen_while_it_lasts(w):
    """A payment whose card is told of the issuer's answer late: until then its process has the
    number, and the vault, which has sent its message, has not."""
    def asked():
        with open(w.traffic, encoding="ascii") as f:
            return any(line.split()[-1].startswith("1200") for line in f if line.strip())

    w.tell_acquirer("delay 4000")
    told = []
    payer = threading.Thread(target=lambda: told.append(w.pay("20.00", parcel="L-1")))
    with w.card("cda-online"):
        payer.start()
        try:
            wait_for("the request at the acquirer", asked)
            found = in_memory(w, "cda-online")
            waiting = payer.is_alive()
        finally:
            payer.join()
            w.tell_acquirer("delay 0")
    assert waiting, "the payment was over before the search"
    same("processes with the number", {role for role, *_ in found}, {"card"})
    assert {name.split(", ")[1] for _, _, name, _ in found} >= {"ASCII", "BCD"}, found
    same("state", told[0].get("state"), "approved")


def side_store(w):
    return set(glob.glob(os.path.join(w.journals, "**", "side", "gen-*"), recursive=True))


def a_round(w):
    """Each way a payment can end, network cut included, so that every kind of file is written."""
    readable = False
    w.start()

    def paid(card, amount, parcel, **wanted):
        with w.card(card):
            answer = w.pay(amount, parcel=parcel)
        for key, value in wanted.items():
            same(f"{card}: {key}", answer.get(key), value)
        found = in_memory(w, card) if readable else []
        assert not found, f"in memory after {parcel}: {found}"

    unread = memory.why_not(w)
    readable = unread is None
    if readable:
        seen_while_it_lasts(w)
        found = in_memory(w, "cda-online")
        assert not found, f"in memory after L-1: {found}"
    else:
        print(f"# skipped: {unread}")
        paid("cda-online", "20.00", "L-1")
    paid("qvsdc-online", "8.00", "L-2", state="approved")
    paid("declines", "5.00", "L-3", state="declined")
    w.network_down()
    paid("cda-offline", "9.00", "L-4", mode="offline-approved")
    paid("cda-online", "10.00", "L-5", mode="deferred")
    assert not hits(w), "while card data waits for the network: " + str(hits(w))
    generations = side_store(w)
    w.network_up()
    w.wait_forwarded()
    found = in_memory(w, "cda-offline", "cda-online") if readable else []
    assert not found, f"in memory when all was sent: {found}"
    wait_for("the end of the answered track 2", lambda: not generations & side_store(w))
    ends = [r["type"] for r in e2e.records(w) if r["type"] in ("SHRED", "SETTLED")]
    same("what ended by then", ends, ["SHRED"])
    w.network_down()
    paid("cda-online", "11.00", "L-6", mode="deferred")
    w.kill("card")
    w.kill("vault")
    w.wait_reader()
    w.network_up()
    return e2e.all_agree(w)


def hits(w):
    """Outside what only the simulators have: their keys, cards, raw traffic."""
    return search(w.dir, (w.keys, w.traffic, os.path.join(w.dir, "cards")))


def planted_numbers_are_found_in_every_encoding():
    pan = card_numbers()[0]
    digits = pan if len(pan) % 2 == 0 else pan + "f"
    forms = {"text": f"card {pan} was".encode(), "bcd": b"\x5a\x08" + bytes.fromhex(digits),
             "shifted": bytes.fromhex("1" + pan + "0" * ((len(pan) + 1) % 2)),
             "hex": pan.encode().hex().encode(), "HEX": pan.encode().hex().upper().encode(),
             "utf16": f"card {pan}".encode("utf-16"),
             "base64 0": base64.b64encode(pan.encode() + b"=12"),
             "base64 1": base64.b64encode(b"x" + pan.encode() + b"y"),
             "base64 2": base64.b64encode(b"xy" + bytes.fromhex(digits) + b"z")}
    for name, data in forms.items():
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "file"), "wb") as f:
                f.write(b"before " + data + b" behind")
            assert search(d), f"not found as {name}"


def with_sealed_card_data_no_number_is_on_disk_or_in_memory():
    with World() as w:
        final = a_round(w)
        assert len(final) >= 4, final
        assert not hits(w), str(hits(w))


def with_clear_card_data_no_number_is_on_disk_or_in_memory():
    with World(params_text=e2e.parameters(acquirer__card_data="clear")) as w:
        final = a_round(w)
        assert len(final) >= 4, final
        assert not hits(w), str(hits(w))
        assert search(os.path.dirname(w.traffic)), \
            "the raw traffic holds no card number: this test would see nothing"
        pan = pan_of("cda-online")
        with open(w.traffic, encoding="ascii") as f:
            assert any(f"{pan}d" in line.lower() for line in f
                       if line.split()[-1:] and line.split()[-1].startswith("1200")), \
                "no request carried track 2"
        with open(w.wire_log, encoding="ascii") as f:
            log = f.read()
        sent = {line.split()[-1].lower() for line in open(w.traffic, encoding="ascii")
                if line.strip()}
        assert len(log.split("\n")) > 10
        raw = [line for line in log.split("\n") if line and line.split()[-1].lower() in sent
               and "120" == line.split()[-1][:3]]
        assert not raw, "a payment stands in the wire log as it was sent"


if __name__ == "__main__":
    World.enter()
    sys.exit(e2e.run([planted_numbers_are_found_in_every_encoding,
                      with_sealed_card_data_no_number_is_on_disk_or_in_memory,
                      with_clear_card_data_no_number_is_on_disk_or_in_memory]))
