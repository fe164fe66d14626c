"""Each clinical score by its two implementations, on random inputs.

    python -m bench.clinic_scores                    # 100,000 inputs a score
    python -m bench.clinic_scores --count 1000 --scores sofa grace

Prints differences by score; exit code 1 when there is one. A difference is another group, another value as it is given
out with the score's decimals, or one further apart than 1e-9 of it.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from envs.clinic.scores.score import Input, Score
from envs.clinic.scores.table import SCORES
from envs.clinic_checker.scores.table import FOUND

COUNT = 100_000
MISSING = 0.1
"""Share of optional inputs that are left out."""


def drawn(one: Input, rng: random.Random) -> Any:
    """A value of an input's range on the grid of its decimals; half of the numbers at the low end, where limits are."""
    if one.optional and rng.random() < MISSING:
        return None
    if one.kind == "flag":
        return rng.random() < 0.5
    if one.kind == "choice":
        return rng.choice(one.choices)
    scale = 10**one.decimals
    low, high = round(one.low * scale), round(one.high * scale)
    if rng.random() < 0.5:
        high = min(high, low + max(round((high - low) ** (2 / 3)), 10))
    value = rng.randint(low, high)
    return value / scale if one.decimals else value


def differences(score: Score, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The inputs of `count` random ones on which the two implementations differ."""
    rng = random.Random(f"{seed}:{score.name}")
    inputs = [{one.name: drawn(one, rng) for one in score.inputs} for _ in range(count)]
    return [values for values in inputs if differ(score, values)]


def differ(score: Score, values: dict[str, Any]) -> bool:
    """Whether the two give another value or group."""
    ours = score(values)
    value, group = FOUND[score.name](values)
    theirs = float(value)
    same = abs(ours.value - theirs) <= 1e-9 * max(1.0, abs(theirs))
    return not same or ours.group != group or round(ours.value, score.decimals) != round(theirs, score.decimals)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT, help="inputs a score")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs; other ones make a further part")
    parser.add_argument("--scores", nargs="*", choices=sorted(SCORES), default=sorted(SCORES), metavar="NAME")
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
