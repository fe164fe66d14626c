from __future__ import annotations

import asyncio
import json
import random
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from common.record import frozen
from common.records import EndReason, Episode, Label, Reward, Rollout, Step
from deploy.report import rollout_log
from deploy.report.rollout_tables import episode_of, read_run
from envs.contract import registry
from envs.contract.by_rule import tasks_by_rule
from envs.contract.replay import play, texts
from envs.lookup.spec import LookupSettings
from envs.verdict.spec import RewardSpec, VerdictSettings
from tests.deploy.report.rollouts import REPLY, SENTENCES, group, labelled, rollout, write_step


def test_every_completion_is_a_row_with_note_label_reward_versions_and_logps(tmp_path: Path) -> None:
    path = write_step(tmp_path, 5, 4, [group(labelled(), rollout(), rollout("x", "invalid_tags"))])
    assert path == tmp_path / "rollouts" / "step-00005.parquet"
    first, second = read_run(tmp_path).to_pylist()
    assert json.loads(first["context"])["sentences"] == list(SENTENCES)
    assert json.loads(first["truth"])["sentence"] == 1
    assert (first["policy_version_oldest"], first["policy_version_newest"], first["policy_lag"]) == (3, 4, 1)
    assert (first["reward"], first["reward_outcome"], first["reward_structure"]) == (-0.9, -1.0, 0.1)
    assert (first["token_ids"], first["logps"], first["versions"]) == ([0, 1, 2], [-0.5] * 3, [3, 3, 4])
    assert (first["prompt_ids"], first["engine"], first["doctor"]) == ([7, 8, 9], "engines-0", "doctor-0")
    assert (second["rollout"], second["reason"], second["kind"]) == (1, "invalid_tags", "synthetic_injection")


def test_steps_are_read_in_order_and_a_step_written_again_replaces_its_rows(tmp_path: Path) -> None:
    for step in (10, 9, 10):
        write_step(tmp_path, step, step + 3, [group(labelled(step))])
    assert read_run(tmp_path)["step"].to_pylist() == [9, 10]


def test_a_component_that_another_step_lacks_is_null_there(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled())])
    write_step(tmp_path, 2, 4, [group(labelled(), rollout(tools=0.5))])
    assert read_run(tmp_path)["reward_tools"].to_pylist() == [None, 0.5]


def test_an_unfinished_file_is_not_read(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled())])
    (tmp_path / "rollouts" / "step-00002.unfinished").write_bytes(b"PAR1")
    assert read_run(tmp_path).num_rows == 1


def test_a_folder_without_rollouts_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give the folder of a run"):
        read_run(tmp_path)


def test_every_reward_can_be_computed_again_from_its_row(tmp_path: Path) -> None:
    scoring = RewardSpec(outcome="graded", anneal_steps=8)
    env = registry.make(VerdictSettings(reward=scoring), 0)
    alarm = REPLY.replace("No Clinical Error", "Error: treatment\nSentence: 1\nCorrection: Rest.")
    task = labelled(kind="synthetic_decoy")
    replies = (REPLY, alarm, "hm")
    rewards = [env.score(Episode(task_id="task-0", actions=(text,)), task.label, 4) for text in replies]
    rollouts = [
        msgspec.structs.replace(rollout(text, versions=versions), reward=reward)
        for text, reward, versions in zip(replies, rewards, ((3,), (3, 4), (3,)), strict=True)
    ]
    write_step(tmp_path, 1, 5, [group(task, *rollouts)])
    for row, reward in zip(read_run(tmp_path).to_pylist(), rewards, strict=True):
        label = Label(task_id=row["task_id"], truth=json.loads(row["truth"]))
        again = env.score(episode_of(row), label, row["scored_version"])
        assert (again, again.total, again.reason) == (reward, row["reward"], row["reason"])
    assert rewards[1].total == pytest.approx(-1.15), "half way between -0.9 and -1.4"


def test_i3_a_row_replays_what_the_policy_was_shown_and_scores_the_same(tmp_path: Path) -> None:
    env = registry.make(LookupSettings(), 3)
    ((_, task),) = asyncio.run(tasks_by_rule(env, env.plan, 1))
    played = play(env, task.task, env.oracle(task, random.Random(0)))
    rolled = _rolled(played, env.score(played, task.label), engines=("engines-0", "engines-1"))

    rollout_log.write_step(tmp_path, 1, 4, [group(task, rolled)], partial(texts, env))
    rollout_log.publish_step(tmp_path, 1)
    (row,) = read_run(tmp_path).to_pylist()
    again = episode_of(row)
    assert again == played
    assert row["shown"] == texts(env, task.task, again)
    label = Label(task_id=row["task_id"], truth=json.loads(row["truth"]))
    assert env.score(again, label, row["scored_version"]) == rolled.reward
    observed = [step.observed.tolist() for step in rolled.steps]
    assert row["observed_ids"] == [token for ids in observed for token in ids]
    assert row["observed_tokens"] == [len(ids) for ids in observed]
    assert row["step_engines"] == ["engines-0", "engines-1"]


def test_a_row_of_a_run_from_before_episodes_had_turns_is_an_episode_too() -> None:
    row = {"task_id": "t", "completion": "yes", "finish_reason": "length"}
    assert episode_of(row) == Episode(task_id="t", actions=("yes",), reason=EndReason.LENGTH)
    assert episode_of({**row, "finish_reason": "stop"}).reason == EndReason.SUBMITTED


def _rolled(played: Episode, reward: Reward, engines: tuple[str, ...]) -> Rollout:
    """The rollout of an episode, each turn sampled by another engine."""
    steps = tuple(
        Step(
            completion=msgspec.structs.replace(rollout(text).steps[0].completion, engine=engine),
            observed=frozen(observed, np.int32),
        )
        for text, engine, observed in zip(played.actions, engines, ((4, 5, 6), ()), strict=True)
    )
    return Rollout(steps=steps, episode=played, reward=reward)
