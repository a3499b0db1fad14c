"""The house's rules (docs/DESIGN.md, section 1), each a function from a source tree to what breaks
it. tests/house/house.py runs them over the project, tests/house/planted.py over trees with one
violation each, so that every rule has been seen to fail."""
import os
import re

# Room: (folder, floor). A room uses rooms on lower floors only.
ROOMS = {
    'base': ('src/base', 0),
    'tlv': ('src/tlv', 1), 'cbor': ('src/cbor', 1),
    'iso8583': ('src/iso8583', 2), 'card': ('src/card', 2), 'link': ('src/link', 2),
    'hsm': ('hsm', 2),
    'emv': ('src/emv', 3), 'journal': ('src/journal', 3), 'params': ('src/params', 3),
    'acquirer': ('src/acquirer', 4),
    'payment': ('src/payment', 5),
    'till': ('src/till', 6), 'finance': ('src/finance', 6),
    'doorpayd': ('src/doorpayd', 7), 'cli': ('src/cli', 7),
    'sim': ('src/sim', 1),  # beside the house: base and nothing else
}
# Public headers that do not bear their room's name.
HEADER_ROOM = {'hpke': 'cbor', 'cose': 'cbor', 'sealed': 'cbor', 'words': 'emv'}
# The rooms that get reader, network, disk and clock handed in, and the files that are such a hand.
CORE = ('tlv', 'cbor', 'iso8583', 'emv', 'journal', 'params', 'acquirer', 'payment')
CORE_HANDS = re.compile(r'src/journal/store_\w+\.c$')
OUTSIDE = re.compile(r'(sys/(socket|un|stat|random|time|mman|file|wait)|netinet/.*|arpa/.*|netdb|'
                     r'poll|fcntl|dirent|unistd|time|pthread|signal|winscard|PCSC/.*|nfc/.*)(\.h)?$')
# Libraries and the rooms that may know them.
LIBRARIES = (
    (re.compile(r'(winscard|ifdhandler|reader|PCSC/.*)\.h$'), {'card'}),
    (re.compile(r'nfc/'), {'card'}),
    (re.compile(r'microhttpd\.h$'), {'till', 'finance'}),
    (re.compile(r'jansson\.h$'), {'till', 'finance', 'cli', 'sim'}),
    (re.compile(r'(sqlite3|libpq-fe|expat|xlsxwriter)\.h$'), {'finance', 'sim'}),
    (re.compile(r'openssl/'), {'finance', 'sim'}),
    (re.compile(r'zstd\.h$'), {'journal'}),
    (re.compile(r'seccomp\.h$'), {'doorpayd'}),
    (re.compile(r'(mbedtls|psa)/'), set(ROOMS) - {'sim', 'finance'}),
)
# What stands in one file: TLS, and raw RSA.
ONE_FILE = ((re.compile(r'mbedtls/ssl\.h$'), 'src/link'),
            (re.compile(r'mbedtls/(rsa|bignum)\.h$'), 'src/emv'))
FUNCTION_LINES_MAX = 70
# Split, so that this file does not break its own rule.
UNFINISHED = re.compile(r'\b(TO' r'DO|FIX' r'ME|X' r'XX|HA' r'CK|not im' r'plemented|is a st' r'ub|'
                        r'stub' r'bed)\b', re.I)
MACHINE = re.compile(r'/wo' r'rk/|deb\.debian' r'\.org|registry\.npm' r'js|fa' r'rm-\w')
BANNED = re.compile(r'(?<![\w.>])(gets|strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|alloca|'
                    r'rand|srand|system|popen|tmpnam|mktemp)\s*\(')

SKIP = re.compile(r'^(build.*|\.git|__pycache__|stage)$')


def files(root, tops, ends):
    """(path from root, text) of the tree's text files."""
    for top in tops:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = sorted(f for f in folders if not SKIP.match(f))
            for n in sorted(names):
                if n.endswith(ends) and not SKIP.match(n):
                    path = os.path.join(folder, n)
                    try:
                        with open(path, encoding='utf-8') as f:
                            yield os.path.relpath(path, root), f.read()
                    except UnicodeDecodeError:
                        continue


def blank(match):
    return re.sub(r'[^\n]', ' ', match.group(0))


def code(text):
    """The text without comments and what stands in quotes; every line keeps its number."""
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"' + r"|'(?:\\.|[^'\\\n])*'"
    return re.sub(token, blank, text, flags=re.S)


def room_of(path):
    for room, (folder, _) in ROOMS.items():
        if path.startswith(folder + '/'):
            return room
    return None


def header_room(name):
    return HEADER_ROOM.get(name, name if name in ROOMS else None)


def floor(room):
    return ROOMS[room][1]


