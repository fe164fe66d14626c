from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from bench.rounding import texts


@pytest.mark.parametrize(
    ("columns", "replies"),
    [
        ({"step_tokens": [[2, 2], [1]]}, [([1, 2], [3, 4]), ([1, 2], [7])]),
        ({}, [([1, 2], [3, 4, 5, 6]), ([1, 2], [7])]),
    ],
    ids=["of several turns", "from before there were turns"],
)
def test_a_reply_is_that_to_its_prompt(
    tmp_path: Path, columns: dict[str, list[list[int]]], replies: list[tuple[list[int], list[int]]]
) -> None:
    (tmp_path / "rollouts").mkdir()
    rows = pa.table({"prompt_ids": [[1, 2], [1, 2]], "token_ids": [[3, 4, 5, 6], [7]], **columns})
    parquet.write_table(rows, tmp_path / "rollouts" / "step-00001.parquet")
    assert texts(tmp_path, 5) == replies and texts(tmp_path, 1) == replies[:1]


def test_a_run_without_rollouts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no rollouts: give the folder of a finished run"):
        texts(tmp_path, 1)
