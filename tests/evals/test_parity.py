"""The command `medserl parity`, on the cheapest rows of its tables and on rows that fail."""

from __future__ import annotations

import json
from typing import NamedTuple

import pytest

from evals import parity
from evals.core.parity import Control, Found, Row, Table, demands

CHEAP = ["SA14", "SA21", "SA27"]


class Number(NamedTuple):
    number: int = 1


def test_rows_are_printed_in_the_order_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main(["--no-controls", "--rows", *CHEAP[::-1]]) == 0
    out = capsys.readouterr().out
    assert [line[2:6] for line in out.splitlines() if line.startswith("│ SA")] == CHEAP
    assert "2 green, 1 by command" in out


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert parity.main(["--json", "--no-controls", "--rows", *CHEAP]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] and [one["row"] for one in document["rows"]] == CHEAP
    assert document["rows"][0]["state"] == "green" and document["rows"][0]["turned"] is None


def test_a_row_that_does_not_exist_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parity.main(["--rows", "SA3"])
    assert ended.value.code == 2
    told = "parity: --rows SA3: no such row; did you mean SA35?; there are SA01 to SA35, HG01 to HG45\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("number", "corrupted", "said", "code"),
    [
        (1, 20, "red alone", 0),
        (1, 2, "A1: its control must turn it red and no other row: a larger one", 1),
        (30, 20, "A1: below ten", 1),
    ],
)
def test_a_red_row_and_a_control_that_stays_green_are_named_and_fail(
    number: int, corrupted: int, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(number: int) -> Found:
        return Found(str(number), demands(below_ten=number < 10))

    control = Control("a larger one", lambda parts: parts._replace(number=corrupted))
    table = Table(Number(number), [Row("A1", "a small number", (), check, control)])
    assert parity.run(parity.parser("parity").parse_args([]), [table]) == code
    assert said in capsys.readouterr().out
