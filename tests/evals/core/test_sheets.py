"""Tables of a report on a terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from evals.core.sheets import Sheet, show

FIGURE = "0.25 [0.10, 0.40]"
NAMES = ("cases", "reward", "accuracy", "process", "safety", "format")
WIDE = Sheet(
    title="Scores",
    columns=NAMES,
    rows=(("clinical diagnosis, first", *[FIGURE] * 5), ("all", *["-0.25 [-0.40, +0.10]"] * 5)),
    remark="Means.",
)


def printed(sheet: Sheet, width: int) -> str:
    out = StringIO()
    show(sheet, Console(file=out, width=width, markup=False))
    return out.getvalue()


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (100, 2), (60, 3)])
def test_a_table_wider_than_the_terminal_is_split_and_every_number_is_whole(width: int, tables: int) -> None:
    text = printed(WIDE, width)
    assert text.count(FIGURE) == text.count("-0.25 [-0.40, +0.10]") == 5
    assert text.count("cases") == tables and "…" not in text
    assert text.count("Scores") == text.count("Means.") == 1
    assert all(len(line) <= width for line in text.splitlines())


def test_columns_keep_their_order_and_words_may_be_broken() -> None:
    text = printed(WIDE, 60)
    assert sorted(NAMES[1:], key=text.index) == list(NAMES[1:])
    counts = Sheet(title="", columns=("ended by", *["clinical diagnosis, first"] * 6), rows=(("length", *"123456"),))
    assert printed(counts, 100).count("ended by") == 1
