"""Each clinical score by its two implementations, on random inputs.

    python -m bench.clinic_scores                    # 100,000 inputs a score
    python -m bench.clinic_scores --count 1000 --scores sofa grace

Prints differences by score; exit code 1 when there is one. A difference is another group, another value as it is given
out with the score's decimals, or one further apart than 1e-9 of it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from common.flags import flag_count
from envs.clinic.scores.table import SCORES
from envs.clinic_checker.scores.table import FOUND
from evals.suites.clinic.scores_compared import differences

COUNT = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=flag_count, default=COUNT, help="inputs a score")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs; other ones make a further part")
    parser.add_argument("--scores", nargs="+", choices=sorted(SCORES), default=sorted(SCORES), metavar="NAME")
    args = parser.parse_args(arguments)
    table = Table("score", "source", "inputs", "differences")
    found = {name: differences(SCORES[name], args.count, args.seed) for name in args.scores}
    for name, differing in found.items():
        table.add_row(name, SCORES[name].sources[0], f"{args.count:,}", str(len(differing)))
    Console().print(table)
    for name, differing in found.items():
        for values in differing[:3]:
            print(f"{name}: {values}: {SCORES[name](values).value} and {FOUND[name](values)}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
