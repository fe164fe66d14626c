from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.command_line import BAD_INPUT, Parser, alike, example_lines

FIELDS = ["steps", "warm_up.steps", "learner.learning_rate", "warm_up.learning_rate", "sampling.max_tokens"]


def refused(capsys: pytest.CaptureFixture[str], parser: Parser, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments)
    assert caught.value.code == BAD_INPUT
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error.rstrip()


@pytest.fixture
def parser() -> Parser:
    made = Parser("plan", "medserl plan", "Show it.", (("laptop", "on the CPU"), ("node8", "")))
    made.add_argument("spec")
    made.add_argument("--steps")
    made.add_argument("--suite", choices=["medec", "clinic"])
    return made


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("step", ["steps"]),
        ("learning_rate", ["learner.learning_rate", "warm_up.learning_rate"]),
        ("learner.lerning_rate", ["learner.learning_rate"]),
        ("lerner.learning_rate", ["learner.learning_rate", "warm_up.learning_rate"]),
        ("max_token", ["sampling.max_tokens"]),
        ("warm_up.step", ["warm_up.steps"]),
        ("zzz", []),
    ],
)
def test_what_ends_alike_is_meant_and_the_section_that_was_typed_wins(typed: str, meant: list[str]) -> None:
    assert alike(typed, FIELDS) == meant


@given(st.sampled_from(FIELDS))
def test_a_name_that_exists_means_itself(name: str) -> None:
    assert alike(name, FIELDS) == [name]


def test_an_unknown_flag_is_reported_before_what_is_missing(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, parser, "--stepps", "3")
    assert line == "plan: unknown option --stepps; did you mean --steps? (see medserl plan --help)"
    assert refused(capsys, parser, "x", "--zzz=3") == "plan: unknown option --zzz (see medserl plan --help)"


def test_a_mistyped_choice_is_answered_with_the_closest(parser: Parser, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean medec?" in refused(capsys, parser, "x", "--suite", "medek")


def test_help_carries_the_name_that_was_typed_and_examples_before_the_options(
    parser: Parser, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["--help"])
    shown = capsys.readouterr().out
    assert caught.value.code == 0 and shown.startswith("usage: medserl plan ")
    assert shown.index("Show it.") < shown.index("examples:\n  medserl plan laptop  on the CPU\n")
    assert shown.index("examples:") < shown.index("options:")


def test_examples_have_two_columns() -> None:
    assert example_lines("x", (("a", "one"), ("bbb", ""))) == "examples:\n  x a    one\n  x bbb"
