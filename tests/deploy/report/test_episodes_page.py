from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pyarrow import parquet

from common.learner_sections import LearnerSpec
from common.records import Record, Rollout
from deploy.report import rollout_log
from deploy.report.episode_choice import choose
from deploy.report.episodes_page import write_page
from envs.lookup.report import LookupReport
from envs.verdict.doctor.reward import Truth, score
from tests.deploy.report.rollouts import REPLY, group, labelled, rollout, write_step
from tests.deploy.report.turns_pages import TASKS, lookup_group
from tests.deploy.report.turns_pages import write_step as write_turns
from tests.deploy.reports import REPORTS

KINDS = REPORTS["verdict"].kinds
TURNS = {"lookup": LookupReport()}
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


def test_the_words_of_the_page_are_explained_and_each_reply_is_compared_with_the_others_of_its_task(
    tmp_path: Path,
) -> None:
    write_step(tmp_path, 1, 4, [group(labelled(), rollout(bonus=1.0), rollout(bonus=-1.0))])
    page = write_page(tmp_path, REPORTS).read_text()
    assert "<dt>structure</dt>" in page and "<dt>error found</dt>" in page
    assert "; +1.00 beside the mean" in page and "; -1.00 beside the mean" in page
    assert 'data-step="1" data-reward="-0.9000" data-vignette="v0"' in page and '<option value="vignette">' in page


def test_a_reply_that_is_alone_has_nobody_beside_it(tmp_path: Path) -> None:
    assert "beside the mean" not in page_of(tmp_path).partition("<main>")[2]


def flagged(kind: str, sentence: int, correction: str) -> str:
    return REPLY.replace("No Clinical Error", f"Error: {kind}\nSentence: {sentence}\nCorrection: {correction}")


def scored(text: str) -> Rollout:
    """The reply with the reward that the game gives it."""
    label = Truth(**labelled().label.truth)
    of = rollout(text)
    return replace(of, reward=score(of.episode, label))


def test_the_outcome_of_an_error_verdict_is_shown_in_its_parts_and_one_that_lacks_some_is_not_green(
    tmp_path: Path,
) -> None:
    right = "He is given colchicine for gout."
    replies = (flagged("pharmacotherapy", 1, right), flagged("diagnosis", 1, right), flagged("pharmacotherapy", 0, "x"))
    write_step(tmp_path, 1, 4, [group(labelled(), *map(scored, replies))])
    page = write_page(tmp_path, REPORTS).read_text()
    parts = re.findall(r'class="(whole|lacking)">(\w+) ([\d.]+) of ([\d.]+)<', page)
    names = ["flag", "type", "sentence", "correction"]
    assert [name for _, name, _, _ in parts] == 3 * names
    assert [earned for _, _, earned, _ in parts[4:]] == ["0.40", "0.00", "0.30", "0.10", "0.40", "0.20", "0.00", "0.00"]
    assert [kind for kind, *_ in parts[:6]] == [*4 * ["whole"], "whole", "lacking"]
    assert re.findall(r'class="rollout (\w+)"', page) == ["good", "part", "part"]


def test_the_prompt_is_on_the_page_folded_and_escaped(tmp_path: Path) -> None:
    rollout_log.write_step(tmp_path, 1, 4, [group(labelled())], prompt=lambda task: f"Read <b> {task.task_id}")
    rollout_log.publish_step(tmp_path, 1)
    page = write_page(tmp_path, REPORTS).read_text()
    assert "<pre>Read &lt;b&gt; task-0</pre>" in page and '<details class="prompt">' in page


def test_each_reply_has_the_advantage_that_it_was_trained_with(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled(), rollout(bonus=1.0), rollout(bonus=-1.0))])
    page = write_page(tmp_path, REPORTS, LearnerSpec()).read_text()
    assert "; advantage +1.00" in page and "; advantage -1.00" in page and "KL penalty" not in page
    page = write_page(tmp_path, REPORTS, LearnerSpec(kl_coef=0.01)).read_text()
    assert "The KL penalty, which this run adds, is not in it" in page
    assert "; advantage" not in write_page(tmp_path, REPORTS).read_text()


