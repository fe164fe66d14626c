from __future__ import annotations

from pathlib import Path

import pytest

from bench import ours, references, throughput
from bench.ours import Variant
from bench.processor import described
from bench.result import Result
from bench.workload import Workload
from common.backends.processor import Processor
from common.records import Message

PROMPTS = ((Message(role="user", content="x"),),) * 20
WORK = Workload(model="m", dtype="float32", prompts=PROMPTS, prompts_per_step=4, group_size=8)
RESULT = Result(
    name="a system",
    completions=10,
    seconds=1.0,
    tokens=540,
    prompt_tokens=1.0,
    generate_s=1.0,
    train_s=0.0,
    peak_memory_gib=1.0,
)


class Bench:
    """Stands in for the processes: notes what each system was asked to do. Our completions have 54 tokens."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.works: dict[str, Workload] = {}
        patch.setattr(ours, "run", self.our_loop)
        patch.setattr(references, "run", self.reference)

    def our_loop(self, work: Workload, spec: str, data: str, variant: Variant, timeout_s: float) -> Result:
        return self.reference(variant.name, work, timeout_s)

    def reference(self, system: str, work: Workload, timeout_s: float) -> Result:
        self.works[system] = work
        return RESULT

    def measure(self, *flags: str) -> list[Result]:
        asked = throughput.asked_for(throughput.arguments().parse_args(flags))
        return list(throughput.measure(WORK, asked))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_every_system_is_measured_and_the_others_take_the_length_of_ours(bench: Bench) -> None:
    bench.measure("--steps", "1", "--our-steps", "4")
    lengths = {name: (work.tokens, work.steps) for name, work in bench.works.items()}
    assert lengths == {
        "bench-lag1-scribe": (96, 4),
        "bench-lag1": (96, 4),
        "bench-lag0": (96, 4),
        "engine": (54, 4),
        "vllm": (54, 4),
        "trl": (54, 1),
        "torch": (54, 1),
    }
    assert {work.dtype for work in bench.works.values()} == {"float32"}


def test_only_what_is_asked_for_is_measured_at_the_length_given(bench: Bench) -> None:
    bench.measure("--only", "trl", "--only", "engine", "--length", "60")
    assert list(bench.works) == ["engine", "trl"]
    assert bench.works["trl"].tokens == 60


def test_without_our_loop_a_length_must_be_given(bench: Bench) -> None:
    with pytest.raises(ValueError, match="there is no mean length: give --length"):
        bench.measure("--only", "vllm")


def test_a_reference_takes_as_many_threads_as_its_library_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = RESULT.line()
    code = f"import os\nassert 'OMP_NUM_THREADS' not in os.environ\nprint({line!r})"
    (tmp_path / "echo_threads.py").write_text(code)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(references.MODULES, "echo", "echo_threads")
    assert references.run("echo", WORK, 60) == RESULT


def test_a_processor_is_named_with_the_sets_that_matter_and_what_forbids_them() -> None:
    processor = Processor(name="AMD EPYC", sets=frozenset({"avx", "avx2", "avx512f", "avx512_bf16"}))
    assert described(processor, 2, {}) == "AMD EPYC, 2 cores (avx2, avx512f, avx512_bf16)"
    capped = described(processor, 2, {"ATEN_CPU_CAPABILITY": "avx2"})
    assert capped == "AMD EPYC, 2 cores (avx2, avx512f, avx512_bf16; ATEN_CPU_CAPABILITY=avx2)"
    assert described(Processor.of(""), 1, {}) == "processor without a name, 1 core (none known)"


def test_a_processor_has_the_sets_that_all_of_its_cores_have() -> None:
    text = "processor: 0\nFeatures: fp bf16 sve\n\nprocessor: 1\nFeatures: fp bf16\n"
    assert Processor.of(text) == Processor(name="", sets=frozenset({"fp", "bf16"}))
