from __future__ import annotations

import string
import warnings

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from envs.adapters.gym import GameEnv, Words
from tests.envs.adapters.games import GAMES, GUESS, made

NAME = "envs.adapters.gym:MedSeRL-v0"


@pytest.mark.parametrize("game", GAMES)
def test_gymnasium_s_own_check_finds_nothing(game: str) -> None:
    name, settings = GAMES[game]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(NAME, game=name, **settings).unwrapped)


def test_words_take_blanks_newlines_and_other_alphabets_up_to_a_length() -> None:
    words = Words(most=8)
    assert all(text in words for text in ("", "a b\nc", "é漢", "x" * 8))
    assert "x" * 9 not in words and 7 not in words and b"x" not in words
    assert words == Words(most=8) != Words(most=9)


def test_samples_of_words_are_words_and_follow_the_seed() -> None:
    first, second = Words(seed=3), Words(seed=3)
    drawn = [first.sample() for _ in range(20)]
    assert drawn == [second.sample() for _ in range(20)]
    assert all(text in first and set(text) <= set(string.printable) for text in drawn) and len(set(drawn)) > 10


def test_an_end_by_the_game_is_terminated_and_one_by_a_limit_truncated() -> None:
    env = GameEnv("lookup")
    env.reset(options={"index": 0})
    assert env.step("answer(value=1)")[2:4] == (True, False)
    env.reset(options={"index": 0})
    env.step('look(id="a")')
    _, reward, terminated, truncated, info = env.step('look(id="a")')
    assert (reward, terminated, truncated, info["reason"]) == (-1.0, False, True, "max_turns")


def test_the_same_seed_gives_the_same_tasks_and_resets_without_one_go_on() -> None:
    one, other = GameEnv("lookup"), GameEnv("lookup")

    def drawn(env: GameEnv) -> list[int]:
        first = env.reset(seed=7)[1]["index"]
        return [first, *(env.reset()[1]["index"] for _ in range(4))]

    assert drawn(one) == drawn(other) == drawn(one)
    assert len(set(drawn(one))) == 5


def test_the_tools_are_in_the_info() -> None:
    _, info = GameEnv("lookup").reset(options={"index": 0, "split": "public"})
    assert [tool["name"] for tool in info["tools"]] == ["look", "answer"] and info["split"] == "public"


def test_an_unknown_option_or_render_mode_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="reset has no option tier: write index or split"):
        GameEnv("lookup").reset(options={"tier": "easy"})
    with pytest.raises(ValueError, match="render_mode 'human'"):
        GameEnv("lookup", render_mode="human")


def test_the_chat_is_rendered_as_text() -> None:
    env = GameEnv(made("guess"), render_mode="ansi")
    env.reset(options={"index": 0})
    env.step("4")
    assert str(env.render()).startswith("[user]\nGuess a number from one to seven, in digits.\n\n[assistant]\n4")
    assert GameEnv(GUESS).render() is None
