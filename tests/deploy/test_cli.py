from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import cli
from tests.deploy.command_line import said


def test_the_file_is_the_spec_and_defaults_fill_it(spec_file: Path) -> None:
    command = cli.parse([str(spec_file)])
    assert (command.spec.name, command.spec.steps, command.spec.sampling.group_size) == ("mine", 3, 8)
    assert not command.dry_run and not command.resume


def test_the_environment_beats_the_file_and_flags_beat_both(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSERL_LEARNER__LEARNING_RATE", "0.25")
    monkeypatch.setenv("MEDSERL_STEPS", "5")
    learner = cli.parse([str(spec_file)]).spec.learner
    assert (learner.learning_rate, learner.batch_groups) == (0.25, 2)
    spec = cli.parse([str(spec_file), "--steps", "7", "--learner.max_grad_norm", "0.1"]).spec
    assert (spec.steps, spec.learner.max_grad_norm, spec.learner.learning_rate) == (7, 0.1, 0.25)


def test_switches_are_read(spec_file: Path) -> None:
    command = cli.parse([str(spec_file), "--dry-run", "--resume"])
    assert command.dry_run and command.resume


@pytest.mark.parametrize("field", ["filters.novelty", "learner.importance_clip"])
def test_null_turns_a_field_off(spec_file: Path, field: str) -> None:
    section, name = field.split(".")
    assert getattr(getattr(cli.parse([str(spec_file), f"--{field}", "null"]).spec, section), name) is None


def test_pairs_and_pools_are_given_as_json(spec_file: Path) -> None:
    flags = ["--filters.difficulty", "[0.1, 0.9]", "--pools", '[{"name": "a", "engines": 2}]']
    spec = cli.parse([str(spec_file), *flags]).spec
    assert spec.filters.difficulty == (0.1, 0.9)
    assert [(pool.name, pool.engines) for pool in spec.pools] == [("a", 2)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("stepps: 3", "stepps: unknown field; did you mean steps?"),
        ("learner: {lerning_rate: 1}", "learner.lerning_rate: unknown field; did you mean learning_rate?"),
        ("envs: [{id: verdict, dataa: {}}]", "envs.verdict.dataa: unknown field; did you mean data?"),
        ("envs: []", "envs: no game is listed; name one, or leave envs out to play verdict"),
        ("envs: {verdict: {data: {pat: x}}}", "envs.verdict.data.pat: unknown field; did you mean path?"),
        ("pools: [{engine: 2}]", "pools.0.engine: unknown field; did you mean engines?"),
        ("metrics: {zzz: 1}", "metrics.zzz: unknown field; write host, port"),
        ("steps: many", "steps: Input should be a valid integer, not 'many'"),
        ("steps: 0", "steps: Input should be greater than or equal to 1, not 0"),
        ("sampling: {group_size: 1}", "sampling.group_size 1 has no group mean: use 2 or more, or learner.algorithm"),
        ("steps: [", "not YAML: "),
        ("", "holds no settings; write `name: my-run` and what differs from the defaults"),
        ("- 1", "holds no settings"),
        ("1: 2", "holds no settings"),
    ],
)
def test_a_mistake_in_the_file_is_reported_for_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, line: str
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(content)
    assert said(capsys, str(path)).startswith(f"{path}: {line}")


def test_a_binary_file_is_not_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xff\xfe\x00\x81")
    assert "byte 0xff is not UTF-8" in said(capsys, str(path))


def test_a_missing_file_names_those_that_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = said(capsys, str(tmp_path / "none.yaml"))
    assert "none.yaml: no such spec file; write its path, or one of " in line and " laptop, learns, " in line


def test_a_mistyped_name_of_a_spec_is_answered_with_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "lapptop").endswith(", smoke; did you mean laptop?")


