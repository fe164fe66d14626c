"""The example game of several turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from envs.conformance import command as check_env
from tests.examples.test_sums import ROOT, command

EXAMPLE = ROOT / "examples" / "guess"
MOST_LINES = 60


def test_the_example_of_several_turns_is_short() -> None:
    assert len((EXAMPLE / "guess.py").read_text().splitlines()) <= MOST_LINES


def test_a_game_of_several_turns_outside_the_tree_keeps_the_contract(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    assert check_env.main(["guess:Guess", "--count", "100"]) == 0
    assert capsys.readouterr().out.startswith("guess: 0 problems, oracle 1.00")


@pytest.mark.integration
def test_a_game_of_several_turns_outside_the_tree_is_trained_on(tmp_path: Path) -> None:
    flags = ("--runs", str(tmp_path), "--steps", "2", "--metrics.port", "0")
    done = command(EXAMPLE, "deploy.selfplay", str(EXAMPLE / "guess.yaml"), *flags, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "2 steps" in done.stdout and "Turn 2" in (tmp_path / "guess" / "episodes.html").read_text()
