"""Prints the comparisons for the README: `python -m tests.benchmarks.search [--run] [--seeds N] [--only NAME ...]`."""

import argparse
import sys

from tests.benchmarks.search.comparisons import COMPARISONS, compare, text
from tests.benchmarks.search.peers.registry import NOT_RUN, PEERS
from tests.benchmarks.search.race import NUM_SEEDS
from tests.benchmarks.search.runs import RunCache

PEERS_NOTE = """\
BoTorch alone documents a way, as far as we found, to say what an objective of an untrained candidate is. Beside the
space, which all are given alike, each is told (those without a row were not run: `make bench-search-peers`):

* Optuna: the values of what it asked
"""


def main() -> None:
    """Read the options, run what is to be run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__)
    parser.add_argument("--run", action="store_true", help="run what is missing; otherwise print what was run")
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="seeds 0 to N - 1")
    parser.add_argument("--only", nargs="+", choices=COMPARISONS, default=list(COMPARISONS), help="these comparisons")
    given = parser.parse_args()
    cache = RunCache()
    for name in given.only:
        scores = compare(COMPARISONS[name], cache, num_seeds=given.seeds, may_run=given.run)
        sys.stdout.write(text(name, scores) + "\n")
    sys.stdout.write(PEERS_NOTE)
    sys.stdout.writelines(f"* {name}: {peer.told}\n" for name, peer in PEERS.items())
    sys.stdout.writelines(f"* {name} is not run: {reason}\n" for name, reason in NOT_RUN.items())


if __name__ == "__main__":
    main()
