from __future__ import annotations

from common.markup import marked


def test_edits_are_marked_word_by_word_and_text_is_escaped() -> None:
    assert marked("He has <b> gout.", "He has <b> & flu.") == ("He has &lt;b&gt; <del>gout.</del><ins>&amp; flu.</ins>")