@pytest.mark.parametrize("name", ["laptop", "laptop.yaml", "deploy/laptop.yaml", "deploy/specs/laptop.yaml"])
def test_a_shipped_spec_is_found_by_its_name(name: str) -> None:
    command = cli.parse([name])
    assert (command.spec.name, str(command.path)) == ("laptop", "deploy/specs/laptop.yaml")


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--steps", "abc"], "flags and environment: steps: Input should be a valid integer"),
        (["--steps", "0"], "flags and environment: steps: Input should be greater than or equal to 1, not '0'"),
        (["--buffer.capacity", "1"], "flags and environment: this run would never make a step: buffer.capacity >="),
        (
            ["--learner.lerning_rate", "1"],
            "unknown option --learner.lerning_rate; did you mean --learner.learning_rate?",
        ),
        (["--step", "4"], "unknown option --step; did you mean --steps?"),
        (["--version"], "unknown option --version (see"),
        (["--learner", '{"ranks": bad'], "flags and environment: error parsing value for field"),
        (["more"], "unrecognized arguments: more (see python -m deploy.selfplay --help)"),
        (
            ["steps=5"],
            "unrecognized arguments: steps=5; did you mean --steps 5? (see python -m deploy.selfplay --help)",
        ),
        (["seed=a=b"], "unrecognized arguments: seed=a=b; did you mean --seed a=b? (see"),
    ],
)
def test_a_mistake_in_a_flag_is_reported_for_the_flag(
    spec_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], line: str
) -> None:
    assert said(capsys, str(spec_file), *flags).startswith(line)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("MEDSERL_STEP", "4", "environment: MEDSERL_STEP: unknown field; did you mean MEDSERL_STEPS?"),
        (
            "MEDSERL_LEARNER__LERNING_RATE",
            "4",
            "flags and environment: learner.lerning_rate: unknown field; did you mean learning_rate?",
        ),
        ("MEDSERL_LEARNER", "{bad", "flags and environment: error parsing value for field"),
        ("MEDSERL_STEPS", "many", "flags and environment: steps: Input should be a valid integer"),
    ],
)
def test_a_mistake_in_the_environment_is_reported_for_the_environment(
    said_with: Callable[[str, str], str], name: str, value: str, line: str
) -> None:
    assert said_with(name, value).startswith(line)


def test_the_one_variable_that_is_no_field_is_let_through(spec_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cli.ACTOR_LOGS, "1")
    assert cli.parse([str(spec_file)]).spec.steps == 3


def test_no_arguments_at_all_asks_for_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys).startswith("the following arguments are required: SPEC")


@pytest.mark.parametrize("null", ["null", "Null", "NULL", "~"])
def test_null_is_null_in_file_flag_and_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, null: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("filters: {novelty: 0.5}\n")
    assert cli.parse([str(path), "--filters.novelty", null]).spec.filters.novelty is None
    monkeypatch.setenv("MEDSERL_FILTERS__NOVELTY", null)
    assert cli.parse([str(path)]).spec.filters.novelty is None
    monkeypatch.delenv("MEDSERL_FILTERS__NOVELTY")
    path.write_text(f"filters: {{novelty: {null}}}\n")
    assert cli.parse([str(path)]).spec.filters.novelty is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("medserl_stepz", "5", "medserl_stepz: unknown field; did you mean MEDSERL_STEPS?"),
        ("MEDSERL_STEPS__X", "5", "has no parts; did you mean MEDSERL_STEPS?"),
        ("MEDSERL_STEPS", "null", "null is no value of it; unset it"),
        ("MEDSERL_STEPS", "true", "steps: Input should be a valid integer"),
        ("MEDSERL_LEARNER", '{"lora_rank": 8, "lora_rank": 9}', "lora_rank: stands twice"),
        ("MEDSERL_LEARNER__LEARNING_RATE", "inf", "learner.learning_rate: Input should be a finite number"),
    ],
)
def test_a_variable_that_means_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    assert told in said(capsys, "deploy/smoke.yaml")


@pytest.mark.parametrize("steps", ["yes", "true", "on", "off"])
def test_truth_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str], steps: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(f"steps: {steps}\n")
    assert "steps: " in said(capsys, str(path))
