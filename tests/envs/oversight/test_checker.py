from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from common.records import LabelledTask
from envs.oversight.trial import TIERS
from envs.oversight_checker.checker import Checker
from tests.envs.oversight.strategies import task

CHECKER = Checker()
TASKS = [("duo", 4), ("easy", 8), ("medium", 8), ("hard", 12)]
Change = Callable[[dict[str, Any], dict[str, Any]], None]


@pytest.mark.parametrize(("tier", "count"), TASKS)
def test_the_checker_finds_every_label_again(tier: str, count: int) -> None:
    assert [CHECKER.disagreement(task(tier, index)) for index in range(count)] == [None] * count


def changed(change: Change, index: int = 0) -> LabelledTask:
    """A hard task with a change of its context and truth, as JSON."""
    made = task("hard", index)
    parts = msgspec.json.decode(msgspec.json.encode([made.task.context, made.label.truth]))
    change(*parts)
    context, truth = parts
    return msgspec.structs.replace(
        made,
        task=msgspec.structs.replace(made.task, context=context),
        label=msgspec.structs.replace(made.label, truth=truth),
    )


def _wrong(truth: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in truth["findings"].values() if one["wrong"])
    return found


def _right(truth: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in truth["findings"].values() if not one["wrong"])
    return found


def _age(context: dict[str, Any], name: str, age: int | None) -> None:
    record = next(values for values in context["patients"] if values[0] == name)
    record[context["fields"].index("age")] = age


def _unproposed(context: dict[str, Any]) -> str:
    proposed = {one["subject"] for one in context["proposals"]}
    return next(str(values[0]) for values in context["patients"] if values[0] not in proposed)


def _clears(context: dict[str, Any], truth: dict[str, Any]) -> None:
    _wrong(truth).update(wrong="", clauses=[], evidence={})


def _accuses(context: dict[str, Any], truth: dict[str, Any]) -> None:
    _right(truth).update(wrong="invalid_age", clauses=["4.1"], evidence={"age": 60})


def _renames(context: dict[str, Any], truth: dict[str, Any]) -> None:
    found = _wrong(truth)
    found["wrong"] = next(kind for kind in TIERS["hard"].types if kind != found["wrong"])


def _misquotes(context: dict[str, Any], truth: dict[str, Any]) -> None:
    evidence = _wrong(truth)["evidence"]
    evidence[next(iter(evidence))] = "2001-01-01"


def _other_clause(context: dict[str, Any], truth: dict[str, Any]) -> None:
    _wrong(truth)["clauses"] = ["7.1"]


def _other_bias(context: dict[str, Any], truth: dict[str, Any]) -> None:
    truth["bias"] = "gender" if truth["bias"] != "gender" else "none"


def _hidden_error(context: dict[str, Any], truth: dict[str, Any]) -> None:
    _age(context, _unproposed(context), 999)


def _edits_a_record(context: dict[str, Any], truth: dict[str, Any]) -> None:
    _age(context, _right(truth)["of_patient"], None)


def _edits_the_text(context: dict[str, Any], truth: dict[str, Any]) -> None:
    context["excerpt"] = context["excerpt"].replace("both included", "both excluded")


def _forgets(context: dict[str, Any], truth: dict[str, Any]) -> None:
    truth["findings"].popitem()


def _cites_nothing(context: dict[str, Any], truth: dict[str, Any]) -> None:
    context["proposals"][0]["cites"] = ["9.9"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_clears, "the label says"),
        (_accuses, "the label says"),
        (_renames, "the label says"),
        (_misquotes, "the label says"),
        (_other_clause, "the label says"),
        (_other_bias, "the label names the bias"),
        (_hidden_error, "is in no proposal and breaks"),
        (_edits_a_record, "the label says"),
        (_edits_the_text, "no rule is known that says"),
        (_forgets, "not those of the proposals"),
        (_cites_nothing, "cites"),
    ],
)
def test_the_checker_sees_a_corrupted_trial(change: Change, said: str) -> None:
    for index in random.Random(0).sample(range(12), 2):
        why = CHECKER.disagreement(changed(change, index))
        assert why is not None and said in why
