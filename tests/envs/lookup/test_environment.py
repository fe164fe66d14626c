from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from msgspec.structs import replace

from common.records import EndReason, Episode, LabelledTask
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Done, Turn
from envs.contract.replay import play, turns
from envs.contract.tool_game import FAULTS
from envs.lookup.environment import IDS, SHOWN_SHARE, VALUES, Lookup
from envs.lookup.spec import LookupSettings

ENV = Lookup(LookupSettings(), 3)
TASKS: list[LabelledTask] = [task for _, task in asyncio.run(tasks_by_rule(ENV, ENV.plan, 400))]


def total(labelled: LabelledTask, episode: Episode) -> float:
    return ENV.score(episode, labelled.label).total


def test_the_oracle_solves_every_task_in_two_turns() -> None:
    for labelled in TASKS[:40]:
        episode = play(ENV, labelled.task, ENV.oracle(labelled, random.Random(0)))
        assert (len(episode.actions), total(labelled, episode)) == (2, 1.0)


def test_demonstrations_look_at_any_record_and_solve_about_half_of_their_tasks() -> None:
    rng, looked = random.Random(0), Counter[str]()
    solved = 0.0
    for labelled in TASKS:
        episode = play(ENV, labelled.task, ENV.demonstrator(labelled, rng))
        looked[episode.actions[0]] += 1
        solved += total(labelled, episode)
    assert len(looked) == len(IDS) and min(looked.values()) > len(TASKS) / 6
    looked_right = SHOWN_SHARE + (1 - SHOWN_SHARE) / len(IDS)
    right_by_chance = (1 - looked_right) / VALUES
    assert solved / len(TASKS) == pytest.approx(looked_right + right_by_chance, abs=0.08)


def test_the_prompt_says_which_record_is_asked_for_and_no_value() -> None:
    for labelled in TASKS[:40]:
        _, turn = ENV.begin(labelled.task)
        text = turn.messages[0].content
        assert f'Look up id="{labelled.task.context["wanted"]}"' in text
        assert "value=" not in text


def test_only_the_value_of_the_record_that_was_looked_at_is_shown() -> None:
    labelled = TASKS[0]
    episode = Episode(task_id=labelled.task.task_id, actions=('look(id="d")', "answer(value=1)"))
    (_, second) = turns(ENV, labelled.task, episode)
    assert second.messages[0].content == f"value={labelled.task.context['records']['d']}"


def test_a_second_look_ends_the_episode_without_an_answer() -> None:
    labelled = TASKS[0]
    episode = play(ENV, labelled.task, lambda _: 'look(id="a")')
    assert (episode.reason, total(labelled, episode)) == (EndReason.MAX_TURNS, -1.0)


def test_a_reply_without_a_readable_call_is_answered_with_what_to_write_and_three_in_a_row_end_the_episode() -> None:
    state, _ = ENV.begin(TASKS[0].task)
    for _ in range(FAULTS - 1):
        state, after = ENV.advance(state, "look at c, please")
        assert isinstance(after, Turn) and "look(id=" in after.messages[0].content
    state, after = ENV.advance(state, "look(id=7)")
    assert after == Done(reason=EndReason.INVALID)


def test_a_readable_call_forgives_the_faults_before_it() -> None:
    state, _ = ENV.begin(TASKS[0].task)
    for action in ("no", "no", 'look(id="a")', "no", "no"):
        state, after = ENV.advance(state, action)
        assert isinstance(after, Turn)


def test_the_right_value_written_with_a_fault_earns_nothing() -> None:
    labelled = TASKS[0]
    value = labelled.label.truth["value"]
    for last in (f"answer(value={value}) I think", f"answer({value})", f"value={value}"):
        episode = Episode(task_id=labelled.task.task_id, actions=('look(id="a")', last))
        assert total(labelled, episode) == 0.0


def test_replies_without_a_readable_call_are_named_and_one_that_was_cut_off_is_one_of_them() -> None:
    actions = ("I look at a", 'look(id="a")', "answer(value=1)")
    episode = Episode(task_id="t", actions=actions)
    assert ENV.unread(episode) == (0,)
    assert ENV.unread(replace(episode, reason=EndReason.LENGTH)) == (0, 2)
