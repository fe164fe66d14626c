from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pyarrow import parquet

from common.records import EndReason, Record
from deploy.report import rollout_log
from deploy.report.episodes_page import choose, write_page
from tests.deploy.report.rollouts import REPLY, group, labelled, rollout, write_step
from tests.deploy.reports import REPORTS

KINDS = REPORTS["verdict"].kinds
VOID = {"meta", "br"}


class Outline(HTMLParser):
    """Tags opened and closed, and what a browser would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(tmp_path: Path, text: str = REPLY, reason: str = "missed") -> str:
    write_step(tmp_path, 1, 4, [group(labelled(), rollout(text, reason))])
    return write_page(tmp_path, REPORTS).read_text()


def test_note_label_correction_and_reward_are_shown_together(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert 'class="wrong"' in page and "Correct: He is given colchicine for gout." in page
    assert "Error: pharmacotherapy" in page and "brand generic" in page
    assert "the drug does not fit the finding" in page and "outcome -1.00, structure +0.10" in page
    assert '<span class="badge">error missed</span>' in page and '<option value="missed">error missed</option>' in page
    assert "versions 3 to 4, lag 1, engines-0, 3 tokens" in page and "mean log-prob -0.50" in page


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<thinking><img src=x></thinking><verdict>&amp;</verdict>"]
)
def test_whatever_a_completion_holds_is_escaped(tmp_path: Path, text: str) -> None:
    outline = Outline(page_of(tmp_path, text, "invalid_tags"))
    assert outline.tags.count("script") == 1 and "img" not in outline.tags and "b" not in outline.tags
    assert outline.open == []


ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>"


def hostile(record: Any) -> Any:
    """The record with every string in it made an attack, but for the names of fields."""
    if isinstance(record, str):
        return ATTACK + record
    if isinstance(record, dict):
        return {key: hostile(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return type(record)(map(hostile, record))
    if isinstance(record, Record):
        return replace(record, **{name: hostile(getattr(record, name)) for name in record.__struct_fields__})
    return record


@pytest.mark.parametrize("env", ["verdict", "another"])
def test_no_text_field_of_a_rollout_escapes_into_the_page(tmp_path: Path, env: str) -> None:
    of = labelled()
    if env == "another":
        of = replace(of, task=replace(of.task, context={"note": "x"}))
    run = tmp_path / "<b>run"
    bad = hostile(group(of, rollout(), rollout(REPLY + ATTACK)))
    if env == "verdict":  # the game's own view; one that is not known has the view of any game
        bad = replace(bad, labelled=replace(bad.labelled, task=replace(bad.labelled.task, env=env)))
    write_step(run, 1, 4, [bad])
    outline = Outline(write_page(run, REPORTS).read_text())
    assert outline.tags.count("script") == 1 and not {"img", "b"} & set(outline.tags) and outline.open == []


def test_nothing_is_loaded_from_outside(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert Outline(page).loads == [] and "url(" not in page and "@import" not in page


def test_a_clean_note_says_so_and_marks_no_sentence(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled(kind="synthetic_decoy"), rollout(reason="clean"))])
    page = write_page(tmp_path, REPORTS).read_text()
    assert '<span class="label clean">Clean</span>' in page and 'class="wrong"' not in page


def test_a_long_run_is_cut_evenly_and_says_how_much_is_left_out(tmp_path: Path) -> None:
    for step in range(1, 21):
        write_step(tmp_path, step, 4, [group(labelled(4 * step + k, KINDS[k])) for k in range(4)])
    page = write_page(tmp_path, REPORTS).read_text()
    assert page.count("<article") == 60 and "60 of 80 episodes are on this page" in page and "20 are left out" in page
    assert all(page.count(f'<article data-kind="{kind}"') == 15 for kind in KINDS)


def test_a_rare_kind_is_shown_whole_and_its_room_goes_to_the_others() -> None:
    episodes = [[{"kind": "rare" if number == 7 else "common"}] for number in range(40)]
    chosen = choose(episodes, 10)
    assert len(chosen) == 10 and episodes[7] in chosen


def test_an_episode_of_several_turns_shows_each_with_what_the_policy_was_shown_after_it(tmp_path: Path) -> None:
    (one,) = group(labelled()).rollouts
    (step,) = one.steps
    actions = ('look(id="a")', "answer(value=7)")
    episode = replace(one.episode, actions=actions, reason=EndReason.MAX_TURNS)
    two = replace(one, steps=(replace(step, observed=(5, 6)), step), episode=episode)
    rollout_log.write_step(tmp_path, 1, 4, [group(labelled(), two)], lambda task, episode: ["value=7 <b>"])
    rollout_log.publish_step(tmp_path, 1)
    html = write_page(tmp_path, {}).read_text()
    assert "look(id=&#34;a&#34;)" in html and "answer(value=7)" in html
    assert "<summary>shown: value=7 &lt;b&gt;</summary>" in html
    assert "2 turns, ended: max turns" in html


def test_the_page_of_a_run_from_before_turns_shows_its_replies(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled())])
    file = tmp_path / "rollouts" / "step-00001.parquet"
    new = ["solved", "ended", "actions", "shown", "replies", "step_tokens", "observed_ids", "observed_tokens"]
    parquet.write_table(parquet.read_table(file).drop_columns(new), file)
    assert "the drug does not fit the finding" in write_page(tmp_path, {}).read_text()
