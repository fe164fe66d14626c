from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.backends import Dtype, agreed, best_dtype, notice
from common.backends.dtype import cpu_dtype, cuda_dtype
from common.config import ModelSpec, RunSpec

PLAIN = "fpu sse4_1 avx f16c avx2"
AVX512 = f"{PLAIN} avx512f avx512bw avx512_vnni"
NO_INSTRUCTIONS = Dtype(name="float32", reason="this processor, AMD EPYC, has no bfloat16 instructions")
NATIVE = Dtype(name="bfloat16", reason="this processor, AMD EPYC, has avx512_bf16")


def x86(*flags: str, model: str = "Intel(R) Xeon(R) Processor @ 2.80GHz") -> str:
    """The text of /proc/cpuinfo on a machine with a core for each list of flags."""
    cores = (f"processor\t: {n}\nmodel name\t: {model}\nflags\t\t: {has}\nbugs\t\t:\n" for n, has in enumerate(flags))
    return "\n".join(cores)


def arm(features: str) -> str:
    return f"processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("cpuinfo", "dtype", "reason"),
    [
        (x86(PLAIN, model="AMD EPYC"), "float32", NO_INSTRUCTIONS.reason),
        (x86(f"{AVX512} avx512_bf16", model="AMD EPYC"), "bfloat16", NATIVE.reason),
        (x86(AVX512), "float32", "this processor, Intel(R) Xeon(R) Processor @ 2.80GHz, has no bfloat16 instructions"),
        (x86(f"{AVX512} avx512_bf16 amx_bf16 amx_tile"), "bfloat16", "has amx_bf16"),
        (x86(f"{AVX512} avx512_bf16", AVX512), "float32", "has no bfloat16 instructions"),
        (arm("fp asimd sve i8mm bf16 dgh"), "bfloat16", "this processor has bf16"),
        (arm("fp asimd svebf16 atomics"), "float32", "this processor has no bfloat16 instructions"),
        ("", "float32", "the instruction sets of this processor are unknown"),
    ],
    ids=[
        "Zen 3",
        "Zen 4",
        "Xeon with VNNI only",
        "Xeon with AMX",
        "one core without",
        "Neoverse V1",
        "older ARM",
        "Mac",
    ],
)
def test_a_processor_computes_in_bfloat16_only_with_instructions_for_it(cpuinfo: str, dtype: str, reason: str) -> None:
    found = cpu_dtype(cpuinfo, {})
    assert found.name == dtype and reason in found.reason


@pytest.mark.parametrize(
    ("variables", "dtype"),
    [
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI", "ATEN_CPU_CAPABILITY": "avx2"}, "float32"),
        ({"ONEDNN_MAX_CPU_ISA": "avx2"}, "float32"),
        ({"ATEN_CPU_CAPABILITY": "avx2"}, "float32"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "ATEN_CPU_CAPABILITY": "avx512"}, "bfloat16"),
        ({"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, "bfloat16"),
    ],
)
def test_an_environment_that_forbids_the_instructions_counts(variables: dict[str, str], dtype: str) -> None:
    found = cpu_dtype(x86(f"{AVX512} avx512_bf16"), variables)
    assert found.name == dtype
    assert dtype == "bfloat16" or any(
        f"but {name}={value} forbids" in found.reason for name, value in variables.items()
    )


@pytest.mark.parametrize(
    ("cards", "dtype", "reason"),
    [
        ("NVIDIA H100 80GB HBM3, 9.0\n", "bfloat16", "NVIDIA H100 80GB HBM3 has compute capability 9.0"),
        ("NVIDIA A100-SXM4-40GB, 8.0\n", "bfloat16", "capability 8.0"),
        (
            "NVIDIA B200, 10.0\nTesla T4, 7.5\n",
            "float32",
            "Tesla T4 has compute capability 7.5, and bfloat16 needs 8.0",
        ),
        ("", "bfloat16", "assumed"),
    ],
)
def test_a_machine_with_gpus_takes_what_its_oldest_card_can_do(cards: str, dtype: str, reason: str) -> None:
    found = cuda_dtype(cards)
    assert found.name == dtype and reason in found.reason


@given(names=st.lists(st.booleans(), min_size=1, max_size=4))
def test_a_cluster_computes_in_bfloat16_only_where_all_of_it_does(names: list[bool]) -> None:
    found = {f"10.0.0.{n}": NATIVE if native else NO_INSTRUCTIONS for n, native in enumerate(names)}
    together = agreed(found)
    assert together.name == ("bfloat16" if all(names) else "float32")
    forcing = [node for node, dtype in found.items() if dtype.name == "float32"]
    if 0 < len(forcing) < len(found):
        assert (
            f"node{'s' if len(forcing) > 1 else ''} {', '.join(forcing)}: {NO_INSTRUCTIONS.reason}" == together.reason
        )
    else:
        assert together.reason.removeprefix("every node: ") == found["10.0.0.0"].reason


def test_auto_is_reported_with_its_reason_and_an_emulated_dtype_in_one_line() -> None:
    assert notice("auto", NO_INSTRUCTIONS, "cpu") == f"model.dtype: float32 (auto: {NO_INSTRUCTIONS.reason})"
    warned = notice("bfloat16", NO_INSTRUCTIONS, "cpu")
    assert "emulated" in warned and "auto would take float32" in warned and "\n" not in warned
    for written in ("bfloat16", "float32"):
        assert notice(written, NATIVE, "cpu") == ""
    assert notice("float32", NO_INSTRUCTIONS, "cpu") == ""


def test_bfloat16_on_an_old_card_is_refused_before_vllm_would() -> None:
    with pytest.raises(ValueError, match=r"Tesla T4 has compute capability 7.5.*write model.dtype: auto, or float32"):
        notice("bfloat16", cuda_dtype("Tesla T4, 7.5\n"), "cuda")


def test_a_decided_spec_has_a_dtype_and_one_that_was_written_keeps_it() -> None:
    spec = RunSpec()
    assert spec.model.dtype == "auto"
    with pytest.raises(AssertionError, match="was not decided"):
        _ = spec.model.concrete_dtype
    assert spec.concrete("bfloat16").model.concrete_dtype == "bfloat16"
    assert spec.concrete().model.concrete_dtype == best_dtype().name
    written = RunSpec(model=ModelSpec(dtype="float32"))
    assert written.concrete("bfloat16") == written