def test_the_same_vignette_is_shown_early_and_late(tmp_path: Path) -> None:
    for step in (1, 2, 5):
        write_step(tmp_path, step, 4, [group(labelled(), rollout(f"reply of step {step}"), rollout())])
    page = write_page(tmp_path, REPORTS).read_text()
    (pairs,) = re.findall(r'<section id="pairs".*?</article>', page, re.DOTALL)
    assert "<h3>Step 1</h3>" in pairs and "<h3>Step 5</h3>" in pairs and "<h3>Step 2</h3>" not in pairs
    assert "reply of step 1" in pairs and "reply of step 5" in pairs and pairs.count("the first of 2 replies") == 2
    assert Outline(page).open == []


def test_the_replies_to_a_held_out_task_are_shown_by_version(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled(7))])
    for version in (0, 4):
        replies = [group(labelled(), rollout(f"said by {version}", versions=(version,)))]
        rollout_log.write_heldout(tmp_path, version, replies, lambda task, episode: [], {}, lambda task: "asked")
    page = write_page(tmp_path, REPORTS).read_text()
    (heldout,) = re.findall(r'<section id="heldout".*?</article>', page, re.DOTALL)
    assert (
        heldout.index("Version 0")
        < heldout.index("said by 0")
        < heldout.index("Version 4")
        < heldout.index("said by 4")
    )
    assert "1 of 1, spread evenly" in heldout and "<pre>asked</pre>" in heldout and "task-7" not in heldout
    assert '<option value="synthetic_injection">' in page and Outline(page).open == []


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
    assert Outline(page).loads == ["progress.png", "spec.yaml"], "what lies beside it, when somebody follows a link"
    assert "url(" not in page and "@import" not in page


def test_a_clean_note_says_so_and_marks_no_sentence(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled(kind="synthetic_decoy"), rollout(reason="clean"))])
    page = write_page(tmp_path, REPORTS).read_text()
    assert '<span class="label clean">Clean</span>' in page and 'class="wrong"' not in page


def test_a_long_run_is_cut_evenly_and_says_how_much_is_left_out(tmp_path: Path) -> None:
    for step in range(1, 21):
        write_step(tmp_path, step, 4, [group(labelled(4 * step + k, KINDS[k])) for k in range(4)])
    page = write_page(tmp_path, REPORTS).read_text()
    assert page.count("<article") == 60 and "60 of 80 tasks are on this page" in page and "20 are left out" in page
    assert all(page.count(f'<article data-kind="{kind}"') == 15 for kind in KINDS)


def test_a_rare_kind_is_shown_whole_and_its_room_goes_to_the_others() -> None:
    episodes = [[{"kind": "rare" if number == 7 else "common"}] for number in range(40)]
    chosen = choose(episodes, 10)
    assert len(chosen) == 10 and episodes[7] in chosen


LOOK, ANSWER = 'look(id="a")', "answer(value=7)"


def test_an_episode_of_several_turns_shows_each_with_what_the_policy_was_shown_after_it(tmp_path: Path) -> None:
    write_turns(tmp_path, 1, lookup_group(0, (f"Let me see <b>.\n{LOOK}", ANSWER), (LOOK, LOOK)))
    page = write_page(tmp_path, TURNS).read_text()
    assert '<p class="before">Let me see &lt;b&gt;.</p><pre class="call">look(id=&#34;a&#34;)</pre>' in page
    value = TASKS[0].task.context["records"]["a"]
    assert f'<div class="shown"><span class="soft small">shown</span><pre>value={value}</pre></div>' in page
    assert "Turn 1, 5 tokens" in page and "Turn 2, 1 token<" in page and Outline(page).open == []
    assert "2 turns, ended: submitted;" in page and "2 turns, ended: max turns;" in page
    assert '<span class="flag">' not in page, "the outcome of an episode that ran out of turns is its end"


def test_an_end_that_the_outcome_does_not_tell_is_shown_beside_it(tmp_path: Path) -> None:
    (one,) = lookup_group(0, (LOOK, LOOK)).rollouts
    lost = replace(one, reward=replace(one.reward, reason="lost"))
    write_turns(tmp_path, 1, replace(lookup_group(0, (LOOK,)), rollouts=(lost,)))
    page = write_page(tmp_path, TURNS).read_text()
    assert '<span class="badge">lost</span><span class="flag">max turns</span>' in page


