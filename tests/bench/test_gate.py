from __future__ import annotations

import pytest

from bench.gate import keeps_bounds, main, rows
from envs.verdict.scribe.pairs import Pair, Part, read_pairs


def pair(kind: str, one: str, other: str) -> Pair:
    return Pair(kind=kind, one=one, other=other, part=Part.HELDOUT)


GOOD = pair("kept", "He has no fever.", "He does not have a fever.")
REFUSED = pair("kept", "He has no fever.", "All is well with him today.")
CHANGED = pair("family", "His mother has gout.", "His father has gout.")
PASSED = pair("family", "His mother has gout.", "His mother does have gout.")


@pytest.mark.parametrize(
    ("pairs", "kept"), [([GOOD, CHANGED], True), ([REFUSED, CHANGED], False), ([GOOD, PASSED], False)]
)
def test_a_bound_is_broken_by_refused_paraphrases_and_by_accepted_changes(pairs: list[Pair], kept: bool) -> None:
    assert keeps_bounds(rows(pairs)) is kept


@pytest.mark.integration
def test_the_table_has_a_row_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--development"]) == 0
    printed = capsys.readouterr().out
    assert all(one.kind in printed for one in read_pairs() if one.kind != "kept") and "good paraphrases" in printed
