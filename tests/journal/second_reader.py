# SPDX-License-Identifier: Apache-2.0
"""second_reader.py SOURCE-ROOT MAKE_CORPUS: our verifier and tools/verify_journal.py say the same of every file of the corpus,
and the corpus has every rule of docs/PROTOCOL.journal, 8."""
import os
import re
import subprocess
import sys
import tempfile

root, make_corpus = sys.argv[1:3]
sys.path.insert(0, os.path.join(root, "tools"))
sys.dont_write_bytecode = True
import verify_journal  # noqa: E402

COMPARED = ("status", "rule", "segment", "offset", "seq", "records", "checkpoints", "signed_size", "torn_tail")


def read_case(path):
    case, ours = {}, {}
    with open(os.path.join(path, "case"), encoding="ascii") as f:
        for line in f:
            word, rest = line.rstrip("\n").split(" ", 1)
            if word == "result":
                mode, said = rest.split(" ", 1)
                ours[mode] = said
            else:
                case[word] = rest
    return case, ours


def our_words(said):
    if said.startswith("error"):
        return said
    n = said.split()
    out = {"status": int(n[0]), "records": int(n[5]), "checkpoints": int(n[6]), "signed_size": int(n[7]), "torn_tail": n[8] == "1"}
    if n[1] != "-":
        out.update(rule=n[1], segment=int(n[2]), offset=int(n[3]))
        if n[4] != "-1":
            out["seq"] = int(n[4])
    return out


def their_words(path, case, mode):
    identity = bytes.fromhex(case["identity"]) if "identity" in case else None
    collector = bytes.fromhex(case["collector"]) if "collector" in case else None
    anchor = bytes.fromhex(case["anchor"]) if mode == "anchor" else None
    head = None
    if mode == "head":
        head = {"size": int(case["size"]), "root": bytes.fromhex(case["root"]), "anchor": bytes.fromhex(case["head_anchor"]),
                "journal": bytes.fromhex(case["head_journal"])}
    said = verify_journal.verify(path, anchor, head, identity, collector)
    return {k: said[k] for k in COMPARED if k in said}, said["words"]


def one(path):
    """The rules that fired, and what is wrong."""
    case, ours = read_case(path)
    wrong, fired = [], set()
    for mode, said in ours.items():
        c = our_words(said)
        python, words = their_words(path, case, mode)
        if c != python:
            wrong.append(f"{mode}: ours {c}, the second reader's {python} ({words})")
        fired.add(python.get("rule"))
    strongest = our_words(ours.get("head", ours["anchor"]))
    expected = case["expected"]
    if expected == "bad" and strongest["status"] == 0:
        wrong.append("damage is not seen")
    elif expected[0].isdigit() and expected != f"{strongest['status']} {strongest.get('rule', '-')}":
        wrong.append(f"{expected} was due, not {strongest}")
    return fired, wrong


def rules_of_the_document():
    with open(os.path.join(root, "docs/PROTOCOL.journal"), encoding="utf-8") as f:
        text = f.read()
    listed = re.search(r"Rules, by name: (.*?)\. ", text, re.S).group(1)
    return {re.sub(r"\s*\(.*", "", r, flags=re.S).strip() for r in listed.split(",")}


def main():
    with tempfile.TemporaryDirectory() as corpus:
        histories = os.path.join(root, "tests/journal/histories.txt")
        subprocess.run([make_corpus, corpus, histories], check=True)
        names = sorted(os.listdir(corpus))
        fired, failed = set(), 0
        groups = {}
        for name in names:
            rules, wrong = one(os.path.join(corpus, name))
            fired |= rules
            group = name.split("-")[0]
            groups.setdefault(group, []).extend(f"{name}: {w}" for w in wrong)
    number = 0
    for group, wrong in groups.items():
        number += 1
        print(f"{'not ok' if wrong else 'ok'} {number} - both readers agree on {group}")
        for w in wrong:
            print(f"# {w}")
        failed += bool(wrong)
    missing = rules_of_the_document() - fired
    number += 1
    print(f"{'not ok' if missing else 'ok'} {number} - the corpus has every rule")
    if missing:
        print(f"# never seen: {', '.join(sorted(missing))}")
    print(f"# {len(names)} journals")
    print(f"1..{number}")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
