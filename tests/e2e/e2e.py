# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: running them as TAP, and four views of the same money that have
to agree: what the app was told, the journal, the acquirer's books, finance's report."""
import json
import os
import re
import sqlite3
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from world import World, WorldError, wait_for  # noqa: E402,F401

QUICK = os.environ.get("DP_TEST_KIND", "") == "sanitize"


def run(tests):
    """Runs test functions as TAP; the exit status."""
    failed = 0
    print(f"1..{len(tests)}", flush=True)
    for i, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} - {test.__name__}", flush=True)
        except Exception:  # noqa: BLE001
            failed += 1
            said = traceback.format_exc().strip().replace("\n", "\n# ")
            print(f"not ok {i} - {test.__name__}\n# {said}", flush=True)
    return 1 if failed else 0


def same(what, got, wanted):
    assert got == wanted, f"{what}: {got!r}, wanted {wanted!r}"


def parameters(**changes):
    """The demo's parameters with other values: section__key="value"."""
    with open(os.path.join(ROOT, "examples", "params", "demo.params"), encoding="utf-8") as f:
        lines = f.read().split("\n")
    for name, value in changes.items():
        section, _, key = name.partition("__")
        inside, done = None, False
        for i, line in enumerate(lines):
            m = re.match(r"\[(\S+)", line)
            if m:
                inside = m.group(1).rstrip("]")
            elif inside == section and re.match(rf"{key}\s*=", line):
                lines[i] = f"{key} = {value}"
                done = True
        assert done, f"demo.params has no [{section}] {key}"
    return "\n".join(lines)


# ---- four views: {transaction id: minor units that ended as captured} ----


def records(world):
    """The journal's records as `doorpay journal show --json` tells them."""
    return world.doorpay("journal", "show", world.journals)["records"]


def journal_view(recs):
    """By the rules of docs/PROTOCOL.journal, 5, and nothing of ours but the export. Also asserts
    that each REQUESTED was closed in exactly one way."""
    intents, outcomes, closed, requested, reversals = {}, {}, {}, {}, {}
    captured, taken_back, voided = {}, {}, set()
    for r in recs:
        kind, tx = r["type"], r.get("transaction_id")
        if kind == "INTENT":
            assert tx not in intents, f"{tx}: two INTENTs"
            intents[tx] = r
        elif kind == "REQUESTED":
            requested[tx, r["stan"]] = r
        elif kind == "OUTCOME":
            assert tx not in outcomes, f"{tx}: two OUTCOMEs"
            outcomes[tx] = r
            if r.get("stan") and (tx, r["stan"]) in requested and r["mode"] in ("online", "declined") \
                    and r.get("action_code"):
                closed.setdefault((tx, r["stan"]), []).append("OUTCOME")
            if r["mode"] == "online" and r.get("mti") != 1100:  # an 1100 is captured by its 1220
                captured[tx] = r["amount"]
        elif kind == "REVERSAL":
            stan = r["original"]["stan"]
            reversals[tx, r["stan"]] = stan
            if (tx, stan) in requested and (tx, stan) not in closed:
                closed.setdefault((tx, stan), []).append("REVERSAL")
            taken_back.setdefault(tx, set()).add(stan)
        elif kind == "VOID":
            voided.add(r["original_transaction_id"])
        elif kind == "FORWARDED":
            if r["result"] == 1 and r.get("mti") != 1100:
                captured[tx] = outcomes[tx]["amount"]
            if (tx, r.get("stan")) in requested and r.get("mti") != 1220:  # not a completion's
                closed.setdefault((tx, r["stan"]), []).append("FORWARDED")
    for key in requested:
        same(f"ways in which REQUESTED {key} was closed", len(closed.get(key, [])), 1)
    for tx in intents:
        assert tx in outcomes, f"{tx}: INTENT without OUTCOME"
    final = {}
    for tx, amount in captured.items():
        stan = outcomes[tx].get("stan") if outcomes[tx]["mode"] != "deferred" else None
        forwarded = [r["stan"] for r in recs
                     if r["type"] == "FORWARDED" and r.get("transaction_id") == tx and r["result"] == 1]
        last = forwarded[-1] if forwarded else stan
        if last in taken_back.get(tx, ()) or tx in voided:
            continue
        final[tx] = amount
    return final


def books_view(world):
    """From the acquirer's own books."""
    with sqlite3.connect(f"file:{world.books}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT lower(transaction_id), sum(amount) FROM sale "
                          "WHERE state = 'captured' GROUP BY lower(transaction_id)").fetchall()
    return dict(rows)


def settlement_view(path):
    """From the acquirer's settlement file: sales less reversals, and what is 0 left out."""
    import csv
    total = {}
    with open(path, newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            tx = row["transaction_id"].lower()
            total[tx] = total.get(tx, 0) + int(row["amount"])
    return {tx: amount for tx, amount in total.items() if amount}


def finance(world, out=None):
    """doorpay-finance reconcile; (summary, directory of the report)."""
    out = out or os.path.join(world.dir, "report")
    text = world.call(world.program("doorpay-finance"), "reconcile", "--journal", world.journals,
                      "--acquirer", world.settlement, "--out", out, "--json", status=None)
    return json.loads(text), out


def finance_view(out):
    """Payment by payment, from finance's CSV: what it says was captured in the end."""
    import csv
    with open(os.path.join(out, "payments.csv"), newline="", encoding="utf-8") as f:
        return {row["transaction_id"].lower(): int(row["final_amount"])
                for row in csv.DictReader(f) if int(row["final_amount"]) != 0}


def recount(world, journal):
    """A count of the raw frames by somebody else's hand (tests/support/recount.py), held against
    the acquirer's books and the journal."""
    path = os.path.join(world.dir, "captured.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(journal, f)
    return json.loads(world.call("/usr/bin/python3", os.path.join(ROOT, "tests/support/recount.py"),
                                 world.traffic, "--keys", world.keys, "--books", world.books,
                                 "--captured", path))


def all_agree(world, told=None):
    """Settles, and holds every view against the others; the final amounts. told: {transaction id:
    minor units} that the app was told are paid in the end."""
    world.wait_forwarded()
    recs = records(world)
    journal = journal_view(recs)
    settled = world.doorpay("settle")
    same("totals' verdict", settled.get("verdict"), "in-balance")
    world.settle_acquirer()
    same("acquirer's books", books_view(world), journal)
    same("settlement file", settlement_view(world.settlement), journal)
    recount(world, journal)
    summary, out = finance(world)
    same("finance's verdict", summary["verdict"], "RECONCILED")
    same("finance's residual", summary["residual"], 0)
    same("finance's report", finance_view(out), journal)
    if told is not None:
        same("what the app was told", told, journal)
    return journal
