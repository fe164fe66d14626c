from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from common.yaml_text import DEEPEST, parse_yaml


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3", "a: stands twice (lines 1 and 3)"),
        ("x:\n  a: 1\n  a: 2", "a: stands twice (lines 2 and 3)"),
        ("{a: 1, a: 2}", "a: stands twice (lines 1 and 1)"),
        ("a: !!bool x", "a tag (!!...) does not fit its value"),
        ("a: !!int ''", "a tag (!!...) does not fit its value"),
        ("[" * (DEEPEST + 1), "nested too deeply: more than 100 levels"),
        ("{a: " * (DEEPEST + 1) + "}" * (DEEPEST + 1), "nested too deeply"),
        ("a: !!python/object:os.x {}", "not YAML"),
    ],
)
def test_what_is_no_yaml_is_one_line(text: str, line: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_yaml(text)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_nested_as_deeply_as_allowed_is_read() -> None:
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST)


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "Yes", "010", "1:30", "1_000", "2024-01-01"])
def test_words_of_yaml_1_1_are_text(word: str) -> None:
    assert parse_yaml(f"a: {word}") == {"a": word}


def test_what_an_anchor_brings_in_may_be_written_again() -> None:
    assert parse_yaml("x: &a {b: 1}\ny: {<<: *a, b: 2}\nz: {<<: *a}")["y"] == {"b": 2}


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]))
    | st.from_regex(r"[-+0-9.eE_:xobnyNofs~]{1,8}", fullmatch=True)
)


@given(st.recursive(_SCALARS, lambda one: st.lists(one) | st.dictionaries(st.text("abno~01.: "), one)))
def test_what_was_written_is_read_back(content: Any) -> None:
    assert parse_yaml(yaml.safe_dump(content)) == content


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: {c: *a}}", "steps: 4\nb: &a {c: *a}\n"])
def test_an_alias_within_what_it_names_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_yaml(text)


def test_aliases_that_mean_billions_of_values_are_refused_at_once() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 20)]
    with pytest.raises(ValueError, match="more than 100000 values with those that its anchors repeat"):
        parse_yaml("\n".join(["l0: &l0 [x]", *levels]))


def test_aliases_count_as_deep_as_what_they_name() -> None:
    nested = "[" * 60 + "x" + "]" * 60
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_yaml(f"a: &a {nested}\nb: {'[' * 60}*a{']' * 60}")
    assert parse_yaml("a: &a {b: 1}\nc: [*a, *a]")["c"] == [{"b": 1}, {"b": 1}]
