from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given

from common.records import Episode
from envs.contract.page_view import PageView, Shown
from envs.verdict.doctor.grammar import Verdict, render
from envs.verdict.doctor.reward import Truth, score
from envs.verdict.view import NoteView
from tests.envs.verdict.strategies import truths, verdicts

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


def test_a_note_told_in_another_order_shows_the_source_of_each_sentence() -> None:
    context, told = {"sentences": [SHOWN[0], SHOWN[2], SHOWN[1]]}, {"edits": EDITS, "order": [0, 2, 1]}
    truth = json.dumps({**TRUTH, "sentence": 1, **told})
    page = NoteView().task(Shown(context=json.dumps(context), truth=truth, operators=["move"], tier="B"))
    assert '<span class="number">1</span><span><del>Colchicine</del><ins>Insulin</ins> was started.' in page


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


@given(verdicts, truths)
def test_the_parts_of_an_outcome_add_up_to_it_and_a_reply_has_them_where_it_flags_an_error_note(
    verdict: Verdict, truth: Truth
) -> None:
    episode = Episode(task_id="t", actions=(render(verdict),))
    reward = score(episode, truth)
    shown = Shown(context="{}", truth=msgspec.json.encode(truth).decode())
    parts = NoteView().parts(shown, episode.actions[0], reward.components)
    assert bool(parts) == (reward.reason in ("found", "elsewhere"))
    if parts:
        assert [part.name for part in parts] == ["flag", "type", "sentence", "correction"]
        assert sum(part.value for part in parts) == pytest.approx(reward.components["outcome"])
        assert sum(part.most for part in parts) == pytest.approx(1.0)


def test_an_outcome_of_another_scheme_has_no_parts() -> None:
    truth = Truth(error_type="treatment", sentence=2, error_text="a", corrected_text="b", sentence_count=3)
    said = render(
        Verdict(error=True, thinking="one two three four five", error_type="treatment", sentence=2, correction="c")
    )
    shown = Shown(context="{}", truth=msgspec.json.encode(truth).decode())
    by_type = score(Episode(task_id="t", actions=(said,)), truth, outcome="type")
    assert NoteView().parts(shown, said, by_type.components) == ()
    graded = score(Episode(task_id="t", actions=(said,)), truth)
    assert NoteView().parts(shown, said, graded.components)
