from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from deploy.report.plot import draw
from envs.contract.report import Report
from envs.lookup.report import LookupReport
from tests.deploy.reports import REPORTS

NEEDED = {"policy_lag": 0, "seconds": 1.0, "wait_seconds": 0.0, "completions": 8, "rollout_tokens": 64, "time": 0.0}


def write(tmp_path: Path, *rows: dict[str, float | None]) -> Path:
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(NEEDED | row) + "\n" for row in rows))
    return tmp_path


def test_a_run_becomes_a_picture(tmp_path: Path) -> None:
    rows = [
        {"step": step, "reward_mean": 0.1 * step, "reward_std": 0.3, "verdict/flag_rate": 0.5, "policy_lag": step % 2}
        for step in range(1, 9)
    ]
    path = draw(write(tmp_path, *rows), REPORTS)
    assert path == tmp_path / "progress.png"
    height, width, _ = imread(path).shape
    assert width > height > 500


def test_absent_and_null_series_are_left_out(tmp_path: Path) -> None:
    assert draw(write(tmp_path, {"step": 1, "verdict/flag_rate": None}), REPORTS).stat().st_size > 0


def test_nothing_to_draw_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        draw(tmp_path, REPORTS)
    with pytest.raises(ValueError, match="no step yet"):
        draw(write(tmp_path), REPORTS)


def test_loss_norm_kl_entropy_length_and_shares_have_panels_of_their_own(tmp_path: Path) -> None:
    names = ("loss", "grad_norm", "mismatch_kl", "entropy", "reply_tokens", "truncated_share")
    bare = imread(draw(write(tmp_path, {"step": 1}, {"step": 2}), REPORTS)).shape[0]
    rows = [{"step": step, **dict.fromkeys(names, 0.1 * step)} for step in (1, 2)]
    assert imread(draw(write(tmp_path, *rows), REPORTS)).shape[0] == pytest.approx(bare * 5 / 2, rel=0.01)


def test_the_measures_of_several_turns_are_drawn_relative_to_where_the_run_began_with_its_alarms(
    tmp_path: Path,
) -> None:
    rows = [
        {"step": step, "lookup/calls": 2.0 if step < 9 else 0.5, "lookup/reply_tokens": 8.0, "lookup/entropy": None}
        for step in range(1, 15)
    ]
    one = draw(write(tmp_path, *rows), {"lookup": LookupReport()})
    height = imread(one).shape[0]
    (tmp_path / "plain").mkdir()
    plain = draw(write(tmp_path / "plain", *rows), {"lookup": Report()})
    assert height > imread(plain).shape[0], "a line of panels more"
    red = imread(one)[..., :3]
    shaded = (red[..., 0] > red[..., 1] + 0.05) & (red[..., 0] > 0.9)
    assert shaded.mean() > 0.01


def test_a_measure_that_began_at_nothing_or_was_never_counted_is_not_drawn_relative_to_it(tmp_path: Path) -> None:
    rows = [{"step": step, "lookup/calls": 0.0, "lookup/turns": None} for step in range(1, 4)]
    assert draw(write(tmp_path, *rows), {"lookup": LookupReport()}).stat().st_size > 0


def test_a_held_out_score_beside_its_interval_is_drawn_too(tmp_path: Path) -> None:
    beside = {"value": 1.0, "lower": 0.9, "upper": 0.9999999999999999, "of": 8}
    point = {"policy_version": 0, "seconds": 1.0, "tasks": 8, "measures": {"verdict": {"flag_accuracy": beside}}}
    (tmp_path / "evaluations.jsonl").write_text(json.dumps({**point, "reward_mean": 1.0}) + "\n")
    assert draw(write(tmp_path, {"step": 1}), REPORTS).read_bytes().startswith(b"\x89PNG")
