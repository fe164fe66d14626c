from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from deploy.report.plot import HEALTH, draw, figure
from envs.contract.report import Report
from envs.lookup.report import LookupReport
from evals.core.figures import RED
from tests.deploy.reports import REPORTS

NEEDED = {"policy_lag": 0, "seconds": 1.0, "wait_seconds": 0.0, "completions": 8, "rollout_tokens": 64, "time": 0.0}


def write(tmp_path: Path, *rows: dict[str, float | None]) -> Path:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(NEEDED | row) + "\n" for row in rows))
    return tmp_path


def test_a_run_becomes_a_picture(tmp_path: Path, drawn: None) -> None:
    rows: list[dict[str, float | None]] = [
        {"step": step, "reward_mean": 0.1 * step, "reward_std": 0.3, "verdict/flag_rate": 0.5, "policy_lag": step % 2}
        for step in range(1, 9)
    ]
    path = draw(write(tmp_path, *rows), REPORTS)
    assert path == tmp_path / "progress.png"
    height, width, _ = imread(path).shape
    assert width > height > 500


def test_absent_and_null_series_are_left_out(tmp_path: Path, drawn: None) -> None:
    assert draw(write(tmp_path, {"step": 1, "verdict/flag_rate": None}), REPORTS).stat().st_size > 0


def test_nothing_to_draw_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        draw(tmp_path, REPORTS)
    with pytest.raises(ValueError, match="no step yet"):
        draw(write(tmp_path), REPORTS)


def titles(drawn: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in drawn.axes if axes.axison]


def test_loss_norm_kl_entropy_length_and_shares_have_panels_of_their_own(tmp_path: Path) -> None:
    names = ("loss", "grad_norm", "mismatch_kl", "entropy", "reply_tokens", "truncated_share")
    bare = figure(write(tmp_path, {"step": 1}, {"step": 2}), REPORTS)
    rows: list[dict[str, float | None]] = [{"step": step, **dict.fromkeys(names, 0.1 * step)} for step in (1, 2)]
    full = figure(write(tmp_path, *rows), REPORTS)
    assert len(full.axes) == len(titles(full)) == 10 and full.get_figheight() == bare.get_figheight() * 5 / 2
    assert [title for title in titles(full) if title not in titles(bare)] == [title for title, _ in HEALTH]
    assert all(axes.lines for axes in full.axes if axes.get_title(loc="left") in dict(HEALTH))


def test_the_measures_of_several_turns_are_drawn_relative_to_where_the_run_began_with_its_alarms(
    tmp_path: Path,
) -> None:
    rows = [
        {"step": step, "lookup/calls": 2.0 if step < 9 else 0.5, "lookup/reply_tokens": 8.0, "lookup/entropy": None}
        for step in range(1, 15)
    ]
    one = figure(write(tmp_path, *rows), {"lookup": LookupReport()})
    plain = figure(write(tmp_path, *rows), {"lookup": Report()})
    assert [title for title in titles(one) if title not in titles(plain)] == ["Drift, start = 1"]
    assert one.get_figheight() > plain.get_figheight(), "a line of panels more"
    (drift,) = (axes for axes in one.axes if axes.get_title(loc="left").startswith("Drift"))
    drawn = [np.asarray(line.get_ydata(), dtype=float).tolist() for line in drift.lines]
    assert [1.0] * 8 + [0.25] * 6 in drawn
    spans = [patch for patch in drift.patches if to_hex(patch.get_facecolor()) == RED]
    assert spans and all(isinstance(patch, Rectangle) and patch.get_width() > 0 for patch in spans)


def test_a_measure_that_began_at_nothing_or_was_never_counted_is_not_drawn_relative_to_it(
    tmp_path: Path, drawn: None
) -> None:
    rows = [{"step": step, "lookup/calls": 0.0, "lookup/turns": None} for step in range(1, 4)]
    assert draw(write(tmp_path, *rows), {"lookup": LookupReport()}).stat().st_size > 0


def test_a_held_out_score_beside_its_interval_is_drawn_too(tmp_path: Path, drawn: None) -> None:
    beside = {"value": 1.0, "lower": 0.9, "upper": 0.9999999999999999, "of": 8}
    point = {"policy_version": 0, "seconds": 1.0, "tasks": 8, "measures": {"verdict": {"flag_accuracy": beside}}}
    (tmp_path / "evaluations.jsonl").write_text(json.dumps({**point, "reward_mean": 1.0}) + "\n")
    assert draw(write(tmp_path, {"step": 1}), REPORTS).read_bytes().startswith(b"\x89PNG")
