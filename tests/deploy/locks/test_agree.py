from __future__ import annotations

import json

import pytest

from deploy.locks.agree import disagreements


def report(**distributions: list[str]) -> str:
    return json.dumps(
        {
            "install": [
                {"metadata": {"name": name, "version": "1.5", "requires_dist": r}} for name, r in distributions.items()
            ]
        }
    )


def test_a_lock_whose_wheels_ask_for_what_is_in_it_agrees() -> None:
    assert disagreements(report(one=["Two-Words>=1"], two_words=["one==1.*"])) == []


def test_what_is_missing_or_of_another_version_is_named() -> None:
    assert disagreements(report(one=["two<1", "three"], two=[])) == [
        "one 1.5 requires two<1, and the lock has 1.5",
        "one 1.5 requires three, which the lock lacks",
    ]


def test_a_build_for_cpus_is_named() -> None:
    found = {"name": "torch", "version": "2.13.0+cpu", "requires_dist": []}
    assert disagreements(json.dumps({"install": [{"metadata": found}]})) == ["torch 2.13.0+cpu is a build for CPUs"]


def test_requirements_of_other_systems_and_extras_do_not_count() -> None:
    assert (
        disagreements(report(one=['two; sys_platform == "win32"', 'two; extra == "x"', 'two; python_version < "3"']))
        == []
    )


def test_parts_of_the_cuda_toolkit_are_all_of_the_same_one() -> None:
    wanted = [f'{name}==1.4.*; extra == "all"' for name in ("nvidia-cuda-nvcc", "nvidia-cuda-runtime")]
    parts = {"nvidia-cuda-nvcc": [], "other": []}
    assert disagreements(report(**{"cuda-toolkit": wanted, **parts})) == [
        "cuda-toolkit 1.5 requires nvidia-cuda-nvcc==1.4.*, and the lock has 1.5"
    ]
    assert disagreements(report(**{"another": wanted, **parts})) == []


def test_a_file_that_is_no_report_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="not a pip report"):
        disagreements("name==1.0")
