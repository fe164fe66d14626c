from __future__ import annotations

import asyncio
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.engine import PromptTooLong
from actors.episode import GameError, PartnerError, newest_version, play, scored
from common.record import Ids
from common.records import Completion, EndReason, Episode, Label, Message, Reply, Reward, Sampled
from envs.contract.env import Ask
from envs.contract.replay import turns
from tests.actors.fake_turns import Turns, turn_task

PROMPT = (7, 8)


class Scripted:
    """A model whose i-th sample of an episode says the i-th word of that episode's script. Versions count its calls."""

    def __init__(self, *scripts: tuple[str, ...], room: int = 10_000, cut: str = "", partner: str = "yes") -> None:
        self._scripts, self._room, self._cut, self._partner = scripts, room, cut, partner
        self.prefixes: dict[int, list[list[int]]] = defaultdict(list)
        self.shown: list[Message] = []
        self.calls = 0

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        assert n == len(self._scripts)
        return Sampled(prompt_ids=PROMPT, completions=tuple(self._say(episode, 0) for episode in range(n)))

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        await asyncio.sleep(0)
        if len(prefix) > self._room:
            raise PromptTooLong("no room")
        episode, turn = divmod(int(prefix[-1]), 100)
        self.prefixes[episode].append(prefix.tolist())
        self.shown += messages
        return Sampled(prompt_ids=np.append(prefix, [5000, 5001]), completions=(self._say(episode, turn + 1),))

    async def partner(self, ask: Ask) -> Reply:
        if not self._partner:
            raise PartnerError("nobody")
        return Reply(role=ask.role, text=self._partner, policy_version=0)

    def _say(self, episode: int, turn: int) -> Completion:
        self.calls += 1
        word = self._scripts[episode][turn]
        ids = (*range(1000, 1000 + len(word)), 100 * episode + turn)
        return Completion(
            text=word,
            token_ids=ids,
            logps=(-1.0,) * len(ids),
            versions=(self.calls,) * len(ids),
            finish_reason="length" if word == self._cut else "stop",
            engine=f"e{episode}",
        )


async def test_each_episode_of_a_group_continues_by_itself_until_the_game_ends_it() -> None:
    task = turn_task(wanted=3)
    model = Scripted(("a", "bb", "c"), ("dd", "e", "f"))
    first, second = await play(Turns(), task.task, model, 2, 64)
    assert first.episode.actions == ("a", "bb", "c") and second.episode.actions == ("dd", "e", "f")
    assert first.episode.reason == EndReason.SUBMITTED and not first.episode.truncated
    assert [rollout.reward.total for rollout in scored(Turns(), task, (first, second), 1)] == [3.0, 3.0]


@given(
    st.lists(st.lists(st.text("ab", min_size=1, max_size=5), min_size=4, max_size=4).map(tuple), min_size=1, max_size=3)
)
async def test_i1_every_prompt_is_the_first_one_and_all_that_was_sampled_and_observed_since(
    scripts: list[tuple[str, ...]],
) -> None:
    model = Scripted(*scripts)
    for number, played in enumerate(await play(Turns(), turn_task(wanted=4).task, model, len(scripts), 64)):
        ids = list(PROMPT)
        for step, prefix in zip(played.steps, model.prefixes[number], strict=False):
            assert prefix == ids + step.completion.token_ids.tolist()
            ids = prefix + step.observed.tolist()
        assert len(model.prefixes[number]) == len(played.steps) - 1 == 3
        assert len(played.steps[-1].observed) == 0


async def test_i3_the_record_of_an_episode_replays_what_the_policy_was_shown() -> None:
    task, model = turn_task(wanted=4).task, Scripted(("a", "ask", "b", "c"))
    (played,) = await play(Turns(), task, model, 1, 64)
    assert [reply.text for reply in played.episode.replies] == ["yes"]
    shown = [message for turn in turns(Turns(), task, played.episode)[1:] for message in turn.messages]
    assert shown == model.shown and "yes" in shown[1].content


async def test_a_cut_reply_ends_its_episode_and_no_other() -> None:
    model = Scripted(("a", "cut", "b"), ("a", "b", "c"), cut="cut")
    first, second = await play(Turns(), turn_task().task, model, 2, 64)
    assert (first.episode.reason, first.episode.actions, first.episode.truncated) == (
        EndReason.LENGTH,
        ("a", "cut"),
        True,
    )
    assert second.episode.reason == EndReason.SUBMITTED


async def test_the_games_own_limit_of_turns_ends_an_episode() -> None:
    (played,) = await play(Turns(), turn_task(wanted=9, max_turns=2).task, Scripted(("a", "b", "c")), 1, 64)
    assert (played.episode.reason, played.episode.actions) == (EndReason.MAX_TURNS, ("a", "b"))


async def test_an_episode_without_room_for_a_reply_ends_with_what_it_has() -> None:
    (played,) = await play(Turns(), turn_task().task, Scripted(("a", "b", "c"), room=5), 1, 64)
    assert (played.episode.reason, played.episode.actions) == (EndReason.CONTEXT, ("a", "b"))
    assert len(played.steps[-1].observed) == 0, "what was never answered is not part of the episode"


async def test_a_game_that_raises_is_reported_with_what_it_said() -> None:
    with pytest.raises(GameError, match=r"advance: KeyError: .*broken game"):
        await play(Turns(), turn_task().task, Scripted(("a", "break")), 1, 64)


async def test_a_partner_that_fails_ends_the_group() -> None:
    with pytest.raises(PartnerError):
        await play(Turns(), turn_task().task, Scripted(("a", "ask"), ("a", "b"), partner=""), 2, 64)


async def test_the_newest_version_of_a_group_is_over_all_turns() -> None:
    played = await play(Turns(), turn_task(wanted=2).task, Scripted(("a", "b"), ("c", "d")), 2, 64)
    assert newest_version(played) == 4


async def test_when_an_episode_fails_the_others_of_its_group_are_played_no_further() -> None:
    model = Scripted(("a", "break"), ("a",) * 9)
    with pytest.raises(GameError):
        await play(Turns(), turn_task(wanted=8).task, model, 2, 64)
    calls = model.calls
    for _ in range(20):
        await asyncio.sleep(0)
    assert model.calls == calls < 8


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
async def test_a_game_whose_reward_is_no_number_is_at_fault_and_nothing_is_trained_on_it(bad: float) -> None:
    class Undefined(Turns):
        def score(self, episode: Episode, label: Label, version: int | None = None) -> Reward:
            return Reward(components={"ratio": bad}, total=1.0, reason="", solved=True)

    task = turn_task(wanted=1)
    played = await play(Undefined(), task.task, Scripted(("a",)), 1, 64)
    with pytest.raises(GameError, match=rf"score: the component ratio is {bad}: a reward must be finite"):
        scored(Undefined(), task, played, 0)
