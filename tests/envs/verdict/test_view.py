from __future__ import annotations

import json

from envs.contract.page_view import PageView, Shown
from envs.verdict.view import NoteView

SOURCE = ["He is 40 years old.", "He has <gout>.", "Colchicine was started."]
TRUTH = {"error_type": "treatment", "sentence": 2, "corrected_text": "Colchicine was started."}
EDITS = [
    {"operator": "noise:age", "sentence": 0, "start": 6, "old": "40 years old", "new": "40yo"},
    {"operator": "inject:B", "sentence": 2, "start": 0, "old": "Colchicine", "new": "Insulin"},
]
SHOWN = ["He is 40yo.", "He has <gout>.", "Insulin was started."]


def html(edits: list[dict[str, object]], tier: str = "B") -> str:
    context, truth = json.dumps({"sentences": SHOWN}), json.dumps({**TRUTH, "edits": edits})
    return NoteView().task(Shown(context=context, truth=truth, operators=["noise:age"], tier=tier))


def test_a_note_shows_what_its_source_said_where_it_was_edited() -> None:
    page = html(EDITS)
    assert "<del>Colchicine</del><ins>Insulin</ins> was started." in page
    assert "He is <del>40 years old.</del><ins>40yo.</ins>" in page
    assert "<span>He has &lt;gout&gt;.</span>" in page


def test_the_tier_of_an_injected_error_is_shown_with_its_label() -> None:
    assert "injected by tier B" in html(EDITS)
    assert "injected" not in html(EDITS, tier="human")


def test_a_note_without_edits_is_called_unchanged() -> None:
    page = html([])
    assert "unchanged" in page
    assert "<del>" not in page


def test_a_game_without_a_view_is_shown_as_it_is() -> None:
    page = PageView().task(Shown(context=json.dumps({"rule": "A & B"}), truth=json.dumps({"answer": "<x>"})))
    assert "A &amp; B" in page
    assert "&lt;x&gt;" in page


def test_the_reason_of_a_reward_is_shown_in_words() -> None:
    assert NoteView().reason("elsewhere") == "error flagged, wrong sentence"
    assert NoteView().reason("invalid_tags") == PageView().reason("invalid_tags") == "invalid tags"