def includes(text):
    """(line number, quoted or angled, what) of each #include."""
    without = re.sub(r'/\*.*?\*/', blank, text, flags=re.S)
    for number, line in enumerate(without.split('\n'), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if m:
            yield number, m.group(1) == '"', m.group(2)


def product(root):
    return files(root, ('src', 'hsm'), ('.c', '.h'))


# ---- rules ----

def includes_go_downward(root):
    """A room includes public headers of its own and of rooms on lower floors."""
    for path, text in product(root):
        room = room_of(path)
        for number, _, what in includes(text):
            m = re.match(r'doorpay/(\w+)\.h$', what)
            if not m or room is None:
                continue
            other = header_room(m.group(1))
            if other is None:
                yield f'{path}:{number}: {what} belongs to no room (tests/house/rules.py)'
            elif other != room and floor(other) >= floor(room):
                yield (f'{path}:{number}: {room} (floor {floor(room)}) includes {what} '
                       f'of floor {floor(other)}')


def public_headers_go_downward(root):
    for path, text in files(root, ('include',), ('.h',)):
        own = header_room(os.path.basename(path)[:-2])
        if own is None:
            yield f'{path}: belongs to no room (tests/house/rules.py)'
            continue
        for number, quoted, what in includes(text):
            m = re.match(r'doorpay/(\w+)\.h$', what)
            other = header_room(m.group(1)) if m else None
            if quoted:
                yield f'{path}:{number}: a public header includes the private "{what}"'
            elif m and other is None:
                yield f'{path}:{number}: {what} belongs to no room'
            elif m and other != own and floor(other) >= floor(own):
                yield f'{path}:{number}: {own} includes {what} of floor {floor(other)}'


def private_headers_stay_in_their_room(root):
    """"x.h" is the room's own, "base/x.h" base's; nothing goes by way of "..". A room's tests may
    include what is private in that room, and the simulators' headers: cards, keys and messages to
    test against come from there."""
    for path, text in files(root, ('src', 'hsm', 'tests', 'examples'), ('.c', '.h')):
        m = re.match(r'tests/(\w+)/', path)
        room = m.group(1) if m else room_of(path)
        for number, quoted, what in includes(text):
            head = what.split('/')[0] if '/' in what else None
            if '..' in what:
                yield f'{path}:{number}: goes out of its room by "{what}"'
            elif quoted and head in ROOMS and head not in (room, 'base') and \
                    not (m and head == 'sim'):
                yield f'{path}:{number}: "{what}" is private to {head}'
            elif quoted and head == 'doorpay':
                yield f'{path}:{number}: write <{what}>'
            elif not quoted and head in ROOMS:
                yield f'{path}:{number}: write "{what}"'


def simulators_know_base_alone(root):
    for path, text in files(root, ('src/sim',), ('.c', '.h')):
        for number, quoted, what in includes(text):
            head = what.split('/')[0] if '/' in what else None
            if (head == 'doorpay' and what != 'doorpay/base.h') or head in ('mbedtls', 'psa') or \
                    (quoted and head in ROOMS and head not in ('base', 'sim')):
                yield f'{path}:{number}: a simulator includes {what}'


def rooms_link_downward(root):
    """The same for meson: a room's meson.build names no ROOM_dep of its own floor or above."""
    for room, (folder, own) in ROOMS.items():
        for path, text in files(root, (folder,), ('meson.build',)):
            for number, line in enumerate(text.split('\n'), 1):
                for other in re.findall(r'\b(\w+)_(?:dep|lib)\b', line.split('#')[0]):
                    if other not in ROOMS or other == room:
                        continue
                    if floor(other) >= own or (room == 'sim' and other != 'base'):
                        yield f'{path}:{number}: {room} links {other}'


def libraries_in_their_rooms(root):
    for path, text in product(root):
        room = room_of(path)
        for number, quoted, what in includes(text):
            for pattern, rooms in LIBRARIES:
                if not quoted and pattern.match(what) and room not in rooms:
                    yield f'{path}:{number}: {room} includes <{what}>'


def tls_and_raw_rsa_in_one_file_each(root):
    found = {i: [] for i in range(len(ONE_FILE))}
    for path, text in product(root):
        for _, _, what in includes(text):
            for i, (pattern, _) in enumerate(ONE_FILE):
                if pattern.match(what) and path not in found[i]:
                    found[i].append(path)
    for i, (pattern, folder) in enumerate(ONE_FILE):
        for path in found[i]:
            if not path.startswith(folder + '/'):
                yield f'{path}: includes {pattern.pattern}, which belongs to {folder}'
        if len(found[i]) > 1:
            yield f'{pattern.pattern} is included by more than one file: {", ".join(found[i])}'


def core_is_handed_the_world(root):
    """Core rooms call no reader, socket, file or clock of the system's."""
    for path, text in product(root):
        if room_of(path) not in CORE or CORE_HANDS.match(path):
            continue
        for number, quoted, what in includes(text):
            if not quoted and OUTSIDE.match(what):
                yield f'{path}:{number}: {room_of(path)} includes <{what}>'


def functions(text):
    """(name, first line, lines of the body, body) of each function, in the project's brace style."""
    lines = code(text).split('\n')
    start, head = None, []
    for i, line in enumerate(lines):
        if start is None:
            if line == '{':
                start = i
            elif line.startswith(('#', '}')) or line.rstrip().endswith(';') or not line.strip():
                head = []
            else:
                head.append(line)
        elif line.startswith('}'):
            m = re.search(r'(?!__attribute__)\b(\w+)\s*\(', ' '.join(head))
            if m and line.strip() == '}':
                yield m.group(1), start + 1, i - start - 1, '\n'.join(lines[start:i])
            start, head = None, []


def functions_are_short(root):
    for path, text in files(root, ('src', 'hsm', 'fuzz', 'bench', 'examples'), ('.c', '.h')):
        for name, line, n, _ in functions(text):
            if n > FUNCTION_LINES_MAX:
                yield f'{path}:{line}: {name} has {n} lines, {FUNCTION_LINES_MAX} at most'


def calls(root):
    """{(path or '', function): set of the functions of ours it calls}; a static function is known
    by its file."""
    bodies, owner = {}, {}
    for path, text in product(root):
        if path.startswith('src/sim/'):
            continue
        statics = set(re.findall(r'^static\b[^;{}=]*?\b(\w+)\s*\(', code(text), re.M))
        for name, _, _, body in functions(text):
            key = (path if name in statics else '', name)
            bodies[key] = (path, body)
            owner[key] = True
    graph = {}
    for key, (path, body) in bodies.items():
        names = set(re.findall(r'(?<![\w.>])(\w+)\s*\(', body))
        graph[key] = {k for n in names for k in ((path, n), ('', n)) if k in owner}
    return graph


def nothing_recurses(root):
    graph = calls(root)
    for start in sorted(graph):
        seen, stack = set(), list(graph[start])
        while stack:
            k = stack.pop()
            if k == start:
                yield f'{start[0] or "public"}: {start[1]} calls itself, directly or through others'
                break
            if k not in seen:
                seen.add(k)
                stack += graph.get(k, ())


def nothing_is_unfinished(root):
    tops = ('src', 'hsm', 'include', 'scripts', 'packaging', 'examples', 'man', 'bench', 'tools')
    for path, text in files(root, tops, ''):
        for number, line in enumerate(text.split('\n'), 1):
            m = UNFINISHED.search(line)
            if m:
                yield f'{path}:{number}: {m.group(0)}'


def no_machine_is_named(root):
    for path, text in files(root, ('.',), ''):
        for number, line in enumerate(text.split('\n'), 1):
            m = MACHINE.search(line)
            if m:
                yield f'{path}:{number}: {m.group(0)}'


def nothing_dangerous_is_called(root):
    for path, text in product(root):
        for number, line in enumerate(code(text).split('\n'), 1):
            m = BANNED.search(line)
            if m:
                yield f'{path}:{number}: calls {m.group(1)}'


def no_float_anywhere(root):
    for path, text in files(root, ('src', 'hsm', 'include'), ('.c', '.h')):
        if path.startswith('src/sim/'):
            continue
        for number, line in enumerate(code(text).split('\n'), 1):
            if re.search(r'\b(float|double)\b', line):
                yield f'{path}:{number}: {line.strip()}'


def assertions_stay_on(root):
    for path, text in product(root):
        for number, _, what in includes(text):
            if what == 'assert.h':
                yield f'{path}:{number}: use DP_ASSERT, which stays on in release'


def every_file_names_its_licence(root):
    for path, text in files(root, ('src', 'hsm', 'include', 'fuzz', 'tests'), ('.c', '.h')):
        if 'SPDX-License-Identifier: Apache-2.0' not in text[:200]:
            yield f'{path}: no SPDX line'


RULES = (includes_go_downward, public_headers_go_downward, private_headers_stay_in_their_room,
         simulators_know_base_alone, rooms_link_downward, libraries_in_their_rooms,
         tls_and_raw_rsa_in_one_file_each, core_is_handed_the_world, functions_are_short,
         nothing_recurses, nothing_is_unfinished, no_machine_is_named, nothing_dangerous_is_called,
         no_float_anywhere, assertions_stay_on, every_file_names_its_licence)
