from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import msgspec
import pytest

from common.config import RunSpec
from common.records import Message, Sampled
from evals.core.asking import each
from evals.core.journal import Settings
from evals.suites.medec.protocol import CLEAN_ANSWER, Answer
from evals.suites.medec.replies import Journal, Reply, answer, judge, reply_figures, unanswered
from tests.evals.clients import CLEAN, FakeClient, completion, flagged, too_long
from tests.evals.suites.medec.notes import note

SETTINGS = Settings(model="m", checksum="c", dtype="bfloat16", temperature=0.0, samples=1, max_tokens=64, seed=0)
ERROR = note("a-e", "diagnosis")


def replies(*texts: str) -> tuple[Reply, ...]:
    return tuple(Reply(text=text, truncated=False) for text in texts)


async def answered(path: Path, client: FakeClient, *names: str) -> Journal:
    journal = Journal(path, SETTINGS)
    async with client.asking(RunSpec(), path) as model:
        ask = partial(model.start, n=1, max_tokens=64)
        await each([note(name) for name in names], partial(answer, ask=ask, journal=journal), 2, lambda: None)
    journal.close()
    return journal


def test_the_reply_becomes_the_answer() -> None:
    judged = judge(ERROR, replies(flagged(2, "He has flu.", "treatment")))
    assert judged.answer == Answer(flag="1", sentence="2", correction="He has flu.")
    assert (judged.named_type, judged.reasons, judged.right_flags) == ("treatment", ("valid",), 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(text=flagged(2), truncated=True), "truncated"),
        (Reply(text=flagged(3), truncated=False), "invalid_sentence"),
        (Reply(text="No Clinical Error", truncated=False), "invalid_tags"),
    ],
)
def test_an_invalid_reply_counts_as_clean_and_is_counted(reply: Reply, reason: str) -> None:
    judged = judge(ERROR, [reply])
    assert (judged.answer, judged.named_type, judged.reasons) == (CLEAN_ANSWER, None, (reason,))
    figures = reply_figures({"a-e": judged, "b": judge(note("b"), replies(CLEAN))})
    assert (figures.replies, figures.invalid.value, figures.valid_and_right) == (2, 0.5, 0.5)
    assert figures.reasons == {reason: 1, "valid": 1}


def test_the_majority_decides_flag_then_sentence() -> None:
    judged = judge(ERROR, replies(CLEAN, flagged(0), flagged(2, "First."), "junk", flagged(2, "Second.")))
    assert judged.answer == Answer(flag="1", sentence="2", correction="First.")
    assert (judged.right_flags, judged.reasons.count("valid")) == (3, 4)


def test_the_earlier_reply_wins_a_tie() -> None:
    assert judge(ERROR, replies(CLEAN, flagged(2))).answer == CLEAN_ANSWER
    assert judge(ERROR, replies(flagged(2), CLEAN)).answer.flag == "1"


async def test_a_prompt_that_does_not_fit_is_one_invalid_reply(tmp_path: Path) -> None:
    journal = await answered(tmp_path / "r.jsonl", FakeClient(too_long), "a")
    judged = judge(note("a"), journal.answered["a"].replies)
    assert judged.answer == CLEAN_ANSWER and judged.reasons == ("prompt_too_long",)


async def test_what_is_answered_is_not_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    await answered(path, FakeClient(lambda prompt: [completion(CLEAN)]), "a", "b")
    again = Journal(path, SETTINGS)
    assert [one.note_id for one in unanswered([note(name) for name in "abc"], again)] == ["c"]
    assert again.answered["a"].replies == replies(CLEAN)


async def test_a_note_that_changed_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    await answered(path, FakeClient(lambda prompt: [completion(CLEAN)]), "a")
    changed = msgspec.structs.replace(note("a"), sentences=("Another note.",))
    assert unanswered([changed], Journal(path, SETTINGS)) == [changed]


async def test_a_line_that_a_crash_cut_off_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    await answered(path, FakeClient(lambda prompt: [completion(CLEAN)]), "a", "b")
    path.write_bytes(path.read_bytes()[:-9])
    journal = Journal(path, SETTINGS)
    assert [one.note_id for one in unanswered([note("a"), note("b")], journal)] == ["b"]
    journal.close()
    await answered(path, FakeClient(lambda prompt: [completion(CLEAN)]), "b")
    assert set(Journal(path, SETTINGS).answered) == {"a", "b"}


def test_replies_of_other_settings_are_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "r.jsonl", SETTINGS).close()
    with pytest.raises(ValueError, match=r"r\.jsonl: holds replies made with temperature 0\.0, and this run has 0\.7"):
        Journal(tmp_path / "r.jsonl", msgspec.structs.replace(SETTINGS, temperature=0.7))


@pytest.mark.parametrize("line", [b'{"note_id": 3}\n', b"\xff\n"])
def test_a_broken_line_is_no_reply_and_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "r.jsonl"
    Journal(path, SETTINGS).close()
    path.write_bytes(path.read_bytes() + line)
    (said,) = Journal(path, SETTINGS).damaged
    assert "r.jsonl:2: left out, it is damaged: not the replies" in said and "\n" not in said


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("hello\n")
    with pytest.raises(ValueError, match=r"r\.jsonl:1: not the settings of a run"):
        Journal(tmp_path / "r.jsonl", SETTINGS)


async def test_no_more_notes_are_in_hand_than_asked_for(tmp_path: Path) -> None:
    running = most = 0

    async def ask(messages: tuple[Message, ...]) -> Sampled:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return Sampled(prompt_ids=(1,), completions=(completion(CLEAN),))

    journal = Journal(tmp_path / "r.jsonl", SETTINGS)
    await each([note(str(at)) for at in range(9)], partial(answer, ask=ask, journal=journal), 3, lambda: None)
    journal.close()
    assert most == 3 and len(journal.answered) == 9
