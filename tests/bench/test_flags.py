"""What a bench was asked wrongly is refused before it measures, which takes minutes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("bench", "flags", "told"),
    [
        ("clinic_scores", ("--count", "0"), "argument --count: '0': write a whole number from 1"),
        ("clinic_scores", ("--scores",), "argument --scores: expected at least one argument"),
        ("oversight", ("--count", "-3"), "argument --count"),
        ("scribe", ("--tasks", "0"), "argument --tasks: '0'"),
        ("packing", ("--repeats", "0"), "argument --repeats: '0'"),
        ("packing", ("--tokens", "32", "0"), "argument --tokens: '0'"),
        ("packing", ("--model", "/none"), "argument --model: model.source '/none': no Hugging Face model there"),
        ("learner_step", ("--repeats", "x"), "argument --repeats: 'x'"),
        ("learner_step", ("--shared", "400"), "--shared 400: write a number from 0 to below --prompt 296"),
        ("threads", ("--rows", "0"), "argument --rows: '0'"),
        ("threads", ("--seconds", "nan"), "argument --seconds: 'nan': write a number of seconds above 0"),
        ("transports", ("--versions", "0"), "argument --versions: '0'"),
        ("warm_up", ("--steps", "0"), "argument --steps: '0'"),
        ("rounding", ("run", "--replies", "0"), "argument --replies: '0'"),
        ("gpu_check", ("--timeout", "0"), "argument --timeout: '0'"),
        ("budget", ("--only", "lerner", "tiny"), "--only lerner: write learner or engine"),
        ("pictures", ("run", "out.png", "--height", "0"), "argument --height: '0'"),
    ],
)
def test_a_number_that_measures_nothing_is_refused(
    bench: str, flags: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [f"bench.{bench}", *flags])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"bench.{bench}").main()
    assert ended.value.code == 2 and told in capsys.readouterr().err


def test_a_home_with_a_run_in_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bench.live_page import main

    (tmp_path / "smoke").mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path)])
    assert ended.value.code == 2 and "a run smoke is in it" in capsys.readouterr().err


def test_pictures_of_what_is_no_run_are_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from bench.pictures import main

    monkeypatch.setenv("MEDSERL_BROWSER", "/bin/true")
    assert main([str(tmp_path / "none"), str(tmp_path / "out.png")]) == 2
    said = capfd.readouterr().err
    assert "no run there" in said and "pictures:" in said and "Traceback" not in said


def test_a_browser_that_is_not_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.browser import find

    monkeypatch.setenv("MEDSERL_BROWSER", "/none/chromium")
    assert find() is None
    monkeypatch.setenv("MEDSERL_BROWSER", sys.executable)
    assert find() == sys.executable


def test_a_run_without_a_held_out_point_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import credit, one_run

    monkeypatch.setattr(one_run, "run", lambda *_: 1.0)
    with pytest.raises(ValueError, match="nothing was evaluated; the spec needs evaluation"):
        credit.run(Path("lookup.yaml"), 0, 0, False, tmp_path, 1.0)
