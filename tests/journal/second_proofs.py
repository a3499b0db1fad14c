# SPDX-License-Identifier: Apache-2.0
"""second_proofs.py SOURCE-ROOT MAKE_PROOFS: our checker of proofs and tools/verify_journal.py say the same of good proofs and of proofs with
each byte and each field damaged; none that was damaged proves anything; every rule of docs/PROTOCOL.journal, 9, is seen. Speaks TAP."""
import os
import re
import subprocess
import sys

root, make_proofs = sys.argv[1:3]
sys.path.insert(0, os.path.join(root, "tools"))
sys.dont_write_bytecode = True
import verify_journal  # noqa: E402


def octets(word):
    return None if word == "-" else bytes.fromhex(word)


def head_of(word):
    h = octets(word)
    return h and {"journal": h[:16], "size": int.from_bytes(h[16:24], "big"), "root": h[24:]}


def rules_of_the_document():
    with open(os.path.join(root, "docs/PROTOCOL.journal"), encoding="utf-8") as f:
        section = f.read().split("\n9. Proofs\n")[1].split("\n10. ")[0]
    table = re.findall(r"^    ([a-z]+-[a-z]+)  ", section, re.M)
    return set(table) | set(re.findall(r"(?:given|\(section 8\)):\s+([a-z]+-[a-z]+)", section))


def main():
    lines = subprocess.run([make_proofs], check=True, capture_output=True, text=True).stdout.splitlines()
    identity, differ, proven, fired = bytes.fromhex(lines[0].split()[1]), [], [], set()
    for line in lines[1:]:
        _, what, proof, record, head, ours = line.split()
        last = line is lines[-1]
        trusted = bytearray(identity)
        trusted[40] ^= last  # the last is held against another device's key
        said = verify_journal.check_proof(octets(proof) or b"", [bytes(trusted)], octets(record), head_of(head))
        theirs = said.get("rule", said["verdict"])
        fired.add(theirs)
        if theirs != ours:
            differ.append(f"ours {ours}, the second reader's {theirs}: {line[:200]}")
        if (theirs == "PROVEN") != (what == "good" and not last):
            proven.append(f"{what} is {theirs}: {line[:200]}")
    missing = rules_of_the_document() - fired
    if len(rules_of_the_document()) < 9:
        missing.add("the document's own list")
    print("1..3")
    for number, (name, wrong) in enumerate((("both readers agree on every proof", differ),
                                            ("what was damaged proves nothing and what was not does", proven),
                                            ("every rule is seen", sorted(missing))), 1):
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        for w in wrong[:20]:
            print(f"# {w}")
    print(f"# {len(lines) - 1} proofs")
    return 1 if differ or proven or missing else 0


if __name__ == "__main__":
    sys.exit(main())
