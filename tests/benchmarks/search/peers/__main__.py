"""Runs those peers that this environment has, for `python -m tests.benchmarks.search` to show beside ours."""

import argparse
import sys

from tests.benchmarks.search.peers.registry import PEERS, contestant
from tests.benchmarks.search.race import NUM_SEEDS, run_missing
from tests.benchmarks.search.runs import RunCache
from tests.benchmarks.search.tables import TABLES


def main() -> None:
    """Every peer on every table; what was run before is not run again."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search.peers", description=__doc__)
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS, help="seeds 0 to N - 1")
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS), help="these peers")
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES), help="these tables")
    given = parser.parse_args()
    present = []
    for name in given.only:
        try:
            present.append(contestant(name))
        except ImportError as error:
            sys.stderr.write(f"{name} is not here: {error}\n")
    cache = RunCache()
    for table in given.tables:
        run_missing(TABLES[table](), present, cache, num_seeds=given.seeds)


if __name__ == "__main__":
    main()
