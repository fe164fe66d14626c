from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.records import EndReason, Reply
from envs.adapters.session import Session
from envs.adapters.source import source_of
from envs.contract.env import Ask
from envs.contract.replay import turns
from tests.envs.adapters.games import GUESS, HERE, made

LOOKUP = source_of("lookup", 3)


def wanted(index: int) -> str:
    return str(LOOKUP.labelled(index)[1].task.context["wanted"])


def test_the_reward_is_0_until_the_episode_is_over() -> None:
    session = Session(LOOKUP)
    first = session.reset(index=0)
    shown = session.step({"tool": "look", "arguments": {"id": wanted(0)}})
    last = session.step({"tool": "answer", "arguments": {"value": int(shown.text.removeprefix("value="))}})
    assert [seen.reward for seen in (first, shown, last)] == [0, 0, 1]
    assert [seen.done for seen in (first, shown, last)] == [False, False, True]
    assert [seen.turn for seen in (first, shown, last)] == [0, 1, 2]
    assert last.reason == EndReason.SUBMITTED and session.result is not None and session.result.solved


def test_what_an_open_episode_tells_of_itself_is_where_it_is_and_no_more() -> None:
    session = Session(made("guess"))
    session.reset(index=4)
    assert session.info() == {"game": "guess", "task_id": "guess-3-4", "split": "train", "index": 4, "turn": 0}


def test_a_call_of_a_tool_and_its_text_are_one_action() -> None:
    for source in (LOOKUP, made("lookup in JSON")):
        session = Session(source)
        session.reset()
        written = session.written({"text": "Let me see.", "tool": "look", "arguments": {"id": "b"}})
        call = source.env.read(written)  # type: ignore[attr-defined]
        assert (call.name, call.arguments, call.text_before) == ("look", {"id": "b"}, "Let me see.")


def test_a_call_that_the_game_refuses_is_answered_by_the_game() -> None:
    session = Session(LOOKUP)
    for action in ({"tool": "look", "arguments": {"id": 7}}, {"tool": "lock"}):
        session.reset(index=0)
        seen = session.step(action)
        assert not seen.done and "look" in seen.messages[0].content


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ({}, "an action is a text"),
        ({"arguments": {"id": "a"}}, "tool must be a name"),
        ({"tool": "look", "args": {}}, "an action is a text"),
        ({"tool": "look", "arguments": ["a"]}, "arguments an object"),
        ({"text": 7}, "text must be a string, not int"),
        (7, "an action is a text"),
    ],
)
def test_what_is_no_action_is_refused_in_one_line_and_costs_no_turn(action: object, said: str) -> None:
    session = Session(LOOKUP)
    session.reset(index=0)
    with pytest.raises(ValueError, match=said) as caught:
        session.step(action)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value) and session.info()["turn"] == 0


def test_a_game_without_tools_takes_texts_only() -> None:
    session = Session(source_of(GUESS))
    session.reset()
    with pytest.raises(ValueError, match="the game guess has no tools"):
        session.step({"tool": "look", "arguments": {}})


def test_an_episode_begins_with_a_reset_and_ends_for_good() -> None:
    session = Session(LOOKUP)
    with pytest.raises(ValueError, match="reset first"):
        session.step("answer(value=1)")
    session.reset(index=0)
    with pytest.raises(ValueError, match="not over"):
        _ = session.episode
    session.step("answer(value=1)")
    with pytest.raises(ValueError, match=r"over \(submitted\): reset first"):
        session.step("answer(value=1)")
    assert not session.reset().done


def test_the_task_s_limit_of_turns_ends_an_episode() -> None:
    session = Session(LOOKUP)
    session.reset(index=0)
    session.step('look(id="a")')
    last = session.step('look(id="b")')
    assert (last.done, last.reason, last.reward) == (True, EndReason.MAX_TURNS, -1.0)


def test_an_episode_that_is_stopped_from_outside_can_be_replayed() -> None:
    session = Session(LOOKUP)
    session.reset(index=0)
    session.step('look(id="a")')
    last = session.stop(EndReason.LENGTH)
    assert (last.reason, last.reward, last.turn) == (EndReason.LENGTH, -1.0, 2)
    assert session.episode.actions == ('look(id="a")', "")
    assert len(turns(LOOKUP.env, LOOKUP.labelled(0)[1].task, session.episode)) == 2


def test_the_chat_holds_what_was_shown_and_replied_in_order() -> None:
    session = Session(LOOKUP)
    session.reset(index=0)
    session.step('look(id="a")')
    assert [message.role for message in session.messages] == ["user", "assistant", "tool"]
    assert session.messages[1].content == 'look(id="a")'


