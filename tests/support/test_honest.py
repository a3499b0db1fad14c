#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_honest.py: what runs and counts the tests calls passed only what has passed. Speaks TAP."""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.environ['DP_SOURCE_ROOT']


def under_run_test(script):
    return subprocess.run([f'{ROOT}/tests/support/run-test', 'bash', '-c', script], text=True,
                          capture_output=True, check=False)


def counted(entries, status='0', ci=''):
    with tempfile.NamedTemporaryFile('w', suffix='.json') as log:
        for name, result, stdout in entries:
            log.write(json.dumps({'name': name, 'result': result, 'stdout': stdout,
                                  'returncode': 0}) + '\n')
        log.flush()
        return subprocess.run([sys.executable, f'{ROOT}/scripts/count-tests', log.name, os.devnull,
                               status], text=True, capture_output=True, check=False,
                              env=dict(os.environ, CI=ci))


GOOD = ('support / a/b', 'OK', '1..1\nok 1 - pays\n')


def a_program_that_says_nothing_has_failed():
    done = under_run_test('exit 0')
    assert 'not ok 1 - said_no_plan' in done.stdout, done.stdout


def a_program_that_crashes_after_its_plan_has_failed():
    done = under_run_test('echo 1..2; echo ok 1 - first; kill -SEGV $$')
    assert done.returncode == 139 and '1..2' in done.stdout, done


def several_groups_are_one_plan():
    done = under_run_test('echo 1..1; echo ok 1 - a; echo 1..1; echo ok 1 - b')
    assert done.stdout.splitlines() == ['ok 1 - a', 'ok 2 - b', '1..2'], done.stdout


def a_process_left_behind_has_failed():
    done = under_run_test('echo 1..1; sleep 30 >/dev/null 2>&1 & echo ok 1 - a')
    assert done.returncode == 98 and '# left behind' in done.stdout, done


def what_passed_is_counted():
    done = counted([GOOD])
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[-1] == '1 passed, 0 failed, 0 skipped', done.stdout


def a_run_cut_short_has_failed():
    done = counted([GOOD], status='137')
    assert done.returncode == 1, done
    assert done.stdout.splitlines()[-1] == '1 passed, 1 failed, 0 skipped', done.stdout


def a_test_that_broke_has_failed_though_its_lines_are_ok():
    for result in ('FAIL', 'ERROR', 'TIMEOUT', 'INTERRUPT'):
        done = counted([GOOD, ('support / a/c', result, '1..2\nok 1 - x\n')])
        assert done.returncode == 1 and '2 passed, 1 failed' in done.stdout, done


def no_test_at_all_has_failed():
    assert counted([]).returncode == 1


def what_is_skipped_is_named():
    done = counted([GOOD, ('support / a/c', 'SKIP', '1..0 # SKIP no reader\n'),
                    ('support / a/d', 'OK', '1..2\nok 1 - x\nok 2 - y # SKIP no data\n')])
    assert done.returncode == 0 and '2 passed, 0 failed, 2 skipped' in done.stdout, done
    assert 'skipped: a/c: all of it, 1..0 # SKIP no reader' in done.stdout, done.stdout
    assert 'skipped: a/d: 2 - y # SKIP no data' in done.stdout, done.stdout


def ci_skips_no_program():
    done = counted([GOOD, ('support / a/c', 'SKIP', '1..0 # SKIP no reader\n')], ci='true')
    assert done.returncode == 1 and '1 passed, 1 failed, 0 skipped' in done.stdout, done


TESTS = (a_program_that_says_nothing_has_failed, a_program_that_crashes_after_its_plan_has_failed,
         several_groups_are_one_plan, a_process_left_behind_has_failed, what_passed_is_counted,
         a_run_cut_short_has_failed, a_test_that_broke_has_failed_though_its_lines_are_ok,
         no_test_at_all_has_failed, what_is_skipped_is_named, ci_skips_no_program)
failed = 0
print(f'1..{len(TESTS)}')
for number, test in enumerate(TESTS, 1):
    try:
        test()
        print(f'ok {number} - {test.__name__}', flush=True)
    except AssertionError as e:
        failed = 1
        said = str(e).replace('\n', '\n# ')
        print(f'not ok {number} - {test.__name__}\n# {said}', flush=True)
sys.exit(failed)
