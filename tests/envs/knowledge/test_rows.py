from __future__ import annotations

import re

from envs.knowledge.rows import contradictions, measures

CONDITION = re.compile(r"male|female|pregnant|states [a-z][a-z -]+|([a-z][a-z0-9 ]*) (?:<=|>=) \d+(?:\.\d+)?")
READ_BY_CODE = {"age", "systolic", "diastolic"}


def test_every_row_names_a_source_that_can_be_looked_up() -> None:
    assert all(len(row.source) > 20 for row in (*contradictions(), *measures()))
    assert all(re.search(r"\d{4}|section|edition|DSM-5|Ranges|MeSH|ACR", row.source) for row in contradictions())


def test_every_condition_is_one_that_a_reader_knows() -> None:
    known = {measure.name for measure in measures()} | READ_BY_CODE
    for row in contradictions():
        assert row.wrong and row.kind in ("diagnosis", "drug", "act")
        for condition in row.wrong:
            match = CONDITION.fullmatch(condition)
            assert match is not None and (match[1] is None or match[1] in known), condition


def test_no_row_stands_twice_and_no_bound_is_outside_what_can_be_read() -> None:
    assert len({(row.say, row.wrong) for row in contradictions()}) == len(contradictions())
    ranges = {measure.name: (measure.low, measure.high) for measure in measures()}
    for row in contradictions():
        for name, _sign, bound in (c.rsplit(" ", 2) for c in row.wrong if re.search(r"[<>]=", c)):
            if name in ranges:
                assert ranges[name][0] < float(bound) < ranges[name][1]
