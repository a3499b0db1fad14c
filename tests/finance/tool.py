#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tool.py DOORPAY-FINANCE MAKE-JOURNAL: the verbs of doorpay-finance, each as a process. Speaks
TAP."""
import csv
import glob
import json
import os
import subprocess
import sys
import tempfile

FINANCE, MAKE = sys.argv[1:3]
HEADER = ('acquirer_reference,type,rrn,tid,mid,batch,stan,business_date,auth_code,amount,currency,fee,net,'
          'transaction_id')


def run(*args):
    return subprocess.run([FINANCE, *args], capture_output=True, text=True, check=False, timeout=60)


class Desk:
    """A store, a journal and an acquirer's file without lines."""

    def __init__(self, folder):
        self.folder = folder
        self.store = f'sqlite:{folder}/store'
        self.journals = os.path.join(folder, 'journals')
        os.mkdir(self.journals)
        done = subprocess.run([MAKE, self.journals, f'soft:{folder}/token', '3', '6'],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        self.acquirer = os.path.join(folder, 'empty.csv')
        with open(self.acquirer, 'w', encoding='utf-8') as f:
            f.write(HEADER + '\n')


def summary(folder):
    with open(os.path.join(folder, 'summary.json'), encoding='utf-8') as f:
        return json.load(f)


def step_by_step_is_reconcile(d):
    for args in (('init',), ('import', '--journal', d.journals), ('import', '--acquirer', d.acquirer),
                 ('match',)):
        done = run(args[0], '--store', d.store, *args[1:])
        assert done.returncode == 0 and done.stdout == '', (args, done)
    steps = run('report', '--store', d.store, '--out', f'{d.folder}/steps', '--json')
    once = run('reconcile', '--journal', d.journals, '--acquirer', d.acquirer, '--out',
               f'{d.folder}/once', '--json')
    assert steps.returncode == once.returncode, (steps, once)
    assert json.loads(steps.stdout) == json.loads(once.stdout) == summary(f'{d.folder}/steps')
    assert json.loads(once.stdout)['journals'] == 1, once.stdout
    for name in ('payments.csv', 'exceptions.csv', 'days.csv'):
        rows = [list(csv.reader(open(f'{d.folder}/{way}/{name}', encoding='utf-8')))
                for way in ('steps', 'once')]
        assert rows[0] == rows[1], name


def what_is_not_matched_is_not_reported(d):
    assert run('init', '--store', d.store).returncode == 0
    done = run('report', '--store', d.store, '--out', f'{d.folder}/r')
    assert done.returncode == 1 and 'not matched yet' in done.stderr, done
    assert not os.path.exists(f'{d.folder}/r'), 'a report was written'


def a_journal_that_does_not_verify_is_1(d):
    segment = glob.glob(f'{d.journals}/*/seg-00000001.dpj')[0]
    with open(segment, 'r+b') as f:
        f.seek(200)
        byte = f.read(1)[0]
        f.seek(200)
        f.write(bytes([byte ^ 1]))
    done = run('import', '--store', d.store, '--journal', d.journals)
    assert done.returncode == 1 and 'nothing of it is counted' in done.stderr, done


def the_same_file_comes_in_once(d):
    assert run('import', '--store', d.store, '--acquirer', d.acquirer).returncode == 0
    done = run('import', '--store', d.store, '--acquirer', d.acquirer)
    assert done.returncode == 1 and 'imported already' in done.stderr, done


def wrong_usage_is_2_and_says_what(d):
    for args, words in (((), 'usage'), (('serve',), 'serve is no verb'), (('init',), 'wants --store'),
                        (('import', '--store', d.store), '--journal or --acquirer'),
                        (('report', '--store', d.store), 'wants --store and --out'),
                        (('match', '--store'), '--store wants a value'),
                        (('match', '--loud'), '--loud is no option'),
                        (('reconcile', '--journal', '--out', 'x'), '--journal wants a directory')):
        done = run(*args)
        assert done.returncode == 2 and words in done.stderr and done.stdout == '', (args, done)


def every_verb_has_help_and_version(_):
    for verb in ('reconcile', 'init', 'import', 'match', 'report'):
        done = run(verb, '--help')
        assert done.returncode == 0 and 'doorpay-finance ' + verb in done.stdout, done
        assert run(verb, '--version').stdout.startswith('doorpay-finance '), verb


TESTS = (step_by_step_is_reconcile, what_is_not_matched_is_not_reported,
         a_journal_that_does_not_verify_is_1, the_same_file_comes_in_once,
         wrong_usage_is_2_and_says_what, every_verb_has_help_and_version)
failed = 0
print(f'1..{len(TESTS)}', flush=True)
for number, test in enumerate(TESTS, 1):
    with tempfile.TemporaryDirectory() as folder:
        try:
            test(Desk(folder))
            print(f'ok {number} - {test.__name__}', flush=True)
        except (AssertionError, OSError, ValueError) as e:
            failed = 1
            said = str(e).replace('\n', '\n# ')
            print(f'not ok {number} - {test.__name__}\n# {said}', flush=True)
sys.exit(failed)
