from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from envs.verdict.data.text import repair, split_sentences


@given(st.text(alphabet="abc é°μ–“”≥αß½×", max_size=40))
def test_repair_undoes_double_encoding_and_leaves_good_text_alone(text: str) -> None:
    shown = "".join(bytes([b]).decode("cp1252", "ignore") or chr(b) for b in text.encode("utf-8"))
    assert repair(shown) == text
    assert repair(text) == text


def test_a_closing_quote_that_lost_its_last_byte_is_repaired() -> None:
    assert repair("â€œugly.â€ Over 36.9Â\nC") == "“ugly.” Over 36.9\nC"


@given(st.text(alphabet='aB. ?!\n"0(', max_size=60))
def test_splitting_loses_nothing_but_whitespace(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_abbreviations_numbers_and_initials_do_not_end_a_sentence() -> None:
    text = 'Dr. Lee found E. coli at 2.5 mg/dL. "It hurts." He rests (see Fig. 2).\nShe agrees.'
    assert split_sentences(text) == [
        "Dr. Lee found E. coli at 2.5 mg/dL.",
        '"It hurts."',
        "He rests (see Fig. 2).",
        "She agrees.",
    ]
