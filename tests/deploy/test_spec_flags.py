"""The settings of games as flags and variables."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import cli, spec_flags
from envs.contradiction.spec import ContradictionSettings
from envs.verdict.spec import DataSpec, VerdictSettings
from tests.deploy.command_line import said


def verdict_of(*arguments: str) -> VerdictSettings:
    (settings,) = cli.parse(list(arguments)).spec.envs
    assert isinstance(settings, VerdictSettings)
    return settings


def test_the_settings_of_a_game_are_flags_and_variables_under_its_id(
    spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_file.write_text("envs: {verdict: {data: {path: file.csv, max_words: 50, heldout: 0.3}}}\n")
    monkeypatch.setenv("MEDSERL_ENVS__VERDICT__DATA__PATH", "variable.csv")
    monkeypatch.setenv("MEDSERL_ENVS__VERDICT__DATA__MAX_WORDS", "60")
    data = verdict_of(str(spec_file), "--envs.verdict.data.path", "flag.csv").data
    assert (data.path, data.max_words, data.heldout) == ("flag.csv", 60, 0.3)
    assert cli.parse([str(spec_file), "--envs.verdict.reward.outcome", "type"]).flags == {"envs.verdict.reward.outcome"}


def test_the_flag_of_the_games_replaces_those_of_the_file(spec_file: Path) -> None:
    flags = ["--envs", "contradiction", "--envs.contradiction.heldout", "0.4"]
    assert cli.parse([str(spec_file), *flags]).spec.envs == (ContradictionSettings(heldout=0.4),)
    both = cli.parse([str(spec_file), "--envs", "[{id: verdict, weight: 2}, contradiction]"]).spec.envs
    assert both == (VerdictSettings(weight=2), ContradictionSettings())


def test_the_short_flags_are_those_of_the_only_game_that_has_them(spec_file: Path) -> None:
    spec_file.write_text("envs: [verdict, contradiction]\n")
    command = cli.parse([str(spec_file), "--data", "notes.csv", "--skip-bad-rows"])
    assert command.spec.envs[0] == VerdictSettings(data=DataSpec(path="notes.csv", skip_bad_rows=True))
    assert command.flags == {"envs.verdict.data.path", "envs.verdict.data.skip_bad_rows"}


def test_the_flags_of_a_game_by_its_class_are_known_too(spec_file: Path) -> None:
    spec_file.write_text(f"envs: [{{class: '{__name__}:Another'}}]\n")
    command = cli.parse([str(spec_file), "--envs.another.data.path", "a.csv"])
    assert command.spec.envs == (
        VerdictSettings(id="another", class_=f"{__name__}:Another", data=DataSpec(path="a.csv")),
    )


class Another:
    env_id = "another"
    Settings = VerdictSettings


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--envs", "chess"],
            "unknown game 'chess'; write one of clinic, contradiction, lookup, oversight, verdict, "
            "or class: package.module:Class",
        ),
        (
            ["--envs.contradiction.heldout", "0"],
            "--envs.contradiction.heldout: this run plays verdict; add contradiction",
        ),
        (["--envs", "contradiction", "--data", "a.csv"], "--data: no game of this run has data.path"),
        (
            ["--envs.verdict.data.heldout", "3"],
            "flags and environment: envs.verdict.data.heldout: Input should be less than 1",
        ),
        (["--data.path", "a.csv"], "unknown option --data.path; did you mean --envs.verdict.data.path?"),
    ],
)
def test_a_mistake_in_a_flag_of_a_game_is_reported_with_what_to_write(
    spec_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], line: str
) -> None:
    assert said(capsys, str(spec_file), *flags).startswith(line)


def test_a_short_flag_that_two_games_have_is_refused(spec_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec_file.write_text(f"envs: [verdict, {{class: '{__name__}:Another'}}]\n")
    line = said(capsys, str(spec_file), "--skip-bad-rows")
    assert line.startswith("--skip-bad-rows: verdict and another have it; write --envs.verdict.data.skip_bad_rows or ")


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("MEDSERL_DATA__PATH", "a.csv", "settings of a game carry its id; write MEDSERL_ENVS__VERDICT__DATA__PATH"),
        ("MEDSERL_ENV", "verdict", "settings of a game carry its id; write MEDSERL_ENVS__..."),
        ("MEDSERL_ENVS", "verdict", "write the games into the spec, or give --envs"),
    ],
)
def test_a_variable_that_names_no_game_is_refused(
    said_with: Callable[[str, str], str], name: str, value: str, line: str
) -> None:
    assert said_with(name, value) == f"environment: {name}: {line}"


def test_a_spec_of_the_older_form_is_refused_with_what_to_write(
    spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec_file.write_text("name: old\ndata: {path: notes.csv, heldout: 0.2}\n")
    said_line = said(capsys, str(spec_file), "--resume")
    assert said_line == (
        f"{spec_file}: settings of a game belong to its entry in envs; instead of data write envs: "
        "[{id: verdict, data: {path: notes.csv}}]"
    )


def test_a_file_of_notes_among_the_arguments_is_not_read_as_a_spec(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_text(f"envs: {{sums: {{class: 'nowhere:Game'}}}}\n# {'x' * spec_flags.LARGEST_SPEC}")
    os.mkfifo(tmp_path / "pipe")
    games = spec_flags.games_among([str(tmp_path / "big.yaml"), str(tmp_path / "pipe"), "x" * 5000])
    assert games.keys() == spec_flags.games_among([]).keys()
