from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.records import Episode, LabelledTask
from envs.conformance.baselines import SILENT
from envs.contract.env import Done, Environment
from envs.contract.mixture import Mixture
from envs.contract.registry import environment_of, make
from envs.contract.spec import read
from envs.contradiction.spec import ContradictionSettings
from envs.lookup.spec import LookupSettings
from envs.verdict.spec import VerdictSettings

GAMES = (VerdictSettings(), ContradictionSettings())
ALONE = {settings.id: make(settings, 3) for settings in GAMES}
BOTH = environment_of(GAMES, 3)
PAIRS = 1000


async def made(env: Environment, index: int) -> LabelledTask:
    slot = env.plan(index)
    task = await env.propose(slot, random.Random(slot.seed), SILENT)
    assert isinstance(task, LabelledTask)
    return task


def mixture(weights: list[float], seed: int) -> Mixture:
    return Mixture({f"game{number}": ALONE["contradiction"] for number in range(len(weights))}, weights, seed)


@given(weights=st.lists(st.floats(0.1, 9), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_twins_are_of_one_game_and_each_game_plays_its_own_plan_in_order(weights: list[float], seed: int) -> None:
    mixed, alone = mixture(weights, seed), ALONE["contradiction"]
    seen = Counter[str]()
    for index in range(0, 60, 2):
        first, second = mixed.plan(index), mixed.plan(index + 1)
        assert first.env == second.env and (first.index, second.index) == (index, index + 1)
        own = seen[first.env]
        assert msgspec.structs.replace(first, index=own, env="") == alone.plan(own)
        assert msgspec.structs.replace(second, index=own + 1, env="") == alone.plan(own + 1)
        seen[first.env] += 2


@given(order=st.permutations(range(40)), seed=st.integers(0, 9))
def test_a_slot_depends_on_its_index_alone(order: list[int], seed: int) -> None:
    asked, in_order = mixture([1, 2], seed), mixture([1, 2], seed)
    assert {index: asked.plan(index) for index in order} == {index: in_order.plan(index) for index in range(40)}


def test_another_seed_draws_other_games() -> None:
    plans = [[mixture([1, 1], seed).plan(index).env for index in range(0, 200, 2)] for seed in (0, 1)]
    assert plans[0] != plans[1]


@pytest.mark.parametrize("weights", [[1, 1], [3, 1], [1, 1, 8]])
def test_games_come_as_often_as_their_weights_say(weights: list[float]) -> None:
    mixed = mixture(weights, 0)
    counted = Counter(mixed.plan(2 * pair).env for pair in range(PAIRS))
    for number, weight in enumerate(weights):
        assert counted[f"game{number}"] / PAIRS == pytest.approx(weight / sum(weights), abs=0.05)


def test_a_run_with_one_game_is_that_game() -> None:
    for settings in GAMES:
        assert type(environment_of([settings], 3)) is type(ALONE[settings.id])


@given(weights=st.lists(st.floats(0.1, 9), min_size=2, max_size=4), index=st.integers(0, 60))
def test_every_games_next_slot_at_or_after_one_of_the_run_is_known(weights: list[float], index: int) -> None:
    mixed = mixture(weights, 5)
    for name, (game, own) in mixed.parts(index).items():
        later = next(at for at in range(index, index + 10_000) if mixed.plan(at).env == name)
        assert msgspec.structs.replace(mixed.plan(later), index=own, env="") == game.plan(own)


async def test_each_task_is_made_shown_and_scored_as_by_its_own_game() -> None:
    seen = Counter[str]()
    for index in range(40):
        mixed, env_id = await made(BOTH, index), BOTH.plan(index).env
        alone = ALONE[env_id]
        own = await made(alone, seen[env_id])
        seen[env_id] += 1
        assert mixed.task.env == env_id and mixed.task.context == own.task.context
        assert mixed.task.task_id == mixed.label.task_id == f"{env_id}:{own.task.task_id}"
        assert mixed.task.provenance.vignette == f"{env_id}:{own.task.provenance.vignette}"
        (state, turn), (own_state, own_turn) = BOTH.begin(mixed.task), alone.begin(own.task)
        assert turn == own_turn
        reply = BOTH.oracle(mixed, random.Random(5))(turn)
        assert reply == alone.oracle(own, random.Random(5))(own_turn)
        assert BOTH.advance(state, reply)[1] == alone.advance(own_state, reply)[1] == Done()
        assert BOTH.kind(mixed) == alone.kind(own)
        episode = Episode(task_id=mixed.task.task_id, actions=(reply,))
        own_episode = msgspec.structs.replace(episode, task_id=own.task.task_id)
        for version in (0, None):
            assert BOTH.score(episode, mixed.label, version) == alone.score(own_episode, own.label, version)
    assert min(seen["verdict"], seen["contradiction"]) > 9


def test_what_a_game_could_not_read_is_asked_of_the_episodes_own_game() -> None:
    mixed = Mixture({"lookup": make(LookupSettings(), 3), "verdict": ALONE["verdict"]}, [1, 1], 0)
    assert mixed.unread(Episode(task_id="lookup:a", actions=("no call",))) == (0,)
    assert mixed.unread(Episode(task_id="verdict:a", actions=("no call",))) is None


async def test_an_episode_is_not_scored_with_the_label_of_another_task() -> None:
    first, second = await made(BOTH, 0), await made(BOTH, 2)
    with pytest.raises(ValueError, match="cannot be scored with the label of"):
        BOTH.score(Episode(task_id=first.task.task_id, actions=("",)), second.label)


async def test_held_out_tasks_come_from_the_held_out_plans() -> None:
    assert isinstance(BOTH, Mixture)
    for index in range(20):
        slot = BOTH.heldout_plan(index)
        task = await BOTH.propose(slot, random.Random(slot.seed), SILENT)
        assert isinstance(task, LabelledTask) and task.task.split != "train"


async def test_only_the_game_that_asks_a_verifier_is_given_it() -> None:
    class Noting(type(ALONE["contradiction"])):  # type: ignore[misc]
        given: list[object] = []

        async def propose(self, slot, rng, complete, verify=None):  # type: ignore[no-untyped-def]
            self.given.append(verify)
            return await super().propose(slot, rng, complete)

    asking, other = Noting(ContradictionSettings(), 0), Noting(ContradictionSettings(), 0)
    asking.given, other.given = [], []
    mixed = Mixture({"asking": asking, "other": other}, [1, 1], 0, "asking")
    for index in range(40):
        await mixed.propose(mixed.plan(index), random.Random(0), SILENT, SILENT)
    assert set(asking.given) == {SILENT} and set(other.given) == {None}


def test_the_weights_of_a_spec_are_those_of_the_mixture() -> None:
    mixed = environment_of(read([{"id": "verdict", "weight": 3}, "contradiction"]), 0)
    counted = Counter(mixed.plan(2 * pair).env for pair in range(PAIRS))
    assert counted["verdict"] / PAIRS == pytest.approx(0.75, abs=0.05)
    assert "verdict: " in mixed.notice and mixed.notice.count("contradiction") == 1
