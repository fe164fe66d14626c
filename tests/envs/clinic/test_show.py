from __future__ import annotations

from pathlib import Path

from envs.clinic.chart.labels import LABELS
from envs.clinic.interactions.rules import RULES
from envs.clinic.scores.table import SCORES
from envs.clinic.show import page

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
