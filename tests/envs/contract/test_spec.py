from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from common.config import RunSpec
from envs.contract.spec import read
from envs.contradiction.spec import ContradictionSettings
from envs.verdict.spec import DataSpec, RewardSpec, VerdictSettings

BOTH = (VerdictSettings(), ContradictionSettings())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ((), BOTH[:1]),
        ("verdict", BOTH[:1]),
        (["verdict", "contradiction"], BOTH),
        ({"id": "contradiction"}, BOTH[1:]),
        ({"verdict": None, "contradiction": {}}, BOTH),
        ([{"id": "verdict", "data": {"path": "a.csv"}}], (VerdictSettings(data=DataSpec(path="a.csv")),)),
        ({"verdict": {"weight": 2}}, (VerdictSettings(weight=2),)),
        (BOTH, BOTH),
    ],
)
def test_games_can_be_written_in_several_ways(written: object, meant: tuple[object, ...]) -> None:
    assert read(written) == meant


def test_a_game_by_its_class_is_the_game_of_that_class() -> None:
    path = "envs.contradiction.environment:Contradiction"
    (settings,) = read([{"class": path, "heldout": 0.5}])
    assert settings == ContradictionSettings(class_=path, heldout=0.5)
    assert read([settings.model_dump(mode="json")]) == (settings,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("chess", "unknown game 'chess'; write one of clinic, contradiction, lookup, oversight, verdict"),
        (["verdict", "verdict"], "the game verdict is listed twice; raise its weight instead"),
        ([{"weight": 2}], "write a game's name, or its settings with id: NAME or class:"),
        ([3], "write a game's name, or its settings"),
        ({"verdict": "a.csv"}, "verdict: write its settings, for example verdict: {weight: 2}"),
        (
            [{"id": "verdict", "class": "envs.contradiction.environment:Contradiction"}],
            "is the game contradiction",
        ),
    ],
)
def test_a_game_that_cannot_be_meant_is_refused_with_what_to_write(written: object, said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        RunSpec.model_validate({"envs": written})
    (error,) = caught.value.errors()
    assert error["loc"] == ("envs",) and said in error["msg"]


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ({"verdict": {"data": {"heldout": 3}}}, ("envs", "verdict", "data", "heldout")),
        ([{"id": "verdict", "data": {"heldout": 3}}], ("envs", "verdict", "data", "heldout")),
        ([{"id": "contradiction", "data": {}}], ("envs", "contradiction", "data")),
        ({"verdict": {"weight": 0}}, ("envs", "verdict", "weight")),
    ],
)
def test_a_mistake_in_the_settings_is_found_by_the_id_of_the_game(written: object, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        RunSpec.model_validate({"envs": written})
    assert [error["loc"] for error in caught.value.errors()] == [place]


OLD: list[tuple[dict[str, Any], tuple[object, ...]]] = [
    ({"env": "verdict"}, (VerdictSettings(),)),
    ({"data": {"path": "notes.csv", "heldout": 0.2}}, (VerdictSettings(data=DataSpec(path="notes.csv")),)),
    ({"reward": {"outcome": "type"}}, (VerdictSettings(reward=RewardSpec(outcome="type")),)),
    (
        {"env": "contradiction", "data": {"path": "bundled", "heldout": 0.3}, "reward": {"outcome": "type"}},
        (ContradictionSettings(heldout=0.3, reward=RewardSpec(outcome="type")),),
    ),
]


@pytest.mark.parametrize(("content", "meant"), OLD)
def test_an_older_spec_is_refused_with_what_to_write_and_that_means_the_same(
    content: dict[str, Any], meant: tuple[object, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        RunSpec.model_validate(content)
    (error,) = caught.value.errors()
    line = error["msg"]
    assert f"instead of {', '.join(content)} write envs: [" in line and "\n" not in line
    assert RunSpec.model_validate(yaml.safe_load(line[line.index("envs:") :])).envs == meant


def test_a_mistake_in_an_older_spec_is_shown_as_it_was_written() -> None:
    with pytest.raises(ValidationError, match=r"write envs: \[\{id: verdict, data: \{heldout: 3\}\}\]"):
        RunSpec.model_validate({"data": {"heldout": 3}})
