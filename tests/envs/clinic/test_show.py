from __future__ import annotations

import re
from pathlib import Path

from envs.clinic.chart.labels import LABELS
from envs.clinic.diagnosis.conditions import CONDITIONS
from envs.clinic.diagnosis.guidelines import GUIDELINES
from envs.clinic.diagnosis.safety import RULES as SAFETY
from envs.clinic.interactions.rules import RULES
from envs.clinic.printable import REMARKS, html
from envs.clinic.scores.table import SCORES
from envs.clinic.show import page
from envs.clinic.triage.esi import KINDS
from envs.clinic.triage.findings import SIGNS

SHOWN = page()
PAGE = Path(__file__).parents[3] / "docs" / "clinic-tables.md"


def test_the_page_in_docs_is_what_the_code_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == SHOWN, "python -m envs.clinic.show > docs/clinic-tables.md"


def test_limits_are_shown_as_papers_print_them() -> None:
    for line in (
        "- `platelets_k_ul` (10^3/uL): 1 to 19: +4, 20 to 49: +3, 50 to 99: +2, 100 to 149: +1, 150 to 1500: +0",
        "- `troponin_ratio` (times the upper limit of normal): 0.0 to 1.0: +0, 1.1 to 3.0: +1, 3.1 to 1000.0: +2",
        "- `stroke` (stroke, TIA or thromboembolism before): False: +0, True: +2",
    ):
        assert line in SHOWN.split("\n")


def test_every_score_label_and_rule_is_shown_with_its_source() -> None:
    for score in SCORES.values():
        assert f"(`{score.name}`, {score.unit})" in SHOWN and all(source in SHOWN for source in score.sources)
    assert all(label.source in SHOWN for label in LABELS.values()) and all(rule.source in SHOWN for rule in RULES)


def test_scores_that_add_no_points_have_a_formula() -> None:
    formulas = {name for name, score in SCORES.items() if score.formula}
    assert formulas == {name for name, score in SCORES.items() if score.unit not in ("points", "criteria")} - {
        "kdigo"
    } | {"meld3"}


def test_conditions_guidelines_rules_of_safety_and_signs_are_shown_with_their_sources() -> None:
    for guideline in GUIDELINES:
        for _, part in guideline.parts:
            assert f"| {guideline.name} | {part.says} |" in SHOWN and guideline.source in SHOWN
    assert all(f"| {one.name} | {one.severity} | {one.says} |" in SHOWN for one in SAFETY)
    assert all(one.source in SHOWN for one in CONDITIONS.values())
    assert all(one.text in SHOWN and one.decoy in SHOWN for one in SIGNS) and all(item in SHOWN for item in KINDS)
    assert "AHRQ Publication 12-0014" in SHOWN


def test_what_an_input_needs_beside_it_is_said() -> None:
    assert "- `ventilated` (respiratory support; with pf_ratio_mmhg 99): False: +2, True: +4" in SHOWN.split("\n")


def test_the_page_to_print_holds_every_word_of_the_page_and_room_for_remarks() -> None:
    printed = html(SHOWN)
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", printed))
    for shown, written in (("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(shown, written)
    plain = re.sub(r"^\|[-|]+\|$|^#+ |^- ", "", SHOWN, flags=re.MULTILINE)
    wanted = re.findall(r"[^\s|`*]+", plain)
    missing = set(wanted) - set(text.split())
    assert missing == set()
    rows = sum(line.startswith("|") for line in SHOWN.splitlines())
    tables = sum(line.startswith("|---") for line in SHOWN.splitlines())
    assert printed.count("<tr>") == rows - tables and printed.count("<table>") == tables
    sourced = [line for line in SHOWN.splitlines() if line.startswith("|") and "source |" in line]
    assert printed.count(f"<th>{REMARKS}</th>") == len(sourced) >= 9
    assert printed.count("<section") == SHOWN.count("\n## ") and "@page" in printed
