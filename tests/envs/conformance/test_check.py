from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest

from common.records import LabelledTask, Rejection
from common.sections import EnvSettings
from envs.conformance.check import COUNT, check
from envs.conformance.command import main
from envs.conformance.fingerprint import elsewhere, fingerprint
from envs.conformance.fingerprint import main as fingerprint_main
from envs.conformance.report import Report
from envs.contract import registry
from envs.contract.env import Complete, Environment, Slot
from envs.contract.spec import read
from tests.envs.conformance.riddles import (
    DrawsItsPlan,
    ForgetsItsSeed,
    HasAWeakOracle,
    LeaksByField,
    LeaksByProvenance,
    LeaksInTheWords,
    NeverMakesOneKind,
    PaysForSpam,
    PaysForTruncatedReplies,
    Riddle,
    ScoresAnyLabel,
    TrustsTheModel,
    WearsItsLabelOut,
)

COUNTS = {"oversight": 30, "clinic": 240}
"""Of games whose episodes are long. `medserl check-env` takes more."""
FEW = 300


async def test_an_environment_that_keeps_the_contract_has_no_problems() -> None:
    report = await check(Riddle(), count=400)
    assert report.ok, str(report)
    assert report.kinds == {"right": 200, "wrong": 200}
    assert report.oracle == 1.0
    assert report.policies["null"] == -1.0 and report.policies["constant right"] == 0.0


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        (LeaksInTheWords(), "the words probe reads the label"),
        (LeaksByProvenance(), "the prompt depends on the task's id, split or provenance"),
        (LeaksByField(), "task context holds the label's field 'answer'"),
        (ForgetsItsSeed(), "repeated gives another task"),
        (NeverMakesOneKind(), "no slot of kind right became a task"),
        (PaysForSpam(), "a spam policy earns 1.00"),
        (HasAWeakOracle(), "must always reach the maximum"),
        (PaysForTruncatedReplies(), "a truncated reply earns as much"),
        (ScoresAnyLabel(), "scored with the label of another task"),
        (WearsItsLabelOut(), "scores differently, or differently from its log"),
        (DrawsItsPlan(), "the same index gives different slots"),
        (TrustsTheModel(), "with a model that answers nonsense, the oracle fails"),
    ],
)
async def test_a_breach_of_the_contract_is_named(env: Environment, problem: str) -> None:
    report = await check(env, count=120)
    assert any(problem in found for found in report.problems), str(report)


async def test_a_game_states_its_own_limits() -> None:
    class Loose(EnvSettings):
        ceiling = 1.0
        leak_limit = 1.0

    for env, problem in ((PaysForSpam(), "policy earns"), (LeaksInTheWords(), "probe reads the label")):
        assert problem in str(await check(env, count=120))
        assert problem not in str(await check(env, count=120, limits=Loose))


async def test_an_environment_that_makes_nothing_is_refused() -> None:
    class Barren(Riddle):
        async def propose(
            self, slot: Slot, rng: random.Random, complete: Complete, verify: Complete | None = None
        ) -> LabelledTask | Rejection:
            return Rejection(source=slot.source, reason="gate")

    with pytest.raises(ValueError, match="none of 20 proposals became a task"):
        await check(Barren(), count=20)


@pytest.mark.parametrize("env_id", registry.GAMES)
async def test_every_registered_environment_keeps_the_contract(env_id: str) -> None:
    report = await checked(env_id, COUNTS.get(env_id, FEW))
    assert report.ok, str(report)


@pytest.mark.integration
@pytest.mark.parametrize("env_id", registry.GAMES)
async def test_every_registered_environment_keeps_the_contract_over_many_tasks(env_id: str) -> None:
    report = await checked(env_id, 2 * COUNTS[env_id] if env_id in COUNTS else COUNT)
    assert report.ok, str(report)


async def checked(env_id: str, count: int) -> Report:
    (settings,) = read(env_id)
    env = registry.make(settings, seed=0)
    return await check(env, count, registry.checker(settings), type(settings))


@pytest.mark.parametrize("hash_seed", ["1", pytest.param("2", marks=pytest.mark.integration)])
async def test_another_process_makes_the_same_tasks(hash_seed: str) -> None:
    games = [registry.make(settings, seed=0) for settings in read(list(registry.GAMES))]
    here = {game.env_id: await fingerprint(game, 40) for game in games}
    command = [sys.executable, "-m", "envs.conformance.fingerprint", "--count", "40"]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )
    assert {env_id: digest for digest, env_id in map(str.split, ended.stdout.splitlines())} == here


async def test_another_process_is_asked_about_the_same_settings_and_count() -> None:
    (settings,) = read([{"id": "verdict", "data": {"proposer_tries": 0}}])
    env = registry.make(settings, seed=0)
    assert elsewhere(settings, 3, 1) == await fingerprint(env, 3) != await fingerprint(env, 4)
    (default,) = read("verdict")
    assert await fingerprint(registry.make(default, seed=0), 3) != await fingerprint(env, 3)


def test_the_fingerprints_of_games_are_printed_by_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["fingerprint", "--count", "2"])
    fingerprint_main()
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [env_id for _, env_id in lines] == list(registry.GAMES)
    assert len({digest for digest, _ in lines}) == len(registry.GAMES)


def test_a_process_that_fails_is_no_agreement() -> None:
    with pytest.raises(RuntimeError, match=r"envs\.conformance\.fingerprint .*chess"):
        elsewhere(EnvSettings(id="chess"), 1, 0)


async def test_a_label_that_the_independent_checker_refuses_is_named() -> None:
    class Contrary:
        def disagreement(self, labelled: LabelledTask) -> str | None:
            return "it is the other one" if labelled.label.truth["answer"] == "right" else None

    report = await check(Riddle(), count=40, checker=Contrary())
    assert len(report.problems) == 20 and "the independent checker disagrees: it is" in report.problems[0]


def test_a_report_is_readable_and_lists_its_problems() -> None:
    report = Report(
        env_id="x", kinds={"a": 2}, rejections={}, oracle=1.1, policies={"null": -1.5}, leaks={}, problems=("oh no",)
    )
    lines = str(report).splitlines()
    assert lines[:3] == ["x: 1 problems, oracle 1.10", "  tasks: a 2", "  rejected: none"]
    assert lines[-1] == "  PROBLEM oh no"


def test_the_command_checks_an_environment_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["contradiction", "--count", "40"]) == 0
    assert "contradiction: 0 problems" in capsys.readouterr().out


def test_the_command_refuses_wrong_input_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verdict", "--settings", "{data: {path: absent.csv}}"]) == 2
    assert main(["poker"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