def test_a_reply_without_a_readable_call_is_marked_and_counted(tmp_path: Path) -> None:
    write_turns(tmp_path, 1, lookup_group(0, ("I look.", ANSWER), (LOOK, ANSWER)))
    page = write_page(tmp_path, TURNS).read_text()
    assert page.count('<span class="flag">no readable call</span>') == 1
    assert page.count('<div class="unread"><pre class="call">I look.</pre></div>') == 1
    assert "<td>2.0</td><td>1</td>\n<td>25%</td>\n<td>submitted 100%</td>" in page


def test_an_episode_with_some_reward_that_did_not_solve_its_task_is_not_counted_as_solved(tmp_path: Path) -> None:
    (one,) = lookup_group(0, (LOOK, ANSWER)).rollouts
    part = replace(one, reward=replace(one.reward, total=0.4, solved=False))
    write_turns(tmp_path, 1, replace(lookup_group(0, (LOOK,)), rollouts=(part,)))
    page = write_page(tmp_path, TURNS).read_text()
    assert "solved: 0 of 1; mean reward +0.40" in page and '<div class="rollout part">' in page


def test_what_is_long_is_folded_and_what_is_short_is_not(tmp_path: Path) -> None:
    long = "\n".join(f"line {number}" for number in range(40))
    rollout_log.write_step(tmp_path, 1, 4, [lookup_group(0, (LOOK, ANSWER))], lambda task, episode: [long])
    rollout_log.publish_step(tmp_path, 1)
    page = write_page(tmp_path, TURNS).read_text()
    assert "<details><summary>shown: line 0" in page and "(40 lines)" in page and '<div class="shown">' not in page


def test_the_middle_of_a_long_episode_is_folded_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    (one,) = lookup_group(0, (LOOK, ANSWER)).rollouts
    actions = tuple(f'look(id="{number}")' for number in range(12))
    episode = replace(one.episode, actions=actions)
    steps = tuple(replace(one.steps[0]) for _ in actions)
    of = replace(lookup_group(0, (LOOK,)), rollouts=(replace(one, steps=steps, episode=episode),))
    rollout_log.write_step(tmp_path, 1, 4, [of], lambda task, episode: ["value"] * 11)
    rollout_log.publish_step(tmp_path, 1)
    page = write_page(tmp_path, TURNS).read_text()
    assert "<summary>turns 4 to 9</summary>" in page and Outline(page).open == []
    places = [page.index(f"look(id=&#34;{number}&#34;)") for number in range(12)]
    assert places == sorted(places)


def test_the_alarms_of_the_run_are_on_top_with_their_steps(tmp_path: Path) -> None:
    write_turns(tmp_path, 1, lookup_group(0, (LOOK, ANSWER)))
    calls = [2.0] * 8 + [0.5] * 6
    whole = {"policy_lag": 0, "seconds": 1, "wait_seconds": 0, "completions": 8, "rollout_tokens": 64, "time": 0}
    rows = [{**whole, "step": step, "lookup/calls": value} for step, value in enumerate(calls, 1)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_page(tmp_path, TURNS).read_text()
    assert (
        "<h2>1 alarm</h2>" in page and "<strong>Steps 11 to 14</strong>: calls per episode fall: 2.0 -&gt; 0.5" in page
    )
    assert "alarm" not in page_of(tmp_path / "calm").partition("</style>")[2]


def test_a_page_of_replies_of_one_turn_has_no_word_of_turns(tmp_path: Path) -> None:
    body = page_of(tmp_path).partition("</style>")[2].partition("<script>")[0]
    assert "turn" not in body.lower().replace("return", "") and "1 completion" in body and "Ended" not in body


def test_the_page_of_a_run_from_before_turns_shows_its_replies(tmp_path: Path) -> None:
    write_step(tmp_path, 1, 4, [group(labelled())])
    file = tmp_path / "rollouts" / "step-00001.parquet"
    new = [
        "solved",
        "ended",
        "actions",
        "shown",
        "unread",
        "replies",
        "step_tokens",
        "step_engines",
        "observed_ids",
        "observed_tokens",
    ]
    parquet.write_table(parquet.read_table(file).drop_columns(new), file)
    assert "the drug does not fit the finding" in write_page(tmp_path, {}).read_text()
