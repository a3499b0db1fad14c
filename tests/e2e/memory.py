# SPDX-License-Identifier: Apache-2.0
"""The memory of doorpayd's processes, searched for byte strings: all that they may write to, which
is the heap with what was freed, stacks, statics and locked pages."""
import re

ROLES = ("supervisor", "vault", "till", "card", "link")
SHADOW = 1 << 40  # bytes that only a sanitizer maps at once


def writable(pid):
    """(name, first address, bytes) of each mapping a process may write to."""
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw\S* \S+ \S+ \d+\s*(.*)", line)
            if not m:
                continue
            first, end = int(m.group(1), 16), int(m.group(2), 16)
            memory.seek(first)
            data = b""
            while len(data) < end - first:
                more = memory.read(end - first - len(data))
                assert more, f"{m.group(3) or 'anonymous'}: it ends early"
                data += more
            yield m.group(3) or "anonymous", first, data


def why_not(world):
    """Why the processes' memory cannot be searched; None: it can be. Root may, outside a user
    namespace, and nobody else. A sanitizer maps terabytes of shadow, and keeps what was freed."""
    pid = world.pids()["vault"]
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0):
            pass
    except PermissionError:
        return "the memory of doorpayd's processes may be read by root only"
    with open(f"/proc/{pid}/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            first, end = (int(x, 16) for x in line.split()[0].split("-"))
            if end - first > SHADOW:
                return "a sanitizer's processes keep what they freed"
    return None


def search(world, patterns):
    """patterns: [(name, bytes)]. (role, mapping, name, address) of each place where one stands."""
    found = []
    pids = world.pids()
    for role in ROLES:
        assert pids.get(role), f"no {role} runs"
        seen = {}
        for name, first, data in writable(pids[role]):
            seen[name] = seen.get(name, 0) + len(data)
            for what, pattern in patterns:
                at = data.find(pattern)
                while at >= 0:
                    found.append((role, name, what, f"{first + at:x}"))
                    at = data.find(pattern, at + 1)
        assert {"[heap]", "[stack]", "anonymous"} <= seen.keys(), f"{role}: only {seen}"
    return found
