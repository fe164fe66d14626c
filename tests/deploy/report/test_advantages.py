from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from common.learner_sections import LearnerSpec
from common.records import Group
from deploy.report.advantages import advantages
from deploy.report.rollout_tables import read_run
from learner.batch import layout, pack
from learner.reinforce_pp import signal
from tests.deploy.report.rollouts import group, labelled, rollout
from tests.deploy.report.turns_pages import lookup_group, write_step

LOOK, ANSWER = 'look(id="a") now', "answer(value=7)"


def groups(shaped: bool) -> list[Group]:
    """Two groups of several turns, of replies of different length and reward."""
    first = lookup_group(0, (LOOK, ANSWER), (ANSWER,), ("I say nothing at all", LOOK))
    second = lookup_group(1, (LOOK, LOOK), ("I look it up now. " + LOOK, ANSWER))
    if not shaped:
        return [first, second]
    rollouts = [
        replace(one, reward=replace(one.reward, potentials=tuple(0.3 * at for at in range(len(one.steps)))))
        for one in first.rollouts
    ]
    return [replace(first, rollouts=tuple(rollouts)), second]


@pytest.mark.parametrize("shaped", [False, True])
@pytest.mark.parametrize("weighting", ["token", "episode"])
@pytest.mark.parametrize("algorithm", ["reinforce_pp", "reinforce_pp_baseline"])
def test_the_advantages_of_the_page_are_those_that_the_learner_computes_from_the_tokens(
    tmp_path: Path,
    algorithm: Literal["reinforce_pp", "reinforce_pp_baseline"],
    weighting: Literal["token", "episode"],
    shaped: bool,
) -> None:
    made = groups(shaped)
    write_step(tmp_path, 1, *made)
    found = advantages(read_run(tmp_path).to_pylist(), LearnerSpec(algorithm=algorithm, weighting=weighting))

    tokens = layout([pack(one) for one in made], range(len(made)), weighting)
    learnt = signal(tokens, baseline=algorithm == "reinforce_pp_baseline").advantage_N
    of = [(one.task_id, at) for one in made for at in range(len(one.rollouts))]
    assert list(found) == of
    for number, key in enumerate(of):
        assert found[key] == pytest.approx(float(learnt[tokens.episode_N == number].mean()), abs=1e-6)
    assert len({round(value, 6) for value in found.values()}) > 1


def test_a_group_of_one_reply_has_no_baseline_and_so_no_advantage(tmp_path: Path) -> None:
    write_step(tmp_path, 1, group(labelled(), rollout()))
    rows = read_run(tmp_path).to_pylist()
    assert advantages(rows, LearnerSpec()) == {}
    assert advantages(rows, LearnerSpec(algorithm="reinforce_pp")) == {("task-0", 0): pytest.approx(0.0)}
