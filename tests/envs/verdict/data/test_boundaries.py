from __future__ import annotations

import pytest

from envs.verdict.data.boundaries import Unsettled, sentences_of


@pytest.mark.parametrize(
    ("lines", "text", "sentences"),
    [
        (["0 He took", "1 mg.", "1 He is well."], "He took 1 mg. He is well.", ["He took\n1 mg.", "He is well."]),
        (["0 He took", "1 mg of X."], "He took 1 mg of X.", ["He took\n1 mg of X."]),
        (["0 He took", "1 mg of X."], "He took\n\nmg  of X.", ["He took", "mg of X."]),
        (["0 He rests.", "more", "1 He is well."], "", ["He rests.\nmore", "He is well."]),
    ],
)  # fmt: skip
def test_the_text_says_which_numbers_are_its_own(lines: list[str], text: str, sentences: list[str]) -> None:
    assert sentences_of(lines, text) == sentences


@pytest.mark.parametrize("text", ["", "Another note."])
def test_what_the_text_does_not_settle_is_refused(text: str) -> None:
    with pytest.raises(Unsettled):
        sentences_of(["0 He took", "1 mg of X.", "1 He is well."], text)


def test_without_the_first_id_there_are_no_sentences() -> None:
    assert sentences_of(["He rests."], "He rests.") == []
