"""`python -m benchmarks`, which is `minigrad bench` in a checkout."""

import sys

from benchmarks.cli import script

sys.exit(script())
