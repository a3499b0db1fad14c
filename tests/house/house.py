#!/usr/bin/env python3
"""house.py ROOT: every rule of tests/house/rules.py over the project."""
import sys

import rules
import tap

sys.exit(tap.report([(r.__name__, list(r(sys.argv[1]))) for r in rules.RULES]))
