"""Does the gate know a paraphrase from a changed fact? On sentence pairs written for it, by kind.

    python -m bench.gate                 # the held-out pairs, and the fresh ones of another author
    python -m bench.gate --development   # those that it was fitted to, with each wrong verdict

Exit code 1 when a bound is broken. The bounds are those of docs/design.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from common.records import Record
from common.statistics import Interval, share
from envs.verdict.scribe.gate import check
from envs.verdict.scribe.pairs import KEPT, Pair, Part, read_pairs

ACCEPTED = 0.80  # least share of good paraphrases that pass
CHANGED = 0.03  # largest share of changed facts that pass


class Row(Record):
    """A kind of pairs: how many pass the gate, of how many, and the share with its 95 % interval."""

    kind: str
    passed: int
    pairs: int
    share: Interval


def rows(pairs: Sequence[Pair]) -> list[Row]:
    """A row per kind of change, one for all changes, and one for the paraphrases."""
    kinds = sorted({pair.kind for pair in pairs} - {KEPT})
    groups = [(kind, [pair for pair in pairs if pair.kind == kind]) for kind in kinds]
    groups += [("all changes", [pair for pair in pairs if pair.kind != KEPT])]
    groups += [("good paraphrases", [pair for pair in pairs if pair.kind == KEPT])]
    return [_row(name, group) for name, group in groups]


def keeps_bounds(found: Sequence[Row]) -> bool:
    """Do the shares of all changes and of the paraphrases keep their bounds?"""
    by_name = {row.kind: row.passed / row.pairs for row in found}
    return by_name["all changes"] <= CHANGED and by_name["good paraphrases"] >= ACCEPTED


def _row(kind: str, group: Sequence[Pair]) -> Row:
    passed = [check(pair.one, pair.other, pair.patient) is None for pair in group]
    return Row(kind=kind, passed=sum(passed), pairs=len(passed), share=share(passed))


def _show(found: Sequence[Row], title: str) -> None:
    table = Table("kind", title=title)
    for name in ("pass", "of", "share"):
        table.add_column(name, justify="right")
    for row in found:
        table.add_row(row.kind, str(row.passed), str(row.pairs), str(row.share))
    Console(width=100, markup=False, emoji=False).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description="Judge the gate of rewordings.")
    parser.add_argument("--development", action="store_true", help="the pairs that the gate was fitted to")
    options = parser.parse_args(arguments)
    parts = (Part.DEVELOPMENT,) if options.development else (Part.HELDOUT, Part.FRESH)
    pairs = [pair for pair in read_pairs() if pair.part in parts]
    for part in parts:
        _show(rows([pair for pair in pairs if pair.part is part]), f"{part.capitalize()} pairs")
    found = rows(pairs)
    if len(parts) > 1:
        _show(found[-2:], "Both")
    print(f"bounds: changes at most {CHANGED:.0%}, paraphrases at least {ACCEPTED:.0%}")
    for pair in pairs if options.development else ():
        refusal = check(pair.one, pair.other, pair.patient)
        if (refusal is None) != (pair.kind == KEPT):
            print(f"{pair.kind}: {refusal or 'passed'}: {pair.one} => {pair.other}")
    return 0 if keeps_bounds(found) else 1


if __name__ == "__main__":
    sys.exit(main())