def test_a_reset_without_a_number_plays_the_next_task() -> None:
    session = Session(LOOKUP)
    assert [(session.reset(), session.info()["index"])[1] for _ in range(3)] == [0, 1, 2]
    session.reset(index=7)
    session.reset()
    assert session.info()["index"] == 8


def test_a_seed_draws_the_same_task_everywhere_and_seeds_draw_many() -> None:
    first, second = Session(LOOKUP), Session(LOOKUP)
    drawn = [(first.reset(seed=seed), first.info()["index"])[1] for seed in range(20)]
    assert drawn == [(second.reset(seed=seed), second.info()["index"])[1] for seed in range(20)]
    assert len(set(drawn)) == 20


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        (lambda session: session.reset(index=-1), "index must be a whole number from 0 on, not -1"),
        (lambda session: session.reset(index="3"), "not '3'"),
        (lambda session: session.reset(seed=True), "seed must be a whole number"),
        (lambda session: session.reset(index=1, seed=1), "index or seed, not both"),
        (lambda session: session.reset(split="heldout"), "never held-out"),
        (lambda session: session.reset(split="test"), "train or public"),
    ],
)
def test_a_reset_that_cannot_be_is_refused_in_one_line(reset: Callable[[Session], object], said: str) -> None:
    session = Session(LOOKUP)
    session.reset(index=2)
    with pytest.raises(ValueError, match=said) as caught:
        reset(session)
    assert "\n" not in str(caught.value) and session.info()["index"] == 2


def test_no_door_gives_a_held_out_task() -> None:
    heldout = {LOOKUP.env.heldout_plan(index).seed for index in range(200)}
    served = {LOOKUP.labelled(index, split)[1].task.task_id for index in range(50) for split in ("train", "public")}
    assert len(served) == 100 and not any("heldout" in task_id for task_id in served)
    assert not heldout & {LOOKUP.env.plan(index).seed for index in range(200)}


def test_public_tasks_are_the_same_for_every_seed_and_not_those_of_training() -> None:
    one, other = source_of("lookup", 1), source_of("lookup", 2)
    public = [one.labelled(index, "public")[1] for index in range(8)]
    assert public == [other.labelled(index, "public")[1] for index in range(8)]
    assert public != [one.labelled(index)[1] for index in range(8)]


@pytest.mark.parametrize(
    ("game", "settings", "said"),
    [
        ("nope", {}, "unknown game 'nope'"),
        ("nope:Nope", {}, "no module nope"),
        ("lookup", {"call_syntax": "xml"}, "lookup.call_syntax: Input should be"),
        ("lookup", {"level": 3}, "lookup.level: Extra inputs"),
    ],
)
def test_a_game_or_setting_that_does_not_exist_is_refused_in_one_line(
    game: str, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        source_of(game, 0, **settings)
    assert "\n" not in str(caught.value)


async def test_a_session_works_where_an_event_loop_runs_already() -> None:
    assert Session(LOOKUP).reset(index=0).messages


def test_a_task_that_cannot_be_made_is_passed_over() -> None:
    rumour = source_of(f"{HERE}:Rumour")
    session = Session(rumour)
    for asked, given in ((0, 0), (1, 2), (2, 2)):
        session.reset(index=asked)
        assert session.info()["index"] == given
    with pytest.raises(ValueError, match="can make none of the tasks 501 to 600"):
        session.reset(index=501)


def test_a_game_that_asks_a_partner_gets_words_from_who_answers() -> None:
    asked: list[str] = []

    def answer(ask: Ask) -> Reply:
        asked.append(ask.messages[0].content)
        return Reply(role=ask.role, text="indeed", policy_version=4)

    session = Session(source_of(f"{HERE}:Rumour"), answer=answer)
    session.reset(index=0)
    assert session.step("hello").text == "They say: indeed"
    session.step("stop")
    assert asked == ["hello"] and [reply.text for reply in session.episode.replies] == ["indeed"]


def test_a_game_that_asks_a_partner_is_refused_where_nobody_answers() -> None:
    session = Session(source_of(f"{HERE}:Rumour"))
    session.reset(index=0)
    with pytest.raises(ValueError, match="asks a partner for words: give the session `answer`"):
        session.step("hello")


def test_sessions_of_one_source_do_not_mix() -> None:
    order = [index for index in range(20) for _ in range(2)]
    random.Random(0).shuffle(order)
    sessions = {index: Session(LOOKUP) for index in range(20)}
    for index in order:
        session = sessions[index]
        if session.done:
            session.reset(index=index)
        else:
            value = LOOKUP.labelled(index)[1].task.context["records"][wanted(index)]
            assert session.step(f'look(id="{wanted(index)}")').text == f"value={value}"
