from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from pyarrow import Table, parquet
from rich.console import Console

from bench.blind import CHANCE, GAMES, ORACLE, SCHEMES, earned, show_blind
from bench.outcomes import Curve, arguments, gained, read, show_curves


@pytest.mark.parametrize("settings", GAMES, ids=lambda one: one.id)
def test_no_blind_policy_earns_under_skill_while_silence_earns_under_the_other_outcomes(settings: object) -> None:
    found = earned(settings, 80)  # type: ignore[arg-type]
    assert found["silence"] == pytest.approx({scheme: 0.0 if scheme == "skill" else 0.1 for scheme in SCHEMES})
    assert found["flags all, knows everything but the label"] == pytest.approx(
        {"graded, first version": 0.1, "graded": -0.15, "type": -0.15, "skill": 0.0}
    )
    assert max(means["skill"] for name, means in found.items() if name != ORACLE) <= CHANCE
    assert found["flags all, the best constant reply"]["skill"] > -0.05, "nor is silence the better one"
    assert found[ORACLE]["skill"] == pytest.approx(1.0) and found[ORACLE]["graded"] == pytest.approx(1.1)


def test_a_blind_policy_that_earns_is_told() -> None:
    means = dict.fromkeys(SCHEMES, 0.0)
    console = Console(file=io.StringIO(), width=160)
    assert show_blind({"game": {"silence": means, ORACLE: dict.fromkeys(SCHEMES, 1.0)}}, console)
    assert not show_blind({"game": {"silence": {**means, "skill": 0.02}}}, console)


def curve(seed: int, outcome: str, *points: float) -> Curve:
    """Of two vignettes, both right in the share of `points`."""
    return Curve(
        seed=seed,
        outcome=outcome,
        versions=tuple(range(len(points))),
        right={"a": points, "b": points},
        flags=(0.5, 0.2, 0.76, 0.75),
        valid=(0.9, 1.0),
        minutes=1.0,
    )


def test_runs_of_a_seed_are_compared_by_vignette_at_the_end_and_over_all_points_but_the_start() -> None:
    curves = [curve(0, "graded", 0.5, 0.5, 0.5), curve(0, "skill", 0.5, 1.0, 0.5)]
    assert gained(curves, last=True) == {0: [0.0, 0.0]}
    assert gained(curves, last=False) == {0: [0.25, 0.25]}


def test_a_run_that_falls_back_and_leaves_the_band_shows_it() -> None:
    one = curve(0, "skill", 0.5, 0.9, 0.6, 0.8)
    assert (one.accuracy, one.outside) == ([0.5, 0.9, 0.6, 0.8], 2)
    assert one.fall == pytest.approx(0.3)
    assert (curve(0, "skill", 0.5, 1.0).both(0), curve(0, "skill", 0.5, 1.0).both(-1)) == (0.0, 1.0)


def test_the_table_has_every_run_and_says_what_is_within_noise() -> None:
    text = io.StringIO()
    curves = [curve(s, o, 0.5, 0.6 + 0.1 * s * (o == "skill")) for s in range(3) for o in ("graded", "skill")]
    show_curves(curves, Console(file=text, width=160))
    printed = text.getvalue()
    assert printed.count("2 of 4") == printed.count("0.49 -> 0.57") == 6
    assert "skill - graded, last version: +0.100 [+0.000, +0.200]" in printed and "within noise" in printed


def test_a_run_is_read_from_its_heldout_replies_and_its_steps(tmp_path: Path) -> None:
    (tmp_path / "heldout").mkdir()
    for version, reasons in ((0, ["missed", "clean"]), (8, ["elsewhere", "clean"])):
        table = Table.from_pydict({"vignette": ["v", "v"], "reason": reasons})
        parquet.write_table(table, tmp_path / "heldout" / f"version-{version:05d}.parquet")
    rows = [{"contradiction/flag_rate": rate, "contradiction/valid_share": 0.5} for rate in (None, 0.4)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(tmp_path, 1, "skill", 2.0)
    assert (found.versions, found.right, found.accuracy) == ((0, 8), {"v": (0.5, 1.0)}, [0.5, 1.0])
    assert (found.flags, found.valid) == ((0.0, 0.4), (0.5, 0.5))


def test_without_seeds_there_are_no_runs() -> None:
    assert arguments(["--seeds"]).seeds == [] and arguments([]).seeds == [0, 1, 2]
