from __future__ import annotations

from envs.verdict.data.medec import ERROR_TYPES
from envs.verdict.doctor.grammar import Verdict, parse
from envs.verdict.prompts import DOCTOR, doctor_messages, scribe_reword_messages


def test_the_doctor_sees_numbered_sentences_one_a_line() -> None:
    (message,) = doctor_messages(["He coughs.", "He is given aspirin."])
    assert message.role == "user"
    assert message.content.endswith("\n0 He coughs.\n1 He is given aspirin.")


def test_the_doctors_instruction_is_short_enough_for_a_small_model() -> None:
    assert len(DOCTOR) / 3 < 260  # English runs at about four characters a token


def test_the_prompt_of_the_doctor_names_every_type() -> None:
    assert all(name in DOCTOR for name in ERROR_TYPES)


def test_both_examples_in_the_instruction_are_in_the_grammar() -> None:
    replies = ["<thinking>" + part for part in DOCTOR.split("Note:")[0].split("<thinking>")[1:]]
    parsed = [parse(reply) for reply in replies]
    assert [isinstance(p, Verdict) and p.error for p in parsed] == [True, False]


def test_the_scribe_sees_the_one_sentence_alone() -> None:
    (message,) = scribe_reword_messages("He is given 5 mg.")
    assert message.content.endswith("Sentence: He is given 5 mg.")
    assert "\n" not in message.content.split("Sentence: ")[1]
