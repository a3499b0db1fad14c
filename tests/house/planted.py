#!/usr/bin/env python3
"""Each rule of tests/house/rules.py over a small tree that keeps it and over trees that break it: a
rule that cannot fail is no rule."""
import os
import sys
import tempfile

import rules
import tap

LICENCE = '/* SPDX-License-Identifier: Apache-2.0 */\n'
# A house in order; it stays silent under every rule.
CLEAN = {
    'include/doorpay/base.h': LICENCE + '#include <stdint.h>\n',
    'include/doorpay/hpke.h': LICENCE + '#include <doorpay/base.h>\n',
    'include/doorpay/journal.h': LICENCE + '#include <doorpay/base.h>\n',
    'src/base/reader.h': LICENCE,
    'src/cbor/hpke.c': LICENCE + '#include <doorpay/hpke.h>\n#include "base/reader.h"\n',
    'src/journal/record.c': LICENCE + '#include <doorpay/hpke.h>\n#include "record.h"\n'
                            'static int one(void)\n{\n    return 1;\n}\n\n'
                            'int two(void)\n{\n    return one(); /* rand( in words */\n}\n',
    'src/journal/record.h': LICENCE,
    'src/journal/store_fs.c': LICENCE + '#include <fcntl.h>\n#include <unistd.h>\n',
    'src/journal/meson.build': "journal_dep = declare_dependency(dependencies: [base_dep, cbor_dep])\n",
    'src/sim/issuer.c': LICENCE + '#include <openssl/evp.h>\n#include "base/reader.h"\n',
    'src/link/tls.c': LICENCE + '#include <mbedtls/ssl.h>\n',
    'tests/journal/test_record.c': LICENCE + '#include "journal/record.h"\n',
}
LONG = 'int long_one(void)\n{\n' + '    step();\n' * 71 + '}\n'
# (rule, file, text put at its end)
PLANTED = (
    (rules.includes_go_downward, 'src/cbor/hpke.c', '#include <doorpay/journal.h>\n'),
    (rules.includes_go_downward, 'src/emv/oda.c', '#include <doorpay/journal.h>\n'),
    (rules.includes_go_downward, 'src/emv/oda.c', '#include <doorpay/nobody.h>\n'),
    (rules.public_headers_go_downward, 'include/doorpay/base.h', '#include <doorpay/hpke.h>\n'),
    (rules.public_headers_go_downward, 'include/doorpay/base.h', '#include "base/reader.h"\n'),
    (rules.public_headers_go_downward, 'include/doorpay/nobody.h', ''),
    (rules.private_headers_stay_in_their_room, 'src/emv/oda.c', '#include "journal/record.h"\n'),
    (rules.private_headers_stay_in_their_room, 'src/emv/oda.c', '#include "../journal/record.h"\n'),
    (rules.private_headers_stay_in_their_room, 'tests/emv/test.c', '#include "journal/record.h"\n'),
    (rules.private_headers_stay_in_their_room, 'src/emv/oda.c', '#include "sim/rsa.h"\n'),
    (rules.simulators_know_base_alone, 'src/sim/issuer.c', '#include <doorpay/hpke.h>\n'),
    (rules.simulators_know_base_alone, 'src/sim/issuer.c', '#include <psa/crypto.h>\n'),
    (rules.simulators_know_base_alone, 'src/sim/issuer.c', '#include "journal/record.h"\n'),
    (rules.rooms_link_downward, 'src/journal/meson.build', 'x = [acquirer_dep]\n'),
    (rules.rooms_link_downward, 'src/sim/meson.build', 'x = [cbor_dep]\n'),
    (rules.libraries_in_their_rooms, 'src/journal/record.c', '#include <openssl/evp.h>\n'),
    (rules.libraries_in_their_rooms, 'src/emv/oda.c', '#include <winscard.h>\n'),
    (rules.tls_and_raw_rsa_in_one_file_each, 'src/link/frame.c', '#include <mbedtls/ssl.h>\n'),
    (rules.tls_and_raw_rsa_in_one_file_each, 'src/params/keys.c', '#include <mbedtls/rsa.h>\n'),
    (rules.core_is_handed_the_world, 'src/journal/record.c', '#include <time.h>\n'),
    (rules.core_is_handed_the_world, 'src/payment/machine.c', '#include <sys/socket.h>\n'),
    (rules.functions_are_short, 'src/emv/oda.c', LONG),
    (rules.nothing_recurses, 'src/emv/oda.c', 'int f(int n)\n{\n    return f(n - 1);\n}\n'),
    (rules.nothing_recurses, 'src/emv/oda.c',
     'static int f(int n)\n{\n    return g(n);\n}\n\nint g(int n)\n{\n    return f(n);\n}\n'),
    (rules.nothing_is_unfinished, 'src/emv/oda.c', '/* TO' 'DO */\n'),
    (rules.nothing_is_unfinished, 'scripts/demo', '# FIX' 'ME\n'),
    (rules.no_machine_is_named, 'docs/demo.md', 'in /wo' 'rk/main\n'),
    (rules.nothing_dangerous_is_called, 'src/emv/oda.c', 'void f(char *a)\n{\n    strcpy(a, "");\n}\n'),
    (rules.no_float_anywhere, 'src/emv/oda.c', 'double amount;\n'),
    (rules.assertions_stay_on, 'src/emv/oda.c', '#include <assert.h>\n'),
    (rules.every_file_names_its_licence, 'src/tlv/new.c', None),
)


def grow(root, tree):
    for path, text in tree.items():
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), 'w', encoding='utf-8') as f:
            f.write(text)


def main():
    results = []
    with tempfile.TemporaryDirectory() as root:
        grow(root, CLEAN)
        for rule in rules.RULES:
            results.append((f'{rule.__name__}_is_silent_in_order', list(rule(root))))
    for rule, path, text in PLANTED:
        with tempfile.TemporaryDirectory() as root:
            tree = dict(CLEAN)
            tree[path] = 'int x;\n' if text is None else tree.get(path, LICENCE) + text
            grow(root, tree)
            found = [w for w in rule(root) if w.startswith(path) or path in w
                     or w.startswith('public')]
            what = (text or 'no licence').strip().split('\n')[0]
            results.append((f'{rule.__name__}_sees: {path}: {what.replace("#", "")}',
                            [] if found else ['planted, and not seen']))
    missing = {r.__name__ for r in rules.RULES} - {r.__name__ for r, _, _ in PLANTED}
    results.append(('every_rule_was_seen_to_fail', sorted(missing)))
    sys.exit(tap.report(results))


main()
