# SPDX-License-Identifier: Apache-2.0
"""Runs functions as TAP tests, in a directory of their own that is gone afterwards."""
import shutil
import subprocess
import sys
import tempfile


class Skip(Exception):
    """Raised by a test that cannot run here, with why."""


def run(program, *args, stdin=None):
    return subprocess.run([program, *args], input=stdin, capture_output=True, text=True,
                          check=False, timeout=60)


def main(tests, set_up=None):
    """set_up(folder) before the first test; each test is called with the folder."""
    folder = tempfile.mkdtemp(prefix='doorpay-cli-')
    failed = 0
    try:
        if set_up:
            set_up(folder)
        print(f'1..{len(tests)}', flush=True)
        for i, test in enumerate(tests, 1):
            try:
                test(folder)
                print(f'ok {i} - {test.__name__}', flush=True)
            except Skip as why:
                print(f'ok {i} - {test.__name__} # SKIP {why}', flush=True)
            except Exception as e:  # noqa: BLE001
                failed += 1
                line = e.__traceback__
                while line.tb_next:
                    line = line.tb_next
                print(f'not ok {i} - {test.__name__}', flush=True)
                for text in f'line {line.tb_lineno}: {type(e).__name__} {e}'.split('\n'):
                    print('# ' + text, flush=True)
    finally:
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)
